//! Phases, laid out in time: each begins where the one before it ends. And what each comes to together with
//! what its schedule says for all.

use super::{
    Books, Currency, Id, Refusal, Timestamp,
    begin::{LATEST_END, check_trial_end},
    extra, items,
    payment_method::PaymentMethod,
    period::{Cycle, OutOfCalendar},
    price::Price,
    subscribe::{NewItem, check_days_until_due, check_has_email, check_payment_method},
    subscription::{BillingModeType, CollectionMethod, InvoiceSettings},
    subscription_schedule::{DefaultSettings, Phase, PhaseAnchor},
};

/// How many there can be that are not over.
const MAXIMUM_PHASES: usize = 10;

/// A phase as it is asked for. Its times and its currency are yet to be found.
#[derive(Clone, Debug)]
pub struct NewPhase {
    pub phase: Phase,
    pub currency: Option<Currency>,
    pub start: Option<Timestamp>,
    pub end: Ends,
}

/// When a phase ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    At(Timestamp),
    After(Cycle),
    /// After so many intervals of its first price.
    Intervals(i64),
    /// After one of them, if it is the last phase.
    Open,
}

/// Where and how phases are laid out.
#[derive(Clone, Debug)]
pub struct Layout<'a> {
    pub start: Timestamp,
    /// The anchor of the billing cycle that they meet.
    pub anchor: Timestamp,
    /// That of the subscription, if there is one.
    pub currency: Option<Currency>,
    pub mode: BillingModeType,
    pub defaults: &'a DefaultSettings,
    /// Prices that need not be for sale any more.
    pub agreed: &'a [Id<Price>],
}

/// What a phase makes of a subscription, beside its items and its trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub collection_method: CollectionMethod,
    pub days_until_due: Option<i64>,
    pub default_payment_method: Option<Id<PaymentMethod>>,
    pub description: Option<String>,
    pub invoice_settings: InvoiceSettings,
}

impl Settings {
    /// What the phase says, or else its schedule.
    pub fn of(phase: &Phase, defaults: &DefaultSettings) -> Settings {
        let method = phase.collection_method.or(defaults.collection_method);
        let collection_method = method.unwrap_or(CollectionMethod::ChargeAutomatically);
        let (own, others) = (phase.invoice_settings.clone().unwrap_or_default(), defaults.invoice_settings.clone());
        let sent = collection_method == CollectionMethod::SendInvoice;
        Settings {
            collection_method,
            days_until_due: own.days_until_due.or(others.days_until_due).filter(|_| sent),
            default_payment_method: phase
                .default_payment_method
                .clone()
                .or_else(|| defaults.default_payment_method.clone()),
            description: phase.description.clone().or_else(|| defaults.description.clone()),
            invoice_settings: InvoiceSettings {
                custom_fields: own.custom_fields.or(others.custom_fields),
                description: own.description.or(others.description),
                footer: own.footer.or(others.footer),
                ..InvoiceSettings::default()
            },
        }
    }

    fn check(&self, books: &Books) -> Result<(), Refusal> {
        let customer = books.customer()?;
        check_days_until_due(self.collection_method, self.days_until_due)
            .map_err(|refusal| refusal.param("invoice_settings[days_until_due]"))?;
        if self.collection_method == CollectionMethod::SendInvoice {
            check_has_email(customer)?;
        }
        match &self.default_payment_method {
            Some(method) => check_payment_method(books, method, &customer.id, "default_payment_method"),
            None => Ok(()),
        }
    }
}

/// Checks what all phases are to share where the phases stay as they are.
pub fn check_defaults(books: &Books, phases: &[Phase], defaults: &DefaultSettings) -> Result<(), Refusal> {
    for phase in phases {
        Settings::of(phase, defaults).check(books).map_err(|refusal| within("default_settings", refusal))?;
    }
    Ok(())
}

/// Where the billing cycle is anchored when a phase begins.
pub fn anchor(phase: &Phase, defaults: &DefaultSettings) -> PhaseAnchor {
    phase.billing_cycle_anchor.unwrap_or(defaults.billing_cycle_anchor)
}

/// Lays phases out, one after the other, and checks that each can be.
pub fn lay(books: &Books, new: Vec<NewPhase>, layout: &Layout<'_>) -> Result<Vec<Phase>, Refusal> {
    if new.is_empty() {
        return Err(Refusal::missing("phases"));
    }
    if new.len() > MAXIMUM_PHASES {
        let message = format!("A schedule can have at most {MAXIMUM_PHASES} phases that are not over.");
        return Err(Refusal::invalid(message).param("phases"));
    }
    let (count, mut layout) = (new.len(), layout.clone());
    let mut phases = Vec::with_capacity(count);
    for (index, one) in new.into_iter().enumerate() {
        let is_trial = one.phase.trial || one.phase.trial_end.is_some();
        if anchor(&one.phase, layout.defaults) == PhaseAnchor::PhaseStart && !is_trial {
            layout.anchor = layout.start;
        }
        let place = format!("phases[{index}]");
        let phase = lay_one(books, one, &layout, index + 1 == count).map_err(|refusal| within(&place, refusal))?;
        (layout.start, layout.currency) = (phase.end_date, Some(phase.currency));
        phases.push(phase);
    }
    Ok(phases)
}

/// Says where the parameter is that was refused, unless it is that of the call itself.
fn within(outer: &str, refusal: Refusal) -> Refusal {
    if refusal.param.as_deref() == Some("customer") { refusal } else { refusal.within(outer) }
}

fn lay_one(books: &Books, new: NewPhase, layout: &Layout<'_>, is_last: bool) -> Result<Phase, Refusal> {
    let refusal = |param: &str, message: &str| Err(Refusal::invalid(message).param(param));
    let NewPhase { mut phase, currency, start, end } = new;
    let items = phase.new_items();
    if currency.zip(layout.currency).is_some_and(|(own, others)| own != others) {
        return refusal("currency", "All phases of a schedule must have the same currency.");
    }
    let given = currency.or(layout.currency);
    let (cycles, currency) = items::check(books, books.customer()?, &items, given, layout.mode, layout.agreed)?;
    phase.currency = currency;
    check_extras(books, &phase, layout.agreed)?;
    if start.is_some_and(|start| start != layout.start) {
        return refusal("start_date", "A phase must start where the one before it ends, and the first where it did.");
    }
    phase.start_date = layout.start;
    phase.end_date = match (end, cycles.first()) {
        (Ends::At(end), _) => end,
        (Ends::After(length), _) => length.end_from(layout.start, layout.anchor).map_err(outside)?,
        (Ends::Intervals(count), Some(cycle)) => intervals(*cycle, count, layout)?,
        (Ends::Open, Some(cycle)) if is_last => intervals(*cycle, 1, layout)?,
        (Ends::Open | Ends::Intervals(_), _) => return Err(Refusal::missing("end_date")),
    };
    if phase.end_date <= phase.start_date || phase.end_date > LATEST_END {
        return refusal("end_date", "A phase must end after its start, and before the year 10000.");
    }
    if phase.trial {
        if phase.trial_end.is_some_and(|end| end != phase.end_date) {
            return refusal("trial_end", "With trial=true the trial ends with the phase.");
        }
        phase.trial_end = Some(phase.end_date);
    }
    if let Some(end) = phase.trial_end {
        if end > phase.end_date {
            return refusal("trial_end", "The trial of a phase must end within the phase.");
        }
        check_trial_end(Some(end), phase.start_date)?;
        if phase.billing_cycle_anchor == Some(PhaseAnchor::PhaseStart) {
            return refusal(
                "billing_cycle_anchor",
                "The billing cycle of a phase with a trial begins when the trial ends, not with the phase.",
            );
        }
    }
    Settings::of(&phase, layout.defaults).check(books)?;
    Ok(phase)
}

fn check_extras(books: &Books, phase: &Phase, agreed: &[Id<Price>]) -> Result<(), Refusal> {
    for (index, extra) in phase.add_invoice_items.iter().enumerate() {
        extra::check_room(index)?;
        let item = NewItem { metadata: extra.metadata.clone(), price: extra.price.clone(), quantity: extra.quantity };
        items::one_time(books, &item, phase.currency, &format!("add_invoice_items[{index}]"), agreed)?;
    }
    Ok(())
}

/// The end of so many intervals of a price.
fn intervals(cycle: Cycle, count: i64, layout: &Layout<'_>) -> Result<Timestamp, Refusal> {
    if count < 1 {
        return Err(Refusal::invalid("A phase lasts at least one interval.").param("iterations"));
    }
    let count = cycle.count.checked_mul(count).ok_or_else(|| outside(OutOfCalendar))?;
    Cycle { count, ..cycle }.end_from(layout.start, layout.anchor).map_err(outside)
}

fn outside(error: OutOfCalendar) -> Refusal {
    Refusal::invalid(error.to_string()).param("end_date")
}
