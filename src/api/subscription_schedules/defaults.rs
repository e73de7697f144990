//! What callers say for all phases: `default_settings`; and what invoices say, of all phases or of one.

use serde::Deserialize;

use crate::{
    api::invoices::write::CustomFieldsParams,
    billing::{
        Id,
        payment_method::PaymentMethod,
        shape::{Patch, Text, Unsupported, Untaxed},
        subscription::CollectionMethod,
        subscription_schedule::{DefaultSettings, InvoiceSettings, PhaseAnchor},
    },
};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct DefaultsParams {
    billing_cycle_anchor: Option<PhaseAnchor>,
    collection_method: Option<CollectionMethod>,
    default_payment_method: Patch<Id<PaymentMethod>>,
    description: Patch<Text<500>>,
    invoice_settings: Option<InvoiceSettingsParams>,
    // Known, and refused rather than ignored.
    application_fee_percent: Option<Unsupported>,
    automatic_tax: Option<Untaxed>,
    billing_thresholds: Option<Unsupported>,
    on_behalf_of: Option<Unsupported>,
    transfer_data: Option<Unsupported>,
}

impl DefaultsParams {
    pub(super) fn over(self, current: DefaultSettings) -> DefaultSettings {
        DefaultSettings {
            billing_cycle_anchor: self.billing_cycle_anchor.unwrap_or(current.billing_cycle_anchor),
            collection_method: self.collection_method.or(current.collection_method),
            default_payment_method: self.default_payment_method.over(current.default_payment_method),
            description: self.description.map(String::from).over(current.description),
            invoice_settings: self.invoice_settings.unwrap_or_default().over(current.invoice_settings),
            ..current
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct InvoiceSettingsParams {
    custom_fields: Patch<CustomFieldsParams>,
    days_until_due: Option<i64>,
    description: Patch<Text<1500>>,
    footer: Patch<Text<5000>>,
    // Known, and refused rather than ignored.
    account_tax_ids: Option<Unsupported>,
    issuer: Option<Unsupported>,
}

impl InvoiceSettingsParams {
    pub(super) fn over(self, current: InvoiceSettings) -> InvoiceSettings {
        InvoiceSettings {
            custom_fields: self.custom_fields.map(Vec::from).over(current.custom_fields),
            days_until_due: self.days_until_due.or(current.days_until_due),
            description: self.description.map(String::from).over(current.description),
            footer: self.footer.map(String::from).over(current.footer),
            ..current
        }
    }
}
