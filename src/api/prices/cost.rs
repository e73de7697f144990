//! What a price comes to, as callers say it: an amount, tiers, or an amount that the payer chooses; in
//! one currency or in several.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de};

use crate::billing::{
    Amount, Currency, Refusal,
    decimal::Decimal,
    edit::within,
    price::{BillingScheme, CurrencyOption, CustomUnitAmount, Round, TaxBehavior, TransformQuantity},
    tier::{Tier, TiersMode},
};

/// More than this could not be charged for a single unit.
const MOST: Amount = Amount::new(999_999_999_999);

/// What a price comes to in one currency.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct CostParams {
    pub custom_unit_amount: Option<CustomUnitAmountParams>,
    pub tax_behavior: Option<TaxBehavior>,
    pub tiers: Option<Vec<TierParams>>,
    pub unit_amount: Option<Amount>,
    pub unit_amount_decimal: Option<Decimal>,
}

/// The same in other currencies.
pub type CurrencyOptionsParams = BTreeMap<Currency, CostParams>;

#[derive(Clone, Debug, Deserialize)]
pub struct CustomUnitAmountParams {
    enabled: bool,
    maximum: Option<Amount>,
    minimum: Option<Amount>,
    preset: Option<Amount>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct TierParams {
    flat_amount: Option<Amount>,
    flat_amount_decimal: Option<Decimal>,
    unit_amount: Option<Amount>,
    unit_amount_decimal: Option<Decimal>,
    up_to: UpTo,
}

#[derive(Clone, Copy, Debug)]
enum UpTo {
    Infinity,
    Quantity(i64),
}

impl<'de> Deserialize<'de> for UpTo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "inf" => Ok(UpTo::Infinity),
            text => match text.parse() {
                Ok(quantity) if quantity > 0 => Ok(UpTo::Quantity(quantity)),
                _ => {
                    Err(de::Error::custom(format_args!("Invalid up_to: {text} is neither a positive integer nor inf")))
                }
            },
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub struct TransformQuantityParams {
    divide_by: i64,
    round: Round,
}

impl TransformQuantityParams {
    pub fn check(self, scheme: BillingScheme, param: &str) -> Result<TransformQuantity, Refusal> {
        if scheme == BillingScheme::Tiered {
            return Err(Refusal::exclusive(&["tiers", param]).param(param));
        }
        if self.divide_by < 1 {
            return Err(Refusal::below(1).param(within(param, "divide_by")));
        }
        Ok(TransformQuantity { divide_by: self.divide_by, round: self.round })
    }
}

/// The mode, where there are tiers; never without.
pub fn tiers_mode(scheme: BillingScheme, mode: Option<TiersMode>) -> Result<Option<TiersMode>, Refusal> {
    match (scheme, mode) {
        (BillingScheme::Tiered, None) => Err(Refusal::missing("tiers_mode")),
        (BillingScheme::PerUnit, Some(_)) => {
            let message = "You can only specify tiers_mode if billing_scheme is tiered.";
            Err(Refusal::invalid(message).param("tiers_mode"))
        }
        (_, mode) => Ok(mode),
    }
}

/// Two ways to say the same: at most one of them.
fn one_of(
    amount: Option<Amount>,
    decimal: Option<Decimal>,
    names: (&str, &str),
    currency: Currency,
    param: &str,
) -> Result<Option<Decimal>, Refusal> {
    let (decimal, name) = match (amount, decimal) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return Err(Refusal::exclusive(&[names.0, names.1]).param(within(param, names.0))),
        (Some(amount), None) => (Decimal::from_amount(amount), names.0),
        (None, Some(decimal)) => (decimal, names.1),
    };
    let name = within(param, name);
    if decimal.is_negative() {
        return Err(Refusal::below(0).param(name));
    }
    if decimal > Decimal::from_amount(MOST) {
        return Err(Refusal::invalid("The unit amount is too large.").code("amount_too_large").param(name));
    }
    if let Some(amount) = decimal.whole() {
        currency.check(amount, &name)?;
    }
    Ok(Some(decimal))
}

impl CostParams {
    /// What is said, if it makes a price of this scheme; `param` is where it is said.
    pub fn check(self, currency: Currency, scheme: BillingScheme, param: &str) -> Result<CurrencyOption, Refusal> {
        let names = ("unit_amount", "unit_amount_decimal");
        let unit = one_of(self.unit_amount, self.unit_amount_decimal, names, currency, param)?;
        let refused = |name: &str, why: &str| Err(Refusal::invalid(format!("{why}.")).param(within(param, name)));
        let custom = self.custom_unit_amount.map(|custom| custom.check(param)).transpose()?;
        match (scheme, unit.is_some(), custom.is_some(), self.tiers.is_some()) {
            (BillingScheme::PerUnit, false, false, false) => {
                return Err(Refusal::missing(within(param, "unit_amount")));
            }
            (BillingScheme::PerUnit, true, true, _) => {
                return Err(
                    Refusal::exclusive(&["unit_amount", "custom_unit_amount"]).param(within(param, "unit_amount"))
                );
            }
            (BillingScheme::PerUnit, _, _, true) => {
                return refused("tiers", "You can only specify tiers if billing_scheme is tiered");
            }
            (BillingScheme::Tiered, true, _, _) => {
                return refused("unit_amount", "A price with tiers has no unit amount of its own");
            }
            (BillingScheme::Tiered, _, true, _) => {
                return refused("custom_unit_amount", "The payer cannot choose the amount of a price with tiers");
            }
            (BillingScheme::Tiered, _, _, false) => return Err(Refusal::missing(within(param, "tiers"))),
            (BillingScheme::PerUnit | BillingScheme::Tiered, _, _, _) => {}
        }
        Ok(CurrencyOption {
            custom_unit_amount: custom,
            tax_behavior: self.tax_behavior.unwrap_or(TaxBehavior::Unspecified),
            tiers: tiers(self.tiers.unwrap_or_default(), currency, param)?,
            unit_amount: unit.and_then(Decimal::whole),
            unit_amount_decimal: unit,
        })
    }
}

impl CustomUnitAmountParams {
    fn check(self, param: &str) -> Result<CustomUnitAmount, Refusal> {
        let param = within(param, "custom_unit_amount");
        if !self.enabled {
            return Err(Refusal::invalid("Invalid enabled: it must be true.").param(format!("{param}[enabled]")));
        }
        let ascending = [("minimum", self.minimum), ("preset", self.preset), ("maximum", self.maximum)];
        let mut least = Amount::ZERO;
        for (name, amount) in ascending {
            let Some(amount) = amount else { continue };
            if amount < least {
                let message = "The amounts must not be negative, and minimum, preset and maximum must ascend.";
                return Err(Refusal::invalid(message).param(format!("{param}[{name}]")));
            }
            least = amount;
        }
        Ok(CustomUnitAmount { maximum: self.maximum, minimum: self.minimum, preset: self.preset })
    }
}

/// Tiers ascend, and the last of them has no end.
fn tiers(params: Vec<TierParams>, currency: Currency, param: &str) -> Result<Vec<Tier>, Refusal> {
    let (param, last) = (within(param, "tiers"), params.len().saturating_sub(1));
    let mut below = 0;
    let mut tiers = Vec::with_capacity(params.len());
    for (place, tier) in params.into_iter().enumerate() {
        let param = format!("{param}[{place}]");
        let up_to = match tier.up_to {
            UpTo::Infinity if place == last => None,
            UpTo::Quantity(end) if place < last && end > below => Some(end),
            UpTo::Infinity | UpTo::Quantity(_) => {
                let message =
                    "The up_to of tiers must ascend, and that of the last tier (and of no other) must be inf.";
                return Err(Refusal::invalid(message).param(format!("{param}[up_to]")));
            }
        };
        below = up_to.unwrap_or(below);
        let of = |amount, decimal, names| one_of(amount, decimal, names, currency, &param);
        let unit = of(tier.unit_amount, tier.unit_amount_decimal, ("unit_amount", "unit_amount_decimal"))?;
        let flat = of(tier.flat_amount, tier.flat_amount_decimal, ("flat_amount", "flat_amount_decimal"))?;
        if unit.or(flat).is_none() {
            return Err(Refusal::missing(format!("{param}[unit_amount]")));
        }
        tiers.push(Tier {
            flat_amount: flat.and_then(Decimal::whole),
            flat_amount_decimal: flat,
            unit_amount: unit.and_then(Decimal::whole),
            unit_amount_decimal: unit,
            up_to,
        });
    }
    Ok(tiers)
}

/// What a price comes to in other currencies than its own.
pub fn currency_options(
    params: CurrencyOptionsParams,
    own: Currency,
    scheme: BillingScheme,
    param: &str,
) -> Result<BTreeMap<Currency, CurrencyOption>, Refusal> {
    let options = params.into_iter().map(|(currency, cost)| {
        let param = format!("{}[{currency}]", within(param, "currency_options"));
        if currency == own {
            let message = format!("The price is in {own} already: its currency_options are for other currencies.");
            return Err(Refusal::invalid(message).param(param));
        }
        Ok((currency, cost.check(currency, scheme, &param)?))
    });
    options.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cost: CostParams, scheme: BillingScheme) -> Result<CurrencyOption, (String, Option<String>)> {
        let refused = |refusal: Refusal| (refusal.param.unwrap_or_default(), refusal.code);
        cost.check(Currency::parse("usd").unwrap(), scheme, "").map_err(refused)
    }

    fn tier(unit: Option<i64>, up_to: UpTo) -> TierParams {
        let unit_amount = unit.map(Amount::new);
        TierParams { flat_amount: None, flat_amount_decimal: None, unit_amount, unit_amount_decimal: None, up_to }
    }

    /// Price models: each scheme has its own way to say how much, and only that.
    #[test]
    fn a_cost_is_said_in_the_way_of_its_scheme() {
        use BillingScheme::{PerUnit, Tiered};
        let cost = |unit: Option<i64>, tiers: Option<Vec<TierParams>>| CostParams {
            unit_amount: unit.map(Amount::new),
            tiers,
            ..CostParams::default()
        };
        let (ten, rest) = (|| tier(Some(500), UpTo::Quantity(10)), || tier(Some(400), UpTo::Infinity));
        assert!(check(cost(Some(5), None), PerUnit).is_ok());
        assert!(check(cost(None, Some(vec![ten(), rest()])), Tiered).is_ok());
        for (asked, scheme, param) in [
            (cost(None, None), PerUnit, "unit_amount"),
            (cost(Some(-1), None), PerUnit, "unit_amount"),
            (cost(Some(5), Some(vec![rest()])), PerUnit, "tiers"),
            (cost(Some(5), Some(vec![rest()])), Tiered, "unit_amount"),
            (cost(None, None), Tiered, "tiers"),
            (cost(None, Some(vec![ten()])), Tiered, "tiers[0][up_to]"),
            (cost(None, Some(vec![rest(), rest()])), Tiered, "tiers[0][up_to]"),
            (cost(None, Some(vec![ten(), ten(), rest()])), Tiered, "tiers[1][up_to]"),
            (cost(None, Some(vec![tier(None, UpTo::Infinity)])), Tiered, "tiers[0][unit_amount]"),
        ] {
            let said = format!("{asked:?}");
            assert_eq!(check(asked, scheme).unwrap_err().0, param, "{said}");
        }
    }
}
