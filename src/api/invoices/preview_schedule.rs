//! `POST /v1/invoices/create_preview` of a schedule: as it is, changed, or of one that is not there yet.

use serde::Deserialize;

use crate::{
    api::{
        subscription_schedules::phases::{self, PhaseParams},
        subscriptions::BillingModeParams,
    },
    billing::{
        Books, Id, Metadata, MetadataPatch, Moment, Refusal,
        invoice::Invoice,
        preview::{self, Mode, PreviewItem},
        prorate::ProrationBehavior,
        schedule::{self, NewSchedule, Update},
        shape::Unsupported,
        subscription::BillingMode,
        subscription_schedule::{DefaultSettings, EndBehavior, SubscriptionSchedule},
    },
    store::books::Needs,
};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ScheduleDetails {
    billing_mode: Option<BillingModeParams>,
    end_behavior: Option<EndBehavior>,
    phases: Option<Vec<PhaseParams>>,
    proration_behavior: Option<ProrationBehavior>,
    // Known, and refused rather than ignored.
    pause_schedules: Option<Unsupported>,
}

/// Says that a phase is among the details.
fn within(refusal: Refusal) -> Refusal {
    let is_of_phase = refusal.param.as_deref().is_some_and(|param| param.starts_with("phases"));
    if is_of_phase { refusal.within("schedule_details") } else { refusal }
}

impl ScheduleDetails {
    pub(super) fn need_prices(&self, needs: &mut Needs) {
        phases::need_prices(self.phases.iter().flatten(), needs);
    }

    /// What comes of a schedule there is.
    pub(super) fn ahead(
        self,
        id: &Id<SubscriptionSchedule>,
        (items, mode): (&[PreviewItem], Mode),
        books: &mut Books,
        livemode: bool,
        at: &mut Moment,
    ) -> Result<Invoice, Refusal> {
        if self.billing_mode.is_some() {
            let message = "The billing_mode of a schedule that is there cannot be changed.";
            return Err(Refusal::invalid(message).param("schedule_details[billing_mode]"));
        }
        books.find(id, "schedule")?;
        schedule::open(books, id, at)?;
        let changes = self.phases.is_some() || self.end_behavior.is_some();
        let wanted = self.phases.map(|new| phases::wanted(new, books, livemode, at)).transpose().map_err(within)?;
        let update = Update {
            phases: wanted,
            default_settings: None,
            end_behavior: self.end_behavior,
            metadata: MetadataPatch::Keep,
            prorations: self.proration_behavior.unwrap_or(ProrationBehavior::CreateProrations),
        };
        let invoice = preview::of_schedule(books, id, changes.then_some(update), (items, mode), at).map_err(within)?;
        books.find(&invoice, "invoice").cloned()
    }

    /// What comes of one that is not there yet.
    pub(super) fn beginning(
        self,
        (items, mode): (&[PreviewItem], Mode),
        books: &mut Books,
        livemode: bool,
        at: &mut Moment,
    ) -> Result<Invoice, Refusal> {
        let wanted = phases::wanted(self.phases.unwrap_or_default(), books, livemode, at).map_err(within)?;
        let wanted = NewSchedule {
            // It begins when the preview asks, or when its first phase does.
            start: wanted.first().and_then(|first| first.start).unwrap_or(at.now),
            phases: wanted,
            billing_mode: self.billing_mode.map_or_else(BillingMode::flexible, BillingModeParams::mode),
            default_settings: DefaultSettings::default(),
            end_behavior: self.end_behavior.unwrap_or(EndBehavior::Release),
            metadata: Metadata::new(),
        };
        let invoice = preview::of_new_schedule(books, wanted, (items, mode), at).map_err(within)?;
        books.find(&invoice, "invoice").cloned()
    }
}
