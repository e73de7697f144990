//! Creating a subscription: its items and periods, its first invoice, and the first payment.

use super::{
    Books, Currency, Id, Metadata, Moment, Refusal, Timestamp,
    bill::{self, Bill},
    collect::{self, Collection},
    customer::Customer,
    finalize,
    invoice::{BillingReason, Invoice, Status as InvoiceStatus},
    payment_intent::{PaymentIntent, Status as IntentStatus},
    payment_method::PaymentMethod,
    period::{Cycle, OutOfCalendar, Period},
    price::Price,
    product::Product,
    setup,
    shape::{Inlined, Nothing, Null},
    subscription::{
        AutomaticTax, BillingMode, CancellationDetails, CollectionMethod, EndBehavior, Internal, InvoiceSettings, Item,
        ItemTag, MissingPaymentMethod, PaymentSettings, SaveDefault, Status, Subscription, Tag, TrialSettings,
    },
};
use crate::{billing::cancel, words};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct NewSubscription {
    pub customer: Id<Customer>,
    pub items: Vec<NewItem>,
    pub billing_mode: BillingMode,
    pub cancel_at_period_end: bool,
    pub currency: Option<Currency>,
    pub default_payment_method: Option<Id<PaymentMethod>>,
    pub description: Option<String>,
    pub metadata: Metadata,
    pub off_session: bool,
    pub payment_behavior: PaymentBehavior,
    pub save_default_payment_method: SaveDefault,
}

#[derive(Clone, Debug)]
pub struct NewItem {
    pub metadata: Metadata,
    pub price: Id<Price>,
    pub quantity: i64,
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

const MAXIMUM_ITEMS: usize = 20;
const MAXIMUM_SUBSCRIPTIONS: usize = 500;

/// Subscribes a customer (what one `POST /v1/subscriptions` does, in order).
pub fn subscribe(books: &mut Books, wanted: &NewSubscription, at: &mut Moment) -> Result<Id<Subscription>, Refusal> {
    let customer = books.customer()?.clone();
    if books.all::<Subscription>().filter(|subscription| !subscription.status.is_terminal()).count()
        >= MAXIMUM_SUBSCRIPTIONS
    {
        let message = format!(
            "The customer {} already has {MAXIMUM_SUBSCRIPTIONS} subscriptions, the most there can be.",
            customer.id
        );
        return Err(Refusal::invalid(message).code("customer_max_subscriptions"));
    }
    let (cycle, currency) = check_items(books, &customer, wanted)?;
    if let Some(method) = &wanted.default_payment_method {
        check_payment_method(books, method, &customer.id, "default_payment_method")?;
    }
    let subscription = blank(&customer, wanted, cycle, currency, at)?;
    let id = subscription.id.clone();
    books.put(subscription.clone());
    let invoice = first_invoice(books, &subscription, at)?;
    start(books, &id, &invoice, wanted, at)?;
    if wanted.cancel_at_period_end {
        cancel::at_period_end(books, &id, true, at)?;
    }
    if customer.currency.is_none() {
        let customer = books.customer()?.clone();
        books.put(Customer { currency: Some(currency), ..customer }).tell("customer.updated", at);
    }
    Ok(id)
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

/// Every price active, recurring, of one currency and one interval.
fn check_items(books: &Books, customer: &Customer, wanted: &NewSubscription) -> Result<(Cycle, Currency), Refusal> {
    if wanted.items.is_empty() {
        return Err(Refusal::missing("items"));
    }
    if wanted.items.len() > MAXIMUM_ITEMS {
        let message = format!("Array items exceeded maximum {MAXIMUM_ITEMS} allowed elements.");
        return Err(Refusal::invalid(message).param("items"));
    }
    let mut common: Option<(Cycle, Currency)> = None;
    for (index, item) in wanted.items.iter().enumerate() {
        let param = format!("items[{index}][price]");
        let price =
            books.price(&item.price).ok_or_else(|| Refusal::no_such("price", item.price.as_str()).param(&param))?;
        let product_active = books.product(&price.product).is_none_or(|product: &Product| product.active);
        if !price.active || !product_active {
            return Err(Refusal::invalid("The price specified is inactive. This field only accepts active prices.")
                .param(param));
        }
        let Some(cycle) = price.cycle() else {
            let message = "The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`.";
            return Err(Refusal::invalid(message).param(param));
        };
        if item.quantity < 0 {
            let message = "This value must be greater than or equal to 0.";
            return Err(Refusal::invalid(message)
                .code("parameter_invalid_integer")
                .param(format!("items[{index}][quantity]")));
        }
        if wanted.items[..index].iter().any(|earlier| earlier.price == item.price) {
            let message = format!("Subscription Item with price {} already exists in this subscription.", item.price);
            return Err(Refusal::invalid(message).param(param));
        }
        match common {
            None => common = Some((cycle, price.currency)),
            Some((_, currency)) if currency != price.currency => {
                return Err(Refusal::invalid("All prices on a subscription must have the same currency.").param(param));
            }
            Some((first, _)) if first != cycle => {
                let message =
                    "Prices with different intervals on one subscription are not supported by this server yet.";
                return Err(Refusal::invalid(message).param(param));
            }
            Some(_) => {}
        }
    }
    let (cycle, currency) = common.ok_or_else(|| Refusal::missing("items"))?;
    if wanted.currency.is_some_and(|given| given != currency) {
        return Err(
            Refusal::invalid(format!("The prices are in {currency}, not in the given currency.")).param("currency")
        );
    }
    if customer.currency.is_some_and(|locked| locked != currency) {
        let message = format!(
            "You cannot combine currencies on a single customer. This customer has had a subscription, coupon, or invoice item \
             with currency {}.",
            customer.currency.map_or("", Currency::code)
        );
        return Err(Refusal::invalid(message));
    }
    Ok((cycle, currency))
}

fn blank(
    customer: &Customer,
    wanted: &NewSubscription,
    cycle: Cycle,
    currency: Currency,
    at: &mut Moment,
) -> Result<Subscription, Refusal> {
    let bucket = customer.id.bucket();
    let id: Id<Subscription> = Id::new(&mut at.ids, bucket);
    let end = next_boundary(cycle, at.now, at.now)?;
    let items = wanted.items.iter().map(|item| Item {
        id: Id::given(at.ids.next(super::subscription::ITEM_NOUN.prefix, bucket)),
        object: ItemTag::SubscriptionItem,
        billing_thresholds: Null,
        created: at.now,
        current_period_end: end,
        current_period_start: at.now,
        current_trial: Null,
        discounts: Nothing,
        metadata: item.metadata.clone(),
        price: item.price.clone(),
        quantity: item.quantity,
        subscription: id.clone(),
        tax_rates: Nothing,
    });
    Ok(Subscription {
        object: Tag::Subscription,
        application: Null,
        application_fee_percent: Null,
        automatic_tax: AutomaticTax::default(),
        billing_cycle_anchor: at.now,
        billing_cycle_anchor_config: Null,
        billing_mode: wanted.billing_mode.clone(),
        billing_schedules: Nothing,
        billing_thresholds: Null,
        cancel_at: None,
        cancel_at_period_end: false,
        canceled_at: None,
        cancellation_details: CancellationDetails::default(),
        collection_method: CollectionMethod::ChargeAutomatically,
        created: at.now,
        currency,
        customer: customer.id.clone(),
        customer_account: Null,
        days_until_due: Null,
        default_payment_method: wanted.default_payment_method.clone(),
        default_source: Null,
        default_tax_rates: Nothing,
        description: wanted.description.clone(),
        discounts: Nothing,
        ended_at: None,
        invoice_settings: InvoiceSettings::default(),
        items: Inlined::new(format!("/v1/subscription_items?subscription={id}"), items.collect()),
        latest_invoice: None,
        livemode: customer.livemode,
        managed_payments: Null,
        metadata: wanted.metadata.clone(),
        next_pending_invoice_item_invoice: Null,
        on_behalf_of: Null,
        pause_collection: None,
        payment_settings: PaymentSettings {
            payment_method_options: Null,
            payment_method_types: Null,
            save_default_payment_method: wanted.save_default_payment_method,
        },
        pending_invoice_item_interval: Null,
        pending_setup_intent: None,
        pending_update: Null,
        schedule: Null,
        start_date: at.now,
        status: Status::Incomplete,
        test_clock: customer.test_clock.clone(),
        transfer_data: Null,
        trial_end: Null,
        trial_settings: TrialSettings {
            end_behavior: EndBehavior {
                billing_cycle_anchor: Null,
                missing_payment_method: MissingPaymentMethod::CreateInvoice,
            },
        },
        trial_start: Null,
        internal: Internal { unannounced: true },
        id,
    })
}

/// [`Cycle::next_boundary`], refused as an internal error where the calendar ends.
pub fn next_boundary(cycle: Cycle, anchor: Timestamp, time: Timestamp) -> Result<Timestamp, Refusal> {
    cycle.next_boundary(anchor, time).map_err(|error: OutOfCalendar| Refusal::invalid(error.to_string()))
}

/// The first invoice is finalised inside the request: no hour as a draft.
fn first_invoice(books: &mut Books, subscription: &Subscription, at: &mut Moment) -> Result<Id<Invoice>, Refusal> {
    let bill = Bill {
        reason: BillingReason::SubscriptionCreate,
        subscription: Some(subscription),
        period: Period { start: at.now, end: at.now },
        cycle: subscription.period().map(|period| period.start),
        auto_advance: false,
        currency: subscription.currency,
        include_pending_items: true,
    };
    let invoice = bill::draft(books, &bill, at)?;
    books.put(Subscription { latest_invoice: Some(invoice.clone()), ..subscription.clone() });
    finalize::finalize(books, &invoice, at)?;
    Ok(invoice)
}

/// What becomes of the new subscription now (`payment_behavior` on creation).
fn start(
    books: &mut Books,
    id: &Id<Subscription>,
    invoice: &Id<Invoice>,
    wanted: &NewSubscription,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let mut subscription = books.find(id, "subscription")?.clone();
    let paid = books.find(invoice, "invoice")?.status == InvoiceStatus::Paid;
    match wanted.payment_behavior {
        _ if paid => subscription.status = Status::Active,
        PaymentBehavior::AllowIncomplete => {
            let collection = Collection { automatic: false, off_session: wanted.off_session, payment_method: None };
            // Told when the processor has answered.
            return collect::collect(books, invoice, &collection, at);
        }
        PaymentBehavior::DefaultIncomplete => wait_for_client(books, invoice)?,
        PaymentBehavior::ErrorIfIncomplete => return Err(Refusal::not_supported_yet("payment_behavior")),
        PaymentBehavior::PendingIfIncomplete => {
            let message = "The payment_behavior 'pending_if_incomplete' can only be used when updating a subscription.";
            return Err(Refusal::invalid(message).param("payment_behavior"));
        }
    }
    subscription.internal.unannounced = false;
    books.put(subscription).tell("customer.subscription.created", at);
    if paid {
        setup::pending_for(books, id, at)?;
        books.retell(id, "customer.subscription.created");
    }
    Ok(())
}

/// No attempt now; the intent waits for the client, with the default payment method if there is one.
fn wait_for_client(books: &mut Books, invoice: &Id<Invoice>) -> Result<(), Refusal> {
    let method =
        collect::resolve_payment_method(books, books.find(invoice, "invoice")?).map(|method| method.id.clone());
    let intent = collect::intent_of(books, invoice).cloned();
    if let (Some(method), Some(intent)) = (method, intent) {
        books.put(PaymentIntent { payment_method: Some(method), status: IntentStatus::RequiresConfirmation, ..intent });
    }
    Ok(())
}
