//! What callers say about the items of a subscription that is there already, and about what a change
//! of them costs.

use serde::Deserialize;

use super::extras::priced;
use crate::{
    api::prices::InlinePrice,
    billing::{
        Books, Id, MetadataPatch, Moment, Refusal,
        change::{Act, ItemChange},
        collect::intent_of,
        payment_intent::PaymentIntent,
        price::Price,
        shape::Unsupported,
        subscribe::PaymentBehavior,
        subscription::{Item, Subscription},
    },
    store::books::Needs,
};

/// An entry of `items`: without an id it adds an item.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ItemParams {
    clear_usage: Option<bool>,
    deleted: Option<bool>,
    id: Option<Id<Item>>,
    metadata: MetadataPatch,
    plan: Option<Id<Price>>,
    price: Option<Id<Price>>,
    price_data: Option<InlinePrice>,
    quantity: Option<i64>,
    // Known, and refused rather than ignored.
    billing_thresholds: Option<Unsupported>,
    current_trial: Option<Unsupported>,
    discounts: Option<Unsupported>,
    tax_rates: Option<Unsupported>,
}

impl ItemParams {
    /// What is wanted, and from which parameter.
    fn change(self, param: String, books: &mut Books, livemode: bool, at: &mut Moment) -> Result<ItemChange, Refusal> {
        let within = |member: &str| format!("{param}[{member}]");
        refuse_clear_usage(self.clear_usage, within("clear_usage"))?;
        let named = self.price.or(self.plan);
        let act = match (self.id, self.deleted.unwrap_or(false)) {
            (Some(id), true) => Act::Remove { id },
            (None, true) => return Err(Refusal::missing(within("id"))),
            (Some(id), false) => {
                let price = if named.is_some() || self.price_data.is_some() {
                    Some(priced(named, self.price_data, &param, books, livemode, at)?)
                } else {
                    None
                };
                Act::Edit { id, price, quantity: self.quantity, metadata: self.metadata }
            }
            (None, false) => Act::Add {
                price: priced(named, self.price_data, &param, books, livemode, at)?,
                quantity: self.quantity,
                metadata: self.metadata.initial()?,
            },
        };
        Ok(ItemChange { param, act })
    }
}

/// Nothing here is metered, so there is no usage to clear.
pub fn refuse_clear_usage(clear_usage: Option<bool>, param: String) -> Result<(), Refusal> {
    if clear_usage == Some(true) { Err(Refusal::not_supported_yet(param)) } else { Ok(()) }
}

/// All entries of a parameter.
pub fn changes(
    items: Vec<ItemParams>,
    param: &str,
    books: &mut Books,
    livemode: bool,
    at: &mut Moment,
) -> Result<Vec<ItemChange>, Refusal> {
    let change = |(index, item): (usize, ItemParams)| item.change(format!("{param}[{index}]"), books, livemode, at);
    items.into_iter().enumerate().map(change).collect()
}

/// What must be at hand: the prices that are named, the products of those that are made.
pub fn need_prices(items: &[ItemParams], needs: &mut Needs) {
    for item in items {
        needs.prices.extend(item.price.as_ref().or(item.plan.as_ref()).cloned());
        item.price_data.iter().for_each(|data| needs.document(&data.product));
    }
}

/// The intent of a change that is refused unless it is paid now.
pub fn refused_unless_paid(books: &Books, id: &Id<Subscription>) -> Option<Id<PaymentIntent>> {
    let held = books.get(id)?.internal.held.as_ref()?;
    let refused = held.before.is_some() && held.payment_behavior == PaymentBehavior::ErrorIfIncomplete;
    intent_of(books, &held.invoice).filter(|_| refused).map(|intent| intent.id.clone())
}
