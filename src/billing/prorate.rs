//! A part of a period costs the same part of its price: to the second, rounded once. And the two
//! sides of changing an item inside a period: the credit for what was billed, the debit for the rest.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{
    Amount, Books, Currency, Id, Metadata, Moment, Refusal, Timestamp,
    amount::Overflow,
    anchor,
    decimal::Decimal,
    invoice::{Invoice, Status as InvoiceStatus},
    invoice_item::{
        CreditedItems, CreditedType, FrozenField, InvoiceItem, ProrationDetails as ItemDetails, SubscriptionDetails,
    },
    invoice_line::{CreditedLines, Line, Pricing, ProrationDetails},
    itemize::{Content, Cost},
    period::Period,
    price::Price,
    shape::Nothing,
    subscription::{BillingModeType, Item, Status, Subscription},
};
use crate::words;

words!(
    /// What a change inside a period costs.
    ProrationBehavior {
        /// The difference, at once.
        AlwaysInvoice = "always_invoice",
        /// The difference, with the next invoice.
        CreateProrations = "create_prorations",
        /// Nothing: the new price counts from the next period on.
        None = "none",
    }
);

/// How much of a period, in seconds of seconds. Never a decimal number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    part: i64,
    whole: i64,
}

impl Ratio {
    pub const ONE: Ratio = Ratio { part: 1, whole: 1 };

    /// `part` seconds of `whole` seconds. A whole that is not positive has no parts: 1 of 1 then.
    pub const fn of(part: i64, whole: i64) -> Ratio {
        if whole > 0 { Ratio { part, whole } } else { Ratio::ONE }
    }

    /// What is left of a period at a time, which is taken to lie in it (formula of proration).
    pub fn remaining(period: Period, time: Timestamp) -> Ratio {
        let time = time.clamp(period.start, period.end);
        Ratio::of(period.end.unix_seconds() - time.unix_seconds(), period.seconds())
    }

    /// Both together, exactly.
    #[must_use]
    pub fn plus(self, other: Ratio) -> Ratio {
        let whole = i128::from(self.whole) * i128::from(other.whole);
        let part = i128::from(self.part) * i128::from(other.whole) + i128::from(other.part) * i128::from(self.whole);
        let common = greatest_common_divisor(part, whole);
        let narrow = |number: i128| i64::try_from(number / common).unwrap_or(i64::MAX);
        Ratio::of(narrow(part), narrow(whole))
    }

    /// This part of an amount, rounded half away from zero to what can be charged in the currency.
    pub fn of_amount(self, amount: Amount, currency: Currency) -> Result<Amount, Overflow> {
        self.of_cost(Decimal::from_amount(amount), currency)
    }

    /// This part of what the whole period costs: rounded once, at the end, to what can be charged.
    pub fn of_cost(self, cost: Decimal, currency: Currency) -> Result<Amount, Overflow> {
        cost.part(self.part, self.whole, currency.step())
    }
}

fn greatest_common_divisor(a: i128, b: i128) -> i128 {
    if b == 0 { a.abs().max(1) } else { greatest_common_divisor(b, a % b) }
}

/// What an item was billed for a stretch of its current period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Billed {
    pub item: Id<Item>,
    pub amount: Amount,
    /// `3 × Basic`, for the description of its credit.
    pub label: String,
    pub period: Period,
    pub pricing: Pricing,
    pub quantity: i64,
    /// The invoice item that billed it; otherwise the line of the item itself.
    pub by: Option<Id<InvoiceItem>>,
}

impl Billed {
    /// What is left of it when the period ends earlier; nothing if it began later.
    pub fn until(self, end: Timestamp, currency: Currency) -> Result<Option<Billed>, Refusal> {
        if self.period.start >= end {
            return Ok(None);
        }
        if self.period.end <= end {
            return Ok(Some(self));
        }
        let unused = Ratio::remaining(self.period, end).of_amount(self.amount, currency)?;
        let period = Period { end, ..self.period };
        Ok(Some(Billed { amount: self.amount.minus(unused)?, period, ..self }))
    }
}

/// What an item was billed for its current period: what was kept about it, or else its price for all
/// of the period. A trial costs nothing.
pub fn billed(books: &Books, subscription: &Subscription, item: &Item) -> Result<Vec<Billed>, Refusal> {
    let known: Vec<Billed> =
        subscription.internal.billed.iter().filter(|billed| billed.item == item.id).cloned().collect();
    if !known.is_empty() {
        return Ok(known);
    }
    let price = priced(books, item, subscription.currency)?;
    let period = item.period();
    Ok(vec![Billed {
        item: item.id.clone(),
        amount: cost(books, subscription, item, period)?,
        label: label(books, &price, item.quantity),
        period,
        pricing: Pricing::of(&price),
        quantity: item.quantity,
        by: None,
    }])
}

/// What an item costs for a part of its period. The price is that of the whole period of the grid,
/// also where the item's own is shorter.
fn cost(books: &Books, subscription: &Subscription, item: &Item, part: Period) -> Result<Amount, Refusal> {
    if subscription.status == Status::Trialing {
        return Ok(Amount::ZERO);
    }
    let price = priced(books, item, subscription.currency)?;
    let whole = subscription.grid().period_at(anchor::cycle_of(books, item)?, part.start)?;
    Ok(price.amount_of(item.quantity, Ratio::of(part.seconds(), whole.seconds()))?)
}

/// Gives back what was billed for an item from `time` on: of each debit the share that is left of its
/// own period (flexible), or of the current price (classic).
pub fn credit(
    books: &mut Books,
    subscription: &Subscription,
    item: &Item,
    time: Timestamp,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let mut debits = billed(books, subscription, item)?;
    debits.retain(|debit| debit.period.end > time);
    if subscription.billing_mode.kind == BillingModeType::Classic {
        // Whatever was billed, and however often: one credit, which refers to the last debit.
        debits.drain(..debits.len().saturating_sub(1));
    }
    for debit in debits {
        let rest = Period { start: time, end: debit.period.end };
        let credited = credited(books, item, &debit);
        let (amount, label, pricing, quantity) = match subscription.billing_mode.kind {
            BillingModeType::Flexible => {
                let amount = Ratio::remaining(debit.period, time).of_amount(debit.amount, subscription.currency)?;
                (amount, debit.label, debit.pricing, debit.quantity)
            }
            // Changes that cost nothing may have made it another thing than was billed.
            BillingModeType::Classic => {
                let price = priced(books, item, subscription.currency)?;
                let label = label(books, &price, item.quantity);
                (cost(books, subscription, item, rest)?, label, Pricing::of(&price), item.quantity)
            }
        };
        let side = Side {
            amount: amount.negated()?,
            description: format!("Unused time on {label} after {}", time.day()?),
            period: rest,
            pricing,
            quantity,
            credited,
        };
        let made = invoice_item(books, subscription, item, side, at)?;
        books.put(made).tell("invoiceitem.created", at);
    }
    Ok(())
}

/// Charges an item from `time` to the end of its period. What it says it billed is to be kept.
pub fn debit(
    books: &mut Books,
    subscription: &Subscription,
    item: &Item,
    time: Timestamp,
    at: &mut Moment,
) -> Result<Billed, Refusal> {
    let price = priced(books, item, subscription.currency)?;
    let period = Period { start: time, end: item.current_period_end };
    let (label, pricing) = (label(books, &price, item.quantity), Pricing::of(&price));
    let side = Side {
        amount: cost(books, subscription, item, period)?,
        description: format!("Remaining time on {label} after {}", time.day()?),
        period,
        pricing: pricing.clone(),
        quantity: item.quantity,
        credited: None,
    };
    let made = invoice_item(books, subscription, item, side, at)?;
    let (amount, by) = (made.amount, Some(made.id.clone()));
    books.put(made).tell("invoiceitem.created", at);
    Ok(Billed { item: item.id.clone(), amount, label, period, pricing, quantity: item.quantity, by })
}

/// An item that was added for free, until its next period.
pub fn nothing_billed(books: &Books, item: &Item, currency: Currency, time: Timestamp) -> Result<Billed, Refusal> {
    let price = priced(books, item, currency)?;
    Ok(Billed {
        item: item.id.clone(),
        amount: Amount::ZERO,
        label: label(books, &price, item.quantity),
        period: Period { start: time, end: item.current_period_end },
        pricing: Pricing::of(&price),
        quantity: item.quantity,
        by: None,
    })
}

pub fn price_of<'a>(books: &'a Books, item: &Item) -> Result<&'a Price, Refusal> {
    books
        .price(&item.price)
        .ok_or_else(|| Refusal::internal(format!("The price {} of {} is not at hand.", item.price, item.id)))
}

/// The same as it is in the currency of its subscription.
pub fn priced<'a>(books: &'a Books, item: &Item, currency: Currency) -> Result<Cow<'a, Price>, Refusal> {
    let price = price_of(books, item)?.in_currency(currency);
    price.ok_or_else(|| Refusal::internal(format!("The price {} of {} is not in {currency}.", item.price, item.id)))
}

/// `Basic`, `5 × Basic`.
fn label(books: &Books, price: &Price, quantity: i64) -> String {
    let name = books.product(&price.product).map_or("", |product| &product.name);
    if quantity == 1 { name.to_owned() } else { format!("{quantity} × {name}") }
}

/// One side of a proration.
struct Side {
    amount: Amount,
    description: String,
    period: Period,
    pricing: Pricing,
    quantity: i64,
    credited: Option<CreditedItems>,
}

/// Prorations are of the kind of invoice items: they wait for an invoice.
fn invoice_item(
    books: &Books,
    subscription: &Subscription,
    item: &Item,
    side: Side,
    at: &mut Moment,
) -> Result<InvoiceItem, Refusal> {
    let (amount, pricing, quantity) = (side.amount, Some(side.pricing), side.quantity);
    let content = Content {
        cost: Cost { amount, currency: subscription.currency, pricing, quantity: quantity.into() },
        description: Some(side.description),
        discountable: false,
        metadata: Metadata::new(),
        period: side.period,
    };
    let (subscription, subscription_item) = (subscription.id.clone(), Some(item.id.clone()));
    let of = SubscriptionDetails { subscription, subscription_item };
    Ok(InvoiceItem {
        frozen_fields: vec![FrozenField::Discounts, FrozenField::Pricing, FrozenField::Quantity],
        proration: true,
        proration_details: Some(ItemDetails { credited_items: side.credited, discount_amounts: Nothing }),
        ..InvoiceItem::new(books.customer()?, content, Some(of), at)
    })
}

/// What a credit refers to: the invoice item while it is pending, else the line that billed it, where
/// that invoice is at hand.
fn credited(books: &Books, item: &Item, debit: &Billed) -> Option<CreditedItems> {
    let lines = match &debit.by {
        Some(by) if books.get(by).is_some_and(|made| made.invoice.is_none()) => {
            return Some(CreditedItems {
                invoice_item: Some(by.clone()),
                invoice_line_item_details: None,
                kind: CreditedType::InvoiceItem,
            });
        }
        Some(by) => line_of_invoice_item(books, by),
        None => {
            let bills = |line: &&Line| {
                let details = line.parent.subscription_item_details.as_ref();
                details.is_some_and(|details| details.subscription_item == item.id && details.invoice_item.is_none())
                    && line.period == debit.period
            };
            invoices(books).find_map(|invoice| invoice.lines.data.iter().find(bills)).map(refer_to)
        }
    };
    lines.map(|lines| CreditedItems {
        invoice_item: None,
        invoice_line_item_details: Some(lines),
        kind: CreditedType::InvoiceLineItems,
    })
}

/// What counts as billed: the newest first, without what was taken back.
fn invoices(books: &Books) -> impl Iterator<Item = &Invoice> {
    let mut invoices: Vec<&Invoice> =
        books.all::<Invoice>().filter(|invoice| invoice.status != InvoiceStatus::Void).collect();
    invoices.reverse();
    invoices.into_iter()
}

fn line_of_invoice_item(books: &Books, item: &Id<InvoiceItem>) -> Option<CreditedLines> {
    let bills = |line: &&Line| line.invoice_item() == Some(item);
    invoices(books).find_map(|invoice| invoice.lines.data.iter().find(bills)).map(refer_to)
}

fn refer_to(line: &Line) -> CreditedLines {
    CreditedLines { invoice: line.invoice.clone(), invoice_line_items: vec![line.id.clone()] }
}

/// A credit of what was still pending when it was made refers to the line that has billed it by now.
pub fn refer_to_credited(books: &Books, lines: &mut [Line], items: &[InvoiceItem]) {
    for (place, item) in items.iter().enumerate() {
        let credited = item.proration_details.as_ref().and_then(|details| details.credited_items.as_ref());
        let Some(debit) = credited.and_then(|credited| credited.invoice_item.as_ref()) else { continue };
        let beside = lines.iter().find(|line| line.invoice_item() == Some(debit)).map(refer_to);
        let credited_items = beside.or_else(|| line_of_invoice_item(books, debit));
        if let Some(details) = lines.get_mut(place).and_then(|line| line.parent.subscription_item_details.as_mut()) {
            details.proration_details = Some(ProrationDetails { credited_items });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// November 2026, and its ratios at the times of the worked examples.
    const NOVEMBER: Period = Period { start: Timestamp::new(1_793_491_200), end: Timestamp::new(1_796_083_200) };
    const CHANGE: Timestamp = Timestamp::new(1_794_744_000);

    fn part(unit: &str, quantity: i64, ratio: Ratio) -> i64 {
        part_in("usd", unit, quantity, ratio)
    }

    fn part_in(currency: &str, unit: &str, quantity: i64, ratio: Ratio) -> i64 {
        let cost = unit.parse::<Decimal>().unwrap().by(quantity).unwrap();
        ratio.of_cost(cost, Currency::parse(currency).unwrap()).unwrap().minor_units()
    }

    /// The worked examples of proration: unit, quantity, seconds left, seconds of the period, amount.
    #[test]
    fn the_worked_examples() {
        assert_eq!(Ratio::remaining(NOVEMBER, CHANGE), Ratio::of(1_339_200, 2_592_000));
        for (unit, quantity, left, whole, amount) in [
            ("1000", 1, 1_339_200, 2_592_000, 517),
            ("2000", 1, 1_339_200, 2_592_000, 1033),
            ("999", 3, 1_339_200, 2_592_000, 1548),
            ("999", 5, 1_339_200, 2_592_000, 2581),
            ("750", 1, 1_339_200, 2_592_000, 388),
            ("1500", 1, 1_339_200, 2_592_000, 775),
            ("1400", 1, 1_339_200, 2_592_000, 723),
            ("0", 7, 1_339_200, 2_592_000, 0),
            ("1500", 1, 1_524_275, 2_419_200, 945),
            ("4900", 1, 1_524_275, 2_419_200, 3087),
            ("5000", 1, 1_382_400, 2_678_400, 2581),
            ("10000", 1, 1_382_400, 2_678_400, 5161),
            ("4900", 1, 1_814_400, 2_592_000, 3430),
            ("1900", 1, 1_814_400, 2_592_000, 1330),
            ("2000", 1, 842_400, 2_592_000, 650),
            ("12000", 1, 15_638_400, 31_536_000, 5951),
            ("12000", 1, 15_724_800, 31_622_400, 5967),
            ("1333", 1, 864_000, 1_728_000, 667),
            // The first partial period of a subscription with an anchor.
            ("3000", 1, 1_155_600, 2_592_000, 1338),
            ("3000", 1, 1_123_200, 2_592_000, 1300),
        ] {
            let ratio = Ratio::of(left, whole);
            assert_eq!(part(unit, quantity, ratio), amount, "{quantity} × {unit} for {left} of {whole} s");
            assert_eq!(part(&format!("-{unit}"), quantity, ratio), -amount, "a credit mirrors its debit");
        }
    }

    /// Three-decimal currencies, ISK and UGX: every line is rounded once, to what can be charged.
    #[test]
    fn a_part_can_be_charged_in_its_currency() {
        for (currency, unit, quantity, left, whole, amount) in [
            ("kwd", "10000", 1, 1_339_200, 2_592_000, 5170),
            ("kwd", "20000", 1, 1_339_200, 2_592_000, 10_330),
            ("kwd", "9990", 3, 1_339_200, 2_592_000, 15_480),
            ("bhd", "10", 1, 1, 2, 10),
            ("jod", "10", 1, 1, 3, 0),
            ("omr", "1.5", 7, 1, 1, 10),
            ("tnd", "1.5", 10, 1, 1, 20),
            ("isk", "100000", 1, 1_339_200, 2_592_000, 51_700),
            ("isk", "200000", 1, 1_339_200, 2_592_000, 103_300),
            ("ugx", "100", 1, 1, 2, 100),
            ("ugx", "100", 1, 49, 100, 0),
            ("jpy", "1400", 1, 1_339_200, 2_592_000, 723),
        ] {
            let ratio = Ratio::of(left, whole);
            let of = |unit: &str| part_in(currency, unit, quantity, ratio);
            assert_eq!(of(unit), amount, "{quantity} × {unit} {currency} for {left} of {whole} s");
            assert_eq!(of(&format!("-{unit}")), -amount, "a credit mirrors its debit");
            assert_eq!(amount % Currency::parse(currency).unwrap().step(), 0);
        }
    }

    #[test]
    fn a_time_outside_the_period_is_its_nearest_end() {
        assert_eq!(Ratio::remaining(NOVEMBER, NOVEMBER.start.plus_seconds(-5)), Ratio::of(2_592_000, 2_592_000));
        assert_eq!(part("1000", 1, Ratio::remaining(NOVEMBER, NOVEMBER.end.plus_seconds(5))), 0);
        assert_eq!(Ratio::of(5, 0), Ratio::ONE);
        assert!(
            Ratio::of(i64::MAX, 1).of_amount(Amount::new(i64::MAX), Currency::parse("usd").unwrap()).is_err(),
            "too large is an error, never a panic"
        );
    }

    #[test]
    fn sums_are_exact() {
        assert_eq!(Ratio::ONE.plus(Ratio::of(1_155_600, 2_592_000)), Ratio::of(347, 240));
        assert_eq!(Ratio::of(0, 5).plus(Ratio::of(3, 9)), Ratio::of(1, 3));
        assert_eq!(Ratio::of(1, 3).plus(Ratio::of(1, 6)).plus(Ratio::of(1, 2)), Ratio::ONE);
    }

    proptest! {
        /// Two parts that make a whole cost the whole, within the rounding of each, and each can be charged.
        #[test]
        fn parts_sum_to_the_whole(
            steps in 0_i64..1_000_000, quantity in 0_i64..1000, whole in 1_i64..100_000_000, cut in 0_i64..=1000,
            code in prop::sample::select(vec!["usd", "kwd", "isk"]),
        ) {
            let currency = Currency::parse(code).unwrap();
            let (left, cost) = (whole * cut / 1000, Amount::new(steps * currency.step() * quantity));
            let of = |part| Ratio::of(part, whole).of_amount(cost, currency).unwrap();
            prop_assert!((of(left).plus(of(whole - left)).unwrap().minus(cost).unwrap()).minor_units().abs() <= currency.step());
            prop_assert!(currency.holds(of(left)));
            prop_assert_eq!(of(whole), cost);
        }
    }
}
