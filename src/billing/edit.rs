//! The items of a subscription, edited: which are added, changed and removed, and whether what comes
//! out may be.

use std::collections::BTreeSet;

use super::{
    Books, Id, Moment, Refusal,
    anchor::cycle_of,
    change::{Act, ItemChange},
    items::{self, MAXIMUM_ITEMS},
    period::{Cycle, Period},
    price::Price,
    subscription::{BillingModeType, ITEM_NOUN, Item, Status, Subscription},
};

/// An item before and after.
#[derive(Clone, Debug)]
pub struct Edit {
    pub old: Option<Item>,
    pub new: Option<Item>,
    /// In a way that may cost something.
    pub changed: bool,
}

impl Edit {
    pub fn is_of(&self, item: &Id<Item>) -> bool {
        [&self.old, &self.new].into_iter().flatten().any(|one| one.id == *item)
    }
}

/// All items of a subscription after these changes, in their order; added ones come last.
pub fn edits(
    books: &Books,
    subscription: &Subscription,
    changes: &[ItemChange],
    agreed: &[Id<Price>],
    at: &mut Moment,
) -> Result<Vec<Edit>, Refusal> {
    let same = |item: &Item| Edit { old: Some(item.clone()), new: Some(item.clone()), changed: false };
    let mut edits: Vec<Edit> = subscription.items.data.iter().map(same).collect();
    let mut named = BTreeSet::new();
    for change in changes {
        let param = &change.param;
        if let Act::Edit { id, .. } | Act::Remove { id } = &change.act
            && !named.insert(id.clone())
        {
            let message = format!("The subscription item '{id}' is named twice.");
            return Err(Refusal::invalid(message).param(within(param, "id")));
        }
        match &change.act {
            Act::Add { price, quantity, metadata } => {
                check_price(books, subscription, price, &within(param, "price"), agreed)?;
                let quantity = quantity.unwrap_or(1);
                items::check_quantity(quantity, &within(param, "quantity"))?;
                let nowhere = Period { start: at.now, end: at.now };
                let new = Item::new(&subscription.id, price.clone(), quantity, metadata.clone(), nowhere, at);
                let new = placed(books, subscription, new, at)?;
                edits.push(Edit { old: None, new: Some(new), changed: true });
            }
            Act::Edit { id, price, quantity, metadata } => {
                let edit = find(&mut edits, id, param)?;
                let Some(old) = edit.old.clone() else { continue };
                let price = price.as_ref().filter(|price| **price != old.price);
                if let Some(price) = price {
                    check_price(books, subscription, price, &within(param, "price"), agreed)?;
                }
                // Another price begins with a quantity of its own.
                let quantity = quantity.unwrap_or(if price.is_some() { 1 } else { old.quantity });
                items::check_quantity(quantity, &within(param, "quantity"))?;
                edit.changed = price.is_some() || quantity != old.quantity;
                let new = Item {
                    metadata: metadata.clone().apply(old.metadata.clone())?,
                    price: price.unwrap_or(&old.price).clone(),
                    quantity,
                    ..old.clone()
                };
                let moves = cycle_of(books, &new)? != cycle_of(books, &old)?;
                edit.new = Some(if moves { placed(books, subscription, new, at)? } else { new });
            }
            Act::Remove { id } => {
                let edit = find(&mut edits, id, param)?;
                (edit.new, edit.changed) = (None, true);
            }
        }
    }
    check_all(books, &edits, subscription.billing_mode.kind)?;
    Ok(edits)
}

/// A member of a parameter that holds an item, or of the call itself where that is the item.
pub fn within(param: &str, member: &str) -> String {
    if param.is_empty() { member.to_owned() } else { format!("{param}[{member}]") }
}

fn find<'a>(edits: &'a mut [Edit], id: &Id<Item>, param: &str) -> Result<&'a mut Edit, Refusal> {
    edits
        .iter_mut()
        .find(|edit| edit.old.as_ref().is_some_and(|item| item.id == *id))
        .ok_or_else(|| Refusal::no_such(ITEM_NOUN.name, id.as_str()).param(within(param, "id")))
}

/// What is put on a subscription now must be for sale, and must recur in its currency. What is on it
/// already stays, also when archived.
fn check_price(
    books: &Books,
    subscription: &Subscription,
    id: &Id<Price>,
    param: &str,
    agreed: &[Id<Price>],
) -> Result<(), Refusal> {
    let (price, _) = items::recurring(books, id, param, agreed)?;
    if price.in_currency(subscription.currency).is_none() {
        return Err(Refusal::invalid("All prices on a subscription must have the same currency.").param(param));
    }
    Ok(())
}

/// What must hold of all items together.
fn check_all(books: &Books, edits: &[Edit], mode: BillingModeType) -> Result<(), Refusal> {
    let items: Vec<&Item> = edits.iter().filter_map(|edit| edit.new.as_ref()).collect();
    if items.is_empty() {
        let message = "A subscription must have at least one item. To end the subscription, cancel it instead.";
        return Err(Refusal::invalid(message).param("items"));
    }
    if items.len() > MAXIMUM_ITEMS {
        let message = format!("A subscription can have at most {MAXIMUM_ITEMS} items.");
        return Err(Refusal::invalid(message).param("items"));
    }
    for (place, item) in items.iter().enumerate() {
        items::check_other_price(items[..place].iter().map(|item| &item.price), &item.price, "items")?;
    }
    let cycles = items.iter().map(|item| cycle_of(books, item)).collect::<Result<Vec<Cycle>, Refusal>>()?;
    items::check_intervals(&cycles, mode)
}

/// Whether any of these items has a price above zero.
pub fn is_paid<'a>(books: &Books, mut items: impl Iterator<Item = &'a Item>) -> bool {
    items.any(|item| books.price(&item.price).is_some_and(|price| !price.is_free()))
}

/// An item in the period of those with the same interval; without any, from now to the next boundary
/// of its own. In a trial everything lasts until its end, and what is over is over together: the renewal
/// that is due gives each its next period.
fn placed(books: &Books, subscription: &Subscription, item: Item, at: &Moment) -> Result<Item, Refusal> {
    let cycle = cycle_of(books, &item)?;
    let together = subscription.status == Status::Trialing || subscription.is_over(at.now);
    for other in &subscription.items.data {
        if together || cycle_of(books, other)? == cycle {
            return Ok(Item {
                current_period_start: other.current_period_start,
                current_period_end: other.current_period_end,
                ..item
            });
        }
    }
    let period = subscription.grid().period_at(cycle, at.now)?;
    Ok(Item { current_period_start: at.now, current_period_end: period.end, ..item })
}
