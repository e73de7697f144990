//! `/v1/payment_intents`

use serde::Deserialize;

use super::{
    call::Call,
    intents::{AutomaticMethods, check_secret, check_types, chosen_methods, given, redirect_to, retrieve},
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
        payment_intent::{
            CancellationReason, CaptureMethod, ConfirmationMethod, NOUN, PaymentIntent, SetupFutureUsage,
        },
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
        Route::post("/v1/payment_intents/{id}/capture", capture, &NOUN),
        Route::post("/v1/payment_intents/{id}/cancel", cancel, &NOUN),
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
    allowed_payment_method_types: Option<Unsupported>,
    amount_details: Option<Unsupported>,
    application_fee_amount: Option<Unsupported>,
    confirmation_token: Option<Unsupported>,
    customer_account: Option<Unsupported>,
    error_on_requires_action: Option<bool>,
    excluded_payment_method_types: Option<Unsupported>,
    hooks: Option<Unsupported>,
    mandate: Option<Unsupported>,
    mandate_data: Option<Unsupported>,
    on_behalf_of: Option<Unsupported>,
    payment_details: Option<Unsupported>,
    payment_method_configuration: Option<Unsupported>,
    payment_method_options: Option<Unsupported>,
    radar_options: Option<Unsupported>,
    transfer_data: Option<Unsupported>,
    transfer_group: Option<Unsupported>,
}

async fn create(call: Call, params: Create) -> Reply {
    let automatic = chosen_methods(params.payment_method_types.as_ref(), params.automatic_payment_methods)?;
    let confirmed = params.confirm.unwrap_or(false);
    let off_session = params.off_session.unwrap_or(false);
    let refuses_action = params.error_on_requires_action.unwrap_or(false);
    let only_confirmed = [
        ("off_session", off_session),
        ("error_on_requires_action", refuses_action),
        ("return_url", params.return_url.is_some()),
    ];
    if let Some((name, _)) = only_confirmed.into_iter().find(|(_, given)| *given && !confirmed) {
        let message = format!("You cannot set `{name}` without `confirm=true` when creating a PaymentIntent.");
        return Err(Refusal::invalid(message).param(name).into());
    }
    let return_url = redirect_to(params.return_url, params.use_stripe_sdk)?;
    let source = given(&call, params.payment_method.as_ref(), params.payment_method_data).await?;
    let mut needs = Needs::default();
    source.iter().for_each(|source| source.needs(&mut needs));
    let new = NewIntent {
        amount: params.amount,
        automatic_payment_methods: automatic,
        capture_method: params.capture_method.unwrap_or(CaptureMethod::AutomaticAsync),
        confirmation_method: params.confirmation_method.unwrap_or(ConfirmationMethod::Automatic),
        currency: params.currency,
        customer: params.customer.clone(),
        description: params.description.map(String::from),
        livemode: call.livemode(),
        metadata: params.metadata.initial()?,
        receipt_email: params.receipt_email.map(String::from),
        setup_future_usage: params.setup_future_usage,
        shipping: params.shipping,
        statement_descriptor: params.statement_descriptor.map(String::from),
        statement_descriptor_suffix: params.statement_descriptor_suffix.map(String::from),
    };
    let owner = params.customer.map_or(Owner::Nobody, Owner::Customer);
    let verb = Decision::new(owner, needs, move |books, at| {
        let id = intend::create(books, new, at)?;
        if let Some(source) = source {
            let method = source.place(books, id.bucket(), at)?;
            intend::choose_method(books, &id, &method)?;
        }
        if confirmed {
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
    allowed_payment_method_types: Option<Unsupported>,
    amount_details: Option<Unsupported>,
    application_fee_amount: Option<Unsupported>,
    customer_account: Option<Unsupported>,
    excluded_payment_method_types: Option<Unsupported>,
    hooks: Option<Unsupported>,
    payment_details: Option<Unsupported>,
    payment_method_configuration: Option<Unsupported>,
    payment_method_options: Option<Unsupported>,
    transfer_data: Option<Unsupported>,
    transfer_group: Option<Unsupported>,
}

/// The parameters of an update, once its payment method has been taken out.
#[derive(Clone)]
struct Changes {
    amount: Option<Amount>,
    capture_method: Option<CaptureMethod>,
    currency: Option<Currency>,
    description: Patch<Text<1000>>,
    metadata: MetadataPatch,
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
            && self.currency.is_none()
            && self.description == Patch::Keep
            && self.receipt_email == Patch::Keep
            && self.setup_future_usage == Patch::Keep
            && self.shipping == Patch::Keep
            && self.statement_descriptor.is_none()
            && self.statement_descriptor_suffix.is_none()
    }
}

async fn update(At(id): At<String>, call: Call, params: Update) -> Reply {
    check_types(params.payment_method_types.as_ref())?;
    let source = given(&call, params.payment_method.as_ref(), params.payment_method_data).await?;
    let mut needs = Needs::default();
    source.iter().for_each(|source| source.needs(&mut needs));
    let (wanted_customer, id) = (params.customer, Id::<PaymentIntent>::given(id));
    let changes = Changes {
        amount: params.amount,
        capture_method: params.capture_method,
        currency: params.currency,
        description: params.description,
        metadata: params.metadata,
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
    client_secret: Option<String>,
    off_session: Option<bool>,
    payment_method: Option<String>,
    payment_method_data: Option<MethodData>,
    receipt_email: Option<Text<512>>,
    return_url: Option<String>,
    setup_future_usage: Option<SetupFutureUsage>,
    use_stripe_sdk: Option<bool>,
    payment_method_types: Option<Vec<String>>,
    allowed_payment_method_types: Option<Unsupported>,
    amount_details: Option<Unsupported>,
    amount_to_confirm: Option<Unsupported>,
    capture_method: Option<Unsupported>,
    confirmation_token: Option<Unsupported>,
    error_on_requires_action: Option<bool>,
    excluded_payment_method_types: Option<Unsupported>,
    hooks: Option<Unsupported>,
    mandate: Option<Unsupported>,
    mandate_data: Option<Unsupported>,
    payment_details: Option<Unsupported>,
    payment_method_options: Option<Unsupported>,
    radar_options: Option<Unsupported>,
    shipping: Option<Unsupported>,
}

async fn confirm_intent(At(id): At<String>, call: Call, params: Confirm) -> Reply {
    check_types(params.payment_method_types.as_ref())?;
    check_secret::<PaymentIntent>(&call, &id, params.client_secret.as_deref()).await?;
    let for_servers = [
        ("off_session", params.off_session.is_some()),
        ("error_on_requires_action", params.error_on_requires_action.is_some()),
    ];
    if let Some((name, _)) = for_servers.into_iter().find(|(_, given)| *given && call.caller.publishable) {
        return Err(Refusal::invalid("This parameter cannot be used with a publishable key.").param(name).into());
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
    let (usage, email) = (params.setup_future_usage, params.receipt_email.map(String::from));
    let verb = Decision::new(Owner::of(&id), needs, move |books: &mut Books, at: &mut Moment| {
        let intent = books.at_path(&id)?.clone();
        intent.check_own("confirm").map_err(|refusal| confirm::showing(books, &id, refusal))?;
        books.put(PaymentIntent {
            receipt_email: email.or(intent.receipt_email),
            setup_future_usage: usage.or(intent.setup_future_usage),
            ..intent
        });
        let payment_method = source.map(|source| source.place(books, id.bucket(), at)).transpose()?;
        confirm::confirm(books, &id, Confirmation { payment_method, off_session, refuses_action, return_url }, at)
            .map_err(|refusal| confirm::showing(books, &id, refusal))?;
        Ok(Subject::document(&id).unless_declined(Some(id)))
    });
    call.run(&NOUN, verb).await
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Capture {
    amount_to_capture: Option<Amount>,
    final_capture: Option<bool>,
    metadata: MetadataPatch,
    statement_descriptor: Option<Text<22>>,
    statement_descriptor_suffix: Option<Text<22>>,
    amount_details: Option<Unsupported>,
    application_fee_amount: Option<Unsupported>,
    hooks: Option<Unsupported>,
    payment_details: Option<Unsupported>,
    transfer_data: Option<Unsupported>,
}

async fn capture(At(id): At<String>, call: Call, params: Capture) -> Reply {
    if params.final_capture == Some(false) {
        return Err(Refusal::not_supported_yet("final_capture").into());
    }
    let id: Id<PaymentIntent> = Id::given(id);
    let verb = Decision::new(Owner::of(&id), Needs::default(), move |books, at| {
        let intent = books.at_path(&id)?.clone();
        let suffix = params.statement_descriptor_suffix.map(String::from);
        books.put(PaymentIntent {
            metadata: params.metadata.apply(intent.metadata)?,
            statement_descriptor: params.statement_descriptor.map(String::from).or(intent.statement_descriptor),
            statement_descriptor_suffix: suffix.or(intent.statement_descriptor_suffix),
            ..intent
        });
        confirm::capture(books, &id, params.amount_to_capture, at)
            .map_err(|refusal| confirm::showing(books, &id, refusal))?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Cancel {
    cancellation_reason: Option<CancellationReason>,
}

async fn cancel(At(id): At<String>, call: Call, params: Cancel) -> Reply {
    let by_callers = [
        CancellationReason::Abandoned,
        CancellationReason::Duplicate,
        CancellationReason::Fraudulent,
        CancellationReason::RequestedByCustomer,
    ];
    if params.cancellation_reason.is_some_and(|reason| !by_callers.contains(&reason)) {
        let message =
            "Invalid cancellation_reason: must be one of abandoned, duplicate, fraudulent, or requested_by_customer";
        return Err(Refusal::invalid(message).param("cancellation_reason").into());
    }
    let id: Id<PaymentIntent> = Id::given(id);
    let verb = Decision::new(Owner::of(&id), Needs::default(), move |books, at| {
        books.at_path(&id)?;
        confirm::cancel(books, &id, params.cancellation_reason, at)
            .map_err(|refusal| confirm::showing(books, &id, refusal))?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}
