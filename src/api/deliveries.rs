//! `/v1/dunlin/deliveries`: what was sent to whom, what came back, and when it is tried again.

use serde_json::{Value, json};

use super::{
    call::Call,
    reply::{Problem, Reply},
    route::{At, Route, list_of},
};
use crate::{
    billing::{
        Refusal,
        delivery::{self, NOUN},
        id, webhook_endpoint,
    },
    store::{
        delivery_log::{self, Again, Attempt, Delivery},
        list::Cursor,
        read,
    },
};

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/dunlin/deliveries", list, list_of(&NOUN)),
        Route::get("/v1/dunlin/deliveries/{id}", retrieve, &NOUN),
        Route::post("/v1/dunlin/deliveries/{id}/resend", resend, &NOUN),
    ]
}

async fn list(call: Call) -> Reply {
    let asked = call.list_params(&NOUN)?;
    if let Some(Cursor::After(id) | Cursor::Before(id)) = &asked.cursor
        && delivery::parts(id).is_none()
    {
        let param = if matches!(asked.cursor, Some(Cursor::After(_))) { "starting_after" } else { "ending_before" };
        return Err(Refusal::no_such(NOUN.name, id).param(param).into());
    }
    let mut reader = call.house.engine.store.reader().await?;
    let query = delivery_log::Query {
        livemode: call.livemode(),
        conditions: &asked.conditions,
        cursor: asked.cursor.as_ref(),
        limit: asked.limit,
    };
    let mut found = delivery_log::list(&mut reader, &query).await?;
    let limit = usize::try_from(asked.limit).unwrap_or(0);
    let has_more = found.len() > limit;
    found.truncate(limit);
    if matches!(asked.cursor, Some(Cursor::Before(_))) {
        found.reverse();
    }
    let data: Vec<Value> = found.iter().map(|delivery| shape(delivery, call.livemode())).collect();
    call.envelope(&data, has_more)
}

async fn retrieve(At(id): At<String>, call: Call) -> Reply {
    show(&call, &id).await
}

async fn show(call: &Call, id: &str) -> Reply {
    let found = find(call, id).await?;
    let mut reader = call.house.engine.store.reader().await?;
    let attempts = delivery_log::attempts(&mut reader, &found.event, &found.endpoint).await?;
    let mut shown = shape(&found, call.livemode());
    shown["attempt_log"] = attempts.iter().map(|attempt| attempt_shape(&found, attempt)).collect();
    call.say(&shown)
}

async fn find(call: &Call, id: &str) -> Result<Delivery, Problem> {
    let mut reader = call.house.engine.store.reader().await?;
    let found = match delivery::parts(id) {
        Some((event, endpoint)) => delivery_log::find(&mut reader, &event, &endpoint, call.livemode()).await?,
        None => None,
    };
    found.ok_or_else(|| Refusal::not_found(&NOUN, id).into())
}

async fn resend(At(id): At<String>, call: Call) -> Reply {
    let found = find(&call, &id).await?;
    let mut reader = call.house.engine.store.reader().await?;
    if read::find(&mut reader, &webhook_endpoint::NOUN, &found.endpoint, call.livemode()).await?.is_none() {
        return Err(Refusal::no_such(webhook_endpoint::NOUN.name, &found.endpoint).into());
    }
    let again = Again {
        endpoint: &found.endpoint,
        livemode: call.livemode(),
        from: &found.event,
        to: &found.event,
        types: None,
        limit: 1,
    };
    delivery_log::resend(&mut reader, &again, call.house.engine.clock.now().unix_seconds()).await?;
    drop(reader);
    call.house.engine.told.notify_one();
    show(&call, &id).await
}

/// As it is shown.
fn shape(delivery: &Delivery, livemode: bool) -> Value {
    json!({
        "id": delivery::id(&delivery.event, &delivery.endpoint),
        "object": NOUN.object,
        "about": delivery.object,
        "attempts": delivery.attempts,
        "created": id::made_at(&delivery.event),
        "endpoint": delivery.endpoint,
        "event": delivery.event,
        "last_attempt": delivery.last.as_ref().map(|attempt| attempt_shape(delivery, attempt)),
        "livemode": livemode,
        "next_attempt": delivery.next_attempt,
        "sequence": delivery.sequence,
        "status": delivery.status,
        "type": delivery.kind,
    })
}

fn attempt_shape(sent: &Delivery, attempt: &Attempt) -> Value {
    let response = attempt.status.map(|status| json!({"status": status, "body": attempt.response}));
    json!({
        "number": attempt.number,
        "at": attempt.started,
        "duration_ms": attempt.milliseconds,
        "error": attempt.error,
        "outcome": attempt.outcome,
        "out_of_order": attempt.out_of_order,
        "request": {
            "method": "POST",
            "url": attempt.url,
            "headers": {
                "content-type": delivery::CONTENT_TYPE,
                "user-agent": delivery::USER_AGENT,
                "stripe-signature": attempt.signature,
                "dunlin-sequence": sent.sequence.to_string(),
            },
        },
        "response": response,
    })
}
