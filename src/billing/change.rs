//! Changing what a subscription consists of, or when its cycle begins: what that costs now, what
//! waits for the next invoice, and what an unpaid invoice means for the change.

use super::{
    Books, Id, Metadata, MetadataPatch, Moment, Refusal, Timestamp, advance,
    anchor::{self, Span, Terms},
    bill::{self, Bill},
    cancel::{self, busy},
    collect::{self, Collection},
    dunning,
    edit::{self, Edit},
    end_date::{self, CancelAt},
    erase,
    extra::{self, NewExtra},
    finalize, follow,
    invoice::{BillingReason, Invoice, Status as InvoiceStatus},
    invoice_item::InvoiceItem,
    lend, pause_collection,
    pending_update::{self, Becomes, Held},
    period::Period,
    price::Price,
    prorate::{self, ProrationBehavior},
    shape::Patch,
    subscribe::{PaymentBehavior, wait_for_client},
    subscription::{BillingModeType, CollectionMethod, Item, Status, Subscription},
    transition,
    trial::{self, TrialChange, TrialWanted},
};

/// What a caller wants to be different.
#[derive(Clone, Debug)]
pub struct Change {
    pub items: Vec<ItemChange>,
    /// One-off items, for the invoice that is due at once or the next one.
    pub extras: Vec<NewExtra>,
    /// Whether a new period begins now (`billing_cycle_anchor`).
    pub restart: bool,
    /// Another end of the subscription, or none (`cancel_at`).
    pub end: Patch<CancelAt>,
    pub trial: TrialWanted,
    pub proration_behavior: ProrationBehavior,
    pub proration_date: Option<Timestamp>,
    pub payment_behavior: PaymentBehavior,
    pub off_session: bool,
    /// Changed with the items, when that may have to wait.
    pub metadata: MetadataPatch,
    /// Prices that were agreed on when they were for sale.
    pub agreed: Vec<Id<Price>>,
}

impl Default for Change {
    fn default() -> Self {
        Change {
            items: Vec::new(),
            extras: Vec::new(),
            restart: false,
            end: Patch::Keep,
            trial: TrialWanted::default(),
            proration_behavior: ProrationBehavior::CreateProrations,
            proration_date: None,
            payment_behavior: PaymentBehavior::AllowIncomplete,
            off_session: false,
            metadata: MetadataPatch::Keep,
            agreed: Vec::new(),
        }
    }
}

/// A change of one item. The parameter that it came from is named in refusals.
#[derive(Clone, Debug)]
pub struct ItemChange {
    pub param: String,
    pub act: Act,
}

#[derive(Clone, Debug)]
pub enum Act {
    Add { price: Id<Price>, quantity: Option<i64>, metadata: Metadata },
    Edit { id: Id<Item>, price: Option<Id<Price>>, quantity: Option<i64>, metadata: MetadataPatch },
    Remove { id: Id<Item> },
}

/// A change, worked out: its prorations and the draft that is due at once are in the books. Of the
/// subscription nothing has changed but the end that it was given.
#[derive(Clone, Debug)]
pub struct Plan {
    pub becomes: Becomes,
    pub invoice: Option<Id<Invoice>>,
    /// The invoice items that it made.
    pub made: Vec<Id<InvoiceItem>>,
}

/// Changes a subscription. Whether that is still under way, because the processor has to be asked
/// first: then [`paid`] or [`unpaid`] does the rest. `before` is the subscription before the request.
pub fn change(
    books: &mut Books,
    id: &Id<Subscription>,
    before: &Subscription,
    change: &Change,
    at: &mut Moment,
) -> Result<bool, Refusal> {
    // A change that waits is replaced.
    pending_update::discard(books, id, at)?;
    let told = books.told_so_far();
    if trial::is_stopped_by(books, id, change)? {
        trial::stop_by(books, id, change, at)?;
        return Ok(false);
    }
    let plan = plan(books, id, change, at)?;
    let ends_trial = plan.becomes.trial.is_some_and(|trial| trial.status != Status::Trialing);
    if ends_trial {
        trial::give_notice(books, id, at)?;
    }
    let Some(invoice) = plan.invoice.clone() else {
        become_so(books, id, plan.becomes, None, at)?;
        return Ok(false);
    };
    if pause_collection::neutralize(books, id, &invoice, at)? {
        become_so(books, id, plan.becomes, Some(invoice), at)?;
        return Ok(false);
    }
    let subscription = books.find(id, "subscription")?.clone();
    if subscription.collection_method == CollectionMethod::SendInvoice || subscription.status == Status::Unpaid {
        // Its draft can be looked at for an hour, as any other; that of an unpaid one waits to be asked for.
        become_so(books, id, plan.becomes, Some(invoice), at)?;
        return Ok(false);
    }
    finalize::finalize(books, &invoice, at)?;
    if books.find(&invoice, "invoice")?.status == InvoiceStatus::Paid {
        become_so(books, id, plan.becomes, Some(invoice), at)?;
        return Ok(false);
    }
    if change.payment_behavior == PaymentBehavior::DefaultIncomplete {
        wait_for_client(books, &invoice)?;
        become_so(books, id, plan.becomes, Some(invoice), at)?;
        follow::fall_behind(books, id)?;
        return Ok(false);
    }
    if matches!(change.payment_behavior, PaymentBehavior::ErrorIfIncomplete | PaymentBehavior::PendingIfIncomplete) {
        // What is dropped with an unpaid change must not take other items with it.
        lend::lend(books, &invoice, &plan.made);
    }
    let mut held = Held {
        invoice: invoice.clone(),
        payment_behavior: change.payment_behavior,
        becomes: plan.becomes,
        before: Some(Box::new(before.clone())),
        withheld: Vec::new(),
    };
    if change.payment_behavior == PaymentBehavior::ErrorIfIncomplete {
        erase::remember(books, &invoice, plan.made);
        held.withheld = books.withhold(told);
    }
    let mut holding = subscription;
    holding.internal.held = Some(Box::new(held));
    books.put(holding);
    // A trial ends also where there is nothing to charge: then it is billed as it is when it ends by itself.
    let automatic = ends_trial
        && change.payment_behavior == PaymentBehavior::AllowIncomplete
        && collect::resolve_payment_method(books, books.find(&invoice, "invoice")?).is_none();
    let collection = Collection { automatic, off_session: change.off_session, payment_method: None };
    collect::collect(books, &invoice, &collection, at)?;
    Ok(true)
}

/// The subscription that a request names, as it is before the request: what was due earlier has been
/// done, and no payment decides about it right now.
pub fn open(books: &mut Books, id: &Id<Subscription>, at: &mut Moment) -> Result<Subscription, Refusal> {
    let subscription = books.at_path(id)?;
    if subscription.internal.held.as_ref().is_some_and(|held| held.before.is_some()) {
        return Err(busy());
    }
    subscription.check_free("subscription")?;
    advance::catch_up(books, id, at)?;
    Ok(books.at_path(id)?.clone())
}

/// Works a change out.
pub fn plan(books: &mut Books, id: &Id<Subscription>, change: &Change, at: &mut Moment) -> Result<Plan, Refusal> {
    check_status(books.find(id, "subscription")?)?;
    let waiting: Vec<Id<InvoiceItem>> = books.all::<InvoiceItem>().map(|item| item.id.clone()).collect();
    if change.end != Patch::Keep {
        end_date::set(books, id, change.end.clone().given(), change.proration_behavior, at)?;
    }
    let subscription = books.find(id, "subscription")?.clone();
    let time = proration_time(&subscription, change, at.now)?;
    let edits = edit::edits(books, &subscription, &change.items, &change.agreed, at)?;
    let prices = edits.iter().filter_map(|edit| books.price(&edit.new.as_ref()?.price));
    let trial = TrialChange::of(&subscription, change.trial.change(prices, at.now)?, change.restart, at.now)?;
    let restarts = match trial {
        Some(TrialChange::Ends | TrialChange::Begins(_)) => true,
        Some(TrialChange::Moves(_)) => false,
        None => restarts(books, &subscription, change, &edits)?,
    };
    let anchor = match trial {
        Some(trial) => trial.anchor(&subscription, at.now),
        None if restarts => at.now,
        None => subscription.billing_cycle_anchor,
    };
    // What is over is renewed at once: the new cycle begins with that.
    let restarts = restarts && !(trial.is_none() && subscription.is_over(at.now));
    let mut becomes = Becomes {
        billing_cycle_anchor: anchor,
        billing_cycle_anchor_config: subscription
            .billing_cycle_anchor_config
            .filter(|_| anchor == subscription.billing_cycle_anchor),
        items: edits.iter().filter_map(|edit| edit.new.clone()).collect(),
        billed: subscription.internal.billed.clone(),
        metadata: match change.metadata.clone() {
            MetadataPatch::Keep => None,
            patch => Some(patch.apply(subscription.metadata.clone())?),
        },
        was_paid: subscription.internal.was_paid
            || subscription.status != Status::Trialing
                && edit::is_paid(books, edits.iter().filter_map(|edit| edit.old.as_ref())),
        trial: trial.map(|trial| trial.trial(&subscription, at.now)),
    };
    if trial == Some(TrialChange::Ends) {
        becomes.billed.clear();
    }
    // What was free is not given back.
    let touched = |edit: &&Edit| trial != Some(TrialChange::Ends) && (edit.changed || restarts);
    for edit in edits.iter().filter(touched) {
        becomes.billed.retain(|billed| !edit.is_of(&billed.item));
        prorate_edit(books, &subscription, edit, change, (time, restarts), &mut becomes, at)?;
    }
    let mut changed = becoming(subscription.clone(), becomes.clone());
    if changed.cancel_at_period_end {
        // It ends with the new period, not with the one that is cut short.
        changed.cancel_at = None;
    }
    let mut spans = Vec::new();
    for item in becomes.items.iter_mut().filter(|_| restarts) {
        let span = match trial {
            Some(TrialChange::Begins(end)) => {
                Span { item: item.id.clone(), period: Period { start: at.now, end }, terms: Terms::Trial }
            }
            _ => changed.span_from(books, item, at.now)?,
        };
        (item.current_period_start, item.current_period_end) = (span.period.start, span.period.end);
        spans.push(span);
    }
    if let Some(TrialChange::Moves(end)) = trial {
        becomes.items.iter_mut().for_each(|item| item.current_period_end = end);
    }
    for (index, extra) in change.extras.iter().enumerate() {
        extra::add(books, &becoming(subscription.clone(), becomes.clone()), extra, index, &change.agreed, at)?;
    }
    let made: Vec<InvoiceItem> =
        books.all::<InvoiceItem>().filter(|item| !waiting.contains(&item.id)).cloned().collect();
    let made_ids = made.iter().map(|item| item.id.clone()).collect();
    let invoice = draft(books, &subscription, change, (spans, made), &becomes, at)?;
    Ok(Plan { becomes, invoice, made: made_ids })
}

/// Only what moves no money may change before the first payment; what has ended changes no more.
fn check_status(subscription: &Subscription) -> Result<(), Refusal> {
    match subscription.status {
        Status::Active | Status::PastDue | Status::Paused | Status::Trialing | Status::Unpaid => Ok(()),
        Status::Incomplete => Err(Refusal::invalid(
            "This subscription's first invoice has not been paid yet. Until it is, neither its items nor its billing cycle can \
             be changed.",
        )),
        Status::Canceled | Status::IncompleteExpired => Err(ended()),
    }
}

/// A subscription that has ended takes metadata and reasons, nothing else.
pub fn ended() -> Refusal {
    Refusal::invalid("A canceled subscription can only update its cancellation_details and metadata.")
        .code("invalid_canceled_subscription_fields")
}

/// When prorations count from: it must lie inside the current period.
fn proration_time(subscription: &Subscription, change: &Change, now: Timestamp) -> Result<Timestamp, Refusal> {
    let Some(time) = change.proration_date else { return Ok(now) };
    let inside = |item: &Item| item.current_period_start <= time && time < item.current_period_end;
    if subscription.items.data.iter().all(inside) {
        return Ok(time);
    }
    let message = "Invalid proration_date: it must lie inside the current period of the subscription's items.";
    Err(Refusal::invalid(message).param("proration_date"))
}

/// Whether a new period begins now: when asked for, and in classic mode when the interval changes or
/// what was free becomes paid for the first time.
fn restarts(books: &Books, subscription: &Subscription, change: &Change, edits: &[Edit]) -> Result<bool, Refusal> {
    if subscription.status == Status::Trialing {
        if change.restart {
            let message = "The billing cycle of a subscription in a trial begins when the trial ends.";
            return Err(Refusal::invalid(message).param("billing_cycle_anchor"));
        }
        return Ok(false);
    }
    if change.restart || subscription.billing_mode.kind == BillingModeType::Flexible {
        return Ok(change.restart);
    }
    let cycles = |item: Option<&Item>| item.map(|item| anchor::cycle_of(books, item)).transpose();
    let (mut old, mut new) = (None, None);
    for edit in edits {
        old = cycles(edit.old.as_ref())?.or(old);
        new = cycles(edit.new.as_ref())?.or(new);
    }
    let paid = |items: &mut dyn Iterator<Item = &Item>| edit::is_paid(books, items);
    let becomes_paid = !subscription.internal.was_paid
        && !paid(&mut edits.iter().filter_map(|edit| edit.old.as_ref()))
        && paid(&mut edits.iter().filter_map(|edit| edit.new.as_ref()));
    Ok(old != new || becomes_paid)
}

/// The credit and the debit of one item, and what there is to know later of what it was billed.
fn prorate_edit(
    books: &mut Books,
    subscription: &Subscription,
    edit: &Edit,
    change: &Change,
    (time, restarts): (Timestamp, bool),
    becomes: &mut Becomes,
    at: &mut Moment,
) -> Result<(), Refusal> {
    // While nothing is billed, nothing is given back.
    let silent = change.proration_behavior == ProrationBehavior::None || subscription.status == Status::Paused;
    match (&edit.old, &edit.new) {
        _ if restarts && silent => {}
        (Some(old), Some(_)) if silent => becomes.billed.extend(prorate::billed(books, subscription, old)?),
        (None, Some(new)) if silent && new.current_period_end > time => {
            becomes.billed.push(prorate::nothing_billed(books, new, subscription.currency, time)?);
        }
        _ if silent => {}
        (old, new) => {
            // Another change may reach back before this one: what was billed until now stays billed.
            if let (Some(old), Some(_), false) = (old, new, restarts) {
                for billed in prorate::billed(books, subscription, old)? {
                    becomes.billed.extend(billed.until(time, subscription.currency)?);
                }
            }
            // The debit first: lines show the newest first, and so the credit above it.
            if let (Some(new), false) = (new.as_ref().filter(|new| new.current_period_end > time), restarts) {
                becomes.billed.push(prorate::debit(books, subscription, new, time, at)?);
            }
            if let Some(old) = old {
                prorate::credit(books, subscription, old, time, at)?;
            }
        }
    }
    Ok(())
}

/// The invoice that is due at once: for a new period, or because the difference is to be paid now.
fn draft(
    books: &mut Books,
    subscription: &Subscription,
    change: &Change,
    (spans, made): (Vec<Span>, Vec<InvoiceItem>),
    becomes: &Becomes,
    at: &mut Moment,
) -> Result<Option<Id<Invoice>>, Refusal> {
    let restarts = !spans.is_empty();
    if !restarts && (made.is_empty() || change.proration_behavior != ProrationBehavior::AlwaysInvoice) {
        return Ok(None);
    }
    let began = subscription.period().map_or(at.now, |period| period.start);
    let changed = becoming(subscription.clone(), becomes.clone());
    let charged = subscription.collection_method == CollectionMethod::ChargeAutomatically;
    let bill = Bill {
        reason: BillingReason::SubscriptionUpdate,
        subscription: Some(&changed),
        spans,
        period: Period { start: began, end: at.now },
        cycle: None,
        auto_advance: dunning::collects(books, subscription)
            && (!charged || change.payment_behavior == PaymentBehavior::AllowIncomplete),
        currency: subscription.currency,
        include_pending_items: true,
    };
    let mut pending = bill::pending_items(books, &bill);
    let is_made = |item: &InvoiceItem| made.iter().any(|one| one.id == item.id);
    if becomes.trial.is_some_and(|trial| trial.status == Status::Trialing)
        && change.proration_behavior != ProrationBehavior::AlwaysInvoice
    {
        // A trial costs nothing but what is bought with it; what it interrupts is given back by the invoice
        // that follows it.
        pending.retain(|item| is_made(item) && !item.proration);
    }
    if !restarts && subscription.billing_mode.kind == BillingModeType::Classic {
        let is_its = |item: &InvoiceItem| item.proration && item.subscription() == Some(&subscription.id);
        pending.retain(|item| is_made(item) || is_its(item));
    }
    // What the change costs is on its invoice, however much else waits.
    bill::make_room(&bill, &mut pending, is_made);
    bill::draft_with(books, &bill, pending, at).map(Some)
}

/// The subscription after a change.
fn becoming(subscription: Subscription, becomes: Becomes) -> Subscription {
    let mut changed = subscription;
    changed.billing_cycle_anchor = becomes.billing_cycle_anchor;
    changed.billing_cycle_anchor_config = becomes.billing_cycle_anchor_config;
    changed.items.data = becomes.items;
    changed.internal.billed = becomes.billed;
    changed.internal.was_paid = becomes.was_paid;
    if let Some(trial) = becomes.trial {
        (changed.trial_start, changed.trial_end, changed.status) = (Some(trial.start), Some(trial.end), trial.status);
    }
    changed.metadata = becomes.metadata.unwrap_or(changed.metadata);
    if changed.cancel_at_period_end {
        changed.cancel_at = changed.period().map(|period| period.end);
    }
    changed
}

/// Makes a change, whose invoice is this one.
pub fn become_so(
    books: &mut Books,
    id: &Id<Subscription>,
    becomes: Becomes,
    invoice: Option<Id<Invoice>>,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let mut changed = becoming(books.find(id, "subscription")?.clone(), becomes);
    (changed.internal.held, changed.pending_update) = (None, None);
    changed.latest_invoice = invoice.or(changed.latest_invoice);
    books.put(changed);
    transition::split(books, id, at);
    Ok(())
}

/// The subscription whose held change waits for this invoice.
pub fn holding(books: &Books, invoice: &Id<Invoice>) -> Option<(Subscription, Box<Held>)> {
    let subscription = books.get(invoice).and_then(Invoice::subscription).and_then(|id| books.get(id))?;
    let held = subscription.internal.held.as_deref().filter(|held| held.invoice == *invoice)?;
    (!subscription.status.is_terminal()).then(|| (subscription.clone(), Box::new(held.clone())))
}

/// Makes a subscription what it was before a request. A change that the request was to replace is gone.
pub fn restore(books: &mut Books, before: Subscription) {
    books.compare_with(&before.id, before.clone());
    let mut restored = before;
    (restored.pending_update, restored.internal.held) = (None, None);
    books.put(restored);
}

/// The invoice of a change has been paid: the change is made. The subscription that it changed.
pub fn paid(books: &mut Books, invoice: &Id<Invoice>, at: &mut Moment) -> Result<Option<Id<Subscription>>, Refusal> {
    let is_paid = books.get(invoice).is_some_and(|invoice| invoice.status == InvoiceStatus::Paid);
    let Some((subscription, held)) = holding(books, invoice).filter(|_| is_paid) else { return Ok(None) };
    if let Some(before) = held.before {
        books.compare_with(&subscription.id, *before);
    }
    become_so(books, &subscription.id, held.becomes, Some(invoice.clone()), at)?;
    if subscription.pending_update.is_some() {
        books.tell(&subscription.id, "customer.subscription.pending_update_applied", at);
        // It shows what was applied; the update that follows tells from what.
        books.compare_with(&subscription.id, subscription.clone());
    }
    Ok(Some(subscription.id))
}

/// The payment of a change takes longer than the request. As where it fails the change is made all the same, or
/// waits where everybody sees it: a period that ends meanwhile must not be run over by it. Only what may yet never
/// have been goes on being held, and its subscription with it. The subscription that is different now.
pub fn delayed(books: &mut Books, invoice: &Id<Invoice>, at: &mut Moment) -> Result<Option<Id<Subscription>>, Refusal> {
    match holding(books, invoice) {
        Some((_, held)) if held.payment_behavior != PaymentBehavior::ErrorIfIncomplete => unpaid(books, invoice, at),
        _ => Ok(None),
    }
}

/// The invoice of a change was voided while its payment was under way: the change has never been. The
/// subscription that waited for it.
pub fn voided(books: &mut Books, invoice: &Id<Invoice>) -> Option<Id<Subscription>> {
    let before = holding(books, invoice)?.1.before?;
    let id = before.id.clone();
    restore(books, *before);
    Some(id)
}

/// The invoice of a change was not paid inside the request: it is made all the same, or waits, or has
/// never been. The subscription that is different now.
pub fn unpaid(books: &mut Books, invoice: &Id<Invoice>, at: &mut Moment) -> Result<Option<Id<Subscription>>, Refusal> {
    let Some((subscription, held)) = holding(books, invoice) else { return Ok(None) };
    let (id, behavior) = (subscription.id.clone(), held.payment_behavior);
    let Some(before) = held.before.clone() else { return Ok(None) };
    match behavior {
        PaymentBehavior::AllowIncomplete | PaymentBehavior::DefaultIncomplete => {
            books.compare_with(&id, *before);
            become_so(books, &id, held.becomes, Some(invoice.clone()), at)?;
        }
        PaymentBehavior::PendingIfIncomplete => {
            books.compare_with(&id, *before);
            books.put(pending_update::wait(subscription, *held, at.now));
        }
        PaymentBehavior::ErrorIfIncomplete => {
            cancel::void_quietly(books, invoice, at)?;
            restore(books, *before);
        }
    }
    Ok(Some(id))
}
