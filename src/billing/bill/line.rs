//! What a line of a new invoice says: of an invoice item, or of a stretch of time of a subscription's item.

use crate::billing::{
    Amount, Books, Id, Moment, Refusal,
    anchor::{Span, Terms},
    invoice::Invoice,
    invoice_item::{self, InvoiceItem},
    invoice_line::{
        InvoiceItemDetails, Line, NOUN, Parent, ParentType, Pricing, ProrationDetails, SubscriptionItemDetails, Tag,
    },
    period::{Interval, Period},
    price::Price,
    prorate,
    shape::{Nothing, Null},
    subscription::{BillingModeType, Item, Subscription},
};

pub fn of_invoice_item(item: &InvoiceItem, invoice: &Id<Invoice>, at: &mut Moment) -> Line {
    Line {
        id: Id::given(at.ids.next(NOUN.prefix, invoice.bucket())),
        object: Tag::LineItem,
        amount: item.amount,
        currency: item.currency,
        description: item.description.clone(),
        discount_amounts: Nothing,
        discountable: item.discountable,
        discounts: Nothing,
        invoice: invoice.clone(),
        livemode: item.livemode,
        metadata: item.metadata.clone(),
        parent: parent_of_invoice_item(item),
        period: item.period,
        pretax_credit_amounts: Nothing,
        pricing: item.pricing.clone(),
        quantity: item.quantity,
        quantity_decimal: item.quantity_decimal,
        subscription: item.subscription().cloned(),
        subtotal: item.amount,
        taxes: Nothing,
    }
}

/// A proration belongs to the subscription item that it is of.
fn parent_of_invoice_item(item: &InvoiceItem) -> Parent {
    if let (Some(subscription), Some(subscription_item)) = (item.subscription(), item.subscription_item()) {
        let lines = |details: &invoice_item::ProrationDetails| {
            details.credited_items.as_ref().and_then(|credited| credited.invoice_line_item_details.clone())
        };
        let details = SubscriptionItemDetails {
            invoice_item: Some(item.id.clone()),
            proration: item.proration,
            proration_details: item
                .proration_details
                .as_ref()
                .map(|details| ProrationDetails { credited_items: lines(details) }),
            subscription: subscription.clone(),
            subscription_item: subscription_item.clone(),
        };
        return Parent {
            invoice_item_details: None,
            subscription_item_details: Some(details),
            kind: ParentType::SubscriptionItemDetails,
        };
    }
    let details = InvoiceItemDetails {
        invoice_item: item.id.clone(),
        proration: item.proration,
        proration_details: Null,
        subscription: item.subscription().cloned(),
    };
    Parent {
        invoice_item_details: Some(details),
        subscription_item_details: None,
        kind: ParentType::InvoiceItemDetails,
    }
}

pub fn of_span(
    books: &Books,
    subscription: &Subscription,
    item: &Item,
    span: &Span,
    invoice: &Id<Invoice>,
    at: &mut Moment,
) -> Result<Line, Refusal> {
    let price = prorate::priced(books, item, subscription.currency)?;
    let name = books.product(&price.product).map_or("", |product| &product.name);
    let (amount, description) = match span.terms {
        Terms::Whole => (price.amount(item.quantity)?, describe(&price, item.quantity, name)),
        Terms::Part(ratio) => {
            (price.amount_of(item.quantity, ratio)?, describe_part(span.period, item.quantity, name)?)
        }
        Terms::Trial => (Amount::ZERO, describe_trial(subscription.billing_mode.kind, item.quantity, name)),
    };
    let details = SubscriptionItemDetails {
        invoice_item: None,
        proration: matches!(span.terms, Terms::Part(_)),
        proration_details: None,
        subscription: subscription.id.clone(),
        subscription_item: item.id.clone(),
    };
    Ok(Line {
        id: Id::given(at.ids.next(NOUN.prefix, invoice.bucket())),
        object: Tag::LineItem,
        amount,
        currency: price.currency,
        description: Some(description),
        discount_amounts: Nothing,
        discountable: true,
        discounts: Nothing,
        invoice: invoice.clone(),
        livemode: subscription.livemode,
        metadata: subscription.metadata.clone(),
        parent: Parent {
            invoice_item_details: None,
            subscription_item_details: Some(details),
            kind: ParentType::SubscriptionItemDetails,
        },
        period: span.period,
        pretax_credit_amounts: Nothing,
        pricing: Some(Pricing::of(&price)),
        quantity: item.quantity,
        quantity_decimal: item.quantity.into(),
        subscription: Some(subscription.id.clone()),
        subtotal: amount,
        taxes: Nothing,
    })
}

/// `Time on Basic from 17 Nov 2026 until 01 Dec 2026`; more than one are counted.
fn describe_part(period: Period, quantity: i64, product: &str) -> Result<String, Refusal> {
    let (from, until) = (period.start.day()?, period.end.day()?);
    let times = if quantity == 1 { String::new() } else { format!("{quantity} × ") };
    Ok(format!("Time on {times}{product} from {from} until {until}"))
}

fn describe_trial(mode: BillingModeType, quantity: i64, product: &str) -> String {
    match mode {
        BillingModeType::Classic => format!("Trial period for {product}"),
        BillingModeType::Flexible => format!("Free trial for {quantity} × {product}"),
    }
}

/// `1 × Basic (at $20.00 / month)`, `2 × Pro (at $5.00 / every 3 months)`, `12 × Calls (at $1.00 per 10 / day)`,
/// `3 × Seats (tiered / month)`.
fn describe(price: &Price, quantity: i64, product: &str) -> String {
    let cost = match (price.unit_amount, price.unit_amount_decimal) {
        (Some(amount), _) => format!("at {}", price.currency.readable(amount)),
        (None, Some(decimal)) => format!("at {}", price.currency.readable_decimal(decimal)),
        (None, None) => price.billing_scheme.to_string(),
    };
    let per = price.transform_quantity.map_or(String::new(), |packages| format!(" per {}", packages.divide_by));
    let every = price.cycle().map_or(String::new(), |cycle| match (cycle.interval, cycle.count) {
        (Interval::Day | Interval::Week | Interval::Month | Interval::Year, 1) => {
            format!(" / {}", cycle.interval.word())
        }
        (interval, count) => format!(" / every {count} {}s", interval.word()),
    });
    format!("{quantity} × {product} ({cost}{per}{every})")
}
