//! The first invoice of a subscription that is incomplete: its customer has 23 hours, and nothing is
//! tried by itself.

use serde_json::json;

use crate::catalogue::has;
use crate::support::House;

#[tokio::test(flavor = "multi_thread")]
async fn the_first_invoice_of_an_incomplete_subscription_does_not_advance() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let clock = house.test_clock("2027-01-01T00:00:00Z").await;
    let customer = house.customer("pm_card_chargeCustomerFail", Some(&clock)).await;
    let made = house.subscribe(&customer, &price).await;
    assert_eq!(made["status"], "incomplete");
    let invoice = format!("/v1/invoices/{}", made["latest_invoice"].as_str().unwrap());
    house.default_card(&customer, "pm_card_visa").await;
    assert_eq!(house.post(&invoice, &[("auto_advance", "true")]).await.error(400)["param"], "auto_advance");
    // To say what it is anyway changes nothing.
    house.post(&invoice, &[("auto_advance", "false")]).await.ok();
    house.advance(&clock, "2027-01-01T22:00:00Z").await;
    has(&house.get(&invoice).await.ok(), &json!({"status": "open", "auto_advance": false, "attempt_count": 1}));
    assert_eq!(house.fresh(&made).await["status"], "incomplete");
    house.post(&format!("{invoice}/pay"), &[]).await.ok();
    assert_eq!(house.fresh(&made).await["status"], "active");
}
