//! The history of the settings: who changed them, when, and what they were before.

use serde::{Deserialize, Serialize};

use super::Settings;
use crate::{
    billing::{
        Id, Noun, Resource, Timestamp, describe,
        noun::{Cell, Keyed, integer},
    },
    words,
};

pub static NOUN: Noun = Noun {
    object: "dunlin.settings_version",
    prefix: "setv_",
    table: "settings_versions",
    url: "/v1/dunlin/settings/history",
    name: "settings version",
    keyed: Keyed::Shared,
    leaves_stub: false,
    columns: &[integer("version")],
    filters: &[],
    links: &[],
    inlines: &[],
    previews: &[],
    searchable: &[],
    document: describe::shape_of::<SettingsVersion>,
};

/// A change of the settings. Never changed itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SettingsVersion {
    pub id: Id<SettingsVersion>,
    pub object: Tag,
    pub after: Settings,
    pub author: Author,
    pub before: Settings,
    pub created: Timestamp,
    pub livemode: bool,
    /// The number of the settings after it.
    pub version: i64,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Tag {
    #[serde(rename = "dunlin.settings_version")]
    SettingsVersion,
}

/// Who made a change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Author {
    /// Enough of the key to recognise it by.
    pub hint: Option<String>,
    /// The id of the key.
    pub id: Option<String>,
    #[serde(rename = "type")]
    pub kind: AuthorType,
}

words!(AuthorType { ApiKey = "api_key", CommandLine = "command_line" });

impl Resource for SettingsVersion {
    const NOUN: &'static Noun = &NOUN;

    crate::basics!(created);

    fn cells(&self) -> Vec<Cell> {
        vec![Cell::Integer(Some(self.version))]
    }
}
