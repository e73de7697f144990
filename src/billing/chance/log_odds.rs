//! Chances and log-odds in whole numbers: the same on every machine.

use std::ops::{Add, AddAssign, Neg, Sub};

use serde::{Deserialize, Serialize};

/// How likely something is, in parts per million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Chance(u32);

/// The natural logarithm of odds, in thousandths: effects add up where chances do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogOdds(i32);

const MILLION: i64 = 1_000_000;
const BILLION: i64 = 1_000_000_000;
/// Beyond this nothing changes in parts per million.
const FARTHEST: i32 = 16_000;

/// `e^(-2^k / 1000)`, in billionths, for k from 0 to 13.
const POWERS: [i64; 14] = [
    999_000_500,
    998_001_999,
    996_007_989,
    992_031_915,
    984_127_320,
    968_506_582,
    938_005_000,
    879_853_379,
    774_141_969,
    599_295_788,
    359_155_441,
    128_992_631,
    16_639_099,
    276_860,
];

/// `e^(-thousandths / 1000)`, in billionths: the product of the powers that make up the number.
fn decay(thousandths: i32) -> i64 {
    let thousandths = thousandths.clamp(0, FARTHEST);
    let bits = POWERS.iter().enumerate().filter(|(bit, _)| thousandths >> bit & 1 == 1);
    bits.fold(BILLION, |product, (_, power)| product * power / BILLION)
}

impl Chance {
    pub const fn parts_per_million(self) -> i64 {
        self.0 as i64
    }

    /// That this comes about, or else that.
    #[must_use]
    pub fn or_else(self, other: Chance) -> Chance {
        let remains = MILLION - self.parts_per_million();
        Chance(self.0 + u32::try_from(remains * other.parts_per_million() / MILLION).unwrap_or(0))
    }

    /// `31.2`: percent, to a tenth.
    pub fn percent(self) -> String {
        let tenths = (self.0 + 500) / 1000;
        format!("{}.{}", tenths / 10, tenths % 10)
    }
}

impl LogOdds {
    pub const fn thousandths(thousandths: i32) -> LogOdds {
        LogOdds(thousandths)
    }

    pub const fn as_thousandths(self) -> i32 {
        self.0
    }

    pub fn chance(self) -> Chance {
        let against = decay(self.0.saturating_abs());
        let parts = if self.0 < 0 { against } else { BILLION } * MILLION / (BILLION + against);
        Chance(u32::try_from(parts).unwrap_or(0))
    }

    /// `1.82`: what it multiplies odds by.
    pub fn factor(self) -> String {
        let decayed = decay(self.0.saturating_abs()).max(1);
        let hundredths = if self.0 < 0 { decayed / 10_000_000 } else { 100 * BILLION / decayed };
        format!("{}.{:02}", hundredths / 100, hundredths % 100)
    }
}

impl Add for LogOdds {
    type Output = LogOdds;

    fn add(self, other: LogOdds) -> LogOdds {
        LogOdds(self.0.saturating_add(other.0))
    }
}

impl AddAssign for LogOdds {
    fn add_assign(&mut self, other: LogOdds) {
        *self = *self + other;
    }
}

impl Neg for LogOdds {
    type Output = LogOdds;

    fn neg(self) -> LogOdds {
        LogOdds(self.0.saturating_neg())
    }
}

impl Sub for LogOdds {
    type Output = LogOdds;

    fn sub(self, other: LogOdds) -> LogOdds {
        self + -other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_odds_and_chances_agree_with_the_formula() {
        for (thousandths, parts) in [
            (0, 500_000),
            (1, 500_250),
            (1000, 731_058),
            (-1000, 268_941),
            (-1386, 200_047),
            (2197, 899_979),
            (-4000, 17_986),
            (8191, 999_723),
            (-16_000, 0),
            (i32::MIN, 0),
            (i32::MAX, 999_999),
        ] {
            let chance = LogOdds::thousandths(thousandths).chance().parts_per_million();
            assert!((chance - parts).abs() <= 1, "{thousandths}: {chance}");
        }
    }

    #[test]
    fn a_chance_grows_with_its_log_odds() {
        let chances: Vec<Chance> = (-9000..9000).map(|one| LogOdds::thousandths(one).chance()).collect();
        assert!(chances.is_sorted());
    }

    #[test]
    fn they_are_said_as_people_say_them() {
        assert_eq!(LogOdds::thousandths(-789).chance().percent(), "31.2");
        assert_eq!(LogOdds::thousandths(600).factor(), "1.82");
        assert_eq!(LogOdds::thousandths(-693).factor(), "0.50");
        let half = LogOdds::default().chance();
        assert_eq!(half.or_else(half).percent(), "75.0");
    }
}
