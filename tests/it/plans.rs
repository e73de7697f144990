//! Plans: the legacy view of recurring prices.

use serde_json::{Value, json};

use crate::catalogue::{finds, has};
use crate::support::{House, id};

const MONTHLY: [(&str, &str); 4] =
    [("currency", "usd"), ("interval", "month"), ("amount", "1500"), ("product[name]", "Gold")];

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_a_recurring_price() {
    let house = House::open().await;
    let form = [&MONTHLY[..], &[("id", "gold"), ("nickname", "Gold"), ("trial_period_days", "7")]].concat();
    let plan = house.post("/v1/plans", &form).await.ok();
    has(
        &plan,
        &json!({
            "id": "gold", "object": "plan", "amount": 1500, "amount_decimal": "1500", "interval": "month", "interval_count": 1,
            "nickname": "Gold", "trial_period_days": 7, "usage_type": "licensed", "tiers_mode": null, "transform_usage": null,
        }),
    );
    let price = house.get("/v1/prices/gold").await.ok();
    has(&price, &json!({"id": "gold", "object": "price", "unit_amount": 1500, "type": "recurring"}));
    assert_eq!(house.event_types(0).await, ["product.created", "price.created", "plan.created"]);
    assert_eq!(house.post("/v1/plans", &form).await.error(400)["code"], "resource_already_exists");
    // And a recurring price is a plan.
    let other = house.monthly_price(900).await;
    assert_eq!(house.get(&format!("/v1/plans/{other}")).await.ok()["amount"], 900);
    let shown = house.get("/v1/plans/gold?expand[]=product").await.ok();
    assert_eq!(shown["product"]["name"], "Gold");
    // One-time prices are none.
    let once = house.post("/v1/prices", &[("currency", "usd"), ("unit_amount", "5"), ("product_data[name]", "x")]);
    let once = id(&once.await.ok());
    let error = house.get(&format!("/v1/plans/{once}")).await.error(404);
    assert_eq!((&error["param"], &error["message"]), (&json!("plan"), &json!(format!("No such plan: '{once}'"))));
    let plans = house.list("/v1/plans").await;
    assert_eq!(plans.iter().map(id).collect::<Vec<_>>(), [other.clone(), "gold".to_owned()]);
    assert!(plans.iter().all(|plan| plan["object"] == "plan"));
    let product = plan["product"].as_str().unwrap();
    let gold = "gold".to_owned();
    finds(
        &house,
        "/v1/plans",
        &[
            (format!("product={product}"), &[&gold]),
            ("active=true".to_owned(), &[&other, &gold]),
            ("active=false".to_owned(), &[]),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_is_told_of_both() {
    let house = House::open().await;
    let plan = id(&house.post("/v1/plans", &MONTHLY).await.ok());
    let path = format!("/v1/plans/{plan}");
    let before = house.event_types(0).await.len();
    let changed =
        house.post(&path, &[("nickname", "Silver"), ("trial_period_days", "3"), ("active", "false")]).await.ok();
    has(&changed, &json!({"object": "plan", "nickname": "Silver", "trial_period_days": 3, "active": false}));
    assert_eq!(house.event_types(before).await, ["price.updated", "plan.updated"]);
    let told = &house.list("/v1/events?type=plan.updated").await[0]["data"];
    assert_eq!(told["previous_attributes"], json!({"active": true, "nickname": null, "trial_period_days": null}));
    assert_eq!(told["object"]["object"], "plan");
    // By the other name.
    house.post(&format!("/v1/prices/{plan}"), &[("metadata[a]", "b")]).await.ok();
    assert_eq!(house.event_types(before + 2).await, ["price.updated", "plan.updated"]);
    let told = &house.list("/v1/events?type=plan.updated").await[0]["data"];
    assert_eq!(told["previous_attributes"], json!({"metadata": {"a": null}}));
    // What a plan does not show is told of the price alone.
    house.post(&format!("/v1/prices/{plan}"), &[("lookup_key", "silver")]).await.ok();
    assert_eq!(house.event_types(before + 4).await, ["price.updated"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_deleted_unless_it_is_subscribed_to() {
    let house = House::open().await;
    let plan = id(&house.post("/v1/plans", &MONTHLY).await.ok());
    let path = format!("/v1/plans/{plan}");
    let before = house.event_types(0).await.len();
    assert_eq!(house.delete(&path).await.ok(), json!({"id": plan, "object": "plan", "deleted": true}));
    assert_eq!(house.event_types(before).await, ["price.deleted", "plan.deleted"]);
    for gone in [path, format!("/v1/prices/{plan}")] {
        assert_eq!(house.get(&gone).await.error(404)["code"], "resource_missing");
    }
    let used = id(&house.post("/v1/plans", &MONTHLY).await.ok());
    let customer = house.customer("pm_card_visa", None).await;
    let form = [("customer", &*customer), ("items[0][plan]", &*used)];
    let subscription = house.post("/v1/subscriptions", &form).await.ok();
    assert_eq!(subscription["items"]["data"][0]["plan"]["id"], json!(used));
    assert_eq!(house.list(&format!("/v1/subscriptions?plan={used}")).await.len(), 1);
    house.delete(&format!("/v1/plans/{used}")).await.error(400);
    assert_eq!(house.get(&format!("/v1/plans/{used}")).await.ok()["id"], json!(used));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_plan() {
    let house = House::open().await;
    let base = [("currency", "usd"), ("interval", "month")];
    let product = ("product[name]", "Gold");
    let cases: [(&[(&str, &str)], &str); 9] = [
        (&[("amount", "5")], "product"),
        (&[product], "amount"),
        (&[product, ("amount", "5"), ("amount_decimal", "5")], "amount"),
        (&[product, ("amount", "5"), ("meter", "mtr_1")], "meter"),
        (&[product, ("amount", "5"), ("usage_type", "metered")], "usage_type"),
        (&[product, ("amount", "5"), ("trial_period_days", "0")], "trial_period_days"),
        (&[product, ("amount", "5"), ("interval_count", "99")], "interval_count"),
        (&[("product", "prod_none"), ("amount", "5")], "product"),
        (&[product, ("amount", "5"), ("product[colour]", "red")], "product[colour]"),
    ];
    for (form, param) in cases {
        let error = house.post("/v1/plans", &[&base, form].concat()).await.error(400);
        assert_eq!(error["param"], param, "{form:?}: {error}");
    }
    assert!(house.list("/v1/plans").await.is_empty());
    let tiered = [
        product,
        ("billing_scheme", "tiered"),
        ("tiers_mode", "volume"),
        ("tiers[0][up_to]", "inf"),
        ("tiers[0][unit_amount]", "3"),
        ("expand[]", "tiers"),
    ];
    let made = house.post("/v1/plans", &[&base[..], &tiered].concat()).await.ok();
    has(&made, &json!({"amount": null, "tiers_mode": "volume"}));
    assert_eq!((&made["tiers"][0]["unit_amount"], &made["tiers"][0]["up_to"]), (&json!(3), &Value::Null));
}
