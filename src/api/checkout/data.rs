//! What a session hands on to what it makes: `subscription_data`, `payment_intent_data`, `setup_intent_data`,
//! `invoice_creation`.

use serde::Deserialize;

use crate::{
    api::{
        invoices::write::CustomFieldsParams,
        subscriptions::{BillingModeParams, InvoiceSettingsParams, TrialSettingsParams, create::AnchorConfigParams},
    },
    billing::{
        Metadata, MetadataPatch, Refusal, Timestamp,
        checkout::{
            create::SetupWish,
            session::{InvoiceCreation, InvoiceData, PaymentWish, SubscriptionWish},
        },
        invoice::Issuer,
        payment_intent::{CaptureMethod, SetupFutureUsage},
        pending_interval::PendingInterval,
        prorate::ProrationBehavior,
        shape::{Patch, Shipping, Text, Unsupported},
        subscription::{BillingMode, InvoiceSettings, TrialSettings},
    },
};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SubscriptionData {
    billing_cycle_anchor: Option<Timestamp>,
    billing_cycle_anchor_config: Option<AnchorConfigParams>,
    billing_mode: Option<BillingModeParams>,
    description: Option<Text<500>>,
    invoice_settings: Option<InvoiceSettingsParams>,
    metadata: MetadataPatch,
    pending_invoice_item_interval: Option<PendingInterval>,
    proration_behavior: Option<ProrationBehavior>,
    trial_end: Option<Timestamp>,
    trial_period_days: Option<i64>,
    trial_settings: Option<TrialSettingsParams>,
    // Known, and refused rather than ignored.
    application_fee_percent: Option<Unsupported>,
    default_tax_rates: Option<Unsupported>,
    on_behalf_of: Option<Unsupported>,
    transfer_data: Option<Unsupported>,
}

impl SubscriptionData {
    pub fn wish(self) -> Result<SubscriptionWish, Refusal> {
        if self.proration_behavior == Some(ProrationBehavior::AlwaysInvoice) {
            let message = "Invalid proration_behavior: must be one of create_prorations or none";
            return Err(Refusal::invalid(message).param("subscription_data[proration_behavior]"));
        }
        let trial = self.trial_settings.map_or_else(TrialSettings::default, |one| one.over(TrialSettings::default()));
        Ok(SubscriptionWish {
            anchor: self.billing_cycle_anchor,
            anchor_config: self.billing_cycle_anchor_config.map(AnchorConfigParams::config),
            billing_mode: self.billing_mode.map_or_else(BillingMode::flexible, BillingModeParams::mode),
            description: self.description.map(String::from),
            free_of_prorations: self.proration_behavior == Some(ProrationBehavior::None),
            invoice_settings: self.invoice_settings.unwrap_or_default().over(InvoiceSettings::default()),
            metadata: self.metadata.initial()?,
            pending_interval: self.pending_invoice_item_interval,
            trial_days: self.trial_period_days,
            trial_end: self.trial_end,
            trial_settings: trial,
        })
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PaymentIntentData {
    capture_method: Option<CaptureMethod>,
    description: Option<Text<1000>>,
    metadata: MetadataPatch,
    receipt_email: Option<Text<512>>,
    setup_future_usage: Option<SetupFutureUsage>,
    shipping: Option<Shipping>,
    statement_descriptor: Option<Text<22>>,
    statement_descriptor_suffix: Option<Text<22>>,
    // Known, and refused rather than ignored.
    application_fee_amount: Option<Unsupported>,
    on_behalf_of: Option<Unsupported>,
    transfer_data: Option<Unsupported>,
    transfer_group: Option<Unsupported>,
}

impl PaymentIntentData {
    pub fn wish(self) -> Result<PaymentWish, Refusal> {
        Ok(PaymentWish {
            capture_method: self.capture_method.unwrap_or(CaptureMethod::AutomaticAsync),
            description: self.description.map(String::from),
            metadata: self.metadata.initial()?,
            receipt_email: self.receipt_email.map(String::from),
            setup_future_usage: self.setup_future_usage,
            shipping: self.shipping,
            statement_descriptor: self.statement_descriptor.map(String::from),
            statement_descriptor_suffix: self.statement_descriptor_suffix.map(String::from),
        })
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SetupIntentData {
    description: Option<Text<1000>>,
    metadata: MetadataPatch,
    // Known, and refused rather than ignored.
    on_behalf_of: Option<Unsupported>,
}

impl SetupIntentData {
    pub fn wish(self) -> Result<SetupWish, Refusal> {
        Ok(SetupWish { description: self.description.map(String::from), metadata: self.metadata.initial()? })
    }
}

#[derive(Clone, Debug, Deserialize)]
pub struct InvoiceCreationParams {
    enabled: bool,
    invoice_data: Option<InvoiceDataParams>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct InvoiceDataParams {
    custom_fields: Patch<CustomFieldsParams>,
    description: Option<Text<1500>>,
    footer: Option<Text<5000>>,
    metadata: MetadataPatch,
    // Known, and refused rather than ignored.
    account_tax_ids: Option<Unsupported>,
    issuer: Option<Unsupported>,
    rendering_options: Option<Unsupported>,
}

impl InvoiceCreationParams {
    pub fn creation(self) -> Result<InvoiceCreation, Refusal> {
        let data = self.invoice_data.unwrap_or_default();
        let metadata: Metadata = data.metadata.initial()?;
        Ok(InvoiceCreation {
            enabled: self.enabled,
            invoice_data: InvoiceData {
                custom_fields: data.custom_fields.map(Vec::from).given(),
                description: data.description.map(String::from),
                footer: data.footer.map(String::from),
                issuer: Some(Issuer::default()),
                metadata: Some(metadata),
                ..InvoiceData::default()
            },
        })
    }

    pub const fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// What is shown when nothing was said.
    pub fn none() -> InvoiceCreation {
        let invoice_data =
            InvoiceData { issuer: Some(Issuer::default()), metadata: Some(Metadata::new()), ..InvoiceData::default() };
        InvoiceCreation { enabled: false, invoice_data }
    }
}
