//! A phase: from when to when a subscription is to be like this.

use serde::{Deserialize, Serialize};

use super::{InvoiceSettings, PhaseAnchor};
use crate::{
    billing::{
        Currency, Id, Metadata, MetadataPatch, Refusal, Timestamp,
        extra::{ExtraEnd, ExtraStart, NewExtra},
        payment_method::PaymentMethod,
        price::Price,
        prorate::ProrationBehavior,
        shape::{Nothing, Null},
        subscribe::NewItem,
        subscription::CollectionMethod,
    },
    words,
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    pub add_invoice_items: Vec<PhaseExtra>,
    pub application_fee_percent: Null,
    pub billing_cycle_anchor: Option<PhaseAnchor>,
    pub billing_thresholds: Null,
    pub collection_method: Option<CollectionMethod>,
    pub currency: Currency,
    pub default_payment_method: Option<Id<PaymentMethod>>,
    pub default_tax_rates: Nothing,
    pub description: Option<String>,
    pub discounts: Nothing,
    pub end_date: Timestamp,
    pub invoice_settings: Option<InvoiceSettings>,
    pub items: Vec<PhaseItem>,
    /// Merged into that of the subscription: an empty value takes its key away.
    pub metadata: Metadata,
    pub on_behalf_of: Null,
    pub proration_behavior: ProrationBehavior,
    pub start_date: Timestamp,
    pub transfer_data: Null,
    /// All of it is one.
    pub trial: bool,
    pub trial_end: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseItem {
    pub billing_thresholds: Null,
    pub discounts: Nothing,
    /// Merged as that of the phase is.
    pub metadata: Metadata,
    pub plan: Id<Price>,
    pub price: Id<Price>,
    pub quantity: i64,
    pub tax_rates: Nothing,
}

/// A one-off item that comes with a phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseExtra {
    pub discountable: bool,
    pub discounts: Nothing,
    pub metadata: Metadata,
    pub period: ExtraPeriod,
    pub price: Id<Price>,
    pub quantity: i64,
    pub tax_rates: Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtraPeriod {
    pub end: PhaseEnd,
    pub start: PhaseStart,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseEnd {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
    #[serde(rename = "type")]
    pub kind: PhaseEndType,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseStart {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
    #[serde(rename = "type")]
    pub kind: PhaseStartType,
}

words!(PhaseEndType { MinItemPeriodEnd = "min_item_period_end", PhaseEnd = "phase_end", Timestamp = "timestamp" });
words!(PhaseStartType {
    MaxItemPeriodStart = "max_item_period_start",
    PhaseStart = "phase_start",
    Timestamp = "timestamp",
});

impl Default for ExtraPeriod {
    fn default() -> Self {
        ExtraPeriod {
            end: PhaseEnd { timestamp: None, kind: PhaseEndType::MinItemPeriodEnd },
            start: PhaseStart { timestamp: None, kind: PhaseStartType::MaxItemPeriodStart },
        }
    }
}

impl ExtraPeriod {
    /// A time that is to be said must be. `param` is where the period was given.
    pub fn check(self, param: &str) -> Result<Self, Refusal> {
        let missing = |side: &str| Err(Refusal::missing(format!("{param}[{side}][timestamp]")));
        if self.start.kind == PhaseStartType::Timestamp && self.start.timestamp.is_none() {
            return missing("start");
        }
        if self.end.kind == PhaseEndType::Timestamp && self.end.timestamp.is_none() {
            return missing("end");
        }
        Ok(self)
    }
}

impl PhaseItem {
    pub fn new(price: Id<Price>, quantity: i64, metadata: Metadata) -> PhaseItem {
        let plan = price.clone();
        PhaseItem { billing_thresholds: Null, discounts: Nothing, metadata, plan, price, quantity, tax_rates: Nothing }
    }
}

impl Phase {
    /// With nothing but items in it.
    pub fn of(items: Vec<PhaseItem>, currency: Currency, start_date: Timestamp, end_date: Timestamp) -> Phase {
        Phase {
            add_invoice_items: Vec::new(),
            application_fee_percent: Null,
            billing_cycle_anchor: None,
            billing_thresholds: Null,
            collection_method: None,
            currency,
            default_payment_method: None,
            default_tax_rates: Nothing,
            description: None,
            discounts: Nothing,
            end_date,
            invoice_settings: None,
            items,
            metadata: Metadata::new(),
            on_behalf_of: Null,
            proration_behavior: ProrationBehavior::CreateProrations,
            start_date,
            transfer_data: Null,
            trial: false,
            trial_end: None,
        }
    }

    pub fn prices(&self) -> impl Iterator<Item = &Id<Price>> {
        self.items.iter().map(|item| &item.price).chain(self.add_invoice_items.iter().map(|extra| &extra.price))
    }

    /// Its items, as a subscription is made of them.
    pub fn new_items(&self) -> Vec<NewItem> {
        let items = self.items.iter();
        items
            .map(|item| NewItem {
                metadata: merged(&item.metadata, Metadata::new()),
                price: item.price.clone(),
                quantity: item.quantity,
            })
            .collect()
    }

    /// A one-off item of it, as a subscription takes it.
    pub fn new_extra(&self, extra: &PhaseExtra) -> NewExtra {
        let (start, end) = (extra.period.start, extra.period.end);
        NewExtra {
            item: NewItem { metadata: extra.metadata.clone(), price: extra.price.clone(), quantity: extra.quantity },
            discountable: extra.discountable,
            start: match (start.kind, start.timestamp) {
                (PhaseStartType::Timestamp, Some(time)) => ExtraStart::Time(time),
                (PhaseStartType::PhaseStart, _) => ExtraStart::Time(self.start_date),
                (PhaseStartType::MaxItemPeriodStart | PhaseStartType::Timestamp, _) => ExtraStart::MaxItemPeriodStart,
            },
            end: match (end.kind, end.timestamp) {
                (PhaseEndType::Timestamp, Some(time)) => ExtraEnd::Time(time),
                (PhaseEndType::PhaseEnd, _) => ExtraEnd::Time(self.end_date),
                (PhaseEndType::MinItemPeriodEnd | PhaseEndType::Timestamp, _) => ExtraEnd::MinItemPeriodEnd,
            },
        }
    }
}

/// The metadata of a subscription, or an item, after that of a phase is merged into it. What would be too
/// much for it is left alone: no phase waits for that.
pub fn merged(of_phase: &Metadata, current: Metadata) -> Metadata {
    MetadataPatch::Merge(of_phase.clone()).apply(current.clone()).unwrap_or(current)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::billing::{
        subscription::BillingMode,
        subscription_schedule::{
            CurrentPhase, DefaultSettings, EndBehavior, Internal, Status, SubscriptionSchedule, Tag,
        },
    };

    /// A schedule of one phase that runs.
    pub fn schedule(start: Timestamp, end: Timestamp) -> SubscriptionSchedule {
        let item = PhaseItem::new(Id::given("price_1"), 1, Metadata::new());
        SubscriptionSchedule {
            id: Id::given("sub_sched_1"),
            object: Tag::SubscriptionSchedule,
            application: Null,
            billing_mode: BillingMode::flexible(),
            canceled_at: None,
            completed_at: None,
            created: start,
            current_phase: Some(CurrentPhase { start_date: start, end_date: end }),
            customer: Id::given("cus_1"),
            customer_account: Null,
            default_settings: DefaultSettings::default(),
            end_behavior: EndBehavior::Release,
            livemode: false,
            metadata: Metadata::new(),
            pause_schedules: Nothing,
            phases: vec![Phase::of(vec![item], Currency::parse("usd").unwrap(), start, end)],
            released_at: None,
            released_subscription: None,
            status: Status::Active,
            subscription: Some(Id::given("sub_1")),
            test_clock: None,
            internal: Internal::default(),
        }
    }

    /// Phase metadata: merged key by key, and an empty value takes its key away.
    #[test]
    fn metadata_of_a_phase_is_merged() {
        let of = |pairs: &[(&str, &str)]| -> Metadata {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let current = of(&[("a", "1"), ("b", "2")]);
        assert_eq!(merged(&of(&[("b", ""), ("c", "3")]), current.clone()), of(&[("a", "1"), ("c", "3")]));
        assert_eq!(merged(&of(&[]), current.clone()), current);
    }
}
