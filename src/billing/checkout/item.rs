//! The lines of a session: a price, how many, and what that comes to.

use serde::{Deserialize, Serialize};

use crate::billing::{
    Amount, Currency, Id, Metadata, Noun, Refusal, describe,
    edit::within,
    noun::{Inline, Keyed, Link, Target},
    price::{self, Price},
};

/// A line as its own object, for `/v1/checkout/sessions/{id}/line_items`.
pub static NOUN: Noun = Noun {
    object: "item",
    prefix: "li_",
    table: "checkout_sessions",
    url: "/v1/checkout/sessions",
    name: "item",
    keyed: Keyed::OfCustomer,
    leaves_stub: false,
    columns: &[],
    filters: &[],
    links: &[Link { path: "price", to: Target::Inline(&price::NOUN) }],
    inlines: &[Inline { parents: "", key: "price", with_plan: false }],
    previews: &[],
    searchable: &[],
    document: describe::shape_of::<LineItem>,
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LineItem {
    pub id: Id<LineItem>,
    pub object: Tag,
    pub adjustable_quantity: Option<AdjustableQuantity>,
    pub amount_discount: Amount,
    pub amount_subtotal: Amount,
    pub amount_tax: Amount,
    pub amount_total: Amount,
    pub currency: Currency,
    /// The name of the product.
    pub description: Option<String>,
    pub metadata: Metadata,
    pub price: Id<Price>,
    pub quantity: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Tag {
    #[serde(rename = "item")]
    Item,
}

/// The customer may choose another quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdjustableQuantity {
    pub enabled: bool,
    pub maximum: Option<i64>,
    pub minimum: Option<i64>,
}

const USUAL_MAXIMUM: i64 = 99;
const LARGEST_MAXIMUM: i64 = 999_999;

impl AdjustableQuantity {
    /// Between which quantities the customer may choose.
    pub fn bounds(self) -> (i64, i64) {
        (self.minimum.unwrap_or(0), self.maximum.unwrap_or(USUAL_MAXIMUM))
    }

    pub fn check(self, quantity: i64, param: &str) -> Result<(), Refusal> {
        let (minimum, maximum) = self.bounds();
        let param = within(param, "adjustable_quantity");
        if !(0..=LARGEST_MAXIMUM).contains(&maximum) {
            let message = format!("The maximum must be between 0 and {LARGEST_MAXIMUM}.");
            return Err(Refusal::invalid(message).param(within(&param, "maximum")));
        }
        if !(0..=maximum).contains(&minimum) {
            let message = "The minimum must not be negative, nor above the maximum.";
            return Err(Refusal::invalid(message).param(within(&param, "minimum")));
        }
        if self.enabled && !(minimum..=maximum).contains(&quantity) {
            let message = format!("The quantity must lie between {minimum} and {maximum}.");
            return Err(Refusal::invalid(message).param(within(&param, "minimum")));
        }
        Ok(())
    }
}

impl LineItem {
    /// The bounds of the customer's choice, if there is one.
    pub fn choice(&self) -> Option<(i64, i64)> {
        self.adjustable_quantity.filter(|adjustable| adjustable.enabled).map(AdjustableQuantity::bounds)
    }

    #[must_use]
    pub fn coming_to(self, amount: Amount) -> LineItem {
        LineItem { amount_subtotal: amount, amount_total: amount, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adjustable quantities: at most 99 unless something else is said, never above 999,999.
    #[test]
    fn a_choice_has_bounds() {
        let adjustable = |minimum, maximum| AdjustableQuantity { enabled: true, maximum, minimum };
        for (minimum, maximum, quantity, refused) in [
            (None, None, 1, None),
            (None, None, 99, None),
            (None, None, 100, Some("minimum")),
            (None, Some(999_999), 100, None),
            (None, Some(1_000_000), 1, Some("maximum")),
            (Some(2), None, 1, Some("minimum")),
            (Some(5), Some(4), 5, Some("minimum")),
            (Some(-1), None, 1, Some("minimum")),
        ] {
            let checked = adjustable(minimum, maximum).check(quantity, "line_items[0]");
            let param = refused.map(|member| format!("line_items[0][adjustable_quantity][{member}]"));
            assert_eq!(checked.err().and_then(|refusal| refusal.param), param, "{minimum:?} {maximum:?} {quantity}");
        }
        let fixed = AdjustableQuantity { enabled: false, maximum: None, minimum: None };
        assert!(fixed.check(1000, "line_items[0]").is_ok());
    }
}
