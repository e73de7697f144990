//! What can be asked of the books.

use std::fmt;

use crate::{
    billing::{Books, Id, Moment, Noun, Refusal, Resource, customer::Customer, payment_intent::PaymentIntent},
    store::books::Needs,
};

/// One decision about one customer (or one shared noun).
pub trait Verb: Clone + Send + 'static {
    fn owner(&self) -> Owner;

    /// What to load beyond the standing set.
    fn needs(&self, _needs: &mut Needs) {}

    /// Pure: no clock, no database, no waiting.
    fn decide(self, books: &mut Books, at: &mut Moment) -> Result<Subject, Refusal>;
}

/// Whose lock a decision is made under.
#[derive(Clone, Debug)]
pub enum Owner {
    /// Something new, or a shared noun that locks its own row.
    Nobody,
    Customer(Id<Customer>),
    /// The customer that a document belongs to; nobody when it belongs to none.
    Of(&'static Noun, String),
}

impl Owner {
    pub fn of<R: Resource>(id: &Id<R>) -> Owner {
        Owner::Of(R::NOUN, id.to_string())
    }
}

/// What the answer to a request is about.
#[derive(Clone, Debug)]
pub struct Subject {
    pub noun: &'static Noun,
    pub id: String,
    /// It was deleted: the answer is the stub.
    pub deleted: bool,
    /// If this failed meanwhile, the answer is that error.
    pub unless_declined: Option<Asked>,
    /// The answer is not the whole document but this part of it: its noun and its id.
    pub part: Option<(&'static Noun, String)>,
    /// What was decided stands, and the answer is this error.
    pub refusal: Option<Box<Refusal>>,
    /// A member that only this answer shows (the secret of a new endpoint).
    pub shown_once: Option<(&'static str, String)>,
}

impl Subject {
    pub fn document<R: Resource>(id: &Id<R>) -> Subject {
        Subject {
            noun: R::NOUN,
            id: id.to_string(),
            deleted: false,
            unless_declined: None,
            refusal: None,
            part: None,
            shown_once: None,
        }
    }

    pub fn deleted<R: Resource>(id: &Id<R>) -> Subject {
        Subject { deleted: true, ..Subject::document(id) }
    }

    pub fn part<R: Resource>(id: &Id<R>, noun: &'static Noun, part: &str) -> Subject {
        Subject { part: Some((noun, part.to_owned())), ..Subject::document(id) }
    }

    #[must_use]
    pub fn refused(self, refusal: Refusal) -> Subject {
        Subject { refusal: Some(Box::new(refusal)), ..self }
    }

    #[must_use]
    pub fn unless_declined(self, intent: Option<Id<PaymentIntent>>) -> Subject {
        Subject { unless_declined: intent.map(|intent| Asked { intent, increment: None }), ..self }
    }

    /// The same of the attempt of this number to reserve more.
    #[must_use]
    pub fn unless_increment_declined(self, intent: Id<PaymentIntent>, number: i64) -> Subject {
        Subject { unless_declined: Some(Asked { intent, increment: Some(number) }), ..self }
    }
}

/// What the processor is asked for an answer: an intent's payment, or that more is reserved for it.
#[derive(Clone, Debug)]
pub struct Asked {
    pub intent: Id<PaymentIntent>,
    /// The number of the attempt that is to reserve more.
    pub increment: Option<i64>,
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.increment {
            None => write!(f, "{}", self.intent),
            Some(number) => write!(f, "{}:{number}", self.intent),
        }
    }
}

impl Asked {
    /// What [`fmt::Display`] has written.
    pub fn parse(text: &str) -> Option<Asked> {
        let (intent, number) = text.split_once(':').map_or((text, None), |(intent, number)| (intent, Some(number)));
        let increment = number.and_then(|number| number.parse().ok());
        (!intent.is_empty()).then(|| Asked { intent: Id::given(intent), increment })
    }
}

/// A verb made of a function: most calls are one.
#[derive(Clone)]
pub struct Decision<F> {
    owner: Owner,
    needs: Needs,
    decide: F,
}

impl<F: FnOnce(&mut Books, &mut Moment) -> Result<Subject, Refusal> + Clone + Send> Decision<F> {
    pub fn new(owner: Owner, needs: Needs, decide: F) -> Decision<F> {
        Decision { owner, needs, decide }
    }
}

impl<F: FnOnce(&mut Books, &mut Moment) -> Result<Subject, Refusal> + Clone + Send + 'static> Verb for Decision<F> {
    fn owner(&self) -> Owner {
        self.owner.clone()
    }

    fn needs(&self, needs: &mut Needs) {
        *needs = self.needs.clone();
    }

    fn decide(self, books: &mut Books, at: &mut Moment) -> Result<Subject, Refusal> {
        (self.decide)(books, at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A receipt remembers it as a word.
    #[test]
    fn what_was_asked_is_a_word() {
        for (text, increment) in [("pi_1", None), ("pi_1:3", Some(3))] {
            let asked = Asked::parse(text).unwrap();
            assert_eq!((asked.intent.as_str(), asked.increment), ("pi_1", increment));
            assert_eq!(asked.to_string(), text);
        }
        assert!(Asked::parse("").is_none());
    }
}
