//! How an invoice comes from one state into another.

use super::{
    Amount, Refusal, Timestamp,
    invoice::{Internal, Invoice, Status, StatusDetails, StatusTransitions, Uncollectible, UncollectibleReason},
};

impl Invoice {
    /// Nothing was owed, or all of it has come.
    #[must_use]
    pub fn paid(self, now: Timestamp) -> Invoice {
        Invoice {
            status: Status::Paid,
            amount_paid: self.amount_due,
            amount_remaining: Amount::ZERO,
            attempted: true,
            auto_advance: false,
            next_payment_attempt: None,
            internal: Internal { asked: false, ..self.internal },
            status_details: None,
            status_transitions: StatusTransitions { paid_at: Some(now), ..self.status_transitions },
            ..self
        }
    }

    /// An attempt to collect it was made, whatever came of it.
    #[must_use]
    pub fn count_attempt(self, automatic: bool) -> Invoice {
        // The first attempt counts whoever made it; later on only the automatic ones do.
        let counts = automatic || self.attempt_count == 0;
        let attempt_count = self.attempt_count + i64::from(counts);
        let mut internal = self.internal;
        internal.asked = false;
        if let Some(progress) = internal.retries.as_mut().filter(|_| automatic) {
            progress.made += 1;
        }
        Invoice { attempt_count, attempted: true, internal, ..self }
    }

    /// It no longer advances by itself.
    #[must_use]
    pub fn stay(self) -> Invoice {
        Invoice { auto_advance: false, automatically_finalizes_at: None, next_payment_attempt: None, ..self }
    }

    /// Money has come. What is more than remained is returned: it was paid too much.
    pub fn receive(self, amount: Amount, now: Timestamp) -> Result<(Invoice, Amount), Refusal> {
        let taken = amount.min(self.amount_remaining);
        let excess = amount.minus(taken)?;
        let amount_paid = self.amount_paid.plus(taken)?;
        let amount_remaining = self.amount_remaining.minus(taken)?;
        let amount_overpaid = self.amount_overpaid.plus(excess)?;
        let invoice = Invoice { amount_overpaid, amount_paid, amount_remaining, ..self };
        let settled = invoice.amount_remaining.is_zero() && invoice.status != Status::Paid;
        Ok((if settled { invoice.paid(now) } else { invoice }, excess))
    }

    pub fn void(self, now: Timestamp) -> Result<Invoice, Refusal> {
        if !self.amount_paid.is_zero() && self.status != Status::Paid {
            return Err(Refusal::invalid("Invoices with `paid` payments cannot be voided."));
        }
        match self.status {
            Status::Open | Status::Uncollectible => Ok(Invoice {
                status: Status::Void,
                auto_advance: false,
                next_payment_attempt: None,
                status_details: None,
                status_transitions: StatusTransitions { voided_at: Some(now), ..self.status_transitions },
                ..self
            }),
            Status::Draft | Status::Paid | Status::Void => Err(Self::not_open()),
        }
    }

    pub fn mark_uncollectible(self, reason: UncollectibleReason, now: Timestamp) -> Result<Invoice, Refusal> {
        match self.status {
            Status::Open => Ok(Invoice {
                status: Status::Uncollectible,
                auto_advance: false,
                next_payment_attempt: None,
                status_details: Some(StatusDetails { uncollectible: Uncollectible { reason } }),
                status_transitions: StatusTransitions { marked_uncollectible_at: Some(now), ..self.status_transitions },
                ..self
            }),
            Status::Uncollectible => Err(Refusal::invalid("This invoice has already been marked uncollectible.")),
            Status::Draft | Status::Paid | Status::Void => Err(Self::not_open()),
        }
    }

    /// A draft, or the refusal to change what is finalised.
    pub fn editable(self) -> Result<Invoice, Refusal> {
        match self.status {
            Status::Draft => Ok(self),
            Status::Open | Status::Paid | Status::Uncollectible | Status::Void => {
                let message = "Invalid invoice: This invoice is no longer editable";
                Err(Refusal::invalid(message).code("invoice_not_editable").param("invoice"))
            }
        }
    }

    /// When a draft that advances by itself is finalised: so many seconds after it was made; an older
    /// one at once.
    pub fn finalizes_at(&self, after: i64, now: Timestamp) -> Timestamp {
        self.created.plus_seconds(after).max(now)
    }

    /// Whether it can be paid, or the refusal to.
    pub fn check_payable(&self) -> Result<(), Refusal> {
        match self.status {
            Status::Open | Status::Uncollectible => Ok(()),
            Status::Paid => Err(Refusal::invalid("Invoice is already paid")),
            Status::Draft | Status::Void => Err(Self::not_open()),
        }
    }

    pub fn not_open() -> Refusal {
        Refusal::invalid("You can only pass in open invoices. This invoice isn't open.")
    }
}
