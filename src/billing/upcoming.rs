//! Telling of an invoice some days before it is made, where somebody wants to know.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Books, Id, Moment, Refusal, Timestamp,
    preview::{self, Ahead},
    subscription::{CollectionMethod, Status, Subscription},
};

const EVENT: &str = "invoice.upcoming";
/// How many days ahead it is told to an endpoint that names the event, if nothing else is set.
const USUAL_DAYS: i64 = 7;

/// How far ahead, decided at the beginning of a period; and what has been told.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Upcoming {
    pub days: i64,
    /// The end of the period of which it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Timestamp>,
}

/// What the settings say for a period that begins now. Nobody asked: there is nothing to do.
pub fn planned(books: &Books, livemode: bool) -> Option<Upcoming> {
    let usual = || books.is_named(livemode, EVENT).then_some(USUAL_DAYS);
    let days = books.settings(livemode).invoice.upcoming_days.or_else(usual)?;
    Some(Upcoming { days, told: None })
}

impl Subscription {
    /// When its next invoice is to be told of, unless that has been done. Only what will be charged is,
    /// and only if that lies within the period.
    pub fn upcoming_at(&self) -> Option<Timestamp> {
        let upcoming = self.internal.upcoming?;
        let period = self.period()?;
        let charged = matches!(self.status, Status::Active | Status::PastDue | Status::Trialing)
            && self.collection_method == CollectionMethod::ChargeAutomatically
            && self.pause_collection.is_none()
            && self.cancel_at.is_none_or(|end| end > period.end);
        let time = period.end.plus_days(-upcoming.days);
        (charged && upcoming.told != Some(period.end) && time > period.start).then_some(time)
    }
}

/// Tells of the invoice that the end of the period will make, as it would be now. It has no id.
pub fn give_notice(books: &mut Books, id: &Id<Subscription>, at: &mut Moment) -> Result<(), Refusal> {
    let mut subscription = books.find(id, "subscription")?.clone();
    let end = subscription.period().map(|period| period.end);
    if let Some(upcoming) = &mut subscription.internal.upcoming {
        upcoming.told = end;
    }
    books.put(subscription);
    let wanted = Ahead::of(id.clone());
    let (mut ahead, now) = (books.clone(), at.now);
    let previewed = preview::ahead(&mut ahead, &wanted, at);
    at.now = now;
    match previewed {
        Ok(invoice) => {
            if let Some(image) = ahead.image(&invoice) {
                books.tell_value(id, EVENT, &without_id(image), at);
            }
            Ok(())
        }
        // It comes to no invoice.
        Err(refusal) if refusal.status < 500 => Ok(()),
        Err(refusal) => Err(refusal),
    }
}

fn without_id(mut invoice: Value) -> Value {
    if let Some(lines) = invoice.pointer_mut("/lines/data").and_then(Value::as_array_mut) {
        for line in lines {
            let temporary = line.get("id").and_then(Value::as_str).unwrap_or_default().replacen("il_", "il_tmp_", 1);
            (line["id"], line["invoice"]) = (json!(temporary), Value::Null);
        }
    }
    invoice["lines"]["url"] = json!("/v1/invoices/upcoming/lines");
    invoice["billing_reason"] = json!("upcoming");
    if let Some(members) = invoice.as_object_mut() {
        members.remove("id");
    }
    invoice
}
