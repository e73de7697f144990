//! `POST /v1/subscriptions/{id}`

use serde::Deserialize;

use super::{
    CancelAtWord, CancellationDetailsParams, NowWord, PaymentSettingsParams, TrialSettingsParams,
    items::{self, ItemParams},
    one_end, trial_end,
};
use crate::{
    api::{
        call::{At, Call},
        reply::Reply,
    },
    billing::{
        Id, MetadataPatch, Refusal, Timestamp,
        change::{self, Change},
        end_date::{self, CancelAt},
        pause_collection::PauseCollection,
        payment_method::PaymentMethod,
        prorate::ProrationBehavior,
        shape::{Patch, Text, TimeOr, Unsupported},
        subscribe::{PaymentBehavior, check_payment_method},
        subscription::{NOUN, Status, Subscription},
        trial,
    },
    engine::{Owner, Subject, verb::Decision},
    store::books::Needs,
    words,
};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Update {
    billing_cycle_anchor: Option<AnchorParams>,
    cancel_at: Patch<TimeOr<CancelAtWord>>,
    cancel_at_period_end: Option<bool>,
    cancellation_details: Option<CancellationDetailsParams>,
    default_payment_method: Patch<Id<PaymentMethod>>,
    description: Patch<Text<500>>,
    items: Vec<ItemParams>,
    metadata: MetadataPatch,
    off_session: Option<bool>,
    pause_collection: Patch<PauseCollection>,
    payment_behavior: Option<PaymentBehavior>,
    payment_settings: Option<PaymentSettingsParams>,
    proration_behavior: Option<ProrationBehavior>,
    proration_date: Option<Timestamp>,
    trial_end: Option<TimeOr<NowWord>>,
    trial_settings: Option<TrialSettingsParams>,
    // Known, and refused rather than ignored.
    add_invoice_items: Option<Unsupported>,
    application_fee_percent: Option<Unsupported>,
    automatic_tax: Option<Unsupported>,
    billing_schedules: Option<Unsupported>,
    billing_thresholds: Option<Unsupported>,
    collection_method: Option<Unsupported>,
    days_until_due: Option<Unsupported>,
    default_source: Option<Unsupported>,
    default_tax_rates: Option<Unsupported>,
    discounts: Option<Unsupported>,
    invoice_settings: Option<Unsupported>,
    on_behalf_of: Option<Unsupported>,
    pending_invoice_item_interval: Option<Unsupported>,
    transfer_data: Option<Unsupported>,
    trial_from_plan: Option<Unsupported>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct AnchorParams {
    #[serde(rename = "type")]
    kind: AnchorType,
}

words!(AnchorType { Now = "now", Unchanged = "unchanged" });

impl Update {
    /// What is to be different about items and cycle, if anything.
    fn change(&mut self) -> Result<Option<Change>, Refusal> {
        let restart = self.billing_cycle_anchor.is_some_and(|anchor| anchor.kind == AnchorType::Now);
        let items = items::changes(std::mem::take(&mut self.items), "items")?;
        let may_wait = self.payment_behavior == Some(PaymentBehavior::PendingIfIncomplete);
        if may_wait {
            self.check_may_wait()?;
        }
        let change = Change {
            items,
            restart,
            trial_end: self.trial_end.map(trial_end),
            proration_behavior: self.proration_behavior.unwrap_or(ProrationBehavior::CreateProrations),
            proration_date: self.proration_date,
            payment_behavior: self.payment_behavior.unwrap_or(PaymentBehavior::AllowIncomplete),
            off_session: self.off_session.unwrap_or(false),
            // Applied with the rest.
            metadata: if may_wait { std::mem::take(&mut self.metadata) } else { MetadataPatch::Keep },
        };
        Ok((restart || may_wait || change.trial_end.is_some() || !change.items.is_empty()).then_some(change))
    }

    /// What a pending update cannot hold must not come with it.
    fn check_may_wait(&self) -> Result<(), Refusal> {
        let others = [
            ("cancel_at", self.cancel_at != Patch::Keep),
            ("cancel_at_period_end", self.cancel_at_period_end.is_some()),
            ("cancellation_details", self.cancellation_details.is_some()),
            ("default_payment_method", self.default_payment_method != Patch::Keep),
            ("description", self.description != Patch::Keep),
            ("off_session", self.off_session.is_some()),
            ("pause_collection", self.pause_collection != Patch::Keep),
            ("payment_settings", self.payment_settings.is_some()),
        ];
        match others.into_iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((param, _)) => {
                let message = format!("You can't pass '{param}' together with payment_behavior=pending_if_incomplete.");
                Err(Refusal::invalid(message).param(param))
            }
        }
    }

    /// The end that is to be set (or taken away), and how the current period is prorated for it.
    fn end(&self, changes: bool) -> Result<Option<(Option<CancelAt>, ProrationBehavior)>, Refusal> {
        let wanted = match self.cancel_at {
            Patch::Keep => return Ok(None),
            Patch::Clear => None,
            Patch::Set(wanted) => Some(super::end_date(wanted)),
        };
        if self.cancel_at_period_end == Some(true) {
            return Err(one_end());
        }
        let prorations = self.proration_behavior.unwrap_or(ProrationBehavior::CreateProrations);
        if changes || prorations == ProrationBehavior::AlwaysInvoice {
            let with = if changes { "with a change of items, trial or cycle" } else { "with an invoice at once" };
            return Err(Refusal::not_supported_yet(format!("cancel_at {with}")).param("cancel_at"));
        }
        Ok(Some((wanted, prorations)))
    }

    fn check_ended(&self) -> Result<(), Refusal> {
        let other = self.cancel_at_period_end.is_some()
            || self.cancel_at != Patch::Keep
            || self.default_payment_method != Patch::Keep
            || self.description != Patch::Keep
            || self.pause_collection != Patch::Keep
            || self.payment_settings.is_some()
            || self.trial_settings.is_some();
        if other {
            return Err(change::ended());
        }
        Ok(())
    }

    fn apply(self, subscription: Subscription) -> Result<Subscription, Refusal> {
        Ok(Subscription {
            cancellation_details: self.cancellation_details.unwrap_or_default().over(subscription.cancellation_details),
            default_payment_method: self.default_payment_method.over(subscription.default_payment_method),
            description: self.description.map(String::from).over(subscription.description),
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

pub(super) async fn update(At(id): At<String>, call: Call) -> Reply {
    let mut params: Update = call.params()?;
    let id: Id<Subscription> = Id::given(id);
    let change = params.change()?;
    let end = params.end(change.is_some())?;
    let mut needs = Needs::default();
    if let Some(change) = &change {
        items::need_prices(&change.items, &mut needs);
    }
    if change.is_some() || end.is_some() {
        needs.invoices_of = Some(id.clone());
    }
    let verb = Decision::new(Owner::of(&id), needs, move |books, at| {
        let before = change::open(books, &id, at)?;
        let subscription = before.clone();
        if subscription.status.is_terminal() {
            params.check_ended()?;
        }
        if let Patch::Set(pause) = &params.pause_collection {
            pause.check(&subscription, at.now)?;
        }
        if params.trial_settings.is_some() && subscription.status == Status::Incomplete {
            let message = "The trial of a subscription cannot be changed before its first payment.";
            return Err(Refusal::invalid(message).param("trial_settings"));
        }
        let at_period_end = params.cancel_at_period_end;
        let changed = params.apply(subscription)?;
        if let Some(method) = changed.default_payment_method.as_ref().filter(|_| !changed.status.is_terminal()) {
            check_payment_method(books, method, &changed.customer, "default_payment_method")?;
        }
        books.put(changed);
        if let Some(wanted) = at_period_end {
            end_date::at_period_end(books, &id, wanted, at)?;
        }
        if let Some((wanted, prorations)) = end {
            end_date::set(books, &id, wanted, prorations, at)?;
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
