//! What all books of a batch share, and only read.

use std::{collections::HashMap, sync::Arc};

use serde_json::Value;

use super::Books;
use crate::billing::{Id, price::Price, product::Product, settings::Settings, webhook_endpoint::WebhookEndpoint};

/// Prices and products that are referred to: read-only, shared by all books of a batch.
#[derive(Debug, Default)]
pub struct Catalogue {
    pub prices: HashMap<Id<Price>, Price>,
    pub products: HashMap<Id<Product>, Product>,
    /// Who listens.
    pub endpoints: Arc<[WebhookEndpoint]>,
    /// The settings that were ever changed, one for each mode at most.
    pub settings: Vec<Settings>,
    /// Prices as they are spoken.
    pub(super) spoken: HashMap<String, Value>,
}

impl Catalogue {
    pub fn add_price(&mut self, price: Price, document: Value) {
        self.spoken.insert(price.id.to_string(), document);
        self.prices.insert(price.id.clone(), price);
    }

    /// A price as it rests.
    pub fn spoken_price(&self, id: &str) -> Option<&Value> {
        self.spoken.get(id)
    }
}

impl Books {
    /// The settings of a mode as they are now.
    pub fn settings(&self, livemode: bool) -> &Settings {
        let changed = self.catalogue.settings.iter().find(|settings| settings.livemode == livemode);
        changed.unwrap_or(Settings::unchanged())
    }
}
