//! What can be looked at before it is done: cancelling, pausing, resuming, trials, ends, beginnings at
//! other times, and items that are there for the preview only.

use serde_json::{Value, json};

use crate::catalogue::has;
use crate::changes::{MIDDLE, START, Tenant, amounts};
use crate::support::{Answer, at, id};

const THOUSAND: [(&str, &str); 1] = [("unit_amount", "1000")];
const PATH: &str = "/v1/invoices/create_preview";

impl Tenant {
    /// Looks at what comes of its subscription.
    async fn look(&self, form: &[(&str, &str)]) -> Answer {
        let form = [&[("subscription", self.subscription.as_str())], form].concat();
        self.house.post(PATH, &form).await
    }
}

/// What can be compared of an invoice that is looked at and one that is made.
fn facts(invoice: &Value) -> Value {
    let lines = invoice["lines"]["data"].as_array().expect("lines").iter();
    let lines: Vec<Value> =
        lines.map(|line| json!([line["amount"], line["description"], line["period"], line["quantity"]])).collect();
    json!([lines, invoice["total"], invoice["amount_due"], invoice["period_start"], invoice["period_end"]])
}

/// `cancel_now`: what cancelling with an invoice would bill, with what is unused given back or not.
#[tokio::test(flavor = "multi_thread")]
async fn cancelling_now() {
    const CANCEL: (&str, &str) = ("subscription_details[cancel_now]", "true");
    let tenant = Tenant::of("flexible", &THOUSAND, "1").await;
    tenant.advance(MIDDLE).await;
    let (before, mark) = (tenant.read().await, tenant.house.mark().await);
    let looked = tenant.look(&[CANCEL]).await.ok();
    has(&looked, &json!({"total": -517, "amount_due": 0, "status": "draft", "number": null, "ending_balance": null}));
    assert_eq!((tenant.read().await, tenant.balance().await), (before, 0));
    tenant.house.told(mark).await.are("");
    let none = [CANCEL, ("subscription_details[proration_behavior]", "none")];
    assert_eq!(tenant.look(&none).await.error(404)["code"], "invoice_upcoming_none");
    let form = [("customer", tenant.customer.as_str()), ("amount", "70"), ("currency", "usd")];
    tenant.house.post("/v1/invoiceitems", &form).await.ok();
    has(&tenant.look(&none).await.ok(), &json!({"total": 70}));
    let looked = tenant.look(&[CANCEL]).await.ok();
    let form = [("prorate", "true"), ("invoice_now", "true")];
    tenant.house.call(reqwest::Method::DELETE, &tenant.path(), &form, &[]).await.ok();
    assert_eq!(facts(&looked), facts(&tenant.latest().await));
    assert_eq!(tenant.look(&[CANCEL]).await.error(404)["code"], "invoice_upcoming_none");
}

/// A trial that begins, moves or ends, and an end inside the period.
#[tokio::test(flavor = "multi_thread")]
async fn trials_and_ends() {
    let later = at("2026-12-24T00:00:00Z").to_string();
    let end = at("2026-11-23T06:00:00Z").to_string();
    for (name, value, more) in [
        ("trial_end", later.as_str(), ("proration_behavior", "always_invoice")),
        ("trial_end", &later, ("proration_behavior", "none")),
        ("cancel_at", &end, ("proration_behavior", "always_invoice")),
        ("cancel_at", "max_period_end", ("proration_behavior", "none")),
    ] {
        let tenant = Tenant::of("flexible", &THOUSAND, "1").await;
        let form = [("customer", tenant.customer.as_str()), ("amount", "70"), ("currency", "usd")];
        tenant.house.post("/v1/invoiceitems", &form).await.ok();
        tenant.advance(MIDDLE).await;
        let asked =
            [(format!("subscription_details[{name}]"), value), (format!("subscription_details[{}]", more.0), more.1)];
        let asked: Vec<(&str, &str)> = asked.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let looked = tenant.look(&asked).await.ok();
        tenant.update(&[(name, value), more]).await;
        tenant.advance("2026-12-01T00:00:00Z").await;
        assert_eq!(facts(&looked), facts(&tenant.latest().await), "{name}={value} {more:?}");
    }
    let tenant = Tenant::of("flexible", &THOUSAND, "1").await;
    for (form, param) in [
        (vec![("subscription_details[cancel_at]", "soon")], "subscription_details[cancel_at]"),
        (
            vec![
                ("subscription_details[cancel_at]", later.as_str()),
                ("subscription_details[cancel_at_period_end]", "true"),
            ],
            "cancel_at",
        ),
        (
            vec![("subscription_details[cancel_now]", "true"), ("subscription_details[trial_end]", &later)],
            "subscription_details[cancel_now]",
        ),
        (
            vec![("subscription_details[cancel_now]", "true"), ("subscription_details[resume_at]", "now")],
            "subscription_details[cancel_now]",
        ),
        (vec![("subscription_details[start_date]", &later)], "subscription_details[start_date]"),
        (
            vec![("subscription_details[billing_cycle_anchor][type]", "timestamp")],
            "subscription_details[billing_cycle_anchor][type]",
        ),
        (vec![("subscription_details[resume_at]", "later")], "subscription_details[resume_at]"),
        (vec![("subscription_details[items][0][id]", "si_none")], "subscription_details[items][0][id]"),
    ] {
        assert_eq!(tenant.look(&form).await.error(400)["param"], param, "{form:?}");
    }
    let unknown = tenant.house.post(PATH, &[("subscription", "sub_none")]).await.error(400);
    assert_eq!((&unknown["code"], &unknown["param"]), (&json!("resource_missing"), &json!("subscription")));
}

/// `resume_at` and `pause`: the invoice that comes with them, as it is then made.
#[tokio::test(flavor = "multi_thread")]
async fn pausing_and_resuming() {
    let tenant = Tenant::of("flexible", &THOUSAND, "1").await;
    tenant.advance(MIDDLE).await;
    let pause = [("subscription_details[pause][type]", "subscription")];
    assert_eq!(tenant.look(&pause).await.error(404)["code"], "invoice_upcoming_none");
    let pause = [("subscription_details[pause][invoicing_behavior]", "invoice")];
    let looked = tenant.look(&pause).await.ok();
    tenant.house.post(&format!("{}/pause", tenant.path()), &[("invoicing_behavior", "invoice")]).await.ok();
    assert_eq!(facts(&looked), facts(&tenant.latest().await));
    assert_eq!(tenant.look(&[]).await.error(404)["code"], "invoice_upcoming_none");
    for anchor in ["unchanged", "now"] {
        let asked =
            [("subscription_details[resume_at]", "now"), ("subscription_details[billing_cycle_anchor][type]", anchor)];
        let looked = tenant.look(&asked).await.ok();
        has(&looked, &json!({"status": "draft", "amount_paid": 0, "starting_balance": -517}));
        let form = [("billing_cycle_anchor[type]", anchor)];
        tenant.house.post(&format!("{}/resume", tenant.path()), &form).await.ok();
        let made = tenant.latest().await;
        assert_eq!(facts(&looked), facts(&made));
        if anchor == "unchanged" {
            break;
        }
    }
    let running = [("subscription_details[resume_at]", "now")];
    let tenant = Tenant::of("flexible", &THOUSAND, "1").await;
    assert_eq!(tenant.look(&running).await.error(400)["code"], "status_transition_invalid");
}

/// Items that are there for the preview only: added, changed, and on whatever invoice is looked at.
#[tokio::test(flavor = "multi_thread")]
async fn items_for_the_preview() {
    for mode in ["classic", "flexible"] {
        let tenant = Tenant::of(mode, &THOUSAND, "1").await;
        let form = [("customer", tenant.customer.as_str()), ("amount", "70"), ("currency", "usd")];
        let waiting = id(&tenant.house.post("/v1/invoiceitems", &form).await.ok());
        tenant.advance(MIDDLE).await;
        let product = id(&tenant.house.post("/v1/products", &[("name", "Setup")]).await.ok());
        let items = [
            ("invoice_items[0][amount]", "500"),
            ("invoice_items[0][currency]", "usd"),
            ("invoice_items[0][description]", "Extra"),
            ("invoice_items[1][price_data][product]", product.as_str()),
            ("invoice_items[1][price_data][currency]", "usd"),
            ("invoice_items[1][price_data][unit_amount]", "30"),
            ("invoice_items[1][quantity]", "3"),
            ("invoice_items[2][invoiceitem]", &waiting),
            ("invoice_items[2][amount]", "71"),
            ("invoice_items[3][unit_amount_decimal]", "0.5"),
            ("invoice_items[3][quantity]", "4"),
        ];
        let next = tenant.look(&items).await.ok();
        assert_eq!(amounts(&next), [2, 90, 500, 71, 1000]);
        assert_eq!(next["lines"]["data"][2]["description"], "Extra");
        let now = [
            ("subscription_details[items][0][id]", tenant.item.as_str()),
            ("subscription_details[items][0][quantity]", "2"),
            ("subscription_details[proration_behavior]", "always_invoice"),
        ];
        let changed = tenant.look(&[&now[..], &items].concat()).await.ok();
        has(&changed, &json!({"total": 2 + 90 + 500 + 71 + 1033 - 517}));
        // Nothing of it is there.
        assert_eq!(tenant.pending().await, [70]);
        assert!(tenant.house.list(&format!("/v1/prices?product={product}")).await.is_empty());
        // Items alone.
        let alone = [&[("customer", tenant.customer.as_str())], &items[..]].concat();
        has(&tenant.house.post(PATH, &alone).await.ok(), &json!({"total": 663, "status": "draft", "parent": null}));
    }
    let tenant = Tenant::of("flexible", &THOUSAND, "1").await;
    for (form, param) in [
        (vec![("invoice_items[0][invoiceitem]", "ii_none")], "invoice_items[0][invoiceitem]"),
        (vec![("invoice_items[0][description]", "free?")], "invoice_items[0][amount]"),
        (
            vec![("invoice_items[0][unit_amount]", "1"), ("invoice_items[0][unit_amount_decimal]", "1")],
            "invoice_items[0][unit_amount]",
        ),
        (vec![("invoice_items[0][amount]", "1"), ("invoice_items[0][currency]", "eur")], "invoice_items[0][currency]"),
        (vec![("invoice_items[0][price]", "price_none")], "invoice_items[0][price]"),
    ] {
        assert_eq!(tenant.look(&form).await.error(400)["param"], param, "{form:?}");
    }
    // A customer alone is not enough to know what is asked.
    let bare = tenant.house.post(PATH, &[("customer", &tenant.customer)]).await.error(400);
    assert_eq!(bare["code"], "parameter_missing");
}

/// A subscription that is not there yet: with a trial, an end, an anchor, later, earlier, classic.
#[tokio::test(flavor = "multi_thread")]
async fn beginnings() {
    let tenant = Tenant::of("flexible", &THOUSAND, "1").await;
    let price = tenant.price(&[("unit_amount", "3000")]).await;
    let (soon, later) = (at("2026-11-16T00:00:00Z").to_string(), at("2026-12-01T00:00:00Z").to_string());
    let past = at("2026-10-01T00:00:00Z").to_string();
    let asked = async |more: &[(&str, &str)]| {
        let form = [("customer", tenant.customer.as_str()), ("subscription_details[items][0][price]", &price)];
        tenant.house.post(PATH, &[&form[..], more].concat()).await
    };
    has(&asked(&[]).await.ok(), &json!({"total": 3000, "period_start": at(START)}));
    let trial = asked(&[("subscription_details[trial_end]", &soon)]).await.ok();
    has(&trial, &json!({"total": 0}));
    assert_eq!(trial["lines"]["data"][0]["description"], "Free trial for 1 × Basic");
    let classic =
        [("subscription_details[trial_end]", &*soon), ("subscription_details[billing_mode][type]", "classic")];
    assert_eq!(asked(&classic).await.ok()["lines"]["data"][0]["description"], "Trial period for Basic");
    has(&asked(&[("subscription_details[cancel_at]", &soon)]).await.ok(), &json!({"total": 1500}));
    let anchored = [
        ("subscription_details[billing_cycle_anchor][type]", "timestamp"),
        ("subscription_details[billing_cycle_anchor][timestamp]", &soon),
    ];
    let stub = asked(&anchored).await.ok();
    assert_eq!(stub["lines"]["data"][0]["period"], json!({"start": at(START), "end": at("2026-11-16T00:00:00Z")}));
    let missing = asked(&anchored[..1]).await.error(400);
    assert_eq!(missing["param"], "subscription_details[billing_cycle_anchor][timestamp]");
    let future = asked(&[("subscription_details[start_date]", &later)]).await.ok();
    has(&future, &json!({"total": 3000, "created": at("2026-12-01T00:00:00Z")}));
    assert_eq!(amounts(&asked(&[("subscription_details[start_date]", &past)]).await.ok()), [3000, 3000]);
    let cancel = asked(&[("subscription_details[cancel_now]", "true")]).await.error(400);
    assert_eq!(cancel["param"], "subscription");
}

/// Looking ahead at flexible billing; the old way of looking is gone in the newest version.
#[tokio::test(flavor = "multi_thread")]
async fn another_billing_mode_and_the_old_way() {
    let tenant = Tenant::of("classic", &THOUSAND, "1").await;
    let flexible = [("subscription_details[billing_mode][type]", "flexible")];
    has(&tenant.look(&flexible).await.ok(), &json!({"total": 1000}));
    assert_eq!(tenant.read().await["billing_mode"]["type"], "classic");
    let classic = [("subscription_details[billing_mode][type]", "classic")];
    assert_eq!(tenant.look(&classic).await.error(400)["param"], "billing_mode[type]");
    for path in ["/v1/invoices/upcoming", "/v1/invoices/upcoming/lines"] {
        let form = format!("{path}?customer={}", tenant.customer);
        assert_eq!(tenant.house.get(&form).await.status, 404);
    }
}
