//! Movements of the account's balance (`balance_transaction`): the other side of charges and refunds. None
//! rests anywhere: each is made of what it is the other side of, whose id gives it its own.

use serde_json::{Value, json};

use super::{
    Id, Noun,
    charge::{self, Charge},
    describe,
    noun::{By, Keyed, Link, Target, filter},
    refund::{self, Refund},
    wire,
};

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
    links: &[Link { path: "source", to: Target::Derived { make: source, of: &[&charge::NOUN, &refund::NOUN] } }],
    inlines: &[],
    previews: &[],
    searchable: &[],
    document: describe::written_elsewhere,
};

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
    let is_refund = source.get("object").and_then(Value::as_str) == Some(refund::NOUN.object);
    let (amount, counts) = if is_refund {
        let refund: Refund = serde_json::from_value(source.clone()).ok()?;
        (refund.amount.negated().ok()?, refund.status.counts())
    } else {
        let charge: Charge = serde_json::from_value(source.clone()).ok()?;
        (charge.amount_captured, charge.status == charge::Status::Succeeded && charge.captured)
    };
    let kind = if is_refund { "refund" } else { "charge" };
    let of = |key: &str| source.get(key).cloned().unwrap_or_default();
    let movement = json!({
        "id": id_of(of("id").as_str()?),
        "object": NOUN.object,
        "amount": amount,
        "available_on": of("created"),
        "balance_type": "payments",
        "created": of("created"),
        "currency": of("currency"),
        "description": of("description"),
        "exchange_rate": null,
        "fee": 0,
        "fee_details": [],
        "net": amount,
        "reporting_category": kind,
        "source": of("id"),
        "status": "available",
        "type": kind,
    });
    counts.then_some(movement)
}

/// `source`, out of what a movement is made of.
fn source(stored: &Value) -> Option<Value> {
    let mut source = stored.clone();
    source.as_object_mut()?.shift_remove(wire::INTERNAL);
    Some(source)
}
