//! `/v1/subscriptions` and `/v1/subscription_items`

use axum::{Router, routing::get};
use serde::Deserialize;
use serde_json::Value;

use super::{
    House,
    call::{At, Call, not_found},
    reply::{Problem, Reply},
};
use crate::{
    billing::{
        Currency, Id, MetadataPatch, Refusal, cancel,
        customer::Customer,
        payment_method::PaymentMethod,
        price::Price,
        shape::{Patch, Text, Unsupported},
        subscribe::{self, NewItem, NewSubscription, PaymentBehavior, check_payment_method},
        subscription::{
            BillingMode, BillingModeType, CancellationDetails, CancellationReason, CollectionMethod, Feedback,
            Flexible, ITEM_NOUN, NOUN, PaymentSettings, ProrationDiscounts, SaveDefault, Subscription,
        },
    },
    dialect::{form::Form, speak},
    engine::{Owner, Subject, verb::Decision},
    store::{books::Needs, read},
};

pub fn routes() -> Router<House> {
    Router::new()
        .route("/v1/subscriptions", get(|call: Call| async move { call.list(&NOUN).await }).post(create))
        .route("/v1/subscriptions/{id}", get(retrieve).post(update).delete(cancel_now))
        .route("/v1/subscription_items", get(items))
        .route("/v1/subscription_items/{id}", get(item))
}

#[derive(Clone, Debug, Deserialize)]
#[expect(dead_code, reason = "some are named so that they are refused, not ignored")]
struct Create {
    customer: Option<Id<Customer>>,
    #[serde(default)]
    items: Vec<ItemParams>,
    billing_mode: Option<BillingModeParams>,
    cancel_at_period_end: Option<bool>,
    collection_method: Option<CollectionMethod>,
    currency: Option<Currency>,
    default_payment_method: Option<Id<PaymentMethod>>,
    description: Option<Text<500>>,
    #[serde(default)]
    metadata: MetadataPatch,
    off_session: Option<bool>,
    payment_behavior: Option<PaymentBehavior>,
    payment_settings: Option<PaymentSettingsParams>,
    // Known, and refused rather than ignored.
    add_invoice_items: Option<Unsupported>,
    application_fee_percent: Option<Unsupported>,
    automatic_tax: Option<Unsupported>,
    backdate_start_date: Option<Unsupported>,
    billing_cycle_anchor: Option<Unsupported>,
    billing_cycle_anchor_config: Option<Unsupported>,
    billing_schedules: Option<Unsupported>,
    billing_thresholds: Option<Unsupported>,
    cancel_at: Option<Unsupported>,
    customer_account: Option<Unsupported>,
    days_until_due: Option<Unsupported>,
    default_source: Option<Unsupported>,
    default_tax_rates: Option<Unsupported>,
    discounts: Option<Unsupported>,
    invoice_settings: Option<Unsupported>,
    on_behalf_of: Option<Unsupported>,
    pending_invoice_item_interval: Option<Unsupported>,
    proration_behavior: Option<Unsupported>,
    transfer_data: Option<Unsupported>,
    trial_end: Option<Unsupported>,
    trial_from_plan: Option<Unsupported>,
    trial_period_days: Option<Unsupported>,
    trial_settings: Option<Unsupported>,
}

#[derive(Clone, Debug, Deserialize)]
struct ItemParams {
    price: Option<Id<Price>>,
    plan: Option<Id<Price>>,
    quantity: Option<i64>,
    #[serde(default)]
    metadata: MetadataPatch,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    billing_thresholds: Option<Unsupported>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    discounts: Option<Unsupported>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    price_data: Option<Unsupported>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    tax_rates: Option<Unsupported>,
}

#[derive(Clone, Debug, Deserialize)]
struct BillingModeParams {
    #[serde(rename = "type")]
    kind: BillingModeType,
    flexible: Option<FlexibleParams>,
}

#[derive(Clone, Debug, Deserialize)]
struct FlexibleParams {
    proration_discounts: Option<ProrationDiscounts>,
}

#[derive(Clone, Debug, Deserialize)]
struct PaymentSettingsParams {
    save_default_payment_method: Option<SaveDefault>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    payment_method_options: Option<Unsupported>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    payment_method_types: Option<Unsupported>,
}

impl BillingModeParams {
    fn mode(self) -> BillingMode {
        let discounts = self.flexible.and_then(|flexible| flexible.proration_discounts);
        match self.kind {
            BillingModeType::Classic => BillingMode { flexible: None, kind: self.kind },
            BillingModeType::Flexible => BillingMode {
                flexible: Some(Flexible { proration_discounts: discounts.unwrap_or(ProrationDiscounts::Included) }),
                kind: self.kind,
            },
        }
    }
}

fn new_item(index: usize, item: ItemParams) -> Result<NewItem, Refusal> {
    let price = item.price.or(item.plan).ok_or_else(|| Refusal::missing(format!("items[{index}][price]")))?;
    Ok(NewItem { metadata: item.metadata.initial()?, price, quantity: item.quantity.unwrap_or(1) })
}

async fn create(call: Call) -> Reply {
    let params: Create = call.params()?;
    let customer = params.customer.ok_or_else(|| Refusal::missing("customer"))?;
    if params.collection_method == Some(CollectionMethod::SendInvoice) {
        return Err(Refusal::not_supported_yet("collection_method=send_invoice").param("collection_method").into());
    }
    let flexible = BillingModeParams { kind: BillingModeType::Flexible, flexible: None };
    let items: Result<Vec<NewItem>, Refusal> =
        params.items.into_iter().enumerate().map(|(index, item)| new_item(index, item)).collect();
    let wanted = NewSubscription {
        customer: customer.clone(),
        items: items?,
        billing_mode: params.billing_mode.unwrap_or(flexible).mode(),
        cancel_at_period_end: params.cancel_at_period_end.unwrap_or(false),
        currency: params.currency,
        default_payment_method: params.default_payment_method,
        description: params.description.map(String::from),
        metadata: params.metadata.initial()?,
        off_session: params.off_session.unwrap_or(false),
        payment_behavior: params.payment_behavior.unwrap_or(PaymentBehavior::AllowIncomplete),
        save_default_payment_method: params
            .payment_settings
            .and_then(|settings| settings.save_default_payment_method)
            .unwrap_or(SaveDefault::Off),
    };
    let mut needs = Needs::default();
    needs.prices.extend(wanted.items.iter().map(|item| item.price.clone()));
    let verb = Decision::new(Owner::Customer(customer.clone()), needs, move |books, at| {
        books.find(&customer, "customer")?;
        let id = subscribe::subscribe(books, &wanted, at)?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

async fn retrieve(At(id): At<String>, call: Call) -> Reply {
    call.retrieve(&NOUN, &id).await
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Update {
    cancel_at_period_end: Option<bool>,
    cancellation_details: Option<CancellationDetailsParams>,
    default_payment_method: Patch<Id<PaymentMethod>>,
    description: Patch<Text<500>>,
    metadata: MetadataPatch,
    off_session: Option<bool>,
    payment_settings: Option<PaymentSettingsParams>,
    // Known, and refused rather than ignored.
    add_invoice_items: Option<Unsupported>,
    application_fee_percent: Option<Unsupported>,
    automatic_tax: Option<Unsupported>,
    billing_cycle_anchor: Option<Unsupported>,
    billing_schedules: Option<Unsupported>,
    billing_thresholds: Option<Unsupported>,
    cancel_at: Option<Unsupported>,
    collection_method: Option<Unsupported>,
    days_until_due: Option<Unsupported>,
    default_source: Option<Unsupported>,
    default_tax_rates: Option<Unsupported>,
    discounts: Option<Unsupported>,
    invoice_settings: Option<Unsupported>,
    items: Option<Unsupported>,
    on_behalf_of: Option<Unsupported>,
    pause_collection: Option<Unsupported>,
    payment_behavior: Option<Unsupported>,
    pending_invoice_item_interval: Option<Unsupported>,
    proration_behavior: Option<Unsupported>,
    proration_date: Option<Unsupported>,
    transfer_data: Option<Unsupported>,
    trial_end: Option<Unsupported>,
    trial_from_plan: Option<Unsupported>,
    trial_settings: Option<Unsupported>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct CancellationDetailsParams {
    comment: Patch<String>,
    feedback: Patch<Feedback>,
    feedback_option: Option<Unsupported>,
}

impl CancellationDetailsParams {
    fn over(self, current: CancellationDetails) -> CancellationDetails {
        CancellationDetails {
            comment: self.comment.over(current.comment),
            feedback: self.feedback.over(current.feedback),
            ..current
        }
    }
}

impl Update {
    /// A subscription that has ended takes metadata and reasons, nothing else.
    fn check_ended(&self) -> Result<(), Refusal> {
        let other = self.cancel_at_period_end.is_some()
            || self.default_payment_method != Patch::Keep
            || self.description != Patch::Keep
            || self.payment_settings.is_some();
        if other {
            let message = "A canceled subscription can only update its cancellation_details and metadata.";
            return Err(Refusal::invalid(message).code("invalid_canceled_subscription_fields"));
        }
        Ok(())
    }

    fn apply(self, subscription: Subscription) -> Result<Subscription, Refusal> {
        let save = self.payment_settings.and_then(|settings| settings.save_default_payment_method);
        Ok(Subscription {
            cancellation_details: self.cancellation_details.unwrap_or_default().over(subscription.cancellation_details),
            default_payment_method: self.default_payment_method.over(subscription.default_payment_method),
            description: self.description.map(String::from).over(subscription.description),
            metadata: self.metadata.apply(subscription.metadata)?,
            payment_settings: PaymentSettings {
                save_default_payment_method: save.unwrap_or(subscription.payment_settings.save_default_payment_method),
                ..subscription.payment_settings
            },
            ..subscription
        })
    }
}

async fn update(At(id): At<String>, call: Call) -> Reply {
    let params: Update = call.params()?;
    let id: Id<Subscription> = Id::given(id);
    let verb = Decision::new(Owner::of(&id), Needs::default(), move |books, at| {
        let subscription = books.at_path(&id)?.clone();
        if subscription.status.is_terminal() {
            params.check_ended()?;
        }
        let at_period_end = params.cancel_at_period_end;
        let changed = params.apply(subscription)?;
        if let Some(method) = changed.default_payment_method.as_ref().filter(|_| !changed.status.is_terminal()) {
            check_payment_method(books, method, &changed.customer, "default_payment_method")?;
        }
        books.put(changed);
        if let Some(wanted) = at_period_end {
            cancel::at_period_end(books, &id, wanted, at)?;
        }
        books.tell(&id, "customer.subscription.updated", at);
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Cancel {
    cancellation_details: Option<CancellationDetailsParams>,
    invoice_now: Option<bool>,
    prorate: Option<bool>,
}

async fn cancel_now(At(id): At<String>, call: Call) -> Reply {
    let params: Cancel = call.params()?;
    for (name, value) in [("invoice_now", params.invoice_now), ("prorate", params.prorate)] {
        if value == Some(true) {
            return Err(Refusal::not_supported_yet(name).into());
        }
    }
    let id: Id<Subscription> = Id::given(id);
    let verb = Decision::new(Owner::of(&id), Needs::default(), move |books, at| {
        let subscription = books.at_path(&id)?.clone();
        if let Some(details) = params.cancellation_details {
            let cancellation_details = details.over(subscription.cancellation_details);
            books.put(Subscription { cancellation_details, ..subscription });
        }
        cancel::end(books, &id, CancellationReason::CancellationRequested, at)?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

/// The items of a subscription as a client sees them: whole prices, and plans.
async fn spoken_items(call: &Call, body: String) -> Result<Vec<Value>, Problem> {
    let mut reader = call.house.engine.store.reader().await?;
    let spoken = speak::speak(&mut reader, &NOUN, &[body], call.livemode()).await?;
    let items = spoken.first().and_then(|one| one.pointer("/items/data")).and_then(Value::as_array);
    Ok(items.cloned().unwrap_or_default())
}

async fn items(mut call: Call) -> Reply {
    let id = match call.take("subscription") {
        Some(Form::Text(id)) => id,
        Some(_) => return Err(Refusal::invalid("Invalid string").param("subscription").into()),
        None => return Err(Refusal::missing("subscription").into()),
    };
    let mut reader = call.house.engine.store.reader().await?;
    let body = read::find(&mut reader, &NOUN, &id, call.livemode()).await?;
    drop(reader);
    let body = body.ok_or_else(|| Refusal::no_such(NOUN.name, &id).param("subscription"))?;
    let items = spoken_items(&call, body).await?;
    call.list_of(&ITEM_NOUN, items).await
}

async fn item(At(id): At<String>, call: Call) -> Reply {
    call.no_params()?;
    let mut reader = call.house.engine.store.reader().await?;
    let body = read::subscription_of_item(&mut reader, &id, call.livemode()).await?;
    drop(reader);
    let body = body.ok_or_else(|| not_found(&ITEM_NOUN, &id))?;
    let items = spoken_items(&call, body).await?;
    let item = items.into_iter().find(|item| item.get("id").and_then(Value::as_str) == Some(&id));
    call.show_value(&ITEM_NOUN, item.ok_or_else(|| not_found(&ITEM_NOUN, &id))?).await
}
