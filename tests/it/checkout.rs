//! Checkout sessions: made, listed, completed by the test call, expired; and what is theirs alone to change.

use serde_json::{Value, json};

use crate::catalogue::has;
use crate::support::{Answer, House, at, id};

pub const URLS: [(&str, &str); 2] =
    [("success_url", "https://shop.test/done?session={CHECKOUT_SESSION_ID}"), ("cancel_url", "https://shop.test/cart")];

impl House {
    /// A session that sells one of a price.
    pub async fn session(&self, mode: &str, price: &str, more: &[(&str, &str)]) -> Value {
        self.session_with(mode, price, more).await.ok()
    }

    pub async fn session_with(&self, mode: &str, price: &str, more: &[(&str, &str)]) -> Answer {
        let lines = [("mode", mode), ("line_items[0][price]", price), ("line_items[0][quantity]", "1")];
        self.post("/v1/checkout/sessions", &[&URLS[..], &lines, more].concat()).await
    }

    /// What a customer does on the page, by the test call.
    pub async fn complete(&self, session: &Value, card: &str) -> Answer {
        let path = format!("/v1/test_helpers/checkout/sessions/{}/complete", id(session));
        self.post(&path, &[("payment_method", card), ("email", "ada@example.com"), ("name", "Ada")]).await
    }

    pub async fn session_now(&self, session: &Value) -> Value {
        self.get(&format!("/v1/checkout/sessions/{}", id(session))).await.ok()
    }

    pub async fn one_time_price(&self, cents: i64) -> String {
        let cents = cents.to_string();
        let form = [("currency", "usd"), ("unit_amount", &cents), ("product_data[name]", "Lamp")];
        id(&self.post("/v1/prices", &form).await.ok())
    }
}

pub fn named(session: &Value, member: &str) -> String {
    session[member].as_str().unwrap_or_else(|| panic!("{member} of {session:#}")).to_owned()
}

/// 20.13: what is told when a customer who is not known yet subscribes, and that the session comes last.
#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_is_made_when_the_session_is_completed() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let metadata =
        [("metadata[order]", "6735"), ("client_reference_id", "cart-1"), ("subscription_data[metadata][a]", "b")];
    let mark = house.mark().await;
    let session = house.session("subscription", &price, &metadata).await;
    house.told(mark).await.are("");
    has(
        &session,
        &json!({
            "object": "checkout.session", "mode": "subscription", "status": "open", "payment_status": "unpaid",
            "amount_subtotal": 2000, "amount_total": 2000, "currency": "usd", "customer": null, "subscription": null,
            "invoice": null, "payment_intent": null, "payment_method_collection": "always", "ui_mode": "hosted_page",
            "client_reference_id": "cart-1", "metadata": {"order": "6735"}, "livemode": false,
            "expires_at": house.clock.now().unix_seconds() + 86_400,
        }),
    );
    assert!(id(&session).starts_with("cs_test_") && id(&session).len() > 60, "{session:#}");
    assert_eq!(named(&session, "url"), format!("{}/checkout/{}", house.url, id(&session)));
    let done = house.complete(&session, "pm_card_visa").await.ok();
    has(&done, &json!({"status": "complete", "payment_status": "paid", "url": null, "amount_total": 2000}));
    has(&done["customer_details"], &json!({"email": "ada@example.com", "name": "Ada"}));
    let told = house.told(mark).await;
    told.are(
        "customer.created payment_method.attached customer.updated customer.subscription.created invoice.created \
         invoice.finalized payment_intent.created charge.succeeded payment_intent.succeeded invoice.updated invoice.paid \
         invoice.payment_succeeded invoice_payment.paid checkout.session.completed",
    );
    has(told.object("customer.subscription.created"), &json!({"status": "active", "metadata": {"a": "b"}}));
    has(
        told.object("checkout.session.completed"),
        &json!({"id": id(&session), "status": "complete", "payment_status": "paid"}),
    );
    let customer = house.get(&format!("/v1/customers/{}", named(&done, "customer"))).await.ok();
    has(&customer, &json!({"email": "ada@example.com", "name": "Ada", "currency": "usd"}));
    let subscription = house.get(&format!("/v1/subscriptions/{}", named(&done, "subscription"))).await.ok();
    has(&subscription, &json!({"status": "active", "latest_invoice": done["invoice"], "customer": done["customer"]}));
    // Checkout always writes the default payment method of the subscription (1.4).
    let method = named(&subscription, "default_payment_method");
    assert_eq!(house.get(&format!("/v1/payment_methods/{method}")).await.ok()["customer"], done["customer"]);
    has(
        &house.get(&format!("/v1/invoices/{}", named(&done, "invoice"))).await.ok(),
        &json!({"status": "paid", "amount_paid": 2000}),
    );
    // Once is enough.
    house.complete(&session, "pm_card_visa").await.error(400);
    assert_eq!(house.list("/v1/subscriptions").await.len(), 1);
}

/// Payment mode: of a guest, of somebody who becomes a customer, with an invoice.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_made_for_whoever_pays() {
    let house = House::open().await;
    let price = house.one_time_price(1500).await;
    let mark = house.mark().await;
    let more = [("payment_intent_data[metadata][k]", "v"), ("payment_intent_data[description]", "A lamp")];
    let session = house.session("payment", &price, &more).await;
    has(&session, &json!({"customer_creation": "if_required", "payment_intent": null, "amount_total": 1500}));
    let done = house.complete(&session, "pm_card_visa").await.ok();
    has(
        &done,
        &json!({"status": "complete", "payment_status": "paid", "customer": null, "subscription": null, "invoice": null}),
    );
    let intent = house.get(&format!("/v1/payment_intents/{}", named(&done, "payment_intent"))).await.ok();
    has(
        &intent,
        &json!({"status": "succeeded", "amount": 1500, "metadata": {"k": "v"}, "description": "A lamp", "customer": null}),
    );
    house
        .told(mark)
        .await
        .are("payment_intent.created charge.succeeded payment_intent.succeeded checkout.session.completed");

    let session = house.session("payment", &price, &[("customer_creation", "always")]).await;
    let done = house.complete(&session, "pm_card_visa").await.ok();
    let intent = house.get(&format!("/v1/payment_intents/{}", named(&done, "payment_intent"))).await.ok();
    assert_eq!(intent["customer"], json!(named(&done, "customer")));

    let mark = house.mark().await;
    let more = [("invoice_creation[enabled]", "true"), ("invoice_creation[invoice_data][footer]", "Thanks")];
    let session = house.session("payment", &price, &more).await;
    let done = house.complete(&session, "pm_card_visa").await.ok();
    let invoice = house.get(&format!("/v1/invoices/{}", named(&done, "invoice"))).await.ok();
    has(
        &invoice,
        &json!({"status": "paid", "total": 1500, "amount_paid": 1500, "footer": "Thanks", "customer": done["customer"]}),
    );
    let told = house.told(mark).await;
    told.are(
        "customer.created payment_intent.created charge.succeeded payment_intent.succeeded invoice.created customer.updated \
         invoiceitem.created invoice.updated invoice.finalized invoice.updated invoice.paid invoice.payment_succeeded \
         invoice_payment.paid checkout.session.completed",
    );
}

/// Setup mode keeps a card, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_card_is_kept() {
    let house = House::open().await;
    let customer = id(&house.post("/v1/customers", &[("email", "ada@example.com")]).await.ok());
    let form = [&URLS[..], &[("mode", "setup"), ("currency", "usd"), ("customer", &customer)]].concat();
    let session = house.post("/v1/checkout/sessions", &form).await.ok();
    has(&session, &json!({"status": "open", "payment_status": "no_payment_required", "amount_total": null}));
    let setup = named(&session, "setup_intent");
    // It is the session's to confirm and to cancel.
    let path = format!("/v1/setup_intents/{setup}");
    house.post(&format!("{path}/confirm"), &[("payment_method", "pm_card_visa")]).await.error(400);
    house.post(&format!("{path}/cancel"), &[]).await.error(400);
    let mark = house.mark().await;
    let refused = house.complete(&session, "pm_card_visa_chargeDeclined").await.error(402);
    assert_eq!(refused["code"], "card_declined");
    let done = house.complete(&session, "pm_card_visa").await.ok();
    has(&done, &json!({"status": "complete", "payment_status": "no_payment_required", "setup_intent": setup}));
    house
        .told(mark)
        .await
        .are("setup_intent.setup_failed setup_intent.succeeded payment_method.attached checkout.session.completed");
    assert_eq!(house.list(&format!("/v1/payment_methods?customer={customer}")).await.len(), 1);

    // Without a customer one can be made, and expiring cancels what was begun.
    let form = [&URLS[..], &[("mode", "setup"), ("customer_creation", "always")]].concat();
    let session = house.post("/v1/checkout/sessions", &form).await.ok();
    let done = house.complete(&session, "pm_card_visa").await.ok();
    let customer = named(&done, "customer");
    assert_eq!(house.list(&format!("/v1/payment_methods?customer={customer}")).await.len(), 1);
    let session = house.post("/v1/checkout/sessions", &form).await.ok();
    let expired = house.post(&format!("/v1/checkout/sessions/{}/expire", id(&session)), &[]).await.ok();
    assert_eq!(expired["status"], "expired");
    let setup = house.get(&format!("/v1/setup_intents/{}", named(&session, "setup_intent"))).await.ok();
    assert_eq!(setup["status"], "canceled");
}

/// A decline is the answer, leaves nothing, and leaves the session open.
#[tokio::test(flavor = "multi_thread")]
async fn a_declined_card_leaves_the_session_open() {
    let house = House::open().await;
    let (monthly, once) = (house.monthly_price(2000).await, house.one_time_price(1500).await);
    let session = house.session("subscription", &monthly, &[]).await;
    let mark = house.mark().await;
    let error = house.complete(&session, "pm_card_visa_chargeDeclinedInsufficientFunds").await.error(402);
    has(&error, &json!({"code": "card_declined", "decline_code": "insufficient_funds"}));
    let told = house.told(mark).await;
    told.hold(
        "customer.created payment_intent.created charge.failed payment_intent.payment_failed payment_intent.canceled",
    );
    has(
        &house.session_now(&session).await,
        &json!({"status": "open", "subscription": null, "payment_status": "unpaid"}),
    );
    assert!(house.list("/v1/subscriptions?status=all").await.is_empty());
    assert!(house.list("/v1/invoices").await.is_empty());
    let mark = house.mark().await;
    let done = house.complete(&session, "pm_card_visa").await.ok();
    assert_eq!(done["payment_status"], "paid");
    let told = house.told(mark).await;
    assert_eq!(told.types().last(), Some(&"checkout.session.completed"));
    assert!(!told.types().contains(&"customer.created"), "the customer is there already");
    assert_eq!(house.list("/v1/customers").await.len(), 1);

    let session = house.session("payment", &once, &[]).await;
    house.complete(&session, "pm_card_visa_chargeDeclined").await.error(402);
    let open = house.session_now(&session).await;
    let intent = named(&open, "payment_intent");
    has(&open, &json!({"status": "open", "payment_status": "unpaid"}));
    // Another card for the same payment, which is the session's alone.
    let path = format!("/v1/payment_intents/{intent}");
    let error = house.post(&format!("{path}/confirm"), &[("payment_method", "pm_card_visa")]).await.error(400);
    assert_eq!(error["code"], "payment_intent_unexpected_state");
    house.post(&format!("{path}/cancel"), &[]).await.error(400);
    house.post(&path, &[("amount", "1")]).await.error(400);
    let done = house.complete(&session, "pm_card_visa").await.ok();
    has(&done, &json!({"status": "complete", "payment_intent": intent}));
}

/// A card that must be authenticated: the subscription waits, and is nobody's to change until it is paid.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_authentication_is_the_sessions_alone() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let session = house.session("subscription", &price, &[]).await;
    let mark = house.mark().await;
    let waiting = house.complete(&session, "pm_card_authenticationRequired").await.ok();
    has(&waiting, &json!({"status": "open", "subscription": null, "payment_status": "unpaid"}));
    house.told(mark).await.are("customer.created");
    let customer = named(&waiting, "customer");
    let held = house.list(&format!("/v1/subscriptions?customer={customer}")).await;
    has(&held[0], &json!({"status": "incomplete"}));
    let (subscription, invoice) = (format!("/v1/subscriptions/{}", id(&held[0])), named(&held[0], "latest_invoice"));
    let invoice = format!("/v1/invoices/{invoice}");
    house.post(&subscription, &[("metadata[a]", "b")]).await.error(400);
    house.delete(&subscription).await.error(400);
    house.post(&format!("{invoice}/void"), &[]).await.error(400);
    house.post(&format!("{invoice}/pay"), &[("payment_method", "pm_card_visa")]).await.error(400);
    house.post(&invoice, &[("metadata[a]", "b")]).await.error(400);
    house.delete(&format!("/v1/customers/{customer}")).await.error(400);

    let path = format!("/v1/test_helpers/checkout/sessions/{}/authenticate", id(&session));
    // The first authentication fails: nothing has been.
    let failed = house.post(&path, &[("outcome", "fail")]).await.ok();
    has(&failed, &json!({"status": "open", "subscription": null}));
    assert!(house.list(&format!("/v1/subscriptions?status=all&customer={customer}")).await.is_empty());
    house.post(&path, &[("outcome", "succeed")]).await.error(400);
    let mark = house.mark().await;
    house.complete(&session, "pm_card_authenticationRequired").await.ok();
    let done = house.post(&path, &[("outcome", "succeed")]).await.ok();
    has(&done, &json!({"status": "complete", "payment_status": "paid"}));
    let told = house.told(mark).await;
    told.hold(
        "payment_method.attached customer.updated customer.subscription.created invoice.created invoice.finalized \
         payment_intent.created payment_intent.requires_action invoice.updated invoice.payment_action_required \
         charge.succeeded payment_intent.succeeded invoice.updated invoice.paid invoice.payment_succeeded \
         invoice_payment.paid checkout.session.completed",
    );
    assert_eq!(told.types().last(), Some(&"checkout.session.completed"));
    has(told.object("customer.subscription.created"), &json!({"status": "active"}));
    // Now it is like any other.
    let subscription = format!("/v1/subscriptions/{}", named(&done, "subscription"));
    house.post(&subscription, &[("metadata[a]", "b")]).await.ok();
}

/// Expiring a session takes back what waits; only an open one can be expired.
#[tokio::test(flavor = "multi_thread")]
async fn expiring_takes_back_what_was_begun() {
    let house = House::open().await;
    let (monthly, once) = (house.monthly_price(2000).await, house.one_time_price(1500).await);
    for (mode, price) in [("subscription", &monthly), ("payment", &once)] {
        let session = house.session(mode, price, &[]).await;
        let waiting = house.complete(&session, "pm_card_authenticationRequired").await.ok();
        assert_eq!(waiting["status"], "open");
        let mark = house.mark().await;
        let path = format!("/v1/checkout/sessions/{}/expire", id(&session));
        let expired = house.post(&path, &[]).await.ok();
        has(&expired, &json!({"status": "expired", "url": null, "payment_status": "unpaid"}));
        let told = house.told(mark).await;
        assert_eq!(told.types().last(), Some(&"checkout.session.expired"));
        let intents = house.list("/v1/payment_intents").await;
        assert_eq!(intents[0]["status"], "canceled");
        house.post(&path, &[]).await.error(400);
        house.complete(&session, "pm_card_visa").await.error(400);
    }
    assert!(house.list("/v1/subscriptions?status=all").await.is_empty());
    let session = house.session("payment", &once, &[]).await;
    house.complete(&session, "pm_card_visa").await.ok();
    let path = format!("/v1/checkout/sessions/{}/expire", id(&session));
    assert!(house.post(&path, &[]).await.error(400)["message"].as_str().unwrap().contains("status of complete"));
}

/// At its time a session expires by itself: at wall time, and on a test clock at the clock's.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_expire_at_their_time() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let now = at("2027-01-01T00:00:00Z");
    let soon = (now + 1800).to_string();
    let guest = house.session("subscription", &price, &[]).await;
    let customer = house.customer("pm_card_visa", None).await;
    let known = house.session("subscription", &price, &[("customer", &customer), ("expires_at", &soon)]).await;
    let held = house.session("subscription", &price, &[("expires_at", &soon)]).await;
    house.complete(&held, "pm_card_authenticationRequired").await.ok();
    let mark = house.mark().await;
    house.advance_wall("2027-01-01T00:29:59Z").await;
    house.told(mark).await.are("");
    house.advance_wall("2027-01-01T00:30:00Z").await;
    assert_eq!(house.session_now(&known).await["status"], "expired");
    assert_eq!(house.session_now(&held).await["status"], "expired");
    house.told(mark).await.hold("payment_intent.created payment_intent.requires_action payment_intent.canceled checkout.session.expired checkout.session.expired");
    assert!(house.list("/v1/subscriptions?status=all").await.is_empty());
    house.advance_wall("2027-01-02T00:00:00Z").await;
    assert_eq!(house.session_now(&guest).await["status"], "expired");

    let clock = house.test_clock("2027-06-01T00:00:00Z").await;
    let customer = house.customer("pm_card_visa", Some(&clock)).await;
    let session = house.session("subscription", &price, &[("customer", &customer)]).await;
    assert_eq!(session["expires_at"], at("2027-06-02T00:00:00Z"));
    let mark = house.mark().await;
    house.advance(&clock, "2027-06-03T00:00:00Z").await;
    let told = house.told(mark).await;
    told.are("checkout.session.expired");
    assert_eq!(told.one("checkout.session.expired")["created"], at("2027-06-02T00:00:00Z"));
}

/// A payment that takes its time: complete and unpaid, and told of again when it is known.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_payment_is_told_of_twice() {
    let house = House::open().await;
    let (monthly, once) = (house.monthly_price(2000).await, house.one_time_price(1500).await);
    for (card, last, paid) in [
        ("pm_card_processing", "checkout.session.async_payment_succeeded", "paid"),
        ("pm_card_processingFails", "checkout.session.async_payment_failed", "unpaid"),
    ] {
        for (mode, price) in [("subscription", &monthly), ("payment", &once)] {
            let session = house.session(mode, price, &[]).await;
            let done = house.complete(&session, card).await.ok();
            has(&done, &json!({"status": "complete", "payment_status": "unpaid"}));
            assert_eq!(house.event_types(0).await.last().map(String::as_str), Some("checkout.session.completed"));
            house.clock.set(dunlin::billing::Timestamp::new(house.clock.now().unix_seconds() + 60));
            house.app.engine.settle_down().await.unwrap();
            assert_eq!(house.event_types(0).await.last().map(String::as_str), Some(last), "{mode}");
            assert_eq!(house.session_now(&session).await["payment_status"], paid);
            if mode == "subscription" {
                let subscription = house.get(&format!("/v1/subscriptions/{}", named(&done, "subscription"))).await.ok();
                let status = if paid == "paid" { "active" } else { "incomplete" };
                has(&subscription, &json!({"status": status}));
                assert!(subscription["default_payment_method"].is_string());
            }
        }
    }
}

/// Nothing due now: a trial with a card, one without, and one whose card must be authenticated first.
#[tokio::test(flavor = "multi_thread")]
async fn a_trial_asks_for_no_payment() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let trial = ("subscription_data[trial_period_days]", "14");
    let mark = house.mark().await;
    let session = house.session("subscription", &price, &[trial]).await;
    has(&session, &json!({"amount_total": 0, "amount_subtotal": 0}));
    let path = format!("/v1/test_helpers/checkout/sessions/{}/complete", id(&session));
    has(&house.post(&path, &[("email", "a@b.test")]).await.error(400), &json!({"param": "payment_method"}));
    house.complete(&session, "pm_card_visa_chargeDeclined").await.error(402);
    house.told(mark).await.are("");
    let done = house.complete(&session, "pm_card_visa").await.ok();
    has(&done, &json!({"status": "complete", "payment_status": "no_payment_required"}));
    let subscription = house.get(&format!("/v1/subscriptions/{}", named(&done, "subscription"))).await.ok();
    has(&subscription, &json!({"status": "trialing", "pending_setup_intent": null}));
    assert!(subscription["default_payment_method"].is_string());
    let told = house.told(mark).await;
    told.hold(
        "customer.created payment_method.attached customer.updated customer.subscription.created invoice.created \
         invoice.finalized invoice.updated invoice.paid invoice.payment_succeeded checkout.session.completed",
    );
    assert_eq!(told.types().last(), Some(&"checkout.session.completed"));

    let pause = ("subscription_data[trial_settings][end_behavior][missing_payment_method]", "pause");
    let session =
        house.session("subscription", &price, &[trial, pause, ("payment_method_collection", "if_required")]).await;
    let path = format!("/v1/test_helpers/checkout/sessions/{}/complete", id(&session));
    let done = house.post(&path, &[("email", "a@b.test")]).await.ok();
    let subscription = house.get(&format!("/v1/subscriptions/{}", named(&done, "subscription"))).await.ok();
    has(&subscription, &json!({"status": "trialing", "default_payment_method": null}));
    assert_eq!(subscription["trial_settings"]["end_behavior"]["missing_payment_method"], "pause");

    let session = house.session("subscription", &price, &[trial]).await;
    let waiting = house.complete(&session, "pm_card_authenticationRequired").await.ok();
    has(&waiting, &json!({"status": "open", "setup_intent": null}));
    let path = format!("/v1/test_helpers/checkout/sessions/{}/authenticate", id(&session));
    assert_eq!(house.post(&path, &[("outcome", "fail")]).await.ok()["status"], "open");
    house.complete(&session, "pm_card_authenticationRequired").await.ok();
    let done = house.post(&path, &[("outcome", "succeed")]).await.ok();
    has(&done, &json!({"status": "complete", "payment_status": "no_payment_required"}));
    let subscription = house.get(&format!("/v1/subscriptions/{}", named(&done, "subscription"))).await.ok();
    has(&subscription, &json!({"status": "trialing", "pending_setup_intent": null}));
}
