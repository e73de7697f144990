//! Payments that their issuers suspect.

use std::sync::Arc;

use dunlin::{
    billing::{
        Timestamp,
        answer::{Answer, Decline, News},
        early_fraud_warning::FraudType,
        payment_intent::Action,
    },
    gateway::{CardSource, Gateway, Question, Tokenized, Unanswered, test_cards::TestCards},
};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use crate::catalogue::has;
use crate::support::{House, id};

async fn pay(house: &House) -> Value {
    pay_with(house, "pm_card_createIssuerFraudRecord").await
}

/// A payment, a minute after it was made.
async fn pay_with(house: &House, card: &str) -> Value {
    let form = [("amount", "1000"), ("currency", "usd"), ("payment_method", card), ("confirm", "true")];
    let intent = house.post("/v1/payment_intents", &form).await.ok();
    house.clock.set(Timestamp::new(house.clock.now().unix_seconds() + 60));
    house.app.engine.settle_down().await.unwrap();
    intent
}

/// An early fraud warning is actionable until the charge is given back in full.
#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_warns_of_a_payment_until_it_is_given_back() {
    let house = House::open().await;
    let intent = pay(&house).await;
    assert_eq!(house.event_types(0).await.last().unwrap(), "radar.early_fraud_warning.created");
    let warning = house.list("/v1/radar/early_fraud_warnings").await.remove(0);
    has(&warning, &json!({"object": "radar.early_fraud_warning", "actionable": true, "livemode": false}));
    has(&warning, &json!({"charge": intent["latest_charge"], "payment_intent": intent["id"]}));
    assert_eq!(warning["fraud_type"], "made_with_stolen_card");
    assert!(id(&warning).starts_with("issfr_"));
    let path = format!("/v1/radar/early_fraud_warnings/{}", id(&warning));
    assert_eq!(house.get(&path).await.ok(), warning);
    let refund = |amount: &'static str| {
        let (house, intent) = (&house, id(&intent));
        async move { house.post("/v1/refunds", &[("payment_intent", &*intent), ("amount", amount)]).await.ok() }
    };
    refund("400").await;
    assert_eq!(house.get(&path).await.ok()["actionable"], true);
    let before = house.event_types(0).await.len();
    refund("600").await;
    let told = ["refund.created", "charge.refunded", "radar.early_fraud_warning.updated"];
    assert_eq!(house.event_types(before).await, told);
    let event = &house.list("/v1/events?type=radar.early_fraud_warning.updated").await[0];
    assert_eq!(event["data"]["previous_attributes"], json!({"actionable": true}));
    let whole = house.get(&format!("{path}?expand[]=charge&expand[]=payment_intent")).await.ok();
    has(&whole, &json!({"actionable": false}));
    assert_eq!((&whole["charge"]["refunded"], &whole["payment_intent"]["id"]), (&json!(true), &intent["id"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn warnings_are_found_by_their_payment() {
    let house = House::open().await;
    let (one, other) = (pay(&house).await, pay(&house).await);
    for (query, count) in [
        (String::new(), 2),
        (format!("?payment_intent={}", id(&one)), 1),
        (format!("?charge={}", other["latest_charge"].as_str().unwrap()), 1),
        ("?charge=ch_x".to_owned(), 0),
    ] {
        let found = house.list(&format!("/v1/radar/early_fraud_warnings{query}")).await;
        assert_eq!(found.len(), count, "{query}");
    }
    house.get("/v1/radar/early_fraud_warnings/issfr_x").await.error(404);
    house.get("/v1/radar/early_fraud_warnings?customer=cus_x").await.error(400);
}

/// A processor that warns of every payment before its dispute.
struct Wary(TestCards);

impl Gateway for Wary {
    fn tokenize<'a>(&'a self, source: &'a CardSource, now: Timestamp) -> BoxFuture<'a, Result<Tokenized, Decline>> {
        self.0.tokenize(source, now)
    }

    fn verify<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<(), Decline>> {
        self.0.verify(token)
    }

    fn ask<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Result<Answer, Unanswered>> {
        Box::pin(async move {
            let mut answer = self.0.ask(question).await?;
            if let (Answer::News(news), Action::Watch) = (&mut answer, question.action) {
                news.insert(0, News::Suspected(FraudType::Misc));
            }
            Ok(answer)
        })
    }
}

/// Once there is a dispute, it is too late to act.
#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_leaves_nothing_to_do_about_a_warning() {
    let house = House::open_with(Arc::new(Wary(TestCards::default())), 0).await;
    pay_with(&house, "pm_card_createDispute").await;
    let told = house.event_types(0).await;
    let news = [
        "radar.early_fraud_warning.created",
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
        "radar.early_fraud_warning.updated",
    ];
    assert!(told.ends_with(&news.map(ToOwned::to_owned)), "{told:?}");
    let warning = house.list("/v1/radar/early_fraud_warnings").await.remove(0);
    has(&warning, &json!({"actionable": false, "fraud_type": "misc"}));
}
