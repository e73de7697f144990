//! `/v1/subscription_items`

use serde::Deserialize;
use serde_json::Value;

use super::{
    call::Call,
    prices::InlinePrice,
    reply::{Problem, Reply},
    route::{At, Route, deleted, list_of},
    subscriptions::{
        extras::priced,
        items::{self, refuse_clear_usage},
    },
};
use crate::{
    billing::{
        Books, Id, MetadataPatch, Moment, Refusal, Timestamp,
        change::{self, Act, Change, ItemChange},
        price::Price,
        prorate::ProrationBehavior,
        shape::Unsupported,
        subscribe::PaymentBehavior,
        subscription::{ITEM_NOUN, Item, NOUN, Subscription},
    },
    dialect::{
        speak,
        version::{Pin, Version},
    },
    engine::{Owner, Subject, verb::Decision},
    store::{Fault, books::Needs, read},
};

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/subscription_items", list, list_of(&ITEM_NOUN)),
        Route::post("/v1/subscription_items", create, &ITEM_NOUN),
        Route::get("/v1/subscription_items/{id}", retrieve, &ITEM_NOUN),
        Route::post("/v1/subscription_items/{id}", update, &ITEM_NOUN),
        Route::delete("/v1/subscription_items/{id}", delete, deleted(&ITEM_NOUN)),
    ]
}

/// The items of a subscription with whole prices, and plans; not yet in the caller's version.
async fn spoken_items(call: &Call, body: String) -> Result<Vec<Value>, Problem> {
    let mut reader = call.house.engine.store.reader().await?;
    let spoken = speak::speak(&mut reader, &NOUN, &[body], Pin { version: Version::NEWEST, ..call.pin() }).await?;
    let items = spoken.first().and_then(|one| one.pointer("/items/data")).and_then(Value::as_array);
    Ok(items.cloned().unwrap_or_default())
}

#[derive(Debug, Deserialize)]
struct Listed {
    subscription: String,
}

async fn list(call: Call, Listed { subscription: id }: Listed) -> Reply {
    let mut reader = call.house.engine.store.reader().await?;
    let body = read::find(&mut reader, &NOUN, &id, call.livemode()).await?;
    drop(reader);
    let body = body.ok_or_else(|| Refusal::no_such(NOUN.name, &id).param("subscription"))?;
    let items = spoken_items(&call, body).await?;
    call.list_of(&ITEM_NOUN, items).await
}

async fn retrieve(At(id): At<String>, call: Call) -> Reply {
    let mut reader = call.house.engine.store.reader().await?;
    let body = read::subscription_of_item(&mut reader, &id, call.livemode()).await?;
    drop(reader);
    let body = body.ok_or_else(|| Refusal::not_found(&ITEM_NOUN, &id))?;
    let items = spoken_items(&call, body).await?;
    let item = items.into_iter().find(|item| item.get("id").and_then(Value::as_str) == Some(&id));
    call.show_value(&ITEM_NOUN, item.ok_or_else(|| Refusal::not_found(&ITEM_NOUN, &id))?).await
}

#[derive(Clone, Debug, Deserialize)]
struct Create {
    subscription: Id<Subscription>,
    #[serde(default)]
    metadata: MetadataPatch,
    payment_behavior: Option<PaymentBehavior>,
    plan: Option<Id<Price>>,
    price: Option<Id<Price>>,
    price_data: Option<InlinePrice>,
    proration_behavior: Option<ProrationBehavior>,
    proration_date: Option<Timestamp>,
    quantity: Option<i64>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    billing_thresholds: Option<Unsupported>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    current_trial: Option<Unsupported>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    discounts: Option<Unsupported>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    tax_rates: Option<Unsupported>,
}

async fn create(call: Call, params: Create) -> Reply {
    let subscription = params.subscription;
    let mut reader = call.house.engine.store.reader().await?;
    let known = read::find(&mut reader, &NOUN, subscription.as_str(), call.livemode()).await?;
    drop(reader);
    if known.is_none() {
        return Err(Refusal::no_such(NOUN.name, subscription.as_str()).param("subscription").into());
    }
    let metadata = params.metadata.initial()?;
    let price = PriceParams { named: params.price.or(params.plan), data: params.price_data };
    if price.is_absent() {
        return Err(Refusal::missing("price").into());
    }
    let wanted = Wanted {
        price,
        change: change_of(params.payment_behavior, params.proration_behavior, params.proration_date, None),
    };
    let add = move |price: Option<Id<Price>>| {
        let price = price.ok_or_else(|| Refusal::missing("price"))?;
        Ok(Act::Add { price, quantity: params.quantity, metadata })
    };
    change_item(&call, subscription, wanted, add, |added| added.ok_or_else(unsaid)).await
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Update {
    metadata: MetadataPatch,
    off_session: Option<bool>,
    payment_behavior: Option<PaymentBehavior>,
    plan: Option<Id<Price>>,
    price: Option<Id<Price>>,
    price_data: Option<InlinePrice>,
    proration_behavior: Option<ProrationBehavior>,
    proration_date: Option<Timestamp>,
    quantity: Option<i64>,
    // Known, and refused rather than ignored.
    billing_thresholds: Option<Unsupported>,
    current_trial: Option<Unsupported>,
    discounts: Option<Unsupported>,
    tax_rates: Option<Unsupported>,
}

async fn update(At(id): At<String>, call: Call, params: Update) -> Reply {
    let id: Id<Item> = Id::given(id);
    let subscription = subscription_of(&call, &id).await?;
    let wanted = Wanted {
        price: PriceParams { named: params.price.or(params.plan), data: params.price_data },
        change: change_of(
            params.payment_behavior,
            params.proration_behavior,
            params.proration_date,
            params.off_session,
        ),
    };
    let item = id.clone();
    let edit = move |price| Ok(Act::Edit { id: item, price, quantity: params.quantity, metadata: params.metadata });
    change_item(&call, subscription, wanted, edit, move |_| Ok(id)).await
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Delete {
    clear_usage: Option<bool>,
    payment_behavior: Option<PaymentBehavior>,
    proration_behavior: Option<ProrationBehavior>,
    proration_date: Option<Timestamp>,
}

async fn delete(At(id): At<String>, call: Call, params: Delete) -> Reply {
    refuse_clear_usage(params.clear_usage, "clear_usage".to_owned())?;
    let id: Id<Item> = Id::given(id);
    let mut change = change_of(params.payment_behavior, params.proration_behavior, params.proration_date, None);
    change.items = vec![ItemChange { param: String::new(), act: Act::Remove { id: id.clone() } }];
    let subscription = subscription_of(&call, &id).await?;
    let needs = Needs { invoices_of: Some(subscription.clone()), ..Needs::default() };
    let verb = Decision::new(Owner::of(&subscription), needs, move |books, at| {
        change_of_items(books, &subscription, &change, at)?;
        let refused = items::refused_unless_paid(books, &subscription);
        Ok(Subject { noun: &ITEM_NOUN, id: id.to_string(), ..Subject::deleted(&subscription) }.unless_declined(refused))
    });
    call.run(&ITEM_NOUN, verb).await
}

/// The price that an item is to have: one that is named, or one that is made for it.
#[derive(Clone, Debug)]
struct PriceParams {
    named: Option<Id<Price>>,
    data: Option<InlinePrice>,
}

impl PriceParams {
    fn is_absent(&self) -> bool {
        self.named.is_none() && self.data.is_none()
    }

    fn made(self, books: &mut Books, livemode: bool, at: &mut Moment) -> Result<Option<Id<Price>>, Refusal> {
        if self.is_absent() {
            return Ok(None);
        }
        priced(self.named, self.data, "", books, livemode, at).map(Some)
    }
}

/// A change of one item, but for the price that it is yet to be given.
#[derive(Clone, Debug)]
struct Wanted {
    price: PriceParams,
    change: Change,
}

fn change_of(
    payment_behavior: Option<PaymentBehavior>,
    proration_behavior: Option<ProrationBehavior>,
    proration_date: Option<Timestamp>,
    off_session: Option<bool>,
) -> Change {
    Change {
        proration_behavior: proration_behavior.unwrap_or(ProrationBehavior::CreateProrations),
        proration_date,
        payment_behavior: payment_behavior.unwrap_or(PaymentBehavior::AllowIncomplete),
        off_session: off_session.unwrap_or(false),
        ..Change::default()
    }
}

async fn subscription_of(call: &Call, id: &Id<Item>) -> Result<Id<Subscription>, Problem> {
    let mut reader = call.house.engine.store.reader().await?;
    let body = read::subscription_of_item(&mut reader, id.as_str(), call.livemode()).await?;
    let body = body.ok_or_else(|| Refusal::not_found(&ITEM_NOUN, id.as_str()))?;
    let subscription: Subscription = serde_json::from_str(&body).map_err(Fault::from)?;
    Ok(subscription.id)
}

/// Does the change, and answers with the item that `which` picks, given the one that was added.
async fn change_item(
    call: &Call,
    id: Id<Subscription>,
    wanted: Wanted,
    act: impl FnOnce(Option<Id<Price>>) -> Result<Act, Refusal> + Clone + Send + 'static,
    which: impl FnOnce(Option<Id<Item>>) -> Result<Id<Item>, Refusal> + Clone + Send + 'static,
) -> Reply {
    let livemode = call.livemode();
    let mut needs = Needs { invoices_of: Some(id.clone()), ..Needs::default() };
    needs.prices.extend(wanted.price.named.clone());
    wanted.price.data.iter().for_each(|data| needs.document(&data.product));
    let verb = Decision::new(Owner::of(&id), needs, move |books, at| {
        let price = wanted.price.made(books, livemode, at)?;
        let items = vec![ItemChange { param: String::new(), act: act(price)? }];
        let known = change_of_items(books, &id, &Change { items, ..wanted.change }, at)?;
        let after = books.at_path(&id)?;
        let items = after.internal.held.as_ref().map_or(&after.items.data, |held| &held.becomes.items);
        let added = items.iter().find(|item| known.iter().all(|known| *known != item.id));
        let item = which(added.map(|item| item.id.clone()))?;
        let refused = items::refused_unless_paid(books, &id);
        Ok(Subject::part(&id, &ITEM_NOUN, item.as_str()).unless_declined(refused))
    });
    call.run(&ITEM_NOUN, verb).await
}

/// The items there were before the change.
fn change_of_items(
    books: &mut Books,
    id: &Id<Subscription>,
    wanted: &Change,
    at: &mut Moment,
) -> Result<Vec<Id<Item>>, Refusal> {
    let before = change::open(books, id, at)?;
    if before.status.is_terminal() {
        return Err(change::ended());
    }
    let under_way = change::change(books, id, &before, wanted, at)?;
    if !under_way {
        books.tell(id, "customer.subscription.updated", at);
    }
    Ok(before.items.data.into_iter().map(|item| item.id).collect())
}

fn unsaid() -> Refusal {
    Refusal::internal("The added item is not on its subscription.")
}
