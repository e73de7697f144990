//! Closing books: every changed document, every event and every delivery of the whole batch in one
//! transaction, with one statement per table.

use std::collections::BTreeMap;

use crate::{
    billing::{
        Books, Timestamp,
        books::{Changes, Told},
        event,
        webhook_endpoint::WebhookEndpoint,
    },
    store::{
        Connection, Fault,
        close::{self, DeliveryRow, EventRow},
    },
};

pub use crate::billing::event::Cause;

/// What closing wrote.
#[derive(Clone, Copy, Debug, Default)]
pub struct Closed {
    pub events: usize,
    pub deliveries: usize,
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
    for books in decided {
        let (changes, told) = books.into_changes()?;
        for (place, change) in changes {
            match merged.get_mut(&place) {
                Some(together) => together.append(change),
                None => drop(merged.insert(place, change)),
            }
        }
        for told in &told {
            let listening = endpoints.iter().filter(|endpoint| endpoint.listens_to(told.livemode, told.kind));
            let before = deliveries.len();
            deliveries.extend(listening.map(|endpoint| DeliveryRow {
                event: told.id.clone(),
                endpoint: endpoint.id.to_string(),
                // Deliveries live at wall time, whatever the clock of their event.
                due_at: wall.unix_seconds(),
            }));
            events.push(event_row(told, cause, deliveries.len() - before)?);
        }
    }
    close::close(connection, &merged.into_values().collect::<Vec<_>>(), &events, &deliveries).await?;
    Ok(Closed { events: events.len(), deliveries: deliveries.len() })
}

fn event_row(told: &Told, cause: &Cause, pending_webhooks: usize) -> Result<EventRow, Fault> {
    Ok(EventRow {
        id: told.id.clone(),
        livemode: told.livemode,
        created: told.created.unix_seconds(),
        kind: told.kind,
        body: event::body(told, cause, pending_webhooks)?,
    })
}
