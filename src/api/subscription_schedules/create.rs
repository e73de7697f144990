//! `POST /v1/subscription_schedules`

use serde::Deserialize;

use super::{
    NowWord,
    defaults::DefaultsParams,
    phases::{self, PhaseParams},
};
use crate::{
    api::{call::Call, reply::Reply, subscriptions::BillingModeParams},
    billing::{
        Id, MetadataPatch, Refusal,
        customer::Customer,
        schedule::{self, NewSchedule},
        shape::{TimeOr, Unsupported},
        subscription::{BillingMode, Subscription},
        subscription_schedule::{DefaultSettings, EndBehavior, NOUN},
    },
    engine::{Owner, Subject, verb::Decision},
    store::books::Needs,
};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Create {
    billing_mode: Option<BillingModeParams>,
    customer: Option<Id<Customer>>,
    default_settings: Option<DefaultsParams>,
    end_behavior: Option<EndBehavior>,
    from_subscription: Option<Id<Subscription>>,
    metadata: MetadataPatch,
    phases: Vec<PhaseParams>,
    start_date: Option<TimeOr<NowWord>>,
    // Known, and refused rather than ignored.
    customer_account: Option<Unsupported>,
    pause_schedules: Option<Unsupported>,
}

impl Create {
    /// What a subscription that is there says already.
    fn check_alone(&self) -> Result<(), Refusal> {
        let beside = [
            ("billing_mode", self.billing_mode.is_some()),
            ("customer", self.customer.is_some()),
            ("default_settings", self.default_settings.is_some()),
            ("end_behavior", self.end_behavior.is_some()),
            ("phases", !self.phases.is_empty()),
            ("start_date", self.start_date.is_some()),
        ];
        beside.iter().find(|(_, given)| *given).map_or(Ok(()), |(param, _)| {
            let message = format!(
                "You can't pass '{param}' together with from_subscription: make the schedule first, and then update it."
            );
            Err(Refusal::invalid(message).param(*param))
        })
    }
}

pub(super) async fn create(call: Call, params: Create) -> Reply {
    if let Some(subscription) = params.from_subscription.clone() {
        params.check_alone()?;
        let metadata = params.metadata.initial()?;
        let needs = Needs::default();
        let verb = Decision::new(Owner::of(&subscription), needs, move |books, at| {
            let id = schedule::from_subscription(books, &subscription, metadata, at)?;
            Ok(Subject::document(&id))
        });
        return call.run(&NOUN, verb).await;
    }
    let livemode = call.livemode();
    let customer = params.customer.clone().ok_or_else(|| Refusal::missing("customer"))?;
    let mut needs = Needs::default();
    phases::need_prices(&params.phases, &mut needs);
    let verb = Decision::new(Owner::Customer(customer.clone()), needs, move |books, at| {
        books.find(&customer, "customer")?;
        phases::check_new(&params.phases)?;
        let wanted = NewSchedule {
            phases: phases::wanted(params.phases, books, livemode, at)?,
            start: params.start_date.map_or(at.now, |start| phases::time(start, at.now)),
            billing_mode: params.billing_mode.map_or_else(BillingMode::flexible, BillingModeParams::mode),
            default_settings: params.default_settings.unwrap_or_default().over(DefaultSettings::default()),
            end_behavior: params.end_behavior.unwrap_or(EndBehavior::Release),
            metadata: params.metadata.initial()?,
        };
        let id = schedule::create(books, wanted, at)?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}
