//! `/v1/invoices` and `/v1/invoice_payments`

mod collection;
mod lines;
mod pay;
mod preview;
mod preview_schedule;
pub mod write;

use super::{
    call::Call,
    reply::Reply,
    route::{At, Route, deleted, list_of},
};
use crate::{
    billing::{
        Id, cancel,
        checkout::session::check_invoice,
        invoice::{Invoice, NOUN},
        invoice_line, invoice_payment,
    },
    dialect::version::Version,
    engine::{Owner, Subject, verb::Decision},
    store::{Fault, books::Needs, read},
};

/// Since then what comes next is previewed by `create_preview`, and payments are things of their own.
const BASIL: Version = Version::of("2025-03-31.basil");

pub fn routes() -> Vec<Route> {
    vec![
        Route::list("/v1/invoices", &NOUN),
        Route::search("/v1/invoices/search", &NOUN),
        Route::post("/v1/invoices", write::create, &NOUN),
        Route::post("/v1/invoices/create_preview", preview::create, &NOUN).reads("invoices"),
        Route::get("/v1/invoices/upcoming", preview::upcoming, &NOUN).until(BASIL),
        Route::get("/v1/invoices/upcoming/lines", preview::upcoming_lines, list_of(&invoice_line::NOUN)).until(BASIL),
        Route::retrieve("/v1/invoices/{id}", &NOUN),
        Route::post("/v1/invoices/{id}", write::update, &NOUN),
        Route::delete("/v1/invoices/{id}", delete, deleted(&NOUN)),
        Route::get("/v1/invoices/{id}/lines", lines::list, list_of(&invoice_line::NOUN)),
        Route::post("/v1/invoices/{id}/lines/{line}", lines::update_one, &invoice_line::NOUN),
        Route::post("/v1/invoices/{id}/add_lines", lines::add, &NOUN),
        Route::post("/v1/invoices/{id}/update_lines", lines::update, &NOUN),
        Route::post("/v1/invoices/{id}/remove_lines", lines::remove, &NOUN),
        Route::post("/v1/invoices/{id}/finalize", pay::finalize, &NOUN),
        Route::post("/v1/invoices/{id}/send", pay::send, &NOUN),
        Route::post("/v1/invoices/{id}/pay", pay::pay, &NOUN),
        Route::post("/v1/invoices/{id}/attach_payment", pay::attach_payment, &NOUN),
        Route::post("/v1/invoices/{id}/void", void, &NOUN),
        Route::post("/v1/invoices/{id}/mark_uncollectible", mark_uncollectible, &NOUN),
        Route::get("/v1/dunlin/invoices/{id}/collection", collection::retrieve, "dunlin.collection").reads("invoices"),
        Route::list("/v1/invoice_payments", &invoice_payment::NOUN).since(BASIL),
        Route::retrieve("/v1/invoice_payments/{id}", &invoice_payment::NOUN).since(BASIL),
    ]
}

async fn delete(At(id): At<String>, call: Call) -> Reply {
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

/// The invoice items on an invoice, and the prices of its lines.
async fn items_of(call: &Call, id: &Id<Invoice>) -> Result<Needs, Fault> {
    let mut needs = Needs::default();
    let mut reader = call.house.engine.store.reader().await?;
    let Some(body) = read::find(&mut reader, &NOUN, id.as_str(), call.livemode()).await? else { return Ok(needs) };
    let invoice: Invoice = serde_json::from_str(&body)?;
    invoice.lines.data.iter().filter_map(|line| line.invoice_item()).for_each(|item| needs.document(item));
    needs.prices.extend(invoice.lines.data.iter().filter_map(|line| line.pricing.as_ref()?.price().cloned()));
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
    let id: Id<Invoice> = Id::given(id);
    let mut needs = around(&call, &id).await?;
    // The walk from the newest to the oldest invoice decides the subscription's status.
    needs.invoices_beside = Some(id.to_string());
    let verb = Decision::new(Owner::of(&id), needs, move |books, at| {
        books.at_path(&id)?;
        check_invoice(books, &id)?;
        cancel::void(books, &id, at)?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

async fn mark_uncollectible(At(id): At<String>, call: Call) -> Reply {
    let id: Id<Invoice> = Id::given(id);
    let verb = Decision::new(Owner::of(&id), Needs::default(), move |books, at| {
        books.at_path(&id)?;
        check_invoice(books, &id)?;
        cancel::mark_uncollectible(books, &id, at)?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}
