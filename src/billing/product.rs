//! What is sold.

use serde::{Deserialize, Serialize};

use super::{
    Id, Metadata, Noun, Resource, Timestamp, describe,
    noun::{By, Cell, Keyed, boolean, filter, json, null, one, text, word},
    price::{self, Price},
    searchable::{METADATA, Stand, string, token},
    shape::Null,
};
use crate::words;

pub static NOUN: Noun = Noun {
    object: "product",
    prefix: "prod_",
    table: "products",
    url: "/v1/products",
    name: "product",
    keyed: Keyed::Chosen,
    leaves_stub: false,
    columns: &[
        boolean("active"),
        text("type"),
        text("url"),
        boolean("shippable"),
        text("name_folded"),
        text("description_folded"),
        json("metadata"),
    ],
    filters: &[
        filter("active", By::Boolean("active")),
        filter("ids", By::OneOf("id")),
        filter("type", By::Word { column: "type", words: &[word(&["good"]), word(&["service"])] }),
        filter("url", By::Text("url")),
        filter("shippable", By::Boolean("shippable")),
    ],
    links: &[one("default_price", &price::NOUN), null("tax_code")],
    inlines: &[],
    previews: &[],
    searchable: &[
        token("active", Stand::Boolean("active")),
        string("description", Stand::Folded("description_folded")),
        METADATA,
        string("name", Stand::Folded("name_folded")),
        token("shippable", Stand::Boolean("shippable")),
        string("url", Stand::Text("url")),
    ],
    document: describe::shape_of::<Product>,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Product {
    pub id: Id<Product>,
    pub object: Tag,
    pub active: bool,
    pub created: Timestamp,
    pub default_price: Option<Id<Price>>,
    pub description: Option<String>,
    pub images: Vec<String>,
    pub livemode: bool,
    pub marketing_features: Vec<MarketingFeature>,
    pub metadata: Metadata,
    pub name: String,
    pub package_dimensions: Option<PackageDimensions>,
    pub shippable: Option<bool>,
    pub statement_descriptor: Option<String>,
    pub tax_code: Null,
    pub tax_details: Null,
    #[serde(rename = "type")]
    pub kind: Kind,
    pub unit_label: Option<String>,
    pub updated: Timestamp,
    pub url: Option<String>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Tag {
    #[serde(rename = "product")]
    Product,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MarketingFeature {
    pub name: String,
}

/// How large and how heavy it is to send, in inches and ounces.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PackageDimensions {
    pub height: f64,
    pub length: f64,
    pub weight: f64,
    pub width: f64,
}

words!(Kind { Good = "good", Service = "service" });

impl Resource for Product {
    const NOUN: &'static Noun = &NOUN;

    crate::basics!(created);

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::Boolean(self.active),
            Cell::text(self.kind),
            Cell::maybe(self.url.as_ref()),
            Cell::Boolean(self.shippable.unwrap_or(false)),
            Cell::folded(Some(&self.name)),
            Cell::folded(self.description.as_ref()),
            Cell::metadata(&self.metadata),
        ]
    }
}
