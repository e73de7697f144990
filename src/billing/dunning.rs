//! What becomes of a debt that nobody will try to collect any more.

use super::{
    Books, Id, Moment, Refusal, cancel,
    invoice::{Invoice, Status as InvoiceStatus},
    subscription::{CancellationReason, Status, Subscription},
};
use crate::words;

words!(
    /// What happens to a subscription when the last attempt to collect its invoice has failed.
    FinalAction {
        Cancel = "cancel",
        /// Leave it as it is: its next invoices are collected as usual.
        PastDue = "past_due",
        /// Keep it, and keep drafting its invoices, but collect nothing.
        Unpaid = "unpaid",
    }
);

words!(
    /// What happens to the invoice itself then.
    InvoiceAction { LeaveOpen = "leave_open", Uncollectible = "uncollectible" }
);

impl FinalAction {
    pub const fn status(self) -> Status {
        match self {
            FinalAction::Cancel => Status::Canceled,
            FinalAction::PastDue => Status::PastDue,
            FinalAction::Unpaid => Status::Unpaid,
        }
    }
}

/// No further attempt will be made by itself: the invoice stays open, and a subscription that is past
/// due comes to its final state (after the last attempt).
pub fn give_up(books: &mut Books, id: &Id<Invoice>, action: FinalAction, at: &mut Moment) -> Result<(), Refusal> {
    let mut invoice = books.find(id, "invoice")?.clone();
    if invoice.status != InvoiceStatus::Open {
        return Err(Invoice::not_open());
    }
    let subscription = invoice.subscription().and_then(|id| books.get(id)).cloned();
    invoice.next_payment_attempt = None;
    invoice.internal.given_up = Some(action);
    books.put(invoice).tell("invoice.updated", at);
    let Some(subscription) = subscription.filter(|subscription| subscription.status == Status::PastDue) else {
        return Ok(());
    };
    match action {
        FinalAction::Cancel => cancel::end(books, &subscription.id, CancellationReason::PaymentFailed, at)?,
        FinalAction::PastDue => {}
        FinalAction::Unpaid => {
            let id = subscription.id.clone();
            books
                .put(Subscription { status: Status::Unpaid, ..subscription })
                .tell("customer.subscription.updated", at);
            cancel::stop_advancing(books, &id, &[InvoiceStatus::Draft], at);
        }
    }
    Ok(())
}
