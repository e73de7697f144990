//! `/v1/invoiceitems`

use serde::Deserialize;

use super::{
    call::Call,
    prices::InlinePrice,
    reply::Reply,
    route::{At, Route, deleted},
};
use crate::{
    billing::{
        Amount, Books, Currency, Id, MetadataPatch, Moment, Refusal, Timestamp,
        customer::Customer,
        decimal::Decimal,
        edit::within,
        invoice::Invoice,
        invoice_item::{InvoiceItem, NOUN},
        itemize::{self, CostParams, Edit, NewItem, quantity_of},
        period::Period,
        price::Price,
        product::Product,
        shape::{Patch, Unsupported},
        subscription::Subscription,
    },
    engine::{Owner, Subject, verb::Decision},
    store::books::{self, Needs},
};

pub fn routes() -> Vec<Route> {
    vec![
        Route::list("/v1/invoiceitems", &NOUN),
        Route::post("/v1/invoiceitems", create, &NOUN),
        Route::retrieve("/v1/invoiceitems/{id}", &NOUN),
        Route::post("/v1/invoiceitems/{id}", update, &NOUN),
        Route::delete("/v1/invoiceitems/{id}", delete, deleted(&NOUN)),
    ]
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
    price_data: Option<InlinePrice>,
    pricing: Option<PricingParams>,
    quantity: Option<i64>,
    quantity_decimal: Option<Decimal>,
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

/// What must be at hand: a price that is named, the product of one that is made.
pub fn need_price(pricing: Option<&PricingParams>, product: Option<&Id<Product>>, needs: &mut Needs) {
    needs.prices.extend(pricing.map(|pricing| pricing.price.clone()));
    product.iter().for_each(|product| needs.document(*product));
}

/// A price that is named, or one that is made on the spot, if either.
pub fn price_of(
    pricing: Option<PricingParams>,
    data: Option<InlinePrice>,
    param: &str,
    books: &mut Books,
    livemode: bool,
    at: &mut Moment,
) -> Result<Option<Id<Price>>, Refusal> {
    match (pricing, data) {
        (Some(_), Some(_)) => Err(Refusal::exclusive(&["pricing", "price_data"]).param(within(param, "pricing"))),
        (pricing, None) => Ok(pricing.map(|pricing| pricing.price)),
        (None, Some(data)) => data.make(books, livemode, &within(param, "price_data"), at).map(Some),
    }
}

impl Params {
    fn edit(self, books: &mut Books, livemode: bool, at: &mut Moment) -> Result<Edit, Refusal> {
        Ok(Edit {
            cost: CostParams {
                amount: self.amount,
                currency: self.currency,
                price: price_of(self.pricing, self.price_data, "", books, livemode, at)?,
                quantity: quantity_of(self.quantity, self.quantity_decimal, "")?,
                unit_amount_decimal: self.unit_amount_decimal,
            },
            description: self.description,
            discountable: self.discountable,
            metadata: self.metadata,
            period: self.period.map(Into::into),
        })
    }
}

async fn create(call: Call, params: Params) -> Reply {
    let customer = params.customer.clone().ok_or_else(|| Refusal::missing("customer"))?;
    let mut needs = Needs::default();
    need_price(params.pricing.as_ref(), params.price_data.as_ref().map(|data| &data.product), &mut needs);
    params.invoice.iter().for_each(|invoice| needs.document(invoice));
    let livemode = call.livemode();
    let verb = Decision::new(Owner::Customer(customer.clone()), needs, move |books, at| {
        let (invoice, subscription) = (params.invoice.clone(), params.subscription.clone());
        let new = NewItem { customer, invoice, subscription, edit: params.edit(books, livemode, at)? };
        let id = itemize::make(books, new, at)?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

async fn update(At(id): At<String>, call: Call, params: Params) -> Reply {
    Refusal::if_any_sent(&[
        ("currency", params.currency.is_some()),
        ("customer", params.customer.is_some()),
        ("invoice", params.invoice.is_some()),
        ("subscription", params.subscription.is_some()),
    ])?;
    let mut needs = Needs::default();
    need_price(params.pricing.as_ref(), params.price_data.as_ref().map(|data| &data.product), &mut needs);
    let (id, livemode): (Id<InvoiceItem>, bool) = (Id::given(id), call.livemode());
    if params.quantity.is_some() || params.quantity_decimal.is_some() {
        let mut reader = call.house.engine.store.reader().await?;
        needs.prices.extend(books::peek(&mut reader, &id).await?.and_then(|item| item.pricing?.price().cloned()));
    }
    let verb = Decision::new(Owner::of(&id), needs, move |books, at| {
        let edit = params.edit(books, livemode, at)?;
        itemize::change(books, &id, edit, at)?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

async fn delete(At(id): At<String>, call: Call) -> Reply {
    let id: Id<InvoiceItem> = Id::given(id);
    let verb = Decision::new(Owner::of(&id), Needs::default(), move |books, at| {
        itemize::delete(books, &id, at)?;
        Ok(Subject::deleted(&id))
    });
    call.run(&NOUN, verb).await
}
