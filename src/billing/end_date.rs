//! `cancel_at`: an end that is set beforehand.

use super::{
    Books, Id, Moment, Refusal, Timestamp, anchor,
    begin::LATEST_END,
    prorate::{self, Billed, ProrationBehavior},
    schedule,
    subscription::{CancellationDetails, CancellationReason, Item, Status, Subscription},
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

impl Subscription {
    /// With an end that was asked for now, or with none.
    #[must_use]
    pub fn ending(self, wanted: Option<CancelAt>, now: Timestamp) -> Subscription {
        let reason = wanted.map(|_| CancellationReason::CancellationRequested);
        Subscription {
            cancel_at: wanted.and_then(|wanted| wanted.resolved(&self)),
            cancel_at_period_end: wanted == Some(CancelAt::PeriodEnd),
            canceled_at: wanted.map(|_| now),
            cancellation_details: CancellationDetails { reason, ..self.cancellation_details },
            ..self
        }
    }
}

/// Asks for the end at the end of the period, or takes that back.
pub fn at_period_end(books: &mut Books, id: &Id<Subscription>, wanted: bool, at: &mut Moment) -> Result<(), Refusal> {
    let subscription = books.find(id, "subscription")?;
    if subscription.cancel_at_period_end != wanted {
        schedule::refuse_end(subscription, "cancel_at_period_end")?;
        let changed = subscription.clone().ending(wanted.then_some(CancelAt::PeriodEnd), at.now);
        books.put(changed);
    }
    Ok(())
}

/// Gives a running subscription another end, or none. An end inside the current period shortens the
/// period, and what was billed beyond is credited; taken away or moved, the period is given back for
/// its price (`cancel_at`). Both wait for the next invoice.
pub fn set(
    books: &mut Books,
    id: &Id<Subscription>,
    wanted: Option<CancelAt>,
    prorations: ProrationBehavior,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let mut subscription = books.find(id, "subscription")?.clone();
    let earlier = subscription.cancel_at;
    let end = wanted.and_then(|wanted| wanted.resolved(&subscription));
    if end.is_some_and(|end| end <= at.now || end > LATEST_END) {
        let message = "Invalid timestamp: it must be in the future, and before the year 10000.";
        return Err(Refusal::invalid(message).param("cancel_at"));
    }
    if matches!(subscription.status, Status::Active | Status::PastDue | Status::Unpaid) {
        for index in 0..subscription.items.data.len() {
            fit(books, &mut subscription, index, (earlier, end), prorations, at)?;
        }
    }
    books.put(subscription.ending(end.map(CancelAt::Time), at.now));
    Ok(())
}

/// Shortens the current period of an item to the new end, or undoes what the earlier end took from it.
fn fit(
    books: &mut Books,
    subscription: &mut Subscription,
    index: usize,
    (earlier, end): (Option<Timestamp>, Option<Timestamp>),
    prorations: ProrationBehavior,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let item = subscription.items.data[index].clone();
    let natural = subscription.grid().period_at(anchor::cycle_of(books, &item)?, item.current_period_start)?.end;
    let (old, new) = (item.current_period_end, end.map_or(natural, |end| end.min(natural)));
    let prorated = prorations != ProrationBehavior::None;
    let billed = if new < old {
        if prorated {
            prorate::credit(books, subscription, &item, new, at)?;
        }
        let (kept, currency) = (std::mem::take(&mut subscription.internal.billed), subscription.currency);
        kept.into_iter()
            .map(|billed| if billed.item == item.id { billed.until(new, currency) } else { Ok(Some(billed)) })
            .filter_map(Result::transpose)
            .collect::<Result<Vec<Billed>, Refusal>>()?
    } else if new > old && Some(old) == earlier {
        let mut billed = prorate::billed(books, subscription, &item)?;
        let longer = Item { current_period_end: new, ..item.clone() };
        billed.push(if prorated {
            prorate::debit(books, subscription, &longer, old, at)?
        } else {
            prorate::nothing_billed(books, &longer, subscription.currency, old)?
        });
        let others = std::mem::take(&mut subscription.internal.billed).into_iter();
        others.filter(|other| other.item != item.id).chain(billed).collect()
    } else {
        return Ok(());
    };
    subscription.internal.billed = billed;
    subscription.items.data[index].current_period_end = new;
    Ok(())
}
