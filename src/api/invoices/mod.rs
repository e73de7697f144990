//! `/v1/invoices` and `/v1/invoice_payments`

mod collection;
mod lines;
mod pay;
mod preview;
pub mod write;

use axum::{
    Router,
    routing::{get, post},
};

use super::{
    House,
    call::{At, Call},
    reply::Reply,
    unrecognized,
};
use crate::{
    billing::{
        Id, cancel,
        invoice::{Invoice, NOUN},
        invoice_payment,
    },
    engine::{Owner, Subject, verb::Decision},
    store::{Fault, books::Needs, read},
};

pub fn routes() -> Router<House> {
    Router::new()
        .route("/v1/invoices", get(|call: Call| async move { call.list(&NOUN).await }).post(write::create))
        .route("/v1/invoices/create_preview", post(preview::create))
        // Previews were here once: neither is the id of an invoice.
        .route("/v1/invoices/upcoming", get(unrecognized))
        .route("/v1/invoices/upcoming/lines", get(unrecognized))
        .route("/v1/invoices/{id}", get(retrieve).post(write::update).delete(delete))
        .route("/v1/invoices/{id}/lines", get(lines::list))
        .route("/v1/invoices/{id}/lines/{line}", post(lines::update_one))
        .route("/v1/invoices/{id}/add_lines", post(lines::add))
        .route("/v1/invoices/{id}/update_lines", post(lines::update))
        .route("/v1/invoices/{id}/remove_lines", post(lines::remove))
        .route("/v1/invoices/{id}/finalize", post(pay::finalize))
        .route("/v1/invoices/{id}/send", post(pay::send))
        .route("/v1/invoices/{id}/pay", post(pay::pay))
        .route("/v1/invoices/{id}/attach_payment", post(pay::attach_payment))
        .route("/v1/invoices/{id}/void", post(void))
        .route("/v1/invoices/{id}/mark_uncollectible", post(mark_uncollectible))
        .route("/v1/dunlin/invoices/{id}/collection", get(collection::retrieve))
        .route("/v1/invoice_payments", get(|call: Call| async move { call.list(&invoice_payment::NOUN).await }))
        .route("/v1/invoice_payments/{id}", get(payment))
}

async fn retrieve(At(id): At<String>, call: Call) -> Reply {
    call.retrieve(&NOUN, &id).await
}

async fn delete(At(id): At<String>, call: Call) -> Reply {
    call.no_params()?;
    let id: Id<Invoice> = Id::given(id);
    // They wait again when the draft is deleted.
    let needs = items_of(&call, &id).await?;
    let verb = Decision::new(Owner::of(&id), needs, move |books, at| {
        books.at_path(&id)?;
        cancel::delete_draft(books, &id, at)?;
        Ok(Subject::deleted(&id))
    });
    call.run(&NOUN, verb).await
}

/// The invoice items on an invoice.
async fn items_of(call: &Call, id: &Id<Invoice>) -> Result<Needs, Fault> {
    let mut needs = Needs::default();
    let mut reader = call.house.engine.store.reader().await?;
    let Some(body) = read::find(&mut reader, &NOUN, id.as_str(), call.livemode()).await? else { return Ok(needs) };
    let invoice: Invoice = serde_json::from_str(&body)?;
    invoice.lines.data.iter().filter_map(|line| line.invoice_item()).for_each(|item| needs.document(item));
    Ok(needs)
}

/// What belongs to an invoice that may have left the standing set: its intent and the joint between.
pub async fn around(call: &Call, id: &Id<Invoice>) -> Result<Needs, Fault> {
    let mut reader = call.house.engine.store.reader().await?;
    let mut needs = Needs::default();
    let children = read::children(&mut reader, &invoice_payment::NOUN, "invoice", &[id.to_string()]).await?;
    for body in children.into_values().flat_map(|(bodies, _)| bodies) {
        let payment: invoice_payment::InvoicePayment = serde_json::from_str(&body)?;
        needs.document(&payment.id);
        needs.document(&payment.payment.payment_intent);
    }
    Ok(needs)
}

async fn void(At(id): At<String>, call: Call) -> Reply {
    call.no_params()?;
    let id: Id<Invoice> = Id::given(id);
    let mut needs = around(&call, &id).await?;
    // The walk from the newest to the oldest invoice decides the subscription's status.
    needs.invoices_beside = Some(id.to_string());
    let verb = Decision::new(Owner::of(&id), needs, move |books, at| {
        books.at_path(&id)?;
        cancel::void(books, &id, at)?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

async fn mark_uncollectible(At(id): At<String>, call: Call) -> Reply {
    call.no_params()?;
    let id: Id<Invoice> = Id::given(id);
    let verb = Decision::new(Owner::of(&id), Needs::default(), move |books, at| {
        books.at_path(&id)?;
        cancel::mark_uncollectible(books, &id, at)?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

async fn payment(At(id): At<String>, call: Call) -> Reply {
    call.retrieve(&invoice_payment::NOUN, &id).await
}
