//! More is reserved than was: asked of the processor as everything that moves money is.

use serde::{Deserialize, Serialize};

use super::{
    Amount, Books, Id, Metadata, MetadataPatch, Moment, Refusal,
    answer::{Answer, Decline},
    charge::Charge,
    confirm::follow_up,
    intend::check_amount,
    method_options::{Availability, Overcapture},
    payment_intent::{Action, Attempt, Internal, PaymentIntent, Status},
    receive,
};

/// How often a payment may be asked to be more, declines included.
const MOST: i64 = 10;

/// What is said of the payment if it becomes more.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Words {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Merged into what there is.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement_descriptor: Option<String>,
}

/// Why no more could be reserved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclinedIncrement {
    /// The number of the attempt.
    pub attempt: i64,
    pub decline: Decline,
}

/// Opens an attempt to reserve so much in all, and answers with its number.
pub fn increment(
    books: &mut Books,
    id: &Id<PaymentIntent>,
    amount: Amount,
    words: Words,
    at: &mut Moment,
) -> Result<i64, Refusal> {
    let intent = books.find(id, "intent")?.clone();
    if intent.status != Status::RequiresCapture {
        return Err(PaymentIntent::unexpected_state(format!(
            "This PaymentIntent's authorization could not be incremented because it has a status of {}. Only a PaymentIntent with a \
             status of requires_capture may be incremented.",
            intent.status
        )));
    }
    if !is_available(books, &intent) {
        return Err(PaymentIntent::unexpected_state(
            "This PaymentIntent's authorization cannot be incremented: it was not confirmed with \
             payment_method_options[card][request_incremental_authorization]=if_available."
                .to_owned(),
        ));
    }
    check_amount(amount, intent.currency)?;
    if amount <= intent.amount_capturable {
        let message = format!(
            "The amount must be greater than what is authorized already. Please try again with an amount greater than {}.",
            intent.amount_capturable
        );
        return Err(Refusal::invalid(message).param("amount"));
    }
    if intent.internal.increments >= MOST {
        let message = format!("A PaymentIntent's authorization can be incremented at most {MOST} times.");
        return Err(PaymentIntent::unexpected_state(message));
    }
    MetadataPatch::Merge(words.metadata.clone()).apply(intent.metadata.clone())?;
    let question = follow_up(&intent, Action::Increment, amount, at)?;
    let question = Attempt { words: Some(Box::new(words)), ..question };
    let number = question.number;
    let mut asked = intent.ask(question)?;
    asked.internal.increments += 1;
    books.put(asked);
    Ok(number)
}

/// Whether the charge says that more can be reserved.
fn is_available(books: &Books, intent: &PaymentIntent) -> bool {
    let charge = intent.latest_charge.as_ref().and_then(|id| books.get(id));
    let said = charge.and_then(|charge| charge.payment_method_details.card.incremental_authorization);
    said.is_some_and(|said| said.status == Availability::Available)
}

/// Takes the processor's answer. A decline leaves all as it was, and what was reserved reserved.
pub fn settle(
    books: &mut Books,
    intent: PaymentIntent,
    attempt: &Attempt,
    answer: &Answer,
    at: &mut Moment,
) -> Result<(), Refusal> {
    match answer {
        Answer::Approved { .. } | Answer::Provisional { .. } => {
            raise(books, intent, attempt, at);
            Ok(())
        }
        Answer::Declined(decline) => {
            refuse(books, intent, attempt, decline.clone());
            Ok(())
        }
        Answer::NeedsAction => {
            refuse(books, intent, attempt, Decline::authentication_required());
            Ok(())
        }
        // What is not sure is not counted on; asking for the same in all once more does no harm.
        Answer::Processing { .. } => {
            refuse(books, intent, attempt, Decline::processing_error());
            Ok(())
        }
        // It says nothing of the money: the question stays open, and is asked again.
        Answer::News(_) | Answer::Ruled(_) => {
            Err(Refusal::internal("The processor has answered another question than it was asked."))
        }
    }
}

fn refuse(books: &mut Books, intent: PaymentIntent, attempt: &Attempt, decline: Decline) {
    let declined = DeclinedIncrement { attempt: attempt.number, decline };
    let internal = Internal { declined_increment: Some(Box::new(declined)), ..intent.internal };
    books.put(PaymentIntent { internal, ..intent });
}

fn raise(books: &mut Books, intent: PaymentIntent, attempt: &Attempt, at: &mut Moment) {
    let words = attempt.words.as_deref().cloned().unwrap_or_default();
    let charge = intent.latest_charge.as_ref().and_then(|id| books.get(id)).cloned();
    if let Some(mut charge) = charge {
        let card = &mut charge.payment_method_details.card;
        card.amount_authorized = Some(attempt.amount);
        card.overcapture = card.overcapture.map(|one| Overcapture { maximum_amount_capturable: attempt.amount, ..one });
        books
            .put(Charge {
                amount: attempt.amount,
                description: words.description.clone().or(charge.description),
                statement_descriptor: words.statement_descriptor.clone().or(charge.statement_descriptor),
                ..charge
            })
            .tell("charge.updated", at);
    }
    let raised = PaymentIntent {
        amount: attempt.amount,
        amount_capturable: attempt.amount,
        description: words.description.or(intent.description),
        // Others may have been set since it was asked; the money is reserved whether or not there is room for these.
        metadata: MetadataPatch::Merge(words.metadata).apply(intent.metadata.clone()).unwrap_or(intent.metadata),
        statement_descriptor: words.statement_descriptor.or(intent.statement_descriptor),
        ..intent
    };
    receive::request(books, &raised);
    books.put(raised).tell("payment_intent.amount_capturable_updated", at);
}
