//! Making, changing and ending schedules by a caller's wish.

use super::{
    Books, Id, Metadata, MetadataPatch, Moment, Refusal, Timestamp, cancel, change,
    customer::Customer,
    end_date,
    phases::{self, Layout, NewPhase},
    prorate::ProrationBehavior,
    shape::{Nothing, Null},
    subscribe,
    subscription::{BillingMode, CancellationReason, Status as SubscriptionStatus, Subscription},
    subscription_schedule::{
        CurrentPhase, DefaultSettings, EndBehavior, Internal, InvoiceSettings, Phase, PhaseItem, Status,
        SubscriptionSchedule, Tag,
    },
    transition,
};

/// A schedule as it is asked for.
#[derive(Clone, Debug)]
pub struct NewSchedule {
    pub phases: Vec<NewPhase>,
    pub start: Timestamp,
    pub billing_mode: BillingMode,
    pub default_settings: DefaultSettings,
    pub end_behavior: EndBehavior,
    pub metadata: Metadata,
}

/// What is to be different.
#[derive(Clone, Debug)]
pub struct Update {
    /// All that are not over.
    pub phases: Option<Vec<NewPhase>>,
    pub default_settings: Option<DefaultSettings>,
    pub end_behavior: Option<EndBehavior>,
    pub metadata: MetadataPatch,
    /// What it costs if the running phase is different.
    pub prorations: ProrationBehavior,
}

/// Keeps a schedule, and lets its customer know whether there is any that stands.
pub fn keep(books: &mut Books, schedule: SubscriptionSchedule) {
    books.put(schedule);
    let scheduled = books.all::<SubscriptionSchedule>().any(|schedule| schedule.status.is_standing());
    let customer = books.all::<Customer>().next().filter(|customer| customer.internal.scheduled != scheduled);
    if let Some(mut customer) = customer.cloned() {
        customer.internal.scheduled = scheduled;
        books.put(customer);
    }
}

/// Schedules a subscription: it begins now, or later; of one that begins in the past the time that has passed
/// is billed.
pub fn create(books: &mut Books, wanted: NewSchedule, at: &mut Moment) -> Result<Id<SubscriptionSchedule>, Refusal> {
    let customer = books.customer()?.clone();
    subscribe::check_room(books, &customer)?;
    check_start(wanted.start, "start_date")?;
    let layout = Layout {
        start: wanted.start,
        anchor: wanted.start,
        currency: None,
        mode: wanted.billing_mode.kind,
        defaults: &wanted.default_settings,
        agreed: &[],
    };
    let phases = phases::lay(books, wanted.phases, &layout)?;
    check_first_end(&phases, at.now)?;
    let schedule = SubscriptionSchedule {
        billing_mode: wanted.billing_mode,
        default_settings: wanted.default_settings,
        end_behavior: wanted.end_behavior,
        metadata: wanted.metadata,
        phases,
        ..blank(&customer, at)
    };
    let id = schedule.id.clone();
    keep(books, schedule);
    books.tell(&id, "subscription_schedule.created", at);
    if wanted.start <= at.now {
        transition::start(books, &id, at)?;
        books.retell(&id, "subscription_schedule.created");
    }
    Ok(id)
}

fn check_start(start: Timestamp, param: &str) -> Result<(), Refusal> {
    if start >= Timestamp::new(0) {
        return Ok(());
    }
    Err(Refusal::invalid("Invalid timestamp: it must lie after the year 1970.").param(param))
}

/// What has passed already cannot be gone through.
fn check_first_end(phases: &[Phase], now: Timestamp) -> Result<(), Refusal> {
    if phases.first().is_some_and(|first| first.end_date > now) {
        return Ok(());
    }
    Err(Refusal::invalid("The first phase must end in the future.").param("phases[0][end_date]"))
}

fn blank(customer: &Customer, at: &mut Moment) -> SubscriptionSchedule {
    SubscriptionSchedule {
        id: Id::new(&mut at.ids, customer.id.bucket()),
        object: Tag::SubscriptionSchedule,
        application: Null,
        billing_mode: BillingMode::flexible(),
        canceled_at: None,
        completed_at: None,
        created: at.now,
        current_phase: None,
        customer: customer.id.clone(),
        customer_account: Null,
        default_settings: DefaultSettings::default(),
        end_behavior: EndBehavior::Release,
        livemode: customer.livemode,
        metadata: Metadata::new(),
        pause_schedules: Nothing,
        phases: Vec::new(),
        released_at: None,
        released_subscription: None,
        status: Status::NotStarted,
        subscription: None,
        test_clock: customer.test_clock.clone(),
        internal: Internal::default(),
    }
}

/// Gives a subscription a schedule: its only phase is what it is now, until its period ends
/// (`from_subscription`).
pub fn from_subscription(
    books: &mut Books,
    id: &Id<Subscription>,
    metadata: Metadata,
    at: &mut Moment,
) -> Result<Id<SubscriptionSchedule>, Refusal> {
    books.find(id, "from_subscription")?;
    let subscription = change::open(books, id, at)?;
    let refusal = |message: String| Err(Refusal::invalid(message).param("from_subscription"));
    if let Some(other) = &subscription.schedule {
        return refusal(format!("The subscription {id} has a schedule already: {other}."));
    }
    if matches!(subscription.status, SubscriptionStatus::Incomplete | SubscriptionStatus::Paused)
        || subscription.status.is_terminal()
    {
        return refusal(format!("A subscription whose status is {} cannot be scheduled.", subscription.status));
    }
    let Some(period) = subscription.period() else { return refusal(format!("The subscription {id} has no period.")) };
    let schedule = SubscriptionSchedule {
        billing_mode: subscription.billing_mode.clone(),
        current_phase: Some(CurrentPhase { start_date: period.start, end_date: period.end }),
        default_settings: defaults_of(&subscription),
        end_behavior: if subscription.cancel_at == Some(period.end) {
            EndBehavior::Cancel
        } else {
            EndBehavior::Release
        },
        metadata,
        phases: vec![Phase {
            trial_end: subscription.trial_end.filter(|_| subscription.status == SubscriptionStatus::Trialing),
            ..Phase::of(items_of(&subscription), subscription.currency, period.start, period.end)
        }],
        status: Status::Active,
        subscription: Some(id.clone()),
        ..blank(books.customer()?, at)
    };
    let made = schedule.id.clone();
    keep(books, schedule);
    books.tell(&made, "subscription_schedule.created", at);
    books.put(Subscription { schedule: Some(made.clone()), ..subscription }).tell("customer.subscription.updated", at);
    Ok(made)
}

/// The items of a subscription, as a phase has them.
pub fn items_of(subscription: &Subscription) -> Vec<PhaseItem> {
    let items = subscription.items.data.iter();
    items.map(|item| PhaseItem::new(item.price.clone(), item.quantity, item.metadata.clone())).collect()
}

fn defaults_of(subscription: &Subscription) -> DefaultSettings {
    let invoices = &subscription.invoice_settings;
    DefaultSettings {
        collection_method: Some(subscription.collection_method),
        default_payment_method: subscription.default_payment_method.clone(),
        description: subscription.description.clone(),
        invoice_settings: InvoiceSettings {
            custom_fields: invoices.custom_fields.clone(),
            days_until_due: subscription.days_until_due,
            description: invoices.description.clone(),
            footer: invoices.footer.clone(),
            ..InvoiceSettings::default()
        },
        ..DefaultSettings::default()
    }
}

/// The schedule that a request names, as it is before the request: what was due earlier has been done.
pub fn open(
    books: &mut Books,
    id: &Id<SubscriptionSchedule>,
    at: &mut Moment,
) -> Result<SubscriptionSchedule, Refusal> {
    transition::catch_up(books, id, at)?;
    let subscription = books.at_path(id)?.subscription.clone();
    if let Some(subscription) = subscription.filter(|one| books.get(one).is_some()) {
        change::open(books, &subscription, at)?;
    }
    Ok(books.at_path(id)?.clone())
}

fn check_standing(schedule: &SubscriptionSchedule, what: &str) -> Result<(), Refusal> {
    if schedule.status.is_standing() {
        return Ok(());
    }
    let (id, status) = (&schedule.id, schedule.status);
    let message =
        format!("The subscription schedule {id} is {status}: only one that is not_started or active can be {what}.");
    Err(Refusal::invalid(message))
}

/// Changes a schedule. What is different in the running phase is so at once.
pub fn update(
    books: &mut Books,
    id: &Id<SubscriptionSchedule>,
    wanted: Update,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let before = books.at_path(id)?.clone();
    check_standing(&before, "updated")?;
    let shares = wanted.default_settings.is_some();
    let mut schedule = SubscriptionSchedule {
        default_settings: wanted.default_settings.unwrap_or_else(|| before.default_settings.clone()),
        end_behavior: wanted.end_behavior.unwrap_or(before.end_behavior),
        metadata: wanted.metadata.apply(before.metadata.clone())?,
        ..before.clone()
    };
    if let Some(new) = wanted.phases {
        schedule.phases = lay_again(books, &before, &schedule, new)?;
    } else if shares {
        phases::check_defaults(books, &schedule.phases, &schedule.default_settings)?;
    }
    let Some(first) = schedule.phases.first().cloned() else { return Err(Refusal::missing("phases")) };
    if before.status == Status::NotStarted {
        check_start(first.start_date, "phases[0][start_date]")?;
        check_first_end(&schedule.phases, at.now)?;
        keep(books, schedule);
        if first.start_date <= at.now {
            transition::start(books, id, at)?;
        }
        books.tell(id, "subscription_schedule.updated", at);
        return Ok(());
    }
    if first.end_date < at.now {
        let message = "The running phase cannot end in the past; use 'now' to end it at once.";
        return Err(Refusal::invalid(message).param("phases[0][end_date]"));
    }
    schedule.current_phase = before.current_phase.map(|current| {
        let running = schedule.phases.iter().find(|phase| phase.start_date == current.start_date);
        running.map_or(current, |phase| CurrentPhase { end_date: phase.end_date, ..current })
    });
    transition::revise(books, &before, &schedule, wanted.prorations, at)
}

/// Lays out phases that are sent again. Those that are over may come first; they are dropped.
fn lay_again(
    books: &Books,
    before: &SubscriptionSchedule,
    schedule: &SubscriptionSchedule,
    mut new: Vec<NewPhase>,
) -> Result<Vec<Phase>, Refusal> {
    let subscription = before.subscription.as_ref().and_then(|id| books.get(id));
    let running = before.current().map(|(_, phase)| phase.start_date);
    let is_past = |phase: &NewPhase| phase.start.zip(running).is_some_and(|(start, running)| start < running);
    if new.len() > 1 && new.iter().any(|phase| phase.start == running) {
        while new.first().is_some_and(is_past) {
            new.remove(0);
        }
    }
    let asked = new.first().and_then(|first| first.start);
    let start = asked.ok_or_else(|| Refusal::missing("phases[0][start_date]"))?;
    if running.is_some_and(|running| running != start) {
        let message = "The start of the running phase cannot be changed.";
        return Err(Refusal::invalid(message).param("phases[0][start_date]"));
    }
    let layout = Layout {
        start,
        anchor: subscription.map_or(start, |subscription| subscription.billing_cycle_anchor),
        currency: subscription.map(|subscription| subscription.currency),
        mode: schedule.billing_mode.kind,
        defaults: &schedule.default_settings,
        agreed: &before.prices(),
    };
    phases::lay(books, new, &layout)
}

/// Ends a schedule and, if it has begun, its subscription with it.
pub fn cancel(
    books: &mut Books,
    id: &Id<SubscriptionSchedule>,
    (prorate, invoice_now): (bool, bool),
    at: &mut Moment,
) -> Result<(), Refusal> {
    let schedule = open(books, id, at)?;
    check_standing(&schedule, "canceled")?;
    let subscription = schedule.subscription.clone();
    stop(books, schedule, "subscription_schedule.canceled", at);
    match subscription {
        Some(subscription) => cancel::end_as_asked(books, &subscription, prorate, invoice_now, at),
        None => Ok(()),
    }
}

fn stop(books: &mut Books, schedule: SubscriptionSchedule, event: &'static str, at: &mut Moment) {
    let id = schedule.id.clone();
    let canceled_at = Some(at.now);
    keep(books, SubscriptionSchedule { canceled_at, current_phase: None, status: Status::Canceled, ..schedule });
    books.tell(&id, event, at);
}

/// Leaves a subscription to itself, as it is now; the end that its schedule gave it is kept only if that is
/// asked for.
pub fn release(
    books: &mut Books,
    id: &Id<SubscriptionSchedule>,
    keeps_end: bool,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let schedule = open(books, id, at)?;
    check_standing(&schedule, "released")?;
    let subscription = schedule.subscription.clone();
    let end = schedule.current().and_then(|(_, phase)| schedule.cancel_at(phase));
    keep(
        books,
        SubscriptionSchedule {
            current_phase: None,
            released_at: Some(at.now),
            released_subscription: subscription.clone(),
            status: Status::Released,
            subscription: None,
            ..schedule
        },
    );
    books.tell(id, "subscription_schedule.released", at);
    let Some(released) = subscription.as_ref().and_then(|id| books.get(id)).cloned() else { return Ok(()) };
    let (id, given) = (released.id.clone(), released.cancel_at.is_some() && released.cancel_at == end);
    books.put(Subscription { schedule: None, ..released });
    if given && !keeps_end {
        end_date::set(books, &id, None, ProrationBehavior::CreateProrations, at)?;
    }
    books.tell(&id, "customer.subscription.updated", at);
    Ok(())
}

/// A subscription has ended by itself or by a caller's wish: so does what was scheduled for it.
pub fn subscription_ended(books: &mut Books, id: &Id<Subscription>, at: &mut Moment) {
    let Some(subscription) = books.get(id) else { return };
    let reason = subscription.cancellation_details.reason;
    let schedule = subscription.schedule.as_ref().and_then(|schedule| books.get(schedule));
    let Some(schedule) = schedule.filter(|schedule| schedule.status.is_standing()).cloned() else { return };
    let event = match reason {
        Some(CancellationReason::PaymentFailed) => "subscription_schedule.aborted",
        Some(CancellationReason::CancellationRequested | CancellationReason::PaymentDisputed) | None => {
            "subscription_schedule.canceled"
        }
    };
    stop(books, schedule, event, at);
}

/// The customer is deleted: nothing begins for it any more.
pub fn drop_all(books: &mut Books, at: &mut Moment) {
    let waiting = books.all::<SubscriptionSchedule>().filter(|schedule| schedule.status.is_standing());
    let waiting: Vec<SubscriptionSchedule> = waiting.cloned().collect();
    for schedule in waiting {
        stop(books, schedule, "subscription_schedule.canceled", at);
    }
}

/// The end of a subscription with a schedule is the schedule's to say.
pub fn refuse_end(subscription: &Subscription, param: &str) -> Result<(), Refusal> {
    let Some(schedule) = &subscription.schedule else { return Ok(()) };
    let message = format!(
        "The subscription is managed by the subscription schedule `{schedule}`: change when it ends there, with its phases and its \
         end_behavior."
    );
    Err(Refusal::invalid(message).param(param))
}
