//! The payment of a charge that was made directly. It is an intent like any other, so that whatever holds of
//! payments holds of it; but callers only know the charge.

use super::PaymentIntent;
use crate::billing::{
    Id,
    charge::{self, Charge},
};

/// What their ids start with, which sorts before those of intents: what is hidden is hidden by its id, and costs
/// no list a column.
const PREFIX: &str = "direct_";

/// The intent behind a charge: the one that it names, or its own, which has its id under another prefix.
pub fn behind(named: Option<&Id<PaymentIntent>>, charge: &Id<Charge>) -> Id<PaymentIntent> {
    let own = || {
        let unique = charge.as_str().strip_prefix(charge::NOUN.prefix).unwrap_or(charge.as_str());
        Id::given(format!("{PREFIX}{unique}"))
    };
    named.cloned().unwrap_or_else(own)
}

impl PaymentIntent {
    /// The one charge that it is for, if callers know only that.
    pub fn direct_charge(&self) -> Option<Id<Charge>> {
        let unique = self.id.as_str().strip_prefix(PREFIX)?;
        Some(Id::given(format!("{}{unique}", charge::NOUN.prefix)))
    }

    /// Its name, where callers may know it.
    pub fn public_id(&self) -> Option<Id<PaymentIntent>> {
        self.direct_charge().is_none().then(|| self.id.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::billing::payment_intent::NOUN;

    #[test]
    fn the_payment_of_a_direct_charge_is_known_by_its_id() {
        let charge: Id<Charge> = Id::given("ch_0123");
        let own = behind(None, &charge);
        assert!(!NOUN.shows(own.as_str()) && own.as_str() < NOUN.prefix, "lists begin after it");
        assert_eq!(own.bucket(), charge.bucket());
        let named = Id::given("pi_0123");
        assert_eq!(behind(Some(&named), &charge), named);
        assert!(NOUN.shows(named.as_str()));
    }
}
