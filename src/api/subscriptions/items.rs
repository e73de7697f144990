//! What callers say about the items of a subscription that is there already, and about what a change
//! of them costs.

use serde::Deserialize;

use crate::{
    billing::{
        Books, Id, MetadataPatch, Refusal,
        change::{Act, ItemChange},
        collect::intent_of,
        edit,
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
    quantity: Option<i64>,
    // Known, and refused rather than ignored.
    billing_thresholds: Option<Unsupported>,
    current_trial: Option<Unsupported>,
    discounts: Option<Unsupported>,
    price_data: Option<Unsupported>,
    tax_rates: Option<Unsupported>,
}

impl ItemParams {
    /// What is wanted, and from which parameter.
    pub fn change(self, param: String) -> Result<ItemChange, Refusal> {
        let within = |member: &str| edit::within(&param, member);
        refuse_clear_usage(self.clear_usage, within("clear_usage"))?;
        let price = self.price.or(self.plan);
        let act = match (self.id, self.deleted.unwrap_or(false)) {
            (Some(id), true) => Act::Remove { id },
            (None, true) => return Err(Refusal::missing(within("id"))),
            (Some(id), false) => Act::Edit { id, price, quantity: self.quantity, metadata: self.metadata },
            (None, false) => Act::Add {
                price: price.ok_or_else(|| Refusal::missing(within("price")))?,
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
pub fn changes(items: Vec<ItemParams>, param: &str) -> Result<Vec<ItemChange>, Refusal> {
    items.into_iter().enumerate().map(|(index, item)| item.change(format!("{param}[{index}]"))).collect()
}

/// The prices that changes put on a subscription.
pub fn need_prices(changes: &[ItemChange], needs: &mut Needs) {
    let price = |change: &ItemChange| match &change.act {
        Act::Add { price, .. } => Some(price.clone()),
        Act::Edit { price, .. } => price.clone(),
        Act::Remove { .. } => None,
    };
    needs.prices.extend(changes.iter().filter_map(price));
}

/// The intent of a change that is refused unless it is paid now.
pub fn refused_unless_paid(books: &Books, id: &Id<Subscription>) -> Option<Id<PaymentIntent>> {
    let held = books.get(id)?.internal.held.as_ref()?;
    let refused = held.before.is_some() && held.payment_behavior == PaymentBehavior::ErrorIfIncomplete;
    intent_of(books, &held.invoice).filter(|_| refused).map(|intent| intent.id.clone())
}
