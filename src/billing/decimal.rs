//! Exact decimals of up to twelve places: unit prices in minor units (`unit_amount_decimal`), and quantities
//! (`quantity_decimal`).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::amount::{Amount, Overflow};

const PLACES: u32 = 12;
const ONE: i128 = 10_i128.pow(PLACES);

/// A number with up to twelve decimal places, held as an integer: a price per unit in minor units, or a quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(i128);

/// The text is no decimal number of at most twelve places within range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a decimal number with at most 12 decimal places")]
pub struct NotADecimal;

impl Decimal {
    pub const ZERO: Decimal = Decimal(0);

    pub fn from_amount(amount: Amount) -> Self {
        // An i64 times 10^12 always fits an i128.
        Decimal(i128::from(amount.minor_units()) * ONE)
    }

    /// The whole amount, when it has no decimal places.
    pub fn whole(self) -> Option<Amount> {
        (self.0 % ONE == 0).then(|| i64::try_from(self.0 / ONE).ok().map(Amount::new)).flatten()
    }

    /// One of a thing.
    pub const ONE: Decimal = Decimal(ONE);

    /// Without its decimal places.
    pub fn truncated(self) -> i64 {
        i64::try_from(self.0 / ONE).unwrap_or(i64::MAX)
    }

    /// As a part of a whole, both as small as powers of ten make them: 2.5 is 25 of 10.
    pub fn fraction(self) -> Result<(i64, i64), Overflow> {
        let (mut part, mut whole) = (self.0, ONE);
        while whole > 1 && part % 10 == 0 {
            (part, whole) = (part / 10, whole / 10);
        }
        i64::try_from(part).ok().zip(i64::try_from(whole).ok()).ok_or(Overflow)
    }

    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// `self × quantity`, exactly.
    pub fn by(self, quantity: i64) -> Result<Decimal, Overflow> {
        self.0.checked_mul(i128::from(quantity)).map(Decimal).ok_or(Overflow)
    }

    /// Both together, exactly.
    pub fn plus(self, other: Decimal) -> Result<Decimal, Overflow> {
        self.0.checked_add(other.0).map(Decimal).ok_or(Overflow)
    }

    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// `self × quantity`, rounded once, half away from zero (rounding per invoice line).
    pub fn times(self, quantity: i64) -> Result<Amount, Overflow> {
        self.by(quantity)?.part(1, 1, 1)
    }

    /// `self × part / whole` as a multiple of `step`, rounded once, half away from zero. The whole and
    /// the step are positive.
    pub fn part(self, part: i64, whole: i64, step: i64) -> Result<Amount, Overflow> {
        let product = self.0.checked_mul(i128::from(part)).ok_or(Overflow)?;
        let divisor = i128::from(whole).checked_mul(i128::from(step)).and_then(|divisor| divisor.checked_mul(ONE));
        let divisor = divisor.filter(|divisor| *divisor > 0).ok_or(Overflow)?;
        let half = if product < 0 { -divisor / 2 } else { divisor / 2 };
        let steps = product.checked_add(half).ok_or(Overflow)? / divisor;
        let rounded = steps.checked_mul(i128::from(step)).and_then(|rounded| i64::try_from(rounded).ok());
        rounded.map(Amount::new).ok_or(Overflow)
    }
}

impl From<i64> for Decimal {
    fn from(whole: i64) -> Self {
        Decimal::from_amount(Amount::new(whole))
    }
}

impl FromStr for Decimal {
    type Err = NotADecimal;

    fn from_str(text: &str) -> Result<Self, NotADecimal> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        let places = u32::try_from(fraction.len()).map_err(|_| NotADecimal)?;
        if whole.is_empty() || whole.len() > 19 || places > PLACES || !all_digits(whole) || !all_digits(fraction) {
            return Err(NotADecimal);
        }
        let whole: i128 = whole.parse().map_err(|_| NotADecimal)?;
        let fraction: i128 = if fraction.is_empty() { 0 } else { fraction.parse().map_err(|_| NotADecimal)? };
        let value = whole * ONE + fraction * 10_i128.pow(PLACES - places);
        if i64::try_from(value / ONE).is_err() {
            return Err(NotADecimal);
        }
        Ok(Decimal(if negative { -value } else { value }))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, value) = if self.0 < 0 { ("-", -self.0) } else { ("", self.0) };
        let (whole, fraction) = (value / ONE, value % ONE);
        if fraction == 0 {
            write!(f, "{sign}{whole}")
        } else {
            let places = format!("{fraction:012}");
            write!(f, "{sign}{whole}.{}", places.trim_end_matches('0'))
        }
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| de::Error::custom(format_args!("Invalid decimal: {text}")))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rounds_half_away_from_zero_once() {
        for (unit, quantity, amount) in [
            ("5", 30, 150),
            ("0.05", 30, 2),
            ("0.0125", 123_456, 1543),
            ("-0.5", 1, -1),
            ("0.5", 1, 1),
            ("0.4999", 1, 0),
        ] {
            let unit: Decimal = unit.parse().unwrap();
            assert_eq!(unit.times(quantity).unwrap(), Amount::new(amount), "{unit} x {quantity}");
        }
    }

    #[test]
    fn a_fraction_is_as_small_as_tens_make_it() {
        for (text, fraction) in
            [("2.5", Ok((25, 10))), ("3", Ok((3, 1))), ("0", Ok((0, 1))), ("0.000000000001", Ok((1, 10_i64.pow(12))))]
        {
            assert_eq!(text.parse::<Decimal>().unwrap().fraction(), fraction, "{text}");
        }
        assert_eq!(
            "9223372.000000000001".parse::<Decimal>().unwrap().fraction(),
            Ok((9_223_372_000_000_000_001, 10_i64.pow(12)))
        );
        assert!("9223373.000000000001".parse::<Decimal>().unwrap().fraction().is_err());
    }

    #[test]
    fn refuses_what_is_no_decimal() {
        for text in ["", ".", "1.", "-", "+1", "1e3", " 1", "1.0000000000001", "99999999999999999999", "٣"] {
            assert_eq!(text.parse::<Decimal>().is_ok(), text == "1.", "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn text_and_back(value in -(10_i128.pow(30))..10_i128.pow(30)) {
            let decimal = Decimal(value);
            prop_assert_eq!(decimal.to_string().parse::<Decimal>(), Ok(decimal));
        }
    }
}
