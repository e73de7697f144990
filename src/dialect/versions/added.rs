//! Additions are no breaking changes, and a pin gets those of its time. What an older generation of the
//! libraries does not have in its types it is not sent: a client that checks what it gets finds nothing
//! unknown.

use super::{Change, Members, tools::remove_at};
use crate::dialect::version::Version;

/// An object, and the members that were added to it.
type Added = (&'static str, &'static [&'static str]);

/// What the types of before basil do not have.
pub static SINCE_2025_03_31: Change = Change {
    since: Version::of("2025-03-31.basil"),
    summary: "Members were added to many objects, among them billing_mode to subscriptions.",
    objects: &objects_of(&WITH_BASIL),
    undo: |members, _| without(&WITH_BASIL, members),
    ..Change::NONE
};

/// What the types of 2020-08-27 (as they were in May 2022) do not have.
pub static SINCE_2022_08_01: Change = Change {
    since: Version::of("2022-08-01"),
    summary: "Members were added to many objects, among them trial_settings to subscriptions.",
    objects: &objects_of(&AFTER_2020_08_27),
    undo: |members, _| without(&AFTER_2020_08_27, members),
    ..Change::NONE
};

const WITH_BASIL: [Added; 22] = [
    ("balance_transaction", &["balance_type"]),
    (
        "checkout.session",
        &[
            "allowed_payment_method_types",
            "automatic_tax.provider",
            "customer_account",
            "customer_details.business_name",
            "customer_details.individual_name",
            "excluded_payment_method_types",
            "integration_identifier",
            "managed_payments",
            "origin_context",
            "payment_method_options.card.capture_method",
            "permissions",
            "wallet_options",
        ],
    ),
    ("item", &["adjustable_quantity", "metadata"]),
    ("credit_note", &["customer_account", "post_payment_amount", "pre_payment_amount"]),
    ("credit_note_line_item", &["metadata"]),
    ("customer", &["business_name", "customer_account", "individual_name", "tax.provider"]),
    ("customer_balance_transaction", &["checkout_session", "customer_account"]),
    (
        "dispute",
        &["evidence_details.submission_method", "intended_submission_method", "payment_method_details.card.network"],
    ),
    (
        "invoice",
        &[
            "amount_paid_off_stripe",
            "automatic_tax.provider",
            "customer_account",
            "payment_settings.payment_method_options.payto",
            "payment_settings.payment_method_options.pix",
            "payment_settings.payment_method_options.upi",
            "status_details",
        ],
    ),
    (
        "invoiceitem",
        &[
            "customer_account",
            "frozen_fields",
            "invoicing_rules",
            "net_amount",
            "proration_details",
            "quantity_decimal",
        ],
    ),
    ("line_item", &["quantity_decimal", "subtotal"]),
    (
        "payment_intent",
        &[
            "allowed_payment_method_types",
            "customer_account",
            "excluded_payment_method_types",
            "hooks",
            "managed_payments",
            "next_action.use_stripe_sdk.stripe_js",
            "next_action.use_stripe_sdk.type",
            "payment_details",
            "payment_record",
            "presentment_details",
        ],
    ),
    ("payment_method", &["billing_details.tax_id", "customer_account"]),
    ("product", &["tax_details"]),
    ("refund", &["customer", "customer_account", "payment_method", "pending_reason", "presentment_details"]),
    (
        "setup_intent",
        &[
            "allowed_payment_method_types",
            "customer_account",
            "excluded_payment_method_types",
            "managed_payments",
            "next_action.use_stripe_sdk.stripe_js",
            "next_action.use_stripe_sdk.type",
        ],
    ),
    (
        "charge",
        &[
            "billing_details.tax_id",
            "payment_method_details.card.electronic_commerce_indicator",
            "payment_method_details.card.transaction_link_id",
            "presentment_details",
        ],
    ),
    (
        "subscription",
        &[
            "billing_mode",
            "billing_schedules",
            "cancellation_details.feedback_option",
            "customer_account",
            "invoice_settings.custom_fields",
            "invoice_settings.description",
            "invoice_settings.footer",
            "managed_payments",
            "payment_settings.payment_method_options.payto",
            "payment_settings.payment_method_options.pix",
            "payment_settings.payment_method_options.upi",
            "pending_update.cancel_at_period_end",
            "pending_update.discount",
            "pending_update.discounts",
            "pending_update.metadata",
            "presentment_details",
            "status_details",
            "trial_settings.end_behavior.billing_cycle_anchor",
        ],
    ),
    ("subscription_item", &["billed_until", "current_trial"]),
    (
        "subscription_schedule",
        &[
            "billing_mode",
            "customer_account",
            "default_settings.invoice_settings.custom_fields",
            "default_settings.invoice_settings.description",
            "default_settings.invoice_settings.footer",
            "pause_schedules",
            "phases.add_invoice_items.discountable",
            "phases.add_invoice_items.metadata",
            "phases.add_invoice_items.period",
            "phases.invoice_settings.custom_fields",
            "phases.invoice_settings.description",
            "phases.invoice_settings.footer",
            "phases.trial",
        ],
    ),
    ("setup_attempt", &["customer_account"]),
    ("tax_id", &["customer_account"]),
];

const AFTER_2020_08_27: [Added; 23] = [
    (
        "checkout.session",
        &[
            "adaptive_pricing",
            "automatic_tax.liability",
            "client_secret",
            "collected_information",
            "consent.terms_of_service",
            "consent_collection.payment_method_reuse_agreement",
            "consent_collection.terms_of_service",
            "created",
            "currency_conversion",
            "custom_fields",
            "custom_text",
            "discounts",
            "invoice",
            "invoice_creation",
            "payment_method_collection",
            "payment_method_configuration_details",
            "payment_method_options.card",
            "saved_payment_method_options",
            "shipping_cost",
            "ui_mode",
        ],
    ),
    ("item", &["amount_discount", "amount_tax"]),
    ("card", &["allow_redisplay", "networks", "regulated_status"]),
    ("tax_id", &["owner"]),
    (
        "setup_attempt",
        &[
            "attach_to_self",
            "flow_directions",
            "payment_method_details.card.brand",
            "payment_method_details.card.checks",
            "payment_method_details.card.country",
            "payment_method_details.card.exp_month",
            "payment_method_details.card.exp_year",
            "payment_method_details.card.fingerprint",
            "payment_method_details.card.funding",
            "payment_method_details.card.last4",
            "payment_method_details.card.network",
            "payment_method_details.card.wallet",
        ],
    ),
    (
        "charge",
        &[
            "outcome.advice_code",
            "outcome.network_advice_code",
            "outcome.network_decline_code",
            "payment_method_details.card.amount_authorized",
            "payment_method_details.card.authorization_code",
            "payment_method_details.card.extended_authorization",
            "payment_method_details.card.incremental_authorization",
            "payment_method_details.card.multicapture",
            "payment_method_details.card.network_transaction_id",
            "payment_method_details.card.overcapture",
            "payment_method_details.card.regulated_status",
            "radar_options",
        ],
    ),
    (
        "credit_note",
        &[
            "amount_shipping",
            "effective_at",
            "pretax_credit_amounts",
            "shipping_cost",
            "subtotal_excluding_tax",
            "total_excluding_tax",
        ],
    ),
    ("credit_note_line_item", &["amount_excluding_tax", "pretax_credit_amounts", "unit_amount_excluding_tax"]),
    ("customer", &["invoice_credit_balance", "invoice_settings.rendering_options"]),
    (
        "dispute",
        &[
            "enhanced_eligibility_types",
            "evidence.enhanced_evidence",
            "evidence_details.enhanced_eligibility",
            "payment_method_details",
        ],
    ),
    (
        "invoice",
        &[
            "amount_shipping",
            "automatic_tax.disabled_reason",
            "automatic_tax.liability",
            "automatically_finalizes_at",
            "effective_at",
            "from_invoice",
            "issuer",
            "latest_revision",
            "payment_settings.default_mandate",
            "payment_settings.payment_method_options.sepa_debit",
            "rendering",
            "rendering_options",
            "shipping_cost",
            "shipping_details",
            "subscription_details",
            "subtotal_excluding_tax",
            "total_excluding_tax",
            "total_pretax_credit_amounts",
        ],
    ),
    ("line_item", &["amount_excluding_tax", "invoice", "pretax_credit_amounts", "unit_amount_excluding_tax"]),
    (
        "payment_intent",
        &[
            "automatic_payment_methods.allow_redirects",
            "latest_charge",
            "payment_method_configuration_details",
            "payment_method_options.card.request_extended_authorization",
            "payment_method_options.card.request_incremental_authorization",
            "payment_method_options.card.request_multicapture",
            "payment_method_options.card.request_overcapture",
        ],
    ),
    ("payment_method", &["allow_redisplay", "card.display_brand", "card.regulated_status", "radar_options"]),
    ("plan", &["meter"]),
    ("price", &["currency_options", "custom_unit_amount", "recurring.meter"]),
    ("product", &["features"]),
    ("refund", &["destination_details"]),
    (
        "setup_intent",
        &[
            "attach_to_self",
            "automatic_payment_methods",
            "flow_directions",
            "payment_method_configuration_details",
            "payment_method_options.card.network",
        ],
    ),
    (
        "subscription",
        &[
            "automatic_tax.disabled_reason",
            "automatic_tax.liability",
            "billing_cycle_anchor_config",
            "cancellation_details",
            "currency",
            "description",
            "discounts",
            "invoice_settings",
            "on_behalf_of",
            "payment_settings.payment_method_options.card.network",
            "payment_settings.payment_method_options.sepa_debit",
            "payment_settings.save_default_payment_method",
            "trial_settings",
        ],
    ),
    ("subscription_item", &["discounts"]),
    (
        "subscription_schedule",
        &[
            "default_settings.automatic_tax.disabled_reason",
            "default_settings.automatic_tax.liability",
            "default_settings.description",
            "default_settings.invoice_settings.account_tax_ids",
            "default_settings.invoice_settings.issuer",
            "default_settings.on_behalf_of",
            "phases.add_invoice_items.discounts",
            "phases.currency",
            "phases.description",
            "phases.discounts",
            "phases.invoice_settings.account_tax_ids",
            "phases.invoice_settings.issuer",
            "phases.items.discounts",
            "phases.items.metadata",
            "phases.metadata",
            "phases.on_behalf_of",
        ],
    ),
    ("test_helpers.test_clock", &["status_details"]),
];

const fn objects_of<const N: usize>(added: &[Added; N]) -> [&'static str; N] {
    let mut objects = [""; N];
    let mut place = 0;
    while place < N {
        objects[place] = added[place].0;
        place += 1;
    }
    objects
}

fn without(added: &[Added], members: &mut Members) {
    let object = members.get("object").and_then(|object| object.as_str()).unwrap_or_default().to_owned();
    let of_it = added.iter().filter(|(name, _)| *name == object);
    of_it.flat_map(|(_, paths)| *paths).for_each(|path| remove_at(members, path));
}
