//! `POST /v1/checkout/sessions`

use serde::Deserialize;

use super::{
    data::{InvoiceCreationParams, PaymentIntentData, SetupIntentData, SubscriptionData},
    line_items::{self, LineParams},
};
use crate::{
    api::{
        call::Call,
        method_options::{CardParams, MethodOptions},
        method_types::Controls,
        reply::Reply,
    },
    billing::{
        Currency, Id, MetadataPatch, Refusal, Timestamp,
        checkout::{
            NOUN, Session,
            asks::{
                ConsentCollection, CustomField, CustomText, Dropdown, DropdownOption, Entry, FieldType, Label,
                PromotionsWanted, ReuseAgreement, TermsWanted, Words,
            },
            create::{self, USUAL_LIFE_SECONDS},
            session::{
                AddressCollection, AutomaticTax, Collecting, CustomerCreation, Internal, MethodCollection, Mode,
                OriginContext, PaymentStatus, Status, SubmitType, Tag, UiMode,
            },
        },
        customer::{Customer, check_email},
        method_options::{PaymentOptions, SessionOptions},
        method_types::{MethodType, SERVED},
        next_action::check_return_url,
        shape::{Nothing, Null, Patch, Text, Unsupported, Untaxed},
    },
    engine::{Owner, Subject, verb::Decision},
    words,
};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Create {
    allowed_payment_method_types: Option<Vec<MethodType>>,
    billing_address_collection: Option<AddressCollection>,
    cancel_url: Option<String>,
    client_reference_id: Option<Text<200>>,
    consent_collection: Option<ConsentParams>,
    currency: Option<Currency>,
    custom_fields: Vec<FieldParams>,
    custom_text: Option<TextParams>,
    customer: Option<Id<Customer>>,
    customer_creation: Option<CustomerCreation>,
    customer_email: Option<Text<800>>,
    customer_update: Option<CustomerUpdate>,
    excluded_payment_method_types: Option<Vec<MethodType>>,
    expires_at: Option<Timestamp>,
    integration_identifier: Option<String>,
    invoice_creation: Option<InvoiceCreationParams>,
    line_items: Vec<LineParams>,
    locale: Option<Text<10>>,
    metadata: MetadataPatch,
    mode: Option<Mode>,
    origin_context: Option<OriginContext>,
    payment_intent_data: Option<PaymentIntentData>,
    payment_method_collection: Option<MethodCollection>,
    payment_method_options: Option<MethodOptions<CardParams>>,
    payment_method_types: Option<Vec<String>>,
    phone_number_collection: Option<PhoneParams>,
    setup_intent_data: Option<SetupIntentData>,
    submit_type: Option<SubmitType>,
    subscription_data: Option<SubscriptionData>,
    success_url: Option<String>,
    ui_mode: Option<UiMode>,
    // Known, and refused rather than ignored.
    adaptive_pricing: Option<Unsupported>,
    after_expiration: Option<Unsupported>,
    allow_promotion_codes: Option<Unsupported>,
    automatic_tax: Option<Untaxed>,
    branding_settings: Option<Unsupported>,
    customer_account: Option<Unsupported>,
    discounts: Option<Unsupported>,
    managed_payments: Option<Unsupported>,
    name_collection: Option<Unsupported>,
    optional_items: Option<Unsupported>,
    payment_method_configuration: Option<Unsupported>,
    payment_method_data: Option<Unsupported>,
    permissions: Option<Unsupported>,
    redirect_on_completion: Option<Unsupported>,
    return_url: Option<Unsupported>,
    saved_payment_method_options: Option<Unsupported>,
    shipping_address_collection: Option<Unsupported>,
    shipping_options: Option<Unsupported>,
    tax_id_collection: Option<Unsupported>,
    wallet_options: Option<Unsupported>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct PhoneParams {
    enabled: bool,
}

/// What the page may change about the customer. It asks for no addresses, so only the name matters.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct CustomerUpdate {
    #[serde(rename = "address")]
    _address: Option<Updates>,
    name: Option<Updates>,
    shipping: Option<Unsupported>,
}

words!(Updates { Auto = "auto", Never = "never" });

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ConsentParams {
    payment_method_reuse_agreement: Option<ReuseAgreement>,
    promotions: Option<PromotionsWanted>,
    terms_of_service: Option<TermsWanted>,
}

#[derive(Clone, Debug, Deserialize)]
struct FieldParams {
    key: String,
    label: Label,
    optional: Option<bool>,
    #[serde(rename = "type")]
    kind: FieldType,
    dropdown: Option<DropdownParams>,
    numeric: Option<EntryParams>,
    text: Option<EntryParams>,
}

#[derive(Clone, Debug, Deserialize)]
struct DropdownParams {
    default_value: Option<String>,
    options: Vec<DropdownOption>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct EntryParams {
    default_value: Option<String>,
    maximum_length: Option<i64>,
    minimum_length: Option<i64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct TextParams {
    after_submit: Patch<Words>,
    shipping_address: Patch<Words>,
    submit: Patch<Words>,
    terms_of_service_acceptance: Patch<Words>,
}

impl From<EntryParams> for Entry {
    fn from(params: EntryParams) -> Entry {
        Entry {
            default_value: params.default_value,
            maximum_length: params.maximum_length,
            minimum_length: params.minimum_length,
            value: None,
        }
    }
}

impl From<FieldParams> for CustomField {
    fn from(params: FieldParams) -> CustomField {
        let dropdown =
            |one: DropdownParams| Dropdown { default_value: one.default_value, options: one.options, value: None };
        let entry = |given: Option<EntryParams>, kind| match given {
            Some(given) => Some(given.into()),
            None => (params.kind == kind).then(Entry::default),
        };
        CustomField {
            key: params.key,
            label: params.label,
            optional: params.optional.unwrap_or(false),
            kind: params.kind,
            dropdown: params.dropdown.map(dropdown),
            numeric: entry(params.numeric, FieldType::Numeric),
            text: entry(params.text, FieldType::Text),
        }
    }
}

impl Create {
    /// What goes with some modes only, and what excludes each other.
    fn check(&self, mode: Mode) -> Result<(), Refusal> {
        let only = |name: &str, modes: &str| {
            Err(Refusal::invalid(format!("You can only set `{name}` in {modes} mode.")).param(name))
        };
        if self.subscription_data.is_some() && mode != Mode::Subscription {
            return only("subscription_data", "`subscription`");
        }
        if self.payment_method_collection.is_some() && mode != Mode::Subscription {
            return only("payment_method_collection", "`subscription`");
        }
        if self.payment_intent_data.is_some() && mode != Mode::Payment {
            return only("payment_intent_data", "`payment`");
        }
        if self.payment_method_options.as_ref().is_some_and(MethodOptions::are_of_payments) && mode != Mode::Payment {
            return only("payment_method_options[card]", "`payment`");
        }
        if self.invoice_creation.is_some() && mode != Mode::Payment {
            return only("invoice_creation", "`payment`");
        }
        if self.setup_intent_data.is_some() && mode != Mode::Setup {
            return only("setup_intent_data", "`setup`");
        }
        if self.customer_creation.is_some() && mode == Mode::Subscription {
            return only("customer_creation", "`payment` and `setup`");
        }
        if self.submit_type.is_some() && mode == Mode::Setup {
            return only("submit_type", "`payment` and `subscription`");
        }
        if self.ui_mode.is_some_and(|mode| mode != UiMode::HostedPage) {
            return Err(Refusal::not_supported_yet("ui_mode"));
        }
        if self.billing_address_collection == Some(AddressCollection::Required) {
            return Err(Refusal::not_supported_yet("billing_address_collection"));
        }
        let both = |one: &str, other: &str| Err(Refusal::exclusive(&[one, other]).param(one));
        match self.customer {
            Some(_) if self.customer_email.is_some() => return both("customer", "customer_email"),
            Some(_) if self.customer_creation.is_some() => return both("customer", "customer_creation"),
            None if self.customer_update.is_some() => {
                let message = "`customer_update` can only be used with `customer`.";
                return Err(Refusal::invalid(message).param("customer_update"));
            }
            _ => {}
        }
        if let Some(Text(email)) = &self.customer_email {
            check_email(email).map_err(|refusal| refusal.param("customer_email"))?;
        }
        if let Some(url) = &self.cancel_url {
            check_return_url(url).map_err(|refusal| refusal.param("cancel_url"))?;
        }
        let (allowed, excluded) =
            (self.allowed_payment_method_types.clone(), self.excluded_payment_method_types.clone());
        Controls::new(self.payment_method_types.as_ref(), allowed, excluded).map(drop)
    }

    /// The session with all that was said of it, but for its lines.
    fn session(self, mode: Mode, id: Id<Session>, livemode: bool, now: Timestamp) -> Result<Session, Refusal> {
        let success_url = self.success_url.ok_or_else(|| Refusal::missing("success_url"))?;
        // What stands in for the id is no part of an address.
        check_return_url(&success_url.replace("{CHECKOUT_SESSION_ID}", "id"))
            .map_err(|refusal| refusal.param("success_url"))?;
        let creation = match mode {
            Mode::Subscription => Some(CustomerCreation::Always),
            Mode::Payment | Mode::Setup => Some(self.customer_creation.unwrap_or(CustomerCreation::IfRequired)),
        };
        let text = self.custom_text.unwrap_or_default();
        let paid = mode == Mode::Payment;
        let of_invoice = self.invoice_creation.map(InvoiceCreationParams::creation).transpose()?;
        Ok(Session {
            id,
            object: Tag::Session,
            adaptive_pricing: Null,
            after_expiration: Null,
            allow_promotion_codes: Null,
            allowed_payment_method_types: self.allowed_payment_method_types,
            amount_subtotal: None,
            amount_total: None,
            automatic_tax: AutomaticTax::default(),
            billing_address_collection: self.billing_address_collection,
            cancel_url: self.cancel_url,
            client_reference_id: self.client_reference_id.map(String::from),
            client_secret: Null,
            collected_information: Null,
            consent: None,
            consent_collection: self.consent_collection.map(|consent| ConsentCollection {
                payment_method_reuse_agreement: consent.payment_method_reuse_agreement,
                promotions: consent.promotions,
                terms_of_service: consent.terms_of_service,
            }),
            created: now,
            currency: self.currency,
            currency_conversion: Null,
            custom_fields: self.custom_fields.into_iter().map(CustomField::from).collect(),
            custom_text: CustomText {
                after_submit: text.after_submit.given(),
                shipping_address: text.shipping_address.given(),
                submit: text.submit.given(),
                terms_of_service_acceptance: text.terms_of_service_acceptance.given(),
            },
            customer_creation: creation.filter(|_| self.customer.is_none()),
            customer: self.customer,
            customer_account: Null,
            customer_details: None,
            customer_email: self.customer_email.map(String::from),
            discounts: Null,
            excluded_payment_method_types: self.excluded_payment_method_types,
            expires_at: self.expires_at.unwrap_or(now.plus_seconds(USUAL_LIFE_SECONDS)),
            integration_identifier: self.integration_identifier,
            invoice: None,
            invoice_creation: of_invoice.or_else(|| paid.then(InvoiceCreationParams::none)),
            livemode,
            locale: self.locale.map(String::from),
            managed_payments: Null,
            metadata: self.metadata.initial()?,
            mode,
            origin_context: self.origin_context,
            payment_intent: None,
            payment_link: Null,
            payment_method_collection: match mode {
                Mode::Subscription => Some(self.payment_method_collection.unwrap_or(MethodCollection::Always)),
                Mode::Payment => Some(MethodCollection::IfRequired),
                Mode::Setup => Some(MethodCollection::Always),
            },
            payment_method_configuration_details: Null,
            payment_method_options: self
                .payment_method_options
                .map(|said| SessionOptions::of(&said.over(PaymentOptions::default()).card))
                .unwrap_or_default(),
            payment_method_types: vec![SERVED.to_owned()],
            payment_status: if mode == Mode::Setup { PaymentStatus::NoPaymentRequired } else { PaymentStatus::Unpaid },
            permissions: Null,
            phone_number_collection: Collecting {
                enabled: self.phone_number_collection.is_some_and(|phone| phone.enabled),
            },
            recovered_from: Null,
            saved_payment_method_options: Null,
            setup_intent: None,
            shipping_address_collection: Null,
            shipping_cost: Null,
            shipping_options: Nothing,
            status: Status::Open,
            submit_type: self.submit_type,
            subscription: None,
            success_url,
            total_details: None,
            ui_mode: self.ui_mode.unwrap_or(UiMode::HostedPage),
            url: None,
            wallet_options: Null,
            internal: Internal {
                saves_name: self.customer_update.is_some_and(|update| update.name == Some(Updates::Auto)),
                payment: paid.then(|| self.payment_intent_data.unwrap_or_default().wish()).transpose()?,
                subscription: match mode {
                    Mode::Subscription => Some(self.subscription_data.unwrap_or_default().wish()?),
                    Mode::Payment | Mode::Setup => None,
                },
                ..Internal::default()
            },
        })
    }
}

pub async fn create(call: Call, params: Create) -> Reply {
    let mut params = Box::new(params);
    let mode = params.mode.ok_or_else(|| Refusal::missing("mode"))?;
    params.check(mode)?;
    let livemode = call.livemode();
    let lines = std::mem::take(&mut params.line_items);
    for (place, line) in lines.iter().enumerate() {
        if line.id().is_some() {
            return Err(Refusal::unknown(format!("line_items[{place}][id]")).into());
        }
    }
    let setup = params.setup_intent_data.take().unwrap_or_default().wish()?;
    // Who gets an invoice is somebody.
    if params.invoice_creation.as_ref().is_some_and(InvoiceCreationParams::is_enabled) && params.customer.is_none() {
        params.customer_creation = Some(CustomerCreation::Always);
    }
    let owner = params.customer.clone().map_or(Owner::Nobody, Owner::Customer);
    let verb = Decision::new(owner, line_items::needs(&lines), move |books, at| {
        let bucket = match &params.customer {
            Some(customer) => books.find(customer, "customer")?.id.bucket(),
            None => at.ids.bucket(),
        };
        let id = Session::new_id(&mut at.ids, bucket, livemode);
        let session = params.session(mode, id, livemode, at.now)?;
        let mut made = Vec::with_capacity(lines.len());
        for (place, line) in lines.into_iter().enumerate() {
            made.push(line.new_line(&format!("line_items[{place}]"), books, livemode, at)?);
        }
        Ok(Subject::document(&create::open(books, session, made, setup, at)?))
    });
    call.run(&NOUN, verb).await
}
