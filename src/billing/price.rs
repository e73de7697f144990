//! What a product costs, and how often. Amounts never change; a price is archived, never deleted.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Amount, Currency, Id, Metadata, Noun, Resource, Timestamp,
    amount::Overflow,
    decimal::Decimal,
    noun::{By, Cell, boolean, filter, integer, json, null, one, text},
    period::{Cycle, Interval},
    product::{self, Product},
    prorate::Ratio,
    searchable::{METADATA, Stand, string, token},
    shape::Null,
};
use crate::words;

pub static NOUN: Noun = Noun {
    object: "price",
    prefix: "price_",
    table: "prices",
    url: "/v1/prices",
    name: "price",
    owned: false,
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
        filter("type", By::Text("type")),
        filter("lookup_keys", By::OneOf("lookup_key")),
        filter("recurring[interval]", By::Text("interval")),
        filter("recurring[usage_type]", By::NotSupportedYet),
        filter("recurring[meter]", By::NotSupportedYet),
    ],
    links: &[one("product", &product::NOUN), null("tiers"), null("currency_options")],
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
};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Price {
    pub id: Id<Price>,
    pub object: Tag,
    pub active: bool,
    pub billing_scheme: BillingScheme,
    pub created: Timestamp,
    pub currency: Currency,
    pub custom_unit_amount: Null,
    pub livemode: bool,
    pub lookup_key: Option<String>,
    pub metadata: Metadata,
    pub nickname: Option<String>,
    pub product: Id<Product>,
    pub recurring: Option<Recurring>,
    pub tax_behavior: TaxBehavior,
    pub tiers_mode: Null,
    pub transform_quantity: Null,
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Null when the price has decimal places.
    pub unit_amount: Option<Amount>,
    pub unit_amount_decimal: Decimal,
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

words!(BillingScheme { PerUnit = "per_unit" });
words!(UsageType { Licensed = "licensed" });
words!(Kind { OneTime = "one_time", Recurring = "recurring" });
words!(TaxBehavior { Exclusive = "exclusive", Inclusive = "inclusive", Unspecified = "unspecified" });

impl Price {
    /// What a quantity costs for a part of a period: rounded once, per line.
    pub fn amount_of(&self, quantity: i64, ratio: Ratio) -> Result<Amount, Overflow> {
        ratio.of_price(self.unit_amount_decimal, quantity)
    }

    /// What a quantity costs for one period: rounded once, per line.
    pub fn amount(&self, quantity: i64) -> Result<Amount, Overflow> {
        self.unit_amount_decimal.times(quantity)
    }

    pub fn trial_period_days(&self) -> Option<i64> {
        self.recurring.as_ref()?.trial_period_days
    }

    pub fn cycle(&self) -> Option<Cycle> {
        let recurring = self.recurring.as_ref()?;
        Some(Cycle { interval: recurring.interval, count: recurring.interval_count })
    }
}

/// The legacy view of a recurring price, which accompanies `price` in subscription items.
pub fn as_plan(price: &Value) -> Value {
    let of = |key: &str| price.get(key).cloned().unwrap_or(Value::Null);
    let recurring = |key: &str| price.pointer(&format!("/recurring/{key}")).cloned().unwrap_or(Value::Null);
    let mut plan = Map::new();
    plan.insert("id".into(), of("id"));
    plan.insert("object".into(), Value::from("plan"));
    plan.insert("active".into(), of("active"));
    plan.insert("amount".into(), of("unit_amount"));
    plan.insert("amount_decimal".into(), of("unit_amount_decimal"));
    plan.insert("billing_scheme".into(), of("billing_scheme"));
    plan.insert("created".into(), of("created"));
    plan.insert("currency".into(), of("currency"));
    plan.insert("interval".into(), recurring("interval"));
    plan.insert("interval_count".into(), recurring("interval_count"));
    plan.insert("livemode".into(), of("livemode"));
    plan.insert("metadata".into(), of("metadata"));
    plan.insert("meter".into(), recurring("meter"));
    plan.insert("nickname".into(), of("nickname"));
    plan.insert("product".into(), of("product"));
    plan.insert("tiers_mode".into(), of("tiers_mode"));
    plan.insert("transform_usage".into(), of("transform_quantity"));
    plan.insert("trial_period_days".into(), recurring("trial_period_days"));
    plan.insert("usage_type".into(), recurring("usage_type"));
    Value::Object(plan)
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
        if self.unit_amount_decimal.is_negative() {
            return Err("price: the unit amount is negative");
        }
        if self.recurring.is_some() != (self.kind == Kind::Recurring) {
            return Err("price: only recurring prices recur");
        }
        Ok(())
    }
}
