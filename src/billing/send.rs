//! Telling the customer of an open invoice that is paid by hand.

use super::{
    Books, Id, Moment, Refusal,
    invoice::{Invoice, Status},
    subscription::CollectionMethod,
};

/// Only an invoice that is paid by hand is sent by hand.
pub fn check_collection(invoice: &Invoice) -> Result<(), Refusal> {
    match invoice.collection_method {
        CollectionMethod::SendInvoice => Ok(()),
        CollectionMethod::ChargeAutomatically => {
            let message = "You can only manually send an invoice if its collection method is 'send_invoice'.";
            Err(Refusal::invalid(message))
        }
    }
}

/// Sends an open invoice. Nothing about it changes by that; who mails it hears `invoice.sent`.
pub fn send(books: &mut Books, id: &Id<Invoice>, at: &mut Moment) -> Result<(), Refusal> {
    match books.find(id, "invoice")?.status {
        Status::Open => {
            books.tell(id, "invoice.sent", at);
            Ok(())
        }
        Status::Paid | Status::Draft | Status::Uncollectible | Status::Void => {
            Err(Refusal::invalid("This invoice cannot be sent right now. Only open invoices can be sent."))
        }
    }
}
