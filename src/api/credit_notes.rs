//! `/v1/credit_notes`

use serde::Deserialize;
use serde_json::Value;

use super::{
    call::Call,
    intents::need_charge,
    invoices::around,
    reply::{Problem, Reply},
    route::{At, Route, list_of},
};
use crate::{
    billing::{
        Amount, Id, MetadataPatch, Refusal, Timestamp,
        credit::{self, NewCreditNote, NewLine, Share},
        credit_note::{CreditNote, LINE_NOUN, LineKind, NOUN, Reason, RefundType},
        decimal::Decimal,
        invoice::Invoice,
        invoice_line,
        payment_intent::{self, PaymentIntent},
        refund::Refund,
        shape::{Patch, Text, Unsupported},
    },
    engine::{Owner, Subject, verb::Decision},
    store::{Fault, books::Needs, read},
    words,
};

pub fn routes() -> Vec<Route> {
    vec![
        Route::list("/v1/credit_notes", &NOUN),
        Route::post("/v1/credit_notes", create, &NOUN),
        Route::get("/v1/credit_notes/preview", preview, &NOUN),
        Route::get("/v1/credit_notes/preview/lines", preview_lines, list_of(&LINE_NOUN)),
        Route::retrieve("/v1/credit_notes/{id}", &NOUN),
        Route::post("/v1/credit_notes/{id}", update, &NOUN),
        Route::get("/v1/credit_notes/{id}/lines", lines, list_of(&LINE_NOUN)),
        Route::post("/v1/credit_notes/{id}/void", void, &NOUN),
    ]
}

words!(EmailType { CreditNote = "credit_note", None = "none" });

#[derive(Clone, Debug, Deserialize)]
struct Params {
    invoice: Id<Invoice>,
    amount: Option<Amount>,
    credit_amount: Option<Amount>,
    effective_at: Option<Timestamp>,
    /// Nobody is mailed either way.
    #[serde(rename = "email_type")]
    _email_type: Option<EmailType>,
    #[serde(default)]
    lines: Vec<LineParams>,
    memo: Option<Text<5000>>,
    #[serde(default)]
    metadata: MetadataPatch,
    out_of_band_amount: Option<Amount>,
    reason: Option<Reason>,
    refund_amount: Option<Amount>,
    #[serde(default)]
    refunds: Vec<RefundParams>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    shipping_cost: Option<Unsupported>,
}

#[derive(Clone, Debug, Deserialize)]
struct RefundParams {
    amount_refunded: Option<Amount>,
    refund: Id<Refund>,
    #[serde(rename = "type")]
    _kind: Option<RefundType>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    payment_record_refund: Option<Unsupported>,
}

#[derive(Clone, Debug, Deserialize)]
struct LineParams {
    amount: Option<Amount>,
    description: Option<String>,
    invoice_line_item: Option<Id<invoice_line::Line>>,
    #[serde(default)]
    metadata: MetadataPatch,
    quantity: Option<i64>,
    #[serde(rename = "type")]
    kind: LineKind,
    unit_amount: Option<Amount>,
    unit_amount_decimal: Option<Decimal>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    tax_amounts: Option<Unsupported>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    tax_rates: Option<Unsupported>,
}

fn exclusive(one: &str, other: &str, place: usize) -> Refusal {
    Refusal::exclusive(&[one, other]).param(format!("lines[{place}][{one}]"))
}

impl LineParams {
    fn line(self, place: usize) -> Result<NewLine, Refusal> {
        let within = |name: &str| format!("lines[{place}][{name}]");
        let metadata = self.metadata.initial()?;
        let of_other_kind: &[(&str, bool)] = match self.kind {
            LineKind::InvoiceLineItem => &[
                ("description", self.description.is_some()),
                ("unit_amount", self.unit_amount.is_some()),
                ("unit_amount_decimal", self.unit_amount_decimal.is_some()),
            ],
            LineKind::CustomLineItem => {
                &[("amount", self.amount.is_some()), ("invoice_line_item", self.invoice_line_item.is_some())]
            }
        };
        if let Some((name, _)) = of_other_kind.iter().find(|(_, sent)| *sent) {
            let message = format!("The parameter '{name}' is not valid for lines of type {}.", self.kind);
            return Err(Refusal::invalid(message).param(within(name)));
        }
        match self.kind {
            LineKind::InvoiceLineItem => {
                let line = self.invoice_line_item.ok_or_else(|| Refusal::missing(within("invoice_line_item")))?;
                let share = match (self.amount, self.quantity) {
                    (Some(amount), None) => Share::Amount(amount),
                    (None, Some(quantity)) => Share::Quantity(quantity),
                    (Some(_), Some(_)) => return Err(exclusive("amount", "quantity", place)),
                    (None, None) => return Err(Refusal::missing(within("amount"))),
                };
                Ok(NewLine::Invoice { line, share, metadata })
            }
            LineKind::CustomLineItem => {
                let unit_amount = match (self.unit_amount, self.unit_amount_decimal) {
                    (Some(amount), None) => Decimal::from_amount(amount),
                    (None, Some(decimal)) => decimal,
                    (Some(_), Some(_)) => return Err(exclusive("unit_amount", "unit_amount_decimal", place)),
                    (None, None) => return Err(Refusal::missing(within("unit_amount"))),
                };
                let quantity = self.quantity.unwrap_or(1);
                Ok(NewLine::Custom { description: self.description, quantity, unit_amount, metadata })
            }
        }
    }
}

impl Params {
    fn note(self) -> Result<NewCreditNote, Refusal> {
        let lines = self.lines.into_iter().enumerate().map(|(place, line)| line.line(place));
        Ok(NewCreditNote {
            invoice: self.invoice,
            amount: self.amount,
            credit_amount: self.credit_amount,
            effective_at: self.effective_at,
            lines: lines.collect::<Result<_, _>>()?,
            memo: self.memo.map(String::from),
            metadata: self.metadata.initial()?,
            out_of_band_amount: self.out_of_band_amount,
            reason: self.reason,
            refund_amount: self.refund_amount,
            refunds: self.refunds.into_iter().map(|refund| (refund.refund, refund.amount_refunded)).collect(),
        })
    }
}

/// What a note may touch: the payments of its invoice, their charges, and the refunds that it names.
async fn needs_of(call: &Call, new: &NewCreditNote) -> Result<Needs, Fault> {
    let mut needs = around(call, &new.invoice).await?;
    let mut reader = call.house.engine.store.reader().await?;
    let intents = needs.documents.iter().filter(|(noun, _)| noun.object == payment_intent::NOUN.object);
    let intents: Vec<Id<PaymentIntent>> = intents.map(|(_, id)| Id::given(id.as_str())).collect();
    for id in intents {
        need_charge(&mut reader, &id, &mut needs).await?;
    }
    new.refunds.iter().for_each(|(refund, _)| needs.document(refund));
    Ok(needs)
}

async fn create(call: Call, params: Params) -> Reply {
    let new = params.note()?;
    let needs = needs_of(&call, &new).await?;
    let verb = Decision::new(Owner::of(&new.invoice), needs, move |books, at| {
        let id = credit::issue(books, new, at)?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

/// The note as it would be: the same rule, on books that are never closed.
async fn previewed(call: &Call, new: NewCreditNote) -> Result<CreditNote, Problem> {
    let needs = needs_of(call, &new).await?;
    let owner = Owner::of(&new.invoice);
    let note = call.house.engine.preview(call.livemode(), owner, needs, move |books, at| {
        let id = credit::issue(books, new, at)?;
        books.find(&id, "id").cloned()
    });
    let mut note = note.await?;
    for (place, line) in note.lines.data.iter_mut().enumerate() {
        // The same at every preview, so that a list of them can be paged.
        line.id = Id::given(format!("{}tmp_{place:03}", LINE_NOUN.prefix));
    }
    Ok(note)
}

async fn preview(call: Call, params: Params) -> Reply {
    let note = previewed(&call, params.note()?).await?;
    call.show_value(&NOUN, serde_json::to_value(note).map_err(Fault::from)?).await
}

async fn preview_lines(call: Call, params: Params) -> Reply {
    let note = previewed(&call, params.note()?).await?;
    let lines = note.lines.data.iter().map(serde_json::to_value).collect::<Result<_, _>>().map_err(Fault::from)?;
    call.list_of(&LINE_NOUN, lines).await
}

async fn lines(At(id): At<String>, call: Call) -> Reply {
    let mut reader = call.house.engine.store.reader().await?;
    let body = read::find(&mut reader, &NOUN, &id, call.livemode()).await?;
    drop(reader);
    let body = body.ok_or_else(|| Refusal::not_found(&NOUN, &id))?;
    let note: Value = serde_json::from_str(&body).map_err(Fault::from)?;
    let lines = note.pointer("/lines/data").and_then(Value::as_array).cloned().unwrap_or_default();
    call.list_of(&LINE_NOUN, lines).await
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Update {
    memo: Patch<Text<5000>>,
    metadata: MetadataPatch,
}

async fn update(At(id): At<String>, call: Call, params: Update) -> Reply {
    let id: Id<CreditNote> = Id::given(id);
    let verb = Decision::new(Owner::of(&id), Needs::default(), move |books, at| {
        credit::update(books, &id, params.memo.map(String::from), params.metadata, at)?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

async fn void(At(id): At<String>, call: Call) -> Reply {
    let mut reader = call.house.engine.store.reader().await?;
    let body = read::find(&mut reader, &NOUN, &id, call.livemode()).await?;
    drop(reader);
    let note: CreditNote =
        serde_json::from_str(&body.ok_or_else(|| Refusal::not_found(&NOUN, &id))?).map_err(Fault::from)?;
    let mut needs = around(&call, &note.invoice).await?;
    needs.document(&note.invoice);
    let id = note.id;
    let verb = Decision::new(Owner::of(&id), needs, move |books, at| {
        credit::void(books, &id, at)?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}
