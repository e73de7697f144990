//! Pausing collection: the cycle goes on and invoices are still made, but each is made harmless at
//! once. No state of the subscription: that does not change.

use serde::{Deserialize, Serialize};

use super::{
    Books, Id, Moment, Refusal, Timestamp, cancel,
    finalize::{self, Purpose},
    invoice::{Invoice, Status as InvoiceStatus, UncollectibleReason},
    subscription::{Status, Subscription},
};
use crate::words;

/// What is done with the invoices made meanwhile, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseCollection {
    pub behavior: Behavior,
    /// Without it, until somebody unsets it.
    pub resumes_at: Option<Timestamp>,
}

words!(Behavior {
    /// They wait: collected when somebody asks for it.
    KeepAsDraft = "keep_as_draft",
    /// They use up credit, and what that does not cover is given up.
    MarkUncollectible = "mark_uncollectible",
    /// They are finalised and voided, and leave the credit alone.
    Void = "void",
});

impl PauseCollection {
    /// Whether a subscription can be paused so.
    pub fn check(&self, subscription: &Subscription, now: Timestamp) -> Result<(), Refusal> {
        if subscription.status == Status::Incomplete {
            let message = "Collection cannot be paused while the first payment of the subscription is incomplete.";
            return Err(Refusal::invalid(message).param("pause_collection"));
        }
        if self.resumes_at.is_some_and(|time| time <= now) {
            return Err(
                Refusal::invalid("Collection can only resume in the future.").param("pause_collection[resumes_at]")
            );
        }
        Ok(())
    }
}

/// Makes an invoice harmless that was just drafted for a subscription whose collection is paused.
/// Whether it was: then nothing else is to be done about it.
pub fn neutralize(
    books: &mut Books,
    subscription: &Id<Subscription>,
    invoice: &Id<Invoice>,
    at: &mut Moment,
) -> Result<bool, Refusal> {
    let Some(pause) = books.find(subscription, "subscription")?.pause_collection else { return Ok(false) };
    match pause.behavior {
        Behavior::KeepAsDraft => {}
        Behavior::MarkUncollectible => {
            finalize::finalize_for(books, invoice, Purpose::GiveUp, at)?;
            let finalized = books.find(invoice, "invoice")?.clone();
            if finalized.status == InvoiceStatus::Open {
                let given_up = finalized.mark_uncollectible(UncollectibleReason::SubscriptionPaused, at.now)?;
                books.put(given_up).tell("invoice.marked_uncollectible", at);
            }
        }
        Behavior::Void => {
            finalize::finalize_for(books, invoice, Purpose::Void, at)?;
            cancel::void_quietly(books, invoice, at)?;
        }
    }
    Ok(true)
}

/// The time to resume has come: the next invoice is collected as usual, those made meanwhile stay as
/// they are.
pub fn lift(books: &mut Books, id: &Id<Subscription>, at: &mut Moment) -> Result<(), Refusal> {
    let subscription = books.find(id, "subscription")?.clone();
    books.put(Subscription { pause_collection: None, ..subscription }).tell("customer.subscription.updated", at);
    Ok(())
}
