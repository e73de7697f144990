//! `/v1/prices`

pub mod cost;
pub mod inline;

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    call::Call,
    reply::Reply,
    route::{At, Route},
};
use crate::{
    billing::{
        Amount, Books, Currency, Id, MetadataPatch, Moment, Refusal,
        decimal::Decimal,
        id::Bucket,
        period::Interval,
        plan,
        price::{
            BillingScheme, CurrencyOption, Internal, Kind, NOUN, Price, Recurring, Tag, TaxBehavior, TransformQuantity,
            UsageType,
        },
        product::Product,
        shape::{Null, Patch, Text, Unsupported},
        tier::TiersMode,
    },
    engine::{Owner, Subject, verb::Decision},
    store::{Fault, books::Needs, read},
};

use cost::{
    CostParams, CurrencyOptionsParams, CustomUnitAmountParams, TierParams, TransformQuantityParams, currency_options,
    tiers_mode,
};
use inline::ProductData;
pub use inline::{DefaultPriceData, InlinePrice, LinePrice, SessionPrice};

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
    currency_options: Option<CurrencyOptionsParams>,
    custom_unit_amount: Option<CustomUnitAmountParams>,
    lookup_key: Option<Text<200>>,
    #[serde(default)]
    metadata: MetadataPatch,
    nickname: Option<String>,
    product: Option<Id<Product>>,
    product_data: Option<ProductData>,
    recurring: Option<RecurringParams>,
    tax_behavior: Option<TaxBehavior>,
    tiers: Option<Vec<TierParams>>,
    tiers_mode: Option<TiersMode>,
    transfer_lookup_key: Option<bool>,
    transform_quantity: Option<TransformQuantityParams>,
    unit_amount: Option<Amount>,
    unit_amount_decimal: Option<Decimal>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct RecurringParams {
    pub interval: Interval,
    pub interval_count: Option<i64>,
    pub usage_type: Option<UsageType>,
    pub meter: Option<Unsupported>,
    pub trial_period_days: Option<i64>,
}

impl RecurringParams {
    pub fn check(self, param: &str) -> Result<Recurring, Refusal> {
        let within = |name: &str| crate::billing::edit::within(param, name);
        let count = self.interval_count.unwrap_or(1);
        if !(1..=self.interval.maximum_count()).contains(&count) {
            let message = format!(
                "Invalid interval_count: it must be between 1 and {} for the interval {}.",
                self.interval.maximum_count(),
                self.interval.word()
            );
            return Err(Refusal::invalid(message).param(within("interval_count")));
        }
        if self.usage_type == Some(UsageType::Metered) {
            return Err(Refusal::not_supported_yet(within("usage_type")));
        }
        Ok(Recurring {
            interval: self.interval,
            interval_count: count,
            meter: Null,
            trial_period_days: self.trial_period_days.map(|days| trial_days(days, param)).transpose()?,
            usage_type: UsageType::Licensed,
        })
    }
}

/// `trial_period_days`, in a parameter or on its own.
pub fn trial_days(days: i64, param: &str) -> Result<i64, Refusal> {
    if (1..=730).contains(&days) {
        return Ok(days);
    }
    let message = "Invalid trial_period_days: a trial lasts at least one day and at most 730 days.";
    Err(Refusal::invalid(message).param(crate::billing::edit::within(param, "trial_period_days")))
}

/// What a new price is, but for its names.
#[derive(Clone)]
pub struct Sketch {
    pub product: Id<Product>,
    pub currency: Currency,
    pub cost: CurrencyOption,
    pub currency_options: BTreeMap<Currency, CurrencyOption>,
    pub scheme: BillingScheme,
    pub tiers_mode: Option<TiersMode>,
    pub transform_quantity: Option<TransformQuantity>,
    pub recurring: Option<Recurring>,
    pub livemode: bool,
}

impl Sketch {
    /// A price of so much per unit, once; how much is yet to be said.
    pub fn of(product: Id<Product>, currency: Currency, livemode: bool) -> Sketch {
        Sketch {
            product,
            currency,
            cost: CurrencyOption {
                custom_unit_amount: None,
                tax_behavior: TaxBehavior::Unspecified,
                tiers: Vec::new(),
                unit_amount: None,
                unit_amount_decimal: None,
            },
            currency_options: BTreeMap::new(),
            scheme: BillingScheme::PerUnit,
            tiers_mode: None,
            transform_quantity: None,
            recurring: None,
            livemode,
        }
    }

    /// The price, yet to be kept.
    pub fn price(self, metadata: MetadataPatch, at: &mut Moment) -> Result<Price, Refusal> {
        let chosen = |option: &CurrencyOption| option.custom_unit_amount.is_some();
        if self.recurring.is_some() && (chosen(&self.cost) || self.currency_options.values().any(chosen)) {
            let message = "The payer can choose the amount of one-time prices only.";
            return Err(Refusal::invalid(message).param("custom_unit_amount"));
        }
        Ok(Price {
            id: Id::new(&mut at.ids, Bucket::SHARED),
            object: Tag::Price,
            active: true,
            billing_scheme: self.scheme,
            created: at.now,
            currency: self.currency,
            custom_unit_amount: self.cost.custom_unit_amount,
            livemode: self.livemode,
            lookup_key: None,
            metadata: metadata.initial()?,
            nickname: None,
            product: self.product,
            kind: if self.recurring.is_some() { Kind::Recurring } else { Kind::OneTime },
            recurring: self.recurring,
            tax_behavior: self.cost.tax_behavior,
            tiers_mode: self.tiers_mode,
            transform_quantity: self.transform_quantity,
            unit_amount: self.cost.unit_amount,
            unit_amount_decimal: self.cost.unit_amount_decimal,
            internal: Internal { currency_options: self.currency_options, tiers: self.cost.tiers },
        })
    }
}

impl Create {
    fn sketch(&mut self, product: Id<Product>, livemode: bool) -> Result<Sketch, Refusal> {
        let scheme = self.billing_scheme.unwrap_or(BillingScheme::PerUnit);
        let cost = CostParams {
            custom_unit_amount: self.custom_unit_amount.take(),
            tax_behavior: self.tax_behavior,
            tiers: self.tiers.take(),
            unit_amount: self.unit_amount,
            unit_amount_decimal: self.unit_amount_decimal,
        };
        let options = self.currency_options.take().unwrap_or_default();
        let transform = self.transform_quantity.map(|transform| transform.check(scheme, "transform_quantity"));
        Ok(Sketch {
            cost: cost.check(self.currency, scheme, "")?,
            currency_options: currency_options(options, self.currency, scheme, "")?,
            scheme,
            tiers_mode: tiers_mode(scheme, self.tiers_mode)?,
            transform_quantity: transform.transpose()?,
            recurring: self.recurring.take().map(|recurring| recurring.check("recurring")).transpose()?,
            ..Sketch::of(product, self.currency, livemode)
        })
    }
}

async fn create(call: Call, mut params: Create) -> Reply {
    let livemode = call.livemode();
    let mut needs = Needs::default();
    let product = match (&params.product, &params.product_data) {
        (Some(product), None) => {
            needs.document(product);
            product.clone()
        }
        // It has no id before it is made.
        (None, Some(_)) => Id::given(""),
        (Some(_), Some(_)) => return Err(Refusal::exclusive(&["product", "product_data"]).param("product").into()),
        (None, None) => return Err(Refusal::missing("product").into()),
    };
    let mut sketch = params.sketch(product, livemode)?;
    let key = params.lookup_key.take().map(String::from);
    let holder = holder_of(&call, key.as_deref(), params.transfer_lookup_key, &mut needs).await?;
    let verb = Decision::new(Owner::Nobody, needs, move |books, at| {
        match params.product_data {
            None => drop(books.find(&sketch.product, "product")?),
            Some(data) => sketch.product = data.make(books, livemode, "product_data", at)?,
        }
        give_up(books, holder.as_ref(), key.as_deref(), at);
        let price = Price {
            active: params.active.unwrap_or(true),
            lookup_key: key,
            nickname: params.nickname,
            ..sketch.price(params.metadata, at)?
        };
        Ok(Subject::document(&plan::create(books, price, at)))
    });
    call.run(&NOUN, verb).await
}

/// The price that has a lookup key which is to be transferred.
async fn holder_of(
    call: &Call,
    key: Option<&str>,
    transfer: Option<bool>,
    needs: &mut Needs,
) -> Result<Option<Id<Price>>, Fault> {
    let (Some(key), Some(true)) = (key, transfer) else { return Ok(None) };
    let mut reader = call.house.engine.store.reader().await?;
    let holder = read::price_by_lookup_key(&mut reader, key, call.livemode()).await?.map(Id::given);
    holder.iter().for_each(|holder| needs.document(holder));
    Ok(holder)
}

/// Takes a lookup key from the price that has it, for another.
fn give_up(books: &mut Books, holder: Option<&Id<Price>>, key: Option<&str>, at: &mut Moment) {
    let holder = holder.and_then(|holder| books.get(holder)).filter(|holder| holder.lookup_key.as_deref() == key);
    if let Some(holder) = holder.cloned() {
        plan::update(books, Price { lookup_key: None, ..holder }, at);
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Update {
    active: Option<bool>,
    currency_options: Patch<CurrencyOptionsParams>,
    lookup_key: Patch<Text<200>>,
    metadata: MetadataPatch,
    nickname: Patch<String>,
    tax_behavior: Option<TaxBehavior>,
    transfer_lookup_key: Option<bool>,
}

async fn update(At(id): At<String>, call: Call, params: Update) -> Reply {
    let id: Id<Price> = Id::given(id);
    let mut needs = Needs::default();
    needs.document(&id);
    let key = params.lookup_key.map(String::from);
    let wanted = if let Patch::Set(key) = &key { Some(key.clone()) } else { None };
    let holder = holder_of(&call, wanted.as_deref(), params.transfer_lookup_key, &mut needs).await?;
    let holder = holder.filter(|holder| *holder != id);
    let verb = Decision::new(Owner::Nobody, needs, move |books, at| {
        let price = books.at_path(&id)?.clone();
        give_up(books, holder.as_ref(), wanted.as_deref(), at);
        let mut internal = price.internal.clone();
        match params.currency_options {
            Patch::Keep => {}
            Patch::Clear => internal.currency_options.clear(),
            Patch::Set(options) => {
                let options = currency_options(options, price.currency, price.billing_scheme, "")?;
                internal.currency_options.extend(options);
            }
        }
        let changed = Price {
            active: params.active.unwrap_or(price.active),
            lookup_key: key.over(price.lookup_key),
            metadata: params.metadata.apply(price.metadata)?,
            nickname: params.nickname.over(price.nickname),
            tax_behavior: tax_behavior(price.tax_behavior, params.tax_behavior)?,
            internal,
            ..price
        };
        plan::update(books, changed, at);
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

/// Once it says whether tax is in the price, that stays.
fn tax_behavior(current: TaxBehavior, wanted: Option<TaxBehavior>) -> Result<TaxBehavior, Refusal> {
    match wanted {
        Some(wanted) if current != TaxBehavior::Unspecified && wanted != current => {
            let message = format!("The tax_behavior of a price cannot be changed once it is {current}.");
            Err(Refusal::invalid(message).param("tax_behavior"))
        }
        wanted => Ok(wanted.unwrap_or(current)),
    }
}
