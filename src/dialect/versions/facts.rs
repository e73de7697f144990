//! What older versions show of a document that is not in it: gathered for all documents of an answer in
//! a fixed number of queries, and only for pins that show it.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Value, json};

use super::{Members, tools, v2022_11_15_latest_charge, v2023_08_16_charge_dispute, v2025_03_31_invoice_payments};
use crate::{
    billing::{
        Noun, charge,
        dispute::{self, Dispute},
        event, invoice_payment, payment_intent, price, refund, wire,
    },
    dialect::version::Pin,
    store::{Connection, Fault, read},
};

/// All that the changes ask for beside the object that they change.
#[derive(Debug, Default)]
pub struct Facts {
    pub(super) prices: HashMap<String, Value>,
    /// By invoice: the intent that is its own, and that intent's latest charge.
    pub(super) payments: HashMap<String, (String, Value)>,
    /// By payment intent.
    pub(super) invoices: HashMap<String, String>,
    /// By payment intent, as a list.
    pub(super) charges: HashMap<String, Value>,
    /// By charge, as a list.
    pub(super) refunds: HashMap<String, Value>,
    /// By charge, the newest.
    pub(super) disputes: HashMap<String, String>,
}

/// The ids that a look at the documents finds.
#[derive(Default)]
struct Wanted {
    prices: BTreeSet<String>,
    invoices: BTreeSet<String>,
    /// The intents whose invoice is wanted.
    intents: BTreeSet<String>,
    /// The intents whose charges are.
    charged: BTreeSet<String>,
    charges: BTreeSet<String>,
    /// The charges whose dispute is wanted.
    disputed: BTreeSet<String>,
}

impl Facts {
    pub fn price(&self, id: &str) -> Option<&Value> {
        self.prices.get(id)
    }

    pub fn payment_of(&self, invoice: &str) -> Option<&(String, Value)> {
        self.payments.get(invoice)
    }

    pub fn invoice_of(&self, intent: &str) -> Option<&str> {
        self.invoices.get(intent).map(String::as_str)
    }

    pub fn charges_of(&self, intent: &str) -> Option<&Value> {
        self.charges.get(intent)
    }

    pub fn refunds_of(&self, charge: &str) -> Option<&Value> {
        self.refunds.get(charge)
    }

    pub fn dispute_of(&self, charge: &str) -> Option<&str> {
        self.disputes.get(charge).map(String::as_str)
    }

    pub async fn gather(
        connection: &mut Connection,
        documents: &[Value],
        Pin { livemode, version }: Pin,
    ) -> Result<Facts, Fault> {
        let mut facts = Facts::default();
        if version >= v2025_03_31_invoice_payments::CHANGE.since {
            return Ok(facts);
        }
        let mut wanted = Wanted::default();
        documents.iter().for_each(|document| wanted.look(document));
        if version < v2022_11_15_latest_charge::CHANGE.since {
            let url = |intent: &str| format!("/v1/charges?payment_intent={intent}");
            facts.charges =
                lists(connection, &charge::NOUN, "payment_intent", std::mem::take(&mut wanted.charged), &url).await?;
            facts.charges.values().for_each(|list| wanted.look(list));
            let url = |charge: &str| format!("/v1/charges/{charge}/refunds");
            facts.refunds =
                lists(connection, &refund::NOUN, "charge", std::mem::take(&mut wanted.charges), &url).await?;
        }
        if version < v2023_08_16_charge_dispute::CHANGE.since {
            facts.gather_disputes(connection, std::mem::take(&mut wanted.disputed)).await?;
        }
        let prices: Vec<String> = wanted.prices.into_iter().collect();
        for (id, body) in read::find_many(connection, &price::NOUN, &prices, livemode).await? {
            facts.prices.insert(id, wired(&price::NOUN, &body)?);
        }
        facts.gather_payments(connection, wanted.invoices, wanted.intents, livemode).await?;
        Ok(facts)
    }

    async fn gather_disputes(&mut self, connection: &mut Connection, charges: BTreeSet<String>) -> Result<(), Fault> {
        let charges: Vec<String> = charges.into_iter().collect();
        for body in read::find_by(connection, &dispute::NOUN, "charge", &charges).await? {
            let dispute: Dispute = serde_json::from_str(&body)?;
            self.disputes.insert(dispute.charge.to_string(), dispute.id.to_string());
        }
        Ok(())
    }

    async fn gather_payments(
        &mut self,
        connection: &mut Connection,
        invoices: BTreeSet<String>,
        intents: BTreeSet<String>,
        livemode: bool,
    ) -> Result<(), Fault> {
        let of = |joint: &Value, key: &str| joint.pointer(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        for joint in joints(connection, "payment_intent", intents).await? {
            self.invoices.insert(of(&joint, "/payment/payment_intent"), of(&joint, "/invoice"));
        }
        let mut own: HashMap<String, String> = HashMap::new();
        for joint in joints(connection, "invoice", invoices).await? {
            if joint.get("is_default") == Some(&Value::Bool(true)) {
                own.insert(of(&joint, "/payment/payment_intent"), of(&joint, "/invoice"));
            }
        }
        let ids: Vec<String> = own.keys().cloned().collect();
        for (intent, body) in read::find_many(connection, &payment_intent::NOUN, &ids, livemode).await? {
            let document: Value = serde_json::from_str(&body)?;
            let charge = document.get("latest_charge").cloned().unwrap_or(Value::Null);
            if let Some(invoice) = own.remove(&intent) {
                self.payments.insert(invoice, (intent, charge));
            }
        }
        Ok(())
    }
}

impl Wanted {
    fn look(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.look(item)),
            // What an event shows is shaped with the event, in the event's own version.
            Value::Object(members) if members.get("object") == Some(&Value::from(event::NOUN.object)) => {}
            Value::Object(members) => {
                self.look_at(members);
                members.values().for_each(|member| self.look(member));
            }
            _ => {}
        }
    }

    fn look_at(&mut self, members: &Members) {
        let text = |path: &str| tools::at(members, path).as_str().map(ToOwned::to_owned);
        match members.get("object").and_then(Value::as_str) {
            Some("invoice") => self.invoices.extend(text("id")),
            Some("line_item" | "invoiceitem") => self.prices.extend(text("pricing.price_details.price")),
            Some("payment_intent") => {
                self.intents.extend(text("id"));
                self.charged.extend(text("id"));
            }
            Some("charge") => {
                self.charges.extend(text("id"));
                self.disputed.extend(text("id").filter(|_| members.get("disputed") == Some(&Value::Bool(true))));
                self.intents.extend(text("payment_intent"));
            }
            _ => {}
        }
    }
}

fn wired(noun: &Noun, body: &str) -> Result<Value, Fault> {
    let mut document = serde_json::from_str(body)?;
    wire::wire(noun, &mut document, &|_| None);
    Ok(document)
}

/// The children of each parent as a list on the wire; an empty one where there are none.
async fn lists(
    connection: &mut Connection,
    noun: &Noun,
    column: &str,
    parents: BTreeSet<String>,
    url: &(dyn Fn(&str) -> String + Sync),
) -> Result<HashMap<String, Value>, Fault> {
    let parents: Vec<String> = parents.into_iter().collect();
    if parents.is_empty() {
        return Ok(HashMap::new());
    }
    let mut children = read::children(connection, noun, column, &parents).await?;
    let mut lists = HashMap::new();
    for parent in parents {
        let (bodies, has_more) = children.remove(&parent).unwrap_or_default();
        let data: Vec<Value> = bodies.iter().map(|body| wired(noun, body)).collect::<Result<_, _>>()?;
        let list = json!({"object": "list", "data": data, "has_more": has_more, "url": url(&parent)});
        lists.insert(parent, list);
    }
    Ok(lists)
}

/// What joins invoices and intents, found from either side.
async fn joints(connection: &mut Connection, column: &str, ids: BTreeSet<String>) -> Result<Vec<Value>, Fault> {
    let ids: Vec<String> = ids.into_iter().collect();
    let bodies = read::find_by(connection, &invoice_payment::NOUN, column, &ids).await?;
    Ok(bodies.iter().map(|body| serde_json::from_str(body)).collect::<Result<_, _>>()?)
}
