//! What a subscription is to be, phase after phase. It may begin before there is a subscription, and ends
//! with its last phase.

mod phase;

use serde::{Deserialize, Serialize};

use super::{
    Id, Metadata, Noun, Resource, Timestamp,
    customer::{self, Customer},
    describe,
    invoice::{CustomField, Issuer},
    noun::{By, Cell, Keyed, boolean, filter, integer, json, null, one, text},
    payment_method::{self, PaymentMethod},
    plan,
    price::{self, Price},
    shape::{Nothing, Null},
    subscription::{self, AutomaticTax, BillingMode, CollectionMethod, Subscription},
    test_clock::{self, TestClock},
};
use crate::words;

pub use phase::{ExtraPeriod, Phase, PhaseExtra, PhaseItem, merged};

pub static NOUN: Noun = Noun {
    object: "subscription_schedule",
    prefix: "sub_sched_",
    table: "subscription_schedules",
    url: "/v1/subscription_schedules",
    name: "subscription schedule",
    keyed: Keyed::OfCustomer,
    leaves_stub: false,
    columns: &[
        text("customer"),
        text("test_clock"),
        text("subscription"),
        boolean("scheduled"),
        integer("canceled_at"),
        integer("completed_at"),
        integer("released_at"),
        boolean("standing"),
        json("prices"),
    ],
    filters: &[
        filter("customer", By::Text("customer")),
        filter("scheduled", By::Boolean("scheduled")),
        filter("canceled_at", By::Range("canceled_at")),
        filter("completed_at", By::Range("completed_at")),
        filter("released_at", By::Range("released_at")),
        filter("customer_account", By::NotSupportedYet),
    ],
    links: &[
        one("customer", &customer::NOUN),
        one("default_settings.default_payment_method", &payment_method::NOUN),
        one("phases.add_invoice_items.price", &price::NOUN),
        one("phases.default_payment_method", &payment_method::NOUN),
        one("phases.items.plan", &plan::NOUN),
        one("phases.items.price", &price::NOUN),
        one("subscription", &subscription::NOUN),
        one("test_clock", &test_clock::NOUN),
        null("application"),
        null("default_settings.automatic_tax.liability.account"),
        null("default_settings.invoice_settings.account_tax_ids"),
        null("default_settings.on_behalf_of"),
        null("default_settings.transfer_data.destination"),
        null("phases.add_invoice_items.discounts"),
        null("phases.default_tax_rates"),
        null("phases.discounts"),
        null("phases.invoice_settings.account_tax_ids"),
        null("phases.items.discounts"),
        null("phases.items.tax_rates"),
        null("phases.on_behalf_of"),
        null("phases.transfer_data.destination"),
    ],
    inlines: &[],
    previews: &[],
    searchable: &[],
    document: describe::shape_of::<SubscriptionSchedule>,
};

/// How long before its end `subscription_schedule.expiring` is told.
const NOTICE_SECONDS: i64 = 7 * 86_400;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SubscriptionSchedule {
    pub id: Id<SubscriptionSchedule>,
    pub object: Tag,
    pub application: Null,
    pub billing_mode: BillingMode,
    pub canceled_at: Option<Timestamp>,
    pub completed_at: Option<Timestamp>,
    pub created: Timestamp,
    /// While it is active.
    pub current_phase: Option<CurrentPhase>,
    pub customer: Id<Customer>,
    pub customer_account: Null,
    pub default_settings: DefaultSettings,
    pub end_behavior: EndBehavior,
    pub livemode: bool,
    pub metadata: Metadata,
    pub pause_schedules: Nothing,
    /// One after the other, without gaps.
    pub phases: Vec<Phase>,
    pub released_at: Option<Timestamp>,
    pub released_subscription: Option<Id<Subscription>>,
    pub status: Status,
    pub subscription: Option<Id<Subscription>>,
    pub test_clock: Option<Id<TestClock>>,
    pub internal: Internal,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Tag {
    #[serde(rename = "subscription_schedule")]
    SubscriptionSchedule,
}

/// What only we need to know.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Internal {
    /// The end of which `subscription_schedule.expiring` has told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_end: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CurrentPhase {
    pub end_date: Timestamp,
    pub start_date: Timestamp,
}

/// What phases leave open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DefaultSettings {
    pub application_fee_percent: Null,
    pub automatic_tax: AutomaticTax,
    pub billing_cycle_anchor: PhaseAnchor,
    pub billing_thresholds: Null,
    pub collection_method: Option<CollectionMethod>,
    pub default_payment_method: Option<Id<PaymentMethod>>,
    pub description: Option<String>,
    pub invoice_settings: InvoiceSettings,
    pub on_behalf_of: Null,
    pub transfer_data: Null,
}

impl Default for DefaultSettings {
    fn default() -> Self {
        DefaultSettings {
            application_fee_percent: Null,
            automatic_tax: AutomaticTax::default(),
            billing_cycle_anchor: PhaseAnchor::Automatic,
            billing_thresholds: Null,
            collection_method: Some(CollectionMethod::ChargeAutomatically),
            default_payment_method: None,
            description: None,
            invoice_settings: InvoiceSettings::default(),
            on_behalf_of: Null,
            transfer_data: Null,
        }
    }
}

/// What the invoices of a phase, or of all phases, say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InvoiceSettings {
    pub account_tax_ids: Null,
    pub custom_fields: Option<Vec<CustomField>>,
    pub days_until_due: Option<i64>,
    pub description: Option<String>,
    pub footer: Option<String>,
    pub issuer: Issuer,
}

words!(
    /// Where the billing cycle is anchored when a phase begins.
    PhaseAnchor {
        /// Where it was, unless the rules of changing an interval move it.
        Automatic = "automatic",
        PhaseStart = "phase_start",
    }
);
words!(
    /// What becomes of the subscription after the last phase.
    EndBehavior { Cancel = "cancel", Release = "release" }
);
words!(Status {
    Active = "active",
    Canceled = "canceled",
    Completed = "completed",
    NotStarted = "not_started",
    Released = "released",
});

impl Status {
    /// Whether something is still to come of it.
    pub const fn is_standing(self) -> bool {
        matches!(self, Status::Active | Status::NotStarted)
    }
}

impl SubscriptionSchedule {
    /// The phase that is running, and its place.
    pub fn current(&self) -> Option<(usize, &Phase)> {
        let current = self.current_phase?;
        self.phases.iter().enumerate().find(|(_, phase)| phase.start_date == current.start_date)
    }

    /// When its last phase ends.
    pub fn end(&self) -> Option<Timestamp> {
        self.phases.last().map(|phase| phase.end_date)
    }

    /// The end that it gives its subscription in this phase.
    pub fn cancel_at(&self, phase: &Phase) -> Option<Timestamp> {
        let ends = self.end_behavior == EndBehavior::Cancel && Some(phase.end_date) == self.end();
        ends.then_some(phase.end_date)
    }

    /// When its end is to be told of, unless that has been done, or it was too late for it from the beginning.
    pub fn notice_at(&self) -> Option<Timestamp> {
        let end = self.end().filter(|end| self.internal.told_end != Some(*end))?;
        let began = self.phases.first().map_or(self.created, |first| first.start_date.max(self.created));
        Some(end.plus_seconds(-NOTICE_SECONDS)).filter(|time| *time > began)
    }

    /// The prices that its phases name.
    pub fn prices(&self) -> Vec<Id<Price>> {
        let mut prices: Vec<Id<Price>> = self.phases.iter().flat_map(Phase::prices).cloned().collect();
        prices.sort_unstable();
        prices.dedup();
        prices
    }
}

impl Resource for SubscriptionSchedule {
    const NOUN: &'static Noun = &NOUN;

    crate::basics!(created);

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text(&self.customer),
            Cell::maybe(self.test_clock.as_ref()),
            Cell::maybe(self.subscription.as_ref()),
            Cell::Boolean(self.status == Status::NotStarted),
            Cell::time(self.canceled_at),
            Cell::time(self.completed_at),
            Cell::time(self.released_at),
            Cell::Boolean(self.status.is_standing()),
            Cell::Json(serde_json::to_string(&self.prices()).ok()),
        ]
    }

    fn due(&self) -> Option<Timestamp> {
        match self.status {
            Status::NotStarted => self.phases.first().map(|first| first.start_date),
            Status::Active => {
                [self.current_phase.map(|current| current.end_date), self.notice_at()].into_iter().flatten().min()
            }
            Status::Canceled | Status::Completed | Status::Released => None,
        }
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.phases.is_empty() || self.phases.iter().any(|phase| phase.items.is_empty()) {
            return Err("subscription schedule: nothing is scheduled");
        }
        if self.phases.iter().any(|phase| phase.start_date >= phase.end_date) {
            return Err("subscription schedule: a phase that does not end after its start");
        }
        if self.phases.windows(2).any(|pair| pair[0].end_date != pair[1].start_date) {
            return Err("subscription schedule: a gap between two phases");
        }
        let is_active = self.status == Status::Active;
        if is_active != self.current().is_some() || is_active && self.subscription.is_none() {
            return Err("subscription schedule: exactly an active one is in a phase of a subscription");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `subscription_schedule.expiring`: 7 days before the end, once for each end, and not where it was
    /// later than that from the beginning.
    #[test]
    fn the_end_is_told_of_a_week_ahead() {
        const DAY: i64 = 86_400;
        for (begins, created, ends, told, notice) in [
            (0, 0, 30, None, Some(23)),
            (0, 0, 30, Some(30), None),
            (0, 0, 30, Some(20), Some(23)),
            (0, 0, 7, None, None),
            (0, 25, 30, None, None),
            (40, 0, 50, None, Some(43)),
        ] {
            let time = |days: i64| Timestamp::new(days * DAY);
            let schedule = phase::tests::schedule(time(begins), time(ends));
            let internal = Internal { told_end: told.map(time) };
            let schedule = SubscriptionSchedule { created: time(created), internal, ..schedule };
            assert_eq!(schedule.notice_at(), notice.map(time), "{begins} {created} {ends} {told:?}");
        }
    }
}
