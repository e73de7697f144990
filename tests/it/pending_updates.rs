//! Changes that are made only when they are paid, what cancelling gives back, and previews.

use serde_json::{Value, json};

use crate::catalogue::has;
use crate::changes::{MIDDLE, Tenant, amounts};
use crate::support::{at, id};

const THOUSAND: [(&str, &str); 1] = [("unit_amount", "1000")];
const ALWAYS: (&str, &str) = ("proration_behavior", "always_invoice");
const PENDING: (&str, &str) = ("payment_behavior", "pending_if_incomplete");

/// A subscription in the middle of its period, with a card that does not work any more and a price to
/// go to.
async fn broke(card: &str) -> (Tenant, String) {
    let tenant = Tenant::of("flexible", &THOUSAND, "1").await;
    tenant.advance(MIDDLE).await;
    tenant.house.default_card(&tenant.customer, card).await;
    let price = tenant.price(&[("unit_amount", "2000")]).await;
    (tenant, price)
}

fn price_of(subscription: &Value) -> Value {
    subscription["items"]["data"][0]["price"]["id"].clone()
}

/// `error_if_incomplete`: 402, and the subscription is as it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_can_be_refused_unless_it_is_paid() {
    for (card, code) in [
        ("pm_card_chargeCustomerFail", "card_declined"),
        ("pm_card_authenticationRequired", "subscription_payment_intent_requires_action"),
    ] {
        let (tenant, price) = broke(card).await;
        let before = tenant.read().await;
        let form = [
            ("items[0][id]", tenant.item.as_str()),
            ("items[0][price]", &price),
            ("metadata[k]", "v"),
            ALWAYS,
            ("payment_behavior", "error_if_incomplete"),
        ];
        let mark = tenant.house.mark().await;
        let error = tenant.house.post(&tenant.path(), &form).await.error(402);
        assert_eq!(error["code"], code);
        assert_eq!(tenant.read().await, before);
        let told = tenant.house.told(mark).await;
        assert!(!told.types().contains(&"customer.subscription.updated"), "{:?}", told.types());
        assert_eq!(tenant.pending().await, [0; 0]);
        let customer = tenant.house.get(&format!("/v1/customers/{}", tenant.customer)).await.ok();
        has(&customer, &json!({"delinquent": false, "balance": 0}));
        tenant.house.default_card(&tenant.customer, "pm_card_visa").await;
        let changed = tenant.house.post(&tenant.path(), &form).await.ok();
        assert_eq!((price_of(&changed), &changed["metadata"]), (json!(price), &json!({"k": "v"})));
    }
}

/// `pending_if_incomplete`: the change waits, is applied when it is paid, and until then nothing is owed.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_waits_is_applied_by_its_payment() {
    for card in ["pm_card_chargeCustomerFail", "pm_card_authenticationRequired"] {
        let (tenant, price) = broke(card).await;
        let old = price_of(&tenant.read().await);
        let mark = tenant.house.mark().await;
        let waiting = tenant.swap(&price, &[ALWAYS, PENDING, ("metadata[k]", "v")]).await;
        has(&waiting, &json!({"status": "active", "metadata": {}}));
        assert_eq!(price_of(&waiting), old);
        let update = &waiting["pending_update"];
        has(
            update,
            &json!({"expires_at": at("2026-11-16T11:00:00Z"), "metadata": {"k": "v"}, "billing_cycle_anchor": null}),
        );
        assert_eq!(update["subscription_items"][0]["price"]["id"], json!(price), "{update}");
        let told = tenant.house.told(mark).await;
        let mut before: Vec<&str> =
            told.previous("customer.subscription.updated").as_object().unwrap().keys().map(String::as_str).collect();
        before.sort_unstable();
        assert_eq!(before, ["latest_invoice", "pending_update"]);
        let owed = tenant.latest().await;
        has(&owed, &json!({"status": "open", "total": 516, "auto_advance": false}));
        assert!(
            tenant
                .house
                .list(&format!("/v1/subscriptions?price={price}&customer={}", tenant.customer))
                .await
                .is_empty()
        );
        let method = tenant.house.default_card(&tenant.customer, "pm_card_visa").await;
        let mark = tenant.house.mark().await;
        tenant.house.post(&format!("/v1/invoices/{}/pay", id(&owed)), &[("payment_method", &method)]).await.ok();
        let changed = tenant.read().await;
        has(&changed, &json!({"status": "active", "pending_update": null, "metadata": {"k": "v"}}));
        assert_eq!(price_of(&changed), json!(price));
        let told = tenant.house.told(mark).await;
        told.one("customer.subscription.pending_update_applied");
        assert!(told.previous("customer.subscription.updated")["pending_update"].is_object());
    }
    // What is paid at once never waits; what would not be invoiced is simply made.
    let (tenant, price) = broke("pm_card_visa").await;
    has(&tenant.swap(&price, &[ALWAYS, PENDING]).await, &json!({"pending_update": null}));
    assert_eq!(price_of(&tenant.read().await), json!(price));
    for (param, value) in [("description", "x"), ("cancel_at_period_end", "true"), ("off_session", "true")] {
        let form = [("items[0][id]", tenant.item.as_str()), ("items[0][quantity]", "2"), PENDING, (param, value)];
        assert_eq!(tenant.house.post(&tenant.path(), &form).await.error(400)["param"], param);
    }
}

/// Not paid in time, its invoice voided, or replaced: it is dropped.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_waits_is_dropped() {
    let (tenant, price) = broke("pm_card_chargeCustomerFail").await;
    let old = price_of(&tenant.read().await);
    tenant.swap(&price, &[ALWAYS, PENDING]).await;
    let mark = tenant.house.mark().await;
    tenant.advance("2026-11-16T11:00:00Z").await;
    let dropped = tenant.read().await;
    has(&dropped, &json!({"status": "active", "pending_update": null}));
    assert_eq!((price_of(&dropped), &tenant.latest().await["status"]), (old.clone(), &json!("void")));
    tenant
        .house
        .told(mark)
        .await
        .hold("invoice.voided payment_intent.canceled customer.subscription.pending_update_expired");
    tenant.swap(&price, &[ALWAYS, PENDING]).await;
    let owed = tenant.latest().await;
    tenant.house.post(&format!("/v1/invoices/{}/void", id(&owed)), &[]).await.ok();
    has(&tenant.read().await, &json!({"status": "active", "pending_update": null}));
    tenant.swap(&price, &[ALWAYS, PENDING]).await;
    let first = tenant.latest().await;
    tenant.swap(&price, &[ALWAYS, PENDING, ("items[0][quantity]", "2")]).await;
    let replaced = tenant.house.get(&format!("/v1/invoices/{}", id(&first))).await.ok();
    assert_eq!(replaced["status"], "void");
    assert_eq!(tenant.read().await["pending_update"]["subscription_items"][0]["quantity"], 2);
    assert_eq!(price_of(&tenant.read().await), old);
    tenant.advance("2026-12-02T00:00:00Z").await;
    has(&tenant.latest().await, &json!({"billing_reason": "subscription_cycle", "total": 1000}));
}

/// Worked example: cancelling on 21 November 06:00 gives 650 of 2000 back.
#[tokio::test(flavor = "multi_thread")]
async fn cancelling_gives_back_what_is_unused() {
    for now in ["true", "false"] {
        let tenant = Tenant::of("flexible", &[("unit_amount", "2000")], "1").await;
        tenant.advance("2026-11-21T06:00:00Z").await;
        let form = [("prorate", "true"), ("invoice_now", now)];
        let ended = tenant.house.call(reqwest::Method::DELETE, &tenant.path(), &form, &[]).await.ok();
        assert_eq!(ended["status"], "canceled");
        if now == "true" {
            has(&tenant.latest().await, &json!({"total": -650, "status": "paid"}));
            assert_eq!((tenant.balance().await, tenant.pending().await), (-650, vec![]));
            continue;
        }
        assert_eq!(tenant.pending().await, [-650]);
        // It goes to the customer's next invoice.
        let price = tenant.price(&[("unit_amount", "3000")]).await;
        let next = tenant.house.subscribe(&tenant.customer, &price).await;
        let invoice =
            tenant.house.get(&format!("/v1/invoices/{}", next["latest_invoice"].as_str().unwrap())).await.ok();
        assert_eq!(amounts(&invoice), [-650, 3000]);
    }
}

/// What can be compared of lines: all but their ids.
fn lines(invoice: &Value) -> Vec<Value> {
    let of = |line: &Value| {
        json!([
            line["amount"],
            line["description"],
            line["period"],
            line["quantity"],
            line["pricing"],
            line["discountable"]
        ])
    };
    invoice["lines"]["data"].as_array().expect("lines").iter().map(of).collect()
}

/// A preview shows what is then charged, line by line, and changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_preview_is_what_is_charged() {
    let mut seen = 0;
    for mode in ["classic", "flexible"] {
        for terms in [
            [("unit_amount", "2000"), ("recurring[interval]", "month")],
            [("unit_amount", "9000"), ("recurring[interval]", "year")],
        ] {
            for behavior in ["create_prorations", "always_invoice", "none"] {
                for anchor in ["unchanged", "now"] {
                    let tenant = Tenant::of(mode, &THOUSAND, "3").await;
                    let form = [("customer", tenant.customer.as_str()), ("amount", "70"), ("currency", "usd")];
                    tenant.house.post("/v1/invoiceitems", &form).await.ok();
                    tenant.advance(MIDDLE).await;
                    let price = tenant.price(&terms).await;
                    let wanted = [
                        ("items[0][id]", tenant.item.as_str()),
                        ("items[0][price]", &price),
                        ("items[0][quantity]", "2"),
                        ("proration_behavior", behavior),
                        ("billing_cycle_anchor[type]", anchor),
                    ];
                    let asked: Vec<(String, &str)> = wanted
                        .iter()
                        .map(|(name, value)| {
                            let (head, tail) = name
                                .split_once('[')
                                .map_or((*name, String::new()), |(head, tail)| (head, format!("[{tail}")));
                            (format!("subscription_details[{head}]{tail}"), *value)
                        })
                        .collect();
                    let mut asked: Vec<(&str, &str)> =
                        asked.iter().map(|(name, value)| (name.as_str(), *value)).collect();
                    asked.push(("subscription", &tenant.subscription));
                    let (before, mark) = (tenant.read().await, tenant.house.mark().await);
                    let preview = tenant.house.post("/v1/invoices/create_preview", &asked).await.ok();
                    assert_eq!(tenant.read().await, before);
                    tenant.house.told(mark).await.are("");
                    has(
                        &preview,
                        &json!({"object": "invoice", "status": "draft", "number": null, "billing_reason": "upcoming"}),
                    );
                    assert!(preview["id"].as_str().unwrap().starts_with("upcoming_in_"));
                    tenant.update(&wanted).await;
                    if tenant.latest().await["id"] == before["latest_invoice"] {
                        let end =
                            tenant.read().await["items"]["data"][0]["current_period_end"].as_i64().unwrap() + 7200;
                        let form = [("frozen_time", end.to_string())];
                        let form: Vec<(&str, &str)> =
                            form.iter().map(|(name, value)| (*name, value.as_str())).collect();
                        let path = format!("/v1/test_helpers/test_clocks/{}/advance", tenant.clock);
                        tenant.house.post(&path, &form).await.ok();
                        tenant.house.app.engine.advance_clocks().await.expect("the clock advances");
                    }
                    let made = tenant.latest().await;
                    assert_eq!(lines(&preview), lines(&made), "{mode} {terms:?} {behavior} {anchor}");
                    has(&preview, &json!({"total": made["total"], "amount_due": made["amount_due"]}));
                    has(&preview, &json!({"period_start": made["period_start"], "period_end": made["period_end"]}));
                    seen += 1;
                }
            }
        }
    }
    assert_eq!(seen, 24);
}

#[tokio::test(flavor = "multi_thread")]
async fn previews_of_what_comes_and_of_what_may_begin() {
    let tenant = Tenant::of("flexible", &THOUSAND, "1").await;
    let of = [("subscription", tenant.subscription.as_str())];
    let next = tenant.house.post("/v1/invoices/create_preview", &of).await.ok();
    has(&next, &json!({"total": 1000, "period_end": at("2026-12-01T00:00:00Z")}));
    // What every period costs is shown without what waits.
    let form = [("customer", tenant.customer.as_str()), ("amount", "70"), ("currency", "usd")];
    tenant.house.post("/v1/invoiceitems", &form).await.ok();
    has(&tenant.house.post("/v1/invoices/create_preview", &of).await.ok(), &json!({"total": 1070}));
    let recurring = [of[0], ("preview_mode", "recurring")];
    has(&tenant.house.post("/v1/invoices/create_preview", &recurring).await.ok(), &json!({"total": 1000}));
    // A subscription that is not there yet.
    let price = tenant.price(&[("unit_amount", "500")]).await;
    let new = [
        ("customer", tenant.customer.as_str()),
        ("subscription_details[items][0][price]", &price),
        ("subscription_details[items][0][quantity]", "3"),
    ];
    let first = tenant.house.post("/v1/invoices/create_preview", &new).await.ok();
    has(&first, &json!({"status": "draft", "number": null, "amount_due": 1570, "ending_balance": null}));
    assert_eq!(tenant.house.list(&format!("/v1/subscriptions?customer={}", tenant.customer)).await.len(), 1);
    // Nothing comes after the end.
    let ends = [of[0], ("subscription_details[cancel_at_period_end]", "true")];
    tenant
        .house
        .delete(&format!(
            "/v1/invoiceitems/{}",
            id(&tenant.house.list(&format!("/v1/invoiceitems?customer={}", tenant.customer)).await[0])
        ))
        .await
        .ok();
    let error = tenant.house.post("/v1/invoices/create_preview", &ends).await.error(404);
    assert_eq!(error["code"], "invoice_upcoming_none");
    tenant.house.delete(&tenant.path()).await.ok();
    let error = tenant.house.post("/v1/invoices/create_preview", &of).await.error(404);
    assert_eq!(error["code"], "invoice_upcoming_none");
    assert_eq!(tenant.house.post("/v1/invoices/create_preview", &[]).await.error(400)["param"], "customer");
}
