//! `add_invoice_items[]`: one-off prices that come with a subscription.

use serde::Deserialize;

use crate::{
    billing::{
        Id, MetadataPatch, Refusal, Timestamp,
        extra::{ExtraEnd, ExtraStart, NewExtra},
        price::Price,
        shape::Unsupported,
        subscribe::NewItem,
    },
    words,
};

#[derive(Clone, Debug, Deserialize)]
pub(super) struct ExtraParams {
    discountable: Option<bool>,
    #[serde(default)]
    metadata: MetadataPatch,
    period: Option<PeriodParams>,
    price: Option<Id<Price>>,
    quantity: Option<i64>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    discounts: Option<Unsupported>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    price_data: Option<Unsupported>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    tax_rates: Option<Unsupported>,
}

#[derive(Clone, Debug, Deserialize)]
struct PeriodParams {
    start: StartParams,
    end: EndParams,
}

#[derive(Clone, Debug, Deserialize)]
struct StartParams {
    #[serde(rename = "type")]
    kind: StartType,
    timestamp: Option<Timestamp>,
}

#[derive(Clone, Debug, Deserialize)]
struct EndParams {
    #[serde(rename = "type")]
    kind: EndType,
    timestamp: Option<Timestamp>,
}

words!(StartType { MaxItemPeriodStart = "max_item_period_start", Now = "now", Timestamp = "timestamp" });
words!(EndType { MinItemPeriodEnd = "min_item_period_end", Timestamp = "timestamp" });

impl ExtraParams {
    pub(super) fn wanted(self, index: usize) -> Result<NewExtra, Refusal> {
        let missing = |what: &str| Refusal::missing(format!("add_invoice_items[{index}]{what}"));
        let price = self.price.ok_or_else(|| missing("[price]"))?;
        let (mut start, mut end) = (ExtraStart::MaxItemPeriodStart, ExtraEnd::MinItemPeriodEnd);
        if let Some(period) = self.period {
            start = match period.start.kind {
                StartType::MaxItemPeriodStart => ExtraStart::MaxItemPeriodStart,
                StartType::Now => ExtraStart::Now,
                StartType::Timestamp => {
                    ExtraStart::Time(period.start.timestamp.ok_or_else(|| missing("[period][start][timestamp]"))?)
                }
            };
            end = match period.end.kind {
                EndType::MinItemPeriodEnd => ExtraEnd::MinItemPeriodEnd,
                EndType::Timestamp => {
                    ExtraEnd::Time(period.end.timestamp.ok_or_else(|| missing("[period][end][timestamp]"))?)
                }
            };
        }
        Ok(NewExtra {
            item: NewItem { metadata: self.metadata.initial()?, price, quantity: self.quantity.unwrap_or(1) },
            discountable: self.discountable.unwrap_or(true),
            start,
            end,
        })
    }
}
