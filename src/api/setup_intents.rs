//! `/v1/setup_intents`

use serde::Deserialize;

use super::{
    call::Call,
    intents::{check_confirms, given, redirect_to, retrieve, seen, verify_microdeposits},
    mandates::{self, MandateData},
    method_options::{CardSetupParams, MethodOptions, for_servers},
    method_types::{AutomaticMethods, Controls},
    reply::Reply,
    route::{At, Route},
    sources::{self, MethodData, Source},
};
use crate::{
    billing::{
        Books, Id, MetadataPatch, Moment, Refusal,
        answer::Decline,
        customer::Customer,
        mandate::Acceptance,
        method_types::{Choice, MethodType},
        setup::{self, Confirmation, NewSetup},
        setup_intent::{CancellationReason, NOUN, SetupIntent, Usage},
        shape::{Patch, Text, Unsupported},
    },
    engine::{Owner, Subject, verb::Decision},
    store::books::Needs,
};

pub fn routes() -> Vec<Route> {
    vec![
        Route::list("/v1/setup_intents", &NOUN),
        Route::post("/v1/setup_intents", create, &NOUN),
        Route::get("/v1/setup_intents/{id}", retrieve::<SetupIntent>, &NOUN).publishable(),
        Route::post("/v1/setup_intents/{id}", update, &NOUN),
        Route::post("/v1/setup_intents/{id}/confirm", confirm, &NOUN).publishable(),
        Route::post("/v1/setup_intents/{id}/cancel", cancel, &NOUN),
        Route::post("/v1/setup_intents/{id}/verify_microdeposits", verify_microdeposits::<SetupIntent>, &NOUN)
            .publishable(),
    ]
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "some are named so that they are refused, not ignored")]
struct Create {
    automatic_payment_methods: Option<AutomaticMethods>,
    confirm: Option<bool>,
    customer: Option<Id<Customer>>,
    description: Option<Text<1000>>,
    #[serde(default)]
    metadata: MetadataPatch,
    payment_method: Option<String>,
    payment_method_data: Option<MethodData>,
    return_url: Option<String>,
    usage: Option<Usage>,
    use_stripe_sdk: Option<bool>,
    payment_method_types: Option<Vec<String>>,
    allowed_payment_method_types: Option<Vec<MethodType>>,
    excluded_payment_method_types: Option<Vec<MethodType>>,
    #[serde(default)]
    mandate_data: Patch<MandateData>,
    payment_method_options: Option<MethodOptions<CardSetupParams>>,
    // Known, and refused rather than ignored.
    attach_to_self: Option<Unsupported>,
    confirmation_token: Option<Unsupported>,
    customer_account: Option<Unsupported>,
    flow_directions: Option<Unsupported>,
    on_behalf_of: Option<Unsupported>,
    payment_method_configuration: Option<Unsupported>,
    single_use: Option<Unsupported>,
}

async fn create(call: Call, params: Create) -> Reply {
    let controls = Controls::new(
        params.payment_method_types.as_ref(),
        params.allowed_payment_method_types,
        params.excluded_payment_method_types,
    )?;
    let choice = controls.initial(params.automatic_payment_methods)?;
    let confirmed = params.confirm.unwrap_or(false);
    let only_confirmed =
        [("return_url", params.return_url.is_some()), ("mandate_data", matches!(params.mandate_data, Patch::Set(_)))];
    check_confirms::<SetupIntent>(confirmed, &only_confirmed)?;
    let return_url = redirect_to(params.return_url, params.use_stripe_sdk)?;
    let source = given(&call, params.payment_method.as_ref(), params.payment_method_data).await?;
    let mut needs = Needs::default();
    source.iter().for_each(|source| source.needs(&mut needs));
    let refused = match &source {
        Some(source) if confirmed => sources::refused(&call, source).await?,
        _ => None,
    };
    let new = NewSetup {
        bucket: None,
        checkout: None,
        choice,
        customer: params.customer.clone(),
        description: params.description.map(String::from),
        livemode: call.livemode(),
        metadata: params.metadata.initial()?,
        options: params.payment_method_options.map(|options| options.over(None)).unwrap_or_default(),
        usage: params.usage.unwrap_or(Usage::OffSession),
    };
    let owner = params.customer.map_or(Owner::Nobody, Owner::Customer);
    let mandate = params.mandate_data;
    let verb = Decision::new(owner, needs, move |books: &mut Books, at: &mut Moment| {
        let mandate = mandates::accepted(mandate, false, at.now)?;
        if let Some(customer) = &new.customer {
            books.find(customer, "customer")?;
        }
        let bucket = new.customer.as_ref().map_or_else(|| at.ids.bucket(), Id::bucket);
        let method = source.map(|source| source.place(books, bucket, at)).transpose()?;
        let id = setup::create(books, new, method.as_ref(), at)?;
        if !confirmed {
            return Ok(Subject::document(&id));
        }
        agree(books, &id, mandate)?;
        let payment_method = method.ok_or_else(missing_method)?;
        decide(books, &id, &Confirmation { payment_method, return_url, refused }, at)
    });
    call.run(&NOUN, verb).await
}

/// What the customer has agreed to is kept with the setup.
fn agree(books: &mut Books, id: &Id<SetupIntent>, mandate: Patch<Acceptance>) -> Result<(), Refusal> {
    if mandate != Patch::Keep {
        let mut intent = books.find(id, "intent")?.clone();
        intent.internal.mandate = mandate.map(Box::new).over(intent.internal.mandate);
        books.put(intent);
    }
    Ok(())
}

fn missing_method() -> Refusal {
    SetupIntent::unexpected_state(
        "You cannot confirm this SetupIntent because it's missing a payment method. You can either update the SetupIntent with a \
         payment method and then confirm it again, or confirm it again directly with a payment method or ConfirmationToken.",
    )
}

/// Confirms, and answers with the setup, or with the error that it came to.
fn decide(
    books: &mut Books,
    id: &Id<SetupIntent>,
    confirmation: &Confirmation,
    at: &mut Moment,
) -> Result<Subject, Refusal> {
    setup::confirm(books, id, confirmation, at).map_err(|refusal| setup::showing(books, id, refusal))?;
    let subject = Subject::document(id);
    let Some(decline) = &confirmation.refused else { return Ok(subject) };
    let image = books.image(id);
    Ok(subject.refused(Refusal { setup_intent: image.map(Box::new), ..Decline::refusal(decline) }))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Update {
    customer: Option<Id<Customer>>,
    description: Patch<Text<1000>>,
    metadata: MetadataPatch,
    payment_method: Option<String>,
    payment_method_data: Option<MethodData>,
    payment_method_types: Option<Vec<String>>,
    allowed_payment_method_types: Patch<Vec<MethodType>>,
    excluded_payment_method_types: Patch<Vec<MethodType>>,
    payment_method_options: Option<MethodOptions<CardSetupParams>>,
    // Known, and refused rather than ignored.
    attach_to_self: Option<Unsupported>,
    customer_account: Option<Unsupported>,
    flow_directions: Option<Unsupported>,
    payment_method_configuration: Option<Unsupported>,
}

async fn update(At(id): At<String>, call: Call, params: Update) -> Reply {
    let controls = Controls::new(
        params.payment_method_types.as_ref(),
        params.allowed_payment_method_types,
        params.excluded_payment_method_types,
    )?;
    let options = params.payment_method_options;
    let source = given(&call, params.payment_method.as_ref(), params.payment_method_data).await?;
    let mut needs = Needs::default();
    source.iter().for_each(|source| source.needs(&mut needs));
    let id: Id<SetupIntent> = Id::given(id);
    let (customer, description, metadata) = (params.customer, params.description, params.metadata);
    let verb = Decision::new(Owner::of(&id), needs, move |books: &mut Books, at: &mut Moment| {
        let intent = books.at_path(&id)?.clone();
        if customer.is_some() && customer != intent.customer {
            // An id says whose bucket it lives in, so an intent stays with the customer it was made for.
            return Err(Refusal::invalid("The customer of a SetupIntent cannot be changed.").param("customer"));
        }
        if source.is_some() || options.is_some() || !controls.say_nothing() {
            intent.check_own("update").map_err(|refusal| setup::showing(books, &id, refusal))?;
        }
        if (options.is_some() || !controls.say_nothing()) && !intent.is_open() {
            let message = format!(
                "This SetupIntent's parameters could not be updated because it has a status of {}.",
                intent.status
            );
            return Err(setup::showing(books, &id, SetupIntent::unexpected_state(message)));
        }
        let intent = choose(intent, controls, options);
        books.put(SetupIntent {
            description: description.map(String::from).over(intent.description),
            metadata: metadata.apply(intent.metadata)?,
            ..intent
        });
        if let Some(source) = source {
            let method = source.place(books, id.bucket(), at)?;
            setup::choose_method(books, &id, &method).map_err(|refusal| setup::showing(books, &id, refusal))?;
        }
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Confirm {
    client_secret: Option<String>,
    payment_method: Option<String>,
    payment_method_data: Option<MethodData>,
    return_url: Option<String>,
    use_stripe_sdk: Option<bool>,
    payment_method_types: Option<Vec<String>>,
    allowed_payment_method_types: Option<Vec<MethodType>>,
    mandate_data: Patch<MandateData>,
    payment_method_options: Option<MethodOptions<CardSetupParams>>,
    // Known, and refused rather than ignored.
    confirmation_token: Option<Unsupported>,
}

/// The setup with what may set it up, and how.
fn choose(intent: SetupIntent, controls: Controls, options: Option<MethodOptions<CardSetupParams>>) -> SetupIntent {
    let choice = controls.over(Choice {
        allowed: intent.allowed_payment_method_types,
        excluded: intent.excluded_payment_method_types,
        automatic: intent.automatic_payment_methods,
    });
    let payment_method_options = match options {
        Some(options) => Some(options.over(intent.payment_method_options)),
        None => intent.payment_method_options,
    };
    SetupIntent {
        allowed_payment_method_types: choice.allowed,
        automatic_payment_methods: choice.automatic,
        excluded_payment_method_types: choice.excluded,
        payment_method_options,
        ..intent
    }
}

async fn confirm(At(id): At<String>, call: Call, params: Confirm) -> Reply {
    let controls =
        Controls::new(params.payment_method_types.as_ref(), params.allowed_payment_method_types, Patch::Keep)?;
    let (mandate, options, is_browser) = (params.mandate_data, params.payment_method_options, call.caller.publishable);
    let intent: SetupIntent = seen(&call, &id, params.client_secret.as_deref()).await?;
    if is_browser {
        for_servers(&[("allowed_payment_method_types", !controls.say_nothing())])?;
        options.as_ref().map_or(Ok(()), MethodOptions::<CardSetupParams>::check_browser)?;
    }
    let return_url = redirect_to(params.return_url, params.use_stripe_sdk)?;
    let source = given(&call, params.payment_method.as_ref(), params.payment_method_data).await?;
    let source = source.or_else(|| intent.payment_method.clone().map(Source::Existing));
    let mut needs = Needs::default();
    let mut refused = None;
    if let Some(source) = source.as_ref().filter(|_| intent.is_open()) {
        source.needs(&mut needs);
        refused = sources::refused(&call, source).await?;
    }
    let id = intent.id;
    let verb = Decision::new(Owner::of(&id), needs, move |books: &mut Books, at: &mut Moment| {
        books.at_path(&id)?.check_own("confirm").map_err(|refusal| setup::showing(books, &id, refusal))?;
        let mandate = mandates::accepted(mandate, is_browser, at.now)?;
        let Some(source) = source else { return Err(setup::showing(books, &id, missing_method())) };
        let intent = books.at_path(&id)?.clone();
        if intent.is_open() {
            books.put(choose(intent, controls, options));
            agree(books, &id, mandate)?;
        }
        let payment_method = source.place(books, id.bucket(), at)?;
        decide(books, &id, &Confirmation { payment_method, return_url, refused }, at)
    });
    call.run(&NOUN, verb).await
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Cancel {
    cancellation_reason: Option<CancellationReason>,
}

async fn cancel(At(id): At<String>, call: Call, params: Cancel) -> Reply {
    let id: Id<SetupIntent> = Id::given(id);
    let verb = Decision::new(Owner::of(&id), Needs::default(), move |books, at| {
        books.at_path(&id)?.check_own("cancel").map_err(|refusal| setup::showing(books, &id, refusal))?;
        setup::cancel(books, &id, params.cancellation_reason, at)
            .map_err(|refusal| setup::showing(books, &id, refusal))?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}
