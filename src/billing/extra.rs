//! `add_invoice_items`: one-off prices on the first invoice of a subscription.

use super::{
    Books, Id, Moment, Refusal, Timestamp,
    invoice_item::{InvoiceItem, SubscriptionDetails},
    invoice_line::Pricing,
    itemize::{Content, Cost},
    items,
    period::Period,
    price::Price,
    subscribe::NewItem,
    subscription::Subscription,
};

pub const MAXIMUM_EXTRAS: usize = 20;

/// A one-off item that comes with a subscription.
#[derive(Clone, Debug)]
pub struct NewExtra {
    pub item: NewItem,
    pub discountable: bool,
    pub start: ExtraStart,
    pub end: ExtraEnd,
}

/// Where the period of a one-off item starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtraStart {
    MaxItemPeriodStart,
    Now,
    Time(Timestamp),
}

/// Where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtraEnd {
    MinItemPeriodEnd,
    Time(Timestamp),
}

/// Adds a one-off item that waits for the next invoice of a subscription.
pub fn add(
    books: &mut Books,
    subscription: &Subscription,
    extra: &NewExtra,
    index: usize,
    agreed: &[Id<Price>],
    at: &mut Moment,
) -> Result<(), Refusal> {
    let param = format!("add_invoice_items[{index}]");
    check_room(index)?;
    let price = items::one_time(books, &extra.item, subscription.currency, &param, agreed)?;
    let quantity = extra.item.quantity;
    let content = Content {
        cost: Cost {
            amount: price.amount(quantity)?,
            currency: price.currency,
            pricing: Some(Pricing::of(&price)),
            quantity: quantity.into(),
        },
        description: books.product(&price.product).map(|product| product.name.clone()),
        discountable: extra.discountable,
        metadata: extra.item.metadata.clone(),
        period: period(extra, subscription, &param, at.now)?,
    };
    let of = SubscriptionDetails { subscription: subscription.id.clone(), subscription_item: None };
    let item = InvoiceItem::new(books.customer()?, content, Some(of), at);
    books.put(item).tell("invoiceitem.created", at);
    Ok(())
}

/// Whether there is room for another one after so many.
pub fn check_room(others: usize) -> Result<(), Refusal> {
    if others < MAXIMUM_EXTRAS {
        return Ok(());
    }
    let message = format!("Array add_invoice_items exceeded maximum {MAXIMUM_EXTRAS} allowed elements.");
    Err(Refusal::invalid(message).param("add_invoice_items"))
}

fn period(extra: &NewExtra, subscription: &Subscription, param: &str, now: Timestamp) -> Result<Period, Refusal> {
    let items = &subscription.items.data;
    let latest_start = items.iter().map(|item| item.current_period_start).max().unwrap_or(now);
    let earliest_end = items.iter().map(|item| item.current_period_end).min().unwrap_or(now);
    let start = match extra.start {
        ExtraStart::MaxItemPeriodStart => latest_start,
        ExtraStart::Now => now,
        ExtraStart::Time(time) => time,
    };
    let end = match extra.end {
        ExtraEnd::MinItemPeriodEnd => earliest_end,
        ExtraEnd::Time(time) => time,
    };
    if start > end {
        let message = "The period must not end before it starts.";
        return Err(Refusal::invalid(message).param(format!("{param}[period][end]")));
    }
    Ok(Period { end, start })
}
