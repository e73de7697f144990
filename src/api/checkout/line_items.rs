//! The lines of a session: as they are asked for, and listed.

use serde::Deserialize;
use serde_json::Value;

use crate::{
    api::{call::Call, prices::SessionPrice, reply::Reply, route::At},
    billing::{
        Books, Id, MetadataPatch, Moment, Refusal,
        checkout::{
            NOUN,
            create::NewLine,
            item::{self, AdjustableQuantity, LineItem},
        },
        edit::within,
        price::Price,
        shape::Unsupported,
    },
    dialect::{
        speak,
        version::{Pin, Version},
    },
    store::{books::Needs, read},
};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct LineParams {
    adjustable_quantity: Option<AdjustableParams>,
    /// Of lines that are there already.
    id: Option<Id<LineItem>>,
    metadata: MetadataPatch,
    price: Option<Id<Price>>,
    price_data: Option<SessionPrice>,
    quantity: Option<i64>,
    // Known, and refused rather than ignored.
    dynamic_tax_rates: Option<Unsupported>,
    tax_rates: Option<Unsupported>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct AdjustableParams {
    enabled: bool,
    maximum: Option<i64>,
    minimum: Option<i64>,
}

impl From<AdjustableParams> for AdjustableQuantity {
    fn from(params: AdjustableParams) -> AdjustableQuantity {
        AdjustableQuantity { enabled: params.enabled, maximum: params.maximum, minimum: params.minimum }
    }
}

impl LineParams {
    /// The id of a line that is there, which only an update may name.
    pub const fn id(&self) -> Option<&Id<LineItem>> {
        self.id.as_ref()
    }

    /// A new line; its price is made now if that is wanted.
    pub fn new_line(self, param: &str, books: &mut Books, livemode: bool, at: &mut Moment) -> Result<NewLine, Refusal> {
        // What is made here is for this, and for nothing else.
        let agreed = self.price_data.is_some();
        let price = match (self.price, self.price_data) {
            (Some(price), None) => price,
            (None, Some(data)) => data.make(books, livemode, &within(param, "price_data"), at)?,
            (Some(_), Some(_)) => {
                return Err(Refusal::exclusive(&["price", "price_data"]).param(within(param, "price")));
            }
            (None, None) => return Err(Refusal::missing(within(param, "price"))),
        };
        Ok(NewLine {
            adjustable_quantity: self.adjustable_quantity.map(Into::into),
            agreed,
            id: None,
            metadata: self.metadata.initial()?,
            price,
            quantity: self.quantity,
        })
    }

    /// A line that is there, with what is said of it.
    pub fn changed(self, line: &LineItem, param: &str) -> Result<NewLine, Refusal> {
        let sent = [("price", self.price.is_some()), ("price_data", self.price_data.is_some())];
        if let Some((name, _)) = sent.iter().find(|(_, sent)| *sent) {
            let message = "The price of a line item cannot be changed. Leave the line out, and add another.";
            return Err(Refusal::invalid(message).param(within(param, name)));
        }
        Ok(NewLine {
            adjustable_quantity: self.adjustable_quantity.map(Into::into).or(line.adjustable_quantity),
            agreed: true,
            id: Some(line.id.clone()),
            metadata: self.metadata.apply(line.metadata.clone())?,
            price: line.price.clone(),
            quantity: Some(self.quantity.unwrap_or(line.quantity)),
        })
    }
}

/// What must be at hand: the prices that are named, the products of those that are made.
pub fn needs(lines: &[LineParams]) -> Needs {
    let mut needs = Needs::default();
    for line in lines {
        needs.prices.extend(line.price.clone());
        line.price_data.iter().filter_map(|data| data.product.as_ref()).for_each(|product| needs.document(product));
    }
    needs
}

pub async fn list(At(id): At<String>, call: Call) -> Reply {
    let mut reader = call.house.engine.store.reader().await?;
    let body = read::find(&mut reader, &NOUN, &id, call.livemode()).await?;
    let body = body.ok_or_else(|| Refusal::not_found(&NOUN, &id))?;
    let kept = speak::kept(&body, "line_items")?.unwrap_or_default();
    let lines: Vec<String> = kept.as_array().into_iter().flatten().map(Value::to_string).collect();
    let newest = Pin { version: Version::NEWEST, ..call.pin() };
    let spoken = speak::speak(&mut reader, &item::NOUN, &lines, newest).await?;
    drop(reader);
    call.list_of(&item::NOUN, spoken).await
}
