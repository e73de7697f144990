//! `/v1/dunlin/invoices/{id}/collection`: what was tried to collect an invoice, when it is tried next and
//! why then, and what follows if nothing helps.

use serde_json::{Value, json};

use super::super::{call::Call, reply::Reply, route::At, settings};
use crate::{
    billing::{
        attempts::Attempts,
        invoice::{Invoice, NOUN, Status},
        settings::Settings,
        smart::Reason,
    },
    store::{Fault, read},
};

pub async fn retrieve(At(id): At<String>, call: Call) -> Reply {
    let mut reader = call.house.engine.store.reader().await?;
    let Some(body) = read::find(&mut reader, &NOUN, &id, call.livemode()).await? else {
        drop(reader);
        // It says so in the usual words.
        return call.retrieve(&NOUN, &id).await;
    };
    let settings = settings::in_force(&mut reader, call.livemode()).await?;
    drop(reader);
    let invoice: Invoice = serde_json::from_str(&body).map_err(Fault::from)?;
    call.say(&collection(&invoice, &settings))
}

fn collection(invoice: &Invoice, settings: &Settings) -> Value {
    let none = Attempts::default();
    let attempts = invoice.internal.attempts.as_ref().unwrap_or(&none);
    let open = matches!(invoice.status, Status::Draft | Status::Open);
    let next = invoice.next_payment_attempt.filter(|_| open);
    let made = attempts.made.iter().map(|made| {
        json!({
            "automatic": made.automatic,
            "created": made.at,
            "decline_code": made.decline_code,
            "payment_method": made.payment_method,
            "result": made.result,
        })
    });
    json!({
        "object": "dunlin.collection",
        "amount_remaining": invoice.amount_remaining,
        "attempt_count": invoice.attempt_count,
        "attempts": made.collect::<Vec<Value>>(),
        "collection_method": invoice.collection_method,
        "currency": invoice.currency,
        "final_action": open.then_some(settings.collection.final_action),
        "given_up": invoice.internal.given_up,
        "invoice": invoice.id,
        "livemode": invoice.livemode,
        "next_attempt": next.map(|next| json!({"at": next, "reason": attempts.reason.as_ref().map(spoken)})),
        "planned": if open { &attempts.planned[..] } else { &[] },
        "retries": settings.collection.retries,
        "status": invoice.status,
    })
}

/// A reason as people read it: chances in percent, effects as what they multiply the odds by.
fn spoken(reason: &Reason) -> Value {
    let candidates = reason.candidates.iter().map(|one| {
        json!({
            "at": one.at,
            "chance_percent": one.chance.percent(),
            "chance_with_later_percent": one.in_all.percent(),
        })
    });
    let decisive =
        reason.decisive.iter().map(|one| json!({"is": one.is, "odds_factor": one.log_odds.factor(), "what": one.side}));
    json!({
        "candidates": candidates.collect::<Vec<Value>>(),
        "considered": reason.considered,
        "decisive": decisive.collect::<Vec<Value>>(),
        "learned_from": reason.learned_from,
        "summary": reason.summary(),
    })
}
