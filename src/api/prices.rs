//! `/v1/prices`

use serde::Deserialize;

use super::{
    call::Call,
    products,
    reply::Reply,
    route::{At, Route},
};
use crate::{
    billing::{
        Amount, Books, Currency, Id, MetadataPatch, Moment, Refusal,
        decimal::Decimal,
        id::Bucket,
        period::Interval,
        price::{BillingScheme, Kind, NOUN, Price, Recurring, Tag, TaxBehavior, UsageType},
        product::{self, Product},
        shape::{Null, Patch, Text, Unsupported},
    },
    engine::{Owner, Subject, verb::Decision},
    store::books::Needs,
};

pub fn routes() -> Vec<Route> {
    vec![
        Route::list("/v1/prices", &NOUN),
        Route::search("/v1/prices/search", &NOUN),
        Route::post("/v1/prices", create, &NOUN),
        Route::retrieve("/v1/prices/{id}", &NOUN),
        Route::post("/v1/prices/{id}", update, &NOUN),
    ]
}

#[derive(Clone, Debug, Deserialize)]
struct Create {
    currency: Currency,
    active: Option<bool>,
    billing_scheme: Option<BillingScheme>,
    lookup_key: Option<Text<200>>,
    #[serde(default)]
    metadata: MetadataPatch,
    nickname: Option<String>,
    product: Option<Id<Product>>,
    product_data: Option<ProductData>,
    recurring: Option<RecurringParams>,
    tax_behavior: Option<TaxBehavior>,
    unit_amount: Option<Amount>,
    unit_amount_decimal: Option<Decimal>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    currency_options: Option<Unsupported>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    custom_unit_amount: Option<Unsupported>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    tiers: Option<Unsupported>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    tiers_mode: Option<Unsupported>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    transfer_lookup_key: Option<Unsupported>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    transform_quantity: Option<Unsupported>,
}

#[derive(Clone, Debug, Deserialize)]
struct ProductData {
    name: String,
    active: Option<bool>,
    id: Option<Text<255>>,
    #[serde(default)]
    metadata: MetadataPatch,
    statement_descriptor: Option<Text<22>>,
    unit_label: Option<Text<12>>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    tax_code: Option<Unsupported>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct RecurringParams {
    interval: Interval,
    interval_count: Option<i64>,
    usage_type: Option<UsageType>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    meter: Option<Unsupported>,
    trial_period_days: Option<i64>,
}

/// `default_price_data` of a new product.
#[derive(Clone, Debug, Deserialize)]
pub struct DefaultPriceData {
    currency: Currency,
    #[serde(default)]
    metadata: MetadataPatch,
    recurring: Option<RecurringParams>,
    tax_behavior: Option<TaxBehavior>,
    unit_amount: Option<Amount>,
    unit_amount_decimal: Option<Decimal>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    currency_options: Option<Unsupported>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    custom_unit_amount: Option<Unsupported>,
}

impl RecurringParams {
    fn check(self, param: &str) -> Result<Recurring, Refusal> {
        let count = self.interval_count.unwrap_or(1);
        if !(1..=self.interval.maximum_count()).contains(&count) {
            let message = format!(
                "Invalid interval_count: it must be between 1 and {} for the interval {}.",
                self.interval.maximum_count(),
                self.interval.word()
            );
            return Err(Refusal::invalid(message).param(format!("{param}[interval_count]")));
        }
        if self.trial_period_days.is_some_and(|days| !(1..=730).contains(&days)) {
            let message = "Invalid trial_period_days: a trial lasts at least one day and at most 730 days.";
            return Err(Refusal::invalid(message).param(format!("{param}[trial_period_days]")));
        }
        Ok(Recurring {
            interval: self.interval,
            interval_count: count,
            meter: Null,
            trial_period_days: self.trial_period_days,
            usage_type: self.usage_type.unwrap_or(UsageType::Licensed),
        })
    }
}

/// One of the two ways to say how much.
fn unit_amount(amount: Option<Amount>, decimal: Option<Decimal>) -> Result<Decimal, Refusal> {
    let (decimal, param) = match (amount, decimal) {
        (Some(_), Some(_)) => {
            let message = "You may only specify one of these parameters: unit_amount, unit_amount_decimal.";
            return Err(Refusal::invalid(message).code("parameters_exclusive").param("unit_amount"));
        }
        (Some(amount), None) => (Decimal::from_amount(amount), "unit_amount"),
        (None, Some(decimal)) => (decimal, "unit_amount_decimal"),
        (None, None) => return Err(Refusal::missing("unit_amount")),
    };
    if decimal.is_negative() {
        let message = "This value must be greater than or equal to 0.";
        return Err(Refusal::invalid(message).code("parameter_invalid_integer").param(param));
    }
    // More than this could not be charged for a single unit.
    if decimal > Decimal::from_amount(Amount::new(999_999_999_999)) {
        return Err(Refusal::invalid("The unit amount is too large.").code("amount_too_large").param(param));
    }
    Ok(decimal)
}

struct Sketch {
    product: Id<Product>,
    currency: Currency,
    decimal: Decimal,
    recurring: Option<Recurring>,
    tax_behavior: Option<TaxBehavior>,
    livemode: bool,
}

fn price(sketch: Sketch, metadata: MetadataPatch, at: &mut Moment) -> Result<Price, Refusal> {
    if let Some(amount) = sketch.decimal.whole() {
        sketch.currency.check(amount, "unit_amount")?;
    }
    Ok(Price {
        id: Id::new(&mut at.ids, Bucket::SHARED),
        object: Tag::Price,
        active: true,
        billing_scheme: BillingScheme::PerUnit,
        created: at.now,
        currency: sketch.currency,
        custom_unit_amount: Null,
        livemode: sketch.livemode,
        lookup_key: None,
        metadata: metadata.initial()?,
        nickname: None,
        product: sketch.product,
        kind: if sketch.recurring.is_some() { Kind::Recurring } else { Kind::OneTime },
        recurring: sketch.recurring,
        tax_behavior: sketch.tax_behavior.unwrap_or(TaxBehavior::Unspecified),
        tiers_mode: Null,
        transform_quantity: Null,
        unit_amount: sketch.decimal.whole(),
        unit_amount_decimal: sketch.decimal,
    })
}

/// The default price of a new product.
pub fn of_product(
    data: DefaultPriceData,
    product: Id<Product>,
    livemode: bool,
    at: &mut Moment,
) -> Result<Price, Refusal> {
    let recurring = data.recurring.map(|recurring| recurring.check("default_price_data[recurring]")).transpose()?;
    let decimal = unit_amount(data.unit_amount, data.unit_amount_decimal)?;
    let sketch =
        Sketch { product, currency: data.currency, decimal, recurring, tax_behavior: data.tax_behavior, livemode };
    price(sketch, data.metadata, at)
}

/// `price_data`: a price that is made together with what it is for, and can be used for nothing else.
#[derive(Clone, Debug, Deserialize)]
pub struct InlinePrice {
    currency: Currency,
    pub product: Id<Product>,
    recurring: Option<RecurringParams>,
    tax_behavior: Option<TaxBehavior>,
    unit_amount: Option<Amount>,
    unit_amount_decimal: Option<Decimal>,
}

impl InlinePrice {
    /// Puts the price into the books; `param` is where it was given.
    pub fn make(self, books: &mut Books, livemode: bool, param: &str, at: &mut Moment) -> Result<Id<Price>, Refusal> {
        let within = |refusal: Refusal| {
            let param = refusal.param.as_ref().map(|inner| format!("{param}[{inner}]"));
            Refusal { param, ..refusal }
        };
        let recurring = self.recurring.map(|recurring| recurring.check(&format!("{param}[recurring]"))).transpose()?;
        let decimal = unit_amount(self.unit_amount, self.unit_amount_decimal).map_err(within)?;
        books.find(&self.product, "product").map_err(within)?;
        let (product, currency, tax_behavior) = (self.product, self.currency, self.tax_behavior);
        let sketch = Sketch { product, currency, decimal, recurring, tax_behavior, livemode };
        let price = Price { active: false, ..price(sketch, MetadataPatch::default(), at)? };
        let (id, recurs) = (price.id.clone(), price.recurring.is_some());
        books.put(price).tell("price.created", at);
        if recurs {
            books.tell_plan(&id, "plan.created", at);
        }
        Ok(id)
    }
}

async fn create(call: Call, params: Create) -> Reply {
    let livemode = call.livemode();
    let decimal = unit_amount(params.unit_amount, params.unit_amount_decimal)?;
    let recurring = params.recurring.clone().map(|recurring| recurring.check("recurring")).transpose()?;
    let mut needs = Needs::default();
    match (&params.product, &params.product_data) {
        (Some(product), None) => needs.document(product),
        (None, Some(_)) => {}
        (Some(_), Some(_)) => {
            let message = "You may only specify one of these parameters: product, product_data.";
            return Err(Refusal::invalid(message).code("parameters_exclusive").param("product").into());
        }
        (None, None) => return Err(Refusal::missing("product").into()),
    }
    let verb = Decision::new(Owner::Nobody, needs, move |books, at| {
        let product = match (params.product, params.product_data) {
            (Some(id), _) => {
                books.find(&id, "product")?;
                id
            }
            (None, Some(data)) => {
                let product = new_product(data, livemode, at)?;
                let id = product.id.clone();
                books.put(product).tell("product.created", at);
                id
            }
            (None, None) => return Err(Refusal::missing("product")),
        };
        let sketch = Sketch {
            product,
            currency: params.currency,
            decimal,
            recurring,
            tax_behavior: params.tax_behavior,
            livemode,
        };
        let price = Price {
            active: params.active.unwrap_or(true),
            billing_scheme: params.billing_scheme.unwrap_or(BillingScheme::PerUnit),
            lookup_key: params.lookup_key.map(String::from),
            nickname: params.nickname,
            ..price(sketch, params.metadata, at)?
        };
        let id = price.id.clone();
        let recurs = price.recurring.is_some();
        books.put(price).tell("price.created", at);
        if recurs {
            books.tell_plan(&id, "plan.created", at);
        }
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

fn new_product(data: ProductData, livemode: bool, at: &mut Moment) -> Result<Product, Refusal> {
    let id = match data.id {
        Some(Text(id)) => Id::given(id),
        None => Id::new(&mut at.ids, Bucket::SHARED),
    };
    Ok(Product {
        active: data.active.unwrap_or(true),
        metadata: data.metadata.initial()?,
        statement_descriptor: data.statement_descriptor.map(String::from),
        unit_label: data.unit_label.map(String::from),
        ..products::blank(id, data.name, product::Kind::Service, livemode, at.now)
    })
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Update {
    active: Option<bool>,
    lookup_key: Patch<Text<200>>,
    metadata: MetadataPatch,
    nickname: Patch<String>,
    tax_behavior: Option<TaxBehavior>,
    currency_options: Option<Unsupported>,
    transfer_lookup_key: Option<Unsupported>,
}

async fn update(At(id): At<String>, call: Call, params: Update) -> Reply {
    let id: Id<Price> = Id::given(id);
    let mut needs = Needs::default();
    needs.document(&id);
    let verb = Decision::new(Owner::Nobody, needs, move |books, at| {
        let price = books.at_path(&id)?.clone();
        let changed = Price {
            active: params.active.unwrap_or(price.active),
            lookup_key: params.lookup_key.map(String::from).over(price.lookup_key),
            metadata: params.metadata.apply(price.metadata)?,
            nickname: params.nickname.over(price.nickname),
            tax_behavior: params.tax_behavior.unwrap_or(price.tax_behavior),
            ..price
        };
        books.put(changed).tell("price.updated", at);
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}
