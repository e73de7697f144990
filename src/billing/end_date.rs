//! `cancel_at`: an end that is set beforehand.

use super::{
    Refusal, Timestamp,
    subscription::{CancellationReason, Subscription},
};

/// When a subscription shall end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelAt {
    Time(Timestamp),
    /// The end of the current period (`cancel_at_period_end`).
    PeriodEnd,
    /// The earliest end of the items' current periods.
    MinPeriodEnd,
    /// The latest one.
    MaxPeriodEnd,
    /// The end of what has been billed.
    MaxBilledUntil,
}

impl CancelAt {
    /// The time, unless it follows from the periods.
    pub fn time(self) -> Option<Timestamp> {
        match self {
            CancelAt::Time(time) => Some(time),
            CancelAt::PeriodEnd | CancelAt::MinPeriodEnd | CancelAt::MaxPeriodEnd | CancelAt::MaxBilledUntil => None,
        }
    }

    /// The time in terms of a subscription's periods.
    pub fn resolved(self, subscription: &Subscription) -> Option<Timestamp> {
        let ends = subscription.items.data.iter().map(|item| item.current_period_end);
        match self {
            CancelAt::Time(time) => Some(time),
            CancelAt::PeriodEnd | CancelAt::MinPeriodEnd => ends.min(),
            // Every current period has been billed to its end.
            CancelAt::MaxPeriodEnd | CancelAt::MaxBilledUntil => ends.max(),
        }
    }
}

/// Gives a subscription that is just being made its end.
pub fn set_on_new(subscription: &mut Subscription, wanted: Option<CancelAt>, now: Timestamp) -> Result<(), Refusal> {
    let Some(wanted) = wanted else { return Ok(()) };
    subscription.cancel_at = wanted.resolved(subscription);
    subscription.cancel_at_period_end = wanted == CancelAt::PeriodEnd;
    subscription.canceled_at = Some(now);
    subscription.cancellation_details.reason = Some(CancellationReason::CancellationRequested);
    Ok(())
}
