//! Trials: how long they last, what is told before they end, and what becomes of the subscription then.

use serde::{Deserialize, Serialize};

use super::{
    Books, Id, Moment, Refusal, Timestamp,
    begin::check_trial_end,
    cancel,
    change::{self, Change},
    collect,
    pause::{self, PauseReason},
    price::Price,
    renew,
    subscription::{
        BillingModeType, CancellationReason, CollectionMethod, EndBehavior, MissingPaymentMethod, Status, Subscription,
        TrialEndAnchor, TrialSettings,
    },
};

/// How long before its end `customer.subscription.trial_will_end` is told.
const NOTICE_SECONDS: i64 = 3 * 86_400;

/// A trial as it is asked for; at most one of the three ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrialWanted {
    pub end: Option<TrialEnd>,
    pub days: Option<i64>,
    /// As long as the prices say.
    pub from_plan: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrialEnd {
    Now,
    At(Timestamp),
}

impl Default for TrialSettings {
    fn default() -> Self {
        let missing_payment_method = MissingPaymentMethod::CreateInvoice;
        TrialSettings { end_behavior: EndBehavior { billing_cycle_anchor: None, missing_payment_method } }
    }
}

impl TrialWanted {
    /// When the trial of a new subscription with these prices ends, if there is one.
    pub fn end<'a>(
        &self,
        mut prices: impl Iterator<Item = &'a Price>,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, Refusal> {
        let exclusive = |one: &str, other: &str| Err(Refusal::exclusive(&[one, other]).param(one));
        match (self.end, self.days) {
            (Some(_), Some(_)) => exclusive("trial_end", "trial_period_days"),
            (Some(_), None) if self.from_plan => exclusive("trial_end", "trial_from_plan"),
            (Some(TrialEnd::At(end)), None) => Ok(Some(end)),
            (None, Some(days)) => {
                if !(1..=730).contains(&days) {
                    let message = "Invalid trial_period_days: a trial lasts at least one day and at most 730 days.";
                    return Err(Refusal::invalid(message).param("trial_period_days"));
                }
                Ok(Some(now.plus_days(days)))
            }
            (None, None) if self.from_plan => {
                // The longest that any of the prices promises.
                let longest = prices.by_ref().filter_map(Price::trial_period_days).max();
                Ok(longest.map(|days| now.plus_days(days)))
            }
            (Some(TrialEnd::Now) | None, None) => Ok(None),
        }
    }
}

impl TrialWanted {
    /// The end of trial that is wished for a running subscription that will have these prices.
    pub fn change<'a>(
        &self,
        prices: impl Iterator<Item = &'a Price>,
        now: Timestamp,
    ) -> Result<Option<TrialEnd>, Refusal> {
        let end = self.end(prices, now)?;
        Ok(end.map(TrialEnd::At).or(self.end))
    }
}

impl Subscription {
    /// What it is as long as nothing is owed.
    pub fn settled_status(&self, now: Timestamp) -> Status {
        if self.trial_end.is_some_and(|end| end > now) { Status::Trialing } else { Status::Active }
    }

    /// When the end of its trial is to be told of, unless that has been done.
    pub fn trial_notice_at(&self) -> Option<Timestamp> {
        let end = self.trial_end.filter(|_| self.status == Status::Trialing)?;
        (self.internal.told_trial_end != Some(end)).then(|| end.plus_seconds(-NOTICE_SECONDS))
    }
}

/// What a wish about the end of the trial means for a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrialChange {
    /// The running trial is over, and the first paid period begins.
    Ends,
    /// It ends at another time; nothing is paid for that.
    Moves(Timestamp),
    /// What was paid for is interrupted by a trial.
    Begins(Timestamp),
}

/// The trial that a change leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    pub start: Timestamp,
    pub end: Timestamp,
    pub status: Status,
}

impl TrialChange {
    /// What is wished for, if it changes anything. `restarts`: the same request begins a new cycle now.
    pub fn of(
        subscription: &Subscription,
        wanted: Option<TrialEnd>,
        restarts: bool,
        now: Timestamp,
    ) -> Result<Option<TrialChange>, Refusal> {
        let trialing = subscription.status == Status::Trialing;
        let end = match wanted {
            None => return Ok(None),
            Some(TrialEnd::Now) => return Ok(trialing.then_some(TrialChange::Ends)),
            Some(TrialEnd::At(end)) => end,
        };
        check_trial_end(Some(end), now)?;
        if subscription.status == Status::Paused {
            let message = "The subscription is paused: resume it instead of giving it a trial.";
            return Err(Refusal::invalid(message).param("trial_end"));
        }
        // A running trial of which the anchor is no part must not reach beyond it.
        let anchor = subscription.billing_cycle_anchor;
        let own_anchor = trialing && subscription.trial_end != Some(anchor) && anchor > now;
        if restarts || own_anchor && end > anchor {
            let message = "The trial_end cannot be after the billing_cycle_anchor.";
            return Err(Refusal::invalid(message)
                .code("subscription_update_trial_after_billing_cycle_anchor")
                .param("trial_end"));
        }
        Ok(Some(if trialing { TrialChange::Moves(end) } else { TrialChange::Begins(end) }))
    }

    /// Where the anchor is from now on: with the end of the trial, unless it has a place of its own.
    pub fn anchor(self, subscription: &Subscription, now: Timestamp) -> Timestamp {
        let anchor = subscription.billing_cycle_anchor;
        if subscription.trial_settings.end_behavior.billing_cycle_anchor == Some(TrialEndAnchor::Unchanged) {
            return anchor;
        }
        match self {
            TrialChange::Ends => now,
            TrialChange::Moves(end) if subscription.trial_end == Some(anchor) => end,
            TrialChange::Moves(_) => anchor,
            TrialChange::Begins(end) => end,
        }
    }

    /// The trial as it is then. In classic mode a second one does not hide when the first began.
    pub fn trial(self, subscription: &Subscription, now: Timestamp) -> Trial {
        let start = match (self, subscription.trial_start) {
            (TrialChange::Begins(_), Some(first)) if subscription.billing_mode.kind == BillingModeType::Classic => {
                first
            }
            (TrialChange::Ends | TrialChange::Moves(_), Some(start)) => start,
            (_, _) => now,
        };
        match self {
            TrialChange::Ends => Trial { start, end: now, status: Status::Active },
            TrialChange::Moves(end) | TrialChange::Begins(end) => Trial { start, end, status: Status::Trialing },
        }
    }
}

/// Tells that a trial ends soon, once for each end.
pub fn give_notice(books: &mut Books, id: &Id<Subscription>, at: &mut Moment) -> Result<(), Refusal> {
    let mut subscription = books.find(id, "subscription")?.clone();
    subscription.internal.told_trial_end = subscription.trial_end;
    books.put(subscription);
    books.tell_beside(id, "customer.subscription.trial_will_end", at);
    Ok(())
}

/// The same where it is late enough for it: a trial shorter than the notice is told of at its start.
pub fn give_notice_if_due(books: &mut Books, id: &Id<Subscription>, at: &mut Moment) -> Result<(), Refusal> {
    match books.find(id, "subscription")?.trial_notice_at() {
        Some(time) if time <= at.now => give_notice(books, id, at),
        _ => Ok(()),
    }
}

/// A trial has lasted its time. With a payment method (or an invoice to be sent) the first paid period
/// begins; without one it goes as was asked for.
pub fn end(books: &mut Books, id: &Id<Subscription>, at: &mut Moment) -> Result<(), Refusal> {
    if stops(books, books.find(id, "subscription")?) { stop(books, id, at) } else { renew::renew(books, id, at) }
}

/// Whether the end of its trial ends or pauses a subscription: it has no payment method, and that was
/// asked for.
fn stops(books: &Books, subscription: &Subscription) -> bool {
    let payable = subscription.collection_method == CollectionMethod::SendInvoice
        || collect::resolve_for_subscription(books, subscription).is_some();
    !payable && subscription.trial_settings.end_behavior.missing_payment_method != MissingPaymentMethod::CreateInvoice
}

/// Ends or pauses it.
fn stop(books: &mut Books, id: &Id<Subscription>, at: &mut Moment) -> Result<(), Refusal> {
    let subscription = books.find(id, "subscription")?;
    match subscription.trial_settings.end_behavior.missing_payment_method {
        MissingPaymentMethod::Cancel => cancel::end(books, id, CancellationReason::CancellationRequested, at),
        MissingPaymentMethod::CreateInvoice | MissingPaymentMethod::Pause => {
            let paused = subscription.clone().pause(PauseReason::TrialEndWithoutPaymentMethod, at.now);
            pause::stop(books, paused, at);
            Ok(())
        }
    }
}

/// Whether a change cuts a trial short, and that is what becomes of it.
pub fn is_stopped_by(books: &Books, id: &Id<Subscription>, change: &Change) -> Result<bool, Refusal> {
    let subscription = books.find(id, "subscription")?;
    let ends = subscription.status == Status::Trialing && change.trial.end == Some(TrialEnd::Now);
    Ok(ends && stops(books, subscription))
}

/// Cuts it short. The items are what they were to be.
pub fn stop_by(books: &mut Books, id: &Id<Subscription>, change: &Change, at: &mut Moment) -> Result<(), Refusal> {
    // No invoice comes of what is worked out: it stays aside.
    let mut aside = books.clone();
    let becomes = change::plan(&mut aside, id, change, at)?.becomes;
    let mut over = aside.find(id, "subscription")?.clone();
    let began = over.period().map_or(at.now, |period| period.start);
    over.items.data = becomes.items;
    over.items.data.iter_mut().for_each(|item| item.current_period_start = began);
    over.metadata = becomes.metadata.unwrap_or(over.metadata);
    over.trial_end = Some(at.now);
    books.put(over);
    give_notice(books, id, at)?;
    stop(books, id, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ways to ask for a trial, and which exclude each other.
    #[test]
    fn one_way_to_ask_for_a_trial() {
        let now = Timestamp::new(1_000_000);
        let wanted = |end, days, from_plan| TrialWanted { end, days, from_plan }.end([].into_iter(), now);
        assert_eq!(wanted(None, None, false), Ok(None));
        assert_eq!(wanted(None, None, true), Ok(None), "prices without trials");
        assert_eq!(wanted(None, Some(14), false), Ok(Some(Timestamp::new(1_000_000 + 14 * 86_400))));
        assert_eq!(wanted(Some(TrialEnd::Now), None, false), Ok(None));
        assert_eq!(wanted(Some(TrialEnd::At(now)), None, false), Ok(Some(now)));
        // The number of days overrides what the prices say.
        assert_eq!(wanted(None, Some(1), true), Ok(Some(Timestamp::new(1_086_400))));
        for (refused, param) in [
            (wanted(Some(TrialEnd::Now), Some(1), false), "trial_end"),
            (wanted(Some(TrialEnd::At(now)), None, true), "trial_end"),
            (wanted(None, Some(0), false), "trial_period_days"),
            (wanted(None, Some(731), false), "trial_period_days"),
        ] {
            assert_eq!(refused.unwrap_err().param.as_deref(), Some(param));
        }
    }
}
