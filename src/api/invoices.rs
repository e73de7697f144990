//! `/v1/invoices` and `/v1/invoice_payments`

use axum::{
    Router,
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::Value;

use super::{
    House,
    call::{At, Call, not_found},
    reply::Reply,
    sources,
};
use crate::{
    billing::{
        Books, Currency, Id, MetadataPatch, Moment, Refusal,
        bill::{self, Bill, DRAFT_SECONDS},
        cancel,
        collect::{self, Collection, intent_of},
        customer::Customer,
        finalize,
        invoice::{BillingReason, Invoice, NOUN, Status},
        invoice_line, invoice_payment,
        payment_intent::PaymentIntent,
        payment_method::PaymentMethod,
        period::Period,
        shape::{Patch, Text, Unsupported},
        subscribe::check_payment_method,
    },
    engine::{Owner, Subject, verb::Decision},
    store::{Fault, books::Needs, read},
    words,
};

pub fn routes() -> Router<House> {
    Router::new()
        .route("/v1/invoices", get(|call: Call| async move { call.list(&NOUN).await }).post(create))
        .route("/v1/invoices/{id}", get(retrieve).post(update).delete(delete))
        .route("/v1/invoices/{id}/lines", get(lines))
        .route("/v1/invoices/{id}/finalize", post(finalize_invoice))
        .route("/v1/invoices/{id}/pay", post(pay))
        .route("/v1/invoices/{id}/void", post(void))
        .route("/v1/invoices/{id}/mark_uncollectible", post(mark_uncollectible))
        .route("/v1/invoice_payments", get(|call: Call| async move { call.list(&invoice_payment::NOUN).await }))
        .route("/v1/invoice_payments/{id}", get(payment))
}

words!(PendingItems { Exclude = "exclude", Include = "include" });

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Create {
    customer: Option<Id<Customer>>,
    auto_advance: Option<bool>,
    currency: Option<Currency>,
    default_payment_method: Option<Id<PaymentMethod>>,
    description: Option<Text<1500>>,
    footer: Option<String>,
    metadata: MetadataPatch,
    pending_invoice_items_behavior: Option<PendingItems>,
    statement_descriptor: Option<Text<22>>,
    // Known, and refused rather than ignored.
    account_tax_ids: Option<Unsupported>,
    application_fee_amount: Option<Unsupported>,
    automatic_tax: Option<Unsupported>,
    automatically_finalizes_at: Option<Unsupported>,
    collection_method: Option<Unsupported>,
    custom_fields: Option<Unsupported>,
    customer_account: Option<Unsupported>,
    days_until_due: Option<Unsupported>,
    default_source: Option<Unsupported>,
    default_tax_rates: Option<Unsupported>,
    discounts: Option<Unsupported>,
    due_date: Option<Unsupported>,
    effective_at: Option<Unsupported>,
    from_invoice: Option<Unsupported>,
    issuer: Option<Unsupported>,
    number: Option<Unsupported>,
    on_behalf_of: Option<Unsupported>,
    payment_settings: Option<Unsupported>,
    rendering: Option<Unsupported>,
    shipping_cost: Option<Unsupported>,
    shipping_details: Option<Unsupported>,
    subscription: Option<Unsupported>,
    transfer_data: Option<Unsupported>,
}

/// A one-off invoice, as a draft.
async fn create(call: Call) -> Reply {
    let params: Create = call.params()?;
    let customer = params.customer.ok_or_else(|| Refusal::missing("customer"))?;
    let verb = Decision::new(Owner::Customer(customer.clone()), Needs::default(), move |books, at| {
        let owner = books.find(&customer, "customer")?.clone();
        if let Some(method) = &params.default_payment_method {
            check_payment_method(books, method, &customer, "default_payment_method")?;
        }
        let usd = Currency::parse("usd").ok_or_else(|| Refusal::missing("currency"))?;
        let bill = Bill {
            reason: BillingReason::Manual,
            subscription: None,
            period: Period { start: at.now, end: at.now },
            cycle: None,
            auto_advance: params.auto_advance.unwrap_or(false),
            currency: params.currency.or(owner.currency).unwrap_or(usd),
            include_pending_items: params.pending_invoice_items_behavior == Some(PendingItems::Include),
        };
        let id = bill::draft(books, &bill, at)?;
        let invoice = books.find(&id, "invoice")?.clone();
        books.put(Invoice {
            default_payment_method: params.default_payment_method,
            description: params.description.map(String::from),
            footer: params.footer.or(invoice.footer),
            metadata: params.metadata.initial()?,
            statement_descriptor: params.statement_descriptor.map(String::from),
            ..invoice
        });
        books.retell(&id, "invoice.created");
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

async fn retrieve(At(id): At<String>, call: Call) -> Reply {
    call.retrieve(&NOUN, &id).await
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Update {
    auto_advance: Option<bool>,
    default_payment_method: Patch<Id<PaymentMethod>>,
    description: Patch<Text<1500>>,
    footer: Patch<String>,
    metadata: MetadataPatch,
    statement_descriptor: Patch<Text<22>>,
    // Known, and refused rather than ignored.
    account_tax_ids: Option<Unsupported>,
    application_fee_amount: Option<Unsupported>,
    automatic_tax: Option<Unsupported>,
    automatically_finalizes_at: Option<Unsupported>,
    collection_method: Option<Unsupported>,
    custom_fields: Option<Unsupported>,
    days_until_due: Option<Unsupported>,
    default_source: Option<Unsupported>,
    default_tax_rates: Option<Unsupported>,
    discounts: Option<Unsupported>,
    due_date: Option<Unsupported>,
    effective_at: Option<Unsupported>,
    issuer: Option<Unsupported>,
    number: Option<Unsupported>,
    on_behalf_of: Option<Unsupported>,
    payment_settings: Option<Unsupported>,
    rendering: Option<Unsupported>,
    shipping_cost: Option<Unsupported>,
    shipping_details: Option<Unsupported>,
    transfer_data: Option<Unsupported>,
}

/// Drafts take all of it; what is finalised only what its freeze leaves open.
async fn update(At(id): At<String>, call: Call) -> Reply {
    let params: Update = call.params()?;
    let id: Id<Invoice> = Id::given(id);
    let verb = Decision::new(Owner::of(&id), Needs::default(), move |books, at| {
        let invoice = books.at_path(&id)?.clone();
        let frozen = [
            ("description", params.description != Patch::Keep && invoice.status != Status::Draft),
            ("footer", params.footer != Patch::Keep && invoice.status != Status::Draft),
            ("statement_descriptor", params.statement_descriptor != Patch::Keep && invoice.status != Status::Draft),
            ("auto_advance", params.auto_advance.is_some() && !matches!(invoice.status, Status::Draft | Status::Open)),
        ];
        if let Some((param, _)) = frozen.into_iter().find(|(_, refused)| *refused) {
            return Err(Refusal::invalid("Finalized invoices can't be updated in this way")
                .code("invoice_not_editable")
                .param(param));
        }
        if let Patch::Set(method) = &params.default_payment_method {
            check_payment_method(books, method, &invoice.customer, "default_payment_method")?;
        }
        let auto_advance = params.auto_advance.unwrap_or(invoice.auto_advance);
        let draft = invoice.status == Status::Draft;
        let finalizes_at = invoice.automatically_finalizes_at.or_else(|| Some(at.now.plus_seconds(DRAFT_SECONDS)));
        let finalizes_at = finalizes_at.filter(|_| draft && auto_advance);
        books
            .put(Invoice {
                auto_advance,
                automatically_finalizes_at: finalizes_at,
                default_payment_method: params.default_payment_method.over(invoice.default_payment_method),
                description: params.description.map(String::from).over(invoice.description),
                footer: params.footer.over(invoice.footer),
                metadata: params.metadata.apply(invoice.metadata)?,
                next_payment_attempt: if draft { finalizes_at } else { invoice.next_payment_attempt },
                statement_descriptor: params.statement_descriptor.map(String::from).over(invoice.statement_descriptor),
                ..invoice
            })
            .tell("invoice.updated", at);
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

async fn delete(At(id): At<String>, call: Call) -> Reply {
    call.no_params()?;
    let id: Id<Invoice> = Id::given(id);
    let mut needs = Needs::default();
    for item in items_of(&call, &id).await? {
        needs.document(&item);
    }
    let verb = Decision::new(Owner::of(&id), needs, move |books, at| {
        books.at_path(&id)?;
        cancel::delete_draft(books, &id, at)?;
        Ok(Subject::deleted(&id))
    });
    call.run(&NOUN, verb).await
}

/// The invoice items on a draft: they wait again when it is deleted.
async fn items_of(call: &Call, id: &Id<Invoice>) -> Result<Vec<Id<crate::billing::invoice_item::InvoiceItem>>, Fault> {
    let mut reader = call.house.engine.store.reader().await?;
    let Some(body) = read::find(&mut reader, &NOUN, id.as_str(), call.livemode()).await? else { return Ok(Vec::new()) };
    let invoice: Invoice = serde_json::from_str(&body)?;
    let details = invoice.lines.data.into_iter().filter_map(|line| line.parent.invoice_item_details);
    Ok(details.map(|details| details.invoice_item).collect())
}

async fn lines(At(id): At<String>, call: Call) -> Reply {
    let mut reader = call.house.engine.store.reader().await?;
    let body = read::find(&mut reader, &NOUN, &id, call.livemode()).await?;
    drop(reader);
    let body = body.ok_or_else(|| not_found(&NOUN, &id))?;
    let invoice: Value = serde_json::from_str(&body).map_err(Fault::from)?;
    let lines = invoice.pointer("/lines/data").and_then(Value::as_array).cloned().unwrap_or_default();
    call.list_of(&invoice_line::NOUN, lines).await
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Finalize {
    auto_advance: Option<bool>,
}

async fn finalize_invoice(At(id): At<String>, call: Call) -> Reply {
    let params: Finalize = call.params()?;
    let id: Id<Invoice> = Id::given(id);
    let verb = Decision::new(Owner::of(&id), Needs::default(), move |books, at| {
        let invoice = books.at_path(&id)?.clone();
        if let (Some(auto_advance), Status::Draft) = (params.auto_advance, invoice.status) {
            books.put(Invoice { auto_advance, ..invoice });
        }
        finalize::finalize(books, &id, at)?;
        let invoice = books.find(&id, "invoice")?;
        if invoice.status == Status::Open && invoice.auto_advance {
            let collection = Collection { automatic: true, off_session: true, payment_method: None };
            collect::collect(books, &id, &collection, at)?;
        }
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Pay {
    forgive: Option<Unsupported>,
    mandate: Option<Unsupported>,
    off_session: Option<bool>,
    paid_out_of_band: Option<bool>,
    payment_method: Option<String>,
    source: Option<Unsupported>,
}

async fn pay(At(id): At<String>, call: Call) -> Reply {
    let params: Pay = call.params()?;
    let id: Id<Invoice> = Id::given(id);
    let source = match &params.payment_method {
        Some(method) => Some(sources::named(&call, method).await?),
        None => None,
    };
    let mut needs = around(&call, &id).await?;
    source.iter().for_each(|source| source.needs(&mut needs));
    let verb = Decision::new(Owner::of(&id), needs, move |books: &mut Books, at: &mut Moment| {
        if books.at_path(&id)?.status == Status::Draft {
            finalize::finalize(books, &id, at)?;
            if books.find(&id, "invoice")?.status == Status::Paid {
                return Ok(Subject::document(&id));
            }
        }
        if params.paid_out_of_band == Some(true) {
            cancel::pay_out_of_band(books, &id, at)?;
            return Ok(Subject::document(&id));
        }
        let method = source.map(|source| source.place(books, id.bucket(), at));
        let collection =
            Collection { automatic: false, off_session: params.off_session.unwrap_or(true), payment_method: method };
        collect::collect(books, &id, &collection, at)?;
        let intent: Option<Id<PaymentIntent>> = intent_of(books, &id).map(|intent| intent.id.clone());
        Ok(Subject::document(&id).unless_declined(intent))
    });
    call.run(&NOUN, verb).await
}

/// What belongs to an invoice that may have left the standing set: its intent and the joint between.
async fn around(call: &Call, id: &Id<Invoice>) -> Result<Needs, Fault> {
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
