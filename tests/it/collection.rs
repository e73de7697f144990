//! What is said of the collection of an invoice: what was tried, when it is tried next and why then.

use serde_json::{Value, json};

use crate::catalogue::has;
use crate::dunning::custom;
use crate::states::Story;
use crate::support::{at, id};

impl Story {
    /// What is said of the collection of its renewal.
    async fn collection(&self) -> Value {
        let owed = self.owed().await;
        self.house.get(&format!("/v1/dunlin/invoices/{}/collection", id(&owed))).await.ok()
    }
}

/// Smart: every retry is explained.
#[tokio::test(flavor = "multi_thread")]
async fn a_smart_retry_says_why_it_is_made_when_it_is() {
    let story = Story::failing("pm_card_chargeCustomerFail", &[]).await;
    let owed = story.owed().await;
    let said = story.collection().await;
    has(
        &said,
        &json!({
            "object": "dunlin.collection", "invoice": id(&owed), "attempt_count": 1, "amount_remaining": 2000,
            "currency": "usd", "status": "open", "given_up": null, "livemode": false,
            "collection_method": "charge_automatically",
            "final_action": {"invoice": "leave_open", "subscription": "unpaid"},
        }),
    );
    has(&said["retries"], &json!({"mode": "smart", "window": "2_weeks", "max_attempts": 8}));
    has(
        &said["attempts"][0],
        &json!({
            "automatic": true, "created": at("2027-02-01T01:00:00Z"), "decline_code": "generic_decline",
            "result": "declined",
        }),
    );
    let next = &said["next_attempt"];
    assert_eq!(next["at"], owed["next_payment_attempt"]);
    let reason = &next["reason"];
    assert_eq!(reason["candidates"][0]["at"], next["at"]);
    assert!(reason["candidates"].as_array().unwrap().len() > 1 && reason["considered"].as_u64().unwrap() > 10);
    for candidate in reason["candidates"].as_array().unwrap() {
        let percent = |name: &str| candidate[name].as_str().unwrap().parse::<f64>().unwrap();
        assert!(percent("chance_percent") > 1.0 && percent("chance_percent") < 50.0);
        assert!(percent("chance_percent") < percent("chance_with_later_percent"));
    }
    assert!(reason["decisive"].as_array().unwrap().iter().all(|one| one["odds_factor"].is_string()));
    let summary = reason["summary"].as_str().unwrap();
    assert!(summary.contains("% likely") && summary.contains("Nothing has been learned yet"), "{summary}");
    // Seven more are planned after it, in order, within the window.
    let planned: Vec<i64> = said["planned"].as_array().unwrap().iter().map(|time| time.as_i64().unwrap()).collect();
    assert_eq!(planned.len(), 7);
    assert!(planned.is_sorted() && next["at"].as_i64().unwrap() < planned[0]);
    assert!(planned[6] <= at("2027-02-15T01:00:00Z"));
}

/// The story goes on with each attempt, and ends with the payment.
#[tokio::test(flavor = "multi_thread")]
async fn the_attempts_of_an_invoice_are_told() {
    let story = Story::failing("pm_card_visa_chargeCustomerFailLostCard", &[]).await;
    let next = story.collection().await["next_attempt"]["at"].as_i64().unwrap();
    story.house.advance_to(&story.clock, next).await;
    story.card("pm_card_visa").await;
    let next = story.collection().await["next_attempt"]["at"].as_i64().unwrap();
    story.house.advance_to(&story.clock, next).await;
    let said = story.collection().await;
    let told: Vec<(&str, Option<&str>)> = said["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["result"].as_str().unwrap(), one["decline_code"].as_str()))
        .collect();
    let expected = [("declined", Some("lost_card")), ("not_charged", Some("lost_card")), ("succeeded", None)];
    assert_eq!(told, expected);
    has(&said, &json!({"next_attempt": null, "planned": [], "final_action": null, "status": "paid"}));
    // Both retries were learned from, and the next estimates know of them.
    let house = &story.house;
    assert_eq!(house.count("select count(*) from retry_outcomes where decline = 'hard'").await, 2);
    house.app.engine.learn().await.unwrap();
    assert_eq!(house.count("select count(*) from retry_outcomes").await, 0);
    assert_eq!(house.count("select sum(attempts)::bigint from retry_statistics").await, 2);
    assert_eq!(house.count("select sum(recovered)::bigint from retry_statistics").await, 1);
    assert_eq!(house.app.engine.experience().test.learned_from, 2);
    house.app.engine.learn().await.unwrap();
    assert_eq!(house.count("select sum(attempts)::bigint from retry_statistics").await, 2);
}

/// Without a choice there is nothing to explain; what was never tried has no story.
#[tokio::test(flavor = "multi_thread")]
async fn fixed_schedules_and_other_invoices_have_no_reason() {
    let story = Story::failing("pm_card_chargeCustomerFail", &custom(&["3", "5"])).await;
    let said = story.collection().await;
    assert_eq!(said["next_attempt"], json!({"at": at("2027-02-04T01:00:00Z"), "reason": null}));
    has(&said["retries"], &json!({"mode": "custom", "days": [3, 5]}));
    let paid = id(&story.invoices().await[0]);
    let said = story.house.get(&format!("/v1/dunlin/invoices/{paid}/collection")).await.ok();
    has(&said, &json!({"attempts": [], "next_attempt": null, "status": "paid"}));
    let missing = story.house.get("/v1/dunlin/invoices/in_nothing/collection").await.error(404);
    assert_eq!(missing["code"], "resource_missing");
    // An ordinary payment leaves nothing to learn.
    assert_eq!(story.house.count("select count(*) from retry_outcomes").await, 0);
}
