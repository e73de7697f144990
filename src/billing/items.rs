//! Which prices may stand together on one subscription.

use std::borrow::Cow;

use super::{
    Books, Currency, Id, Refusal,
    customer::Customer,
    period::Cycle,
    price::{Kind, Price},
    product::Product,
    subscribe::NewItem,
    subscription::BillingModeType,
};

pub const MAXIMUM_ITEMS: usize = 20;

/// Every price active, recurring and of one currency, with intervals that go together. Gives the cycle
/// of each item, in their order, and the currency: the one that is given, else the customer's where the
/// first price is in it, else that price's own. What was `agreed` on need not be for sale any more.
pub fn check(
    books: &Books,
    customer: &Customer,
    items: &[NewItem],
    given: Option<Currency>,
    mode: BillingModeType,
    agreed: &[Id<Price>],
) -> Result<(Vec<Cycle>, Currency), Refusal> {
    if items.len() > MAXIMUM_ITEMS {
        let message = format!("Array items exceeded maximum {MAXIMUM_ITEMS} allowed elements.");
        return Err(Refusal::invalid(message).param("items"));
    }
    let mut cycles = Vec::new();
    let mut common = given;
    for (index, item) in items.iter().enumerate() {
        let param = format!("items[{index}][price]");
        let (price, cycle) = recurring(books, &item.price, &param, agreed)?;
        check_quantity(item.quantity, &format!("items[{index}][quantity]"))?;
        check_other_price(items[..index].iter().map(|item| &item.price), &item.price, &param)?;
        let usual =
            || customer.currency.filter(|locked| price.in_currency(*locked).is_some()).unwrap_or(price.currency);
        let currency = *common.get_or_insert_with(usual);
        if price.in_currency(currency).is_none() {
            return Err(match given {
                Some(given) => Refusal::invalid(format!("The price {} is not in {given}.", price.id)).param("currency"),
                None => Refusal::invalid("All prices on a subscription must have the same currency.").param(param),
            });
        }
        cycles.push(cycle);
    }
    let currency = common.ok_or_else(|| Refusal::missing("items"))?;
    check_intervals(&cycles, mode)?;
    check_currency(customer, currency)?;
    Ok((cycles, currency))
}

/// A price stands on a subscription only once.
pub fn check_other_price<'a>(
    mut others: impl Iterator<Item = &'a Id<Price>>,
    price: &Id<Price>,
    param: &str,
) -> Result<(), Refusal> {
    if others.all(|other| other != price) {
        return Ok(());
    }
    let message = format!("Subscription Item with price {price} already exists in this subscription.");
    Err(Refusal::invalid(message).param(param))
}

/// A price that can be subscribed to, and how often it recurs.
pub fn recurring<'a>(
    books: &'a Books,
    id: &Id<Price>,
    param: &str,
    agreed: &[Id<Price>],
) -> Result<(&'a Price, Cycle), Refusal> {
    let price = usable(books, id, param, agreed)?;
    let cycle = price.cycle().ok_or_else(|| {
        let message =
            "The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`.";
        Refusal::invalid(message).param(param)
    })?;
    Ok((price, cycle))
}

/// A price that exists and is active, as its product is.
pub fn usable<'a>(books: &'a Books, id: &Id<Price>, param: &str, agreed: &[Id<Price>]) -> Result<&'a Price, Refusal> {
    let price = books.price(id).ok_or_else(|| Refusal::no_such("price", id.as_str()).param(param))?;
    if price.custom_unit_amount.is_some() {
        let message = "The price specified lets the payer choose the amount: it can only be paid through a checkout.";
        return Err(Refusal::invalid(message).param(param));
    }
    let product_active = books.product(&price.product).is_none_or(|product: &Product| product.active);
    // A price that is made in the same decision is for what it is made for, and for nothing else.
    if (price.active || books.is_new(id)) && product_active || agreed.contains(id) {
        return Ok(price);
    }
    Err(Refusal::invalid("The price specified is inactive. This field only accepts active prices.").param(param))
}

/// The price of an invoice item: one that does not recur, in the subscription's currency.
pub fn one_time<'a>(
    books: &'a Books,
    item: &NewItem,
    currency: Currency,
    param: &str,
    agreed: &[Id<Price>],
) -> Result<Cow<'a, Price>, Refusal> {
    let price = usable(books, &item.price, &format!("{param}[price]"), agreed)?;
    check_quantity(item.quantity, &format!("{param}[quantity]"))?;
    if price.kind != Kind::OneTime {
        let message =
            "The price specified is set to `type=recurring` but this field only accepts prices with `type=one_time`.";
        return Err(Refusal::invalid(message).param(format!("{param}[price]")));
    }
    price.in_currency(currency).ok_or_else(|| {
        let message = "All prices on a subscription must have the same currency.";
        Refusal::invalid(message).param(format!("{param}[price]"))
    })
}

pub fn check_quantity(quantity: i64, param: &str) -> Result<(), Refusal> {
    if quantity >= 0 {
        return Ok(());
    }
    Err(Refusal::below(0).param(param))
}

/// One interval for all in classic mode; in flexible mode each a multiple of the shortest.
pub fn check_intervals(cycles: &[Cycle], mode: BillingModeType) -> Result<(), Refusal> {
    let goes = |cycle: &Cycle| match mode {
        BillingModeType::Classic => cycles.first() == Some(cycle),
        BillingModeType::Flexible => cycles.iter().any(|shortest| {
            cycle.is_multiple_of(*shortest) && cycles.iter().all(|other| other.is_multiple_of(*shortest))
        }),
    };
    if cycles.iter().all(goes) {
        return Ok(());
    }
    let message = match mode {
        BillingModeType::Classic => {
            "All prices of a subscription with classic billing mode must recur at the same interval."
        }
        BillingModeType::Flexible => {
            "The intervals of all prices of a subscription must be whole multiples of the shortest of them."
        }
    };
    Err(Refusal::invalid(message).param("items"))
}

/// The first currency of a customer is its only one.
fn check_currency(customer: &Customer, currency: Currency) -> Result<(), Refusal> {
    match customer.currency {
        Some(locked) if locked != currency => Err(Refusal::invalid(format!(
            "You cannot combine currencies on a single customer. This customer has had a subscription, coupon, or invoice item \
             with currency {locked}."
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::billing::period::Interval::{self, Day, Month, Week, Year};

    /// Mixed intervals: the table of what goes together, and what does not.
    #[test]
    fn intervals_go_together() {
        use BillingModeType::{Classic, Flexible};
        let check = |mode, cycles: &[(Interval, i64)]| {
            let cycles: Vec<Cycle> =
                cycles.iter().map(|(interval, count)| Cycle { interval: *interval, count: *count }).collect();
            check_intervals(&cycles, mode).is_ok()
        };
        for good in [
            &[(Month, 1), (Month, 3)][..],
            &[(Month, 1), (Year, 1)],
            &[(Day, 1), (Week, 1)],
            &[(Week, 2), (Week, 4)],
            &[(Month, 4), (Month, 2), (Month, 6)],
            &[(Year, 1), (Month, 12)],
        ] {
            assert!(check(Flexible, good), "{good:?}");
            assert!(!check(Classic, good), "{good:?}");
        }
        for bad in [
            [(Month, 2), (Month, 3)],
            [(Month, 4), (Month, 6)],
            [(Week, 1), (Month, 1)],
            [(Day, 2), (Week, 1)],
            [(Month, 5), (Year, 1)],
        ] {
            assert!(!check(Flexible, &bad), "{bad:?}");
        }
        assert!(check(Classic, &[(Month, 3), (Month, 3)]));
    }
}
