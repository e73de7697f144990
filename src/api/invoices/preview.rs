//! `POST /v1/invoices/create_preview`

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    api::{call::Call, reply::Reply, subscriptions::items},
    billing::{
        Currency, Id, MetadataPatch, Refusal, Timestamp,
        change::{Act, Change},
        customer::Customer,
        invoice::NOUN,
        preview::{self, Ahead, Mode},
        prorate::ProrationBehavior,
        shape::Unsupported,
        subscribe::{NewItem, NewSubscription, PaymentBehavior},
        subscription::Subscription,
    },
    engine::Owner,
    store::books::Needs,
    words,
};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CreatePreview {
    currency: Option<Currency>,
    customer: Option<Id<Customer>>,
    preview_mode: Option<Mode>,
    subscription: Option<Id<Subscription>>,
    subscription_details: Details,
    // Known, and refused rather than ignored.
    automatic_tax: Option<Unsupported>,
    customer_account: Option<Unsupported>,
    customer_details: Option<Unsupported>,
    discounts: Option<Unsupported>,
    invoice_items: Option<Unsupported>,
    issuer: Option<Unsupported>,
    on_behalf_of: Option<Unsupported>,
    schedule: Option<Unsupported>,
    schedule_details: Option<Unsupported>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    billing_cycle_anchor: Option<AnchorParams>,
    cancel_at_period_end: Option<bool>,
    items: Vec<items::ItemParams>,
    metadata: MetadataPatch,
    proration_behavior: Option<ProrationBehavior>,
    proration_date: Option<Timestamp>,
    // Known, and refused rather than ignored.
    billing_mode: Option<Unsupported>,
    billing_schedules: Option<Unsupported>,
    cancel_at: Option<Unsupported>,
    cancel_now: Option<Unsupported>,
    default_tax_rates: Option<Unsupported>,
    pause: Option<Unsupported>,
    resume_at: Option<Unsupported>,
    start_date: Option<Unsupported>,
    trial_end: Option<Unsupported>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct AnchorParams {
    #[serde(rename = "type")]
    kind: AnchorType,
}

words!(AnchorType { Now = "now", Unchanged = "unchanged" });

impl Details {
    fn change(self) -> Result<Option<Change>, Refusal> {
        let restart = self.billing_cycle_anchor.is_some_and(|anchor| anchor.kind == AnchorType::Now);
        let change = Change {
            items: items::changes(self.items, "subscription_details[items]")?,
            restart,
            proration_behavior: self.proration_behavior.unwrap_or(ProrationBehavior::CreateProrations),
            proration_date: self.proration_date,
            ..Change::default()
        };
        Ok((restart || !change.items.is_empty()).then_some(change))
    }
}

pub(super) async fn create(call: Call) -> Reply {
    call.secret_only()?;
    let params: CreatePreview = call.params()?;
    let mode = params.preview_mode.unwrap_or(Mode::Next);
    let mut needs = Needs::default();
    let cancel_at_period_end = params.subscription_details.cancel_at_period_end;
    let metadata = params.subscription_details.metadata.clone().initial()?;
    let change = params.subscription_details.change()?;
    if let Some(change) = &change {
        items::need_prices(&change.items, &mut needs);
    }
    let invoice = if let Some(subscription) = params.subscription {
        needs.invoices_of = Some(subscription.clone());
        let owner = Owner::of(&subscription);
        let wanted = Ahead { subscription, change, cancel_at_period_end, mode };
        call.house
            .engine
            .preview(call.livemode(), owner, needs, |books, at| {
                let id = preview::ahead(books, &wanted, at)?;
                if params.customer.is_some_and(|customer| books.get(&id).is_none_or(|one| one.customer != customer)) {
                    return Err(Refusal::invalid("The subscription does not belong to the customer.").param("customer"));
                }
                Ok(books.image(&id))
            })
            .await?
    } else {
        let customer = params.customer.ok_or_else(|| Refusal::missing("customer"))?;
        let new = change.map(|change| new_items(change.items)).transpose()?.unwrap_or_default();
        if new.is_empty() {
            return Err(Refusal::missing("subscription_details[items]").into());
        }
        let wanted = NewSubscription {
            currency: params.currency,
            metadata,
            payment_behavior: PaymentBehavior::DefaultIncomplete,
            ..NewSubscription::of(customer.clone(), new)
        };
        call.house
            .engine
            .preview(call.livemode(), Owner::Customer(customer), needs, |books, at| {
                let id = preview::beginning(books, &wanted, at)?;
                Ok(books.image(&id))
            })
            .await?
    };
    let invoice = invoice.ok_or_else(|| Refusal::internal("The preview has come to no invoice."))?;
    call.show_value(&NOUN, upcoming(invoice)).await
}

/// The items of a subscription that is not there yet.
fn new_items(changes: Vec<crate::billing::change::ItemChange>) -> Result<Vec<NewItem>, Refusal> {
    let item = |change: crate::billing::change::ItemChange| match change.act {
        Act::Add { price, quantity, metadata } => Ok(NewItem { metadata, price, quantity: quantity.unwrap_or(1) }),
        Act::Edit { id, .. } | Act::Remove { id } => {
            let param = format!("{}[id]", change.param);
            Err(Refusal::no_such("subscription_item", id.as_str()).param(param))
        }
    };
    changes.into_iter().map(item).collect()
}

/// An invoice that does not exist says so by its ids.
fn upcoming(mut invoice: Value) -> Value {
    let id = invoice.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let id = format!("upcoming_{id}");
    if let Some(lines) = invoice.pointer_mut("/lines/data").and_then(Value::as_array_mut) {
        for line in lines {
            let temporary = line.get("id").and_then(Value::as_str).unwrap_or_default().replacen("il_", "il_tmp_", 1);
            (line["id"], line["invoice"]) = (json!(temporary), json!(id));
        }
    }
    invoice["lines"]["url"] = json!(format!("/v1/invoices/{id}/lines"));
    invoice["billing_reason"] = json!("upcoming");
    invoice["id"] = json!(id);
    invoice
}
