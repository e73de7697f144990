//! Movements of the account's balance (`balance_transaction`): the other side of charges, refunds and disputes.
//! Those of charges and refunds rest nowhere: each is made of what it is the other side of, whose id gives it
//! its own. A dispute has none, one or two of them, and shows them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Amount, Currency, Id, Noun, Timestamp,
    charge::{self, Charge},
    describe,
    dispute::{self, Dispute},
    noun::{By, Keyed, Link, Target, filter},
    refund::{self, Refund},
    shape::Null,
    wire,
};
use crate::words;

pub static NOUN: Noun = Noun {
    object: "balance_transaction",
    prefix: "txn_",
    table: "charges",
    url: "/v1/balance_transactions",
    name: "balance transaction",
    keyed: Keyed::OfCustomer,
    leaves_stub: false,
    columns: &[],
    filters: &[
        filter("currency", By::Text("currency")),
        filter("source", By::Text("id")),
        filter("type", By::Text("type")),
        filter("payout", By::NotSupportedYet),
    ],
    links: &[Link {
        path: "source",
        to: Target::Derived { make: source, of: &[&charge::NOUN, &dispute::NOUN, &refund::NOUN] },
    }],
    inlines: &[],
    previews: &[],
    searchable: &[],
    document: describe::shape_of::<Movement>,
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Movement {
    pub id: String,
    pub object: Tag,
    pub amount: Amount,
    pub available_on: Timestamp,
    pub balance_type: BalanceType,
    pub created: Timestamp,
    pub currency: Currency,
    pub description: Option<String>,
    pub exchange_rate: Null,
    pub fee: Amount,
    pub fee_details: Vec<FeeDetail>,
    /// The amount less the fee.
    pub net: Amount,
    pub reporting_category: Category,
    pub source: String,
    pub status: Status,
    #[serde(rename = "type")]
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tag {
    #[serde(rename = "balance_transaction")]
    Movement,
}

/// What a fee is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeeDetail {
    pub amount: Amount,
    pub application: Null,
    pub currency: Currency,
    pub description: Option<String>,
    #[serde(rename = "type")]
    pub kind: FeeType,
}

words!(BalanceType { Payments = "payments" });
words!(Category {
    Charge = "charge",
    Dispute = "dispute",
    DisputeReversal = "dispute_reversal",
    Refund = "refund",
});
words!(FeeType { StripeFee = "stripe_fee" });
words!(Kind { Adjustment = "adjustment", Charge = "charge", Refund = "refund" });
words!(Status { Available = "available" });

/// The id of the movement on the other side of a charge or a refund.
pub fn id_of(source: &str) -> String {
    let (_, rest) = source.split_once('_').unwrap_or(("", source));
    format!("{}{rest}", NOUN.prefix)
}

/// What a movement may be the other side of, of two nouns.
pub fn sources(id: &str) -> Option<(Id<Charge>, Id<Refund>)> {
    let rest = id.strip_prefix(NOUN.prefix)?;
    let of = |noun: &Noun| format!("{}{rest}", noun.prefix);
    Some((Id::given(of(&charge::NOUN)), Id::given(of(&refund::NOUN))))
}

/// The movement on the other side of a stored charge or refund; none where no money has moved.
pub fn of(source: &Value) -> Option<Value> {
    let movement = if source.get("object").and_then(Value::as_str) == Some(refund::NOUN.object) {
        of_refund(&serde_json::from_value(source.clone()).ok()?)?
    } else {
        of_charge(serde_json::from_value(source.clone()).ok()?)?
    };
    serde_json::to_value(movement).ok()
}

/// One of the movements on the other side of anything that was stored.
pub fn named(id: &str, source: &Value) -> Option<Value> {
    if source.get("object").and_then(Value::as_str) != Some(dispute::NOUN.object) {
        return of(source);
    }
    let dispute: Dispute = serde_json::from_value(source.clone()).ok()?;
    let movement = dispute.balance_transactions.into_iter().find(|movement| movement.id == id)?;
    serde_json::to_value(movement).ok()
}

fn of_charge(charge: Charge) -> Option<Movement> {
    let moved = charge.status == charge::Status::Succeeded && charge.captured;
    moved.then(|| Movement {
        description: charge.description,
        ..Movement::without_fee(
            id_of(charge.id.as_str()),
            charge.amount_captured,
            charge.currency,
            charge.created,
            charge.id.to_string(),
            (Kind::Charge, Category::Charge),
        )
    })
}

fn of_refund(refund: &Refund) -> Option<Movement> {
    let amount = refund.amount.negated().ok()?;
    (refund.status.counts() && !refund.internal.released).then(|| {
        let (id, source) = (id_of(refund.id.as_str()), refund.id.to_string());
        let kind = (Kind::Refund, Category::Refund);
        Movement::without_fee(id, amount, refund.currency, refund.created, source, kind)
    })
}

impl Movement {
    /// A movement of the whole amount.
    pub fn without_fee(
        id: String,
        amount: Amount,
        currency: Currency,
        created: Timestamp,
        source: String,
        (kind, reporting_category): (Kind, Category),
    ) -> Movement {
        Movement {
            id,
            object: Tag::Movement,
            amount,
            available_on: created,
            balance_type: BalanceType::Payments,
            created,
            currency,
            description: None,
            exchange_rate: Null,
            fee: Amount::ZERO,
            fee_details: Vec::new(),
            net: amount,
            reporting_category,
            source,
            status: Status::Available,
            kind,
        }
    }
}

/// `source`, out of what a movement is made of.
fn source(stored: &Value) -> Option<Value> {
    let mut source = stored.clone();
    source.as_object_mut()?.shift_remove(wire::INTERNAL);
    Some(source)
}
