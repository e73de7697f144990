//! Invoice items that callers make and change: what they cost, and the draft that they are on.

use std::borrow::Cow;

use super::{
    Amount, Books, Currency, Id, Metadata, MetadataPatch, Moment, Refusal,
    amount::Overflow,
    bill::{add_to_draft, keep_draft, take_from_draft},
    customer::Customer,
    decimal::Decimal,
    edit::within,
    invoice::{Invoice, Status},
    invoice_item::{FrozenField, Internal, InvoiceItem, Parent, ParentType, SubscriptionDetails, Tag},
    invoice_line::{Line, Pricing, PricingType},
    period::Period,
    price::{Kind, Price},
    prorate::Ratio,
    shape::{Nothing, Null, Patch},
    subscription::Subscription,
};

/// How a cost is said: by an amount, by a price, or by a unit amount; the latter two with a quantity.
#[derive(Clone, Debug, Default)]
pub struct CostParams {
    pub amount: Option<Amount>,
    pub currency: Option<Currency>,
    pub price: Option<Id<Price>>,
    pub quantity: Option<Decimal>,
    pub unit_amount_decimal: Option<Decimal>,
}

/// What a cost comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Cost {
    pub amount: Amount,
    pub currency: Currency,
    pub pricing: Option<Pricing>,
    pub quantity: Decimal,
}

/// What an invoice item and its line on an invoice say alike.
#[derive(Clone, Debug)]
pub struct Content {
    pub cost: Cost,
    pub description: Option<String>,
    pub discountable: bool,
    pub metadata: Metadata,
    pub period: Period,
}

/// What callers may say about an item or a line.
#[derive(Clone, Debug, Default)]
pub struct Edit {
    pub cost: CostParams,
    pub description: Patch<String>,
    pub discountable: Option<bool>,
    pub metadata: MetadataPatch,
    pub period: Option<Period>,
}

/// A new item: pending, or on a draft.
#[derive(Clone, Debug)]
pub struct NewItem {
    pub customer: Id<Customer>,
    pub edit: Edit,
    pub invoice: Option<Id<Invoice>>,
    pub subscription: Option<Id<Subscription>>,
}

/// How many, said as a whole number or as a decimal.
pub fn quantity_of(whole: Option<i64>, decimal: Option<Decimal>, param: &str) -> Result<Option<Decimal>, Refusal> {
    let (quantity, name) = match (whole, decimal) {
        (Some(_), Some(_)) => {
            return Err(Refusal::exclusive(&["quantity", "quantity_decimal"]).param(within(param, "quantity")));
        }
        (Some(whole), None) => (Decimal::from(whole), "quantity"),
        (None, Some(decimal)) => (decimal, "quantity_decimal"),
        (None, None) => return Ok(None),
    };
    if quantity.is_negative() {
        return Err(Refusal::below(0).param(within(param, name)));
    }
    Ok(Some(quantity))
}

impl CostParams {
    /// The cost that is asked for; `None` leaves `so_far` as it is.
    fn cost(&self, books: &Books, so_far: Option<&Cost>) -> Result<Option<Cost>, Refusal> {
        let quantity = self.quantity.or(so_far.map(|cost| cost.quantity)).unwrap_or(Decimal::ONE);
        let currency =
            || self.currency.or(so_far.map(|cost| cost.currency)).ok_or_else(|| Refusal::missing("currency"));
        let cost = match (self.amount, &self.price, self.unit_amount_decimal) {
            (Some(_), None, None) if self.quantity.is_some() => {
                return Err(Refusal::exclusive(&["amount", "quantity"]).param("amount"));
            }
            (Some(amount), None, None) => {
                currency()?.check(amount, "amount")?;
                let pricing = Some(of_unit(Decimal::from_amount(amount)));
                Cost { amount, currency: currency()?, pricing, quantity: Decimal::ONE }
            }
            (None, Some(price), None) => of_price(books, price, quantity, self.currency)?,
            (None, None, Some(unit)) => {
                let (amount, currency) = (units(unit, quantity)?, currency()?);
                Cost { amount, currency, pricing: Some(of_unit(unit)), quantity }
            }
            (None, None, None) => {
                let Some(so_far) = so_far else { return Err(Refusal::missing("amount")) };
                if self.quantity.is_none() {
                    return Ok(None);
                }
                let Some(amount) = so_far.amount_of(books, quantity)? else { return Ok(None) };
                Cost { amount, quantity, ..so_far.clone() }
            }
            _ => return Err(Refusal::exclusive(&["amount", "pricing", "unit_amount_decimal"])),
        };
        Ok(Some(cost))
    }
}

impl Cost {
    /// What another quantity of the same comes to.
    fn amount_of(&self, books: &Books, quantity: Decimal) -> Result<Option<Amount>, Refusal> {
        let Some(pricing) = &self.pricing else { return Ok(None) };
        // Tiers and packages are known to the price only.
        let price = pricing.price().and_then(|id| books.price(id));
        if let Some(price) = price.and_then(|price| price.in_currency(self.currency)) {
            return price_of(&price, quantity).map(Some);
        }
        Ok(pricing.unit_amount_decimal.map(|unit| units(unit, quantity)).transpose()?)
    }
}

fn of_price(books: &Books, id: &Id<Price>, quantity: Decimal, currency: Option<Currency>) -> Result<Cost, Refusal> {
    let price = books.price(id).ok_or_else(|| Refusal::no_such("price", id.as_str()).param("pricing[price]"))?;
    if price.kind != Kind::OneTime {
        let message =
            "The price specified is set to `type=recurring` but this field only accepts prices with `type=one_time`.";
        return Err(Refusal::invalid(message).param("pricing[price]"));
    }
    if price.custom_unit_amount.is_some() {
        let message = "The price specified lets the payer choose the amount: it can only be paid through a checkout.";
        return Err(Refusal::invalid(message).param("pricing[price]"));
    }
    let price = currency.and_then(|currency| price.in_currency(currency)).unwrap_or(Cow::Borrowed(price));
    let pricing = Some(Pricing::of(&price));
    Ok(Cost { amount: price_of(&price, quantity)?, currency: price.currency, pricing, quantity })
}

/// So many units, and parts of one: rounded once, half away from zero.
fn units(unit: Decimal, quantity: Decimal) -> Result<Amount, Overflow> {
    let (part, whole) = quantity.fraction()?;
    unit.part(part, whole, 1)
}

/// What a quantity of a price costs. Tiers and packages count whole units.
fn price_of(price: &Price, quantity: Decimal) -> Result<Amount, Refusal> {
    match (quantity.whole(), price.unit_amount_decimal) {
        (Some(whole), _) => Ok(price.amount(whole.minor_units())?),
        (None, Some(unit)) if price.transform_quantity.is_none() => {
            let (part, whole) = quantity.fraction()?;
            Ok(Ratio::of(part, whole).of_cost(unit, price.currency)?)
        }
        (None, _) => {
            let message = "A quantity with decimal places is only supported for prices with `billing_scheme=per_unit` and \
                           without `transform_quantity`.";
            Err(Refusal::invalid(message).param("quantity_decimal"))
        }
    }
}

fn of_unit(unit: Decimal) -> Pricing {
    Pricing { price_details: None, kind: PricingType::PriceDetails, unit_amount_decimal: Some(unit) }
}

fn check_period(period: Period) -> Result<Period, Refusal> {
    if period.start > period.end {
        return Err(Refusal::invalid("The period must not end before it starts.").param("period[end]"));
    }
    Ok(period)
}

impl Edit {
    /// Refuses what an item does not leave open to change: what a proration comes to is not its price.
    pub fn check_frozen(&self, item: &InvoiceItem) -> Result<(), Refusal> {
        let said = [
            ("pricing", FrozenField::Pricing, self.cost.price.is_some()),
            ("unit_amount_decimal", FrozenField::Pricing, self.cost.unit_amount_decimal.is_some()),
            ("quantity", FrozenField::Quantity, self.cost.quantity.is_some()),
        ];
        match said.into_iter().find(|(_, field, said)| *said && item.frozen_fields.contains(field)) {
            None => Ok(()),
            Some((param, ..)) => {
                let message = format!("The {param} of this invoice item cannot be changed: it is a proration.");
                Err(Refusal::invalid(message).param(param))
            }
        }
    }

    /// The content after the edit. The currency stays.
    pub fn apply(self, books: &Books, content: Content) -> Result<Content, Refusal> {
        let asked = CostParams { currency: self.cost.currency.or(Some(content.cost.currency)), ..self.cost };
        let cost = asked.cost(books, Some(&content.cost))?.unwrap_or_else(|| content.cost.clone());
        if cost.currency != content.cost.currency {
            let message =
                format!("The currency of an item cannot change from {} to {}.", content.cost.currency, cost.currency);
            return Err(Refusal::invalid(message).param("currency"));
        }
        Ok(Content {
            cost,
            description: self.description.over(content.description),
            discountable: self.discountable.unwrap_or(content.discountable),
            metadata: self.metadata.apply(content.metadata)?,
            period: self.period.map_or(Ok(content.period), check_period)?,
        })
    }
}

impl InvoiceItem {
    /// One that waits for an invoice: any of its customer, or one of the subscription that it is of.
    pub fn new(owner: &Customer, content: Content, of: Option<SubscriptionDetails>, at: &mut Moment) -> InvoiceItem {
        InvoiceItem {
            id: Id::new(&mut at.ids, owner.id.bucket()),
            object: Tag::InvoiceItem,
            amount: content.cost.amount,
            currency: content.cost.currency,
            customer: owner.id.clone(),
            customer_account: Null,
            date: at.now,
            description: content.description,
            discountable: content.discountable,
            discounts: Nothing,
            frozen_fields: Vec::new(),
            invoice: None,
            livemode: owner.livemode,
            metadata: content.metadata,
            net_amount: content.cost.amount,
            parent: of
                .map(|details| Parent { subscription_details: Some(details), kind: ParentType::SubscriptionDetails }),
            period: content.period,
            pricing: content.cost.pricing,
            proration: false,
            proration_details: None,
            quantity: content.cost.quantity.truncated(),
            quantity_decimal: content.cost.quantity,
            tax_rates: Nothing,
            test_clock: owner.test_clock.clone(),
            internal: Internal::default(),
        }
    }

    pub fn content(&self) -> Content {
        Content {
            cost: Cost {
                amount: self.amount,
                currency: self.currency,
                pricing: self.pricing.clone(),
                quantity: self.quantity_decimal,
            },
            description: self.description.clone(),
            discountable: self.discountable,
            metadata: self.metadata.clone(),
            period: self.period,
        }
    }

    #[must_use]
    pub fn with(self, content: Content) -> InvoiceItem {
        InvoiceItem {
            amount: content.cost.amount,
            description: content.description,
            discountable: content.discountable,
            metadata: content.metadata,
            net_amount: content.cost.amount,
            period: content.period,
            pricing: content.cost.pricing,
            quantity: content.cost.quantity.truncated(),
            quantity_decimal: content.cost.quantity,
            ..self
        }
    }
}

impl Line {
    pub fn content(&self) -> Content {
        Content {
            cost: Cost {
                amount: self.amount,
                currency: self.currency,
                pricing: self.pricing.clone(),
                quantity: self.quantity_decimal,
            },
            description: self.description.clone(),
            discountable: self.discountable,
            metadata: self.metadata.clone(),
            period: self.period,
        }
    }

    #[must_use]
    pub fn with(self, content: Content) -> Line {
        Line {
            amount: content.cost.amount,
            description: content.description,
            discountable: content.discountable,
            metadata: content.metadata,
            period: content.period,
            pricing: content.cost.pricing,
            quantity: content.cost.quantity.truncated(),
            quantity_decimal: content.cost.quantity,
            subtotal: content.cost.amount,
            ..self
        }
    }
}

/// Makes an item: it waits for an invoice, or goes on a given draft.
pub fn make(books: &mut Books, new: NewItem, at: &mut Moment) -> Result<Id<InvoiceItem>, Refusal> {
    let draft = new.invoice.clone();
    let item = blank(books, new, at)?;
    let id = item.id.clone();
    if let Some(invoice) = &draft {
        add_to_draft(books, invoice, &item, at)?;
    }
    books.put(item).tell("invoiceitem.created", at);
    Ok(id)
}

/// A new item that is yet to be kept, and to be put on its draft.
pub fn blank(books: &Books, new: NewItem, at: &mut Moment) -> Result<InvoiceItem, Refusal> {
    let owner = books.find(&new.customer, "customer")?;
    let mut asked = new.edit.cost.clone();
    asked.currency = asked.currency.or(owner.currency);
    let cost = asked.cost(books, None)?.ok_or_else(|| Refusal::missing("amount"))?;
    if let Some(locked) = owner.currency.filter(|locked| *locked != cost.currency) {
        let message =
            format!("You cannot combine currencies on a single customer. This customer is billed in {locked}.");
        return Err(Refusal::invalid(message).param("currency"));
    }
    if let Some(given) = new.edit.cost.currency.filter(|given| *given != cost.currency) {
        let message = format!("The price is in {}, not in {given}.", cost.currency);
        return Err(Refusal::invalid(message).param("currency"));
    }
    check_targets(books, &new)?;
    let of_product = asked.price.as_ref().and_then(|id| books.product(&books.price(id)?.product));
    let content = Content {
        description: new.edit.description.given().or(of_product.map(|product| product.name.clone())),
        discountable: new.edit.discountable.unwrap_or(!cost.amount.is_negative()),
        metadata: new.edit.metadata.initial()?,
        period: check_period(new.edit.period.unwrap_or(Period { start: at.now, end: at.now }))?,
        cost,
    };
    let of = new.subscription.map(|subscription| SubscriptionDetails { subscription, subscription_item: None });
    Ok(InvoiceItem { invoice: new.invoice, ..InvoiceItem::new(owner, content, of, at) })
}

fn check_targets(books: &Books, new: &NewItem) -> Result<(), Refusal> {
    if let Some(subscription) = &new.subscription
        && books.find(subscription, "subscription")?.status.is_terminal()
    {
        return Err(Refusal::no_such("subscription", subscription.as_str()).param("subscription"));
    }
    if let Some(invoice) = &new.invoice {
        let draft = books.find(invoice, "invoice")?;
        if draft.customer != new.customer {
            return Err(Refusal::no_such("invoice", invoice.as_str()).param("invoice"));
        }
        draft.clone().editable()?;
    }
    Ok(())
}

/// Changes an item, and its line on a draft. What is on a finalised invoice is frozen.
pub fn change(books: &mut Books, id: &Id<InvoiceItem>, edit: Edit, at: &mut Moment) -> Result<(), Refusal> {
    let item = books.at_path(id)?.clone();
    check_pending_or_draft(books, &item)?;
    edit.check_frozen(&item)?;
    let content = edit.apply(books, item.content())?;
    let draft = item.invoice.clone();
    books.put(item.with(content.clone()));
    let Some(mut invoice) = draft.and_then(|draft| books.get(&draft)).cloned() else { return Ok(()) };
    for line in &mut invoice.lines.data {
        if line.invoice_item() == Some(id) {
            *line = line.clone().with(content.clone());
        }
    }
    keep_draft(books, invoice, at)
}

/// Deletes an item that waits, or that is on a draft.
pub fn delete(books: &mut Books, id: &Id<InvoiceItem>, at: &mut Moment) -> Result<(), Refusal> {
    let item = books.at_path(id)?.clone();
    check_pending_or_draft(books, &item)?;
    if let Some(invoice) = &item.invoice {
        take_from_draft(books, invoice, id, at)?;
    }
    books.tell(id, "invoiceitem.deleted", at);
    books.remove(id);
    Ok(())
}

/// Drafts are in the standing set; an invoice that is not there is finalised.
fn check_pending_or_draft(books: &Books, item: &InvoiceItem) -> Result<(), Refusal> {
    let Some(invoice) = &item.invoice else { return Ok(()) };
    match books.get(invoice) {
        Some(invoice) if invoice.status == Status::Draft => Ok(()),
        _ => {
            let message = "Invalid invoice: This invoice is no longer editable";
            Err(Refusal::invalid(message).code("invoice_not_editable"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd() -> Currency {
        Currency::parse("usd").unwrap()
    }

    /// How a cost may be said: amount, or unit amount with quantity, and what an update makes of it.
    #[test]
    fn a_cost_is_said_in_one_way() {
        let books = Books::default();
        let unit = |text: &str| text.parse::<Decimal>().ok();
        let so_far = CostParams {
            currency: Some(usd()),
            quantity: Some(3.into()),
            unit_amount_decimal: unit("2.5"),
            ..CostParams::default()
        };
        let so_far = so_far.cost(&books, None).unwrap().unwrap();
        assert_eq!((so_far.amount, so_far.quantity), (Amount::new(8), 3.into()), "rounded once, half away from zero");
        let asked = |amount: Option<i64>, quantity: Option<i64>, unit_amount_decimal| -> Result<_, Refusal> {
            let (amount, quantity) = (amount.map(Amount::new), quantity.map(Decimal::from));
            let asked = CostParams { amount, quantity, unit_amount_decimal, ..CostParams::default() };
            let cost = asked.cost(&books, Some(&so_far))?;
            Ok(cost.map(|cost| (cost.amount.minor_units(), cost.quantity.truncated())))
        };
        assert_eq!(asked(None, None, None), Ok(None), "nothing said, nothing changed");
        assert_eq!(asked(None, Some(4), None), Ok(Some((10, 4))), "another quantity of the same unit");
        assert_eq!(asked(None, None, unit("7")), Ok(Some((21, 3))), "another unit, the same quantity");
        assert_eq!(asked(Some(-500), None, None), Ok(Some((-500, 1))), "a whole amount");
        assert_eq!(asked(Some(1), Some(1), None).unwrap_err().code.as_deref(), Some("parameters_exclusive"));
        assert_eq!(asked(Some(1), None, unit("1")).unwrap_err().code.as_deref(), Some("parameters_exclusive"));
    }

    /// A quantity may have decimal places, where the price counts no whole units.
    #[test]
    fn a_quantity_is_whole_or_a_decimal() {
        let decimal = |text: &str| text.parse::<Decimal>().ok();
        assert_eq!(quantity_of(Some(2), None, ""), Ok(Some(2.into())));
        assert_eq!(quantity_of(None, decimal("2.5"), ""), Ok(decimal("2.5")));
        assert_eq!(quantity_of(Some(-1), None, "lines[0]").unwrap_err().param.as_deref(), Some("lines[0][quantity]"));
        assert_eq!(quantity_of(None, decimal("-0.5"), "").unwrap_err().param.as_deref(), Some("quantity_decimal"));
        assert_eq!(quantity_of(Some(1), decimal("1"), "").unwrap_err().code.as_deref(), Some("parameters_exclusive"));
        for (unit, quantity, amount) in
            [("1000", "2.5", 2500), ("0.5", "1.5", 1), ("333", "0.333333333333", 111), ("1", "0.5", 1)]
        {
            let cost = CostParams {
                currency: Some(usd()),
                quantity: decimal(quantity),
                unit_amount_decimal: decimal(unit),
                ..CostParams::default()
            };
            let cost = cost.cost(&Books::default(), None).unwrap().unwrap();
            assert_eq!(cost.amount.minor_units(), amount, "{quantity} of {unit}");
        }
    }
}
