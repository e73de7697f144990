//! Where a team wants to hear of events.

use serde::{Deserialize, Serialize};

use super::{
    Id, Metadata, Moment, Noun, Resource, Timestamp, describe,
    noun::{Cell, Keyed, boolean},
    shape::Null,
};
use crate::words;

pub static NOUN: Noun = Noun {
    object: "webhook_endpoint",
    prefix: "we_",
    table: "webhook_endpoints",
    url: "/v1/webhook_endpoints",
    name: "webhook endpoint",
    keyed: Keyed::Shared,
    leaves_stub: false,
    columns: &[boolean("enabled")],
    filters: &[],
    links: &[],
    inlines: &[],
    previews: &[],
    searchable: &[],
    document: describe::shape_of::<WebhookEndpoint>,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WebhookEndpoint {
    pub id: Id<WebhookEndpoint>,
    pub object: Tag,
    /// Events for this endpoint are rendered in this version; null means the newest.
    pub api_version: Option<String>,
    pub application: Null,
    pub created: Timestamp,
    pub description: Option<String>,
    pub enabled_events: Vec<String>,
    pub livemode: bool,
    pub metadata: Metadata,
    pub status: Status,
    pub url: String,
    pub internal: Internal,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Tag {
    #[serde(rename = "webhook_endpoint")]
    WebhookEndpoint,
}

words!(Status { Enabled = "enabled", Disabled = "disabled" });

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Internal {
    /// Shown once, when it is made.
    pub secret: String,
    /// The secret before it, which signs beside it for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former: Option<Former>,
    /// Whether the events of one object are delivered in order.
    #[serde(default = "yes")]
    pub ordered: bool,
}

const fn yes() -> bool {
    true
}

/// A secret that was replaced.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Former {
    pub secret: String,
    pub expires_at: Timestamp,
}

impl Internal {
    pub fn new(secret: String) -> Internal {
        Internal { secret, former: None, ordered: yes() }
    }

    /// A new secret in place of the present one, which stays good until `expires_at`.
    #[must_use]
    pub fn rolled(self, secret: String, expires_at: Timestamp) -> Internal {
        Internal { former: Some(Former { secret: self.secret, expires_at }), secret, ..self }
    }

    /// What signs at this time, the newest first.
    pub fn secrets(&self, now: Timestamp) -> impl Iterator<Item = &str> {
        let former = self.former.iter().filter(move |former| former.expires_at > now);
        std::iter::once(self.secret.as_str()).chain(former.map(|former| former.secret.as_str()))
    }
}

impl WebhookEndpoint {
    pub fn new_secret(at: &mut Moment) -> String {
        format!("whsec_{}", at.ids.secret(43))
    }

    pub fn listens_to(&self, livemode: bool, event_type: &str) -> bool {
        self.livemode == livemode
            && self.status == Status::Enabled
            && self.enabled_events.iter().any(|wanted| wanted == "*" || wanted == event_type)
    }

    /// The same, but asked for by its own name.
    pub fn names(&self, livemode: bool, event_type: &str) -> bool {
        self.listens_to(livemode, event_type) && self.enabled_events.iter().any(|wanted| wanted == event_type)
    }
}

impl Resource for WebhookEndpoint {
    const NOUN: &'static Noun = &NOUN;

    crate::basics!(created);

    fn cells(&self) -> Vec<Cell> {
        vec![Cell::Boolean(self.status == Status::Enabled)]
    }
}
