//! What callers say about phases.

use serde::Deserialize;

use super::{NowWord, defaults::InvoiceSettingsParams};
use crate::{
    api::{prices::InlinePrice, subscriptions::extras::priced},
    billing::{
        Books, Currency, Id, Metadata, MetadataPatch, Moment, Refusal, Timestamp,
        payment_method::PaymentMethod,
        period::{Cycle, Interval},
        phases::{Ends, NewPhase},
        price::Price,
        prorate::ProrationBehavior,
        shape::{Nothing, Patch, Text, TimeOr, Unsupported, Untaxed},
        subscription::CollectionMethod,
        subscription_schedule::{ExtraPeriod, InvoiceSettings, Phase, PhaseAnchor, PhaseExtra, PhaseItem},
    },
    store::books::Needs,
};

#[derive(Clone, Debug, Deserialize)]
#[expect(dead_code, reason = "some are named so that they are refused, not ignored")]
pub struct PhaseParams {
    #[serde(default)]
    add_invoice_items: Vec<ExtraParams>,
    billing_cycle_anchor: Option<PhaseAnchor>,
    collection_method: Option<CollectionMethod>,
    currency: Option<Currency>,
    default_payment_method: Option<Id<PaymentMethod>>,
    #[serde(default)]
    description: Patch<Text<500>>,
    duration: Option<DurationParams>,
    end_date: Option<TimeOr<NowWord>>,
    invoice_settings: Option<InvoiceSettingsParams>,
    items: Vec<ItemParams>,
    iterations: Option<i64>,
    #[serde(default)]
    metadata: MetadataPatch,
    proration_behavior: Option<ProrationBehavior>,
    start_date: Option<TimeOr<NowWord>>,
    trial: Option<bool>,
    trial_end: Option<TimeOr<NowWord>>,
    // Known, and refused rather than ignored.
    application_fee_percent: Option<Unsupported>,
    automatic_tax: Option<Untaxed>,
    billing_thresholds: Option<Unsupported>,
    default_tax_rates: Option<Unsupported>,
    /// That there are none holds anyway.
    #[serde(default)]
    discounts: Patch<Unsupported>,
    on_behalf_of: Option<Unsupported>,
    transfer_data: Option<Unsupported>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct DurationParams {
    interval: Interval,
    interval_count: Option<i64>,
}

#[derive(Clone, Debug, Deserialize)]
#[expect(dead_code, reason = "some are named so that they are refused, not ignored")]
struct ItemParams {
    #[serde(default)]
    metadata: MetadataPatch,
    plan: Option<Id<Price>>,
    price: Option<Id<Price>>,
    price_data: Option<InlinePrice>,
    quantity: Option<i64>,
    // Known, and refused rather than ignored.
    billing_thresholds: Option<Unsupported>,
    discounts: Option<Unsupported>,
    tax_rates: Option<Unsupported>,
}

#[derive(Clone, Debug, Deserialize)]
#[expect(dead_code, reason = "some are named so that they are refused, not ignored")]
struct ExtraParams {
    discountable: Option<bool>,
    #[serde(default)]
    metadata: MetadataPatch,
    period: Option<ExtraPeriod>,
    price: Option<Id<Price>>,
    price_data: Option<InlinePrice>,
    quantity: Option<i64>,
    // Known, and refused rather than ignored.
    discounts: Option<Unsupported>,
    tax_rates: Option<Unsupported>,
}

/// What must be at hand: the prices that are named, the products of those that are made.
pub fn need_prices<'a>(phases: impl IntoIterator<Item = &'a PhaseParams>, needs: &mut Needs) {
    for phase in phases {
        for item in &phase.items {
            needs.prices.extend(item.price.as_ref().or(item.plan.as_ref()).cloned());
            item.price_data.iter().for_each(|data| needs.document(&data.product));
        }
        for extra in &phase.add_invoice_items {
            needs.prices.extend(extra.price.clone());
            extra.price_data.iter().for_each(|data| needs.document(&data.product));
        }
    }
}

/// A new schedule starts as a whole, and nothing of it is running that could end now.
pub fn check_new(phases: &[PhaseParams]) -> Result<(), Refusal> {
    for (index, phase) in phases.iter().enumerate() {
        if phase.start_date.is_some() {
            return Err(Refusal::unknown(format!("phases[{index}][start_date]")));
        }
        for (member, time) in [("end_date", phase.end_date), ("trial_end", phase.trial_end)] {
            if matches!(time, Some(TimeOr::Word(_))) {
                let message = "Invalid timestamp: now";
                return Err(Refusal::invalid(message).param(format!("phases[{index}][{member}]")));
            }
        }
    }
    Ok(())
}

/// The time that is meant.
pub(super) const fn time(given: TimeOr<NowWord>, now: Timestamp) -> Timestamp {
    match given {
        TimeOr::Time(time) => time,
        TimeOr::Word(NowWord::Now) => now,
    }
}

/// All phases, in the words of the rule.
pub fn wanted(
    phases: Vec<PhaseParams>,
    books: &mut Books,
    livemode: bool,
    at: &mut Moment,
) -> Result<Vec<NewPhase>, Refusal> {
    let phases = phases.into_iter().enumerate();
    phases.map(|(index, phase)| phase.wanted(&format!("phases[{index}]"), books, livemode, at)).collect()
}

impl PhaseParams {
    fn wanted(self, param: &str, books: &mut Books, livemode: bool, at: &mut Moment) -> Result<NewPhase, Refusal> {
        let end = self.end(param, at.now)?;
        let mut items = Vec::new();
        for (index, item) in self.items.into_iter().enumerate() {
            items.push(item.wanted(&format!("{param}[items][{index}]"), books, livemode, at)?);
        }
        let mut extras = Vec::new();
        for (index, extra) in self.add_invoice_items.into_iter().enumerate() {
            extras.push(extra.wanted(&format!("{param}[add_invoice_items][{index}]"), books, livemode, at)?);
        }
        let Some(first) = items.first() else { return Err(Refusal::missing(format!("{param}[items]"))) };
        let no_such = || Refusal::no_such("price", first.price.as_str()).param(format!("{param}[items][0][price]"));
        let currency = books.price(&first.price).ok_or_else(no_such)?.currency;
        // The times and the currency are found when all phases are laid out.
        let phase = Phase {
            add_invoice_items: extras,
            billing_cycle_anchor: self.billing_cycle_anchor,
            collection_method: self.collection_method,
            default_payment_method: self.default_payment_method,
            description: self.description.map(String::from).given(),
            invoice_settings: self.invoice_settings.map(|settings| settings.over(InvoiceSettings::default())),
            metadata: merging(self.metadata)?,
            proration_behavior: self.proration_behavior.unwrap_or(ProrationBehavior::CreateProrations),
            trial: self.trial.unwrap_or(false),
            trial_end: match self.trial_end {
                Some(TimeOr::Time(end)) => Some(end),
                // One that ends now is none.
                Some(TimeOr::Word(NowWord::Now)) | None => None,
            },
            ..Phase::of(items, currency, at.now, at.now)
        };
        Ok(NewPhase { phase, currency: self.currency, start: self.start_date.map(|start| time(start, at.now)), end })
    }

    fn end(&self, param: &str, now: Timestamp) -> Result<Ends, Refusal> {
        let given = [
            ("end_date", self.end_date.map(|end| Ends::At(time(end, now)))),
            ("duration", self.duration.map(|duration| duration.length(param)).transpose()?.map(Ends::After)),
            ("iterations", self.iterations.map(Ends::Intervals)),
        ];
        let mut given = given.into_iter().filter_map(|(name, end)| Some((name, end?)));
        let Some((_, end)) = given.next() else { return Ok(Ends::Open) };
        given.next().map_or(Ok(end), |(other, _)| {
            let message = format!("A phase ends in one way: leave out '{other}', or the other.");
            Err(Refusal::invalid(message).code("parameters_exclusive").param(format!("{param}[{other}]")))
        })
    }
}

impl DurationParams {
    fn length(self, param: &str) -> Result<Cycle, Refusal> {
        let count = self.interval_count.unwrap_or(1);
        if count >= 1 {
            return Ok(Cycle { interval: self.interval, count });
        }
        Err(Refusal::below(1).param(format!("{param}[duration][interval_count]")))
    }
}

impl ItemParams {
    fn wanted(self, param: &str, books: &mut Books, livemode: bool, at: &mut Moment) -> Result<PhaseItem, Refusal> {
        let price = priced(self.price.or(self.plan), self.price_data, param, books, livemode, at)?;
        Ok(PhaseItem::new(price, self.quantity.unwrap_or(1), merging(self.metadata)?))
    }
}

impl ExtraParams {
    fn wanted(self, param: &str, books: &mut Books, livemode: bool, at: &mut Moment) -> Result<PhaseExtra, Refusal> {
        let price = priced(self.price, self.price_data, param, books, livemode, at)?;
        Ok(PhaseExtra {
            discountable: self.discountable.unwrap_or(true),
            discounts: Nothing,
            metadata: self.metadata.initial()?,
            period: self.period.unwrap_or_default().check(&format!("{param}[period]"))?,
            price,
            quantity: self.quantity.unwrap_or(1),
            tax_rates: Nothing,
        })
    }
}

/// Metadata that is merged when its phase begins: what takes a key away is kept, too.
fn merging(metadata: MetadataPatch) -> Result<Metadata, Refusal> {
    match metadata {
        MetadataPatch::Merge(pairs) => {
            MetadataPatch::Merge(pairs.clone()).initial()?;
            Ok(pairs)
        }
        MetadataPatch::Keep | MetadataPatch::Clear => Ok(Metadata::new()),
    }
}
