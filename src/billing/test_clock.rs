//! A clock of its own for the customers on it: frozen until it is advanced.

use serde::{Deserialize, Serialize};

use super::{
    Books, Id, Moment, Noun, Refusal, Resource, Timestamp,
    customer::Customer,
    describe,
    noun::{Cell, Keyed, text},
    payment_intent::PaymentIntent,
};
use crate::words;

pub static NOUN: Noun = Noun {
    object: "test_helpers.test_clock",
    prefix: "clock_",
    table: "test_clocks",
    url: "/v1/test_helpers/test_clocks",
    name: "test clock",
    keyed: Keyed::Shared,
    leaves_stub: false,
    columns: &[text("status")],
    filters: &[],
    links: &[],
    inlines: &[],
    previews: &[],
    searchable: &[],
    document: describe::shape_of::<TestClock>,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TestClock {
    pub id: Id<TestClock>,
    pub object: Tag,
    pub created: Timestamp,
    pub deletes_after: Timestamp,
    pub frozen_time: Timestamp,
    pub livemode: bool,
    pub name: Option<String>,
    pub status: Status,
    pub status_details: StatusDetails,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Tag {
    #[serde(rename = "test_helpers.test_clock")]
    TestClock,
}

words!(Status { Ready = "ready", Advancing = "advancing", InternalFailure = "internal_failure" });

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct StatusDetails {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advancing: Option<Advancing>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Advancing {
    pub target_frozen_time: Timestamp,
}

impl TestClock {
    /// Deletes it; its customers have gone before.
    pub fn delete(books: &mut Books, id: &Id<TestClock>, at: &mut Moment) {
        books.tell(id, "test_helpers.test_clock.deleted", at);
        books.remove(id);
    }

    /// What lives on it must wait.
    pub fn not_ready(&self) -> Refusal {
        let (id, status) = (&self.id, self.status);
        let message = format!("Test clock {id} is {status}: wait until it is ready before changing what lives on it.");
        Refusal::invalid(message).code("lock_timeout").status(429)
    }

    /// Up to when its customers live: the target while it advances.
    pub fn horizon(&self) -> Timestamp {
        self.status_details.advancing.as_ref().map_or(self.frozen_time, |advancing| advancing.target_frozen_time)
    }
}

impl Books {
    /// The test clock that their customer lives on, or lived on: of one that is deleted there are payments left.
    pub fn test_clock(&self) -> Option<&TestClock> {
        let of_payments = || self.all::<PaymentIntent>().find_map(|intent| intent.internal.test_clock.as_ref());
        let of_customer = self.all::<Customer>().find_map(|customer| customer.test_clock.as_ref());
        self.get(of_customer.or_else(of_payments)?)
    }
}

impl Resource for TestClock {
    const NOUN: &'static Noun = &NOUN;

    crate::basics!(created);

    fn cells(&self) -> Vec<Cell> {
        vec![Cell::text(self.status)]
    }

    /// An advancing clock is always due: it lives at wall time and must be finished. Any other is due when
    /// it is to be deleted.
    fn due(&self) -> Option<Timestamp> {
        Some(if self.status == Status::Advancing { self.created } else { self.deletes_after })
    }
}
