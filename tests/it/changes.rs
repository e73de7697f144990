//! Changing what a subscription consists of: what is credited, what is charged, and when.

use serde_json::{Value, json};

use crate::catalogue::has;
use crate::support::{House, at, id};

/// A subscription on a clock, and what changes it.
pub struct Tenant {
    pub house: House,
    pub clock: String,
    pub customer: String,
    pub subscription: String,
    pub item: String,
}

pub const START: &str = "2026-11-01T00:00:00Z";
/// Of 2,592,000 seconds 1,339,200 are left.
pub const MIDDLE: &str = "2026-11-15T12:00:00Z";

impl Tenant {
    /// Since 1 November 2026, on this price, with a card that works.
    pub async fn of(mode: &str, price: &[(&str, &str)], quantity: &str) -> Tenant {
        Tenant::since(START, mode, price, quantity).await
    }

    pub async fn since(start: &str, mode: &str, price: &[(&str, &str)], quantity: &str) -> Tenant {
        let house = House::open().await;
        let price = self::price(&house, price).await;
        let clock = house.test_clock(start).await;
        let customer = house.customer("pm_card_visa", Some(&clock)).await;
        let form = [
            ("customer", customer.as_str()),
            ("items[0][price]", &price),
            ("items[0][quantity]", quantity),
            ("billing_mode[type]", mode),
        ];
        let made = house.post("/v1/subscriptions", &form).await.ok();
        assert_eq!(made["status"], "active");
        let (subscription, item) = (id(&made), id(&made["items"]["data"][0]));
        Tenant { house, clock, customer, subscription, item }
    }

    pub async fn price(&self, price: &[(&str, &str)]) -> String {
        self::price(&self.house, price).await
    }

    pub fn path(&self) -> String {
        format!("/v1/subscriptions/{}", self.subscription)
    }

    pub async fn read(&self) -> Value {
        self.house.get(&self.path()).await.ok()
    }

    pub async fn update(&self, form: &[(&str, &str)]) -> Value {
        self.house.post(&self.path(), form).await.ok()
    }

    /// Changes the first item, and what else is said.
    pub async fn swap(&self, price: &str, more: &[(&str, &str)]) -> Value {
        let form = [&[("items[0][id]", self.item.as_str()), ("items[0][price]", price)], more].concat();
        self.update(&form).await
    }

    pub async fn advance(&self, time: &str) {
        self.house.advance(&self.clock, time).await;
    }

    /// The amounts of what waits for an invoice, oldest first.
    pub async fn pending(&self) -> Vec<i64> {
        let path = format!("/v1/invoiceitems?pending=true&customer={}", self.customer);
        let mut items = self.house.list(&path).await;
        items.reverse();
        items.iter().map(|item| item["amount"].as_i64().expect("an amount")).collect()
    }

    pub async fn latest(&self) -> Value {
        let latest = self.read().await["latest_invoice"].as_str().expect("an invoice").to_owned();
        self.house.get(&format!("/v1/invoices/{latest}")).await.ok()
    }

    pub async fn balance(&self) -> i64 {
        self.house.get(&format!("/v1/customers/{}", self.customer)).await.ok()["balance"].as_i64().expect("a balance")
    }
}

/// `unit_amount`, and what is not a month in US dollars.
pub async fn price(house: &House, terms: &[(&str, &str)]) -> String {
    let product = id(&house.post("/v1/products", &[("name", "Basic")]).await.ok());
    let mut form = vec![("product", product.as_str()), ("currency", "usd"), ("recurring[interval]", "month")];
    for (name, value) in terms {
        form.retain(|(known, _)| known != name);
        form.push((name, value));
    }
    id(&house.post("/v1/prices", &form).await.ok())
}

pub fn amounts(invoice: &Value) -> Vec<i64> {
    let lines = invoice["lines"]["data"].as_array().expect("lines");
    lines.iter().map(|line| line["amount"].as_i64().expect("an amount")).collect()
}

fn cents(amount: &str) -> [(&str, &str); 1] {
    [("unit_amount", amount)]
}

const ALWAYS: (&str, &str) = ("proration_behavior", "always_invoice");
const NONE: (&str, &str) = ("proration_behavior", "none");

/// Worked examples of proration, in both modes: old price, new price, quantities, pending amounts
/// (debit, then credit).
#[tokio::test(flavor = "multi_thread")]
async fn a_change_credits_what_is_unused_and_debits_what_remains() {
    for mode in ["classic", "flexible"] {
        for (old, new, quantities, pending) in [
            (cents("1000"), cents("2000"), ("1", "1"), [1033, -517]),
            (cents("1000"), cents("0"), ("1", "1"), [0, -517]),
            (cents("1000"), cents("1000"), ("1", "4"), [2067, -517]),
        ] {
            let tenant = Tenant::of(mode, &old, quantities.0).await;
            tenant.advance(MIDDLE).await;
            let price = tenant.price(&new).await;
            let changed = tenant.swap(&price, &[("items[0][quantity]", quantities.1)]).await;
            assert_eq!(tenant.pending().await, pending, "{mode}: {old:?} to {new:?}");
            let item = &changed["items"]["data"][0];
            has(item, &json!({"id": tenant.item, "quantity": quantities.1.parse::<i64>().unwrap()}));
            assert_eq!(item["price"]["id"], json!(price));
            assert_eq!(changed["billing_cycle_anchor"], at(START), "the cycle goes on");
            assert_eq!(house_invoices(&tenant).await, 1, "nothing is charged now");
        }
        // Only the quantity, of a price in yen.
        let yen = [("currency", "jpy"), ("unit_amount", "1400")];
        let tenant = Tenant::of(mode, &yen, "1").await;
        tenant.advance(MIDDLE).await;
        let price = tenant.price(&[("currency", "jpy"), ("unit_amount", "2000")]).await;
        tenant.swap(&price, &[]).await;
        assert_eq!(tenant.pending().await, [1033, -723]);
        let tenant = Tenant::of(mode, &cents("999"), "3").await;
        tenant.advance(MIDDLE).await;
        tenant.update(&[("items[0][id]", &tenant.item), ("items[0][quantity]", "5")]).await;
        assert_eq!(tenant.pending().await, [2581, -1548]);
    }
}

async fn house_invoices(tenant: &Tenant) -> usize {
    tenant.house.list(&format!("/v1/invoices?subscription={}", tenant.subscription)).await.len()
}

/// To the second, and over a February.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_counts() {
    let tenant = Tenant::since("2026-01-31T09:30:17Z", "flexible", &cents("1500"), "1").await;
    tenant.advance("2026-02-10T18:05:42Z").await;
    let price = tenant.price(&cents("4900")).await;
    tenant.swap(&price, &[]).await;
    assert_eq!(tenant.pending().await, [3087, -945]);
}

/// Rows of `proration_behavior`: what is charged now and with the next period.
#[tokio::test(flavor = "multi_thread")]
async fn the_difference_waits_is_charged_or_is_let_go() {
    for (behavior, now, next) in [
        (("proration_behavior", "create_prorations"), None, vec![-517, 1033, 2000]),
        (ALWAYS, Some(vec![-517, 1033]), vec![2000]),
        (NONE, None, vec![2000]),
    ] {
        let tenant = Tenant::of("flexible", &cents("1000"), "1").await;
        tenant.advance(MIDDLE).await;
        let price = tenant.price(&cents("2000")).await;
        let before = tenant.latest().await;
        let mark = tenant.house.mark().await;
        tenant.swap(&price, &[behavior]).await;
        let told = tenant.house.told(mark).await;
        let latest = tenant.latest().await;
        match &now {
            None => assert_eq!(latest["id"], before["id"]),
            Some(lines) => {
                assert_eq!(amounts(&latest), *lines);
                has(&latest, &json!({"billing_reason": "subscription_update", "status": "paid", "amount_paid": 516}));
                has(&latest, &json!({"auto_advance": false, "attempt_count": 1, "created": at(MIDDLE)}));
            }
        }
        // Upgrade with always_invoice, and the pair that waits.
        told.are(match (behavior.1, now.is_some()) {
            (_, true) => {
                "invoiceitem.created invoiceitem.created invoice.created invoice.finalized payment_intent.created \
                 charge.succeeded payment_intent.succeeded invoice.updated invoice.paid invoice.payment_succeeded \
                 invoice_payment.paid customer.subscription.updated"
            }
            ("none", _) => "customer.subscription.updated",
            _ => "invoiceitem.created invoiceitem.created customer.subscription.updated",
        });
        let previous = told.previous("customer.subscription.updated").as_object().expect("what was before");
        let mut changed: Vec<&str> = previous.keys().map(String::as_str).collect();
        changed.sort_unstable();
        assert_eq!(changed, if now.is_some() { vec!["items", "latest_invoice"] } else { vec!["items"] });
        tenant.advance("2026-12-01T02:00:00Z").await;
        assert_eq!(amounts(&tenant.latest().await), next);
    }
}

/// Where a proration comes from can be read off its line.
#[tokio::test(flavor = "multi_thread")]
async fn lines_say_what_they_prorate() {
    let tenant = Tenant::of("flexible", &cents("999"), "3").await;
    let first = tenant.latest().await;
    tenant.advance(MIDDLE).await;
    let price = tenant.price(&cents("2000")).await;
    tenant.swap(&price, &[ALWAYS]).await;
    let invoice = tenant.latest().await;
    let [credit, debit] = [0, 1].map(|place| invoice["lines"]["data"][place].clone());
    let period = json!({"start": at(MIDDLE), "end": at("2026-12-01T00:00:00Z")});
    has(&credit, &json!({"description": "Unused time on 3 × Basic after 15 Nov 2026", "quantity": 3}));
    has(&debit, &json!({"description": "Remaining time on Basic after 15 Nov 2026", "quantity": 1}));
    for (line, price, credited) in [
        (
            &credit,
            &first["lines"]["data"][0]["pricing"],
            json!({
                "invoice": first["id"], "invoice_line_items": [first["lines"]["data"][0]["id"]],
            }),
        ),
        (
            &debit,
            &json!({
                "price_details": {"price": price, "product": debit["pricing"]["price_details"]["product"]},
                "type": "price_details", "unit_amount_decimal": "2000",
            }),
            Value::Null,
        ),
    ] {
        has(line, &json!({"period": period, "discountable": false, "subscription": tenant.subscription}));
        assert_eq!(&line["pricing"], price);
        let details = &line["parent"]["subscription_item_details"];
        has(details, &json!({"proration": true, "subscription_item": tenant.item}));
        has(details, &json!({"proration_details": {"credited_items": credited}}));
        let item = details["invoice_item"].as_str().expect("an invoice item");
        let item = tenant.house.get(&format!("/v1/invoiceitems/{item}")).await.ok();
        has(
            &item,
            &json!({"proration": true, "invoice": invoice["id"], "amount": line["amount"], "net_amount": line["amount"]}),
        );
        let parent = json!({"subscription": tenant.subscription, "subscription_item": tenant.item});
        assert_eq!(item["parent"]["subscription_details"], parent);
    }
    // A pending debit is credited as the invoice item that it still is; both land on one invoice.
    tenant.advance("2026-11-20T00:00:00Z").await;
    let (third, fourth) = (tenant.price(&cents("3000")).await, tenant.price(&cents("4000")).await);
    tenant.swap(&third, &[]).await;
    tenant.swap(&fourth, &[]).await;
    let items = tenant.house.list(&format!("/v1/invoiceitems?pending=true&customer={}", tenant.customer)).await;
    let credited = &items[0]["proration_details"]["credited_items"];
    assert_eq!(credited, &json!({"type": "invoice_item", "invoice_item": items[3]["id"]}));
    let before = &items[2]["proration_details"]["credited_items"];
    let lines = json!({"invoice": invoice["id"], "invoice_line_items": [debit["id"]]});
    assert_eq!(before, &json!({"type": "invoice_line_items", "invoice_line_item_details": lines}));
    tenant.advance("2026-12-01T00:00:00Z").await;
    let cycle = tenant.latest().await;
    let lines = cycle["lines"]["data"].as_array().unwrap();
    let details = &lines[0]["parent"]["subscription_item_details"]["proration_details"];
    assert_eq!(details["credited_items"], json!({"invoice": cycle["id"], "invoice_line_items": [lines[3]["id"]]}));
}

/// Classic credits the current price; flexible what was billed, of each debit the share of its own
/// period that is left.
#[tokio::test(flavor = "multi_thread")]
async fn credits_follow_the_billing_mode() {
    for (mode, expected) in [("classic", [333, -667]), ("flexible", [333, -333])] {
        let tenant = Tenant::since("2027-04-01T00:00:00Z", mode, &cents("1000"), "1").await;
        let (dear, cheap) = (tenant.price(&cents("2000")).await, tenant.price(&cents("1000")).await);
        tenant.swap(&dear, &[NONE]).await;
        tenant.advance("2027-04-21T00:00:00Z").await;
        tenant.swap(&cheap, &[]).await;
        assert_eq!(tenant.pending().await, expected, "{mode}");
    }
    let tenant = Tenant::since("2027-04-01T00:00:00Z", "flexible", &cents("1000"), "1").await;
    let (dear, cheap) = (tenant.price(&cents("2000")).await, tenant.price(&cents("1000")).await);
    tenant.advance("2027-04-11T00:00:00Z").await;
    tenant.swap(&dear, &[]).await;
    tenant.advance("2027-04-21T00:00:00Z").await;
    tenant.swap(&cheap, &[]).await;
    assert_eq!(tenant.pending().await, [1333, -667, 333, -667]);
    // In the next period everything counts from its one line again.
    tenant.advance("2027-05-16T12:00:00Z").await;
    tenant.swap(&dear, &[]).await;
    assert_eq!(tenant.pending().await, [1000, -500]);
}

/// A downgrade that is invoiced leaves credit, which pays for what comes (worked example).
#[tokio::test(flavor = "multi_thread")]
async fn a_negative_invoice_becomes_credit() {
    let tenant = Tenant::of("flexible", &cents("4900"), "1").await;
    tenant.advance("2026-11-10T00:00:00Z").await;
    let price = tenant.price(&cents("1900")).await;
    let mark = tenant.house.mark().await;
    tenant.swap(&price, &[ALWAYS]).await;
    tenant.house.told(mark).await.hold(
        "invoiceitem.created invoiceitem.created invoice.created invoice.finalized invoice.updated invoice.paid \
         invoice.payment_succeeded customer.updated customer.subscription.updated",
    );
    has(&tenant.latest().await, &json!({"total": -2100, "status": "paid", "amount_due": 0}));
    assert_eq!(tenant.balance().await, -2100);
    tenant.advance("2026-12-01T02:00:00Z").await;
    has(&tenant.latest().await, &json!({"total": 1900, "starting_balance": -2100, "amount_due": 0}));
    assert_eq!(tenant.balance().await, -200);
    tenant.advance("2027-01-01T02:00:00Z").await;
    has(&tenant.latest().await, &json!({"total": 1900, "amount_paid": 1700, "ending_balance": 0}));
}

/// Another interval in classic mode, or an anchor that is set to now: a new period, charged at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_period_is_charged_at_once() {
    let yearly = [("unit_amount", "10000"), ("recurring[interval]", "year")];
    let now = ("billing_cycle_anchor[type]", "now");
    for (mode, terms, more, lines, ends) in [
        ("classic", &yearly[..], vec![], vec![-517, 10000], "2027-11-15T12:00:00Z"),
        ("classic", &yearly[..], vec![NONE], vec![10000], "2027-11-15T12:00:00Z"),
        ("flexible", &yearly[..], vec![now], vec![-517, 10000], "2027-11-15T12:00:00Z"),
        ("flexible", &yearly[..], vec![now, NONE], vec![10000], "2027-11-15T12:00:00Z"),
        ("flexible", &[("unit_amount", "2000")][..], vec![now], vec![-517, 2000], "2026-12-15T12:00:00Z"),
    ] {
        let tenant = Tenant::of(mode, &cents("1000"), "1").await;
        tenant.advance(MIDDLE).await;
        let price = tenant.price(terms).await;
        let changed = tenant.swap(&price, &more).await;
        let invoice = tenant.latest().await;
        assert_eq!(amounts(&invoice), lines, "{mode} {more:?}");
        has(&invoice, &json!({"status": "paid", "billing_reason": "subscription_update"}));
        assert_eq!(changed["billing_cycle_anchor"], at(MIDDLE));
        let period = json!({"current_period_start": at(MIDDLE), "current_period_end": at(ends)});
        has(&changed["items"]["data"][0], &period);
        assert_eq!(tenant.pending().await, [0; 0]);
    }
    // The same price, and its anchor set to now.
    let tenant = Tenant::of("classic", &cents("2000"), "1").await;
    tenant.advance(MIDDLE).await;
    tenant.update(&[now]).await;
    assert_eq!(amounts(&tenant.latest().await), [-1033, 2000]);
    tenant.update(&[now]).await;
    assert_eq!(amounts(&tenant.latest().await), [-2000, 2000], "once more in the same second");
    tenant.advance("2026-12-15T14:00:00Z").await;
    has(&tenant.latest().await, &json!({"billing_reason": "subscription_cycle", "status": "paid", "total": 2000}));
    // The word that changes nothing.
    tenant.update(&[("billing_cycle_anchor[type]", "unchanged")]).await;
    assert_eq!(tenant.read().await["billing_cycle_anchor"], at(MIDDLE));
}

/// Free to paid: flexible prorates, classic begins a new period. Not a second time.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_free_becomes_paid() {
    let tenant = Tenant::of("flexible", &cents("0"), "1").await;
    tenant.advance(MIDDLE).await;
    let paid = tenant.price(&cents("1000")).await;
    tenant.swap(&paid, &[]).await;
    assert_eq!(tenant.pending().await, [517, 0]);

    let tenant = Tenant::of("classic", &cents("0"), "1").await;
    tenant.advance(MIDDLE).await;
    let (paid, free) = (tenant.price(&cents("1000")).await, tenant.price(&cents("0")).await);
    let changed = tenant.swap(&paid, &[]).await;
    assert_eq!(amounts(&tenant.latest().await), [0, 1000]);
    assert_eq!(changed["items"]["data"][0]["current_period_end"], at("2026-12-15T12:00:00Z"));
    tenant.swap(&free, &[]).await;
    tenant.advance("2026-12-01T00:00:00Z").await;
    let again = tenant.swap(&paid, &[]).await;
    assert_eq!(again["items"]["data"][0]["current_period_end"], at("2026-12-15T12:00:00Z"));
}
