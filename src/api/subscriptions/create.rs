//! `POST /v1/subscriptions`

use serde::Deserialize;

use super::PaymentSettingsParams;
use crate::{
    api::{call::Call, reply::Reply},
    billing::{
        Currency, Id, MetadataPatch, Refusal,
        customer::Customer,
        payment_method::PaymentMethod,
        price::Price,
        shape::{Text, Unsupported},
        subscribe::{self, NewItem, NewSubscription, PaymentBehavior},
        subscription::{
            BillingMode, BillingModeType, CollectionMethod, Flexible, NOUN, ProrationDiscounts, SaveDefault,
        },
    },
    engine::{Owner, Subject, verb::Decision},
    store::books::Needs,
};

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

pub(super) async fn create(call: Call) -> Reply {
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
