//! What a subscription consists of: a price, how many, and the period that it is in.

use serde::{Deserialize, Serialize};

use super::Subscription;
use crate::billing::{
    Id, Metadata, Moment, Noun, Timestamp, describe,
    noun::{Inline, Keyed, Link, Target, null},
    period::Period,
    plan,
    price::{self, Price},
    shape::{Nothing, Null},
};

/// The item as its own object, for `/v1/subscription_items`.
pub static ITEM_NOUN: Noun = Noun {
    object: "subscription_item",
    prefix: "si_",
    table: "subscriptions",
    url: "/v1/subscription_items",
    name: "subscription_item",
    keyed: Keyed::OfCustomer,
    leaves_stub: false,
    columns: &[],
    filters: &[],
    links: &[
        Link { path: "plan", to: Target::Inline(&plan::NOUN) },
        Link { path: "price", to: Target::Inline(&price::NOUN) },
        null("discounts"),
    ],
    inlines: &[Inline { parents: "", key: "price", with_plan: true }],
    previews: &[],
    searchable: &[],
    document: describe::shape_of::<Item>,
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Item {
    pub id: Id<Item>,
    pub object: ItemTag,
    pub billing_thresholds: Null,
    pub created: Timestamp,
    pub current_period_end: Timestamp,
    pub current_period_start: Timestamp,
    pub current_trial: Null,
    pub discounts: Nothing,
    pub metadata: Metadata,
    pub price: Id<Price>,
    pub quantity: i64,
    pub subscription: Id<Subscription>,
    pub tax_rates: Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum ItemTag {
    #[serde(rename = "subscription_item")]
    SubscriptionItem,
}

impl Item {
    /// Its current period.
    pub const fn period(&self) -> Period {
        Period { start: self.current_period_start, end: self.current_period_end }
    }

    pub fn new(
        subscription: &Id<Subscription>,
        price: Id<Price>,
        quantity: i64,
        metadata: Metadata,
        period: Period,
        at: &mut Moment,
    ) -> Item {
        Item {
            id: Id::given(at.ids.next(ITEM_NOUN.prefix, subscription.bucket())),
            object: ItemTag::SubscriptionItem,
            billing_thresholds: Null,
            created: at.now,
            current_period_end: period.end,
            current_period_start: period.start,
            current_trial: Null,
            discounts: Nothing,
            metadata,
            price,
            quantity,
            subscription: subscription.clone(),
            tax_rates: Nothing,
        }
    }
}
