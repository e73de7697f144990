//! Tiers: prices of units that change with how many there are.

use serde::{Deserialize, Serialize};

use super::{Amount, amount::Overflow, decimal::Decimal};
use crate::words;

words!(
    /// What a tier prices.
    TiersMode {
        /// The units that lie in it.
        Graduated = "graduated",
        /// All units, when the last of them lies in it.
        Volume = "volume",
    }
);

/// A stretch of quantities: from after the tier before it to `up_to`, which is in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tier {
    pub flat_amount: Option<Amount>,
    pub flat_amount_decimal: Option<Decimal>,
    pub unit_amount: Option<Amount>,
    pub unit_amount_decimal: Option<Decimal>,
    /// None has no end.
    pub up_to: Option<i64>,
}

impl Tier {
    fn holds(&self, quantity: i64) -> bool {
        self.up_to.is_none_or(|end| quantity <= end)
    }

    /// Its flat amount, and so many of its units.
    fn of(&self, units: i64) -> Result<Decimal, Overflow> {
        let unit = self.unit_amount_decimal.unwrap_or(Decimal::ZERO);
        unit.by(units)?.plus(self.flat_amount_decimal.unwrap_or(Decimal::ZERO))
    }
}

/// What a quantity costs, exactly. Of nothing the first tier's flat amount is due.
pub fn cost(tiers: &[Tier], mode: TiersMode, quantity: i64) -> Result<Decimal, Overflow> {
    let reached = tiers.iter().position(|tier| tier.holds(quantity)).unwrap_or(tiers.len());
    match (mode, tiers.get(reached)) {
        (_, None) => Err(Overflow),
        (TiersMode::Volume, Some(tier)) => tier.of(quantity),
        (TiersMode::Graduated, Some(_)) => {
            let mut below = 0;
            tiers[..=reached].iter().try_fold(Decimal::ZERO, |sum, tier| {
                let end = tier.up_to.map_or(quantity, |end| end.min(quantity));
                let units = end - std::mem::replace(&mut below, end);
                sum.plus(tier.of(units)?)
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tier(up_to: Option<i64>, unit: &str, flat: &str) -> Tier {
        Tier {
            flat_amount: None,
            flat_amount_decimal: flat.parse().ok(),
            unit_amount: None,
            unit_amount_decimal: unit.parse().ok(),
            up_to,
        }
    }

    /// Price models: the table of graduated and volume prices, and a quantity of nothing.
    #[test]
    fn tiers_price_their_own_units_or_all() {
        let tiers = [tier(Some(10), "500", ""), tier(Some(50), "400", "1000"), tier(None, "250", "")];
        for (quantity, graduated, volume) in
            [(0, 0, 0), (7, 3500, 3500), (10, 5000, 5000), (11, 6400, 5400), (30, 14_000, 13_000), (80, 29_500, 20_000)]
        {
            let of = |mode| cost(&tiers, mode, quantity).unwrap().times(1).unwrap().minor_units();
            assert_eq!((of(TiersMode::Graduated), of(TiersMode::Volume)), (graduated, volume), "{quantity}");
        }
        let flat = [tier(Some(5), "", "700"), tier(None, "0.5", "")];
        let of = |quantity| cost(&flat, TiersMode::Graduated, quantity).unwrap();
        assert_eq!((of(0), of(5), of(6)), ("700".parse().unwrap(), "700".parse().unwrap(), "700.5".parse().unwrap()));
    }
}
