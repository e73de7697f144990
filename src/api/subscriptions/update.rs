//! `POST /v1/subscriptions/{id}`

use serde::Deserialize;

use super::{
    CancelAtWord, CancellationDetailsParams, InvoiceSettingsParams, NowWord, PaymentSettingsParams,
    TrialSettingsParams, end_date,
    extras::{self, ExtraParams},
    items::{self, ItemParams},
    one_end, trial_end,
};
use crate::{
    api::{call::Call, reply::Reply, route::At},
    billing::{
        Books, Id, MetadataPatch, Moment, Refusal, Timestamp,
        change::{self, Change},
        end_date::at_period_end,
        pause_collection::PauseCollection,
        payment_method::PaymentMethod,
        pending_interval::{self, PendingInterval},
        pending_update,
        prorate::ProrationBehavior,
        schedule,
        shape::{Patch, Text, TimeOr, Unsupported, Untaxed},
        subscribe::{PaymentBehavior, check_methods, collected_by},
        subscription::{CollectionMethod, NOUN, Status, Subscription},
        trial::{self, TrialWanted},
    },
    engine::{Owner, Subject, verb::Decision},
    store::books::Needs,
    words,
};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Update {
    add_invoice_items: Vec<ExtraParams>,
    billing_cycle_anchor: Option<AnchorParams>,
    cancel_at: Patch<TimeOr<CancelAtWord>>,
    cancel_at_period_end: Option<bool>,
    cancellation_details: Option<CancellationDetailsParams>,
    collection_method: Option<CollectionMethod>,
    days_until_due: Option<i64>,
    default_payment_method: Patch<Id<PaymentMethod>>,
    default_source: Patch<Id<PaymentMethod>>,
    description: Patch<Text<500>>,
    invoice_settings: Option<InvoiceSettingsParams>,
    items: Vec<ItemParams>,
    metadata: MetadataPatch,
    off_session: Option<bool>,
    pause_collection: Patch<PauseCollection>,
    payment_behavior: Option<PaymentBehavior>,
    payment_settings: Option<PaymentSettingsParams>,
    pending_invoice_item_interval: Patch<PendingInterval>,
    proration_behavior: Option<ProrationBehavior>,
    proration_date: Option<Timestamp>,
    trial_end: Option<TimeOr<NowWord>>,
    trial_from_plan: Option<bool>,
    trial_settings: Option<TrialSettingsParams>,
    // Known, and refused rather than ignored.
    application_fee_percent: Option<Unsupported>,
    automatic_tax: Option<Untaxed>,
    billing_schedules: Option<Unsupported>,
    billing_thresholds: Option<Unsupported>,
    default_tax_rates: Option<Unsupported>,
    discounts: Option<Unsupported>,
    on_behalf_of: Option<Unsupported>,
    transfer_data: Option<Unsupported>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct AnchorParams {
    #[serde(rename = "type")]
    kind: AnchorType,
}

words!(AnchorType { Now = "now", Unchanged = "unchanged" });

impl Update {
    fn restarts(&self) -> bool {
        self.billing_cycle_anchor.is_some_and(|anchor| anchor.kind == AnchorType::Now)
    }

    fn may_wait(&self) -> bool {
        self.payment_behavior == Some(PaymentBehavior::PendingIfIncomplete)
    }

    /// Whether items, cycle, trial or end are to be different, or something is to be billed.
    fn changes(&self) -> bool {
        self.may_wait()
            || self.restarts()
            || self.cancel_at != Patch::Keep
            || self.trial_end.is_some()
            || self.trial_from_plan == Some(true)
            || !self.items.is_empty()
            || !self.add_invoice_items.is_empty()
    }

    /// What is to be different, in the words of the rule. What is taken is gone from the parameters.
    fn change(&mut self, books: &mut Books, livemode: bool, at: &mut Moment) -> Result<Change, Refusal> {
        if matches!(self.cancel_at, Patch::Set(_)) && self.cancel_at_period_end == Some(true) {
            return Err(one_end());
        }
        Ok(Change {
            items: items::changes(std::mem::take(&mut self.items), "items", books, livemode, at)?,
            extras: extras::wanted(std::mem::take(&mut self.add_invoice_items), books, livemode, at)?,
            restart: self.restarts(),
            end: self.cancel_at.clone().map(end_date),
            trial: TrialWanted {
                end: self.trial_end.map(trial_end),
                days: None,
                from_plan: self.trial_from_plan.unwrap_or(false),
            },
            proration_behavior: self.proration_behavior.unwrap_or(ProrationBehavior::CreateProrations),
            proration_date: self.proration_date,
            payment_behavior: self.payment_behavior.unwrap_or(PaymentBehavior::AllowIncomplete),
            off_session: self.off_session.unwrap_or(false),
            // Applied with the rest, when that may have to wait.
            metadata: if self.may_wait() { std::mem::take(&mut self.metadata) } else { MetadataPatch::Keep },
            ..Change::default()
        })
    }

    /// The parameters that say what is to be different, but for those that any subscription takes.
    fn given(&self) -> [(&'static str, bool); 17] {
        [
            ("add_invoice_items", !self.add_invoice_items.is_empty()),
            ("billing_cycle_anchor", self.restarts()),
            ("cancel_at", self.cancel_at != Patch::Keep),
            ("cancel_at_period_end", self.cancel_at_period_end.is_some()),
            ("collection_method", self.collection_method.is_some()),
            ("days_until_due", self.days_until_due.is_some()),
            ("default_payment_method", self.default_payment_method != Patch::Keep),
            ("default_source", self.default_source != Patch::Keep),
            ("description", self.description != Patch::Keep),
            ("invoice_settings", self.invoice_settings.is_some()),
            ("items", !self.items.is_empty()),
            ("pause_collection", self.pause_collection != Patch::Keep),
            ("payment_settings", self.payment_settings.is_some()),
            ("pending_invoice_item_interval", self.pending_invoice_item_interval != Patch::Keep),
            ("trial_end", self.trial_end.is_some()),
            ("trial_from_plan", self.trial_from_plan.is_some()),
            ("trial_settings", self.trial_settings.is_some()),
        ]
    }

    /// Whether anything is said at all: then a change that waits for its payment is replaced by it.
    fn replaces(&self) -> bool {
        self.given_beside(&[]).is_some()
            || self.metadata != MetadataPatch::Keep
            || self.cancellation_details.is_some()
            || self.may_wait()
    }

    /// The first parameter that is not one of these.
    fn given_beside(&self, allowed: &[&str]) -> Option<&'static str> {
        self.given().into_iter().find(|(param, given)| *given && !allowed.contains(param)).map(|(param, _)| param)
    }

    /// What a pending update cannot hold must not come with it.
    fn check_may_wait(&self) -> Result<(), Refusal> {
        let alone = [
            ("cancellation_details", self.cancellation_details.is_some()),
            ("off_session", self.off_session.is_some()),
        ];
        let other =
            self.given_beside(WAITS).or_else(|| alone.iter().find(|(_, given)| *given).map(|(param, _)| *param));
        other.map_or(Ok(()), |param| {
            let message = format!("You can't pass '{param}' together with payment_behavior=pending_if_incomplete.");
            Err(Refusal::invalid(message).param(param))
        })
    }

    /// What a subscription takes depends on how far it has come.
    fn check_status(&self, status: Status) -> Result<(), Refusal> {
        match status {
            Status::Canceled | Status::IncompleteExpired if self.given_beside(&[]).is_some() => Err(change::ended()),
            Status::Incomplete => self.given_beside(INCOMPLETE).map_or(Ok(()), |param| {
                let message = format!(
                    "This subscription's first invoice has not been paid yet. Until it is, '{param}' cannot be changed."
                );
                Err(Refusal::invalid(message).param(param))
            }),
            _ => Ok(()),
        }
    }

    fn apply(self, books: &Books, subscription: Subscription, now: Timestamp) -> Result<Subscription, Refusal> {
        let subscription = collected_by(books, subscription, self.collection_method, self.days_until_due)?;
        let subscription = pending_interval::set(subscription, &self.pending_invoice_item_interval, now)?;
        Ok(Subscription {
            cancellation_details: self.cancellation_details.unwrap_or_default().over(subscription.cancellation_details),
            default_payment_method: self.default_payment_method.over(subscription.default_payment_method),
            default_source: self.default_source.over(subscription.default_source),
            description: self.description.map(String::from).over(subscription.description),
            invoice_settings: self.invoice_settings.unwrap_or_default().over(subscription.invoice_settings),
            metadata: self.metadata.apply(subscription.metadata)?,
            pause_collection: self.pause_collection.over(subscription.pause_collection),
            trial_settings: self
                .trial_settings
                .map_or(subscription.trial_settings, |settings| settings.over(subscription.trial_settings)),
            payment_settings: self.payment_settings.unwrap_or_default().over(subscription.payment_settings),
            ..subscription
        })
    }
}

/// What can wait for a payment (`pending_if_incomplete`).
const WAITS: &[&str] = &["add_invoice_items", "billing_cycle_anchor", "items", "trial_end", "trial_from_plan"];

/// What moves no money, and so can change before the first payment (the incomplete window).
const INCOMPLETE: &[&str] =
    &["default_payment_method", "default_source", "description", "invoice_settings", "payment_settings"];

pub(super) async fn update(At(id): At<String>, call: Call, mut params: Update) -> Reply {
    if params.may_wait() {
        params.check_may_wait()?;
    }
    let (id, livemode): (Id<Subscription>, bool) = (Id::given(id), call.livemode());
    let (changes, replaces) = (params.changes(), params.replaces());
    let mut needs = Needs::default();
    items::need_prices(&params.items, &mut needs);
    extras::need_prices(&params.add_invoice_items, &mut needs);
    if changes {
        needs.invoices_of = Some(id.clone());
    }
    let verb = Decision::new(Owner::of(&id), needs, move |books, at| {
        let before = change::open(books, &id, at)?;
        params.check_status(before.status)?;
        let change = changes.then(|| params.change(books, livemode, at)).transpose()?;
        if let Patch::Set(pause) = &params.pause_collection {
            pause.check(&before, at.now)?;
        }
        if params.cancel_at != Patch::Keep {
            schedule::refuse_end(&before, "cancel_at")?;
        }
        let ends_with_period = params.cancel_at_period_end;
        if replaces {
            pending_update::discard(books, &id, at)?;
        }
        let changed = params.apply(books, books.find(&id, "subscription")?.clone(), at.now)?;
        if !changed.status.is_terminal() {
            let (method, source) = (changed.default_payment_method.as_ref(), changed.default_source.as_ref());
            check_methods(books, method, source, &changed.customer)?;
        }
        books.put(changed);
        if let Some(wanted) = ends_with_period {
            at_period_end(books, &id, wanted, at)?;
        }
        let under_way = match change {
            Some(wanted) => change::change(books, &id, &before, &wanted, at)?,
            None => false,
        };
        if !under_way {
            trial::give_notice_if_due(books, &id, at)?;
            books.tell(&id, "customer.subscription.updated", at);
        }
        Ok(Subject::document(&id).unless_declined(items::refused_unless_paid(books, &id)))
    });
    call.run(&NOUN, verb).await
}
