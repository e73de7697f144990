//! `/v1/payment_intents`

pub mod reserved;

use serde::Deserialize;

use super::{
    call::Call,
    intents::{check_confirms, check_secret, given, redirect_to, retrieve, verify_microdeposits},
    mandates::{self, MandateData},
    method_options::{BY_HAND, CardParams, MethodOptions, check_browser_usage, for_servers},
    method_types::{AutomaticMethods, Controls},
    reply::Reply,
    route::{At, Route},
    sources::MethodData,
};
use crate::{
    billing::{
        Amount, Books, Currency, Id, MetadataPatch, Moment, Refusal,
        confirm::{self, Confirmation},
        customer::Customer,
        intend::{self, NewIntent},
        mandate::Acceptance,
        method_options::PaymentOptions,
        method_types::{Choice, MethodType},
        payment_intent::{CaptureMethod, ConfirmationMethod, NOUN, PaymentIntent, SetupFutureUsage},
        receive,
        shape::{Patch, Shipping, Text, Unsupported},
    },
    engine::{Owner, Subject, authenticate::around, verb::Decision},
    store::books::Needs,
};

pub fn routes() -> Vec<Route> {
    vec![
        Route::list("/v1/payment_intents", &NOUN),
        Route::search("/v1/payment_intents/search", &NOUN),
        Route::post("/v1/payment_intents", create, &NOUN),
        Route::get("/v1/payment_intents/{id}", retrieve::<PaymentIntent>, &NOUN).publishable(),
        Route::post("/v1/payment_intents/{id}", update, &NOUN),
        Route::post("/v1/payment_intents/{id}/confirm", confirm_intent, &NOUN).publishable(),
        Route::post("/v1/payment_intents/{id}/capture", reserved::capture, &NOUN),
        Route::post("/v1/payment_intents/{id}/increment_authorization", reserved::increment, &NOUN),
        Route::post("/v1/payment_intents/{id}/cancel", reserved::cancel, &NOUN),
        Route::post("/v1/payment_intents/{id}/verify_microdeposits", verify_microdeposits::<PaymentIntent>, &NOUN)
            .publishable(),
    ]
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "some are named so that they are refused, not ignored; others only matter to browsers")]
struct Create {
    amount: Amount,
    currency: Currency,
    automatic_payment_methods: Option<AutomaticMethods>,
    capture_method: Option<CaptureMethod>,
    confirm: Option<bool>,
    confirmation_method: Option<ConfirmationMethod>,
    customer: Option<Id<Customer>>,
    description: Option<Text<1000>>,
    #[serde(default)]
    metadata: MetadataPatch,
    off_session: Option<bool>,
    payment_method: Option<String>,
    payment_method_data: Option<MethodData>,
    receipt_email: Option<Text<512>>,
    return_url: Option<String>,
    setup_future_usage: Option<SetupFutureUsage>,
    shipping: Option<Shipping>,
    statement_descriptor: Option<Text<22>>,
    statement_descriptor_suffix: Option<Text<22>>,
    use_stripe_sdk: Option<bool>,
    payment_method_types: Option<Vec<String>>,
    allowed_payment_method_types: Option<Vec<MethodType>>,
    error_on_requires_action: Option<bool>,
    excluded_payment_method_types: Option<Vec<MethodType>>,
    #[serde(default)]
    mandate_data: Patch<MandateData>,
    payment_method_options: Option<MethodOptions<CardParams>>,
    amount_details: Option<Unsupported>,
    application_fee_amount: Option<Unsupported>,
    confirmation_token: Option<Unsupported>,
    customer_account: Option<Unsupported>,
    hooks: Option<Unsupported>,
    mandate: Option<Unsupported>,
    on_behalf_of: Option<Unsupported>,
    payment_details: Option<Unsupported>,
    payment_method_configuration: Option<Unsupported>,
    radar_options: Option<Unsupported>,
    transfer_data: Option<Unsupported>,
    transfer_group: Option<Unsupported>,
}

async fn create(call: Call, params: Create) -> Reply {
    let controls = Controls::new(
        params.payment_method_types.as_ref(),
        params.allowed_payment_method_types,
        params.excluded_payment_method_types,
    )?;
    let choice = controls.initial(params.automatic_payment_methods)?;
    let confirmed = params.confirm.unwrap_or(false);
    let off_session = params.off_session.unwrap_or(false);
    let refuses_action = params.error_on_requires_action.unwrap_or(false);
    let only_confirmed = [
        ("off_session", off_session),
        ("error_on_requires_action", refuses_action),
        ("return_url", params.return_url.is_some()),
        ("mandate_data", matches!(params.mandate_data, Patch::Set(_))),
    ];
    check_confirms::<PaymentIntent>(confirmed, &only_confirmed)?;
    let return_url = redirect_to(params.return_url, params.use_stripe_sdk)?;
    let source = given(&call, params.payment_method.as_ref(), params.payment_method_data).await?;
    let mut needs = Needs::default();
    source.iter().for_each(|source| source.needs(&mut needs));
    let new = NewIntent {
        amount: params.amount,
        capture_method: params.capture_method.unwrap_or(CaptureMethod::AutomaticAsync),
        choice,
        confirmation_method: params.confirmation_method.unwrap_or(ConfirmationMethod::Automatic),
        currency: params.currency,
        customer: params.customer.clone(),
        description: params.description.map(String::from),
        livemode: call.livemode(),
        metadata: params.metadata.initial()?,
        options: params
            .payment_method_options
            .map(|options| options.over(PaymentOptions::default()))
            .unwrap_or_default(),
        receipt_email: params.receipt_email.map(String::from),
        setup_future_usage: params.setup_future_usage,
        shipping: params.shipping,
        statement_descriptor: params.statement_descriptor.map(String::from),
        statement_descriptor_suffix: params.statement_descriptor_suffix.map(String::from),
    };
    let owner = params.customer.map_or(Owner::Nobody, Owner::Customer);
    let mandate = params.mandate_data;
    let verb = Decision::new(owner, needs, move |books, at| {
        let id = intend::create(books, new, at)?;
        if let Some(source) = source {
            let method = source.place(books, id.bucket(), at)?;
            intend::choose_method(books, &id, &method)?;
        }
        if confirmed {
            let mandate = mandates::accepted(mandate, false, at.now)?;
            if mandate != Patch::Keep {
                let intent = books.find(&id, "intent")?.clone();
                books.put(agreed(intent, mandate));
            }
            confirm::confirm(
                books,
                &id,
                Confirmation { payment_method: None, off_session, refuses_action, return_url },
                at,
            )?;
            return Ok(Subject::document(&id).unless_declined(Some(id)));
        }
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Update {
    amount: Option<Amount>,
    capture_method: Option<CaptureMethod>,
    currency: Option<Currency>,
    customer: Option<Id<Customer>>,
    description: Patch<Text<1000>>,
    metadata: MetadataPatch,
    payment_method: Option<String>,
    payment_method_data: Option<MethodData>,
    receipt_email: Patch<Text<512>>,
    setup_future_usage: Patch<SetupFutureUsage>,
    shipping: Patch<Shipping>,
    statement_descriptor: Option<Text<22>>,
    statement_descriptor_suffix: Option<Text<22>>,
    payment_method_types: Option<Vec<String>>,
    allowed_payment_method_types: Option<Vec<MethodType>>,
    excluded_payment_method_types: Patch<Vec<MethodType>>,
    payment_method_options: Option<MethodOptions<CardParams>>,
    amount_details: Option<Unsupported>,
    application_fee_amount: Option<Unsupported>,
    customer_account: Option<Unsupported>,
    hooks: Option<Unsupported>,
    payment_details: Option<Unsupported>,
    payment_method_configuration: Option<Unsupported>,
    transfer_data: Option<Unsupported>,
    transfer_group: Option<Unsupported>,
}

/// The parameters of an update, once its payment method has been taken out.
#[derive(Clone)]
struct Changes {
    amount: Option<Amount>,
    capture_method: Option<CaptureMethod>,
    controls: Controls,
    currency: Option<Currency>,
    description: Patch<Text<1000>>,
    metadata: MetadataPatch,
    options: Option<MethodOptions<CardParams>>,
    receipt_email: Patch<Text<512>>,
    setup_future_usage: Patch<SetupFutureUsage>,
    shipping: Patch<Shipping>,
    statement_descriptor: Option<Text<22>>,
    statement_descriptor_suffix: Option<Text<22>>,
}

impl Changes {
    fn apply(self, intent: PaymentIntent) -> Result<PaymentIntent, Refusal> {
        let amount = self.amount.unwrap_or(intent.amount);
        let currency = self.currency.unwrap_or(intent.currency);
        if self.amount.is_some() || self.currency.is_some() {
            intend::check_price(&intent, amount, currency)?;
        }
        let mut intent = chosen(intent, self.controls, self.options);
        intent.internal.shipping_by_browser &= self.shipping == Patch::Keep;
        Ok(PaymentIntent {
            amount,
            capture_method: self.capture_method.unwrap_or(intent.capture_method),
            currency,
            description: self.description.map(String::from).over(intent.description),
            metadata: self.metadata.apply(intent.metadata)?,
            receipt_email: self.receipt_email.map(String::from).over(intent.receipt_email),
            setup_future_usage: self.setup_future_usage.over(intent.setup_future_usage),
            shipping: self.shipping.over(intent.shipping),
            statement_descriptor: self.statement_descriptor.map(String::from).or(intent.statement_descriptor),
            statement_descriptor_suffix: self
                .statement_descriptor_suffix
                .map(String::from)
                .or(intent.statement_descriptor_suffix),
            ..intent
        })
    }

    /// Metadata may change at any time; the rest only while the intent is open to change.
    fn only_metadata(&self) -> bool {
        self.amount.is_none()
            && self.capture_method.is_none()
            && self.controls.say_nothing()
            && self.currency.is_none()
            && self.description == Patch::Keep
            && self.options.is_none()
            && self.receipt_email == Patch::Keep
            && self.setup_future_usage == Patch::Keep
            && self.shipping == Patch::Keep
            && self.statement_descriptor.is_none()
            && self.statement_descriptor_suffix.is_none()
    }
}

/// The intent with what it may be paid with, and how.
fn chosen(intent: PaymentIntent, controls: Controls, options: Option<MethodOptions<CardParams>>) -> PaymentIntent {
    let choice = controls.over(Choice {
        allowed: intent.allowed_payment_method_types,
        excluded: intent.excluded_payment_method_types,
        automatic: intent.automatic_payment_methods,
    });
    let payment_method_options = match options {
        Some(options) => options.over(intent.payment_method_options),
        None => intent.payment_method_options,
    };
    PaymentIntent {
        allowed_payment_method_types: choice.allowed,
        automatic_payment_methods: choice.automatic,
        excluded_payment_method_types: choice.excluded,
        payment_method_options,
        ..intent
    }
}

/// What the customer has agreed to is kept with the intent.
fn agreed(mut intent: PaymentIntent, mandate: Patch<Acceptance>) -> PaymentIntent {
    intent.internal.mandate = mandate.map(Box::new).over(intent.internal.mandate);
    intent
}

async fn update(At(id): At<String>, call: Call, params: Update) -> Reply {
    let controls = Controls::new(
        params.payment_method_types.as_ref(),
        params.allowed_payment_method_types,
        params.excluded_payment_method_types,
    )?;
    let source = given(&call, params.payment_method.as_ref(), params.payment_method_data).await?;
    let mut needs = Needs::default();
    source.iter().for_each(|source| source.needs(&mut needs));
    let (wanted_customer, id) = (params.customer, Id::<PaymentIntent>::given(id));
    let changes = Changes {
        amount: params.amount,
        capture_method: params.capture_method,
        controls,
        currency: params.currency,
        description: params.description,
        metadata: params.metadata,
        options: params.payment_method_options,
        receipt_email: params.receipt_email,
        setup_future_usage: params.setup_future_usage,
        shipping: params.shipping,
        statement_descriptor: params.statement_descriptor,
        statement_descriptor_suffix: params.statement_descriptor_suffix,
    };
    let verb = Decision::new(Owner::of(&id), needs, move |books, at| {
        let intent = books.at_path(&id)?.clone();
        if !changes.only_metadata() || source.is_some() || wanted_customer.is_some() {
            intend::check_editable(&intent).map_err(|refusal| confirm::showing(books, &id, refusal))?;
        }
        if wanted_customer.is_some() && wanted_customer != intent.customer {
            // An id says whose bucket it lives in, so an intent stays with the customer it was made for.
            return Err(Refusal::invalid("The customer of a PaymentIntent cannot be changed.").param("customer"));
        }
        let changed = changes.apply(intent)?;
        receive::request(books, &changed);
        books.put(changed);
        if let Some(source) = source {
            let method = source.place(books, id.bucket(), at)?;
            intend::choose_method(books, &id, &method)?;
        }
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Confirm {
    allowed_payment_method_types: Option<Vec<MethodType>>,
    capture_method: Option<CaptureMethod>,
    client_secret: Option<String>,
    error_on_requires_action: Option<bool>,
    excluded_payment_method_types: Patch<Vec<MethodType>>,
    mandate_data: Patch<MandateData>,
    off_session: Option<bool>,
    payment_method: Option<String>,
    payment_method_data: Option<MethodData>,
    payment_method_options: Option<MethodOptions<CardParams>>,
    payment_method_types: Option<Vec<String>>,
    receipt_email: Patch<Text<512>>,
    return_url: Option<String>,
    setup_future_usage: Patch<SetupFutureUsage>,
    shipping: Patch<Shipping>,
    use_stripe_sdk: Option<bool>,
    amount_details: Option<Unsupported>,
    amount_to_confirm: Option<Unsupported>,
    confirmation_token: Option<Unsupported>,
    hooks: Option<Unsupported>,
    mandate: Option<Unsupported>,
    payment_details: Option<Unsupported>,
    radar_options: Option<Unsupported>,
}

/// What a confirmation says of the intent, before it is confirmed.
#[derive(Clone)]
struct Said {
    capture_method: Option<CaptureMethod>,
    controls: Controls,
    is_browser: bool,
    mandate: Patch<MandateData>,
    options: Option<MethodOptions<CardParams>>,
    receipt_email: Patch<Text<512>>,
    setup_future_usage: Patch<SetupFutureUsage>,
    shipping: Patch<Shipping>,
}

impl Said {
    fn over(self, intent: PaymentIntent, at: &Moment) -> Result<PaymentIntent, Refusal> {
        if self.is_browser {
            self.check_browser(&intent)?;
        }
        let mandate = mandates::accepted(self.mandate, self.is_browser, at.now)?;
        let mut intent = agreed(chosen(intent, self.controls, self.options), mandate);
        if self.shipping != Patch::Keep {
            intent.internal.shipping_by_browser = self.is_browser;
        }
        Ok(PaymentIntent {
            capture_method: self.capture_method.unwrap_or(intent.capture_method),
            receipt_email: self.receipt_email.map(String::from).over(intent.receipt_email),
            setup_future_usage: self.setup_future_usage.over(intent.setup_future_usage),
            shipping: self.shipping.over(intent.shipping),
            ..intent
        })
    }

    /// An invoice is paid, not reserved for.
    fn check_billed(&self, intent: &PaymentIntent) -> Result<(), Refusal> {
        let by_hand = [
            ("capture_method", self.capture_method == Some(CaptureMethod::Manual)),
            (BY_HAND, self.options.as_ref().is_some_and(MethodOptions::capture_by_hand)),
        ];
        match by_hand.into_iter().find(|(_, said)| *said) {
            Some((param, _)) if intent.internal.invoice.is_some() => {
                let message = "The payment of an invoice is captured automatically.";
                Err(Refusal::invalid(message).param(param))
            }
            _ => Ok(()),
        }
    }

    /// What a server has said is not for a browser to take back.
    fn check_browser(&self, intent: &PaymentIntent) -> Result<(), Refusal> {
        if let Some(options) = &self.options {
            options.check_browser(intent)?;
        }
        check_browser_usage(&self.setup_future_usage, intent.setup_future_usage)?;
        let by_server = intent.shipping.is_some() && !intent.internal.shipping_by_browser;
        let changes = self.shipping != Patch::Keep && self.shipping.clone().given() != intent.shipping;
        if by_server && changes {
            let message = "The shipping of this PaymentIntent was set with a secret key and cannot be changed with a publishable key.";
            return Err(Refusal::invalid(message).param("shipping"));
        }
        Ok(())
    }
}

async fn confirm_intent(At(id): At<String>, call: Call, params: Confirm) -> Reply {
    let allows = params.allowed_payment_method_types.is_some();
    let controls = Controls::new(
        params.payment_method_types.as_ref(),
        params.allowed_payment_method_types,
        params.excluded_payment_method_types,
    )?;
    check_secret::<PaymentIntent>(&call, &id, params.client_secret.as_deref()).await?;
    let is_browser = call.caller.publishable;
    if is_browser {
        for_servers(&[
            ("off_session", params.off_session.is_some()),
            ("error_on_requires_action", params.error_on_requires_action.is_some()),
            ("capture_method", params.capture_method.is_some()),
            ("allowed_payment_method_types", allows),
            ("excluded_payment_method_types", !allows && !controls.say_nothing()),
        ])?;
    }
    let source = given(&call, params.payment_method.as_ref(), params.payment_method_data).await?;
    let id: Id<PaymentIntent> = Id::given(id);
    let mut needs = Needs::default();
    match &source {
        Some(source) => source.needs(&mut needs),
        None => needs = around(&mut *call.house.engine.store.reader().await?, &id).await?,
    }
    let off_session = params.off_session.unwrap_or(false);
    let refuses_action = params.error_on_requires_action.unwrap_or(false);
    let return_url = redirect_to(params.return_url, params.use_stripe_sdk)?;
    let said = Said {
        capture_method: params.capture_method,
        controls,
        is_browser,
        mandate: params.mandate_data,
        options: params.payment_method_options,
        receipt_email: params.receipt_email,
        setup_future_usage: params.setup_future_usage,
        shipping: params.shipping,
    };
    let verb = Decision::new(Owner::of(&id), needs, move |books: &mut Books, at: &mut Moment| {
        let intent = books.at_path(&id)?.clone();
        intent.check_own("confirm").map_err(|refusal| confirm::showing(books, &id, refusal))?;
        let kept = intent.clone();
        if intent.status.is_open() {
            said.check_billed(&intent)?;
            books.put(said.over(intent, at)?);
        }
        let payment_method = source.map(|source| source.place(books, id.bucket(), at)).transpose()?;
        confirm::confirm(books, &id, Confirmation { payment_method, off_session, refuses_action, return_url }, at)
            .map_err(|refusal| confirm::showing_kept(books, kept, refusal))?;
        Ok(Subject::document(&id).unless_declined(Some(id)))
    });
    call.run(&NOUN, verb).await
}
