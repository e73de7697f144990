//! From classic to flexible billing: the way there is only one of.

use super::{
    Books, Id, Moment, Refusal, change,
    subscription::{BillingMode, BillingModeType, Subscription},
    subscription_schedule::SubscriptionSchedule,
};

/// Makes a classic subscription a flexible one. What has been prorated stays as it was reckoned; the
/// rules of flexible billing hold for what comes.
pub fn migrate(books: &mut Books, id: &Id<Subscription>, wanted: BillingMode, at: &mut Moment) -> Result<(), Refusal> {
    let subscription = books.find(id, "subscription")?.clone();
    if subscription.status.is_terminal() {
        return Err(change::ended());
    }
    let message = match (subscription.billing_mode.kind, wanted.kind) {
        (BillingModeType::Classic, BillingModeType::Flexible) => {
            let billing_mode = BillingMode { updated_at: Some(at.now), ..wanted };
            if let Some(schedule) = subscription.schedule.as_ref().and_then(|schedule| books.get(schedule)).cloned() {
                let (id, billing_mode) = (schedule.id.clone(), billing_mode.clone());
                books.put(SubscriptionSchedule { billing_mode, ..schedule });
                books.tell(&id, "subscription_schedule.updated", at);
            }
            books.put(Subscription { billing_mode, ..subscription });
            return Ok(());
        }
        (BillingModeType::Flexible, BillingModeType::Flexible) => {
            "The billing_mode of this subscription is flexible already."
        }
        (_, BillingModeType::Classic) => "A subscription can only be migrated to the billing_mode flexible.",
    };
    Err(Refusal::invalid(message).param("billing_mode[type]"))
}
