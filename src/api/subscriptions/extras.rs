//! `add_invoice_items[]`: one-off prices that come with a subscription.

use serde::Deserialize;

use crate::{
    api::prices::InlinePrice,
    billing::{
        Books, Id, MetadataPatch, Moment, Refusal, Timestamp, edit,
        extra::{ExtraEnd, ExtraStart, NewExtra},
        price::Price,
        shape::Unsupported,
        subscribe::NewItem,
    },
    store::books::Needs,
    words,
};

#[derive(Clone, Debug, Deserialize)]
pub(super) struct ExtraParams {
    discountable: Option<bool>,
    #[serde(default)]
    metadata: MetadataPatch,
    period: Option<PeriodParams>,
    price: Option<Id<Price>>,
    price_data: Option<InlinePrice>,
    quantity: Option<i64>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    discounts: Option<Unsupported>,
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

/// A price that is named, or one that is made on the spot.
pub fn priced(
    named: Option<Id<Price>>,
    data: Option<InlinePrice>,
    param: &str,
    books: &mut Books,
    livemode: bool,
    at: &mut Moment,
) -> Result<Id<Price>, Refusal> {
    match (named, data) {
        (Some(price), None) => Ok(price),
        (None, Some(data)) => data.make(books, livemode, &edit::within(param, "price_data"), at),
        (Some(_), Some(_)) => Err(Refusal::exclusive(&["price", "price_data"]).param(edit::within(param, "price"))),
        (None, None) => Err(Refusal::missing(edit::within(param, "price"))),
    }
}

/// All entries of the parameter.
pub(super) fn wanted(
    extras: Vec<ExtraParams>,
    books: &mut Books,
    livemode: bool,
    at: &mut Moment,
) -> Result<Vec<NewExtra>, Refusal> {
    extras.into_iter().enumerate().map(|(index, extra)| extra.wanted(index, books, livemode, at)).collect()
}

/// What must be at hand: the prices that are named, the products of those that are made.
pub(super) fn need_prices(extras: &[ExtraParams], needs: &mut Needs) {
    for extra in extras {
        needs.prices.extend(extra.price.clone());
        extra.price_data.iter().for_each(|data| needs.document(&data.product));
    }
}

impl ExtraParams {
    fn wanted(self, index: usize, books: &mut Books, livemode: bool, at: &mut Moment) -> Result<NewExtra, Refusal> {
        let param = format!("add_invoice_items[{index}]");
        let missing = |what: &str| Refusal::missing(format!("{param}{what}"));
        let price = priced(self.price, self.price_data, &param, books, livemode, at)?;
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
