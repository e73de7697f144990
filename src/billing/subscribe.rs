//! Creating a subscription: its items and periods, its first invoice, and the first payment.

use super::{
    Books, Currency, Id, Metadata, Moment, Refusal, Timestamp,
    anchor::Span,
    announce,
    begin::{self, Beginning, First, When},
    bill::{self, Bill},
    card,
    collect::{self, Collection},
    customer::Customer,
    end_date::CancelAt,
    erase,
    extra::{self, NewExtra},
    finalize,
    invoice::{BillingReason, Invoice, Status as InvoiceStatus},
    invoice_item::InvoiceItem,
    items,
    payment_intent::{PaymentIntent, Status as IntentStatus},
    payment_method::PaymentMethod,
    pending_interval::{self, PendingInterval},
    period::Period,
    price::Price,
    prorate::{self, Billed},
    setup,
    shape::{Inlined, Nothing, Null, Patch},
    subscription::{
        AutomaticTax, BillingMode, BillingModeType, CancellationDetails, CollectionMethod, Internal, InvoiceSettings,
        Item, PaymentSettings, Status, Subscription, Tag, TrialSettings,
    },
    subscription_schedule::{Status as Scheduled, SubscriptionSchedule},
    trial::TrialWanted,
    upcoming,
};
use crate::words;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct NewSubscription {
    pub customer: Id<Customer>,
    pub items: Vec<NewItem>,
    pub extras: Vec<NewExtra>,
    pub billing_mode: BillingMode,
    pub cancel_at: Option<CancelAt>,
    /// What the first payment is charged to, if not to what later ones are.
    pub charged_to: Option<Id<PaymentMethod>>,
    pub collection_method: CollectionMethod,
    pub currency: Option<Currency>,
    pub days_until_due: Option<i64>,
    pub default_payment_method: Option<Id<PaymentMethod>>,
    pub default_source: Option<Id<PaymentMethod>>,
    pub description: Option<String>,
    pub invoice_settings: InvoiceSettings,
    pub metadata: Metadata,
    pub off_session: bool,
    pub payment_behavior: PaymentBehavior,
    pub payment_settings: PaymentSettings,
    pub pending_interval: Patch<PendingInterval>,
    pub trial: TrialWanted,
    pub trial_settings: TrialSettings,
    /// Its trial's end and the end of the subscription come from the two above.
    pub when: When,
    /// The schedule whose first phase begins with it: it has service at once, and its first invoice is a draft
    /// for an hour.
    pub schedule: Option<Id<SubscriptionSchedule>>,
    /// Prices that were agreed on when they were for sale.
    pub agreed: Vec<Id<Price>>,
}

#[derive(Clone, Debug)]
pub struct NewItem {
    pub metadata: Metadata,
    pub price: Id<Price>,
    pub quantity: i64,
}

impl NewSubscription {
    /// Whether its first invoice can be looked at for an hour.
    fn waits(&self) -> bool {
        self.schedule.is_some() || self.collection_method == CollectionMethod::SendInvoice
    }

    /// The same as a call that names nothing but the customer and the items.
    pub fn of(customer: Id<Customer>, items: Vec<NewItem>) -> NewSubscription {
        NewSubscription {
            customer,
            items,
            extras: Vec::new(),
            billing_mode: BillingMode::flexible(),
            cancel_at: None,
            charged_to: None,
            collection_method: CollectionMethod::ChargeAutomatically,
            currency: None,
            days_until_due: None,
            default_payment_method: None,
            default_source: None,
            description: None,
            invoice_settings: InvoiceSettings::default(),
            metadata: Metadata::new(),
            off_session: false,
            payment_behavior: PaymentBehavior::AllowIncomplete,
            payment_settings: PaymentSettings::default(),
            pending_interval: Patch::Keep,
            trial: TrialWanted::default(),
            trial_settings: TrialSettings::default(),
            when: When::default(),
            schedule: None,
            agreed: Vec::new(),
        }
    }
}

words!(
    /// What to do about the first payment.
    PaymentBehavior {
        /// Try at once; unpaid leaves it incomplete.
        AllowIncomplete = "allow_incomplete",
        /// Leave the first payment to the client.
        DefaultIncomplete = "default_incomplete",
        /// Try at once; unpaid creates nothing.
        ErrorIfIncomplete = "error_if_incomplete",
        /// For updates only.
        PendingIfIncomplete = "pending_if_incomplete",
    }
);

const MAXIMUM_SUBSCRIPTIONS: usize = 500;
/// A hundred years.
const MAXIMUM_DAYS_UNTIL_DUE: i64 = 36_500;

/// Subscribes a customer (what one `POST /v1/subscriptions` does, in order).
pub fn subscribe(books: &mut Books, wanted: &NewSubscription, at: &mut Moment) -> Result<Id<Subscription>, Refusal> {
    let customer = books.customer()?.clone();
    // What was told before stays before it.
    let told = books.told_so_far();
    check_customer(books, &customer, wanted)?;
    let mode = wanted.billing_mode.kind;
    let (cycles, currency) = items::check(books, &customer, &wanted.items, wanted.currency, mode, &wanted.agreed)?;
    let begun = begin::begin(&when(books, wanted, at.now)?, &cycles, at.now)?;
    let subscription = blank(&customer, wanted, &begun, currency, at).ending(wanted.cancel_at, at.now);
    let mut subscription = pending_interval::set(subscription, &wanted.pending_interval, at.now)?;
    subscription.internal.upcoming = upcoming::planned(books, subscription.livemode);
    subscription.internal.billed = begins_free(books, &subscription, &begun)?;
    let has_stub = begun.trial.is_some_and(|trial| trial.end != begun.anchor);
    subscription.internal.free_stub = has_stub && wanted.when.free_of_prorations;
    (subscription.internal.only_if_paid, subscription.internal.set_currency) =
        (wanted.payment_behavior == PaymentBehavior::ErrorIfIncomplete, customer.currency.is_none());
    let id = subscription.id.clone();
    books.put(subscription.clone());
    if customer.currency.is_none() {
        books.put(Customer { currency: Some(currency), ..customer.clone() });
    }
    for (index, extra) in wanted.extras.iter().enumerate() {
        extra::add(books, &subscription, extra, index, &wanted.agreed, at)?;
    }
    let invoice = first_invoice(books, &subscription, &begun, wanted, at)?;
    let asked = match &invoice {
        Some(invoice) => start(books, &id, invoice, wanted, at)?,
        None => settle(books, &id, false, at)?,
    };
    if customer.currency.is_none() {
        books.tell(&customer.id, "customer.updated", at);
    }
    announce::withhold(books, &id, told)?;
    if !asked {
        announce::announce(books, &id, at)?;
    }
    Ok(id)
}

fn check_customer(books: &Books, customer: &Customer, wanted: &NewSubscription) -> Result<(), Refusal> {
    // One that was scheduled has its place already.
    if wanted.schedule.is_none() {
        check_room(books, customer)?;
    }
    if wanted.payment_behavior == PaymentBehavior::PendingIfIncomplete {
        let message = "The payment_behavior 'pending_if_incomplete' can only be used when updating a subscription.";
        return Err(Refusal::invalid(message).param("payment_behavior"));
    }
    check_days_until_due(wanted.collection_method, wanted.days_until_due)?;
    if wanted.collection_method == CollectionMethod::SendInvoice {
        check_has_email(customer)?;
    }
    check_methods(books, wanted.default_payment_method.as_ref(), wanted.default_source.as_ref(), &customer.id)
}

/// Whether a customer can have another subscription: those that are yet to begin count, too.
pub fn check_room(books: &Books, customer: &Customer) -> Result<(), Refusal> {
    let live = books.all::<Subscription>().filter(|subscription| !subscription.status.is_terminal()).count();
    let scheduled = books.all::<SubscriptionSchedule>().filter(|schedule| schedule.status == Scheduled::NotStarted);
    if live + scheduled.count() < MAXIMUM_SUBSCRIPTIONS {
        return Ok(());
    }
    let message = format!(
        "The customer {} already has {MAXIMUM_SUBSCRIPTIONS} subscriptions, the most there can be.",
        customer.id
    );
    Err(Refusal::invalid(message).code("customer_max_subscriptions"))
}

pub fn check_has_email(customer: &Customer) -> Result<(), Refusal> {
    if customer.email.is_some() {
        return Ok(());
    }
    let message =
        "Missing email. In order to create invoices that are sent to the customer, the customer must have an email.";
    Err(Refusal::invalid(message).param("customer"))
}

/// A subscription whose invoices are collected in this way from now on; those there are stay as they are.
pub fn collected_by(
    books: &Books,
    subscription: Subscription,
    method: Option<CollectionMethod>,
    days: Option<i64>,
) -> Result<Subscription, Refusal> {
    if method.is_none() && days.is_none() {
        return Ok(subscription);
    }
    let collection_method = method.unwrap_or(subscription.collection_method);
    let days_until_due = match collection_method {
        CollectionMethod::SendInvoice => days.or(subscription.days_until_due),
        CollectionMethod::ChargeAutomatically => days,
    };
    check_days_until_due(collection_method, days_until_due)?;
    if collection_method == CollectionMethod::SendInvoice {
        check_has_email(books.customer()?)?;
    }
    Ok(Subscription { collection_method, days_until_due, ..subscription })
}

/// Whoever is sent invoices has days to pay them; whoever is charged has none.
pub fn check_days_until_due(method: CollectionMethod, days: Option<i64>) -> Result<(), Refusal> {
    let message = match (method, days) {
        (CollectionMethod::SendInvoice, None) => {
            "If you're using collection_method=send_invoice, you must provide days_until_due."
        }
        (CollectionMethod::ChargeAutomatically, Some(_)) => {
            "You can only set days_until_due if collection_method=send_invoice."
        }
        (CollectionMethod::SendInvoice, Some(days)) if !(0..=MAXIMUM_DAYS_UNTIL_DUE).contains(&days) => {
            "Invalid days_until_due: it must be between 0 and 36500."
        }
        (CollectionMethod::SendInvoice, Some(_)) | (CollectionMethod::ChargeAutomatically, None) => return Ok(()),
    };
    Err(Refusal::invalid(message).param("days_until_due"))
}

/// A payment method named in a parameter must be attached to the customer.
pub fn check_payment_method(
    books: &Books,
    id: &Id<PaymentMethod>,
    customer: &Id<Customer>,
    param: &str,
) -> Result<(), Refusal> {
    let attached = books.get(id).is_some_and(|method| method.customer.as_ref() == Some(customer));
    if attached {
        return Ok(());
    }
    let message = format!(
        "No such PaymentMethod: '{id}'; it's possible that this PaymentMethod exists but is not attached to the customer {customer}."
    );
    Err(Refusal::invalid(message).code("resource_missing").param(param))
}

/// The same for a card that is named in the old way.
pub fn check_source(books: &Books, id: &Id<PaymentMethod>, customer: &Id<Customer>) -> Result<(), Refusal> {
    let attached = books.get(id).is_some_and(|method| method.customer.as_ref() == Some(customer));
    if attached { Ok(()) } else { Err(Refusal::no_such(card::NOUN.name, id.as_str()).param("default_source")) }
}

/// Whatever is named to be charged must be the customer's.
pub fn check_methods(
    books: &Books,
    method: Option<&Id<PaymentMethod>>,
    source: Option<&Id<PaymentMethod>>,
    customer: &Id<Customer>,
) -> Result<(), Refusal> {
    method.map_or(Ok(()), |method| check_payment_method(books, method, customer, "default_payment_method"))?;
    source.map_or(Ok(()), |source| check_source(books, source, customer))
}

/// What is asked for about time, all together.
fn when(books: &Books, wanted: &NewSubscription, now: Timestamp) -> Result<When, Refusal> {
    let prices = wanted.items.iter().filter_map(|item| books.price(&item.price));
    Ok(When {
        trial_end: wanted.trial.end(prices, now)?,
        cancel_at: wanted.cancel_at.and_then(CancelAt::time),
        line_per_period: wanted.billing_mode.kind == BillingModeType::Flexible,
        ..wanted.when.clone()
    })
}

/// What begins without being billed for its first period: nothing of it is given back later.
fn begins_free(books: &Books, subscription: &Subscription, begun: &Beginning) -> Result<Vec<Billed>, Refusal> {
    let is_billed = |first: &First| first.billed.iter().any(|(period, _)| period.end == first.period.end);
    let free = subscription.items.data.iter().zip(&begun.items).filter(|(_, first)| !is_billed(first));
    free.map(|(item, first)| prorate::nothing_billed(books, item, subscription.currency, first.period.start)).collect()
}

fn blank(
    customer: &Customer,
    wanted: &NewSubscription,
    begun: &Beginning,
    currency: Currency,
    at: &mut Moment,
) -> Subscription {
    let id: Id<Subscription> = Id::new(&mut at.ids, customer.id.bucket());
    let items = wanted.items.iter().zip(&begun.items);
    let items: Vec<Item> = items
        .map(|(item, first)| Item::new(&id, item.price.clone(), item.quantity, item.metadata.clone(), first.period, at))
        .collect();
    Subscription {
        object: Tag::Subscription,
        application: Null,
        application_fee_percent: Null,
        automatic_tax: AutomaticTax::default(),
        billing_cycle_anchor: begun.anchor,
        billing_cycle_anchor_config: begun.anchor_config,
        billing_mode: wanted.billing_mode.clone(),
        billing_schedules: Nothing,
        billing_thresholds: Null,
        cancel_at: None,
        cancel_at_period_end: false,
        canceled_at: None,
        cancellation_details: CancellationDetails::default(),
        collection_method: wanted.collection_method,
        created: at.now,
        currency,
        customer: customer.id.clone(),
        customer_account: Null,
        days_until_due: wanted.days_until_due,
        default_payment_method: wanted.default_payment_method.clone(),
        default_source: wanted.default_source.clone(),
        default_tax_rates: Nothing,
        description: wanted.description.clone(),
        discounts: Nothing,
        ended_at: None,
        invoice_settings: wanted.invoice_settings.clone(),
        items: Inlined::new(format!("/v1/subscription_items?subscription={id}"), items),
        latest_invoice: None,
        livemode: customer.livemode,
        managed_payments: Null,
        metadata: wanted.metadata.clone(),
        next_pending_invoice_item_invoice: None,
        on_behalf_of: Null,
        pause_collection: None,
        payment_settings: wanted.payment_settings.clone(),
        pending_invoice_item_interval: None,
        pending_setup_intent: None,
        pending_update: None,
        schedule: wanted.schedule.clone(),
        start_date: begun.start_date,
        status: Status::Incomplete,
        status_details: None,
        test_clock: customer.test_clock.clone(),
        transfer_data: Null,
        trial_end: begun.trial.map(|trial| trial.end),
        trial_settings: wanted.trial_settings,
        trial_start: begun.trial.map(|trial| trial.start),
        // Nobody hears of it before it is known what becomes of it.
        internal: Internal { unannounced: true, ..Internal::default() },
        id,
    }
}

/// The invoice for what is billed at the beginning; none when that is nothing at all. An automatically
/// charged one is finalised inside the request; one that is sent, or was scheduled, stays a draft for its hour.
fn first_invoice(
    books: &mut Books,
    subscription: &Subscription,
    begun: &Beginning,
    wanted: &NewSubscription,
    at: &mut Moment,
) -> Result<Option<Id<Invoice>>, Refusal> {
    let billed = subscription.items.data.iter().zip(&begun.items);
    let spans: Vec<Span> = billed
        .flat_map(|(item, first)| first.billed.iter().map(|(period, terms)| (item.id.clone(), *period, *terms)))
        .map(|(item, period, terms)| Span { item, period, terms })
        .collect();
    if spans.is_empty() && wanted.extras.is_empty() {
        return Ok(None);
    }
    let waits = wanted.waits();
    let bill = Bill {
        reason: BillingReason::SubscriptionCreate,
        subscription: Some(subscription),
        spans,
        period: Period { start: at.now, end: at.now },
        cycle: subscription.period().map(|period| period.start),
        auto_advance: waits,
        currency: subscription.currency,
        include_pending_items: true,
    };
    let invoice = bill::draft(books, &bill, at)?;
    books.put(Subscription { latest_invoice: Some(invoice.clone()), ..subscription.clone() });
    // A trial's invoice over nothing is paid at once, however invoices are collected.
    let free_trial = begun.trial.is_some() && books.find(&invoice, "invoice")?.total.is_zero();
    if !waits || free_trial {
        finalize::finalize(books, &invoice, at)?;
    }
    if subscription.internal.only_if_paid {
        let taken = books.all::<InvoiceItem>().filter(|item| item.invoice.as_ref() == Some(&invoice));
        let taken = taken.map(|item| item.id.clone()).collect();
        erase::remember(books, &invoice, taken);
    }
    Ok(Some(invoice))
}

/// What becomes of the new subscription now (`payment_behavior` on creation). Whether the processor is
/// to be asked first.
fn start(
    books: &mut Books,
    id: &Id<Subscription>,
    invoice: &Id<Invoice>,
    wanted: &NewSubscription,
    at: &mut Moment,
) -> Result<bool, Refusal> {
    // Who is sent invoices, or was scheduled, has service whether or not they are paid.
    let owes = books.find(invoice, "invoice")?.status != InvoiceStatus::Paid;
    if !owes || wanted.waits() {
        return settle(books, id, owes, at);
    }
    match wanted.payment_behavior {
        PaymentBehavior::AllowIncomplete | PaymentBehavior::ErrorIfIncomplete => {
            let payment_method = wanted.charged_to.clone();
            let collection = Collection { automatic: false, off_session: wanted.off_session, payment_method };
            collect::collect(books, invoice, &collection, at)?;
            Ok(true)
        }
        PaymentBehavior::DefaultIncomplete | PaymentBehavior::PendingIfIncomplete => {
            wait_for_client(books, invoice)?;
            Ok(false)
        }
    }
}

/// The intent that collects the first invoice of a new subscription.
pub fn first_intent(books: &Books, id: &Id<Subscription>) -> Option<Id<PaymentIntent>> {
    let invoice = books.get(id)?.latest_invoice.as_ref()?;
    collect::intent_of(books, invoice).map(|intent| intent.id.clone())
}

/// Nothing is owed for the beginning, or not yet.
fn settle(books: &mut Books, id: &Id<Subscription>, owes: bool, at: &mut Moment) -> Result<bool, Refusal> {
    let subscription = books.find(id, "subscription")?.clone();
    let charged = subscription.collection_method == CollectionMethod::ChargeAutomatically;
    let status = subscription.settled_status(at.now);
    books.put(Subscription { status, ..subscription });
    if charged && !owes {
        setup::pending_for(books, id, at)?;
    }
    Ok(false)
}

/// No attempt now; the intent waits for the client, with the default payment method if there is one.
pub fn wait_for_client(books: &mut Books, invoice: &Id<Invoice>) -> Result<(), Refusal> {
    let method =
        collect::resolve_payment_method(books, books.find(invoice, "invoice")?).map(|method| method.id.clone());
    let intent = collect::intent_of(books, invoice).cloned();
    if let (Some(method), Some(intent)) = (method, intent) {
        let id = intent.id.clone();
        books.put(PaymentIntent { payment_method: Some(method), status: IntentStatus::RequiresConfirmation, ..intent });
        // It was made for this.
        books.retell(&id, "payment_intent.created");
    }
    Ok(())
}
