//! How many and how long: what is just allowed, and what is one too many.

use serde_json::json;

use crate::catalogue::has;
use crate::changes::price;
use crate::support::{House, id};

/// The longest that a price may recur is three years.
#[tokio::test(flavor = "multi_thread")]
async fn a_price_recurs_within_three_years() {
    let house = House::open().await;
    let product = id(&house.post("/v1/products", &[("name", "Basic")]).await.ok());
    for (interval, longest) in [("year", 3), ("month", 36), ("week", 156), ("day", 1095)] {
        for count in [longest, longest + 1] {
            let form = [
                ("product", product.as_str()),
                ("currency", "usd"),
                ("unit_amount", "1000"),
                ("recurring[interval]", interval),
                ("recurring[interval_count]", &count.to_string()),
            ];
            let answer = house.post("/v1/prices", &form).await;
            if count == longest {
                assert_eq!(answer.ok()["recurring"]["interval_count"], count);
            } else {
                assert_eq!(answer.error(400)["param"], "recurring[interval_count]", "{count} × {interval}");
            }
        }
    }
}

/// Creating a subscription: at most 20 items, and at most 20 one-off ones.
#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_begins_with_twenty_items() {
    let house = House::open().await;
    let customer = house.customer("pm_card_visa", None).await;
    let mut prices = Vec::new();
    for _ in 0..21 {
        prices.push(price(&house, &[("unit_amount", "100")]).await);
    }
    let product = id(&house.post("/v1/products", &[("name", "Setup")]).await.ok());
    let form = [("product", product.as_str()), ("currency", "usd"), ("unit_amount", "50")];
    let once = id(&house.post("/v1/prices", &form).await.ok());
    for (items, extras, param) in [(20, 20, None), (21, 0, Some("items")), (1, 21, Some("add_invoice_items"))] {
        let mut form: Vec<(String, &str)> = vec![("customer".into(), &customer)];
        form.extend((0..items).map(|place| (format!("items[{place}][price]"), prices[place].as_str())));
        form.extend((0..extras).map(|place| (format!("add_invoice_items[{place}][price]"), once.as_str())));
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let answer = house.post("/v1/subscriptions", &form).await;
        let Some(param) = param else {
            let made = answer.ok();
            assert_eq!(made["items"]["data"].as_array().unwrap().len(), 20);
            has(&house.latest_invoice(&made).await, &json!({"status": "paid", "total": 20 * 100 + 20 * 50}));
            continue;
        };
        let error = answer.error(400);
        assert_eq!(error["param"], param, "{error:#}");
        assert!(error["message"].as_str().unwrap().contains("20"), "{error:#}");
    }
    assert_eq!(house.list(&format!("/v1/subscriptions?customer={customer}")).await.len(), 1);
}
