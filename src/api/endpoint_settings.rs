//! `/v1/dunlin/webhook_endpoints`: what can be done with an endpoint beyond what Stripe's API offers.

use serde::Deserialize;
use serde_json::json;

use super::{
    call::Call,
    reply::{Problem, Reply},
    route::{At, Route},
};
use crate::{
    billing::{
        Id, Refusal, Timestamp, id,
        webhook_endpoint::{NOUN, Status, WebhookEndpoint},
    },
    dialect::speak,
    engine::{Owner, Subject, verb::Decision},
    store::{
        books::Needs,
        delivery_log::{self, Again},
        events::first_id,
        read,
    },
};

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/dunlin/webhook_endpoints/{id}", retrieve, "dunlin.webhook_endpoint").reads("webhook_endpoints"),
        Route::post("/v1/dunlin/webhook_endpoints/{id}", update, "dunlin.webhook_endpoint").writes("webhook_endpoints"),
        Route::post("/v1/dunlin/webhook_endpoints/{id}/roll_secret", roll_secret, &NOUN),
        Route::post("/v1/dunlin/webhook_endpoints/{id}/resend", resend, "dunlin.resend").writes("webhook_endpoints"),
    ]
}

/// The secret that is replaced signs on for a day, and for a week at most.
const OVERLAP_SECONDS: i64 = 86_400;
const LONGEST_OVERLAP_SECONDS: i64 = 7 * 86_400;
/// How many events are made due in one statement, and by one call.
const RESENT_AT_ONCE: i64 = 5_000;
const MOST_RESENT: i64 = 100_000;

async fn find(call: &Call, id: &str) -> Result<WebhookEndpoint, Problem> {
    let mut reader = call.house.engine.store.reader().await?;
    let body = read::find(&mut reader, &NOUN, id, call.livemode()).await?;
    let body = body.ok_or_else(|| Refusal::not_found(&NOUN, id))?;
    Ok(serde_json::from_str(&body).map_err(crate::store::Fault::from)?)
}

async fn retrieve(At(id): At<String>, call: Call) -> Reply {
    show(&call, &id).await
}

async fn show(call: &Call, id: &str) -> Reply {
    let endpoint = find(call, id).await?;
    let mut reader = call.house.engine.store.reader().await?;
    let (waiting, failed, given_up) = delivery_log::counts(&mut reader, id).await?;
    let now = call.house.engine.clock.now();
    let former = endpoint.internal.former.as_ref().map(|former| former.expires_at).filter(|expires| *expires > now);
    call.say(&json!({
        "id": endpoint.id,
        "object": "dunlin.webhook_endpoint",
        "deliveries": {"waiting": waiting, "failed": failed, "given_up": given_up},
        "former_secret_expires_at": former,
        "livemode": endpoint.livemode,
        "ordered": endpoint.internal.ordered,
    }))
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Update {
    ordered: Option<bool>,
}

async fn update(At(id): At<String>, call: Call, params: Update) -> Reply {
    let (id, mut needs) = (Id::<WebhookEndpoint>::given(id), Needs::default());
    needs.document(&id);
    let path = id.to_string();
    let verb = Decision::new(Owner::Nobody, needs, move |books, _| {
        let mut endpoint = books.at_path(&id)?.clone();
        endpoint.internal.ordered = params.ordered.unwrap_or(endpoint.internal.ordered);
        books.put(endpoint);
        Ok(Subject::document(&id))
    });
    call.run_aside(verb).await?;
    show(&call, &path).await
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Roll {
    expire_in: Option<i64>,
    expires_at: Option<Timestamp>,
}

/// When the secret that is replaced stops signing.
fn expiry(params: &Roll, now: Timestamp) -> Result<Timestamp, Refusal> {
    let (param, expires_at) = match (params.expire_in, params.expires_at) {
        (Some(_), Some(_)) => return Err(Refusal::exclusive(&["expire_in", "expires_at"]).param("expire_in")),
        (Some(seconds), None) => ("expire_in", now.plus_seconds(seconds)),
        (None, Some(expires_at)) => ("expires_at", expires_at),
        (None, None) => ("expire_in", now.plus_seconds(OVERLAP_SECONDS)),
    };
    if expires_at < now || expires_at > now.plus_seconds(LONGEST_OVERLAP_SECONDS) {
        let message =
            format!("Invalid {param}: the old secret can stay valid for 0 to {LONGEST_OVERLAP_SECONDS} seconds.");
        return Err(Refusal::invalid(message).param(param));
    }
    Ok(expires_at)
}

/// A new secret, shown once. Until the old one expires, what is sent is signed with both.
async fn roll_secret(At(id): At<String>, call: Call, params: Roll) -> Reply {
    let (id, mut needs) = (Id::<WebhookEndpoint>::given(id), Needs::default());
    needs.document(&id);
    let verb = Decision::new(Owner::Nobody, needs, move |books, at| {
        let endpoint = books.at_path(&id)?.clone();
        let secret = WebhookEndpoint::new_secret(at);
        let internal = endpoint.internal.rolled(secret.clone(), expiry(&params, at.now)?);
        books.put(WebhookEndpoint { internal, ..endpoint });
        Ok(Subject { shown_once: Some((speak::SECRET, secret)), ..Subject::document(&id) })
    });
    call.run(&NOUN, verb).await
}

#[derive(Clone, Debug, Deserialize)]
struct Resend {
    since: Timestamp,
}

/// Sends again all events since a time that the endpoint wants to hear, delivered or not.
async fn resend(At(id): At<String>, call: Call, params: Resend) -> Reply {
    let since = params.since;
    let endpoint = find(&call, &id).await?;
    if endpoint.status == Status::Disabled {
        return Err(Refusal::invalid("This webhook endpoint is disabled: enable it before resending.").into());
    }
    let now = call.house.engine.clock.now();
    let wanted = &endpoint.enabled_events;
    let types = (!wanted.iter().any(|kind| kind == "*")).then_some(wanted.as_slice());
    // What is told from now on is sent anyway.
    let to = first_id(now.plus_seconds(1));
    let (mut from, mut events, mut has_more) = (first_id(since), 0, true);
    let mut reader = call.house.engine.store.reader().await?;
    while has_more && events < MOST_RESENT {
        let again =
            Again { endpoint: &id, livemode: call.livemode(), from: &from, to: &to, types, limit: RESENT_AT_ONCE };
        let (found, last) = delivery_log::resend(&mut reader, &again, now.unix_seconds()).await?;
        (events, has_more) = (events + found, found == RESENT_AT_ONCE);
        // The next id after it.
        from = last.map_or(from, |last| format!("{last}!"));
        call.house.engine.told.notify_one();
    }
    call.say(&json!({
        "object": "dunlin.resend",
        "endpoint": id,
        "events": events,
        "has_more": has_more,
        "livemode": call.livemode(),
        "since": since,
        // Where to go on, if there is more.
        "until": id::made_at(from.trim_end_matches('!')),
    }))
}
