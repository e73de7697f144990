//! Which payment intents are loaded whenever something is done for their customer: those of which
//! something may be due, not all that nobody has finished.

use serde_json::{Value, json};

use crate::catalogue::has;
use crate::invoice_payments::{CONFIRMED, attach, intent, start};
use crate::support::{House, execute};

async fn standing(house: &House, intent: &str) -> bool {
    house.count(&format!("select count(*) from payment_intents where id = '{intent}' and standing")).await == 1
}

async fn act(house: &House, intent: &str, verb: &str, form: &[(&str, &str)]) -> Value {
    house.post(&format!("/v1/payment_intents/{intent}{verb}"), form).await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_intent_is_not_carried_along() {
    let (house, customer, invoice) = start("2500").await;
    let abandoned = intent(&house, &customer, "1000", &[]).await;
    let asked = intent(&house, &customer, "1000", &[("payment_method", "pm_card_visa")]).await;
    let authenticating = [("payment_method", "pm_card_authenticationRequired"), ("confirm", "true")];
    let authenticating = intent(&house, &customer, "1000", &authenticating).await;
    let paid = intent(&house, &customer, "1000", &CONFIRMED).await;
    for one in [&abandoned, &asked, &authenticating, &paid] {
        assert!(!standing(&house, one).await, "{one}");
    }
    let slow =
        intent(&house, &customer, "1000", &[("payment_method", "pm_card_processing"), ("confirm", "true")]).await;
    let reserved = intent(&house, &customer, "1000", &[&CONFIRMED[..], &[("capture_method", "manual")]].concat()).await;
    let attached = intent(&house, &customer, "1000", &[]).await;
    attach(&house, &invoice, &attached).await.ok();
    let own = house.list(&format!("/v1/invoice_payments?invoice={invoice}")).await.pop().unwrap();
    let own = own["payment"]["payment_intent"].as_str().unwrap();
    for one in [&slow, &reserved, &attached, own] {
        assert!(standing(&house, one).await, "{one}");
    }
    // Whoever names one finds it all the same.
    has(&act(&house, &abandoned, "", &[("amount", "1200")]).await, &json!({"amount": 1200}));
    has(&act(&house, &abandoned, "/cancel", &[]).await, &json!({"status": "canceled"}));
    has(&act(&house, &asked, "/confirm", &[]).await, &json!({"status": "succeeded", "amount_received": 1000}));
    let form = [("payment_method", "pm_card_visa")];
    has(&act(&house, &authenticating, "/confirm", &form).await, &json!({"status": "succeeded"}));
    let refund = house.post("/v1/refunds", &[("payment_intent", &paid)]).await.ok();
    assert_eq!(refund["status"], "succeeded");
}

/// What rests from before is seen the same way.
#[tokio::test(flavor = "multi_thread")]
async fn intents_that_were_abandoned_before_are_put_aside() {
    let (house, customer, invoice) = start("2500").await;
    let abandoned = intent(&house, &customer, "1000", &[]).await;
    let attached = intent(&house, &customer, "1000", &[]).await;
    attach(&house, &invoice, &attached).await.ok();
    let slow =
        intent(&house, &customer, "1000", &[("payment_method", "pm_card_processing"), ("confirm", "true")]).await;
    execute(&house.database_url, "update payment_intents set standing = true").await;
    execute(&house.database_url, include_str!("../../migrations/0105_abandoned_intents.sql")).await;
    let found = [&abandoned, &attached, &slow].map(|one| standing(&house, one));
    assert_eq!(futures_util::future::join_all(found).await, [false, true, true]);
}
