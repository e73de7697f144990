//! `/v1/setup_intents`

use serde::Deserialize;

use super::{
    call::Call,
    intents::{AutomaticMethods, check_types, chosen_methods, given, redirect_to, retrieve, seen},
    reply::Reply,
    route::{At, Route},
    sources::{self, MethodData, Source},
};
use crate::{
    billing::{
        Books, Id, MetadataPatch, Moment, Refusal,
        answer::Decline,
        customer::Customer,
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
        Route::post("/v1/setup_intents/{id}/verify_microdeposits", verify_microdeposits, &NOUN).publishable(),
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
    // Known, and refused rather than ignored.
    allowed_payment_method_types: Option<Unsupported>,
    attach_to_self: Option<Unsupported>,
    confirmation_token: Option<Unsupported>,
    customer_account: Option<Unsupported>,
    excluded_payment_method_types: Option<Unsupported>,
    flow_directions: Option<Unsupported>,
    mandate_data: Option<Unsupported>,
    on_behalf_of: Option<Unsupported>,
    payment_method_configuration: Option<Unsupported>,
    payment_method_options: Option<Unsupported>,
    single_use: Option<Unsupported>,
}

async fn create(call: Call, params: Create) -> Reply {
    let automatic = chosen_methods(params.payment_method_types.as_ref(), params.automatic_payment_methods)?;
    let confirmed = params.confirm.unwrap_or(false);
    if params.return_url.is_some() && !confirmed {
        let message = "You cannot set `return_url` without `confirm=true` when creating a SetupIntent.";
        return Err(Refusal::invalid(message).param("return_url").into());
    }
    let return_url = redirect_to(params.return_url, params.use_stripe_sdk)?;
    let source = given(&call, params.payment_method.as_ref(), params.payment_method_data).await?;
    let mut needs = Needs::default();
    source.iter().for_each(|source| source.needs(&mut needs));
    let refused = match &source {
        Some(source) if confirmed => sources::refused(&call, source).await?,
        _ => None,
    };
    let new = NewSetup {
        automatic_payment_methods: automatic,
        bucket: None,
        checkout: None,
        customer: params.customer.clone(),
        description: params.description.map(String::from),
        livemode: call.livemode(),
        metadata: params.metadata.initial()?,
        usage: params.usage.unwrap_or(Usage::OffSession),
    };
    let owner = params.customer.map_or(Owner::Nobody, Owner::Customer);
    let verb = Decision::new(owner, needs, move |books: &mut Books, at: &mut Moment| {
        if let Some(customer) = &new.customer {
            books.find(customer, "customer")?;
        }
        let bucket = new.customer.as_ref().map_or_else(|| at.ids.bucket(), Id::bucket);
        let method = source.map(|source| source.place(books, bucket, at)).transpose()?;
        let id = setup::create(books, new, method.as_ref(), at)?;
        if !confirmed {
            return Ok(Subject::document(&id));
        }
        let payment_method = method.ok_or_else(missing_method)?;
        decide(books, &id, &Confirmation { payment_method, return_url, refused }, at)
    });
    call.run(&NOUN, verb).await
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
    allowed_payment_method_types: Option<Unsupported>,
    attach_to_self: Option<Unsupported>,
    customer_account: Option<Unsupported>,
    excluded_payment_method_types: Option<Unsupported>,
    flow_directions: Option<Unsupported>,
    payment_method_configuration: Option<Unsupported>,
    payment_method_options: Option<Unsupported>,
}

async fn update(At(id): At<String>, call: Call, params: Update) -> Reply {
    check_types(params.payment_method_types.as_ref())?;
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
        books.put(SetupIntent {
            description: description.map(String::from).over(intent.description),
            metadata: metadata.apply(intent.metadata)?,
            ..intent
        });
        if let Some(source) = source {
            books.at_path(&id)?.check_own("update").map_err(|refusal| setup::showing(books, &id, refusal))?;
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
    allowed_payment_method_types: Option<Unsupported>,
    confirmation_token: Option<Unsupported>,
    mandate_data: Option<Unsupported>,
    payment_method_options: Option<Unsupported>,
}

async fn confirm(At(id): At<String>, call: Call, params: Confirm) -> Reply {
    check_types(params.payment_method_types.as_ref())?;
    let intent: SetupIntent = seen(&call, &id, params.client_secret.as_deref()).await?;
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
        let Some(source) = source else { return Err(setup::showing(books, &id, missing_method())) };
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

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Microdeposits {
    amounts: Option<Vec<i64>>,
    client_secret: Option<String>,
    descriptor_code: Option<String>,
}

/// Cards are not verified by small deposits, and there are only cards.
async fn verify_microdeposits(At(id): At<String>, call: Call, params: Microdeposits) -> Reply {
    seen::<SetupIntent>(&call, &id, params.client_secret.as_deref()).await?;
    let message = "This SetupIntent cannot be verified with microdeposits: its payment method does not require them.";
    Err(SetupIntent::unexpected_state(message).into())
}
