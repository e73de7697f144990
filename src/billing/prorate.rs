//! A part of a period costs the same part of its price: to the second, rounded once.

use super::{Amount, Timestamp, amount::Overflow, decimal::Decimal, period::Period};
use crate::words;

/// How much of a period, in seconds of seconds. Never a decimal number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    part: i64,
    whole: i64,
}

impl Ratio {
    pub const ONE: Ratio = Ratio { part: 1, whole: 1 };

    /// `part` seconds of `whole` seconds. A whole that is not positive has no parts: 1 of 1 then.
    pub const fn of(part: i64, whole: i64) -> Ratio {
        if whole > 0 { Ratio { part, whole } } else { Ratio::ONE }
    }

    /// What is left of a period at a time, which is taken to lie in it (formula of proration).
    pub fn remaining(period: Period, time: Timestamp) -> Ratio {
        let time = time.clamp(period.start, period.end);
        Ratio::of(period.end.unix_seconds() - time.unix_seconds(), period.seconds())
    }

    /// Both together, exactly.
    #[must_use]
    pub fn plus(self, other: Ratio) -> Ratio {
        let whole = i128::from(self.whole) * i128::from(other.whole);
        let part = i128::from(self.part) * i128::from(other.whole) + i128::from(other.part) * i128::from(self.whole);
        let common = greatest_common_divisor(part, whole);
        let narrow = |number: i128| i64::try_from(number / common).unwrap_or(i64::MAX);
        Ratio::of(narrow(part), narrow(whole))
    }

    /// This part of an amount, rounded half away from zero.
    pub fn of_amount(self, amount: Amount) -> Result<Amount, Overflow> {
        self.of_price(Decimal::from_amount(amount), 1)
    }

    /// This part of what a quantity costs for the whole period: rounded once, at the end.
    pub fn of_price(self, unit: Decimal, quantity: i64) -> Result<Amount, Overflow> {
        unit.times_part(quantity, self.part, self.whole)
    }
}

fn greatest_common_divisor(a: i128, b: i128) -> i128 {
    if b == 0 { a.abs().max(1) } else { greatest_common_divisor(b, a % b) }
}

words!(
    /// What to do about the parts of periods that a change leaves behind.
    ProrationBehavior {
        AlwaysInvoice = "always_invoice",
        CreateProrations = "create_prorations",
        None = "none",
    }
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// November 2026, and its ratios at the times of the worked examples.
    const NOVEMBER: Period = Period { start: Timestamp::new(1_793_491_200), end: Timestamp::new(1_796_083_200) };
    const CHANGE: Timestamp = Timestamp::new(1_794_744_000);

    fn part(unit: &str, quantity: i64, ratio: Ratio) -> i64 {
        ratio.of_price(unit.parse().unwrap(), quantity).unwrap().minor_units()
    }

    /// The worked examples of proration: unit, quantity, seconds left, seconds of the period, amount.
    #[test]
    fn the_worked_examples() {
        assert_eq!(Ratio::remaining(NOVEMBER, CHANGE), Ratio::of(1_339_200, 2_592_000));
        for (unit, quantity, left, whole, amount) in [
            ("1000", 1, 1_339_200, 2_592_000, 517),
            ("2000", 1, 1_339_200, 2_592_000, 1033),
            ("999", 3, 1_339_200, 2_592_000, 1548),
            ("999", 5, 1_339_200, 2_592_000, 2581),
            ("750", 1, 1_339_200, 2_592_000, 388),
            ("1500", 1, 1_339_200, 2_592_000, 775),
            ("1400", 1, 1_339_200, 2_592_000, 723),
            ("0", 7, 1_339_200, 2_592_000, 0),
            ("1500", 1, 1_524_275, 2_419_200, 945),
            ("4900", 1, 1_524_275, 2_419_200, 3087),
            ("5000", 1, 1_382_400, 2_678_400, 2581),
            ("10000", 1, 1_382_400, 2_678_400, 5161),
            ("4900", 1, 1_814_400, 2_592_000, 3430),
            ("1900", 1, 1_814_400, 2_592_000, 1330),
            ("2000", 1, 842_400, 2_592_000, 650),
            ("12000", 1, 15_638_400, 31_536_000, 5951),
            ("12000", 1, 15_724_800, 31_622_400, 5967),
            ("1333", 1, 864_000, 1_728_000, 667),
            // The first partial period of a subscription with an anchor.
            ("3000", 1, 1_155_600, 2_592_000, 1338),
            ("3000", 1, 1_123_200, 2_592_000, 1300),
        ] {
            let ratio = Ratio::of(left, whole);
            assert_eq!(part(unit, quantity, ratio), amount, "{quantity} × {unit} for {left} of {whole} s");
            assert_eq!(part(&format!("-{unit}"), quantity, ratio), -amount, "a credit mirrors its debit");
        }
    }

    #[test]
    fn a_time_outside_the_period_is_its_nearest_end() {
        assert_eq!(Ratio::remaining(NOVEMBER, NOVEMBER.start.plus_seconds(-5)), Ratio::of(2_592_000, 2_592_000));
        assert_eq!(part("1000", 1, Ratio::remaining(NOVEMBER, NOVEMBER.end.plus_seconds(5))), 0);
        assert_eq!(Ratio::of(5, 0), Ratio::ONE);
        assert!(
            Ratio::of(i64::MAX, 1).of_amount(Amount::new(i64::MAX)).is_err(),
            "too large is an error, never a panic"
        );
    }

    #[test]
    fn sums_are_exact() {
        assert_eq!(Ratio::ONE.plus(Ratio::of(1_155_600, 2_592_000)), Ratio::of(347, 240));
        assert_eq!(Ratio::of(0, 5).plus(Ratio::of(3, 9)), Ratio::of(1, 3));
        assert_eq!(Ratio::of(1, 3).plus(Ratio::of(1, 6)).plus(Ratio::of(1, 2)), Ratio::ONE);
    }

    proptest! {
        /// Two parts that make a whole cost the whole, within the rounding of each.
        #[test]
        fn parts_sum_to_the_whole(cents in 0_i64..10_000_000, quantity in 0_i64..1000, whole in 1_i64..100_000_000, cut in 0_i64..=1000) {
            let left = whole * cut / 1000;
            let unit = Decimal::from_amount(Amount::new(cents));
            let of = |part| Ratio::of(part, whole).of_price(unit, quantity).unwrap().minor_units();
            prop_assert!((of(left) + of(whole - left) - cents * quantity).abs() <= 1);
            prop_assert_eq!(of(whole), cents * quantity);
        }
    }
}
