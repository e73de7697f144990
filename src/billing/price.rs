//! What a product costs, and how often. Amounts never change; a price is archived, never deleted.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Amount, Currency, Id, Metadata, Noun, Resource, Timestamp,
    amount::Overflow,
    decimal::Decimal,
    describe,
    noun::{By, Cell, Keyed, Link, Meaning, Target, boolean, filter, integer, json, one, text, word},
    period::{Cycle, Interval},
    product::{self, Product},
    prorate::Ratio,
    searchable::{METADATA, Stand, string, token},
    shape::Null,
    tier::{self, Tier, TiersMode},
    wire,
};
use crate::words;

pub static NOUN: Noun = Noun {
    object: "price",
    prefix: "price_",
    table: "prices",
    url: "/v1/prices",
    name: "price",
    keyed: Keyed::Chosen,
    leaves_stub: false,
    columns: &[
        text("product"),
        boolean("active"),
        text("currency"),
        text("type"),
        text("lookup_key"),
        text("interval"),
        integer("unit_amount"),
        json("metadata"),
    ],
    filters: &[
        filter("product", By::Text("product")),
        filter("active", By::Boolean("active")),
        filter("currency", By::Text("currency")),
        filter("type", By::Word { column: "type", words: &[word(&["one_time"]), word(&["recurring"])] }),
        filter("lookup_keys", By::OneOf("lookup_key")),
        filter(
            "recurring[interval]",
            By::Word {
                column: "interval",
                words: &[word(&["day"]), word(&["week"]), word(&["month"]), word(&["year"])],
            },
        ),
        // Whatever recurs is licensed.
        filter(
            "recurring[usage_type]",
            By::Word {
                column: "type",
                words: &[("licensed", Meaning::OneOf(&["recurring"])), ("metered", Meaning::OneOf(&[]))],
            },
        ),
        filter("recurring[meter]", By::NotSupportedYet),
    ],
    links: &[
        one("product", &product::NOUN),
        Link { path: "tiers", to: Target::Derived { make: tiers, of: &[] } },
        Link { path: "currency_options", to: Target::Derived { make: currency_options, of: &[] } },
    ],
    inlines: &[],
    previews: &[],
    searchable: &[
        token("active", Stand::Boolean("active")),
        token("currency", Stand::Word("currency")),
        string("lookup_key", Stand::Text("lookup_key")),
        METADATA,
        string("product", Stand::Id("product")),
        token("type", Stand::Word("type")),
    ],
    document: describe::shape_of::<Price>,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Price {
    pub id: Id<Price>,
    pub object: Tag,
    pub active: bool,
    pub billing_scheme: BillingScheme,
    pub created: Timestamp,
    pub currency: Currency,
    pub custom_unit_amount: Option<CustomUnitAmount>,
    pub livemode: bool,
    pub lookup_key: Option<String>,
    pub metadata: Metadata,
    pub nickname: Option<String>,
    pub product: Id<Product>,
    pub recurring: Option<Recurring>,
    pub tax_behavior: TaxBehavior,
    pub tiers_mode: Option<TiersMode>,
    pub transform_quantity: Option<TransformQuantity>,
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Null when the price has decimal places.
    pub unit_amount: Option<Amount>,
    /// Null when it is not each unit that has a price: tiers, or an amount that the payer chooses.
    pub unit_amount_decimal: Option<Decimal>,
    #[serde(default, skip_serializing_if = "Internal::is_empty")]
    pub internal: Internal,
}

/// What is shown only when it is asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Internal {
    /// What it costs in other currencies.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub currency_options: BTreeMap<Currency, CurrencyOption>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<Tier>,
}

impl Internal {
    fn is_empty(&self) -> bool {
        self.currency_options.is_empty() && self.tiers.is_empty()
    }
}

/// What a price comes to in one currency.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurrencyOption {
    pub custom_unit_amount: Option<CustomUnitAmount>,
    pub tax_behavior: TaxBehavior,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<Tier>,
    pub unit_amount: Option<Amount>,
    pub unit_amount_decimal: Option<Decimal>,
}

/// The bounds of an amount that the payer chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomUnitAmount {
    pub maximum: Option<Amount>,
    pub minimum: Option<Amount>,
    pub preset: Option<Amount>,
}

/// Units that are sold in packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransformQuantity {
    pub divide_by: i64,
    pub round: Round,
}

words!(Round { Down = "down", Up = "up" });

impl TransformQuantity {
    /// How many packages a quantity takes. `divide_by` is positive, and no quantity is negative.
    const fn packages(self, quantity: i64) -> i64 {
        let whole = quantity / self.divide_by;
        match self.round {
            Round::Up if quantity % self.divide_by > 0 => whole + 1,
            Round::Up | Round::Down => whole,
        }
    }
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Tag {
    #[serde(rename = "price")]
    Price,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Recurring {
    pub interval: Interval,
    pub interval_count: i64,
    pub meter: Null,
    /// How long a trial is when one is asked for by `trial_from_plan`.
    pub trial_period_days: Option<i64>,
    pub usage_type: UsageType,
}

words!(BillingScheme { PerUnit = "per_unit", Tiered = "tiered" });
words!(UsageType { Licensed = "licensed", Metered = "metered" });
words!(Kind { OneTime = "one_time", Recurring = "recurring" });
words!(TaxBehavior { Exclusive = "exclusive", Inclusive = "inclusive", Unspecified = "unspecified" });

impl Price {
    /// What a quantity costs for a part of a period: rounded once, per line, to what can be charged.
    pub fn amount_of(&self, quantity: i64, ratio: Ratio) -> Result<Amount, Overflow> {
        ratio.of_cost(self.cost(quantity)?, self.currency)
    }

    /// What a quantity costs for one period, rounded in the same way.
    pub fn amount(&self, quantity: i64) -> Result<Amount, Overflow> {
        self.amount_of(quantity, Ratio::ONE)
    }

    /// The same before it is rounded.
    fn cost(&self, quantity: i64) -> Result<Decimal, Overflow> {
        if let Some(mode) = self.tiers_mode {
            return tier::cost(&self.internal.tiers, mode, quantity);
        }
        let units = self.transform_quantity.map_or(quantity, |transform| transform.packages(quantity));
        self.unit_amount_decimal.unwrap_or(Decimal::ZERO).by(units)
    }

    /// Whether any quantity of it is free, in whatever currency.
    pub fn is_free(&self) -> bool {
        let free = |amount: &Option<Decimal>| amount.is_some_and(Decimal::is_zero);
        free(&self.unit_amount_decimal)
            && self.internal.currency_options.values().all(|option| free(&option.unit_amount_decimal))
    }

    /// What it comes to in its own currency.
    pub fn terms(&self) -> CurrencyOption {
        CurrencyOption {
            custom_unit_amount: self.custom_unit_amount,
            tax_behavior: self.tax_behavior,
            tiers: self.internal.tiers.clone(),
            unit_amount: self.unit_amount,
            unit_amount_decimal: self.unit_amount_decimal,
        }
    }

    /// The price as it is in a currency, if it has one there.
    pub fn in_currency(&self, currency: Currency) -> Option<Cow<'_, Price>> {
        if self.currency == currency {
            return Some(Cow::Borrowed(self));
        }
        let option = self.internal.currency_options.get(&currency)?.clone();
        Some(Cow::Owned(Price {
            currency,
            custom_unit_amount: option.custom_unit_amount,
            tax_behavior: option.tax_behavior,
            unit_amount: option.unit_amount,
            unit_amount_decimal: option.unit_amount_decimal,
            internal: Internal { tiers: option.tiers, currency_options: BTreeMap::new() },
            ..self.clone()
        }))
    }

    pub fn trial_period_days(&self) -> Option<i64> {
        self.recurring.as_ref()?.trial_period_days
    }

    pub fn cycle(&self) -> Option<Cycle> {
        let recurring = self.recurring.as_ref()?;
        Some(Cycle { interval: recurring.interval, count: recurring.interval_count })
    }
}

/// `tiers`, out of a stored price.
pub fn tiers(price: &Value) -> Option<Value> {
    price.pointer(&format!("/{}/tiers", wire::INTERNAL)).cloned()
}

/// `currency_options`, out of a stored price: its own currency is one of them.
fn currency_options(price: &Value) -> Option<Value> {
    let price: Price = serde_json::from_value(price.clone()).ok()?;
    let mut options = price.internal.currency_options.clone();
    options.insert(price.currency, price.terms());
    serde_json::to_value(options).ok()
}

impl Resource for Price {
    const NOUN: &'static Noun = &NOUN;

    crate::basics!(created);

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text(&self.product),
            Cell::Boolean(self.active),
            Cell::text(self.currency),
            Cell::text(self.kind),
            Cell::maybe(self.lookup_key.as_ref()),
            Cell::maybe(self.recurring.as_ref().map(|recurring| recurring.interval.word())),
            Cell::Integer(self.unit_amount.map(Amount::minor_units)),
            Cell::metadata(&self.metadata),
        ]
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.unit_amount_decimal.is_some_and(Decimal::is_negative) {
            return Err("price: the unit amount is negative");
        }
        if self.tiers_mode.is_some() != (self.billing_scheme == BillingScheme::Tiered) {
            return Err("price: only tiered prices have tiers");
        }
        if self.transform_quantity.is_some_and(|transform| transform.divide_by < 1) {
            return Err("price: a package holds at least one unit");
        }
        if self.recurring.is_some() != (self.kind == Kind::Recurring) {
            return Err("price: only recurring prices recur");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Price models, packages: 1000 for 10, 12,345 units; five users for 10.
    #[test]
    fn packages_round_as_they_are_told() {
        for (divide_by, round, quantity, packages) in [
            (1000, Round::Down, 12_345, 12),
            (1000, Round::Up, 12_345, 13),
            (5, Round::Up, 6, 2),
            (5, Round::Up, 5, 1),
            (5, Round::Up, 0, 0),
            (5, Round::Down, 4, 0),
        ] {
            assert_eq!(
                TransformQuantity { divide_by, round }.packages(quantity),
                packages,
                "{quantity} by {divide_by}"
            );
        }
    }
}
