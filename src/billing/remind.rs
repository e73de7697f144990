//! Reminders of what is owed, and what is done when they were no use. Of an invoice that is sent they are
//! counted from its due date, of a payment that waits for its customer from when that was first asked for.

use serde::{Deserialize, Serialize};

use super::{
    Books, Id, Moment, Refusal, Timestamp, authenticate,
    collect::intent_of,
    dunning::{self, FinalAction},
    follow,
    invoice::Invoice,
    payment_intent::{PaymentIntent, Status as IntentStatus},
    settings::Authentication,
    subscription::CollectionMethod,
};

/// How long an action waits for the answer to a payment under way.
const PATIENCE_SECONDS: i64 = 3600;

/// What is to be done about an open invoice beside collecting it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agenda {
    /// What its days are counted from.
    pub from: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reminder: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Deadline>,
}

/// When it is given up, and what becomes of its subscription then.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deadline {
    pub at: Timestamp,
    pub action: FinalAction,
}

impl Invoice {
    pub fn next_reminder(&self) -> Option<Timestamp> {
        self.internal.agenda.as_ref().filter(|_| self.auto_advance)?.reminder
    }

    /// When it is given up.
    pub fn deadline(&self) -> Option<Deadline> {
        self.internal.agenda.as_ref().filter(|_| self.auto_advance && self.internal.given_up.is_none())?.deadline
    }
}

/// The first of these days, counted from a time, that is still to come. They are in order.
fn next(days: &[i64], from: Timestamp, now: Timestamp) -> Option<Timestamp> {
    days.iter().map(|day| from.plus_days(*day)).find(|time| *time > now)
}

/// What follows from asking a customer to authenticate now.
pub fn of_authentication(settings: &Authentication, now: Timestamp) -> Option<Agenda> {
    let reminder = next(&settings.reminder_days, now, now);
    let at = settings.days_until_action.map(|days| now.plus_days(days));
    let deadline = at.map(|at| Deadline { at, action: settings.action });
    (reminder.is_some() || deadline.is_some()).then_some(Agenda { from: now, reminder, deadline })
}

/// Whether a payment waits for its customer to authenticate, or has tried that in vain.
pub fn waits_for_customer(intent: &PaymentIntent) -> bool {
    intent.status == IntentStatus::RequiresAction
        || intent.last_payment_error.as_ref().is_some_and(|error| error.code == authenticate::FAILURE)
}

/// An invoice was sent, or may advance again: its customer is reminded around its due date.
pub fn sent(books: &mut Books, id: &Id<Invoice>, at: &Moment) -> Result<(), Refusal> {
    let mut invoice = books.find(id, "invoice")?.clone();
    let Some(from) = invoice.due_date else { return Ok(()) };
    let days = &books.settings(invoice.livemode).collection.manual_collection.reminder_days;
    let Some(reminder) = next(days, from, at.now) else { return Ok(()) };
    let deadline = invoice.internal.agenda.take().and_then(|agenda| agenda.deadline);
    invoice.internal.agenda = Some(Agenda { from, reminder: Some(reminder), deadline });
    books.put(invoice);
    Ok(())
}

/// The due date of an invoice that is sent has passed: its subscription falls behind, and the days until
/// it is given up are counted.
pub fn overdue(books: &mut Books, id: &Id<Invoice>, at: &mut Moment) -> Result<(), Refusal> {
    follow::overdue(books, id, at)?;
    let mut invoice = books.find(id, "invoice")?.clone();
    let settings = &books.settings(invoice.livemode).collection.manual_collection;
    let Some(from) = invoice.due_date.filter(|_| settings.action != FinalAction::PastDue) else { return Ok(()) };
    let deadline = Deadline { at: from.plus_days(settings.days_past_due), action: settings.action };
    let reminder = invoice.internal.agenda.take().and_then(|agenda| agenda.reminder);
    invoice.internal.agenda = Some(Agenda { from, reminder, deadline: Some(deadline) });
    books.put(invoice);
    Ok(())
}

/// The time of a reminder has come: it is told, and the next one is set by the settings of now. Who mails
/// it hears the event.
pub fn remind(books: &mut Books, id: &Id<Invoice>, at: &mut Moment) -> Result<(), Refusal> {
    let mut invoice = books.find(id, "invoice")?.clone();
    let Some(agenda) = &mut invoice.internal.agenda else { return Ok(()) };
    let settings = &books.settings(invoice.livemode).collection;
    let (days, event) = match invoice.collection_method {
        CollectionMethod::SendInvoice => {
            let event = if at.now < agenda.from { "invoice.will_be_due" } else { "invoice.overdue" };
            (&settings.manual_collection.reminder_days, Some(event))
        }
        CollectionMethod::ChargeAutomatically => {
            let waits = intent_of(books, id).is_some_and(|intent| intent.status == IntentStatus::RequiresAction);
            (&settings.authentication.reminder_days, waits.then_some("invoice.payment_action_required"))
        }
    };
    agenda.reminder = next(days, agenda.from, at.now).filter(|_| event.is_some());
    books.put(invoice);
    if let Some(event) = event {
        books.tell(id, event, at);
    }
    Ok(())
}

/// Nothing has come in time: it is given up. Unless its payment is under way, or no longer the customer's
/// to finish.
pub fn give_up(books: &mut Books, id: &Id<Invoice>, at: &mut Moment) -> Result<(), Refusal> {
    let mut invoice = books.find(id, "invoice")?.clone();
    let (Some(deadline), Some(agenda)) = (invoice.deadline(), &mut invoice.internal.agenda) else { return Ok(()) };
    let intent = intent_of(books, id);
    let charged = invoice.collection_method == CollectionMethod::ChargeAutomatically;
    if intent.is_some_and(PaymentIntent::is_under_way) {
        agenda.deadline = Some(Deadline { at: at.now.plus_seconds(PATIENCE_SECONDS), ..deadline });
        books.put(invoice);
        return Ok(());
    }
    let still = !charged || intent.is_some_and(waits_for_customer);
    agenda.deadline = None;
    books.put(invoice);
    if still { dunning::give_up(books, id, deadline.action, at) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_SECONDS: i64 = 86_400;

    /// Reminders around the due date, and after authentication was asked for.
    #[test]
    fn reminders_that_are_past_are_left_out() {
        let from = Timestamp::new(100 * DAY_SECONDS);
        for (days, now, expected) in [
            (&[-3, 0, 7][..], 90, Some(97)),
            (&[-3, 0, 7], 97, Some(100)),
            (&[-3, 0, 7], 99, Some(100)),
            (&[-3, 0, 7], 100, Some(107)),
            (&[-3, 0, 7], 107, None),
            (&[], 90, None),
        ] {
            let time = next(days, from, Timestamp::new(now * DAY_SECONDS));
            assert_eq!(time, expected.map(|day| Timestamp::new(day * DAY_SECONDS)), "day {now}");
        }
    }

    /// Authentication: reminders and an action, each on its own or neither.
    #[test]
    fn what_follows_from_asking_for_authentication() {
        let now = Timestamp::new(0);
        let settings = Authentication::default();
        assert_eq!(of_authentication(&settings, now), None);
        let reminded = Authentication { reminder_days: vec![2, 5], ..settings.clone() };
        let reminder = Some(Timestamp::new(2 * DAY_SECONDS));
        assert_eq!(of_authentication(&reminded, now), Some(Agenda { from: now, reminder, deadline: None }));
        let ended = Authentication { action: FinalAction::Cancel, days_until_action: Some(5), ..settings };
        let deadline = Deadline { at: Timestamp::new(5 * DAY_SECONDS), action: FinalAction::Cancel };
        assert_eq!(
            of_authentication(&ended, now),
            Some(Agenda { from: now, reminder: None, deadline: Some(deadline) })
        );
    }
}
