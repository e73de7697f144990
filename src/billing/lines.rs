//! The lines of a draft, as callers add, change and remove them. A line that bills an invoice item is
//! one thing with that item: what is done to the one is done to the other.

use super::{
    Books, Id, MetadataPatch, Moment, Refusal,
    bill::{keep_draft, push_line},
    invoice::Invoice,
    invoice_item::InvoiceItem,
    invoice_line::Line,
    itemize::{self, Edit, NewItem},
};
use crate::words;

/// A line to be added.
#[derive(Clone, Debug)]
pub struct NewLine {
    /// The pending item that it takes; without one, an item is made.
    pub invoice_item: Option<Id<InvoiceItem>>,
    pub edit: Edit,
}

/// A change of one line.
#[derive(Clone, Debug)]
pub struct LineEdit {
    pub id: Id<Line>,
    pub edit: Edit,
}

words!(
    /// What becomes of the item whose line is removed.
    Behavior {
        Delete = "delete",
        /// It waits for an invoice again.
        Unassign = "unassign",
    }
);

fn draft(books: &Books, id: &Id<Invoice>, metadata: MetadataPatch) -> Result<Invoice, Refusal> {
    let invoice = books.at_path(id)?.clone().editable()?;
    Ok(Invoice { metadata: metadata.apply(invoice.metadata.clone())?, ..invoice })
}

/// Adds lines, after those that are there.
pub fn add(
    books: &mut Books,
    id: &Id<Invoice>,
    lines: Vec<NewLine>,
    metadata: MetadataPatch,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let mut invoice = draft(books, id, metadata)?;
    for (place, line) in lines.into_iter().enumerate() {
        let within = |refusal| inside(place, refusal);
        let item = match line.invoice_item {
            Some(item) => assigned(books, &item, &invoice, line.edit).map_err(within)?,
            None => made(books, &invoice, line.edit, at).map_err(within)?,
        };
        push_line(&mut invoice, &item, at).map_err(within)?;
        let (id, is_new) = (item.id.clone(), books.get(&item.id).is_none());
        books.put(item);
        if is_new {
            books.tell(&id, "invoiceitem.created", at);
        }
    }
    keep_draft(books, invoice, at)
}

fn assigned(books: &Books, id: &Id<InvoiceItem>, invoice: &Invoice, edit: Edit) -> Result<InvoiceItem, Refusal> {
    let item = books.find(id, "invoice_item")?.clone();
    if item.invoice.is_some() {
        let message = format!("The invoice item {id} is on an invoice already.");
        return Err(Refusal::invalid(message).param("invoice_item"));
    }
    edit.check_frozen(&item)?;
    let content = edit.apply(books, item.content())?;
    Ok(InvoiceItem { invoice: Some(invoice.id.clone()), ..item.with(content) })
}

fn made(books: &Books, invoice: &Invoice, mut edit: Edit, at: &mut Moment) -> Result<InvoiceItem, Refusal> {
    edit.cost.currency = Some(invoice.currency);
    let new =
        NewItem { customer: invoice.customer.clone(), edit, invoice: Some(invoice.id.clone()), subscription: None };
    itemize::blank(books, new, at)
}

/// Changes lines.
pub fn update(
    books: &mut Books,
    id: &Id<Invoice>,
    edits: Vec<LineEdit>,
    metadata: MetadataPatch,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let mut invoice = draft(books, id, metadata)?;
    for (place, LineEdit { id: line, edit }) in edits.into_iter().enumerate() {
        change(books, &mut invoice, &line, edit).map_err(|refusal| inside(place, refusal))?;
    }
    keep_draft(books, invoice, at)
}

/// Changes the line that the path names.
pub fn update_one(
    books: &mut Books,
    id: &Id<Invoice>,
    line: &Id<Line>,
    edit: Edit,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let mut invoice = draft(books, id, MetadataPatch::Keep)?;
    change(books, &mut invoice, line, edit)?;
    keep_draft(books, invoice, at)
}

fn change(books: &mut Books, invoice: &mut Invoice, id: &Id<Line>, edit: Edit) -> Result<(), Refusal> {
    let line = find(invoice, id)?;
    let item = line.invoice_item().map(|item| books.find(item, "id")).transpose()?.cloned();
    item.iter().try_for_each(|item| edit.check_frozen(item))?;
    let content = edit.apply(books, line.content())?;
    *line = line.clone().with(content.clone());
    if let Some(item) = item {
        books.put(item.with(content));
    }
    Ok(())
}

/// Removes lines; their items are deleted, or wait again.
pub fn remove(
    books: &mut Books,
    id: &Id<Invoice>,
    lines: Vec<(Id<Line>, Behavior)>,
    metadata: MetadataPatch,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let mut invoice = draft(books, id, metadata)?;
    for (place, (line, behavior)) in lines.into_iter().enumerate() {
        let line = find(&mut invoice, &line).map_err(|refusal| inside(place, refusal))?.clone();
        match (line.invoice_item(), behavior) {
            (Some(item), Behavior::Delete) => {
                books.tell(item, "invoiceitem.deleted", at);
                books.remove(item);
            }
            (Some(item), Behavior::Unassign) => {
                let item = books.find(item, "id")?.clone();
                books.put(InvoiceItem { invoice: None, ..item });
            }
            (None, Behavior::Delete) => {}
            (None, Behavior::Unassign) => {
                let message = "Only lines of invoice items can be unassigned.";
                return Err(inside(place, Refusal::invalid(message).param("behavior")));
            }
        }
        invoice.lines.data.retain(|other| other.id != line.id);
    }
    keep_draft(books, invoice, at)
}

fn find<'a>(invoice: &'a mut Invoice, id: &Id<Line>) -> Result<&'a mut Line, Refusal> {
    let line = invoice.lines.data.iter_mut().find(|line| line.id == *id);
    line.ok_or_else(|| Refusal::no_such(super::invoice_line::NOUN.name, id.as_str()).param("id"))
}

/// A refusal of one element says which: `lines[2][amount]`.
fn inside(place: usize, refusal: Refusal) -> Refusal {
    let Some(param) = &refusal.param else { return refusal.param(format!("lines[{place}]")) };
    let (head, rest) = param.split_once('[').unwrap_or((param, ""));
    let bracket = if rest.is_empty() { "" } else { "[" };
    let param = format!("lines[{place}][{head}]{bracket}{rest}");
    refusal.param(param)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_in_which_line() {
        for (param, expected) in [
            (Some("amount"), "lines[1][amount]"),
            (Some("pricing[price]"), "lines[1][pricing][price]"),
            (None, "lines[1]"),
        ] {
            let refusal = Refusal::invalid("No.");
            let refusal = param.map_or(refusal.clone(), |param| refusal.param(param));
            assert_eq!(inside(1, refusal).param.as_deref(), Some(expected));
        }
    }
}
