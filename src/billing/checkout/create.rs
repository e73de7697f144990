//! A new session: what is sold, to whom, until when, and what it will come to.

use std::slice;

use super::{
    asks, expire,
    item::{self, AdjustableQuantity, LineItem},
    session::{CustomerDetails, Mode, Session, SubscriptionWish, TotalDetails},
};
use crate::billing::{
    Amount, Books, Currency, Id, Metadata, Moment, Refusal, Timestamp,
    begin::When,
    customer::Customer,
    edit::within,
    extra::{ExtraEnd, ExtraStart, NewExtra},
    id::Bucket,
    intend,
    invoice::Invoice,
    items,
    method_types::Choice,
    price::{Kind, Price},
    setup::{self, NewSetup},
    setup_intent::{SetupIntent, Usage},
    shape::Patch,
    subscribe::{self, NewItem, NewSubscription, PaymentBehavior},
    subscription::PaymentSettings,
    trial::{TrialEnd, TrialWanted},
};

/// A line as it is asked for.
#[derive(Clone, Debug)]
pub struct NewLine {
    pub adjustable_quantity: Option<AdjustableQuantity>,
    /// It was offered already, or is made for this: its price need not be for sale.
    pub agreed: bool,
    /// Of one that is there already.
    pub id: Option<Id<LineItem>>,
    pub metadata: Metadata,
    pub price: Id<Price>,
    pub quantity: Option<i64>,
}

/// What a new setup says.
#[derive(Clone, Debug, Default)]
pub struct SetupWish {
    pub description: Option<String>,
    pub metadata: Metadata,
}

/// A session lives for a day, unless it is to be less; half an hour at least.
pub const USUAL_LIFE_SECONDS: i64 = 86_400;
const SHORTEST_LIFE_SECONDS: i64 = 1800;
/// A trial that is asked for by its end lasts 48 hours at least.
const SHORTEST_TRIAL_SECONDS: i64 = 48 * 3600;
const MAXIMUM_LINES: usize = 100;
const MAXIMUM_OF_A_KIND: usize = 20;

/// Opens a session: one that has all that was said of it, but for its lines and what follows from them.
pub fn open(
    books: &mut Books,
    session: Session,
    lines: Vec<NewLine>,
    setup: SetupWish,
    at: &mut Moment,
) -> Result<Id<Session>, Refusal> {
    check_life(session.expires_at, at.now)?;
    check_trial(session.internal.subscription.as_ref(), at.now)?;
    asks::check_fields(&session.custom_fields)?;
    let customer = session.customer.as_ref().map(|id| books.find(id, "customer")).transpose()?.cloned();
    let mut session = session;
    session.internal.test_clock = customer.as_ref().and_then(|customer| customer.test_clock.clone());
    session.customer_details = details(&session, customer.as_ref());
    session.url = Some(session.page(&at.address));
    let session = match session.mode {
        Mode::Setup if !lines.is_empty() => {
            let message = "You cannot pass `line_items` in `setup` mode.";
            return Err(Refusal::invalid(message).param("line_items"));
        }
        Mode::Setup => {
            let intent = prepare(books, &session, setup, at)?;
            Session { setup_intent: Some(intent), ..session }
        }
        Mode::Payment | Mode::Subscription => weigh(books, with_lines(books, session, lines, at)?, at)?,
    };
    let id = session.id.clone();
    books.put(session);
    Ok(id)
}

/// Gives an open session other lines. What was begun for the old ones is taken back.
pub fn relist(books: &mut Books, session: Session, lines: Vec<NewLine>, at: &mut Moment) -> Result<Session, Refusal> {
    session.check_open("changed")?;
    if session.mode == Mode::Setup {
        return Err(Refusal::invalid("You cannot pass `line_items` in `setup` mode.").param("line_items"));
    }
    let mut session = session;
    if let Some(pursuit) = session.internal.pursuit.take() {
        expire::take_back(books, &pursuit, at)?;
        session.payment_intent = None;
    }
    let session = with_lines(books, session, lines, at)?;
    weigh(books, session, at)
}

fn check_life(expires_at: Timestamp, now: Timestamp) -> Result<(), Refusal> {
    let message = if expires_at < now.plus_seconds(SHORTEST_LIFE_SECONDS) {
        "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation."
    } else if expires_at > now.plus_seconds(USUAL_LIFE_SECONDS) {
        "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation."
    } else {
        return Ok(());
    };
    Err(Refusal::invalid(message).param("expires_at"))
}

fn check_trial(wish: Option<&SubscriptionWish>, now: Timestamp) -> Result<(), Refusal> {
    if wish.and_then(|wish| wish.trial_end).is_some_and(|end| end < now.plus_seconds(SHORTEST_TRIAL_SECONDS)) {
        let message = "The `trial_end` date has to be at least 2 days in the future.";
        return Err(Refusal::invalid(message).param("subscription_data[trial_end]"));
    }
    Ok(())
}

/// What is known of the customer before the page is filled in.
fn details(session: &Session, customer: Option<&Customer>) -> Option<CustomerDetails> {
    let known = customer.and_then(|customer| customer.email.clone());
    let email = known.or_else(|| session.customer_email.clone());
    email.map(|email| CustomerDetails::by_email(Some(email)))
}

/// The setup that a session in setup mode completes, or that keeps the card of a subscription which owes nothing yet.
pub fn prepare(
    books: &mut Books,
    session: &Session,
    wish: SetupWish,
    at: &mut Moment,
) -> Result<Id<SetupIntent>, Refusal> {
    let new = NewSetup {
        bucket: Some(session.id.bucket()),
        checkout: Some(session.id.clone()),
        choice: Choice::default(),
        customer: session.customer.clone(),
        description: wish.description,
        livemode: session.livemode,
        metadata: wish.metadata,
        options: session.payment_method_options.of_setup(),
        usage: Usage::OffSession,
    };
    setup::create(books, new, None, at)
}

/// The session with its lines, as far as they can stand on one; what they cost comes later.
fn with_lines(books: &Books, session: Session, lines: Vec<NewLine>, at: &mut Moment) -> Result<Session, Refusal> {
    let refuse = |message: &str| Err(Refusal::invalid(message).param("line_items"));
    if lines.is_empty() {
        return Err(Refusal::missing("line_items"));
    }
    let mut recurring = 0;
    let usual = books.customer().ok().and_then(|customer| customer.currency);
    let mut currency = session.currency;
    let mut made = Vec::with_capacity(lines.len());
    for (place, line) in lines.into_iter().enumerate() {
        let param = format!("line_items[{place}]");
        let agreed = if line.agreed { slice::from_ref(&line.price) } else { &[] };
        let price = items::usable(books, &line.price, &within(&param, "price"), agreed)?;
        recurring += usize::from(price.kind == Kind::Recurring);
        if price.kind == Kind::Recurring && session.mode == Mode::Payment {
            let message = "You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode or \
                           use only one-time prices.";
            return Err(Refusal::invalid(message).param(within(&param, "price")));
        }
        let own = || usual.filter(|usual| price.in_currency(*usual).is_some()).unwrap_or(price.currency);
        let common = *currency.get_or_insert_with(own);
        if price.in_currency(common).is_none() {
            let message = format!("The price {} is not in {common}, the currency of the Checkout Session.", price.id);
            return Err(Refusal::invalid(message).param(within(&param, "price")));
        }
        let description = books.product(&price.product).map(|product| product.name.clone());
        made.push(checked(line, common, description, &param, at)?);
    }
    let others = made.len() - recurring;
    if session.mode == Mode::Subscription && recurring == 0 {
        return refuse("You must provide at least one recurring price in `subscription` mode when using prices.");
    }
    if session.mode == Mode::Subscription && (recurring > MAXIMUM_OF_A_KIND || others > MAXIMUM_OF_A_KIND) {
        return refuse(
            "A Checkout Session in `subscription` mode has at most 20 recurring and 20 one-time line items.",
        );
    }
    if made.len() > MAXIMUM_LINES {
        return refuse(&format!("Array line_items exceeded maximum {MAXIMUM_LINES} allowed elements."));
    }
    let mut session = session;
    (session.currency, session.internal.line_items) = (currency, made);
    Ok(session)
}

fn checked(
    line: NewLine,
    currency: Currency,
    description: Option<String>,
    param: &str,
    at: &mut Moment,
) -> Result<LineItem, Refusal> {
    let Some(quantity) = line.quantity else {
        let message = format!("Quantity is required. Add `quantity` to `{param}`");
        return Err(Refusal::invalid(message).param(within(param, "quantity")));
    };
    if quantity < 1 {
        return Err(Refusal::below(1).param(within(param, "quantity")));
    }
    line.adjustable_quantity.map_or(Ok(()), |adjustable| adjustable.check(quantity, param))?;
    let id = line.id.unwrap_or_else(|| Id::given(at.ids.next(item::NOUN.prefix, Bucket::SHARED)));
    Ok(LineItem {
        id,
        object: item::Tag::Item,
        adjustable_quantity: line.adjustable_quantity,
        amount_discount: Amount::ZERO,
        amount_subtotal: Amount::ZERO,
        amount_tax: Amount::ZERO,
        amount_total: Amount::ZERO,
        currency,
        description,
        metadata: line.metadata,
        price: line.price,
        quantity,
    })
}

/// The session with what its lines come to, if that can be sold.
pub fn weigh(books: &Books, session: Session, at: &mut Moment) -> Result<Session, Refusal> {
    if session.mode == Mode::Subscription {
        return Ok(outlook(books, &session, at)?.session);
    }
    let mut lines = Vec::with_capacity(session.internal.line_items.len());
    for line in session.internal.line_items.clone() {
        let price = books.price(&line.price).and_then(|price| price.in_currency(line.currency));
        let amount = price.map_or(Ok(Amount::ZERO), |price| price.amount(line.quantity))?;
        lines.push(line.coming_to(amount));
    }
    let session = totalled(session, lines)?;
    // What is free needs no payment.
    match (session.amount_total, session.currency) {
        (Some(total), Some(currency)) if !total.is_zero() => {
            let of_session = |refusal: Refusal| Refusal {
                message: format!("The Checkout Session's total amount cannot be charged. {}", refusal.message),
                param: Some("line_items".to_owned()),
                ..refusal
            };
            intend::check_amount(total, currency).map_err(of_session)?;
        }
        _ => {}
    }
    Ok(session)
}

fn totalled(mut session: Session, lines: Vec<LineItem>) -> Result<Session, Refusal> {
    let total = lines.iter().try_fold(Amount::ZERO, |total, line| total.plus(line.amount_total))?;
    (session.amount_subtotal, session.amount_total) = (Some(total), Some(total));
    session.total_details = Some(TotalDetails { amount_shipping: Some(Amount::ZERO), ..TotalDetails::default() });
    session.internal.line_items = lines;
    Ok(session)
}

/// The session with what its first invoice says its lines come to.
pub fn billed(session: Session, invoice: Option<&Invoice>) -> Result<Session, Refusal> {
    let lines = invoice.map(|invoice| &invoice.lines.data[..]).unwrap_or_default();
    let comes_to = |price: &Id<Price>| {
        let of_it = lines.iter().filter(|line| line.pricing.as_ref().and_then(|one| one.price()) == Some(price));
        of_it.map(|line| line.amount).try_fold(Amount::ZERO, Amount::plus)
    };
    let mut items = Vec::with_capacity(session.internal.line_items.len());
    for line in session.internal.line_items.clone() {
        let amount = comes_to(&line.price)?;
        items.push(line.coming_to(amount));
    }
    totalled(session, items)
}

/// What subscribing would come to.
pub struct Outlook {
    pub session: Session,
    /// Whether something must be paid now.
    pub owes: bool,
}

/// Subscribes on books that are never closed: what can be sold, and what it comes to, is what the rule says.
pub fn outlook(books: &Books, session: &Session, at: &mut Moment) -> Result<Outlook, Refusal> {
    let mut books = books.clone();
    let customer = match books.customer() {
        Ok(customer) => customer.id.clone(),
        Err(_) => {
            let nobody = Customer::new(&mut at.ids, session.id.bucket(), session.livemode, at.now);
            let id = nobody.id.clone();
            books.put(nobody);
            id
        }
    };
    let wanted =
        NewSubscription { payment_behavior: PaymentBehavior::DefaultIncomplete, ..wanted(&books, session, customer)? };
    let id = subscribe::subscribe(&mut books, &wanted, at).map_err(in_session)?;
    let latest = books.find(&id, "subscription")?.latest_invoice.clone();
    let invoice = latest.as_ref().and_then(|id| books.get(id));
    let owes = invoice.is_some_and(|invoice| !invoice.amount_remaining.is_zero());
    Ok(Outlook { session: billed(session.clone(), invoice)?, owes })
}

/// A refusal of the rule that subscribes, in the words of a session.
fn in_session(refusal: Refusal) -> Refusal {
    let param = refusal.param.as_deref().map(|param| {
        let of_lines = ["items", "add_invoice_items", "currency"].iter().any(|name| param.starts_with(name));
        if of_lines { "line_items".to_owned() } else { format!("subscription_data[{}", nested(param)) }
    });
    Refusal { param, ..refusal }
}

/// `trial_end` as `trial_end]`, `a[b]` as `a][b]`.
fn nested(param: &str) -> String {
    match param.split_once('[') {
        Some((name, rest)) => format!("{name}][{rest}"),
        None => format!("{param}]"),
    }
}

/// The subscription that a session asks for: what recurs, and beside it what is bought once.
pub fn wanted(books: &Books, session: &Session, customer: Id<Customer>) -> Result<NewSubscription, Refusal> {
    let wish = session.internal.subscription.clone();
    let wish = wish.ok_or_else(|| Refusal::internal("A session in subscription mode has nothing to subscribe to."))?;
    let (mut recurring, mut extras) = (Vec::new(), Vec::new());
    for line in &session.internal.line_items {
        let item = NewItem { metadata: Metadata::new(), price: line.price.clone(), quantity: line.quantity };
        if books.price(&line.price).is_some_and(|price| price.kind == Kind::OneTime) {
            let (start, end) = (ExtraStart::MaxItemPeriodStart, ExtraEnd::MinItemPeriodEnd);
            extras.push(NewExtra { item, discountable: true, start, end });
        } else {
            recurring.push(item);
        }
    }
    Ok(NewSubscription {
        extras,
        billing_mode: wish.billing_mode,
        currency: session.currency,
        description: wish.description,
        invoice_settings: wish.invoice_settings,
        metadata: wish.metadata,
        pending_interval: wish.pending_interval.map_or(Patch::Keep, Patch::Set),
        payment_settings: PaymentSettings {
            payment_method_options: session.payment_method_options.of_subscription(),
            ..PaymentSettings::default()
        },
        trial: TrialWanted { end: wish.trial_end.map(TrialEnd::At), days: wish.trial_days, from_plan: false },
        trial_settings: wish.trial_settings,
        when: When {
            anchor: wish.anchor,
            anchor_config: wish.anchor_config,
            free_of_prorations: wish.free_of_prorations,
            ..When::default()
        },
        // A price that was offered is sold at that, whether or not it is offered to others.
        agreed: session.internal.line_items.iter().map(|line| line.price.clone()).collect(),
        ..NewSubscription::of(customer, recurring)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Between half an hour and a day.
    #[test]
    fn a_session_lives_for_a_while() {
        let now = Timestamp::new(1_700_000_000);
        for (seconds, fine) in [(1799, false), (1800, true), (86_400, true), (86_401, false), (-1, false)] {
            assert_eq!(check_life(now.plus_seconds(seconds), now).is_ok(), fine, "{seconds}");
        }
    }

    #[test]
    fn refusals_name_the_parameters_of_a_session() {
        for (param, shown) in [
            ("items[0][price]", "line_items"),
            ("add_invoice_items[1]", "line_items"),
            ("trial_end", "subscription_data[trial_end]"),
            ("billing_cycle_anchor_config[month]", "subscription_data[billing_cycle_anchor_config][month]"),
        ] {
            let refusal = in_session(Refusal::invalid("No.").param(param));
            assert_eq!(refusal.param.as_deref(), Some(shown));
        }
    }
}
