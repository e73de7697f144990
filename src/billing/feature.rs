//! Something that a product can entitle its buyers to.

use serde::{Deserialize, Serialize};

use super::{
    Id, Metadata, Noun, Resource, Timestamp, describe,
    noun::{By, Cell, Keyed, boolean, filter, text},
};

pub static NOUN: Noun = Noun {
    object: "entitlements.feature",
    prefix: "feat_",
    table: "features",
    url: "/v1/entitlements/features",
    name: "feature",
    keyed: Keyed::Shared,
    leaves_stub: false,
    columns: &[boolean("archived"), text("lookup_key")],
    filters: &[filter("archived", By::Boolean("archived")), filter("lookup_key", By::Text("lookup_key"))],
    links: &[],
    inlines: &[],
    previews: &[],
    searchable: &[],
    document: describe::shape_of::<Feature>,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Feature {
    pub id: Id<Feature>,
    pub object: Tag,
    pub active: bool,
    pub livemode: bool,
    pub lookup_key: String,
    pub metadata: Metadata,
    pub name: String,
    pub internal: Internal,
}

/// What a feature does not show.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Internal {
    pub created: Timestamp,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Tag {
    #[serde(rename = "entitlements.feature")]
    Feature,
}

impl Resource for Feature {
    const NOUN: &'static Noun = &NOUN;

    fn id(&self) -> &Id<Self> {
        &self.id
    }

    fn livemode(&self) -> bool {
        self.livemode
    }

    fn created(&self) -> Timestamp {
        self.internal.created
    }

    fn cells(&self) -> Vec<Cell> {
        vec![Cell::Boolean(!self.active), Cell::text(&self.lookup_key)]
    }
}
