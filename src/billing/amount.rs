//! Money: whole minor units, never floating point.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Refusal;

/// An amount of money in the minor unit of its currency (cents; yen; fils). May be negative.
///
/// The currency travels beside it, in the document that holds it, because one table holds every
/// currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Amount(i64);

/// A sum left the range of `i64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an amount of money is out of range")]
pub struct Overflow;

impl From<Overflow> for Refusal {
    fn from(_: Overflow) -> Self {
        Refusal::invalid("The amount is too large.").code("amount_too_large")
    }
}

impl Amount {
    pub const ZERO: Amount = Amount(0);
    /// The largest amount that one payment may have: eight digits (the charge maximum).
    pub const MAXIMUM_CHARGE: Amount = Amount(99_999_999);

    pub const fn new(minor_units: i64) -> Self {
        Amount(minor_units)
    }

    pub const fn minor_units(self) -> i64 {
        self.0
    }

    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    pub fn plus(self, other: Amount) -> Result<Amount, Overflow> {
        self.0.checked_add(other.0).map(Amount).ok_or(Overflow)
    }

    pub fn minus(self, other: Amount) -> Result<Amount, Overflow> {
        self.0.checked_sub(other.0).map(Amount).ok_or(Overflow)
    }

    pub fn negated(self) -> Result<Amount, Overflow> {
        self.0.checked_neg().map(Amount).ok_or(Overflow)
    }

    /// The sum, or [`Overflow`].
    pub fn sum(amounts: impl IntoIterator<Item = Amount>) -> Result<Amount, Overflow> {
        amounts.into_iter().try_fold(Amount::ZERO, Amount::plus)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn adding_never_wraps(a: i64, b: i64) {
            let exact = i128::from(a) + i128::from(b);
            match Amount::new(a).plus(Amount::new(b)) {
                Ok(sum) => prop_assert_eq!(i128::from(sum.minor_units()), exact),
                Err(Overflow) => prop_assert!(i64::try_from(exact).is_err()),
            }
        }

        #[test]
        fn minus_undoes_plus(a in -1_000_000_000_i64..1_000_000_000, b in -1_000_000_000_i64..1_000_000_000) {
            let sum = Amount::new(a).plus(Amount::new(b)).unwrap();
            prop_assert_eq!(sum.minus(Amount::new(b)).unwrap(), Amount::new(a));
        }
    }
}
