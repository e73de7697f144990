//! What the events of a test tell: their types in order, and what had been before.

use serde_json::Value;

use crate::support::House;

/// A place in the stream of events.
#[derive(Clone, Copy)]
pub struct Mark(usize);

/// The events since a mark, oldest first.
pub struct Told(pub Vec<Value>);

impl House {
    pub async fn mark(&self) -> Mark {
        Mark(self.list("/v1/events").await.len())
    }

    /// What has been told since, but for the test clocks themselves.
    pub async fn told(&self, since: Mark) -> Told {
        let mut events = self.list("/v1/events").await;
        events.reverse();
        let clock = |event: &Value| event["type"].as_str().is_some_and(|kind| kind.starts_with("test_helpers"));
        Told(events.into_iter().skip(since.0).filter(|event| !clock(event)).collect())
    }
}

/// What must come in this order wherever it comes (the strict orders of event sequences).
const STRICT: [&[&str]; 5] = [
    &["invoice.created", "invoice.finalized", "invoice.paid"],
    &["customer.subscription.created", "customer.subscription.updated"],
    &["payment_intent.created", "payment_intent.succeeded"],
    &["payment_intent.created", "payment_intent.payment_failed"],
    &["payment_intent.created", "payment_intent.requires_action"],
];

impl Told {
    pub fn types(&self) -> Vec<&str> {
        self.0.iter().map(|event| event["type"].as_str().expect("a type")).collect()
    }

    /// These types, in this order, and nothing else.
    #[track_caller]
    pub fn are(&self, expected: &str) -> &Told {
        let told = self.types();
        let expected: Vec<&str> = expected.split_whitespace().collect();
        assert!(told == expected, "expected\n  {}\nbut told were\n  {}", expected.join("\n  "), told.join("\n  "));
        self
    }

    /// These types, each as often as named, in any order that keeps the strict ones.
    #[track_caller]
    pub fn hold(&self, expected: &str) -> &Told {
        let told = self.types();
        for order in STRICT {
            let places = order.iter().filter_map(|kind| told.iter().position(|known| known == kind));
            assert!(places.is_sorted(), "{order:?} in {told:?}");
        }
        let sorted = |mut types: Vec<String>| {
            types.sort_unstable();
            types
        };
        let expected = sorted(expected.split_whitespace().map(ToOwned::to_owned).collect());
        assert_eq!(sorted(told.into_iter().map(ToOwned::to_owned).collect()), expected);
        self
    }

    /// The one event of a type.
    #[track_caller]
    pub fn one(&self, kind: &str) -> &Value {
        let found: Vec<&Value> = self.0.iter().filter(|event| event["type"] == kind).collect();
        assert_eq!(found.len(), 1, "{kind} in {:?}", self.types());
        found[0]
    }

    /// The object that the one event of a type shows.
    #[track_caller]
    pub fn object(&self, kind: &str) -> &Value {
        &self.one(kind)["data"]["object"]
    }

    /// What the one event of a type says had been before.
    #[track_caller]
    pub fn previous(&self, kind: &str) -> &Value {
        &self.one(kind)["data"]["previous_attributes"]
    }
}
