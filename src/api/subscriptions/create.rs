//! `POST /v1/subscriptions`

use serde::Deserialize;

use super::{
    BillingModeParams, CancelAtWord, InvoiceSettingsParams, NowWord, PaymentSettingsParams, TrialSettingsParams,
    end_date,
    extras::{self, ExtraParams, priced},
    one_end, trial_end,
};
use crate::{
    api::{call::Call, prices::InlinePrice, reply::Reply},
    billing::{
        Books, Currency, Id, MetadataPatch, Moment, Refusal, Timestamp,
        anchor::AnchorConfig,
        begin::When,
        customer::Customer,
        end_date::CancelAt,
        payment_method::PaymentMethod,
        pending_interval::PendingInterval,
        price::Price,
        prorate::ProrationBehavior,
        shape::{Patch, Text, TimeOr, Unsupported, Untaxed},
        subscribe::{self, NewItem, NewSubscription, PaymentBehavior},
        subscription::{BillingMode, CollectionMethod, InvoiceSettings, NOUN, PaymentSettings, TrialSettings},
        trial::TrialWanted,
    },
    engine::{Owner, Subject, verb::Decision},
    store::books::Needs,
};

#[derive(Clone, Debug, Deserialize)]
#[expect(dead_code, reason = "some are named so that they are refused, not ignored")]
pub(super) struct Create {
    pub(super) customer: Option<Id<Customer>>,
    #[serde(default)]
    items: Vec<ItemParams>,
    #[serde(default)]
    add_invoice_items: Vec<ExtraParams>,
    backdate_start_date: Option<Timestamp>,
    billing_cycle_anchor: Option<Timestamp>,
    billing_cycle_anchor_config: Option<AnchorConfigParams>,
    billing_mode: Option<BillingModeParams>,
    cancel_at: Option<TimeOr<CancelAtWord>>,
    cancel_at_period_end: Option<bool>,
    collection_method: Option<CollectionMethod>,
    currency: Option<Currency>,
    days_until_due: Option<i64>,
    default_payment_method: Option<Id<PaymentMethod>>,
    default_source: Option<Id<PaymentMethod>>,
    description: Option<Text<500>>,
    invoice_settings: Option<InvoiceSettingsParams>,
    #[serde(default)]
    metadata: MetadataPatch,
    off_session: Option<bool>,
    payment_behavior: Option<PaymentBehavior>,
    payment_settings: Option<PaymentSettingsParams>,
    pending_invoice_item_interval: Option<PendingInterval>,
    proration_behavior: Option<ProrationBehavior>,
    trial_end: Option<TimeOr<NowWord>>,
    trial_from_plan: Option<bool>,
    trial_period_days: Option<i64>,
    trial_settings: Option<TrialSettingsParams>,
    // Known, and refused rather than ignored.
    application_fee_percent: Option<Unsupported>,
    automatic_tax: Option<Untaxed>,
    billing_schedules: Option<Unsupported>,
    billing_thresholds: Option<Unsupported>,
    customer_account: Option<Unsupported>,
    default_tax_rates: Option<Unsupported>,
    discounts: Option<Unsupported>,
    on_behalf_of: Option<Unsupported>,
    transfer_data: Option<Unsupported>,
}

#[derive(Clone, Debug, Deserialize)]
struct ItemParams {
    price: Option<Id<Price>>,
    plan: Option<Id<Price>>,
    price_data: Option<InlinePrice>,
    quantity: Option<i64>,
    #[serde(default)]
    metadata: MetadataPatch,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    billing_thresholds: Option<Unsupported>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    current_trial: Option<Unsupported>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    discounts: Option<Unsupported>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    tax_rates: Option<Unsupported>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub struct AnchorConfigParams {
    day_of_month: i64,
    hour: Option<i64>,
    minute: Option<i64>,
    month: Option<i64>,
    second: Option<i64>,
}

impl AnchorConfigParams {
    /// What is out of range stays so, and is refused by the rule.
    pub fn config(self) -> AnchorConfig {
        let narrow = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
        AnchorConfig {
            day_of_month: narrow(self.day_of_month),
            hour: self.hour.map(narrow),
            minute: self.minute.map(narrow),
            month: self.month.map(narrow),
            second: self.second.map(narrow),
        }
    }
}

impl ItemParams {
    fn wanted(self, index: usize, books: &mut Books, livemode: bool, at: &mut Moment) -> Result<NewItem, Refusal> {
        let named = self.price.or(self.plan);
        let price = priced(named, self.price_data, &format!("items[{index}]"), books, livemode, at)?;
        Ok(NewItem { metadata: self.metadata.initial()?, price, quantity: self.quantity.unwrap_or(1) })
    }
}

impl Create {
    fn cancel_at(&self) -> Result<Option<CancelAt>, Refusal> {
        match (self.cancel_at, self.cancel_at_period_end) {
            (Some(_), Some(true)) => Err(one_end()),
            (Some(wanted), _) => Ok(Some(end_date(wanted))),
            (None, Some(true)) => Ok(Some(CancelAt::PeriodEnd)),
            (None, Some(false) | None) => Ok(None),
        }
    }

    fn wanted(
        self,
        customer: Id<Customer>,
        books: &mut Books,
        livemode: bool,
        at: &mut Moment,
    ) -> Result<NewSubscription, Refusal> {
        let cancel_at = self.cancel_at()?;
        let mut items = Vec::new();
        for (index, item) in self.items.into_iter().enumerate() {
            items.push(item.wanted(index, books, livemode, at)?);
        }
        let extras = extras::wanted(self.add_invoice_items, books, livemode, at)?;
        Ok(NewSubscription {
            extras,
            billing_mode: self.billing_mode.map_or_else(BillingMode::flexible, BillingModeParams::mode),
            cancel_at,
            charged_to: None,
            collection_method: self.collection_method.unwrap_or(CollectionMethod::ChargeAutomatically),
            currency: self.currency,
            days_until_due: self.days_until_due,
            default_payment_method: self.default_payment_method,
            default_source: self.default_source,
            description: self.description.map(String::from),
            invoice_settings: self.invoice_settings.unwrap_or_default().over(InvoiceSettings::default()),
            metadata: self.metadata.initial()?,
            off_session: self.off_session.unwrap_or(false),
            payment_behavior: self.payment_behavior.unwrap_or(PaymentBehavior::AllowIncomplete),
            payment_settings: self.payment_settings.unwrap_or_default().over(PaymentSettings::default()),
            pending_interval: self.pending_invoice_item_interval.map_or(Patch::Keep, Patch::Set),
            trial: TrialWanted {
                end: self.trial_end.map(trial_end),
                days: self.trial_period_days,
                from_plan: self.trial_from_plan.unwrap_or(false),
            },
            trial_settings: self
                .trial_settings
                .map_or_else(TrialSettings::default, |settings| settings.over(TrialSettings::default())),
            when: When {
                backdated_to: self.backdate_start_date,
                anchor: self.billing_cycle_anchor,
                anchor_config: self.billing_cycle_anchor_config.map(AnchorConfigParams::config),
                free_of_prorations: self.proration_behavior == Some(ProrationBehavior::None),
                ..When::default()
            },
            ..NewSubscription::of(customer, items)
        })
    }
}

/// What must be at hand: the prices that are named, the products of those that are made.
fn needs(params: &Create) -> Needs {
    let mut needs = Needs::default();
    for item in &params.items {
        needs.prices.extend(item.price.as_ref().or(item.plan.as_ref()).cloned());
        item.price_data.iter().for_each(|data| needs.document(&data.product));
    }
    extras::need_prices(&params.add_invoice_items, &mut needs);
    needs
}

pub(super) async fn create(call: Call, params: Create) -> Reply {
    let livemode = call.livemode();
    let customer = params.customer.clone().ok_or_else(|| Refusal::missing("customer"))?;
    let verb = Decision::new(Owner::Customer(customer.clone()), needs(&params), move |books, at| {
        books.find(&customer, "customer")?;
        let wanted = params.wanted(customer, books, livemode, at)?;
        let id = subscribe::subscribe(books, &wanted, at)?;
        let first = (wanted.payment_behavior == PaymentBehavior::ErrorIfIncomplete)
            .then(|| subscribe::first_intent(books, &id))
            .flatten();
        Ok(Subject::document(&id).unless_declined(first))
    });
    call.run(&NOUN, verb).await
}
