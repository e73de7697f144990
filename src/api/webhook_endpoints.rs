//! `/v1/webhook_endpoints`

use reqwest::Url;
use serde::Deserialize;

use super::{
    call::Call,
    reply::Reply,
    route::{At, Route, deleted},
};
use crate::{
    address,
    billing::{
        Id, MetadataPatch, Refusal, event_types,
        id::Bucket,
        shape::{Null, Patch, Unsupported},
        webhook_endpoint::{Internal, NOUN, Status, Tag, WebhookEndpoint},
    },
    dialect::{speak, version::Version},
    engine::{Owner, Subject, verb::Decision},
    store::{books::Needs, delivery},
};

pub fn routes() -> Vec<Route> {
    vec![
        Route::list("/v1/webhook_endpoints", &NOUN),
        Route::post("/v1/webhook_endpoints", create, &NOUN),
        Route::retrieve("/v1/webhook_endpoints/{id}", &NOUN),
        Route::post("/v1/webhook_endpoints/{id}", update, &NOUN),
        Route::delete("/v1/webhook_endpoints/{id}", delete, deleted(&NOUN)),
    ]
}

#[derive(Clone, Debug, Deserialize)]
struct Create {
    url: String,
    enabled_events: Vec<String>,
    api_version: Option<String>,
    description: Option<String>,
    #[serde(default)]
    metadata: MetadataPatch,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    connect: Option<Unsupported>,
}

/// An absolute http or https address with a host; in live mode https, and on the public internet as far
/// as can be said before its name is resolved.
fn check_url(call: &Call, url: &str) -> Result<(), Refusal> {
    let parsed = Url::parse(url).ok().filter(Url::has_host);
    let Some(parsed) = parsed.filter(|url| matches!(url.scheme(), "http" | "https")) else {
        return Err(Refusal::invalid("Not a valid URL").code("url_invalid").param("url"));
    };
    let wrong = |message: &str| Err(Refusal::invalid(message).code("url_invalid").param("url"));
    if call.livemode() && parsed.scheme() != "https" {
        return wrong("Invalid URL: webhook endpoints in live mode must use https.");
    }
    let is_private =
        |host: &str| host == "localhost" || address::literal(host).is_some_and(|it| !address::is_public(it));
    let must_be_public = call.livemode() && !call.house.engine.webhooks.allow_private;
    if must_be_public && parsed.host_str().is_some_and(is_private) {
        return wrong("Invalid URL: URL must be publicly accessible.");
    }
    Ok(())
}

/// `*`, or names of event types.
fn check_events(events: &[String]) -> Result<(), Refusal> {
    if events.is_empty() {
        return Err(Refusal::missing("enabled_events"));
    }
    for (index, event) in events.iter().enumerate() {
        if event != "*" && !event_types::exists(event) {
            let message = format!("Invalid enabled_events: {event} is not the name of an event type.");
            return Err(Refusal::invalid(message).param(format!("enabled_events[{index}]")));
        }
    }
    Ok(())
}

async fn create(call: Call, params: Create) -> Reply {
    let livemode = call.livemode();
    let (url, events) = (params.url, params.enabled_events);
    check_url(&call, &url)?;
    check_events(&events)?;
    if let Some(version) = &params.api_version {
        Version::asked(version).map_err(|refusal| refusal.param("api_version"))?;
    }
    let verb = Decision::new(Owner::Nobody, Needs::default(), move |books, at| {
        let id: Id<WebhookEndpoint> = Id::new(&mut at.ids, Bucket::SHARED);
        let secret = WebhookEndpoint::new_secret(at);
        books.put(WebhookEndpoint {
            id: id.clone(),
            object: Tag::WebhookEndpoint,
            api_version: params.api_version,
            application: Null,
            created: at.now,
            description: params.description,
            enabled_events: events,
            livemode,
            metadata: params.metadata.initial()?,
            status: Status::Enabled,
            url,
            internal: Internal::new(secret.clone()),
        });
        Ok(Subject { shown_once: Some((speak::SECRET, secret)), ..Subject::document(&id) })
    });
    call.run(&NOUN, verb).await
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Update {
    description: Patch<String>,
    disabled: Option<bool>,
    enabled_events: Option<Vec<String>>,
    metadata: MetadataPatch,
    url: Option<String>,
}

async fn update(At(id): At<String>, call: Call, params: Update) -> Reply {
    params.url.iter().try_for_each(|url| check_url(&call, url))?;
    params.enabled_events.iter().try_for_each(|events| check_events(events))?;
    let id: Id<WebhookEndpoint> = Id::given(id);
    let mut needs = Needs::default();
    needs.document(&id);
    let verb = Decision::new(Owner::Nobody, needs, move |books, _| {
        let endpoint = books.at_path(&id)?.clone();
        let status = match params.disabled {
            Some(true) => Status::Disabled,
            Some(false) => Status::Enabled,
            None => endpoint.status,
        };
        books.put(WebhookEndpoint {
            description: params.description.over(endpoint.description),
            enabled_events: params.enabled_events.unwrap_or(endpoint.enabled_events),
            metadata: params.metadata.apply(endpoint.metadata)?,
            status,
            url: params.url.unwrap_or(endpoint.url),
            ..endpoint
        });
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

async fn delete(At(id): At<String>, call: Call) -> Reply {
    let id: Id<WebhookEndpoint> = Id::given(id);
    let mut needs = Needs::default();
    needs.document(&id);
    let removed = id.clone();
    let verb = Decision::new(Owner::Nobody, needs, move |books, _| {
        books.at_path(&id)?;
        books.remove(&id);
        Ok(Subject::deleted(&id))
    });
    let said = call.run(&NOUN, verb).await?;
    let mut reader = call.house.engine.store.reader().await?;
    delivery::stop(&mut reader, removed.as_str()).await?;
    Ok(said)
}
