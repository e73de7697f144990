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
        Amount, Currency, Id, MetadataPatch, Refusal, Timestamp,
        customer::Customer,
        decimal::Decimal,
        invoice::Invoice,
        invoice_item::{InvoiceItem, NOUN},
        itemize::{self, CostParams, Edit, NewItem},
        period::Period,
        price::Price,
        shape::{Patch, Unsupported},
        subscription::Subscription,
    },
    engine::{Owner, Subject, verb::Decision},
    store::books::Needs,
};

pub fn routes() -> Router<House> {
    Router::new()
        .route("/v1/invoiceitems", get(|call: Call| async move { call.list(&NOUN).await }).post(create))
        .route("/v1/invoiceitems/{id}", get(retrieve).post(update).delete(delete))
}

/// What can be said of an item, at creation and later.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Params {
    amount: Option<Amount>,
    description: Patch<String>,
    discountable: Option<bool>,
    metadata: MetadataPatch,
    period: Option<PeriodParams>,
    pricing: Option<PricingParams>,
    quantity: Option<i64>,
    unit_amount_decimal: Option<Decimal>,
    // At creation only.
    currency: Option<Currency>,
    customer: Option<Id<Customer>>,
    invoice: Option<Id<Invoice>>,
    subscription: Option<Id<Subscription>>,
    // Known, and refused rather than ignored.
    customer_account: Option<Unsupported>,
    discounts: Option<Unsupported>,
    invoicing_rules: Option<Unsupported>,
    price_data: Option<Unsupported>,
    quantity_decimal: Option<Unsupported>,
    tax_behavior: Option<Unsupported>,
    tax_code: Option<Unsupported>,
    tax_rates: Option<Unsupported>,
}

/// The period that an item or a line shows.
#[derive(Clone, Debug, Deserialize)]
pub struct PeriodParams {
    start: Timestamp,
    end: Timestamp,
}

impl From<PeriodParams> for Period {
    fn from(params: PeriodParams) -> Period {
        Period { start: params.start, end: params.end }
    }
}

#[derive(Clone, Debug, Deserialize)]
pub struct PricingParams {
    pub price: Id<Price>,
}

impl Params {
    fn edit(self) -> Edit {
        Edit {
            cost: CostParams {
                amount: self.amount,
                currency: self.currency,
                price: self.pricing.map(|pricing| pricing.price),
                quantity: self.quantity,
                unit_amount_decimal: self.unit_amount_decimal,
            },
            description: self.description,
            discountable: self.discountable,
            metadata: self.metadata,
            period: self.period.map(Into::into),
        }
    }
}

async fn create(call: Call) -> Reply {
    let params: Params = call.params()?;
    let customer = params.customer.clone().ok_or_else(|| Refusal::missing("customer"))?;
    let mut needs = Needs::default();
    needs.prices.extend(params.pricing.iter().map(|pricing| pricing.price.clone()));
    params.invoice.iter().for_each(|invoice| needs.document(invoice));
    let new = NewItem {
        customer: customer.clone(),
        invoice: params.invoice.clone(),
        subscription: params.subscription.clone(),
        edit: params.edit(),
    };
    let verb = Decision::new(Owner::Customer(customer), needs, move |books, at| {
        let id = itemize::make(books, new, at)?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

async fn retrieve(At(id): At<String>, call: Call) -> Reply {
    call.retrieve(&NOUN, &id).await
}

async fn update(At(id): At<String>, call: Call) -> Reply {
    let params: Params = call.params()?;
    Refusal::if_any_sent(&[
        ("currency", params.currency.is_some()),
        ("customer", params.customer.is_some()),
        ("invoice", params.invoice.is_some()),
        ("subscription", params.subscription.is_some()),
    ])?;
    let mut needs = Needs::default();
    needs.prices.extend(params.pricing.iter().map(|pricing| pricing.price.clone()));
    let id: Id<InvoiceItem> = Id::given(id);
    let edit = params.edit();
    let verb = Decision::new(Owner::of(&id), needs, move |books, at| {
        itemize::change(books, &id, edit, at)?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

async fn delete(At(id): At<String>, call: Call) -> Reply {
    call.no_params()?;
    let id: Id<InvoiceItem> = Id::given(id);
    let verb = Decision::new(Owner::of(&id), Needs::default(), move |books, at| {
        itemize::delete(books, &id, at)?;
        Ok(Subject::deleted(&id))
    });
    call.run(&NOUN, verb).await
}
