//! Invoices that callers make, and what callers may change about an invoice: all of a draft, little of
//! what is finalised.

use super::{
    Books, Currency, Id, MetadataPatch, Moment, Refusal, Timestamp,
    bill::{self, Bill, line},
    customer::Customer,
    hold,
    invoice::{BillingReason, CustomField, Internal, Invoice, PaymentSettings, Status},
    invoice_item::InvoiceItem,
    method_options::{OptionsOf, ThreeDSecure},
    payment_method::{self, PaymentMethod},
    period::Period,
    remind,
    shape::Patch,
    subscribe::{check_payment_method, check_source},
    subscription::{CollectionMethod, Status as SubscriptionStatus, Subscription},
};
use crate::words;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct NewInvoice {
    pub customer: Id<Customer>,
    pub currency: Option<Currency>,
    pub details: Details,
    pub pending_items: PendingItems,
    pub subscription: Option<Id<Subscription>>,
}

words!(
    /// What becomes of the items that wait.
    PendingItems {
        Exclude = "exclude",
        Include = "include",
        /// And there must be some.
        IncludeAndRequire = "include_and_require",
    }
);

/// What callers may say about an invoice, at creation and later.
#[derive(Clone, Debug, Default)]
pub struct Details {
    pub auto_advance: Option<bool>,
    pub automatically_finalizes_at: Option<Timestamp>,
    pub collection_method: Option<CollectionMethod>,
    pub custom_fields: Patch<Vec<CustomField>>,
    pub days_until_due: Option<i64>,
    pub default_payment_method: Patch<Id<PaymentMethod>>,
    pub default_source: Patch<Id<PaymentMethod>>,
    pub description: Patch<String>,
    pub due_date: Patch<Timestamp>,
    pub effective_at: Patch<Timestamp>,
    pub footer: Patch<String>,
    pub metadata: MetadataPatch,
    pub number: Patch<String>,
    pub payment_method_types: Patch<Vec<payment_method::Kind>>,
    /// `None` within: the options are sent and say nothing of it.
    pub request_three_d_secure: Patch<Option<ThreeDSecure>>,
    pub statement_descriptor: Patch<String>,
}

/// How far ahead a finalisation may be set: five years.
const MAXIMUM_WAIT_SECONDS: i64 = 5 * 366 * 86_400;

/// Makes a draft, with what waits for it if that is wanted: the customer's items of no subscription,
/// or those of the given one (creation by API).
pub fn create(books: &mut Books, new: NewInvoice, at: &mut Moment) -> Result<Id<Invoice>, Refusal> {
    let customer = books.find(&new.customer, "customer")?.clone();
    let subscription =
        match &new.subscription {
            Some(id) => {
                Some(books.get(id).filter(|found| found.customer == customer.id).cloned().ok_or_else(|| {
                    Refusal::no_such(super::subscription::NOUN.name, id.as_str()).param("subscription")
                })?)
            }
            None => None,
        };
    let currency = currency_of(&new, &customer, subscription.as_ref())?;
    let bill = Bill {
        reason: BillingReason::Manual,
        subscription: subscription.as_ref(),
        spans: Vec::new(),
        period: Period { start: at.now, end: at.now },
        cycle: None,
        auto_advance: false,
        currency,
        include_pending_items: new.pending_items != PendingItems::Exclude,
    };
    let id = bill::next_id(books, &bill, &customer, at);
    let items = if bill.include_pending_items { waiting(books, &bill) } else { Vec::new() };
    if new.pending_items == PendingItems::IncludeAndRequire && items.is_empty() {
        return Err(nothing_to_invoice(subscription.is_some()));
    }
    let lines = items.iter().map(|item| line::of_invoice_item(item, &id, at)).collect();
    let settings = &books.settings(customer.livemode).invoice;
    let blank = bill::blank(id.clone(), &customer, &bill, lines, settings, at)?;
    let invoice = new.details.apply(books, blank, at.now)?;
    hold::announce(books, invoice, at);
    for item in items {
        books.put(InvoiceItem { invoice: Some(id.clone()), ..item });
    }
    if customer.currency.is_none() {
        books.put(Customer { currency: Some(currency), ..customer }).tell("customer.updated", at);
    }
    Ok(id)
}

fn currency_of(
    new: &NewInvoice,
    customer: &Customer,
    subscription: Option<&Subscription>,
) -> Result<Currency, Refusal> {
    let usual = subscription.map(|subscription| subscription.currency).or(customer.currency);
    match (new.currency, usual) {
        (Some(given), Some(usual)) if given != usual => {
            let message =
                format!("You cannot combine currencies on a single customer. This customer is billed in {usual}.");
            Err(Refusal::invalid(message).param("currency"))
        }
        (given, usual) => {
            given.or(usual).or_else(|| Currency::parse("usd")).ok_or_else(|| Refusal::internal("There is no currency."))
        }
    }
}

fn nothing_to_invoice(of_subscription: bool) -> Refusal {
    let whose = if of_subscription { "subscription" } else { "customer" };
    Refusal::invalid(format!("Nothing to invoice for {whose}")).code(format!("invoice_no_{whose}_line_items"))
}

/// The pending items that it picks up, newest first; of too many the oldest.
fn waiting(books: &Books, bill: &Bill<'_>) -> Vec<InvoiceItem> {
    let subscription = bill.subscription.map(|subscription| &subscription.id);
    let mut items: Vec<InvoiceItem> = books
        .all::<InvoiceItem>()
        .filter(|item| item.invoice.is_none() && item.currency == bill.currency)
        .filter(|item| match item.subscription() {
            Some(of) if subscription.is_none() => bill::has_ended(books, of),
            of => of == subscription,
        })
        .take(bill::MAXIMUM_LINES)
        .cloned()
        .collect();
    items.reverse();
    items
}

/// Changes an invoice.
pub fn update(books: &mut Books, id: &Id<Invoice>, details: Details, at: &mut Moment) -> Result<(), Refusal> {
    let invoice = books.at_path(id)?.clone();
    let advances = details.auto_advance == Some(true) && !invoice.auto_advance && invoice.status == Status::Open;
    if advances && is_awaited(books, &invoice) {
        let message = "The first invoice of an incomplete subscription does not advance by itself: its customer has 23 hours to \
                       pay it.";
        return Err(Refusal::invalid(message).param("auto_advance"));
    }
    let changed = details.apply(books, invoice, at.now)?;
    books.put(changed).tell("invoice.updated", at);
    if advances { remind::sent(books, id, at) } else { Ok(()) }
}

/// Whether a subscription is incomplete until it is paid.
fn is_awaited(books: &Books, invoice: &Invoice) -> bool {
    let subscription = invoice.subscription().and_then(|id| books.get(id));
    invoice.billing_reason == BillingReason::SubscriptionCreate
        && subscription.is_some_and(|subscription| subscription.status == SubscriptionStatus::Incomplete)
}

impl Details {
    /// The invoice with the details, if it is in a state to take them.
    pub fn apply(self, books: &Books, invoice: Invoice, now: Timestamp) -> Result<Invoice, Refusal> {
        self.check_frozen(&invoice)?;
        if let Patch::Set(method) = &self.default_payment_method {
            check_payment_method(books, method, &invoice.customer, "default_payment_method")?;
        }
        if let Patch::Set(source) = &self.default_source {
            check_source(books, source, &invoice.customer)?;
        }
        let auto_advance = self.auto_advance.unwrap_or(invoice.auto_advance);
        let (collection_method, due_date) = self.terms(&invoice, now)?;
        let usual = invoice.finalizes_at(books.settings(invoice.livemode).invoice.finalize_after, now);
        let automatically_finalizes_at = self.finalizes_at(&invoice, auto_advance, usual, now)?;
        let next_payment_attempt = match (invoice.status, collection_method) {
            (Status::Draft, CollectionMethod::ChargeAutomatically) => automatically_finalizes_at,
            (Status::Draft, CollectionMethod::SendInvoice) => None,
            (Status::Open | Status::Paid | Status::Uncollectible | Status::Void, _) => invoice.next_payment_attempt,
        };
        let given_number = match &self.number {
            Patch::Keep => invoice.internal.given_number.clone(),
            Patch::Clear => None,
            Patch::Set(number) => Some(check_number(number, books.customer()?)?),
        };
        let number = if self.number == Patch::Keep { invoice.number } else { given_number.clone() };
        let settings = invoice.payment_settings;
        let changed = Invoice {
            auto_advance,
            automatically_finalizes_at,
            collection_method,
            custom_fields: self.custom_fields.over(invoice.custom_fields),
            default_payment_method: self.default_payment_method.over(invoice.default_payment_method),
            default_source: self.default_source.over(invoice.default_source),
            description: self.description.over(invoice.description),
            due_date,
            effective_at: self.effective_at.over(invoice.effective_at),
            footer: self.footer.over(invoice.footer),
            metadata: self.metadata.apply(invoice.metadata)?,
            next_payment_attempt,
            number,
            payment_settings: PaymentSettings {
                payment_method_options: match self.request_three_d_secure {
                    Patch::Set(asked) => {
                        let known = settings.payment_method_options.and_then(|known| known.card.request_three_d_secure);
                        Some(OptionsOf::asking(asked.or(known)))
                    }
                    Patch::Clear => None,
                    Patch::Keep => settings.payment_method_options,
                },
                payment_method_types: self.payment_method_types.over(settings.payment_method_types),
                ..settings
            },
            statement_descriptor: self.statement_descriptor.over(invoice.statement_descriptor),
            internal: Internal { given_number, ..invoice.internal },
            ..invoice
        };
        Ok(match (changed.status, self.auto_advance) {
            (Status::Open, Some(true)) => changed.resumed(books, now),
            (Status::Open, Some(false)) => Invoice { next_payment_attempt: None, ..changed },
            _ => changed,
        })
    }

    /// What is finalised takes metadata; as long as it can be paid also a payment method, and while it
    /// is open whether it advances by itself (immutability after finalisation).
    fn check_frozen(&self, invoice: &Invoice) -> Result<(), Refusal> {
        let draft = invoice.status == Status::Draft;
        let open = draft || invoice.status == Status::Open;
        let payable = open || invoice.status == Status::Uncollectible;
        let frozen = [
            ("auto_advance", self.auto_advance.is_some(), open),
            ("automatically_finalizes_at", self.automatically_finalizes_at.is_some(), draft),
            ("collection_method", self.collection_method.is_some(), draft),
            ("custom_fields", self.custom_fields != Patch::Keep, draft),
            ("days_until_due", self.days_until_due.is_some(), draft),
            ("default_payment_method", self.default_payment_method != Patch::Keep, payable),
            ("default_source", self.default_source != Patch::Keep, payable),
            ("description", self.description != Patch::Keep, draft),
            ("due_date", self.due_date != Patch::Keep, draft),
            ("effective_at", self.effective_at != Patch::Keep, draft),
            ("footer", self.footer != Patch::Keep, draft),
            ("number", self.number != Patch::Keep, draft),
            ("payment_settings", self.payment_method_types != Patch::Keep, payable),
            // Its intent has them from then on.
            ("payment_settings", self.request_three_d_secure != Patch::Keep, draft),
            ("statement_descriptor", self.statement_descriptor != Patch::Keep, draft),
        ];
        match frozen.into_iter().find(|(_, said, allowed)| *said && !allowed) {
            None => Ok(()),
            Some((param, ..)) => Err(Refusal::invalid("Finalized invoices can't be updated in this way").param(param)),
        }
    }

    /// How it is collected, and until when: sent invoices have a due date, counted from their creation.
    fn terms(&self, invoice: &Invoice, now: Timestamp) -> Result<(CollectionMethod, Option<Timestamp>), Refusal> {
        let method = self.collection_method.unwrap_or(invoice.collection_method);
        let said = self.days_until_due.is_some() || matches!(self.due_date, Patch::Set(_));
        if method == CollectionMethod::ChargeAutomatically {
            if said {
                let param = if self.days_until_due.is_some() { "days_until_due" } else { "due_date" };
                let message = "You can only specify 'due_date' or 'days_until_due' if invoice collection method is 'send_invoice'.";
                return Err(Refusal::invalid(message).param(param));
            }
            return Ok((method, None));
        }
        let due_date = match (self.days_until_due, &self.due_date) {
            (Some(_), Patch::Set(_)) => {
                return Err(Refusal::exclusive(&["days_until_due", "due_date"]).param("due_date"));
            }
            (Some(days), Patch::Keep | Patch::Clear) if days < 0 => {
                return Err(Refusal::below(0).param("days_until_due"));
            }
            (Some(days), Patch::Keep | Patch::Clear) => Some(invoice.created.plus_days(days)),
            (None, Patch::Set(date)) if *date < now => {
                return Err(Refusal::invalid("The due date must not be in the past.").param("due_date"));
            }
            (None, Patch::Set(date)) => Some(*date),
            (None, Patch::Keep) => invoice.due_date,
            (None, Patch::Clear) => None,
        };
        match due_date {
            Some(_) => Ok((method, due_date)),
            None => Err(Refusal::invalid(
                "If invoice collection method is 'send_invoice', you must specify 'due_date' or 'days_until_due'.",
            )
            .param("days_until_due")),
        }
    }

    /// When a draft is finalised by itself: when the caller says, or at the usual time.
    fn finalizes_at(
        &self,
        invoice: &Invoice,
        auto_advance: bool,
        usual: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, Refusal> {
        let invalid = |message: &str| Err(Refusal::invalid(message).param("automatically_finalizes_at"));
        match self.automatically_finalizes_at {
            Some(_) if !auto_advance => {
                invalid("You can only set 'automatically_finalizes_at' with auto_advance=true.")
            }
            Some(time) if time <= now => invalid("The time must be in the future."),
            Some(time) if time > now.plus_seconds(MAXIMUM_WAIT_SECONDS) => {
                invalid("The time must not be more than five years ahead.")
            }
            Some(time) => Ok(Some(time)),
            None if auto_advance && invoice.status == Status::Draft => {
                Ok(invoice.automatically_finalizes_at.or(Some(usual)))
            }
            None => Ok(None),
        }
    }
}

/// A chosen number must not look like one that this server will give.
fn check_number(number: &str, customer: &Customer) -> Result<String, Refusal> {
    let counted = number
        .strip_prefix(&customer.invoice_prefix)
        .and_then(|rest| rest.strip_prefix('-'))
        .is_some_and(|sequence| !sequence.is_empty() && sequence.bytes().all(|byte| byte.is_ascii_digit()));
    if counted {
        let message = format!(
            "The number {number} belongs to the customer's own sequence. Choose another, or leave the number to finalisation."
        );
        return Err(Refusal::invalid(message).param("number"));
    }
    Ok(number.to_owned())
}
