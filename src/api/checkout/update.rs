//! `POST /v1/checkout/sessions/{id}`

use serde::Deserialize;

use super::line_items::{self, LineParams};
use crate::{
    api::{call::Call, reply::Reply, route::At},
    billing::{
        Id, MetadataPatch, Refusal,
        checkout::{NOUN, Session, create},
        shape::Unsupported,
    },
    engine::{Owner, Subject, checkout, verb::Decision},
};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Update {
    /// All lines that it shall have, in this order.
    line_items: Option<Vec<LineParams>>,
    metadata: MetadataPatch,
    // Known, and refused rather than ignored.
    collected_information: Option<Unsupported>,
    payment_intent_data: Option<Unsupported>,
    shipping_options: Option<Unsupported>,
}

pub async fn update(At(id): At<String>, call: Call, params: Update) -> Reply {
    let id: Id<Session> = Id::given(id);
    let livemode = call.livemode();
    let mut reader = call.house.engine.store.reader().await?;
    let (_, mut needs) = checkout::around(&mut reader, &id).await?;
    drop(reader);
    let named = line_items::needs(params.line_items.as_deref().unwrap_or_default());
    needs.prices.extend(named.prices);
    needs.documents.extend(named.documents);
    let verb = Decision::new(Owner::of(&id), needs, move |books, at| {
        let session = books.at_path(&id)?.clone();
        let session = Session { metadata: params.metadata.apply(session.metadata.clone())?, ..session };
        let Some(lines) = params.line_items else {
            books.put(session);
            return Ok(Subject::document(&id));
        };
        let mut wanted = Vec::with_capacity(lines.len());
        for (place, line) in lines.into_iter().enumerate() {
            let param = format!("line_items[{place}]");
            let known = line.id().cloned();
            wanted.push(match known {
                None => line.new_line(&param, books, livemode, at)?,
                Some(known) => {
                    let there = session.internal.line_items.iter().find(|one| one.id == known);
                    let missing = || Refusal::no_such("item", known.as_str()).param(format!("{param}[id]"));
                    line.changed(there.ok_or_else(missing)?, &param)?
                }
            });
        }
        let session = create::relist(books, session, wanted, at)?;
        books.put(session);
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}
