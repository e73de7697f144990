//! Questions to the processor. Each was committed as an open attempt before it is asked here, so
//! whoever comes next can ask it again with the same key.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::time::timeout;

use super::Engine;
use crate::{
    billing::{
        Books, Id, Timestamp,
        answer::Answer,
        balance_transaction::BalanceTransaction,
        charge::Charge,
        customer::Customer,
        dispute::Dispute,
        early_fraud_warning::EarlyFraudWarning,
        invoice::Invoice,
        invoice_item::InvoiceItem,
        payment_intent::{Attempt, OfSession, PaymentIntent},
    },
    gateway::{Gateway, Question, Unanswered},
    store::books::{Needs, Opening},
};

/// How many questions are asked at a time.
const CONCURRENCY: usize = 64;
/// How long an answer is waited for. Three of these fit into a request.
const PATIENCE: Duration = Duration::from_secs(20);

/// An open attempt that must be asked about.
#[derive(Clone, Debug)]
pub struct Open {
    pub customer: Option<Id<Customer>>,
    pub intent: Id<PaymentIntent>,
    pub attempt: Attempt,
    pub question: Question,
    invoice: Option<Id<Invoice>>,
    charge: Option<Id<Charge>>,
    invoice_items: Vec<Id<InvoiceItem>>,
    balance_transaction: Option<Id<BalanceTransaction>>,
    checkout: Option<Box<OfSession>>,
    disputes: Vec<Id<Dispute>>,
    fraud_warnings: Vec<Id<EarlyFraudWarning>>,
}

/// An attempt and what the processor said.
#[derive(Clone, Debug)]
pub struct Settled {
    pub open: Open,
    pub answer: Answer,
}

impl Open {
    fn of(intent: &PaymentIntent) -> Option<Open> {
        let attempt = intent.internal.attempt.clone()?;
        Some(Open {
            customer: intent.customer.clone(),
            intent: intent.id.clone(),
            question: Question {
                key: intent.attempt_key(&attempt),
                action: attempt.action,
                amount: attempt.amount,
                authenticated: attempt.authenticated,
                currency: intent.currency,
                evidence: attempt.evidence.clone(),
                off_session: attempt.off_session,
                set_up: attempt.set_up,
                three_d_secure: attempt.three_d_secure,
                token: attempt.token.clone(),
            },
            attempt,
            invoice: intent.internal.invoice.clone().or_else(|| intent.internal.attached_to.clone()),
            charge: intent.latest_charge.clone(),
            invoice_items: intent.internal.invoice_items.clone(),
            balance_transaction: intent.internal.balance_transaction.clone(),
            checkout: intent.internal.checkout.clone(),
            disputes: intent.internal.disputes.clone(),
            fraud_warnings: intent.internal.fraud_warnings.clone(),
        })
    }

    /// The attempts that this decision opened.
    pub fn opened_in(books: &Books) -> Vec<Open> {
        books.changed::<PaymentIntent>().filter_map(Open::of).collect()
    }

    /// The attempts that nobody has finished in time: asked again, with the same key.
    pub fn left_alone_in(books: &Books, horizon: Timestamp) -> Vec<Open> {
        let late = |intent: &&PaymentIntent| crate::billing::Resource::due(*intent).is_some_and(|due| due <= horizon);
        books.all::<PaymentIntent>().filter(late).filter_map(Open::of).collect()
    }

    /// What must be asked about now: what this decision opened, and what was left alone.
    pub fn asked_in(books: &Books, left_alone: Vec<Open>) -> Vec<Open> {
        let mut open = Open::opened_in(books);
        let others: Vec<Open> =
            left_alone.into_iter().filter(|left| open.iter().all(|other| other.intent != left.intent)).collect();
        open.extend(others);
        open
    }

    /// The books in which its answer is settled.
    pub fn opening(&self) -> Opening {
        let mut needs = Needs::default();
        needs.document(&self.intent);
        needs.document(&self.attempt.payment_method);
        self.attempt.refund.iter().for_each(|refund| needs.document(refund));
        self.invoice.iter().for_each(|invoice| needs.document(invoice));
        self.charge.iter().for_each(|charge| needs.document(charge));
        self.invoice_items.iter().for_each(|item| needs.document(item));
        self.balance_transaction.iter().for_each(|entry| needs.document(entry));
        self.disputes.iter().for_each(|dispute| needs.document(dispute));
        self.fraud_warnings.iter().for_each(|warning| needs.document(warning));
        if let Some(of) = &self.checkout {
            needs.document(&of.session);
            needs.prices.clone_from(&of.prices);
        }
        Opening { customer: self.customer.clone(), needs }
    }
}

impl Engine {
    /// Asks about many attempts at once. What was not answered is left open, and due.
    pub async fn ask(&self, open: Vec<Open>) -> Vec<Settled> {
        stream::iter(open)
            .map(|open| async move {
                let answer = answer(&*self.gateway, &open.question, PATIENCE).await;
                let label = match &answer {
                    Ok(Answer::Approved { .. } | Answer::Provisional { .. }) => "approved",
                    Ok(Answer::Declined(_)) => "declined",
                    Ok(Answer::NeedsAction) => "needs_action",
                    Ok(Answer::Processing { .. }) => "processing",
                    Ok(Answer::News(_)) => "news",
                    Ok(Answer::Ruled(_)) => "ruled",
                    Err(_) => "unanswered",
                };
                self.metrics.attempts.with_label_values(&[label]).inc();
                answer.ok().map(|answer| Settled { open, answer })
            })
            .buffer_unordered(CONCURRENCY)
            .filter_map(std::future::ready)
            .collect()
            .await
    }
}

/// Asks, and gives up where nothing is heard: whoever waits for ever does nothing else.
async fn answer(gateway: &dyn Gateway, question: &Question, patience: Duration) -> Result<Answer, Unanswered> {
    timeout(patience, gateway.ask(question)).await.unwrap_or(Err(Unanswered))
}

#[cfg(test)]
mod tests {
    use futures_util::future::BoxFuture;

    use super::*;
    use crate::{
        billing::{Amount, Currency, answer::Decline, payment_intent::Action},
        gateway::{CardSource, Tokenized},
    };

    /// A processor that keeps the line open and says nothing.
    struct Mute;

    impl Gateway for Mute {
        fn tokenize<'a>(&'a self, _: &'a CardSource, _: Timestamp) -> BoxFuture<'a, Result<Tokenized, Decline>> {
            Box::pin(std::future::pending())
        }

        fn verify<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), Decline>> {
            Box::pin(std::future::pending())
        }

        fn ask<'a>(&'a self, _: &'a Question) -> BoxFuture<'a, Result<Answer, Unanswered>> {
            Box::pin(std::future::pending())
        }
    }

    #[tokio::test]
    async fn a_question_without_end_is_unanswered() {
        let question = Question {
            key: "pi_1-1".to_owned(),
            action: Action::Sale,
            amount: Amount::new(100),
            authenticated: false,
            currency: Currency::parse("usd").unwrap(),
            evidence: None,
            off_session: true,
            set_up: false,
            three_d_secure: false,
            token: "visa".to_owned(),
        };
        assert!(matches!(answer(&Mute, &question, Duration::ZERO).await, Err(Unanswered)));
    }
}
