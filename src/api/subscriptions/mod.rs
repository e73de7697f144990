//! `/v1/subscriptions`

mod cancel;
pub mod create;
pub mod extras;
pub mod items;
mod migrate;
mod of_customer;
pub mod pause;
mod resume;
mod update;

use serde::Deserialize;

use super::{
    call::Call,
    invoices::write::CustomFieldsParams,
    method_options::{MethodOptions, SubscriptionCardParams},
    reply::Reply,
    route::{At, Route},
};
use crate::{
    billing::{
        Refusal,
        end_date::CancelAt,
        payment_method,
        shape::{Patch, Text, TimeOr, Unsupported},
        subscription::{
            BillingMode, BillingModeType, CancellationDetails, EndBehavior, Feedback, InvoiceSettings,
            MissingPaymentMethod, NOUN, PaymentSettings, ProrationDiscounts, SaveDefault, TrialEndAnchor,
            TrialSettings,
        },
        trial::TrialEnd,
    },
    store::read,
    words,
};

pub fn routes() -> Vec<Route> {
    let mut routes = vec![
        Route::list("/v1/subscriptions", &NOUN),
        Route::search("/v1/subscriptions/search", &NOUN),
        Route::post("/v1/subscriptions", create::create, &NOUN),
        Route::retrieve("/v1/subscriptions/{id}", &NOUN),
        Route::post("/v1/subscriptions/{id}", update::update, &NOUN),
        Route::delete("/v1/subscriptions/{id}", cancel::cancel, &NOUN),
        Route::post("/v1/subscriptions/{id}/migrate", migrate::migrate, &NOUN),
        Route::post("/v1/subscriptions/{id}/pause", pause::pause, &NOUN),
        Route::post("/v1/subscriptions/{id}/resume", resume::resume, &NOUN),
        Route::delete("/v1/subscriptions/{id}/discount", no_discount, "discount"),
    ];
    routes.extend(of_customer::routes());
    routes
}

/// There are no discounts yet, so no subscription has one.
async fn no_discount(At(id): At<String>, call: Call) -> Reply {
    let mut reader = call.house.engine.store.reader().await?;
    if read::find(&mut reader, &NOUN, &id, call.livemode()).await?.is_none() {
        return Err(Refusal::not_found(&NOUN, &id).into());
    }
    let message = format!("No active discount for subscription: {id}");
    Err(Refusal::invalid(message).code("resource_missing").status(404).into())
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct PaymentSettingsParams {
    save_default_payment_method: Option<SaveDefault>,
    payment_method_types: Patch<Vec<payment_method::Kind>>,
    payment_method_options: Patch<MethodOptions<SubscriptionCardParams>>,
}

impl PaymentSettingsParams {
    fn over(self, current: PaymentSettings) -> PaymentSettings {
        let save = self.save_default_payment_method.unwrap_or(current.save_default_payment_method);
        PaymentSettings {
            payment_method_options: match self.payment_method_options {
                Patch::Set(options) => Some(options.over(current.payment_method_options.as_ref())),
                Patch::Clear => None,
                Patch::Keep => current.payment_method_options,
            },
            payment_method_types: self.payment_method_types.over(current.payment_method_types),
            save_default_payment_method: save,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
pub struct BillingModeParams {
    #[serde(rename = "type")]
    kind: BillingModeType,
    flexible: Option<FlexibleParams>,
}

#[derive(Clone, Debug, Deserialize)]
struct FlexibleParams {
    proration_discounts: Option<ProrationDiscounts>,
}

impl BillingModeParams {
    pub fn mode(self) -> BillingMode {
        let discounts = self.flexible.and_then(|flexible| flexible.proration_discounts);
        match self.kind {
            BillingModeType::Classic => BillingMode::classic(),
            BillingModeType::Flexible => BillingMode::flexible_with(discounts.unwrap_or(ProrationDiscounts::Included)),
        }
    }
}

/// What the invoices of a subscription say.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct InvoiceSettingsParams {
    custom_fields: Patch<CustomFieldsParams>,
    description: Patch<Text<1500>>,
    footer: Patch<Text<5000>>,
    // Known, and refused rather than ignored.
    account_tax_ids: Option<Unsupported>,
    issuer: Option<Unsupported>,
}

impl InvoiceSettingsParams {
    pub fn over(self, current: InvoiceSettings) -> InvoiceSettings {
        InvoiceSettings {
            custom_fields: self.custom_fields.map(Vec::from).over(current.custom_fields),
            description: self.description.map(String::from).over(current.description),
            footer: self.footer.map(String::from).over(current.footer),
            ..current
        }
    }
}

words!(CancelAtWord {
    MaxBilledUntil = "max_billed_until",
    MaxPeriodEnd = "max_period_end",
    MinPeriodEnd = "min_period_end",
});

pub fn end_date(wanted: TimeOr<CancelAtWord>) -> CancelAt {
    match wanted {
        TimeOr::Time(time) => CancelAt::Time(time),
        TimeOr::Word(CancelAtWord::MaxBilledUntil) => CancelAt::MaxBilledUntil,
        TimeOr::Word(CancelAtWord::MaxPeriodEnd) => CancelAt::MaxPeriodEnd,
        TimeOr::Word(CancelAtWord::MinPeriodEnd) => CancelAt::MinPeriodEnd,
    }
}

pub fn one_end() -> Refusal {
    Refusal::exclusive(&["cancel_at", "cancel_at_period_end"]).param("cancel_at")
}

words!(NowWord { Now = "now" });

/// `trial_end`: a time, or `now`.
pub fn trial_end(given: TimeOr<NowWord>) -> TrialEnd {
    match given {
        TimeOr::Time(time) => TrialEnd::At(time),
        TimeOr::Word(NowWord::Now) => TrialEnd::Now,
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub struct TrialSettingsParams {
    end_behavior: EndBehaviorParams,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub struct EndBehaviorParams {
    billing_cycle_anchor: Option<TrialEndAnchor>,
    missing_payment_method: Option<MissingPaymentMethod>,
}

impl TrialSettingsParams {
    pub fn over(self, current: TrialSettings) -> TrialSettings {
        let (given, kept) = (self.end_behavior, current.end_behavior);
        TrialSettings {
            end_behavior: EndBehavior {
                billing_cycle_anchor: given.billing_cycle_anchor.or(kept.billing_cycle_anchor),
                missing_payment_method: given.missing_payment_method.unwrap_or(kept.missing_payment_method),
            },
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct CancellationDetailsParams {
    comment: Patch<String>,
    feedback: Patch<Feedback>,
    feedback_option: Option<Unsupported>,
}

impl CancellationDetailsParams {
    fn over(self, current: CancellationDetails) -> CancellationDetails {
        CancellationDetails {
            comment: self.comment.over(current.comment),
            feedback: self.feedback.over(current.feedback),
            ..current
        }
    }
}
