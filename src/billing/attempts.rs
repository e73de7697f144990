//! What was tried to collect an invoice, and what is planned: kept with the invoice once an attempt has
//! failed, and shown to who asks why it is tried when it is.

use serde::{Deserialize, Serialize};

use super::{
    Books, Id, Moment, Timestamp,
    books::Learned,
    chance::{Failure, Group, Outcome},
    collect::resolve_payment_method,
    invoice::Invoice,
    payment_intent::{Attempt, PaymentError},
    payment_method::PaymentMethod,
    retry::Progress,
    smart::{self, Plan, Reason, Task},
};
use crate::words;

/// The attempts of an invoice, and the plan for those to come.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Attempts {
    /// Oldest first.
    pub made: Vec<Made>,
    /// What is planned after the next attempt; planned anew after each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub planned: Vec<Timestamp>,
    /// Why the next attempt is made when it is, where that was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Made {
    pub at: Timestamp,
    /// By the billing cycle, not by a caller.
    pub automatic: bool,
    pub result: Effect,
    /// The most precise word for why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decline_code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_method: Option<Id<PaymentMethod>>,
}

words!(
    /// What came of an attempt.
    Effect {
        Declined = "declined",
        /// There was nothing that could be charged.
        NotCharged = "not_charged",
        /// The customer must authenticate.
        RequiresAction = "requires_action",
        Succeeded = "succeeded",
    }
);

/// Why nothing was charged where there is no payment method.
pub const NO_PAYMENT_METHOD: &str = "no_payment_method";
/// No more are kept than this: callers may try as often as they like.
const KEPT: usize = 40;

impl Made {
    pub fn declined(error: &PaymentError, automatic: bool, at: &Moment) -> Made {
        let reason = error.decline_code.as_ref().unwrap_or(&error.code);
        let method = error.payment_method.as_ref().and_then(|method| method["id"].as_str());
        Made {
            at: at.now,
            automatic,
            result: Effect::Declined,
            decline_code: Some(reason.clone()),
            payment_method: method.map(Id::given),
        }
    }

    /// The customer must authenticate before the card can be charged.
    pub fn requires_action(attempt: &Attempt, at: &Moment) -> Made {
        Made {
            at: at.now,
            automatic: attempt.automatic,
            result: Effect::RequiresAction,
            decline_code: Some("authentication_required".to_owned()),
            payment_method: Some(attempt.payment_method.clone()),
        }
    }

    /// An automatic attempt that found no card, or none that is of any use.
    pub fn not_charged(books: &Books, invoice: &Invoice, at: &Moment) -> Made {
        let before = invoice.internal.attempts.as_ref().and_then(|attempts| attempts.made.last());
        let reason = match resolve_payment_method(books, invoice) {
            None => Some(NO_PAYMENT_METHOD.to_owned()),
            Some(_) => before.and_then(|before| before.decline_code.clone()),
        };
        Made { at: at.now, automatic: true, result: Effect::NotCharged, decline_code: reason, payment_method: None }
    }

    fn succeeded(attempt: &Attempt, at: &Moment) -> Made {
        Made {
            at: at.now,
            automatic: attempt.automatic,
            result: Effect::Succeeded,
            decline_code: None,
            payment_method: Some(attempt.payment_method.clone()),
        }
    }

    /// What kind of failure it was.
    pub fn group(&self) -> Group {
        match self.decline_code.as_deref() {
            None | Some(NO_PAYMENT_METHOD) => Group::Missing,
            Some(reason) => Group::of(reason),
        }
    }
}

impl Attempts {
    /// From now on this is the plan, or there is none.
    pub fn follow(&mut self, plan: Option<Plan>) {
        let Some(plan) = plan else {
            self.planned.clear();
            self.reason = None;
            return;
        };
        self.planned = plan.times.into_iter().skip(1).collect();
        self.reason = plan.reason;
    }

    /// When this card was charged.
    fn charged(&self, method: &Id<PaymentMethod>) -> impl Iterator<Item = Timestamp> {
        let charged =
            move |made: &&Made| made.result != Effect::NotCharged && made.payment_method.as_ref() == Some(method);
        self.made.iter().filter(charged).map(|made| made.at)
    }
}

/// Keeps an attempt with its invoice. What followed a plan is learned from.
pub fn note(books: &mut Books, mut invoice: Invoice, made: Made) -> Invoice {
    if let Some(learned) = learned(books, &invoice, &made) {
        books.learn(learned);
    }
    let kept = &mut invoice.internal.attempts.get_or_insert_default().made;
    kept.push(made);
    kept.drain(..kept.len().saturating_sub(KEPT));
    invoice
}

/// The money has come. An invoice that was paid at the first attempt has no story to keep.
pub fn succeeded(books: &mut Books, invoice: &Id<Invoice>, attempt: &Attempt, at: &Moment) {
    if let Some(invoice) = books.get(invoice).filter(|invoice| invoice.internal.attempts.is_some()).cloned() {
        let noted = note(books, invoice, Made::succeeded(attempt, at));
        books.put(noted);
    }
}

/// What an automatic retry teaches: how it ended, and under which circumstance it was made.
fn learned(books: &Books, invoice: &Invoice, made: &Made) -> Option<Learned> {
    let before = invoice.internal.attempts.as_ref()?.made.last().filter(|_| made.automatic)?;
    let failure = failure(books, before, made.payment_method.as_ref());
    Some(Learned {
        invoice: invoice.id.clone(),
        attempt: invoice.attempt_count + 1,
        livemode: invoice.livemode,
        outcome: Outcome {
            at: made.at,
            circumstance: failure.retried_at(made.at, number(invoice)),
            recovered: made.result == Effect::Succeeded,
        },
    })
}

/// The times at which smart retries of an invoice are to be made; nothing to go by where no failure was
/// kept. What was planned before, and not yet made, is planned anew.
pub fn plan(books: &Books, invoice: &Invoice, progress: &Progress, now: Timestamp) -> Option<Plan> {
    let attempts = invoice.internal.attempts.as_ref()?;
    let before = attempts.made.iter().rfind(|made| made.result != Effect::Succeeded)?;
    let method = resolve_payment_method(books, invoice).map(|method| &method.id);
    let retries = &books.settings(invoice.livemode).collection.retries;
    let retry = number(invoice);
    let charged = method.map_or_else(Vec::new, |method| charged(books, invoice, method));
    let task = Task {
        failure: failure(books, before, method),
        now,
        until: progress.since.plus_days(retries.window.days()),
        retry,
        remaining: usize::try_from(retries.max_attempts - progress.made).unwrap_or(0),
        charged: &charged,
        seed: smart::seed(invoice.id.as_str(), retry),
    };
    Some(smart::plan(&task, books.estimates(invoice.livemode)))
}

/// When this card was charged as much before, for this invoice or for another that is open: the card
/// networks count by card and amount.
fn charged(books: &Books, invoice: &Invoice, method: &Id<PaymentMethod>) -> Vec<Timestamp> {
    let others = books.all::<Invoice>().filter(|other| other.id != invoice.id);
    let alike = others.filter(|other| other.amount_remaining == invoice.amount_remaining).chain([invoice]);
    alike.filter_map(|one| one.internal.attempts.as_ref()).flat_map(|attempts| attempts.charged(method)).collect()
}

/// The number of the next retry: of an invoice that was tried once it is the first.
fn number(invoice: &Invoice) -> usize {
    usize::try_from(invoice.attempt_count).unwrap_or(1).max(1)
}

/// A failure, as far as it bears on the next attempt with this card.
pub fn failure(books: &Books, made: &Made, method: Option<&Id<PaymentMethod>>) -> Failure {
    let method = method.and_then(|method| books.get(method));
    Failure::of(made.group(), method.map(|method| &method.card), made.at)
}
