//! Invoice items that waited, on the invoice of a change that is made only when it is paid: they stay on
//! it once it is, and wait again if the change comes to nothing.

use super::{
    Books, Id,
    invoice::{Invoice, Status},
    invoice_item::{Internal, InvoiceItem},
};

/// Lends an invoice all that is on it but what was made for it.
pub fn lend(books: &mut Books, invoice: &Id<Invoice>, made: &[Id<InvoiceItem>]) {
    for item in on(books, invoice, |item| !made.contains(&item.id)) {
        books.put(InvoiceItem { internal: Internal { lent: true, ..item.internal }, ..item });
    }
}

/// Leaves with an invoice what it was lent, if it is paid.
pub fn leave(books: &mut Books, invoice: &Id<Invoice>) {
    if books.get(invoice).is_some_and(|invoice| invoice.status == Status::Paid) {
        for item in on(books, invoice, |item| item.internal.lent) {
            books.put(InvoiceItem { internal: Internal::default(), ..item });
        }
    }
}

/// Takes back what an invoice was lent: it waits again.
pub fn take_back(books: &mut Books, invoice: &Id<Invoice>) {
    for item in on(books, invoice, |item| item.internal.lent) {
        books.put(InvoiceItem { invoice: None, internal: Internal::default(), ..item });
    }
}

fn on(books: &Books, invoice: &Id<Invoice>, which: impl Fn(&InvoiceItem) -> bool) -> Vec<InvoiceItem> {
    books.all::<InvoiceItem>().filter(|item| item.invoice.as_ref() == Some(invoice) && which(item)).cloned().collect()
}
