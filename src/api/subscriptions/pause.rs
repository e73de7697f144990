//! `POST /v1/subscriptions/{id}/pause`

use serde::Deserialize;

use crate::{
    api::{call::Call, reply::Reply, route::At},
    billing::{
        Id, change,
        pause::{self, PauseType, Pausing, UnusedTimeFrom},
        subscription::{NOUN, Subscription},
    },
    engine::{Owner, Subject, verb::Decision},
    store::books::Needs,
    words,
};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Pause {
    bill_for: BillFor,
    invoicing_behavior: Option<InvoicingBehavior>,
    #[serde(rename = "type")]
    kind: Option<PauseType>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct BillFor {
    outstanding_usage_through: Option<OutstandingUsage>,
    unused_time_from: Option<UnusedTime>,
}

#[derive(Clone, Debug, Deserialize)]
#[expect(dead_code, reason = "there is no usage here that could be outstanding")]
struct OutstandingUsage {
    #[serde(rename = "type")]
    kind: OutstandingUsageThrough,
}

#[derive(Clone, Debug, Deserialize)]
struct UnusedTime {
    #[serde(rename = "type")]
    kind: UnusedTimeFrom,
}

words!(OutstandingUsageThrough { None = "none", Now = "now" });
words!(InvoicingBehavior { Invoice = "invoice", PendingInvoiceItem = "pending_invoice_item" });

impl Pause {
    pub fn wanted(self) -> Pausing {
        Pausing {
            unused_time_from: self.bill_for.unused_time_from.map_or(UnusedTimeFrom::Now, |unused| unused.kind),
            invoice_now: self.invoicing_behavior == Some(InvoicingBehavior::Invoice),
        }
    }
}

pub(super) async fn pause(At(id): At<String>, call: Call, params: Pause) -> Reply {
    let id: Id<Subscription> = Id::given(id);
    let wanted = params.wanted();
    // A credit refers to the line that billed what it gives back.
    let needs = Needs { invoices_of: Some(id.clone()), ..Needs::default() };
    let verb = Decision::new(Owner::of(&id), needs, move |books, at| {
        change::open(books, &id, at)?;
        pause::pause(books, &id, wanted, at)?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}
