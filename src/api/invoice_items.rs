//! `/v1/invoiceitems`

use axum::{Router, routing::get};
use serde::Deserialize;

use super::{
    House,
    call::{At, Call},
    reply::Reply,
};
use crate::{
    billing::{
        Amount, Books, Currency, Id, MetadataPatch, Moment, Refusal, Timestamp,
        bill::add_to_draft,
        customer::Customer,
        decimal::Decimal,
        invoice::{Invoice, Status},
        invoice_item::{InvoiceItem, NOUN, Parent, ParentType, SubscriptionDetails, Tag},
        invoice_line::{Pricing, PricingType},
        period::Period,
        price::{Kind, Price},
        shape::{Nothing, Null, Unsupported},
        subscription::Subscription,
    },
    engine::{Owner, Subject, verb::Decision},
    store::books::Needs,
};

pub fn routes() -> Router<House> {
    Router::new()
        .route("/v1/invoiceitems", get(|call: Call| async move { call.list(&NOUN).await }).post(create))
        .route("/v1/invoiceitems/{id}", get(retrieve).delete(delete))
}

#[derive(Clone, Debug, Deserialize)]
struct Create {
    customer: Option<Id<Customer>>,
    amount: Option<Amount>,
    currency: Option<Currency>,
    description: Option<String>,
    discountable: Option<bool>,
    invoice: Option<Id<Invoice>>,
    #[serde(default)]
    metadata: MetadataPatch,
    period: Option<PeriodParams>,
    pricing: Option<PricingParams>,
    quantity: Option<i64>,
    subscription: Option<Id<Subscription>>,
    unit_amount_decimal: Option<Decimal>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    customer_account: Option<Unsupported>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    discounts: Option<Unsupported>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    price_data: Option<Unsupported>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    quantity_decimal: Option<Unsupported>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    tax_behavior: Option<Unsupported>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    tax_code: Option<Unsupported>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    tax_rates: Option<Unsupported>,
}

#[derive(Clone, Debug, Deserialize)]
struct PeriodParams {
    start: Timestamp,
    end: Timestamp,
}

#[derive(Clone, Debug, Deserialize)]
struct PricingParams {
    price: Id<Price>,
}

/// What an item costs, and how that was said.
struct Cost {
    amount: Amount,
    currency: Currency,
    description: Option<String>,
    pricing: Option<Pricing>,
    quantity: i64,
}

impl Create {
    fn cost(&self, books: &Books, customer: &Customer) -> Result<Cost, Refusal> {
        let quantity = self.quantity.unwrap_or(1);
        if quantity < 0 {
            let message = "This value must be greater than or equal to 0.";
            return Err(Refusal::invalid(message).code("parameter_invalid_integer").param("quantity"));
        }
        let given = self.currency.or(customer.currency);
        let currency = || given.ok_or_else(|| Refusal::missing("currency"));
        match (self.amount, &self.pricing, self.unit_amount_decimal) {
            (Some(_), None, None) if self.quantity.is_some() => {
                let message = "You may only specify one of these parameters: amount, quantity.";
                Err(Refusal::invalid(message).code("parameters_exclusive").param("amount"))
            }
            (Some(amount), None, None) => {
                let pricing = Some(of_amount(Decimal::from_amount(amount)));
                Ok(Cost { amount, currency: currency()?, description: None, pricing, quantity: 1 })
            }
            (None, Some(pricing), None) => {
                let price = books
                    .price(&pricing.price)
                    .ok_or_else(|| Refusal::no_such("price", pricing.price.as_str()).param("pricing[price]"))?;
                if price.kind != Kind::OneTime {
                    let message = "The price specified is set to `type=recurring` but this field only accepts prices with `type=one_time`.";
                    return Err(Refusal::invalid(message).param("pricing[price]"));
                }
                let description = books.product(&price.product).map(|product| product.name.clone());
                let pricing = Some(Pricing::of(price));
                Ok(Cost { amount: price.amount(quantity)?, currency: price.currency, description, pricing, quantity })
            }
            (None, None, Some(unit)) => Ok(Cost {
                amount: unit.times(quantity)?,
                currency: currency()?,
                description: None,
                pricing: Some(of_amount(unit)),
                quantity,
            }),
            (None, None, None) => Err(Refusal::missing("amount")),
            _ => {
                let message = "You may only specify one of these parameters: amount, pricing, unit_amount_decimal.";
                Err(Refusal::invalid(message).code("parameters_exclusive"))
            }
        }
    }
}

fn of_amount(unit: Decimal) -> Pricing {
    Pricing { price_details: None, kind: PricingType::PriceDetails, unit_amount_decimal: Some(unit) }
}

async fn create(call: Call) -> Reply {
    let params: Create = call.params()?;
    let customer = params.customer.clone().ok_or_else(|| Refusal::missing("customer"))?;
    let mut needs = Needs::default();
    needs.prices.extend(params.pricing.iter().map(|pricing| pricing.price.clone()));
    params.invoice.iter().for_each(|invoice| needs.document(invoice));
    let verb = Decision::new(Owner::Customer(customer.clone()), needs, move |books, at| {
        let id = place(books, params, &customer, at)?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

fn place(
    books: &mut Books,
    params: Create,
    customer: &Id<Customer>,
    at: &mut Moment,
) -> Result<Id<InvoiceItem>, Refusal> {
    let owner = books.find(customer, "customer")?.clone();
    let cost = params.cost(books, &owner)?;
    if owner.currency.is_some_and(|locked| locked != cost.currency) {
        let message = format!(
            "You cannot combine currencies on a single customer. This customer is billed in {:?}.",
            owner.currency
        );
        return Err(Refusal::invalid(message).param("currency"));
    }
    let period = params
        .period
        .map_or(Period { start: at.now, end: at.now }, |period| Period { start: period.start, end: period.end });
    if period.start > period.end {
        return Err(Refusal::invalid("The period must not end before it starts.").param("period[end]"));
    }
    if let Some(subscription) = &params.subscription {
        let known = books.find(subscription, "subscription")?;
        if known.status.is_terminal() {
            return Err(Refusal::no_such("subscription", subscription.as_str()).param("subscription"));
        }
    }
    if let Some(invoice) = &params.invoice {
        let draft = books.find(invoice, "invoice")?;
        if draft.customer != *customer {
            return Err(Refusal::no_such("invoice", invoice.as_str()).param("invoice"));
        }
        if draft.status != Status::Draft {
            return Err(Refusal::invalid("Invalid invoice: This invoice is no longer editable")
                .code("invoice_not_editable")
                .param("invoice"));
        }
    }
    let id: Id<InvoiceItem> = Id::new(&mut at.ids, customer.bucket());
    let item = InvoiceItem {
        id: id.clone(),
        object: Tag::InvoiceItem,
        amount: cost.amount,
        currency: cost.currency,
        customer: customer.clone(),
        customer_account: Null,
        date: at.now,
        description: params.description.or(cost.description),
        discountable: params.discountable.unwrap_or(true),
        discounts: Nothing,
        invoice: params.invoice.clone(),
        livemode: owner.livemode,
        metadata: params.metadata.initial()?,
        net_amount: cost.amount,
        parent: params.subscription.map(|subscription| Parent {
            subscription_details: Some(SubscriptionDetails { subscription }),
            kind: ParentType::SubscriptionDetails,
        }),
        period,
        pricing: cost.pricing,
        proration: false,
        quantity: cost.quantity,
        quantity_decimal: cost.quantity.to_string(),
        tax_rates: Nothing,
        test_clock: owner.test_clock,
    };
    if let Some(invoice) = &params.invoice {
        add_to_draft(books, invoice, &item, at)?;
    }
    books.put(item).tell("invoiceitem.created", at);
    Ok(id)
}

async fn retrieve(At(id): At<String>, call: Call) -> Reply {
    call.retrieve(&NOUN, &id).await
}

async fn delete(At(id): At<String>, call: Call) -> Reply {
    call.no_params()?;
    let id: Id<InvoiceItem> = Id::given(id);
    let verb = Decision::new(Owner::of(&id), Needs::default(), move |books, at| {
        let item = books.at_path(&id)?.clone();
        if let Some(invoice) = &item.invoice {
            // Drafts are in the standing set; an invoice that is not there is finalised.
            if books.get(invoice).is_none_or(|invoice| invoice.status != Status::Draft) {
                let message = "Invalid invoice: This invoice is no longer editable";
                return Err(Refusal::invalid(message).code("invoice_not_editable"));
            }
            crate::billing::bill::take_from_draft(books, invoice, &id, at)?;
        }
        books.tell(&id, "invoiceitem.deleted", at);
        books.remove(&id);
        Ok(Subject::deleted(&id))
    });
    call.run(&NOUN, verb).await
}
