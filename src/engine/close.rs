//! Closing books: every changed document, every event and every delivery of the whole batch in one
//! transaction, with one statement per table.

use std::collections::BTreeMap;

use crate::{
    billing::{
        Books, Noun, Timestamp,
        books::{Changes, Told},
        event, event_types,
        webhook_endpoint::WebhookEndpoint,
    },
    store::{
        Connection, Fault,
        close::{self, DeliveryRow, EventRow},
        read,
    },
};

pub use crate::billing::event::Cause;

/// What closing wrote.
#[derive(Debug, Default)]
pub struct Closed {
    pub deliveries: usize,
    changes: Vec<Changes>,
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
            None => read::find(connection, noun, id, livemode).await,
        }
    }

    fn written(&self, noun: &Noun, id: &str) -> Option<&str> {
        let rows = self.changes.iter().filter(|change| change.noun.object == noun.object);
        let row = rows.flat_map(|change| change.inserted.iter().chain(&change.updated)).find(|row| row.id == id)?;
        Some(&row.body)
    }
}

/// Writes decided books. The caller commits.
pub async fn close(
    connection: &mut Connection,
    decided: Vec<Books>,
    endpoints: &[WebhookEndpoint],
    cause: &Cause,
    wall: Timestamp,
) -> Result<Closed, Fault> {
    let mut merged: BTreeMap<usize, Changes> = BTreeMap::new();
    let mut events = Vec::new();
    let mut deliveries = Vec::new();
    let mut learned = Vec::new();
    for mut books in decided {
        learned.append(&mut books.take_learned());
        let shown_in = [false, true].map(|livemode| books.settings(livemode).api_version.clone());
        let (changes, told) = books.into_changes()?;
        for (place, change) in changes {
            match merged.get_mut(&place) {
                Some(together) => together.append(change),
                None => drop(merged.insert(place, change)),
            }
        }
        for told in &told {
            let shown_in = shown_in[usize::from(told.livemode)].as_deref();
            let listening = endpoints.iter().filter(|endpoint| listens(endpoint, told, shown_in));
            let before = deliveries.len();
            deliveries.extend(listening.map(|endpoint| DeliveryRow {
                event: told.id.clone(),
                endpoint: endpoint.id.to_string(),
                object: told.about.clone(),
                sequence: told.sequence,
                // Deliveries live at wall time, whatever the clock of their event.
                due_at: wall.unix_seconds(),
            }));
            let pending = deliveries.len() - before;
            events.push(event_row(told, cause, pending, shown_in)?);
        }
    }
    let changes: Vec<Changes> = merged.into_values().collect();
    close::close(connection, &changes, &events, &deliveries, &learned).await?;
    Ok(Closed { deliveries: deliveries.len(), changes })
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
