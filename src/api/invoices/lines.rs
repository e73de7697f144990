//! The lines of an invoice: listed at any time, changed while it is a draft.

use serde::Deserialize;
use serde_json::Value;

use super::{
    super::{
        call::Call,
        invoice_items::{PeriodParams, PricingParams, need_price, price_of},
        prices::LinePrice,
        reply::{Problem, Reply},
        route::At,
    },
    items_of,
};
use crate::{
    billing::{
        Amount, Books, Id, MetadataPatch, Moment, Refusal,
        decimal::Decimal,
        edit::within,
        invoice::{Invoice, NOUN},
        invoice_item::InvoiceItem,
        invoice_line::{self, Line},
        itemize::{CostParams, Edit, quantity_of},
        lines::{self, Behavior, LineEdit, NewLine},
        shape::{Patch, Unsupported},
    },
    engine::{Owner, Subject, verb::Decision},
    store::{
        Fault,
        books::{self, Needs},
        read,
    },
};

/// What can be said of a line.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct LineParams {
    amount: Option<Amount>,
    description: Patch<String>,
    discountable: Option<bool>,
    metadata: MetadataPatch,
    period: Option<PeriodParams>,
    price_data: Option<LinePrice>,
    pricing: Option<PricingParams>,
    quantity: Option<i64>,
    quantity_decimal: Option<Decimal>,
    // Of added lines only.
    invoice_item: Option<Id<InvoiceItem>>,
    // Of several lines that are updated only.
    id: Option<Id<Line>>,
    // Known, and refused rather than ignored.
    discounts: Option<Unsupported>,
    tax_amounts: Option<Unsupported>,
    tax_rates: Option<Unsupported>,
}

impl LineParams {
    fn edit(self, param: &str, books: &mut Books, livemode: bool, at: &mut Moment) -> Result<Edit, Refusal> {
        let data = self.price_data.map(|data| data.inline(books, livemode, &within(param, "price_data"), at));
        Ok(Edit {
            cost: CostParams {
                amount: self.amount,
                price: price_of(self.pricing, data.transpose()?, param, books, livemode, at)?,
                quantity: quantity_of(self.quantity, self.quantity_decimal, param)?,
                ..CostParams::default()
            },
            description: self.description,
            discountable: self.discountable,
            metadata: self.metadata,
            period: self.period.map(Into::into),
        })
    }
}

/// `add_lines` and `update_lines`.
#[derive(Clone, Debug, Deserialize)]
pub struct Lines {
    lines: Vec<LineParams>,
    #[serde(default)]
    invoice_metadata: MetadataPatch,
}

impl Lines {
    fn prices(&self, needs: &mut Needs) {
        for line in &self.lines {
            need_price(line.pricing.as_ref(), line.price_data.as_ref().and_then(|data| data.product.as_ref()), needs);
        }
    }
}

async fn lines_of(call: &Call, id: &str) -> Result<Vec<Value>, Problem> {
    let mut reader = call.house.engine.store.reader().await?;
    let body = read::find(&mut reader, &NOUN, id, call.livemode()).await?;
    let body = body.ok_or_else(|| Refusal::not_found(&NOUN, id))?;
    let invoice: Value = serde_json::from_str(&body).map_err(Fault::from)?;
    Ok(invoice.pointer("/lines/data").and_then(Value::as_array).cloned().unwrap_or_default())
}

pub async fn list(At(id): At<String>, call: Call) -> Reply {
    let lines = lines_of(&call, &id).await?;
    call.list_of(&invoice_line::NOUN, lines).await
}

pub async fn add(At(id): At<String>, call: Call, params: Lines) -> Reply {
    let mut needs = Needs::default();
    params.prices(&mut needs);
    for (place, line) in params.lines.iter().enumerate() {
        if line.id.is_some() {
            return Err(Refusal::unknown(format!("lines[{place}][id]")).into());
        }
    }
    let mut reader = call.house.engine.store.reader().await?;
    let counted = params.lines.iter().filter(|line| line.quantity.is_some() || line.quantity_decimal.is_some());
    for item in counted.filter_map(|line| line.invoice_item.as_ref()) {
        needs.prices.extend(books::peek(&mut reader, item).await?.and_then(|item| item.pricing?.price().cloned()));
    }
    drop(reader);
    let (id, livemode): (Id<Invoice>, bool) = (Id::given(id), call.livemode());
    let verb = Decision::new(Owner::of(&id), needs, move |books, at| {
        let mut lines = Vec::with_capacity(params.lines.len());
        for (place, mut line) in params.lines.into_iter().enumerate() {
            let invoice_item = line.invoice_item.take();
            lines.push(NewLine { invoice_item, edit: line.edit(&format!("lines[{place}]"), books, livemode, at)? });
        }
        lines::add(books, &id, lines, params.invoice_metadata, at)?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

pub async fn update(At(id): At<String>, call: Call, params: Lines) -> Reply {
    let id: Id<Invoice> = Id::given(id);
    let mut needs = items_of(&call, &id).await?;
    params.prices(&mut needs);
    let mut changed = Vec::with_capacity(params.lines.len());
    for (place, mut line) in params.lines.into_iter().enumerate() {
        if line.invoice_item.is_some() {
            return Err(Refusal::unknown(format!("lines[{place}][invoice_item]")).into());
        }
        let id = line.id.take().ok_or_else(|| Refusal::missing(format!("lines[{place}][id]")))?;
        changed.push((id, line));
    }
    let (metadata, livemode) = (params.invoice_metadata, call.livemode());
    let verb = Decision::new(Owner::of(&id), needs, move |books, at| {
        let mut edits = Vec::with_capacity(changed.len());
        for (place, (id, line)) in changed.into_iter().enumerate() {
            edits.push(LineEdit { id, edit: line.edit(&format!("lines[{place}]"), books, livemode, at)? });
        }
        lines::update(books, &id, edits, metadata, at)?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

/// Changes one line, and answers with it.
pub async fn update_one(At((id, line)): At<(String, String)>, call: Call, params: LineParams) -> Reply {
    Refusal::if_any_sent(&[("id", params.id.is_some()), ("invoice_item", params.invoice_item.is_some())])?;
    let id: Id<Invoice> = Id::given(id);
    let mut needs = items_of(&call, &id).await?;
    need_price(params.pricing.as_ref(), params.price_data.as_ref().and_then(|data| data.product.as_ref()), &mut needs);
    let (wanted, livemode) = (Id::<Line>::given(line), call.livemode());
    let verb = Decision::new(Owner::of(&id), needs, move |books, at| {
        let edit = params.edit("", books, livemode, at)?;
        lines::update_one(books, &id, &wanted, edit, at)?;
        Ok(Subject::part(&id, &invoice_line::NOUN, wanted.as_str()))
    });
    call.run(&invoice_line::NOUN, verb).await
}

#[derive(Clone, Debug, Deserialize)]
pub struct RemoveLines {
    lines: Vec<RemoveLine>,
    #[serde(default)]
    invoice_metadata: MetadataPatch,
}

#[derive(Clone, Debug, Deserialize)]
struct RemoveLine {
    behavior: Behavior,
    id: Id<Line>,
}

pub async fn remove(At(id): At<String>, call: Call, params: RemoveLines) -> Reply {
    let id: Id<Invoice> = Id::given(id);
    let needs = items_of(&call, &id).await?;
    let removed: Vec<(Id<Line>, Behavior)> = params.lines.into_iter().map(|line| (line.id, line.behavior)).collect();
    let metadata = params.invoice_metadata;
    let verb = Decision::new(Owner::of(&id), needs, move |books, at| {
        lines::remove(books, &id, removed, metadata, at)?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}
