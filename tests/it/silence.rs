//! A processor that says nothing while a subscription is created: what becomes of it when it speaks again.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use dunlin::{
    billing::{
        Timestamp,
        answer::{Answer, Decline},
    },
    gateway::{CardSource, Gateway, Question, Tokenized, Unanswered, test_cards::TestCards},
};
use futures_util::future::BoxFuture;
use serde_json::json;

use crate::support::{House, at, id};

/// Test cards, silent for as long as it is wanted.
#[derive(Default)]
pub struct Silent {
    cards: TestCards,
    pub silent: AtomicBool,
    /// It keeps the line open, too.
    pub endless: AtomicBool,
}

impl Gateway for Silent {
    fn tokenize<'a>(&'a self, source: &'a CardSource, now: Timestamp) -> BoxFuture<'a, Result<Tokenized, Decline>> {
        self.cards.tokenize(source, now)
    }

    fn verify<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<(), Decline>> {
        self.cards.verify(token)
    }

    fn ask<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Result<Answer, Unanswered>> {
        if self.endless.load(Ordering::Relaxed) {
            return Box::pin(std::future::pending());
        }
        if self.silent.load(Ordering::Relaxed) {
            return Box::pin(async { Err(Unanswered) });
        }
        self.cards.ask(question)
    }
}

/// While nothing is known nothing is told; when the answer comes it is as if it had come at once.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_late() {
    for (card, behavior, status) in [
        ("pm_card_visa", "allow_incomplete", Some("active")),
        ("pm_card_visa", "error_if_incomplete", Some("active")),
        ("pm_card_chargeCustomerFail", "allow_incomplete", Some("incomplete")),
        ("pm_card_chargeCustomerFail", "error_if_incomplete", None),
    ] {
        let gateway = Arc::new(Silent::default());
        let house = House::open_with(Arc::<Silent>::clone(&gateway), 0).await;
        let (price, customer) = (house.monthly_price(2000).await, house.customer(card, None).await);
        let before = house.event_types(0).await.len();
        gateway.silent.store(true, Ordering::Relaxed);
        let form = [("customer", &*customer), ("items[0][price]", &price), ("payment_behavior", behavior)];
        house.post("/v1/subscriptions", &form).await;
        assert!(house.event_types(before).await.is_empty(), "{behavior}");
        gateway.silent.store(false, Ordering::Relaxed);
        house.advance_wall("2027-01-01T00:02:00Z").await;
        let made = house.list(&format!("/v1/subscriptions?customer={customer}&status=all")).await;
        let statuses: Vec<&str> = made.iter().map(|made| made["status"].as_str().unwrap()).collect();
        assert_eq!(statuses, status.into_iter().collect::<Vec<_>>(), "{card} {behavior}");
        let told = house.event_types(before).await;
        let created = told.iter().position(|kind| kind == "customer.subscription.created");
        assert_eq!(created, status.map(|_| 0), "{told:?}");
        assert!(!told.contains(&"customer.subscription.updated".to_owned()), "{told:?}");
        let invoices = house.list(&format!("/v1/invoices?customer={customer}")).await;
        assert_eq!(invoices.len(), statuses.len());
        if status.is_none() {
            assert_eq!(house.get(&format!("/v1/customers/{customer}")).await.ok()["currency"], json!(null));
        } else {
            assert_eq!(invoices[0]["created"], at("2027-01-01T00:00:00Z"));
            assert_eq!(invoices[0]["id"], made[0]["latest_invoice"], "{}", id(&made[0]));
        }
    }
}
