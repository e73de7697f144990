//! Setting a card up for later: confirmed, authenticated, attached; and the setup that a subscription
//! asks for when its first invoice asks for no money.

use super::{
    Books, Id, Metadata, Moment, Refusal,
    answer::Decline,
    checkout::{self, Session},
    collect,
    confirm::check_owner,
    customer::Customer,
    id::Bucket,
    method_options::{OptionsOf, SetupOptions},
    method_types::{Choice, SERVED},
    next_action::{Authentication, NextAction},
    payment_intent::PaymentError,
    payment_method::{self, PaymentMethod},
    setup_attempt::{self, Status as Attempted},
    setup_intent::{CancellationReason, Internal, SetupIntent, Status, Tag, Usage},
    shape::Null,
    subscription::{SaveDefault, Subscription},
};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct NewSetup {
    /// Where it lives if it has no customer; anywhere, if nobody says.
    pub bucket: Option<Bucket>,
    /// The session that it is for.
    pub checkout: Option<Id<Session>>,
    /// What it may be set up with.
    pub choice: Choice,
    pub customer: Option<Id<Customer>>,
    pub description: Option<String>,
    pub livemode: bool,
    pub metadata: Metadata,
    pub options: SetupOptions,
    pub usage: Usage,
}

/// How a setup is confirmed.
#[derive(Clone, Debug)]
pub struct Confirmation {
    pub payment_method: Id<PaymentMethod>,
    /// Where to send the customer after authenticating.
    pub return_url: Option<String>,
    /// The processor was asked whether the card can be kept, and said no.
    pub refused: Option<Decline>,
}

/// What a failed authentication is called.
pub const FAILURE: &str = "setup_intent_authentication_failure";

/// Puts a new setup into the books; its customer's books, or nobody's.
pub fn create(
    books: &mut Books,
    new: NewSetup,
    method: Option<&Id<PaymentMethod>>,
    at: &mut Moment,
) -> Result<Id<SetupIntent>, Refusal> {
    let customer = match &new.customer {
        Some(id) => Some(books.find(id, "customer")?),
        None => None,
    };
    let bucket = customer.map(|customer| customer.id.bucket()).or(new.bucket).unwrap_or_else(|| at.ids.bucket());
    let test_clock = customer.and_then(|customer| customer.test_clock.clone());
    let internal = Internal { checkout: new.checkout.clone(), mandate: None, test_clock };
    if let Some(method) = method {
        check_owner(books.find(method, "payment_method")?, new.customer.as_ref(), "SetupIntent")?;
    }
    let intent = SetupIntent { payment_method: method.cloned(), ..blank(new, bucket, internal, at) };
    let status = if method.is_some() { Status::RequiresConfirmation } else { Status::RequiresPaymentMethod };
    let id = intent.id.clone();
    books.put(SetupIntent { status, ..intent }).tell("setup_intent.created", at);
    Ok(id)
}

fn blank(new: NewSetup, bucket: Bucket, internal: Internal, at: &mut Moment) -> SetupIntent {
    let id: Id<SetupIntent> = Id::new(&mut at.ids, bucket);
    let client_secret = format!("{id}_secret_{}", at.ids.secret(25));
    SetupIntent {
        id,
        object: Tag::SetupIntent,
        allowed_payment_method_types: new.choice.allowed,
        application: Null,
        automatic_payment_methods: new.choice.automatic,
        cancellation_reason: None,
        client_secret,
        created: at.now,
        customer: new.customer,
        customer_account: Null,
        description: new.description,
        excluded_payment_method_types: new.choice.excluded,
        flow_directions: Null,
        last_setup_error: None,
        latest_attempt: None,
        livemode: new.livemode,
        managed_payments: Null,
        mandate: Null,
        metadata: new.metadata,
        next_action: None,
        on_behalf_of: Null,
        payment_method: None,
        payment_method_configuration_details: Null,
        payment_method_options: Some(new.options),
        payment_method_types: vec![SERVED.to_owned()],
        single_use_mandate: Null,
        status: Status::RequiresPaymentMethod,
        usage: new.usage,
        internal,
    }
}

/// Gives a setup that is still open another payment method.
pub fn choose_method(books: &mut Books, id: &Id<SetupIntent>, method: &Id<PaymentMethod>) -> Result<(), Refusal> {
    let intent = books.find(id, "intent")?.clone();
    if !intent.is_open() {
        return Err(SetupIntent::unexpected_state(format!(
            "You cannot update this SetupIntent's payment method because it has a status of {}.",
            intent.status
        )));
    }
    check_owner(books.find(method, "payment_method")?, intent.customer.as_ref(), "SetupIntent")?;
    books.put(SetupIntent {
        next_action: None,
        payment_method: Some(method.clone()),
        status: Status::RequiresConfirmation,
        ..intent
    });
    Ok(())
}

/// Confirms a setup: the card is kept, must be authenticated first, or is refused.
pub fn confirm(
    books: &mut Books,
    id: &Id<SetupIntent>,
    confirmation: &Confirmation,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let intent = books.find(id, "intent")?.clone();
    if !intent.is_open() {
        let reason = match intent.status {
            Status::Succeeded => "it has already succeeded after being previously confirmed".to_owned(),
            status => format!("it has a status of {status}"),
        };
        return Err(SetupIntent::unexpected_state(format!("You cannot confirm this SetupIntent because {reason}.")));
    }
    let method = books.find(&confirmation.payment_method, "payment_method")?.clone();
    check_owner(&method, intent.customer.as_ref(), "SetupIntent")?;
    if let Some(decline) = &confirmation.refused {
        let error = PaymentError::of(decline, books.image(&method.id));
        fail(books, intent, &method, error, at);
        return Ok(());
    }
    if must_authenticate(&method, intent.payment_method_options.as_ref()) {
        require_action(books, intent, &method, confirmation.return_url.as_deref(), at);
        return Ok(());
    }
    succeed(books, intent, method, at);
    Ok(())
}

fn must_authenticate(method: &PaymentMethod, options: Option<&SetupOptions>) -> bool {
    let asked_for = options.is_some_and(SetupOptions::asks_for_authentication);
    method.internal.authenticates || method.internal.may_authenticate && asked_for
}

fn require_action(
    books: &mut Books,
    intent: SetupIntent,
    method: &PaymentMethod,
    return_url: Option<&str>,
    at: &mut Moment,
) {
    let intent = setup_attempt::record(books, intent, method, Attempted::RequiresAction, None, at);
    let action = NextAction::authenticate(intent.id.as_str(), &intent.client_secret, return_url, at);
    books
        .put(SetupIntent {
            last_setup_error: None,
            next_action: Some(action),
            payment_method: Some(method.id.clone()),
            status: Status::RequiresAction,
            ..intent
        })
        .tell("setup_intent.requires_action", at);
}

fn fail(books: &mut Books, intent: SetupIntent, method: &PaymentMethod, error: PaymentError, at: &mut Moment) {
    let intent = setup_attempt::record(books, intent, method, Attempted::Failed, Some(error.clone()), at);
    books
        .put(SetupIntent {
            last_setup_error: Some(error),
            next_action: None,
            payment_method: None,
            status: Status::RequiresPaymentMethod,
            ..intent
        })
        .tell("setup_intent.setup_failed", at);
}

/// The customer has authenticated, or has not.
pub fn authenticate(
    books: &mut Books,
    id: &Id<SetupIntent>,
    outcome: Authentication,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let intent = books.find(id, "intent")?.clone();
    let (Status::RequiresAction, Some(method)) = (intent.status, intent.payment_method.clone()) else {
        return Err(SetupIntent::unexpected_state(format!(
            "This SetupIntent cannot be authenticated because it has a status of {}. Only a SetupIntent with a status of \
             requires_action can be.",
            intent.status
        )));
    };
    let method = books.find(&method, "payment_method")?.clone();
    match outcome {
        Authentication::Succeed => succeed(books, intent, method, at),
        Authentication::Fail => {
            let error = PaymentError::of_authentication(FAILURE, books.image(&method.id));
            fail(books, intent, &method, error, at);
        }
    }
    checkout::follow::set_up(books, id, at)
}

/// The card is kept: attached to the customer, and ready for payments without the customer. What waited
/// for it waits no longer.
fn succeed(books: &mut Books, intent: SetupIntent, method: PaymentMethod, at: &mut Moment) {
    let intent = setup_attempt::record(books, intent, &method, Attempted::Succeeded, None, at);
    let id = intent.id.clone();
    let attaches = method.customer.is_none() && intent.customer.is_some();
    let set_up = method.internal.set_up || intent.usage == Usage::OffSession;
    let kept = PaymentMethod {
        customer: method.customer.clone().or_else(|| intent.customer.clone()),
        internal: payment_method::Internal { set_up, ..method.internal.clone() },
        ..method
    };
    books
        .put(SetupIntent {
            last_setup_error: None,
            next_action: None,
            payment_method: Some(kept.id.clone()),
            status: Status::Succeeded,
            ..intent
        })
        .tell("setup_intent.succeeded", at);
    let method = kept.id.clone();
    let kept = books.put(kept);
    if attaches {
        kept.tell("payment_method.attached", at);
    }
    let waiting: Vec<Subscription> = books
        .all::<Subscription>()
        .filter(|subscription| subscription.pending_setup_intent.as_ref() == Some(&id))
        .cloned()
        .collect();
    for subscription in waiting {
        let saves = subscription.payment_settings.save_default_payment_method == SaveDefault::OnSubscription;
        let default_payment_method =
            if saves { Some(method.clone()) } else { subscription.default_payment_method.clone() };
        books
            .put(Subscription { default_payment_method, pending_setup_intent: None, ..subscription })
            .tell("customer.subscription.updated", at);
    }
}

pub fn cancel(
    books: &mut Books,
    id: &Id<SetupIntent>,
    reason: Option<CancellationReason>,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let intent = books.find(id, "intent")?.clone();
    books.put(intent.cancel(reason)?).tell("setup_intent.canceled", at);
    Ok(())
}

/// A subscription that needs no first payment gets a setup, so that later ones need no customer; unless
/// there is a card for them that nobody must authenticate any more (`pending_setup_intent`).
pub fn pending_for(books: &mut Books, id: &Id<Subscription>, at: &mut Moment) -> Result<(), Refusal> {
    let subscription = books.find(id, "subscription")?.clone();
    let options = subscription.payment_settings.payment_method_options.as_ref().map(OptionsOf::of_setup);
    let method = collect::resolve_for_subscription(books, &subscription).cloned();
    let is_ready = |method: &PaymentMethod| method.internal.set_up || !must_authenticate(method, options.as_ref());
    if method.as_ref().is_some_and(is_ready) {
        return Ok(());
    }
    let new = NewSetup {
        bucket: None,
        checkout: None,
        choice: Choice::default(),
        customer: Some(subscription.customer.clone()),
        description: None,
        livemode: subscription.livemode,
        metadata: Metadata::new(),
        options: options.unwrap_or_default(),
        usage: Usage::OffSession,
    };
    let setup = create(books, new, None, at)?;
    if let Some(method) = method {
        let intent = books.find(&setup, "setup_intent")?.clone();
        require_action(books, intent, &method, None, at);
    }
    books.put(Subscription { pending_setup_intent: Some(setup), ..subscription });
    Ok(())
}

/// An error of a wrong state shows the setup as it is.
pub fn showing(books: &Books, id: &Id<SetupIntent>, mut refusal: Refusal) -> Refusal {
    if refusal.code.as_deref() == Some("setup_intent_unexpected_state") {
        refusal.setup_intent = books.image(id).map(Box::new);
    }
    refusal
}
