//! From one phase to the next: a schedule makes of its subscription what its phases say, each at its time.

use super::{
    Books, Id, Metadata, MetadataPatch, Moment, Refusal, Resource, advance,
    begin::When,
    cancel::{self, LastInvoice},
    change::{self, Act, Change, ItemChange},
    end_date::CancelAt,
    extra::{self, NewExtra},
    pause_collection,
    payment_method::PaymentMethod,
    pending_update,
    phases::{self, Settings},
    prorate::ProrationBehavior,
    renew, schedule,
    shape::Patch,
    subscribe::{self, NewSubscription},
    subscription::{Item, Status as SubscriptionStatus, Subscription},
    subscription_schedule::{
        CurrentPhase, EndBehavior, Phase, PhaseAnchor, PhaseExtra, PhaseItem, Status, SubscriptionSchedule, merged,
    },
    trial::{self, TrialEnd, TrialWanted},
};

/// Does what is due about a schedule. A boundary is where it was laid, however late somebody comes to it: what
/// is billed from there on must meet the boundaries of the billing cycle.
pub fn come_round(books: &mut Books, id: &Id<SubscriptionSchedule>, at: &mut Moment) -> Result<(), Refusal> {
    let schedule = books.find(id, "schedule")?;
    let Some(due) = schedule.due() else { return Ok(()) };
    let (now, status, ends) = (at.now, schedule.status, schedule.current_phase.map(|current| current.end_date));
    at.now = due.min(now);
    let done = if status == Status::NotStarted {
        start(books, id, at).map(|()| books.tell(id, "subscription_schedule.updated", at))
    } else if ends.is_some_and(|end| end <= at.now) {
        turn(books, id, at)
    } else {
        give_notice(books, id, at)
    };
    at.now = now;
    done
}

/// Does all that has been due about a schedule and its subscription, before a caller looks at them.
pub fn catch_up(books: &mut Books, id: &Id<SubscriptionSchedule>, at: &mut Moment) -> Result<(), Refusal> {
    if books.get(id).and_then(Resource::due).is_some_and(|due| due <= at.now)
        && books.get(id).is_some_and(|schedule| schedule.status == Status::NotStarted)
    {
        come_round(books, id, at)?;
    }
    match books.get(id).and_then(|schedule| schedule.subscription.clone()) {
        Some(subscription) => advance::catch_up(books, &subscription, at),
        None => Ok(()),
    }
}

fn give_notice(books: &mut Books, id: &Id<SubscriptionSchedule>, at: &mut Moment) -> Result<(), Refusal> {
    let mut schedule = books.find(id, "schedule")?.clone();
    schedule.internal.told_end = schedule.end();
    books.put(schedule).tell("subscription_schedule.expiring", at);
    Ok(())
}

/// The first phase begins, and with it the subscription.
pub fn start(books: &mut Books, id: &Id<SubscriptionSchedule>, at: &mut Moment) -> Result<(), Refusal> {
    let schedule = books.find(id, "schedule")?.clone();
    let Some(first) = schedule.phases.first().cloned() else { return Ok(()) };
    let settings = attached(books, Settings::of(&first, &schedule.default_settings));
    let wanted = NewSubscription {
        extras: first.add_invoice_items.iter().map(|extra| first.new_extra(extra)).collect(),
        billing_mode: schedule.billing_mode.clone(),
        cancel_at: schedule.cancel_at(&first).map(CancelAt::Time),
        collection_method: settings.collection_method,
        currency: Some(first.currency),
        days_until_due: settings.days_until_due,
        default_payment_method: settings.default_payment_method,
        description: settings.description,
        invoice_settings: settings.invoice_settings,
        metadata: merged(&first.metadata, Metadata::new()),
        off_session: true,
        trial: TrialWanted {
            end: first.trial_end.filter(|end| *end > at.now).map(TrialEnd::At),
            ..TrialWanted::default()
        },
        when: When {
            backdated_to: Some(first.start_date).filter(|start| *start < at.now),
            free_of_prorations: first.proration_behavior == ProrationBehavior::None,
            ..When::default()
        },
        schedule: Some(id.clone()),
        agreed: schedule.prices(),
        ..NewSubscription::of(schedule.customer.clone(), first.new_items())
    };
    let subscription = subscribe::subscribe(books, &wanted, at)?;
    let begun = SubscriptionSchedule {
        current_phase: Some(span(&first)),
        status: Status::Active,
        subscription: Some(subscription),
        ..schedule
    };
    schedule::keep(books, begun);
    Ok(())
}

const fn span(phase: &Phase) -> CurrentPhase {
    CurrentPhase { end_date: phase.end_date, start_date: phase.start_date }
}

/// A payment method that has come loose meanwhile pays for nothing.
fn attached(books: &Books, settings: Settings) -> Settings {
    let is_attached = |id: &Id<PaymentMethod>| books.get(id).is_some_and(|method| method.customer.is_some());
    Settings { default_payment_method: settings.default_payment_method.filter(is_attached), ..settings }
}

/// A phase is over: the next begins, or the schedule has come to its end.
fn turn(books: &mut Books, id: &Id<SubscriptionSchedule>, at: &mut Moment) -> Result<(), Refusal> {
    let schedule = books.find(id, "schedule")?.clone();
    let Some((place, over)) = schedule.current().map(|(place, phase)| (place, phase.clone())) else { return Ok(()) };
    let Some(next) = schedule.phases.get(place + 1).cloned() else { return complete(books, schedule, at) };
    let turned = SubscriptionSchedule { current_phase: Some(span(&next)), ..schedule };
    schedule::keep(books, turned.clone());
    books.tell(id, "subscription_schedule.updated", at);
    let step = Step {
        schedule: &turned,
        before: Settings::of(&over, &turned.default_settings),
        metadata: next.metadata.clone(),
        items: item_changes(books, &turned, &next, None),
        extras: next.add_invoice_items.clone(),
        restart: phases::anchor(&next, &turned.default_settings) == PhaseAnchor::PhaseStart,
        end: turned.cancel_at(&next).map_or(Patch::Keep, |end| Patch::Set(CancelAt::Time(end))),
        prorations: next.proration_behavior,
        phase: &next,
    };
    step.take(books, at)
}

/// All phases are over. The subscription goes on by itself, or ends here.
fn complete(books: &mut Books, schedule: SubscriptionSchedule, at: &mut Moment) -> Result<(), Refusal> {
    let (id, end_behavior, subscription) = (schedule.id.clone(), schedule.end_behavior, schedule.subscription.clone());
    let completed_at = Some(at.now);
    let completed = SubscriptionSchedule { completed_at, current_phase: None, status: Status::Completed, ..schedule };
    schedule::keep(books, completed);
    books.tell(&id, "subscription_schedule.completed", at);
    let Some(subscription) = subscription.as_ref().and_then(|id| books.get(id)).cloned() else { return Ok(()) };
    match end_behavior {
        EndBehavior::Cancel => cancel::end_with_invoice(books, &subscription.id, LastInvoice::Draft, at),
        EndBehavior::Release => {
            let (id, renews) = (subscription.id.clone(), subscription.is_over(at.now));
            books.put(Subscription { schedule: None, ..subscription });
            // A renewal that is due tells of this, too.
            if !renews {
                books.tell(&id, "customer.subscription.updated", at);
            }
            Ok(())
        }
    }
}

/// A schedule is another: what is different in its running phase is so at once, and a phase that ends now is
/// over.
pub fn revise(
    books: &mut Books,
    before: &SubscriptionSchedule,
    schedule: &SubscriptionSchedule,
    prorations: ProrationBehavior,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let id = schedule.id.clone();
    let (Some((_, old)), Some((_, new))) = (before.current(), schedule.current()) else {
        return Err(Refusal::internal("An active schedule has a running phase."));
    };
    schedule::keep(books, schedule.clone());
    if new.end_date <= at.now {
        return turn(books, &id, at);
    }
    books.tell(&id, "subscription_schedule.updated", at);
    let ends = schedule.cancel_at(new);
    let is_new = |extra: &&PhaseExtra| !old.add_invoice_items.contains(extra);
    let step = Step {
        before: Settings::of(old, &before.default_settings),
        metadata: if new.metadata == old.metadata { Metadata::new() } else { new.metadata.clone() },
        items: item_changes(books, schedule, new, Some(old)),
        extras: new.add_invoice_items.iter().filter(is_new).cloned().collect(),
        restart: false,
        end: match ends {
            end if end == before.cancel_at(old) => Patch::Keep,
            Some(end) => Patch::Set(CancelAt::Time(end)),
            None => Patch::Clear,
        },
        prorations,
        schedule,
        phase: new,
    };
    step.take(books, at)
}

/// What makes a subscription what a phase says.
struct Step<'a> {
    schedule: &'a SubscriptionSchedule,
    phase: &'a Phase,
    /// What the settings were to be until now: what stays the same is left as it is, whoever has changed it.
    before: Settings,
    metadata: Metadata,
    items: Vec<ItemChange>,
    extras: Vec<PhaseExtra>,
    restart: bool,
    end: Patch<CancelAt>,
    prorations: ProrationBehavior,
}

impl Step<'_> {
    /// Nobody waits for an answer, and what is invoiced stays a draft for an hour, as with a renewal. Where a
    /// renewal is due as well, it bills the phase and tells of it, and there is nothing to prorate.
    fn take(self, books: &mut Books, at: &mut Moment) -> Result<(), Refusal> {
        let Some(id) = &self.schedule.subscription else { return Ok(()) };
        let Some(subscription) = books.get(id).filter(|one| !one.status.is_terminal()).cloned() else { return Ok(()) };
        let trial = self.trial(&subscription, at);
        let renews = subscription.is_over(at.now) && trial.is_none();
        let runs = !matches!(subscription.status, SubscriptionStatus::Paused | SubscriptionStatus::Trialing);
        self.settle(books, subscription);
        pending_update::discard(books, id, at)?;
        let extras: Vec<NewExtra> = self.extras.iter().map(|extra| self.phase.new_extra(extra)).collect();
        let (now, later) = if renews { (Vec::new(), extras) } else { (extras, Vec::new()) };
        let change = Change {
            items: self.items,
            extras: now,
            restart: self.restart && runs && self.phase.trial_end.is_none(),
            end: self.end,
            trial: TrialWanted { end: trial, ..TrialWanted::default() },
            // The renewal takes along what there is.
            proration_behavior: match self.prorations {
                ProrationBehavior::AlwaysInvoice if renews => ProrationBehavior::CreateProrations,
                prorations => prorations,
            },
            agreed: self.schedule.prices(),
            ..Change::default()
        };
        if trial::is_stopped_by(books, id, &change)? {
            return trial::stop_by(books, id, &change, at);
        }
        let plan = change::plan(books, id, &change, at)?;
        if plan.becomes.trial.is_some_and(|trial| trial.status != SubscriptionStatus::Trialing) {
            trial::give_notice(books, id, at)?;
        }
        if let Some(invoice) = &plan.invoice {
            pause_collection::neutralize(books, id, invoice, at)?;
        }
        change::become_so(books, id, plan.becomes, plan.invoice, at)?;
        if !renews {
            books.tell(id, "customer.subscription.updated", at);
            return trial::give_notice_if_due(books, id, at);
        }
        let (renewed, _) = renew::roll_over(books, books.find(id, "subscription")?.clone())?;
        for (index, extra) in later.iter().enumerate() {
            extra::add(books, &renewed, extra, index, &change.agreed, at)?;
        }
        Ok(())
    }

    /// What is to become of the trial. A phase that says nothing of one has none; one that ends now does so
    /// by itself.
    fn trial(&self, subscription: &Subscription, at: &Moment) -> Option<TrialEnd> {
        let running =
            subscription.trial_end.filter(|end| subscription.status == SubscriptionStatus::Trialing && *end > at.now);
        match (self.phase.trial_end.filter(|end| *end > at.now), running) {
            _ if subscription.status == SubscriptionStatus::Paused => None,
            (Some(wanted), running) => (running != Some(wanted)).then_some(TrialEnd::At(wanted)),
            (None, Some(_)) => Some(TrialEnd::Now),
            (None, None) => None,
        }
    }

    /// What the phase says beside items and trial.
    fn settle(&self, books: &mut Books, mut subscription: Subscription) {
        let (before, after) =
            (&self.before, attached(books, Settings::of(self.phase, &self.schedule.default_settings)));
        if (before.collection_method, before.days_until_due) != (after.collection_method, after.days_until_due) {
            (subscription.collection_method, subscription.days_until_due) =
                (after.collection_method, after.days_until_due);
        }
        if before.default_payment_method != after.default_payment_method {
            subscription.default_payment_method = after.default_payment_method;
        }
        if before.description != after.description {
            subscription.description = after.description;
        }
        if before.invoice_settings != after.invoice_settings {
            subscription.invoice_settings = after.invoice_settings;
        }
        subscription.metadata = merged(&self.metadata, subscription.metadata);
        books.put(subscription);
    }
}

/// What makes the items of the subscription those of a phase: the same price keeps its item; of the others
/// each takes the place of one that is there, in their order. `before` is the phase as it was, if it has
/// begun: what has not been changed in it is not merged again.
fn item_changes(
    books: &Books,
    schedule: &SubscriptionSchedule,
    phase: &Phase,
    before: Option<&Phase>,
) -> Vec<ItemChange> {
    let subscription = schedule.subscription.as_ref().and_then(|id| books.get(id));
    let mut left: Vec<&Item> = subscription.map(|one| one.items.data.iter().collect()).unwrap_or_default();
    let known = before.map_or(&[][..], |before| &before.items);
    let mut changes = Vec::new();
    let mut others = Vec::new();
    for (index, item) in phase.items.iter().enumerate() {
        match left.iter().position(|old| old.price == item.price) {
            Some(place) => changes.push(edit(left.remove(place), item, index, known)),
            None => others.push((index, item)),
        }
    }
    let mut left = left.into_iter();
    for (index, item) in others {
        changes.push(match left.next() {
            Some(old) => edit(old, item, index, known),
            None => {
                let (price, quantity) = (item.price.clone(), Some(item.quantity));
                let metadata = merged(&item.metadata, Metadata::new());
                ItemChange { param: param(index), act: Act::Add { price, quantity, metadata } }
            }
        });
    }
    let removed = left.map(|old| ItemChange { param: "items".to_owned(), act: Act::Remove { id: old.id.clone() } });
    changes.extend(removed);
    changes
}

fn edit(old: &Item, item: &PhaseItem, index: usize, known: &[PhaseItem]) -> ItemChange {
    let is_merged = known.iter().any(|one| one.price == item.price && one.metadata == item.metadata);
    let merges = !is_merged && merged(&item.metadata, old.metadata.clone()) != old.metadata;
    let act = Act::Edit {
        id: old.id.clone(),
        price: Some(item.price.clone()),
        quantity: Some(item.quantity),
        metadata: if merges { MetadataPatch::Merge(item.metadata.clone()) } else { MetadataPatch::Keep },
    };
    ItemChange { param: param(index), act }
}

fn param(index: usize) -> String {
    format!("items[{index}]")
}

/// The items of a subscription were changed beside its schedule: the running phase is split where they were,
/// so that the rest of it is as the subscription is now. So is the trial that it runs in.
pub fn split(books: &mut Books, id: &Id<Subscription>, at: &mut Moment) {
    let Some(subscription) = books.get(id) else { return };
    let schedule = subscription.schedule.as_ref().and_then(|schedule| books.get(schedule));
    let Some(schedule) = schedule.filter(|schedule| schedule.status == Status::Active) else { return };
    let Some((place, running)) = schedule.current() else { return };
    let items = schedule::items_of(subscription);
    let trial_end = subscription.trial_end.filter(|end| *end > at.now);
    let keeps_trial = trial_end == running.trial_end.filter(|end| *end > at.now);
    let keeps_items = is_same(&items, &running.items);
    if at.now >= running.end_date || keeps_trial && keeps_items {
        return;
    }
    let mut split = schedule.clone();
    let mut rest = running.clone();
    if !keeps_trial {
        (rest.trial, rest.trial_end) = (trial_end == Some(rest.end_date), trial_end);
    }
    if keeps_items {
        split.phases[place] = rest;
    } else if at.now <= running.start_date {
        split.phases[place] = Phase { items, ..rest };
    } else {
        let rest = Phase { items, start_date: at.now, add_invoice_items: Vec::new(), ..rest };
        let ended = &mut split.phases[place];
        (ended.end_date, ended.trial_end) = (at.now, ended.trial_end.map(|end| end.min(at.now)));
        split.current_phase = Some(span(&rest));
        split.phases.insert(place + 1, rest);
    }
    let id = split.id.clone();
    schedule::keep(books, split);
    books.tell(&id, "subscription_schedule.updated", at);
}

/// Whether there are the same prices, and as many of each.
fn is_same(items: &[PhaseItem], others: &[PhaseItem]) -> bool {
    let is_there =
        |item: &PhaseItem| others.iter().any(|other| other.price == item.price && other.quantity == item.quantity);
    items.len() == others.len() && items.iter().all(is_there)
}
