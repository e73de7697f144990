//! What an update can say beside the price: one-off items, how invoices are collected, an end together
//! with other changes, trials that prices promise, prices of its own.

use serde_json::{Value, json};

use crate::catalogue::has;
use crate::changes::{MIDDLE, START, Tenant, amounts};
use crate::support::{at, id};

const THOUSAND: [(&str, &str); 1] = [("unit_amount", "1000")];
const ALWAYS: (&str, &str) = ("proration_behavior", "always_invoice");

/// A price that does not recur.
async fn fee(tenant: &Tenant, cents: &str) -> String {
    let product = id(&tenant.house.post("/v1/products", &[("name", "Setup")]).await.ok());
    let form = [("product", product.as_str()), ("currency", "usd"), ("unit_amount", cents)];
    id(&tenant.house.post("/v1/prices", &form).await.ok())
}

async fn invoices(tenant: &Tenant) -> usize {
    tenant.house.list(&format!("/v1/invoices?subscription={}", tenant.subscription)).await.len()
}

/// `add_invoice_items` on update: with nothing else to invoice they wait for the next invoice.
#[tokio::test(flavor = "multi_thread")]
async fn one_off_items_wait_for_the_next_invoice() {
    let tenant = Tenant::of("flexible", &THOUSAND, "1").await;
    tenant.advance(MIDDLE).await;
    let fee = fee(&tenant, "700").await;
    let mark = tenant.house.mark().await;
    let form =
        [("add_invoice_items[0][price]", fee.as_str()), ("add_invoice_items[0][quantity]", "2"), ("metadata[k]", "v")];
    tenant.update(&form).await;
    let told = tenant.house.told(mark).await;
    told.are("invoiceitem.created customer.subscription.updated");
    let item = told.object("invoiceitem.created");
    has(item, &json!({"amount": 1400, "proration": false, "quantity": 2, "discountable": true}));
    assert_eq!(item["parent"]["subscription_details"]["subscription"], tenant.subscription);
    assert_eq!(item["period"], json!({"start": at(START), "end": at("2026-12-01T00:00:00Z")}));
    assert_eq!((tenant.pending().await, invoices(&tenant).await), (vec![1400], 1));
    tenant.advance("2026-12-01T02:00:00Z").await;
    assert_eq!(amounts(&tenant.latest().await), [1400, 1000]);
}

/// With `always_invoice`, or beside a change that is invoiced at once, they go onto that invoice; in
/// classic mode as well, where other items stay.
#[tokio::test(flavor = "multi_thread")]
async fn one_off_items_go_onto_the_invoice_of_now() {
    for mode in ["classic", "flexible"] {
        let tenant = Tenant::of(mode, &THOUSAND, "1").await;
        let form = [("customer", tenant.customer.as_str()), ("amount", "70"), ("currency", "usd")];
        tenant.house.post("/v1/invoiceitems", &form).await.ok();
        tenant.advance(MIDDLE).await;
        let fee = fee(&tenant, "700").await;
        let mark = tenant.house.mark().await;
        tenant.update(&[("add_invoice_items[0][price]", &fee), ALWAYS]).await;
        let invoice = tenant.latest().await;
        let expected: &[i64] = if mode == "classic" { &[700] } else { &[700, 70] };
        assert_eq!(amounts(&invoice), expected);
        has(&invoice, &json!({"status": "paid", "billing_reason": "subscription_update"}));
        tenant.house.told(mark).await.hold(
            "invoiceitem.created invoice.created invoice.finalized payment_intent.created charge.succeeded \
             payment_intent.succeeded invoice.updated invoice.paid invoice.payment_succeeded invoice_payment.paid \
             customer.subscription.updated",
        );
        let price = tenant.price(&[("unit_amount", "2000")]).await;
        tenant.swap(&price, &[("add_invoice_items[0][price]", &fee), ALWAYS]).await;
        assert_eq!(amounts(&tenant.latest().await), [700, -517, 1033]);
    }
}

/// Beside a new cycle, and beside a trial that begins now: what is bought is charged at once.
#[tokio::test(flavor = "multi_thread")]
async fn one_off_items_beside_a_new_cycle_or_trial() {
    let tenant = Tenant::of("flexible", &THOUSAND, "1").await;
    tenant.advance(MIDDLE).await;
    let fee = fee(&tenant, "700").await;
    tenant.update(&[("add_invoice_items[0][price]", &fee), ("billing_cycle_anchor[type]", "now")]).await;
    let invoice = tenant.latest().await;
    assert_eq!(amounts(&invoice), [700, -517, 1000]);
    let period = &invoice["lines"]["data"][0]["period"];
    assert_eq!(period, &json!({"start": at(MIDDLE), "end": at("2026-12-15T12:00:00Z")}));

    let end = at("2026-12-24T00:00:00Z").to_string();
    let trialing = tenant.update(&[("add_invoice_items[0][price]", &fee), ("trial_end", &end)]).await;
    assert_eq!(trialing["status"], "trialing");
    has(&tenant.latest().await, &json!({"total": 700, "amount_paid": 700, "status": "paid"}));
}

/// What must be of an unpaid change comes and goes with it.
#[tokio::test(flavor = "multi_thread")]
async fn one_off_items_wait_with_their_change() {
    let tenant = Tenant::of("flexible", &THOUSAND, "1").await;
    tenant.advance(MIDDLE).await;
    let fee = fee(&tenant, "700").await;
    tenant.house.default_card(&tenant.customer, "pm_card_chargeCustomerFail").await;
    let form = [("add_invoice_items[0][price]", fee.as_str()), ALWAYS, ("payment_behavior", "pending_if_incomplete")];
    let waiting = tenant.update(&form).await;
    assert!(waiting["pending_update"].is_object());
    has(&tenant.latest().await, &json!({"status": "open", "total": 700}));
    tenant.house.post(&format!("/v1/invoices/{}/void", id(&tenant.latest().await)), &[]).await.ok();
    has(&tenant.read().await, &json!({"pending_update": null, "status": "active"}));
    assert_eq!(tenant.pending().await, [0; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_off_items_that_cannot_be_are_refused() {
    let tenant = Tenant::of("flexible", &THOUSAND, "1").await;
    let (recurring, fee) = (tenant.price(&THOUSAND).await, fee(&tenant, "700").await);
    for (form, param) in [
        (vec![("add_invoice_items[0][price]", &*recurring)], "add_invoice_items[0][price]"),
        (vec![("add_invoice_items[0][price]", "price_none")], "add_invoice_items[0][price]"),
        (vec![("add_invoice_items[0][quantity]", "1")], "add_invoice_items[0][price]"),
        (
            vec![("add_invoice_items[0][price]", &*fee), ("add_invoice_items[0][quantity]", "-1")],
            "add_invoice_items[0][quantity]",
        ),
    ] {
        assert_eq!(tenant.house.post(&tenant.path(), &form).await.error(400)["param"], param, "{form:?}");
    }
    assert_eq!(tenant.pending().await, [0; 0]);
}

/// Prices that are made for an item on the spot, on the subscription and on its items.
#[tokio::test(flavor = "multi_thread")]
async fn items_with_prices_of_their_own() {
    let tenant = Tenant::of("flexible", &THOUSAND, "1").await;
    tenant.advance(MIDDLE).await;
    let product = id(&tenant.house.post("/v1/products", &[("name", "Pro")]).await.ok());
    let data = |head: &str| {
        let form =
            [("product", &*product), ("currency", "usd"), ("unit_amount", "2000"), ("recurring[interval]", "month")];
        let name = |name: &str| match name.split_once('[') {
            Some((name, rest)) => format!("{head}[{name}][{rest}"),
            None => format!("{head}[{name}]"),
        };
        form.map(|(member, value)| (name(member), value.to_owned()))
    };
    let post = async |path: &str, first: &[(&str, &str)], head: &str| {
        let data = data(head);
        let more = data.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let form: Vec<(&str, &str)> = first.iter().copied().chain(more).collect();
        tenant.house.post(path, &form).await
    };
    let swapped = post(&tenant.path(), &[("items[0][id]", &tenant.item)], "items[0][price_data]").await.ok();
    has(&swapped["items"]["data"][0]["price"], &json!({"unit_amount": 2000, "active": false}));
    assert_eq!(tenant.pending().await, [1033, -517]);
    let path = "/v1/subscription_items";
    let added = post(path, &[("subscription", &tenant.subscription), ("quantity", "3")], "price_data").await.ok();
    has(&added, &json!({"quantity": 3, "object": "subscription_item"}));
    let path = format!("{path}/{}", id(&added));
    let changed = post(&path, &[("proration_behavior", "none")], "price_data").await.ok();
    assert_ne!(changed["price"]["id"], added["price"]["id"]);
    let both = post(&path, &[("price", "price_1")], "price_data").await.error(400);
    assert_eq!((&both["code"], &both["param"]), (&json!("parameters_exclusive"), &json!("price")));
    let neither = tenant.house.post("/v1/subscription_items", &[("subscription", &tenant.subscription)]).await;
    assert_eq!(neither.error(400)["param"], "price");
}

/// Another way to collect counts for later invoices; who is sent invoices has days to pay them.
#[tokio::test(flavor = "multi_thread")]
async fn later_invoices_are_collected_in_another_way() {
    let tenant = Tenant::of("flexible", &THOUSAND, "1").await;
    let settings = [("collection[final_action][subscription]", "past_due")];
    tenant.house.post("/v1/dunlin/settings", &settings).await.ok();
    tenant.house.default_card(&tenant.customer, "pm_card_chargeCustomerFail").await;
    tenant.advance("2026-12-01T02:00:00Z").await;
    let owed = tenant.latest().await;
    for (form, param) in [
        (vec![("collection_method", "send_invoice")], "days_until_due"),
        (vec![("days_until_due", "5")], "days_until_due"),
        (vec![("collection_method", "charge_automatically"), ("days_until_due", "5")], "days_until_due"),
    ] {
        assert_eq!(tenant.house.post(&tenant.path(), &form).await.error(400)["param"], param);
    }
    let mark = tenant.house.mark().await;
    let sent = tenant.update(&[("collection_method", "send_invoice"), ("days_until_due", "5")]).await;
    has(&sent, &json!({"collection_method": "send_invoice", "days_until_due": 5, "status": "past_due"}));
    let told = tenant.house.told(mark).await;
    told.are("customer.subscription.updated");
    let previous = json!({"collection_method": "charge_automatically", "days_until_due": null});
    assert_eq!(told.previous("customer.subscription.updated"), &previous);
    let same = tenant.house.get(&format!("/v1/invoices/{}", id(&owed))).await.ok();
    assert_eq!(same["collection_method"], "charge_automatically", "those there are stay as they are");
    tenant.update(&[("days_until_due", "10")]).await;
    tenant.advance("2027-01-01T02:00:00Z").await;
    let next = tenant.latest().await;
    has(&next, &json!({"collection_method": "send_invoice", "status": "open", "next_payment_attempt": null}));
    assert_eq!(next["due_date"], at("2027-01-11T00:00:00Z"));
    // And back: the days go.
    let charged = tenant.update(&[("collection_method", "charge_automatically")]).await;
    has(&charged, &json!({"collection_method": "charge_automatically", "days_until_due": null}));
    // Who has no address cannot be sent anything.
    tenant.house.post(&format!("/v1/customers/{}", tenant.customer), &[("email", "")]).await.ok();
    let form = [("collection_method", "send_invoice"), ("days_until_due", "5")];
    assert_eq!(tenant.house.post(&tenant.path(), &form).await.error(400)["param"], "customer");
}

/// The days that a price promises, from now on; without a promise nothing changes.
#[tokio::test(flavor = "multi_thread")]
async fn a_trial_that_the_price_promises() {
    let tenant = Tenant::of("flexible", &THOUSAND, "1").await;
    tenant.advance(MIDDLE).await;
    has(&tenant.update(&[("trial_from_plan", "true")]).await, &json!({"status": "active", "trial_end": null}));
    let price = tenant.price(&[("unit_amount", "2000"), ("recurring[trial_period_days]", "10")]).await;
    let trialing = tenant.swap(&price, &[("trial_from_plan", "true"), ("proration_behavior", "none")]).await;
    let end = at("2026-11-25T12:00:00Z");
    has(&trialing, &json!({"status": "trialing", "trial_start": at(MIDDLE), "trial_end": end}));
    has(&tenant.latest().await, &json!({"total": 0, "status": "paid"}));
    tenant.advance("2026-11-25T14:00:00Z").await;
    has(&tenant.latest().await, &json!({"total": 2000, "status": "paid"}));
    let both = [("trial_from_plan", "true"), ("trial_end", "now")];
    assert_eq!(tenant.house.post(&tenant.path(), &both).await.error(400)["code"], "parameters_exclusive");
}

/// An end inside the period, with the credit invoiced at once; and together with another price.
#[tokio::test(flavor = "multi_thread")]
async fn an_end_together_with_other_changes() {
    let end = at("2026-11-23T06:00:00Z");
    let tenant = Tenant::of("flexible", &THOUSAND, "1").await;
    tenant.advance(MIDDLE).await;
    let set = tenant.update(&[("cancel_at", &end.to_string()), ALWAYS]).await;
    has(&set, &json!({"cancel_at": end, "cancel_at_period_end": false}));
    assert_eq!(set["items"]["data"][0]["current_period_end"], end);
    // From 23 November 06:00 on 669,600 of 2,592,000 seconds are left.
    has(&tenant.latest().await, &json!({"total": -258, "status": "paid"}));
    assert_eq!((tenant.balance().await, tenant.pending().await), (-258, vec![]));

    let tenant = Tenant::of("flexible", &THOUSAND, "1").await;
    tenant.advance(MIDDLE).await;
    let price = tenant.price(&[("unit_amount", "2000")]).await;
    let set = tenant.swap(&price, &[("cancel_at", &end.to_string())]).await;
    has(&set["items"]["data"][0], &json!({"current_period_end": end, "quantity": 1}));
    assert_eq!(set["items"]["data"][0]["price"]["id"], json!(price));
    // Beyond the end 258 come back; up to it 258 of what is left of the old price, for 517 of the new one.
    assert_eq!(tenant.pending().await, [-258, 517, -258]);
    tenant.advance("2026-12-02T00:00:00Z").await;
    has(&tenant.read().await, &json!({"status": "canceled", "ended_at": end}));

    // With a new cycle, which the end cuts short.
    let tenant = Tenant::of("flexible", &THOUSAND, "1").await;
    tenant.advance(MIDDLE).await;
    let form = [("cancel_at", &*end.to_string()), ("billing_cycle_anchor[type]", "now")];
    let set = tenant.update(&form).await;
    has(&set["items"]["data"][0], &json!({"current_period_start": at(MIDDLE), "current_period_end": end}));
    let invoice = tenant.latest().await;
    let total: i64 = amounts(&invoice).iter().sum();
    // What remained comes back, for 7.75 days of 30.
    assert_eq!((total, &invoice["status"]), (258 - 258 - 258, &json!("paid")), "{:?}", amounts(&invoice));
}

/// An end that comes with a change that must be paid is not there when that is not.
#[tokio::test(flavor = "multi_thread")]
async fn an_end_with_a_change_that_is_not_paid() {
    let tenant = Tenant::of("flexible", &THOUSAND, "1").await;
    tenant.advance(MIDDLE).await;
    tenant.house.default_card(&tenant.customer, "pm_card_chargeCustomerFail").await;
    let price = tenant.price(&[("unit_amount", "9000")]).await;
    let end = at("2026-11-30T00:00:00Z").to_string();
    let before = tenant.read().await;
    let form = [
        ("items[0][id]", &*tenant.item),
        ("items[0][price]", &price),
        ("cancel_at", &end),
        ALWAYS,
        ("payment_behavior", "error_if_incomplete"),
    ];
    tenant.house.post(&tenant.path(), &form).await.error(402);
    assert_eq!(tenant.read().await, before);
    assert_eq!(tenant.pending().await, [0; 0]);
    let form = [("cancel_at", &*end), ALWAYS, ("payment_behavior", "pending_if_incomplete")];
    assert_eq!(tenant.house.post(&tenant.path(), &form).await.error(400)["param"], "cancel_at");
}

/// Before the first payment only what moves no money can change (the incomplete window).
#[tokio::test(flavor = "multi_thread")]
async fn what_can_change_before_the_first_payment() {
    let tenant = Tenant::of("flexible", &THOUSAND, "1").await;
    let price = tenant.price(&THOUSAND).await;
    let fee = fee(&tenant, "700").await;
    let form = [
        ("customer", tenant.customer.as_str()),
        ("items[0][price]", &price),
        ("payment_behavior", "default_incomplete"),
    ];
    let made = tenant.house.post("/v1/subscriptions", &form).await.ok();
    let path = format!("/v1/subscriptions/{}", id(&made));
    let (item, later) = (id(&made["items"]["data"][0]), at("2026-11-20T00:00:00Z").to_string());
    let refused: &[(&[(&str, &str)], &str)] = &[
        (&[("items[0][id]", &item), ("items[0][quantity]", "2")], "items"),
        (&[("add_invoice_items[0][price]", &fee)], "add_invoice_items"),
        (&[("billing_cycle_anchor[type]", "now")], "billing_cycle_anchor"),
        (&[("cancel_at", &later)], "cancel_at"),
        (&[("cancel_at_period_end", "true")], "cancel_at_period_end"),
        (&[("collection_method", "send_invoice"), ("days_until_due", "3")], "collection_method"),
        (&[("pause_collection[behavior]", "void")], "pause_collection"),
        (&[("trial_end", &later)], "trial_end"),
        (&[("trial_settings[end_behavior][missing_payment_method]", "pause")], "trial_settings"),
    ];
    for (form, param) in refused {
        let error = tenant.house.post(&path, form).await.error(400);
        assert_eq!(error["param"], *param, "{error}");
    }
    let form = [
        ("metadata[k]", "v"),
        ("description", "d"),
        ("payment_settings[save_default_payment_method]", "on_subscription"),
    ];
    let changed = tenant.house.post(&path, &form).await.ok();
    has(&changed, &json!({"status": "incomplete", "metadata": {"k": "v"}, "description": "d"}));
    // Once it has ended, only metadata and reasons.
    tenant.house.delete(&path).await.ok();
    for (form, _) in refused {
        let error = tenant.house.post(&path, form).await.error(400);
        assert_eq!(error["code"], "invalid_canceled_subscription_fields", "{form:?}");
    }
    let form = [("metadata[k]", "w"), ("cancellation_details[comment]", "late")];
    let kept: Value = tenant.house.post(&path, &form).await.ok();
    has(&kept, &json!({"status": "incomplete_expired", "metadata": {"k": "w"}}));
}

/// From classic to flexible, one way; what was prorated stays as it was.
#[tokio::test(flavor = "multi_thread")]
async fn from_classic_to_flexible() {
    let tenant = Tenant::of("classic", &THOUSAND, "1").await;
    let path = format!("{}/migrate", tenant.path());
    tenant.advance(MIDDLE).await;
    let price = tenant.price(&[("unit_amount", "2000")]).await;
    tenant.swap(&price, &[]).await;
    assert_eq!(tenant.house.post(&path, &[]).await.error(400)["param"], "billing_mode");
    let classic = [("billing_mode[type]", "classic")];
    assert_eq!(tenant.house.post(&path, &classic).await.error(400)["param"], "billing_mode[type]");
    let mark = tenant.house.mark().await;
    let flexible = [("billing_mode[type]", "flexible")];
    let migrated = tenant.house.post(&path, &flexible).await.ok();
    let mode = json!({
        "type": "flexible", "flexible": {"proration_discounts": "included"}, "updated_at": at(MIDDLE),
    });
    assert_eq!(migrated["billing_mode"], mode);
    tenant.house.told(mark).await.are("customer.subscription.updated");
    assert_eq!(tenant.pending().await, [1033, -517]);
    assert_eq!(tenant.house.post(&path, &flexible).await.error(400)["param"], "billing_mode[type]");
    // From now on credit is for what was billed: the debit of the change, not the current price.
    tenant.advance("2026-11-23T06:00:00Z").await;
    tenant.update(&[("items[0][id]", &tenant.item), ("items[0][quantity]", "2")]).await;
    assert_eq!(tenant.pending().await[2..], [1033, -517]);
    tenant.house.delete(&tenant.path()).await.ok();
    let error = tenant.house.post(&path, &flexible).await.error(400);
    assert_eq!(error["code"], "invalid_canceled_subscription_fields");
}
