//! `/v1/plans`: the legacy view of recurring prices.

use serde::Deserialize;

use super::{
    call::Call,
    prices::{
        RecurringParams, Sketch,
        cost::{CostParams, TierParams, TransformQuantityParams, tiers_mode},
        inline::ProductData,
        trial_days,
    },
    products::given_id,
    reply::{Problem, Reply},
    route::{At, Route, deleted, list_of},
};
use crate::{
    billing::{
        Amount, Books, Currency, Id, MetadataPatch, Refusal,
        decimal::Decimal,
        id::Bucket,
        period::Interval,
        plan::{self, NOUN},
        price::{self, BillingScheme, Price, Recurring, UsageType},
        product::Product,
        shape::{IdOr, Patch, Text, Unsupported},
        tier::TiersMode,
    },
    engine::{Owner, Subject, verb::Decision},
    store::{Fault, books::Needs, list::Condition, read},
};

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/plans", list, list_of(&NOUN)),
        Route::post("/v1/plans", create, &NOUN),
        Route::get("/v1/plans/{id}", retrieve, &NOUN),
        Route::post("/v1/plans/{id}", update, &NOUN),
        Route::delete("/v1/plans/{id}", delete, deleted(&NOUN)),
    ]
}

async fn list(call: Call) -> Reply {
    call.list_where(&NOUN, vec![Condition::Word("type", &["recurring"])]).await
}

/// The answer about a price, as a plan.
fn subject(id: &Id<Price>) -> Subject {
    Subject { noun: &NOUN, ..Subject::document(id) }
}

#[derive(Clone, Debug, Deserialize)]
struct Create {
    currency: Currency,
    interval: Interval,
    active: Option<bool>,
    amount: Option<Amount>,
    amount_decimal: Option<Decimal>,
    billing_scheme: Option<BillingScheme>,
    id: Option<Text<255>>,
    interval_count: Option<i64>,
    #[serde(default)]
    metadata: MetadataPatch,
    meter: Option<Unsupported>,
    nickname: Option<String>,
    product: Option<IdOr<Product, ProductData>>,
    tiers: Option<Vec<TierParams>>,
    tiers_mode: Option<TiersMode>,
    transform_usage: Option<TransformQuantityParams>,
    trial_period_days: Option<i64>,
    usage_type: Option<UsageType>,
}

impl Create {
    /// The price that it is, whose product is yet to be named.
    fn sketch(&mut self, livemode: bool) -> Result<Sketch, Refusal> {
        let scheme = self.billing_scheme.unwrap_or(BillingScheme::PerUnit);
        let cost = CostParams {
            tiers: self.tiers.take(),
            unit_amount: self.amount,
            unit_amount_decimal: self.amount_decimal,
            ..CostParams::default()
        };
        let recurring = RecurringParams {
            interval: self.interval,
            interval_count: self.interval_count,
            usage_type: self.usage_type,
            meter: self.meter,
            trial_period_days: self.trial_period_days,
        };
        let transform = self.transform_usage.map(|transform| transform.check(scheme, "transform_usage"));
        Ok(Sketch {
            cost: cost.check(self.currency, scheme, "").map_err(in_plan_words)?,
            scheme,
            tiers_mode: tiers_mode(scheme, self.tiers_mode)?,
            transform_quantity: transform.transpose()?,
            recurring: Some(recurring.check("")?),
            ..Sketch::of(Id::given(""), self.currency, livemode)
        })
    }
}

/// What prices call `unit_amount`, plans call `amount`.
fn in_plan_words(refusal: Refusal) -> Refusal {
    let message = refusal.message.replace("unit_amount", "amount");
    let param = refusal.param.map(|param| param.strip_prefix("unit_").map(ToOwned::to_owned).unwrap_or(param));
    Refusal { message, param, ..refusal }
}

async fn create(call: Call, mut params: Create) -> Reply {
    let livemode = call.livemode();
    let mut needs = Needs::default();
    match &params.product {
        Some(IdOr::Id(product)) => needs.document(product),
        Some(IdOr::New(_)) => {}
        None => return Err(Refusal::missing("product").into()),
    }
    let mut sketch = params.sketch(livemode)?;
    let verb = Decision::new(Owner::Nobody, needs, move |books, at| {
        sketch.product = match params.product {
            Some(IdOr::Id(id)) => {
                books.find(&id, "product")?;
                id
            }
            Some(IdOr::New(data)) => data.make(books, livemode, "product", at)?,
            None => return Err(Refusal::missing("product")),
        };
        let id = match &params.id {
            Some(Text(id)) => given_id(id)?,
            None => Id::given(at.ids.next(NOUN.prefix, Bucket::SHARED)),
        };
        let price = Price {
            id,
            active: params.active.unwrap_or(true),
            nickname: params.nickname,
            ..sketch.price(params.metadata, at)?
        };
        Ok(subject(&plan::create(books, price, at)))
    });
    call.run(&NOUN, verb).await
}

/// A price of the caller's mode, as it rests.
async fn stored(call: &Call, id: &str) -> Result<Option<Price>, Problem> {
    let mut reader = call.house.engine.store.reader().await?;
    let body = read::find(&mut reader, &price::NOUN, id, call.livemode()).await?;
    Ok(body.map(|body| serde_json::from_str(&body)).transpose().map_err(Fault::from)?)
}

async fn retrieve(At(id): At<String>, call: Call) -> Reply {
    if stored(&call, &id).await?.is_none_or(|price| price.recurring.is_none()) {
        return Err(Refusal::not_found(&NOUN, &id).into());
    }
    call.retrieve(&NOUN, &id).await
}

/// The recurring price that the path names.
fn at_path(books: &Books, id: &Id<Price>) -> Result<(Price, Recurring), Refusal> {
    let price = books.get(id).cloned();
    let found = price.and_then(|price| price.recurring.clone().map(|recurring| (price, recurring)));
    found.ok_or_else(|| Refusal::not_found(&NOUN, id.as_str()))
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Update {
    active: Option<bool>,
    metadata: MetadataPatch,
    nickname: Patch<String>,
    product: Option<Id<Product>>,
    trial_period_days: Patch<i64>,
}

async fn update(At(id): At<String>, call: Call, params: Update) -> Reply {
    let id: Id<Price> = Id::given(id);
    let mut needs = Needs::default();
    needs.document(&id);
    params.product.iter().for_each(|product| needs.document(product));
    let days = match params.trial_period_days {
        Patch::Set(days) => Patch::Set(trial_days(days, "")?),
        other => other,
    };
    let verb = Decision::new(Owner::Nobody, needs, move |books, at| {
        let (price, recurring) = at_path(books, &id)?;
        if let Some(product) = &params.product {
            books.find(product, "product")?;
        }
        let trial_period_days = days.over(recurring.trial_period_days);
        let changed = Price {
            active: params.active.unwrap_or(price.active),
            metadata: params.metadata.apply(price.metadata)?,
            nickname: params.nickname.over(price.nickname),
            product: params.product.unwrap_or(price.product),
            recurring: Some(Recurring { trial_period_days, ..recurring }),
            ..price
        };
        plan::update(books, changed, at);
        Ok(subject(&id))
    });
    call.run(&NOUN, verb).await
}

/// What is subscribed to must go on recurring: such a plan can be archived, not deleted.
async fn delete(At(id): At<String>, call: Call) -> Reply {
    let id: Id<Price> = Id::given(id);
    let mut reader = call.house.engine.store.reader().await?;
    let is_used = read::is_price_used(&mut reader, id.as_str()).await?;
    drop(reader);
    let mut needs = Needs::default();
    needs.document(&id);
    let product = stored(&call, id.as_str()).await?.map(|price| price.product);
    product.iter().for_each(|product| needs.document(product));
    let verb = Decision::new(Owner::Nobody, needs, move |books, at| {
        let (price, _) = at_path(books, &id)?;
        let is_default = books.get(&price.product).is_some_and(|product| product.default_price.as_ref() == Some(&id));
        if is_used || is_default {
            let user = if is_used { "has been subscribed to" } else { "is the default of its product" };
            let message = format!("This plan cannot be deleted because it {user}. Set active to false instead.");
            return Err(Refusal::invalid(message));
        }
        plan::delete(books, &id, at);
        Ok(Subject { deleted: true, ..subject(&id) })
    });
    call.run(&NOUN, verb).await
}
