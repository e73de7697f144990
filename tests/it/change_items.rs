//! Adding, editing and removing items, on a subscription and by themselves, and what an unpaid
//! invoice means for such a change.

use serde_json::json;

use crate::catalogue::has;
use crate::changes::{MIDDLE, START, Tenant, amounts};
use crate::support::{at, id};

const THOUSAND: [(&str, &str); 1] = [("unit_amount", "1000")];
const ALWAYS: (&str, &str) = ("proration_behavior", "always_invoice");

/// Editing items: an entry without id adds, with id and price swaps, `deleted` removes.
#[tokio::test(flavor = "multi_thread")]
async fn entries_add_swap_and_remove() {
    for mode in ["classic", "flexible"] {
        let tenant = Tenant::of(mode, &THOUSAND, "1").await;
        tenant.advance(MIDDLE).await;
        let (second, third) = (tenant.price(&THOUSAND).await, tenant.price(&[("unit_amount", "500")]).await);
        let added = tenant.update(&[("items[0][price]", &second), ("items[0][metadata][k]", "v")]).await;
        let items = added["items"]["data"].as_array().unwrap();
        assert_eq!(items.len(), 2, "only sending a price adds a second item");
        has(&items[1], &json!({"quantity": 1, "metadata": {"k": "v"}, "created": at(MIDDLE)}));
        let period = json!({"current_period_start": at(START), "current_period_end": at("2026-12-01T00:00:00Z")});
        has(&items[1], &period);
        assert_eq!(tenant.pending().await, [517]);
        let other = id(&items[1]);
        let form = [
            ("items[0][id]", tenant.item.as_str()),
            ("items[0][deleted]", "true"),
            ("items[1][id]", &other),
            ("items[1][quantity]", "3"),
        ];
        let mark = tenant.house.mark().await;
        let changed = tenant.update(&form).await;
        assert_eq!(changed["items"]["data"].as_array().unwrap().len(), 1);
        assert_eq!(tenant.pending().await, [517, -517, 1550, -517]);
        let told = tenant.house.told(mark).await;
        told.hold("invoiceitem.created invoiceitem.created invoiceitem.created customer.subscription.updated");
        assert_eq!(told.previous("customer.subscription.updated")["items"]["data"].as_array().unwrap().len(), 2);
        // Another price begins with a quantity of its own; metadata alone costs nothing.
        let swapped = tenant.update(&[("items[0][id]", &other), ("items[0][price]", &third)]).await;
        has(&swapped["items"]["data"][0], &json!({"quantity": 1, "metadata": {"k": "v"}}));
        let before = tenant.pending().await;
        tenant.update(&[("items[0][id]", &other), ("items[0][metadata][k]", "w")]).await;
        assert_eq!(tenant.pending().await, before);
        tenant.advance("2026-12-01T02:00:00Z").await;
        let total: i64 = before.iter().sum::<i64>() + 500;
        has(&tenant.latest().await, &json!({"status": "paid", "total": total}));
        // Removed long ago, the first item is not found; the price of the second leads to it.
        tenant.house.get(&format!("/v1/subscription_items/{}", tenant.item)).await.error(404);
        let found = tenant.house.list(&format!("/v1/subscriptions?price={third}&customer={}", tenant.customer)).await;
        assert_eq!(found.len(), 1);
        assert!(
            tenant
                .house
                .list(&format!("/v1/subscriptions?price={second}&customer={}", tenant.customer))
                .await
                .is_empty()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn items_have_calls_of_their_own() {
    let tenant = Tenant::of("flexible", &THOUSAND, "1").await;
    tenant.advance(MIDDLE).await;
    let (second, third) = (tenant.price(&THOUSAND).await, tenant.price(&[("unit_amount", "2000")]).await);
    let form = [("subscription", tenant.subscription.as_str()), ("price", &second), ("quantity", "2")];
    let added = tenant.house.post("/v1/subscription_items", &form).await.ok();
    has(&added, &json!({"object": "subscription_item", "quantity": 2, "subscription": tenant.subscription}));
    assert_eq!((&added["price"]["id"], &added["plan"]["id"]), (&json!(second), &json!(second)));
    assert_eq!(tenant.pending().await, [1033]);
    let path = format!("/v1/subscription_items/{}", id(&added));
    let edited = tenant.house.post(&path, &[("price", &third), ALWAYS]).await.ok();
    has(&edited, &json!({"id": added["id"], "quantity": 1}));
    has(&tenant.latest().await, &json!({"status": "paid", "total": 1033}));
    assert_eq!(amounts(&tenant.latest().await), [-1033, 1033, 1033], "all that waits is swept up");
    let date = at("2026-11-20T00:00:00Z").to_string();
    let gone = tenant.house.call(reqwest::Method::DELETE, &path, &[("proration_date", &date)], &[]).await.ok();
    assert_eq!(gone, json!({"id": added["id"], "object": "subscription_item", "deleted": true}));
    // 11 of 15.5 days of what was billed are left.
    assert_eq!(tenant.pending().await, [-733]);
    tenant.house.get(&path).await.error(404);
    tenant.house.delete(&path).await.error(404);
    let last = tenant.house.delete(&format!("/v1/subscription_items/{}", tenant.item)).await.error(400);
    assert!(last["message"].as_str().unwrap().contains("at least one item"), "{last}");
    // A retry with the same key adds nothing twice.
    let key = [("idempotency-key", "once")];
    let form = [form[0], form[1], ALWAYS];
    let one = tenant.house.call(reqwest::Method::POST, "/v1/subscription_items", &form, &key).await.ok();
    let two = tenant.house.call(reqwest::Method::POST, "/v1/subscription_items", &form, &key).await.ok();
    assert_eq!(one, two);
}

/// Classic invoices its own prorations only, flexible all that waits.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_immediate_invoice_sweeps_up() {
    for (mode, lines) in [("classic", vec![-517, 1033]), ("flexible", vec![-517, 1033, 70])] {
        let tenant = Tenant::of(mode, &THOUSAND, "1").await;
        let form = [("customer", tenant.customer.as_str()), ("amount", "70"), ("currency", "usd")];
        tenant.house.post("/v1/invoiceitems", &form).await.ok();
        tenant.advance(MIDDLE).await;
        let price = tenant.price(&[("unit_amount", "2000")]).await;
        tenant.swap(&price, &[ALWAYS]).await;
        assert_eq!(amounts(&tenant.latest().await), lines, "{mode}");
    }
}

/// The date of a preview can be kept for the change itself.
#[tokio::test(flavor = "multi_thread")]
async fn prorations_count_from_a_date_inside_the_period() {
    let tenant = Tenant::of("flexible", &THOUSAND, "1").await;
    tenant.advance("2026-11-20T00:00:00Z").await;
    let price = tenant.price(&[("unit_amount", "2000")]).await;
    let date = at(MIDDLE).to_string();
    tenant.swap(&price, &[("proration_date", &date)]).await;
    assert_eq!(tenant.pending().await, [1033, -517]);
    for outside in ["2026-10-31T23:59:59Z", "2026-12-01T00:00:00Z"] {
        let date = at(outside).to_string();
        let form = [("items[0][id]", tenant.item.as_str()), ("items[0][quantity]", "2"), ("proration_date", &date)];
        let error = tenant.house.post(&tenant.path(), &form).await.error(400);
        assert_eq!(error["param"], "proration_date");
    }
    assert_eq!(tenant.pending().await.len(), 2);
}

/// A change that is invoiced and not paid, by `payment_behavior`.
#[tokio::test(flavor = "multi_thread")]
async fn an_unpaid_change_falls_behind() {
    for (behavior, card, auto_advance, told) in [
        (
            "allow_incomplete",
            "pm_card_chargeCustomerFail",
            true,
            "invoiceitem.created invoiceitem.created invoice.created invoice.finalized payment_intent.created \
             charge.failed payment_intent.payment_failed invoice.updated invoice.payment_failed \
             customer.subscription.updated customer.updated",
        ),
        (
            "allow_incomplete",
            "pm_card_authenticationRequired",
            true,
            "invoiceitem.created invoiceitem.created invoice.created invoice.finalized payment_intent.created \
             payment_intent.requires_action invoice.updated invoice.payment_action_required \
             customer.subscription.updated customer.updated",
        ),
        (
            "default_incomplete",
            "pm_card_visa",
            false,
            "invoiceitem.created invoiceitem.created invoice.created invoice.finalized payment_intent.created \
             customer.subscription.updated",
        ),
    ] {
        let tenant = Tenant::of("flexible", &THOUSAND, "1").await;
        tenant.advance(MIDDLE).await;
        tenant.house.default_card(&tenant.customer, card).await;
        let price = tenant.price(&[("unit_amount", "2000")]).await;
        let mark = tenant.house.mark().await;
        let changed = tenant.swap(&price, &[ALWAYS, ("payment_behavior", behavior), ("metadata[k]", "v")]).await;
        has(&changed, &json!({"status": "past_due", "metadata": {"k": "v"}, "pending_update": null}));
        assert_eq!(changed["items"]["data"][0]["price"]["id"], json!(price), "the change is made");
        let events = tenant.house.told(mark).await;
        events.hold(told);
        let previous = events.previous("customer.subscription.updated");
        has(previous, &json!({"status": "active", "metadata": {"k": null}}));
        assert!(previous["items"].is_object() && previous["latest_invoice"].is_string(), "{previous}");
        let owed = tenant.latest().await;
        has(&owed, &json!({"status": "open", "amount_remaining": 516, "auto_advance": auto_advance}));
        // Paying it recovers.
        let method = tenant.house.default_card(&tenant.customer, "pm_card_visa").await;
        tenant.house.post(&format!("/v1/invoices/{}/pay", id(&owed)), &[("payment_method", &method)]).await.ok();
        assert_eq!(tenant.read().await["status"], "active");
    }
    // Without any payment method nothing changes.
    let tenant = Tenant::of("flexible", &THOUSAND, "1").await;
    tenant.advance(MIDDLE).await;
    for method in tenant.house.list(&format!("/v1/customers/{}/payment_methods", tenant.customer)).await {
        tenant.house.post(&format!("/v1/payment_methods/{}/detach", id(&method)), &[]).await.ok();
    }
    let price = tenant.price(&[("unit_amount", "2000")]).await;
    let form = [("items[0][id]", tenant.item.as_str()), ("items[0][price]", &price), ALWAYS];
    let error = tenant.house.post(&tenant.path(), &form).await.error(400);
    assert_eq!(error["code"], "resource_missing");
    assert_eq!((tenant.pending().await, tenant.read().await["status"].clone()), (vec![], json!("active")));
}

/// What is refused changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn refused_changes_leave_no_trace() {
    let tenant = Tenant::of("flexible", &THOUSAND, "1").await;
    tenant.advance(MIDDLE).await;
    let (euro, archived) =
        (tenant.price(&[("unit_amount", "1"), ("currency", "eur")]).await, tenant.price(&THOUSAND).await);
    let weekly = tenant.price(&[("unit_amount", "1"), ("recurring[interval]", "week")]).await;
    tenant.house.post(&format!("/v1/prices/{archived}"), &[("active", "false")]).await.ok();
    let same = tenant.read().await["items"]["data"][0]["price"]["id"].as_str().unwrap().to_owned();
    let before = tenant.read().await;
    let item = tenant.item.as_str();
    for (form, param) in [
        (vec![("items[0][id]", "si_none"), ("items[0][quantity]", "2")], "items[0][id]"),
        (vec![("items[0][id]", item), ("items[0][price]", "price_none")], "items[0][price]"),
        (vec![("items[0][id]", item), ("items[0][price]", &archived)], "items[0][price]"),
        (vec![("items[0][id]", item), ("items[0][price]", &euro)], "items[0][price]"),
        (vec![("items[0][price]", &weekly)], "items"),
        (vec![("items[0][price]", &same)], "items"),
        (vec![("items[0][id]", item), ("items[0][quantity]", "-1")], "items[0][quantity]"),
        (vec![("items[0][id]", item), ("items[0][deleted]", "true")], "items"),
        (vec![("items[0][deleted]", "true")], "items[0][id]"),
        (vec![("items[0][quantity]", "2")], "items[0][price]"),
        (vec![("items[0][id]", item), ("items[0][clear_usage]", "true")], "items[0][clear_usage]"),
        (vec![("items[0][id]", item), ("items[1][id]", item)], "items[1][id]"),
        (vec![("items[0][id]", item), ("items[0][tax_rates][0]", "txr_1")], "items[0][tax_rates]"),
        (vec![("billing_cycle_anchor", "now")], "billing_cycle_anchor"),
        (vec![("billing_cycle_anchor[type]", "later")], "billing_cycle_anchor[type]"),
        (vec![("proration_behavior", "some")], "proration_behavior"),
    ] {
        let error = tenant.house.post(&tenant.path(), &form).await.error(400);
        assert_eq!(error["param"], param, "{form:?}: {error}");
    }
    tenant.house.post("/v1/subscription_items", &[("price", &weekly)]).await.error(400);
    tenant.house.post("/v1/subscription_items", &[("subscription", &tenant.subscription)]).await.error(400);
    let form = [("subscription", "sub_none"), ("price", weekly.as_str())];
    assert_eq!(tenant.house.post("/v1/subscription_items", &form).await.error(400)["param"], "subscription");
    assert_eq!((tenant.read().await, tenant.pending().await), (before, vec![]));
    // What has ended changes no more.
    tenant.house.delete(&tenant.path()).await.ok();
    let form = [("items[0][id]", item), ("items[0][quantity]", "2")];
    let error = tenant.house.post(&tenant.path(), &form).await.error(400);
    assert_eq!(error["code"], "invalid_canceled_subscription_fields");
    let path = format!("/v1/subscription_items/{item}");
    let error = tenant.house.post(&path, &[("quantity", "2")]).await.error(400);
    assert_eq!(error["code"], "invalid_canceled_subscription_fields");
}

/// At wall time a renewal that is due comes before the change.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_comes_before_a_change() {
    let house = crate::support::House::open().await;
    let (price, other) = (house.monthly_price(1000).await, house.monthly_price(2000).await);
    let customer = house.customer("pm_card_visa", None).await;
    let made = house.subscribe(&customer, &price).await;
    house.clock.set(dunlin::billing::Timestamp::new(at("2027-02-15T00:00:00Z")));
    let item = id(&made["items"]["data"][0]);
    let form = [("items[0][id]", item.as_str()), ("items[0][price]", &other)];
    let changed = house.post(&format!("/v1/subscriptions/{}", id(&made)), &form).await.ok();
    let period =
        json!({"current_period_start": at("2027-02-01T00:00:00Z"), "current_period_end": at("2027-03-01T00:00:00Z")});
    has(&changed["items"]["data"][0], &period);
    let items = house.list(&format!("/v1/invoiceitems?pending=true&customer={customer}")).await;
    assert_eq!((&items[0]["amount"], &items[1]["amount"]), (&json!(-500), &json!(1000)));
}
