//! Prefixes of invoice numbers that callers chose. Each is one customer's for good: there may be invoices that
//! bear it.

use serde::{Deserialize, Serialize};

use super::{
    Books, Id, Moment, Noun, Refusal, Resource, Timestamp,
    customer::Customer,
    describe,
    noun::{Cell, Keyed},
};

pub static NOUN: Noun = Noun {
    object: "dunlin.invoice_prefix",
    prefix: "invp_",
    table: "invoice_prefixes",
    url: "",
    name: "invoice prefix",
    keyed: Keyed::Chosen,
    leaves_stub: false,
    columns: &[],
    filters: &[],
    links: &[],
    inlines: &[],
    previews: &[],
    searchable: &[],
    document: describe::shape_of::<InvoicePrefix>,
};

/// Whose a prefix is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InvoicePrefix {
    /// The prefix itself, and its mode.
    pub id: Id<InvoicePrefix>,
    pub created: Timestamp,
    pub customer: Id<Customer>,
    pub livemode: bool,
}

impl Id<InvoicePrefix> {
    pub fn of(prefix: &str, livemode: bool) -> Id<InvoicePrefix> {
        Id::given(format!("{}{}_{prefix}", NOUN.prefix, if livemode { "live" } else { "test" }))
    }
}

/// Gives a customer the prefix that it is to have, unless another has it.
pub fn claim(books: &mut Books, customer: &Customer, at: &Moment) -> Result<(), Refusal> {
    let id = Id::<InvoicePrefix>::of(&customer.invoice_prefix, customer.livemode);
    if let Some(claimed) = books.get(&id) {
        return if claimed.customer == customer.id { Ok(()) } else { Err(taken()) };
    }
    books.put(InvoicePrefix { id, created: at.now, customer: customer.id.clone(), livemode: customer.livemode });
    Ok(())
}

pub fn taken() -> Refusal {
    Refusal::invalid("Another customer has that invoice prefix already.")
        .code("resource_already_exists")
        .param("invoice_prefix")
}

impl Resource for InvoicePrefix {
    const NOUN: &'static Noun = &NOUN;

    crate::basics!(created);

    fn cells(&self) -> Vec<Cell> {
        Vec::new()
    }
}
