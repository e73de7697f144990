//! A customer has filled in the page of a session. What follows is what the API's own calls do; the session
//! is complete when that has succeeded, and as open as before when it has not.

use super::{
    create::{self, Outlook, SetupWish, outlook, prepare, wanted},
    expire, follow,
    item::LineItem,
    session::{CustomerDetails, Mode, Payment, PaymentStatus, Pursuit, Session},
};
use crate::billing::{
    Books, Id, Moment, Refusal,
    answer::Decline,
    attach,
    confirm::{self, Confirmation},
    customer::Customer,
    intend::{self, NewIntent},
    method_types::Choice,
    payment_intent::{ConfirmationMethod, OfSession, PaymentIntent, SetupFutureUsage},
    payment_method::PaymentMethod,
    setup,
    setup_intent::SetupIntent,
    subscribe::{self, NewSubscription, PaymentBehavior},
    subscription::Subscription,
};

/// What was filled in.
#[derive(Clone, Debug, Default)]
pub struct Entries {
    pub accepts_terms: bool,
    pub email: Option<String>,
    /// By key.
    pub fields: Vec<(String, String)>,
    pub name: Option<String>,
    pub phone: Option<String>,
    pub quantities: Vec<(Id<LineItem>, i64)>,
}

/// How it is to be paid, and what the processor has said about that already.
#[derive(Clone, Debug, Default)]
pub struct Means {
    pub payment_method: Option<Id<PaymentMethod>>,
    /// The card cannot be kept for later.
    pub refused: Option<Decline>,
    /// Where to send the customer after authenticating.
    pub return_url: Option<String>,
}

/// What the answer depends on.
#[derive(Clone, Debug, Default)]
pub struct Completion {
    /// If its payment fails, that is the answer.
    pub intent: Option<Id<PaymentIntent>>,
    /// What was decided stands, and this is the answer.
    pub refusal: Option<Refusal>,
}

/// Completes a session, or begins what completes it.
pub fn complete(
    books: &mut Books,
    id: &Id<Session>,
    entries: Entries,
    means: Means,
    at: &mut Moment,
) -> Result<Completion, Refusal> {
    let session = books.at_path(id)?.clone();
    session.check_open("changed")?;
    if session.expires_at <= at.now {
        return Err(Refusal::invalid("This Checkout Session has expired."));
    }
    let again = session.internal.pursuit.clone();
    let session = follow::without_pursuit(session);
    if let Some(pursuit) = again.filter(|_| session.mode == Mode::Subscription) {
        expire::take_back(books, &pursuit, at)?;
    }
    let session = filled(books, session, entries, at)?;
    let session = with_customer(books, session, at)?;
    match session.mode {
        Mode::Payment => pay(books, session, means, at),
        Mode::Subscription => begin(books, &session, means, at),
        Mode::Setup => set_up(books, session, means, at),
    }
}

/// The session with what was filled in.
fn filled(books: &Books, session: Session, entries: Entries, at: &mut Moment) -> Result<Session, Refusal> {
    let mut session = session;
    if session.consent_collection.as_ref().is_some_and(super::asks::ConsentCollection::asks_for_terms) {
        if !entries.accepts_terms {
            return Err(Refusal::missing("consent[terms_of_service]"));
        }
        let terms_of_service = Some(super::asks::Terms::Accepted);
        session.consent = Some(super::asks::Consent { promotions: None, terms_of_service });
    }
    for field in &mut session.custom_fields {
        let given = entries.fields.iter().find(|(key, _)| *key == field.key).map(|(_, value)| value.as_str());
        let value = given.or(field.usual()).map(ToOwned::to_owned);
        *field = field.clone().filled(value.as_deref())?;
    }
    let phone = entries.phone.filter(|phone| !phone.is_empty());
    if session.phone_number_collection.enabled && phone.is_none() {
        return Err(Refusal::missing("phone"));
    }
    let known = session.customer.as_ref().and_then(|id| books.get(id)).filter(|_| !session.internal.brought_customer);
    let fixed = known.and_then(|customer| customer.email.clone()).or_else(|| session.customer_email.clone());
    let email = fixed.or_else(|| entries.email.filter(|email| !email.is_empty()));
    let email = email.ok_or_else(|| Refusal::missing("email"))?;
    let name = entries.name.filter(|name| !name.is_empty());
    session.customer_details = Some(match known {
        Some(customer) => CustomerDetails {
            address: customer.address.clone(),
            name: name.or_else(|| customer.name.clone()),
            phone: phone.or_else(|| customer.phone.clone()),
            tax_exempt: Some(customer.tax_exempt),
            ..CustomerDetails::by_email(Some(email))
        },
        None => CustomerDetails { name, phone, ..CustomerDetails::by_email(Some(email)) },
    });
    let changed = adjusted(&mut session, &entries.quantities)?;
    if changed { create::weigh(books, session, at) } else { Ok(session) }
}

/// Takes the quantities that were chosen. Whether they are others than before.
fn adjusted(session: &mut Session, chosen: &[(Id<LineItem>, i64)]) -> Result<bool, Refusal> {
    let mut changed = false;
    for (id, quantity) in chosen {
        let line = session.internal.line_items.iter_mut().find(|line| line.id == *id);
        let line = line.ok_or_else(|| Refusal::no_such(super::item::NOUN.name, id.as_str()).param("line_items"))?;
        if line.quantity == *quantity {
            continue;
        }
        let allowed = line.choice().is_some_and(|(minimum, maximum)| (minimum.max(1)..=maximum).contains(quantity));
        if !allowed {
            let message = format!("The quantity of {} cannot be {quantity}.", line.id);
            return Err(Refusal::invalid(message).param("line_items"));
        }
        (line.quantity, changed) = (*quantity, true);
    }
    Ok(changed)
}

/// The session with its customer, who is made now if there is none and one is wanted.
fn with_customer(books: &mut Books, session: Session, at: &mut Moment) -> Result<Session, Refusal> {
    let details = session.customer_details.clone();
    let details = details.unwrap_or_else(|| CustomerDetails::by_email(None));
    let mut session = session;
    if session.customer.is_none() {
        if session.makes_customer() {
            let new = Customer::new(&mut at.ids, session.id.bucket(), session.livemode, at.now);
            let CustomerDetails { email, name, phone, .. } = details;
            let new = Customer { email, name, phone, ..new };
            session.customer = Some(new.id.clone());
            session.internal.brought_customer = true;
            books.put(new).tell("customer.created", at);
        }
        return Ok(session);
    }
    let customer = books.customer()?.clone();
    let saves_name = session.internal.brought_customer || session.internal.saves_name;
    let changed = Customer {
        email: if session.internal.brought_customer { details.email } else { customer.email.or(details.email) },
        name: details.name.filter(|_| saves_name).or(customer.name),
        phone: customer.phone.or(details.phone.filter(|_| session.phone_number_collection.enabled)),
        ..customer
    };
    let id = changed.id.clone();
    books.put(changed);
    books.tell(&id, "customer.updated", at);
    Ok(session)
}

fn missing_method() -> Refusal {
    Refusal::missing("payment_method")
}

/// One payment, of a customer or of nobody.
fn pay(books: &mut Books, session: Session, means: Means, at: &mut Moment) -> Result<Completion, Refusal> {
    let total = session.amount_total.unwrap_or_default();
    if total.is_zero() {
        follow::finish(books, session, PaymentStatus::NoPaymentRequired, at);
        return Ok(Completion::default());
    }
    let method = means.payment_method.ok_or_else(missing_method)?;
    let intent = match &session.payment_intent {
        // Another card for the same payment.
        Some(id) => PaymentIntent { amount: total, ..books.find(id, "payment_intent")?.clone() },
        None => {
            let id = intend::create(books, new_intent(&session)?, at)?;
            books.find(&id, "payment_intent")?.clone()
        }
    };
    let prices = if session.makes_invoice() { prices_of(&session) } else { Vec::new() };
    let intent = of_session(intent, &session.id, prices);
    let id = intent.id.clone();
    books.put(intent);
    let confirmation =
        Confirmation { payment_method: Some(method), return_url: means.return_url, ..Confirmation::default() };
    confirm::confirm(books, &id, confirmation, at)?;
    let pursuit = Payment::of(books.find(&id, "payment_intent")?);
    await_payment(books, Session { payment_intent: Some(id.clone()), ..session }, pursuit);
    Ok(Completion { intent: Some(id), refusal: None })
}

fn prices_of(session: &Session) -> Vec<Id<crate::billing::price::Price>> {
    session.internal.line_items.iter().map(|line| line.price.clone()).collect()
}

fn of_session(
    mut intent: PaymentIntent,
    session: &Id<Session>,
    prices: Vec<Id<crate::billing::price::Price>>,
) -> PaymentIntent {
    intent.internal.checkout = Some(Box::new(OfSession { session: session.clone(), prices }));
    intent
}

fn new_intent(session: &Session) -> Result<NewIntent, Refusal> {
    let absent = || Refusal::internal("A session in payment mode has nothing to be paid.");
    let wish = session.internal.payment.clone().ok_or_else(absent)?;
    Ok(NewIntent {
        amount: session.amount_total.ok_or_else(absent)?,
        capture_method: wish.capture_method,
        choice: Choice::default(),
        confirmation_method: ConfirmationMethod::Automatic,
        currency: session.currency.ok_or_else(absent)?,
        customer: session.customer.clone(),
        description: wish.description,
        livemode: session.livemode,
        metadata: wish.metadata,
        options: session.payment_method_options.of_payment(),
        receipt_email: wish.receipt_email,
        setup_future_usage: wish.setup_future_usage,
        shipping: wish.shipping,
        statement_descriptor: wish.statement_descriptor,
        statement_descriptor_suffix: wish.statement_descriptor_suffix,
    })
}

/// The processor is asked; what it says completes the session, or leaves it open.
fn await_payment(books: &mut Books, session: Session, pursuit: Payment) {
    let mut session = session;
    (session.internal.paying, session.internal.pursuit) = (true, Some(Pursuit::Payment(pursuit)));
    books.put(session);
}

/// A subscription: paid for now, or with a card for when it is.
fn begin(books: &mut Books, session: &Session, means: Means, at: &mut Moment) -> Result<Completion, Refusal> {
    let Outlook { session, owes } = outlook(books, session, at)?;
    let method = match means.payment_method {
        Some(method) => method,
        None if session.needs_method(owes) => return Err(missing_method()),
        None => {
            subscribe_free(books, session, None, at)?;
            return Ok(Completion::default());
        }
    };
    let customer = books.customer()?.id.clone();
    confirm::check_owner(books.find(&method, "payment_method")?, Some(&customer), "Checkout Session")?;
    if owes {
        let new = wanted(books, &session, customer)?;
        let new =
            NewSubscription { charged_to: Some(method), payment_behavior: PaymentBehavior::ErrorIfIncomplete, ..new };
        let id = subscribe::subscribe(books, &new, at)?;
        return hold(books, session, &id, means.return_url);
    }
    if let Some(decline) = means.refused {
        return Err(decline.refusal());
    }
    let kept = books.find(&method, "payment_method")?.internal.clone();
    if !kept.authenticates || kept.set_up {
        attach::attach(books, &method, at)?;
        subscribe_free(books, session, Some(method), at)?;
        return Ok(Completion::default());
    }
    // Its holder is here now, and will not be when it is charged.
    let setup = prepare(books, &session, SetupWish::default(), at)?;
    let mut session = session;
    session.internal.pursuit = Some(Pursuit::Setup(setup.clone()));
    books.put(session);
    let confirmation = setup::Confirmation { payment_method: method, return_url: means.return_url, refused: None };
    setup::confirm(books, &setup, &confirmation, at)?;
    Ok(Completion::default())
}

/// Subscribes where nothing is to be paid now; then the session is complete.
pub fn subscribe_free(
    books: &mut Books,
    session: Session,
    method: Option<Id<PaymentMethod>>,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let customer = books.customer()?.id.clone();
    let new = NewSubscription { default_payment_method: method, ..wanted(books, &session, customer)? };
    let id = subscribe::subscribe(books, &new, at)?;
    let invoice = books.find(&id, "subscription")?.latest_invoice.clone();
    let session = create::billed(session, invoice.as_ref().and_then(|id| books.get(id)))?;
    let session = Session { invoice, subscription: Some(id), ..session };
    follow::finish(books, session, PaymentStatus::NoPaymentRequired, at);
    Ok(())
}

/// The subscription, its invoice and its payment wait for the session, and the session for the payment.
fn hold(
    books: &mut Books,
    session: Session,
    id: &Id<Subscription>,
    return_url: Option<String>,
) -> Result<Completion, Refusal> {
    let mut subscription = books.find(id, "subscription")?.clone();
    subscription.internal.checkout = Some(session.id.clone());
    books.put(subscription);
    let intent = subscribe::first_intent(books, id).and_then(|intent| books.get(&intent)).cloned();
    let intent = intent.ok_or_else(|| Refusal::internal("A subscription that owes something has no payment."))?;
    let mut intent = of_session(intent, &session.id, Vec::new());
    intent.setup_future_usage = Some(SetupFutureUsage::OffSession);
    if let Some(attempt) = &mut intent.internal.attempt {
        attempt.return_url = return_url;
    }
    let (id, pursuit) = (intent.id.clone(), Payment::of(&intent));
    books.put(intent);
    await_payment(books, session, pursuit);
    Ok(Completion { intent: Some(id), refusal: None })
}

/// A card is kept for later, and nothing else.
fn set_up(books: &mut Books, session: Session, means: Means, at: &mut Moment) -> Result<Completion, Refusal> {
    let payment_method = means.payment_method.ok_or_else(missing_method)?;
    let id = session.setup_intent.clone();
    let id = id.ok_or_else(|| Refusal::internal("A session in setup mode has nothing to set up."))?;
    let intent = books.find(&id, "setup_intent")?.clone();
    books.put(SetupIntent { customer: session.customer.clone(), ..intent });
    books.put(session);
    let refused = means.refused;
    let confirmation = setup::Confirmation { payment_method, return_url: means.return_url, refused: refused.clone() };
    setup::confirm(books, &id, &confirmation, at)?;
    follow::set_up(books, &id, at)?;
    Ok(Completion { intent: None, refusal: refused.as_ref().map(Decline::refusal) })
}
