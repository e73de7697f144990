//! A card that its issuer renews or replaces: the network tells, and the payment method stays the same.

use super::{
    Books, Id, Moment, Refusal,
    invoice::{Internal as InvoiceInternal, Invoice},
    payment_method::{Card, Internal, PaymentMethod},
    retry::Progress,
};

/// What the network tells of a card.
#[derive(Clone, Debug)]
pub enum Reissue {
    /// It is valid for longer.
    Renewed { exp_month: i64, exp_year: i64 },
    /// Another number has taken its place: this card, by this token.
    Replaced { authenticates: bool, card: Box<Card>, may_authenticate: bool, token: String },
}

/// Takes what the network tells. With another number, what the issuer refused for good is tried again.
pub fn reissue(books: &mut Books, id: &Id<PaymentMethod>, news: Reissue, at: &mut Moment) -> Result<(), Refusal> {
    let method = books.at_path(id)?.clone();
    if method.customer.is_none() {
        let message = format!("The card of {id} is not kept for a customer, so the network tells nothing of it.");
        return Err(Refusal::invalid(message).code("payment_method_unexpected_state"));
    }
    let method = match news {
        Reissue::Renewed { exp_month, exp_year } => {
            PaymentMethod { card: Card { exp_month, exp_year, ..method.card }, ..method }
        }
        Reissue::Replaced { authenticates, card, may_authenticate, token } => {
            forget_refusals(books, id);
            let card = Card { checks: method.card.checks, ..*card };
            let internal = Internal { authenticates, may_authenticate, token, ..method.internal };
            PaymentMethod { card, internal, ..method }
        }
    };
    books.put(method).tell("payment_method.automatically_updated", at);
    Ok(())
}

/// What was no use with the old number may be with the new one.
fn forget_refusals(books: &mut Books, id: &Id<PaymentMethod>) {
    let refused: Vec<Invoice> = books.all::<Invoice>().filter(|invoice| invoice.has_spent(id)).cloned().collect();
    for invoice in refused {
        let retries = invoice.internal.retries.map(|progress| {
            let spent = progress.spent.into_iter().filter(|spent| spent != id).collect();
            Progress { spent, ..progress }
        });
        books.put(Invoice { internal: InvoiceInternal { retries, ..invoice.internal }, ..invoice });
    }
}
