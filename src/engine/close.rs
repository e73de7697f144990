//! Closing books: every changed document, every event and every delivery of the whole batch in one
//! statement.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use serde_json::Value;

use crate::{
    billing::{
        Books, Noun, Timestamp,
        books::{Catalogue, Changes, Told},
        event, event_types, price,
        webhook_endpoint::WebhookEndpoint,
    },
    store::{
        Connection, Fault, Tx,
        close::{self, Beside, DeliveryRow, EventRow},
        idempotency::Entry,
        read,
    },
};

pub use crate::billing::event::Cause;

/// What closing writes, or wrote.
#[derive(Debug, Default)]
pub struct Closed {
    pub deliveries: usize,
    /// By the places of their nouns: an order that foreign keys accept.
    changes: BTreeMap<usize, Changes>,
    catalogue: Arc<Catalogue>,
}

impl Closed {
    /// A document as it is now. What was just written is not read again in order to show it.
    pub async fn find(
        &self,
        connection: &mut Connection,
        noun: &Noun,
        id: &str,
        livemode: bool,
    ) -> Result<Option<String>, Fault> {
        match self.written(noun, id) {
            Some(body) => Ok(Some(body.to_owned())),
            None => read::stored(connection, noun, id, livemode).await,
        }
    }

    /// A document, if this is what writes it.
    pub fn written(&self, noun: &Noun, id: &str) -> Option<&str> {
        let rows = self.changes.values().filter(|change| change.noun.object == noun.object);
        let row = rows.flat_map(|change| change.inserted.iter().chain(&change.updated)).find(|row| row.id == id)?;
        Some(&row.body)
    }

    /// A price that was at hand, as it rests.
    pub fn price(&self, id: &str) -> Option<Value> {
        let written = self.written(&price::NOUN, id).and_then(|body| serde_json::from_str(body).ok());
        written.or_else(|| self.catalogue.spoken_price(id).cloned())
    }
}

/// What will be written.
#[derive(Default)]
pub struct Closing {
    pub closed: Closed,
    beside: Beside,
}

impl Closing {
    /// How many deliveries there are.
    pub const fn deliveries(&self) -> usize {
        self.closed.deliveries
    }

    /// Nothing is to be written if who listens, or the settings, are not what was remembered.
    pub const fn sealed(mut self, seal: Option<i64>) -> Closing {
        self.beside.seal = seal;
        self
    }

    /// What others decided is written with it.
    pub fn append(&mut self, other: Closing) {
        self.closed.deliveries += other.closed.deliveries;
        append(&mut self.closed.changes, other.closed.changes);
        self.beside.append(other.beside);
    }

    /// Whether it changes nothing of what others change; what it changes is added to that.
    pub fn is_apart(&self, changed: &mut HashSet<String>) -> bool {
        let mut rows = self.closed.changes.values().flat_map(|change| change.updated.iter().chain(&change.removed));
        rows.all(|row| changed.insert(row.id.clone()))
    }

    /// Whether it makes what belongs to no customer: of that a client may have chosen the id or a key, and another
    /// may choose the same.
    pub fn may_clash(&self) -> bool {
        self.closed.changes.values().any(|change| !change.noun.is_owned() && !change.inserted.is_empty())
    }

    /// Writes it, with the receipts of whoever asked for it.
    pub async fn write(&self, tx: &mut Tx, receipts: &[Entry<'_>]) -> Result<(), Fault> {
        let changes: Vec<&Changes> = self.closed.changes.values().collect();
        close::close(tx, &changes, &self.beside, receipts).await
    }
}

/// Writes decided books. The caller commits.
pub async fn close(
    tx: &mut Tx,
    decided: Vec<Books>,
    endpoints: &[WebhookEndpoint],
    cause: &Cause,
    wall: Timestamp,
) -> Result<Closed, Fault> {
    let closing = prepare(decided, endpoints, cause, wall)?;
    closing.write(tx, &[]).await?;
    Ok(closing.closed)
}

/// Changes of others, by the places of their nouns.
fn append(changes: &mut BTreeMap<usize, Changes>, others: impl IntoIterator<Item = (usize, Changes)>) {
    for (place, other) in others {
        match changes.get_mut(&place) {
            Some(together) => together.append(other),
            None => drop(changes.insert(place, other)),
        }
    }
}

/// Turns decided books into rows.
pub fn prepare(
    decided: Vec<Books>,
    endpoints: &[WebhookEndpoint],
    cause: &Cause,
    wall: Timestamp,
) -> Result<Closing, Fault> {
    let mut merged = BTreeMap::new();
    let mut beside = Beside::default();
    let catalogue = decided.first().map(|books| Arc::clone(books.catalogue())).unwrap_or_default();
    for mut books in decided {
        beside.learned.append(&mut books.take_learned());
        let shown_in = [false, true].map(|livemode| books.settings(livemode).api_version.clone());
        let (changes, told) = books.into_changes()?;
        append(&mut merged, changes);
        for told in &told {
            let shown_in = shown_in[usize::from(told.livemode)].as_deref();
            let listening = endpoints.iter().filter(|endpoint| listens(endpoint, told, shown_in));
            let before = beside.deliveries.len();
            beside.deliveries.extend(listening.map(|endpoint| DeliveryRow {
                event: told.id.clone(),
                endpoint: endpoint.id.to_string(),
                object: told.about.clone(),
                sequence: told.sequence,
                // Deliveries live at wall time, whatever the clock of their event.
                due_at: wall.unix_seconds(),
            }));
            let pending = beside.deliveries.len() - before;
            beside.events.push(event_row(told, cause, pending, shown_in)?);
        }
    }
    Ok(Closing { closed: Closed { deliveries: beside.deliveries.len(), changes: merged, catalogue }, beside })
}

/// Whether an endpoint is to hear of an event: it wants to, and its version knows such events.
fn listens(endpoint: &WebhookEndpoint, told: &Told, shown_in: Option<&str>) -> bool {
    let version = endpoint.api_version.as_deref().or(shown_in).unwrap_or(event::API_VERSION);
    endpoint.listens_to(told.livemode, told.kind) && event_types::unknown_to(version).all(|kind| kind != told.kind)
}

fn event_row(told: &Told, cause: &Cause, pending_webhooks: usize, shown_in: Option<&str>) -> Result<EventRow, Fault> {
    Ok(EventRow {
        id: told.id.clone(),
        livemode: told.livemode,
        created: told.created.unix_seconds(),
        kind: told.kind,
        object: told.about.clone(),
        sequence: told.sequence,
        body: event::body(told, cause, pending_webhooks, shown_in)?,
    })
}
