//! An issuer's suspicion that a payment was fraud. A dispute often follows.

use serde::{Deserialize, Serialize};

use super::{
    Books, Id, Moment, Noun, Resource, Timestamp,
    charge::{self, Charge},
    customer::Customer,
    describe,
    noun::{By, Cell, Keyed, filter, one, text},
    payment_intent::{self, PaymentIntent},
};
use crate::words;

pub static NOUN: Noun = Noun {
    object: "radar.early_fraud_warning",
    prefix: "issfr_",
    table: "early_fraud_warnings",
    url: "/v1/radar/early_fraud_warnings",
    name: "early fraud warning",
    keyed: Keyed::OfCustomer,
    leaves_stub: false,
    columns: &[text("customer"), text("charge"), text("payment_intent")],
    filters: &[filter("charge", By::Text("charge")), filter("payment_intent", By::Text("payment_intent"))],
    links: &[one("charge", &charge::NOUN), one("payment_intent", &payment_intent::NOUN)],
    inlines: &[],
    previews: &[],
    searchable: &[],
    document: describe::shape_of::<EarlyFraudWarning>,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EarlyFraudWarning {
    pub id: Id<EarlyFraudWarning>,
    pub object: Tag,
    /// Giving the money back may still prevent a dispute.
    pub actionable: bool,
    pub charge: Id<Charge>,
    pub created: Timestamp,
    pub fraud_type: FraudType,
    pub livemode: bool,
    /// Nothing if the charge was made directly.
    pub payment_intent: Option<Id<PaymentIntent>>,
    pub internal: Internal,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Tag {
    #[serde(rename = "radar.early_fraud_warning")]
    EarlyFraudWarning,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Internal {
    pub customer: Option<Id<Customer>>,
}

words!(FraudType {
    CardNeverReceived = "card_never_received",
    FraudulentCardApplication = "fraudulent_card_application",
    MadeWithCounterfeitCard = "made_with_counterfeit_card",
    MadeWithLostCard = "made_with_lost_card",
    MadeWithStolenCard = "made_with_stolen_card",
    Misc = "misc",
    UnauthorizedUseOfCard = "unauthorized_use_of_card",
});

impl Resource for EarlyFraudWarning {
    const NOUN: &'static Noun = &NOUN;

    crate::basics!(created);

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::maybe(self.internal.customer.as_ref()),
            Cell::text(&self.charge),
            Cell::text(payment_intent::behind(self.payment_intent.as_ref(), &self.charge)),
        ]
    }
}

/// An issuer has warned of a payment.
pub fn warn(books: &mut Books, charge: &Charge, fraud_type: FraudType, at: &mut Moment) -> Id<EarlyFraudWarning> {
    let id: Id<EarlyFraudWarning> = Id::new(&mut at.ids, charge.id.bucket());
    books
        .put(EarlyFraudWarning {
            id: id.clone(),
            object: Tag::EarlyFraudWarning,
            actionable: is_actionable(charge),
            charge: charge.id.clone(),
            created: at.now,
            fraud_type,
            livemode: charge.livemode,
            payment_intent: charge.payment_intent.clone(),
            internal: Internal { customer: charge.customer.clone() },
        })
        .tell("radar.early_fraud_warning.created", at);
    id
}

/// Neither disputed nor given back in full.
const fn is_actionable(charge: &Charge) -> bool {
    !charge.disputed && !charge.refunded
}

/// The charge was disputed, or given back: what its issuer has warned of says whether that leaves anything to do.
pub fn follow(books: &mut Books, charge: &Id<Charge>, at: &mut Moment) {
    let Some(actionable) = books.get(charge).map(is_actionable) else { return };
    let stale = |warning: &&EarlyFraudWarning| warning.charge == *charge && warning.actionable != actionable;
    let stale: Vec<EarlyFraudWarning> = books.all().filter(stale).cloned().collect();
    for warning in stale {
        books.put(EarlyFraudWarning { actionable, ..warning }).tell("radar.early_fraud_warning.updated", at);
    }
}
