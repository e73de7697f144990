//! What else can happen while a debt is being collected: whoever interferes, and with what.

use serde_json::{Value, json};

use crate::catalogue::has;
use crate::dunning::custom;
use crate::states::Story;
use crate::support::{at, id};

const FAILING: &str = "pm_card_chargeCustomerFail";
/// What is told of an attempt that fails.
const FAILED: &str = "charge.failed payment_intent.payment_failed invoice.updated invoice.payment_failed";
const PAID: &str = "charge.succeeded payment_intent.succeeded invoice.updated invoice.paid invoice.payment_succeeded \
                    invoice_payment.paid";

const ONE_DAY: [(&str, &str); 2] = [("collection[retries][mode]", "custom"), ("collection[retries][days][0]", "1")];

impl Story {
    /// How often each of its invoices was tried, and when it will be again; oldest first.
    async fn plans(&self) -> Vec<(i64, Option<i64>)> {
        let plan = |one: &Value| (one["attempt_count"].as_i64().unwrap(), one["next_payment_attempt"].as_i64());
        self.invoices().await.iter().map(plan).collect()
    }

    async fn delinquent(&self) -> Value {
        self.house.get(&format!("/v1/customers/{}", self.customer)).await.ok()["delinquent"].clone()
    }

    async fn charges(&self) -> usize {
        self.house.list(&format!("/v1/charges?customer={}", self.customer)).await.len()
    }
}

/// What ends a debt ends its retries: nothing is tried, counted or told afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn what_ends_the_debt_ends_its_retries() {
    for (action, form, status, told) in [
        ("void", &[][..], "void", "invoice.voided payment_intent.canceled customer.subscription.updated"),
        (
            "mark_uncollectible",
            &[],
            "uncollectible",
            "invoice.marked_uncollectible customer.subscription.updated customer.updated",
        ),
        (
            "pay",
            &[("paid_out_of_band", "true")],
            "paid",
            "invoice.updated invoice.paid payment_intent.canceled customer.subscription.updated customer.updated",
        ),
    ] {
        let story = Story::failing(FAILING, &custom(&["1", "2", "10"])).await;
        story.advance("2027-02-02T02:00:00Z").await;
        let owed = id(&story.owed().await);
        let mark = story.house.mark().await;
        let ended = story.act(&owed, action, form).await;
        has(
            &ended,
            &json!({"status": status, "next_payment_attempt": null, "attempt_count": 2, "auto_advance": false}),
        );
        story.house.told(mark).await.are(told);
        assert_eq!(story.status().await, "active", "{action}");
        // A void invoice is neither paid nor given up.
        assert_eq!(story.delinquent().await, action == "void");
        assert_eq!(story.until("2027-02-28T23:00:00Z").await, "", "{action}");
    }
}

/// A credit note for all of it is the end of a debt, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_credit_note_for_all_of_it_ends_the_retries() {
    let story = Story::failing(FAILING, &custom(&["1", "2", "10"])).await;
    let owed = id(&story.owed().await);
    story.house.post("/v1/credit_notes", &[("invoice", &owed), ("amount", "500")]).await.ok();
    let mark = story.house.mark().await;
    story.advance("2027-02-02T02:00:00Z").await;
    let told = story.house.told(mark).await;
    told.are(FAILED);
    assert_eq!(told.object("charge.failed")["amount"], 1500);
    story.house.post("/v1/credit_notes", &[("invoice", &owed), ("amount", "1500")]).await.ok();
    has(&story.owed().await, &json!({"status": "paid", "next_payment_attempt": null}));
    assert_eq!(story.status().await, "active");
    assert_eq!(story.delinquent().await, false);
    assert_eq!(story.until("2027-02-28T23:00:00Z").await, "");
}

/// A subscription that is cancelled by hand, or ends with its period, is not dunned any more.
#[tokio::test(flavor = "multi_thread")]
async fn cancelled_in_the_middle() {
    let story = Story::failing(FAILING, &custom(&["1", "2", "10"])).await;
    let mark = story.house.mark().await;
    let ended = story.house.delete(&story.path()).await.ok();
    assert_eq!(ended["cancellation_details"]["reason"], "cancellation_requested");
    story.house.told(mark).await.hold("customer.subscription.deleted invoice.updated");
    has(&story.owed().await, &json!({"status": "open", "auto_advance": false, "next_payment_attempt": null}));
    assert_eq!(story.until("2027-02-28T23:00:00Z").await, "");

    let story = Story::failing(FAILING, &custom(&["1", "59"])).await;
    story.update(&[("cancel_at_period_end", "true")]).await;
    story.advance("2027-02-28T23:00:00Z").await;
    assert_eq!(story.plans().await[1], (2, Some(at("2027-04-02T01:00:00Z"))));
    let mark = story.house.mark().await;
    story.advance("2027-03-01T00:00:00Z").await;
    story.house.told(mark).await.hold("customer.subscription.deleted invoice.updated");
    has(&story.owed().await, &json!({"status": "open", "auto_advance": false, "next_payment_attempt": null}));
    assert_eq!(story.until("2027-04-28T23:00:00Z").await, "");
}

/// Cancelled in the hour of its draft: that is never finalised, let alone charged.
#[tokio::test(flavor = "multi_thread")]
async fn cancelled_while_the_invoice_is_a_draft() {
    let story = Story::begin().await;
    story.card(FAILING).await;
    story.advance("2027-02-01T00:30:00Z").await;
    story.house.delete(&story.path()).await.ok();
    assert_eq!(story.until("2027-03-02T00:00:00Z").await, "");
    has(&story.owed().await, &json!({"status": "draft", "auto_advance": false, "attempt_count": 0}));
}

/// Who is deleted is asked for nothing any more.
#[tokio::test(flavor = "multi_thread")]
async fn the_customer_is_deleted_in_the_middle() {
    let story = Story::failing(FAILING, &custom(&["1", "2", "10"])).await;
    let mark = story.house.mark().await;
    story.house.delete(&format!("/v1/customers/{}", story.customer)).await.ok();
    story.house.told(mark).await.are(
        "customer.subscription.deleted invoice.updated payment_method.detached payment_method.detached customer.deleted",
    );
    assert_eq!(story.status().await, "canceled");
    has(&story.owed().await, &json!({"status": "open", "auto_advance": false, "next_payment_attempt": null}));
    assert_eq!(story.until("2027-03-28T23:00:00Z").await, "");
}

/// Two renewals that fail: paying the latest makes it active, although the older is still owed and tried.
#[tokio::test(flavor = "multi_thread")]
async fn the_latest_invoice_decides_and_the_older_one_is_still_collected() {
    let settings = [
        ("collection[retries][mode]", "custom"),
        ("collection[retries][days][0]", "30"),
        ("collection[retries][days][1]", "5"),
    ];
    let story = Story::failing(FAILING, &settings).await;
    story.advance("2027-03-01T02:00:00Z").await;
    let february = at("2027-03-03T01:00:00Z");
    assert_eq!(story.plans().await[1..], [(1, Some(february)), (1, Some(at("2027-03-31T01:00:00Z")))]);
    let march = id(&story.invoices().await[2]);
    let visa = story.house.post("/v1/payment_methods/pm_card_visa/attach", &[("customer", &story.customer)]).await.ok();
    story.act(&march, "pay", &[("payment_method", &id(&visa))]).await;
    assert_eq!((&*story.status().await, story.delinquent().await), ("active", json!(false)));
    assert_eq!(story.plans().await[1], (1, Some(february)));
    // It goes on, and fails to its end; the customer is delinquent again, the subscription is not behind.
    assert_eq!(story.until("2027-03-03T02:00:00Z").await, format!("{FAILED} customer.updated"));
    assert_eq!((&*story.status().await, story.delinquent().await), ("active", json!(true)));
    assert_eq!(story.until("2027-03-08T02:00:00Z").await, FAILED);
    assert_eq!(story.plans().await[1], (3, None));
    assert_eq!(story.status().await, "active");
}

/// Paying the older of two does not make it active.
#[tokio::test(flavor = "multi_thread")]
async fn paying_the_older_one_changes_no_status() {
    let settings = [("collection[retries][window]", "2_months")];
    let story = Story::failing(FAILING, &settings).await;
    story.advance("2027-03-01T02:00:00Z").await;
    let before = story.plans().await[2];
    let visa = story.house.post("/v1/payment_methods/pm_card_visa/attach", &[("customer", &story.customer)]).await.ok();
    let mark = story.house.mark().await;
    story.act(&id(&story.owed().await), "pay", &[("payment_method", &id(&visa))]).await;
    // The last change of any of its invoices says whether a customer is delinquent.
    story.house.told(mark).await.are(&format!("{PAID} customer.updated"));
    assert_eq!((&*story.status().await, story.delinquent().await), ("past_due", json!(false)));
    assert_eq!(story.plans().await[2], before);
    // The latest one is still retried, and its success is what counts.
    story.card("pm_card_visa").await;
    story.house.advance_to(&story.clock, before.1.unwrap()).await;
    assert_eq!(story.status().await, "active");
    assert_eq!(story.delinquent().await, false);
}

/// The latest of two is voided: an older one that has retries left does not keep it past due, and is
/// still tried.
#[tokio::test(flavor = "multi_thread")]
async fn voiding_the_latest_leaves_the_older_one_in_its_plan() {
    let story = Story::failing(FAILING, &[("collection[retries][window]", "2_months")]).await;
    story.advance("2027-03-01T02:00:00Z").await;
    let planned = story.plans().await[1];
    story.act(&story.latest().await, "void", &[]).await;
    assert_eq!(story.status().await, "active");
    assert_eq!(story.plans().await[1], planned);
    story.card("pm_card_visa").await;
    story.house.advance_to(&story.clock, planned.1.unwrap()).await;
    assert_eq!(story.owed().await["status"], "paid");
}

/// Collection paused in the middle: what is open is still retried, what comes is void.
#[tokio::test(flavor = "multi_thread")]
async fn a_pause_in_the_middle_leaves_the_open_one_in_its_plan() {
    let story = Story::failing(FAILING, &custom(&["1", "59"])).await;
    let planned = story.plans().await;
    story.update(&[("pause_collection[behavior]", "void")]).await;
    assert_eq!(story.plans().await, planned);
    assert_eq!(story.status().await, "past_due");
    assert_eq!(story.until("2027-02-02T02:00:00Z").await, FAILED);
    story.advance("2027-03-01T02:00:00Z").await;
    has(&story.invoices().await[2], &json!({"status": "void", "attempt_count": 0}));
    assert_eq!(story.status().await, "past_due", "a void one decides nothing");
    story.card("pm_card_visa").await;
    story.house.advance_to(&story.clock, story.plans().await[1].1.unwrap()).await;
    assert_eq!(story.owed().await["status"], "paid");
    assert_eq!(story.status().await, "active");
    assert_eq!(story.delinquent().await, false);
}

/// A price that changes in the middle: the debt stays what it was, the change is billed and dunned by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_in_the_middle_has_an_invoice_and_a_plan_of_its_own() {
    let story = Story::failing(FAILING, &custom(&["1", "2", "10"])).await;
    story.advance("2027-02-03T12:00:00Z").await;
    let item = story.read().await["items"]["data"][0]["id"].as_str().unwrap().to_owned();
    let planned = story.plans().await[1];
    let form = [("items[0][id]", &*item), ("items[0][quantity]", "3"), ("proration_behavior", "always_invoice")];
    let changed = story.update(&form).await;
    assert_eq!(changed["status"], "past_due");
    assert_eq!(story.owed().await["amount_due"], 2000);
    assert_eq!(story.plans().await[1..], [planned, (1, Some(at("2027-02-04T12:00:00Z")))]);
    story.card("pm_card_visa").await;
    story.advance("2027-02-04T01:00:00Z").await;
    assert_eq!(story.owed().await["status"], "paid");
    assert_eq!(story.status().await, "past_due", "the latest is the invoice of the change");
    story.advance("2027-02-04T12:00:00Z").await;
    assert_eq!(story.status().await, "active");
}

/// Down to nothing in the middle: the next invoice is 0 and paid, the old debt stays in its plan.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_of_nothing_in_the_middle() {
    let story = Story::failing(FAILING, &[("collection[retries][window]", "2_months")]).await;
    let item = story.read().await["items"]["data"][0]["id"].as_str().unwrap().to_owned();
    story.update(&[("items[0][id]", &item), ("items[0][quantity]", "0"), ("proration_behavior", "none")]).await;
    story.advance("2027-02-28T12:00:00Z").await;
    let planned = story.plans().await[1];
    assert_eq!(
        story.until("2027-03-01T02:00:00Z").await,
        "invoice.created customer.subscription.updated invoice.finalized invoice.updated invoice.paid \
         invoice.payment_succeeded customer.subscription.updated customer.updated"
    );
    has(&story.invoices().await[2], &json!({"status": "paid", "total": 0, "attempted": true}));
    assert_eq!(story.status().await, "active");
    assert_eq!(story.plans().await[1], planned);
    assert_eq!(story.house.list(&format!("/v1/invoice_payments?invoice={}", story.latest().await)).await.len(), 0);
}

/// A trial that ends with a failing card: active for the hour of the draft, then past due and retried.
#[tokio::test(flavor = "multi_thread")]
async fn a_trial_that_ends_with_a_failing_card() {
    let story = Story::begin().await;
    story.settings(&ONE_DAY).await;
    story.card(FAILING).await;
    let form = [("customer", &*story.customer), ("items[0][price]", &story.price), ("trial_period_days", "10")];
    let trial = story.house.post("/v1/subscriptions", &form).await.ok();
    let story = Story { subscription: id(&trial), ..story };
    story.advance("2027-01-11T00:00:00Z").await;
    assert_eq!(story.status().await, "active");
    assert_eq!(
        story.until("2027-01-11T01:00:00Z").await,
        format!("invoice.finalized payment_intent.created {FAILED} customer.subscription.updated customer.updated")
    );
    assert_eq!(story.plans().await[1], (1, Some(at("2027-01-12T01:00:00Z"))));
    assert_eq!(story.delinquent().await, true);
    assert_eq!(story.until("2027-01-12T01:00:00Z").await, format!("{FAILED} customer.subscription.updated"));
    assert_eq!(story.status().await, "unpaid");
}

/// A new card of the subscription itself serves the next retry, as one of the customer does; one that is
/// only attached does not.
#[tokio::test(flavor = "multi_thread")]
async fn whose_new_card_is_charged() {
    let story = Story::failing("pm_card_visa_chargeCustomerFailLostCard", &custom(&["1", "2", "10"])).await;
    let charged = story.charges().await;
    let visa = story.house.post("/v1/payment_methods/pm_card_visa/attach", &[("customer", &story.customer)]).await.ok();
    assert_eq!(story.until("2027-02-02T02:00:00Z").await, "invoice.updated invoice.payment_failed");
    assert_eq!(story.charges().await, charged);
    let mark = story.house.mark().await;
    story.update(&[("default_payment_method", &id(&visa))]).await;
    story.house.told(mark).await.are("customer.subscription.updated");
    assert_eq!(story.plans().await[1], (2, Some(at("2027-02-04T01:00:00Z"))), "no attempt at once");
    assert_eq!(
        story.until("2027-02-04T01:00:00Z").await,
        format!("{PAID} customer.subscription.updated customer.updated")
    );
    assert_eq!(story.delinquent().await, false);
}

/// The new card that a retry finds may fail as well, or want its holder.
#[tokio::test(flavor = "multi_thread")]
async fn the_new_card_may_be_no_better() {
    let story = Story::failing("pm_card_visa_chargeCustomerFailLostCard", &custom(&["1", "2", "2"])).await;
    story.card(FAILING).await;
    assert_eq!(story.until("2027-02-02T02:00:00Z").await, FAILED);
    story.card("pm_card_authenticationRequired").await;
    assert_eq!(
        story.until("2027-02-04T02:00:00Z").await,
        "payment_intent.requires_action invoice.updated invoice.payment_action_required"
    );
    assert_eq!(story.status().await, "past_due");
    assert_eq!(story.plans().await[1], (3, Some(at("2027-02-06T01:00:00Z"))));
    story.card("pm_card_visa").await;
    story.advance("2027-02-06T01:00:00Z").await;
    assert_eq!(story.status().await, "active");
    has(&story.owed().await, &json!({"status": "paid", "attempt_count": 4}));
}

/// What is owed stays to be charged although the subscription sends its invoices from now on.
#[tokio::test(flavor = "multi_thread")]
async fn switching_to_sent_invoices_in_the_middle() {
    let story = Story::failing(FAILING, &custom(&["1", "2", "10"])).await;
    let planned = story.plans().await;
    story.update(&[("collection_method", "send_invoice"), ("days_until_due", "5")]).await;
    assert_eq!(story.plans().await, planned);
    assert_eq!(story.owed().await["collection_method"], "charge_automatically");
    assert_eq!(story.until("2027-02-02T02:00:00Z").await, FAILED);
    story.card("pm_card_visa").await;
    story.advance("2027-02-04T02:00:00Z").await;
    assert_eq!(story.status().await, "active");
}

/// A payment by hand is made once, however often its request comes; the plan knows of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_by_hand_that_is_repeated() {
    let story = Story::failing(FAILING, &custom(&["1", "2", "10"])).await;
    story.card("pm_card_visa").await;
    let path = format!("/v1/invoices/{}/pay", id(&story.owed().await));
    let charged = story.charges().await;
    let key = [("idempotency-key", "pay-once")];
    let first = story.house.call(reqwest::Method::POST, &path, &[], &key).await.ok();
    let again = story.house.call(reqwest::Method::POST, &path, &[], &key).await.ok();
    assert_eq!(first, again);
    story.house.post(&path, &[]).await.error(400);
    assert_eq!(story.charges().await, charged + 1);
    has(&first, &json!({"status": "paid", "attempt_count": 1, "next_payment_attempt": null}));
    assert_eq!(story.until("2027-02-28T23:00:00Z").await, "");
}

/// Leave it past due: each later renewal is charged and retried in full.
#[tokio::test(flavor = "multi_thread")]
async fn left_past_due_each_renewal_is_tried_in_full() {
    let mut settings = ONE_DAY.to_vec();
    settings.push(("collection[final_action][subscription]", "past_due"));
    let story = Story::failing(FAILING, &settings).await;
    assert_eq!(story.until("2027-02-28T00:00:00Z").await, FAILED);
    assert_eq!(
        story.until("2027-03-01T02:00:00Z").await,
        format!("invoice.created customer.subscription.updated invoice.finalized payment_intent.created {FAILED}")
    );
    assert_eq!(story.until("2027-03-02T02:00:00Z").await, FAILED);
    assert_eq!(story.plans().await[1..], [(2, None), (2, None)]);
    assert_eq!((&*story.status().await, story.delinquent().await), ("past_due", json!(true)));
    story.card("pm_card_visa").await;
    story.advance("2027-04-01T02:00:00Z").await;
    assert_eq!(story.status().await, "active", "the latest is paid");
    assert_eq!(story.owed().await["status"], "open");
}

/// `invoice.upcoming` is of what will be charged: not of what is sent, not of what is unpaid.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_or_unpaid_is_not_upcoming() {
    let story = Story::sent(&[("invoice[upcoming_days]", "3")]).await;
    story.advance("2027-01-31T23:00:00Z").await;
    assert!(story.house.list("/v1/events?type=invoice.upcoming").await.is_empty());

    for (action, expected) in [("unpaid", ""), ("past_due", "invoice.upcoming")] {
        let settings = [
            ("invoice[upcoming_days]", "3"),
            ("collection[retries][mode]", "off"),
            ("collection[final_action][subscription]", action),
        ];
        let story = Story::failing(FAILING, &settings).await;
        assert_eq!(story.status().await, action);
        let told = story.until("2027-02-28T23:00:00Z").await;
        assert_eq!(told, expected, "{action}");
    }
}

/// An older sent invoice that stays unpaid while a later one is paid.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_sent_invoice_does_not_decide() {
    let settings =
        [("collection[manual_collection][action]", "cancel"), ("collection[manual_collection][days_past_due]", "30")];
    let story = Story::sent(&settings).await;
    story.advance("2027-02-01T02:00:00Z").await;
    assert_eq!(story.status().await, "past_due");
    story.act(&story.latest().await, "pay", &[("paid_out_of_band", "true")]).await;
    assert_eq!(story.status().await, "active");
    assert_eq!(story.until("2027-02-11T00:00:00Z").await, "");
    assert_eq!(story.status().await, "active");
}
