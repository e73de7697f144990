//! `POST /v1/invoices/create_preview`

use serde::Deserialize;
use serde_json::{Value, json};

use super::preview_schedule::ScheduleDetails;
use crate::{
    api::{
        call::Call,
        invoice_items::PeriodParams,
        prices::InlinePrice,
        reply::{Problem, Reply},
        subscriptions::{BillingModeParams, CancelAtWord, NowWord, end_date, items, one_end, pause::Pause, trial_end},
    },
    billing::{
        Amount, Books, Currency, Id, MetadataPatch, Moment, Refusal, Timestamp,
        begin::When,
        change::{Act, Change, ItemChange},
        customer::Customer,
        decimal::Decimal,
        end_date::CancelAt,
        invoice::{Invoice, NOUN},
        invoice_item::InvoiceItem,
        invoice_line,
        itemize::{CostParams, Edit, quantity_of},
        preview::{self, Ahead, Mode, PreviewItem, Turn},
        price::Price,
        prorate::ProrationBehavior,
        resume::{ResumeAnchor, ResumeBehavior, Resumption},
        shape::{Patch, TimeOr, Unsupported, Untaxed},
        subscribe::{NewItem, NewSubscription, PaymentBehavior},
        subscription::{BillingMode, Subscription},
        subscription_schedule::SubscriptionSchedule,
        trial::TrialWanted,
        wire,
    },
    engine::Owner,
    store::{Fault, books::Needs},
    words,
};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CreatePreview {
    currency: Option<Currency>,
    customer: Option<Id<Customer>>,
    invoice_items: Vec<ItemParams>,
    preview_mode: Option<Mode>,
    schedule: Option<Id<SubscriptionSchedule>>,
    schedule_details: Option<ScheduleDetails>,
    subscription: Option<Id<Subscription>>,
    subscription_details: Details,
    // Known, and refused rather than ignored.
    automatic_tax: Option<Untaxed>,
    customer_account: Option<Unsupported>,
    customer_details: Option<Unsupported>,
    discounts: Option<Unsupported>,
    issuer: Option<Unsupported>,
    on_behalf_of: Option<Unsupported>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    billing_cycle_anchor: Option<AnchorParams>,
    billing_mode: Option<BillingModeParams>,
    cancel_at: Patch<TimeOr<CancelAtWord>>,
    cancel_at_period_end: Option<bool>,
    cancel_now: Option<bool>,
    items: Vec<items::ItemParams>,
    metadata: MetadataPatch,
    pause: Option<Pause>,
    proration_behavior: Option<ProrationBehavior>,
    proration_date: Option<Timestamp>,
    resume_at: Option<NowWord>,
    start_date: Option<Timestamp>,
    trial_end: Option<TimeOr<NowWord>>,
    // Known, and refused rather than ignored.
    billing_schedules: Option<Unsupported>,
    default_tax_rates: Option<Unsupported>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct AnchorParams {
    #[serde(rename = "type")]
    kind: AnchorType,
    timestamp: Option<Timestamp>,
}

words!(AnchorType { Now = "now", Timestamp = "timestamp", Unchanged = "unchanged" });

/// An invoice item that is added, or changed, for the preview.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ItemParams {
    amount: Option<Amount>,
    currency: Option<Currency>,
    description: Patch<String>,
    discountable: Option<bool>,
    invoiceitem: Option<Id<InvoiceItem>>,
    metadata: MetadataPatch,
    period: Option<PeriodParams>,
    price: Option<Id<Price>>,
    price_data: Option<InlinePrice>,
    quantity: Option<i64>,
    quantity_decimal: Option<Decimal>,
    unit_amount: Option<Amount>,
    unit_amount_decimal: Option<Decimal>,
    // Known, and refused rather than ignored.
    discounts: Option<Unsupported>,
    tax_behavior: Option<Unsupported>,
    tax_code: Option<Unsupported>,
    tax_rates: Option<Unsupported>,
}

impl ItemParams {
    fn wanted(self, index: usize, books: &mut Books, livemode: bool, at: &mut Moment) -> Result<PreviewItem, Refusal> {
        let param = format!("invoice_items[{index}]");
        let exclusive = |one: &str, other: &str| Refusal::exclusive(&[one, other]).param(format!("{param}[{one}]"));
        let price = match (self.price, self.price_data) {
            (Some(_), Some(_)) => return Err(exclusive("price", "price_data")),
            (named, None) => named,
            (None, Some(data)) => Some(data.make(books, livemode, &format!("{param}[price_data]"), at)?),
        };
        let unit_amount_decimal = match (self.unit_amount, self.unit_amount_decimal) {
            (Some(_), Some(_)) => return Err(exclusive("unit_amount", "unit_amount_decimal")),
            (amount, decimal) => decimal.or(amount.map(Decimal::from_amount)),
        };
        let cost = CostParams {
            amount: self.amount,
            currency: self.currency,
            price,
            quantity: quantity_of(self.quantity, self.quantity_decimal, &param)?,
            unit_amount_decimal,
        };
        let edit = Edit {
            cost,
            description: self.description,
            discountable: self.discountable,
            metadata: self.metadata,
            period: self.period.map(Into::into),
        };
        Ok(PreviewItem { id: self.invoiceitem, edit })
    }
}

fn wanted_items(
    items: Vec<ItemParams>,
    books: &mut Books,
    livemode: bool,
    at: &mut Moment,
) -> Result<Vec<PreviewItem>, Refusal> {
    items.into_iter().enumerate().map(|(index, item)| item.wanted(index, books, livemode, at)).collect()
}

impl Details {
    fn mode(&self) -> Option<BillingMode> {
        self.billing_mode.clone().map(BillingModeParams::mode)
    }

    fn prorations(&self) -> ProrationBehavior {
        self.proration_behavior.unwrap_or(ProrationBehavior::CreateProrations)
    }

    /// What ends the cycle of a subscription now, or begins it again: then nothing else is done to it.
    fn turn(&self) -> Result<Option<Turn>, Refusal> {
        let anchor = match self.billing_cycle_anchor.map(|anchor| anchor.kind) {
            Some(AnchorType::Unchanged) => ResumeAnchor::Unchanged,
            Some(AnchorType::Now | AnchorType::Timestamp) | None => ResumeAnchor::Now,
        };
        let resumption = Resumption {
            anchor,
            payment_behavior: ResumeBehavior::OnPaymentAttempt,
            proration_behavior: self.prorations(),
            proration_date: self.proration_date,
        };
        let cancellation = Turn::Cancel { prorate: self.prorations() != ProrationBehavior::None };
        let changes = !self.items.is_empty() || self.trial_end.is_some() || self.cancel_at != Patch::Keep;
        let turns = [
            ("cancel_now", (self.cancel_now == Some(true)).then_some(cancellation)),
            ("pause", self.pause.clone().map(|pause| Turn::Pause(pause.wanted()))),
            ("resume_at", self.resume_at.map(|NowWord::Now| Turn::Resume(resumption))),
        ];
        let mut given = turns.into_iter().filter_map(|(param, turn)| Some((param, turn?)));
        let Some((param, turn)) = given.next() else { return Ok(None) };
        if changes || given.next().is_some() {
            let message = format!("'{param}' cannot be combined with other changes of the subscription.");
            return Err(Refusal::invalid(message).param(format!("subscription_details[{param}]")));
        }
        Ok(Some(turn))
    }

    fn end(&self) -> Result<Patch<CancelAt>, Refusal> {
        match &self.cancel_at {
            Patch::Set(_) if self.cancel_at_period_end == Some(true) => Err(one_end()),
            wanted => Ok(wanted.clone().map(end_date)),
        }
    }

    fn trial(&self) -> TrialWanted {
        TrialWanted { end: self.trial_end.map(trial_end), ..TrialWanted::default() }
    }

    fn items(&mut self, books: &mut Books, livemode: bool, at: &mut Moment) -> Result<Vec<ItemChange>, Refusal> {
        items::changes(std::mem::take(&mut self.items), "subscription_details[items]", books, livemode, at)
    }

    fn change(&mut self, books: &mut Books, livemode: bool, at: &mut Moment) -> Result<Option<Change>, Refusal> {
        let restart = match self.billing_cycle_anchor.map(|anchor| anchor.kind) {
            Some(AnchorType::Timestamp) => {
                let message =
                    "The billing_cycle_anchor of an existing subscription can only be set to now or unchanged.";
                return Err(Refusal::invalid(message).param("subscription_details[billing_cycle_anchor][type]"));
            }
            anchor => anchor == Some(AnchorType::Now),
        };
        if self.start_date.is_some() {
            let message = "The start_date is for a subscription that is not there yet.";
            return Err(Refusal::invalid(message).param("subscription_details[start_date]"));
        }
        let change = Change {
            items: self.items(books, livemode, at)?,
            restart,
            end: self.end()?,
            trial: self.trial(),
            proration_behavior: self.prorations(),
            proration_date: self.proration_date,
            ..Change::default()
        };
        let changes = restart || change.end != Patch::Keep || change.trial.end.is_some() || !change.items.is_empty();
        Ok(changes.then_some(change))
    }

    /// A subscription that is not there yet.
    fn beginning(
        mut self,
        customer: Id<Customer>,
        currency: Option<Currency>,
        books: &mut Books,
        livemode: bool,
        at: &mut Moment,
    ) -> Result<NewSubscription, Refusal> {
        let items = new_items(self.items(books, livemode, at)?)?;
        let anchor = self.billing_cycle_anchor.filter(|anchor| anchor.kind == AnchorType::Timestamp);
        let missing = || Refusal::missing("subscription_details[billing_cycle_anchor][timestamp]");
        let cancel_at = match (self.end()?.given(), self.cancel_at_period_end) {
            (None, Some(true)) => Some(CancelAt::PeriodEnd),
            (end, _) => end,
        };
        Ok(NewSubscription {
            billing_mode: self.mode().unwrap_or_else(BillingMode::flexible),
            cancel_at,
            currency,
            payment_behavior: PaymentBehavior::DefaultIncomplete,
            trial: self.trial(),
            when: When {
                anchor: anchor.map(|anchor| anchor.timestamp.ok_or_else(missing)).transpose()?,
                backdated_to: self.start_date.filter(|start| *start < at.now),
                free_of_prorations: self.prorations() == ProrationBehavior::None,
                ..When::default()
            },
            metadata: self.metadata.initial()?,
            ..NewSubscription::of(customer, items)
        })
    }
}

pub(super) async fn create(call: Call, params: CreatePreview) -> Reply {
    let invoice = previewed(&call, params).await?;
    call.show_value(&NOUN, spoken(invoice)).await
}

/// `GET /v1/invoices/upcoming`, which older versions have: the same, without an id.
pub(super) async fn upcoming(call: Call, params: CreatePreview) -> Reply {
    let of = match (&params.subscription, &params.customer) {
        (Some(subscription), _) => format!("subscription={subscription}"),
        (None, customer) => format!("customer={}", customer.as_ref().map_or("", Id::as_str)),
    };
    let mut invoice = spoken(previewed(&call, params).await?);
    invoice["lines"]["url"] = json!(format!("/v1/invoices/upcoming/lines?{of}"));
    if let Value::Object(members) = &mut invoice {
        members.shift_remove("id");
    }
    call.show_value(&NOUN, invoice).await
}

/// `GET /v1/invoices/upcoming/lines`
pub(super) async fn upcoming_lines(call: Call, params: CreatePreview) -> Reply {
    let invoice = previewed(&call, params).await?;
    let lines = invoice.pointer("/lines/data").and_then(Value::as_array).cloned().unwrap_or_default();
    call.list_of(&invoice_line::NOUN, lines).await
}

/// The invoice that comes next, as it would rest.
async fn previewed(call: &Call, params: CreatePreview) -> Result<Value, Problem> {
    let mut needs = Needs::default();
    items::need_prices(&params.subscription_details.items, &mut needs);
    for item in &params.invoice_items {
        needs.prices.extend(item.price.clone());
        item.price_data.iter().for_each(|data| needs.document(&data.product));
        item.invoiceitem.iter().for_each(|id| needs.document(id));
    }
    if params.schedule.is_some() || params.schedule_details.is_some() {
        let named = ["subscription", "subscription_details"].into_iter().find(|name| call.form.get(name).is_some());
        return match named {
            Some(param) => Err(beside_schedule(param).into()),
            None => of_schedule(call, params, needs).await,
        };
    }
    let livemode = call.livemode();
    let engine = &call.house.engine;
    let invoice = match (params.subscription.clone(), params.customer.clone()) {
        (Some(subscription), _) => {
            needs.invoices_of = Some(subscription.clone());
            let owner = Owner::of(&subscription);
            let decide = |books: &mut Books, at: &mut Moment| params.ahead(subscription, books, livemode, at);
            engine.preview(livemode, owner, needs, decide).await?
        }
        (None, Some(customer)) => {
            let owner = Owner::Customer(customer.clone());
            let decide = |books: &mut Books, at: &mut Moment| params.beginning(customer, books, livemode, at);
            engine.preview(livemode, owner, needs, decide).await?
        }
        (None, None) => return Err(Refusal::missing("customer").into()),
    };
    Ok(named(serde_json::to_value(invoice).map_err(Fault::from)?))
}

fn beside_schedule(param: &str) -> Refusal {
    let message = format!("You can't pass '{param}' together with schedule or schedule_details.");
    Refusal::invalid(message).code("parameters_exclusive").param(param)
}

/// The same of a schedule.
async fn of_schedule(call: &Call, params: CreatePreview, mut needs: Needs) -> Result<Value, Problem> {
    let details = params.schedule_details.unwrap_or_default();
    details.need_prices(&mut needs);
    let (livemode, engine) = (call.livemode(), &call.house.engine);
    let (new, mode) = (params.invoice_items, params.preview_mode.unwrap_or(Mode::Next));
    let invoice = if let Some(id) = params.schedule {
        needs.document(&id);
        let owner = Owner::of(&id);
        let decide = |books: &mut Books, at: &mut Moment| {
            let items = wanted_items(new, books, livemode, at)?;
            details.ahead(&id, (&items, mode), books, livemode, at)
        };
        engine.preview(livemode, owner, needs, decide).await?
    } else {
        let customer = params.customer.ok_or_else(|| Refusal::missing("customer"))?;
        let owner = Owner::Customer(customer.clone());
        let decide = |books: &mut Books, at: &mut Moment| {
            books.find(&customer, "customer")?;
            let items = wanted_items(new, books, livemode, at)?;
            details.beginning((&items, mode), books, livemode, at)
        };
        engine.preview(livemode, owner, needs, decide).await?
    };
    Ok(named(serde_json::to_value(invoice).map_err(Fault::from)?))
}

impl CreatePreview {
    /// What comes of a subscription there is.
    fn ahead(
        mut self,
        subscription: Id<Subscription>,
        books: &mut Books,
        livemode: bool,
        at: &mut Moment,
    ) -> Result<Invoice, Refusal> {
        let owner = books.find(&subscription, "subscription")?.customer.clone();
        if self.customer.is_some_and(|customer| customer != owner) {
            return Err(Refusal::invalid("The subscription does not belong to the customer.").param("customer"));
        }
        let turn = self.subscription_details.turn()?;
        let change = if turn.is_none() { self.subscription_details.change(books, livemode, at)? } else { None };
        let wanted = Ahead {
            billing_mode: self.subscription_details.mode(),
            cancel_at_period_end: self.subscription_details.cancel_at_period_end,
            change,
            turn,
            items: wanted_items(self.invoice_items, books, livemode, at)?,
            mode: self.preview_mode.unwrap_or(Mode::Next),
            ..Ahead::of(subscription)
        };
        let id = preview::ahead(books, &wanted, at)?;
        books.find(&id, "invoice").cloned()
    }

    /// What a customer would be billed for a subscription that is not there yet, or for items alone; where
    /// neither is given, for the subscription that comes first.
    fn beginning(
        self,
        customer: Id<Customer>,
        books: &mut Books,
        livemode: bool,
        at: &mut Moment,
    ) -> Result<Invoice, Refusal> {
        books.find(&customer, "customer")?;
        if self.subscription_details.items.is_empty() && self.invoice_items.is_empty() {
            let subscription = preview::first_to_be_billed(books, &customer)?;
            return self.ahead(subscription, books, livemode, at);
        }
        let details = self.subscription_details;
        if details.cancel_now == Some(true) || details.pause.is_some() || details.resume_at.is_some() {
            return Err(Refusal::missing("subscription"));
        }
        let begins = details.start_date;
        let items = wanted_items(self.invoice_items, books, livemode, at)?;
        let id = if details.items.is_empty() {
            preview::of_items(books, self.currency, &items, at)?
        } else {
            let wanted = details.beginning(customer, self.currency, books, livemode, at)?;
            preview::beginning(books, &wanted, begins, &items, at)?
        };
        books.find(&id, "invoice").cloned()
    }
}

/// The items of a subscription that is not there yet.
fn new_items(changes: Vec<ItemChange>) -> Result<Vec<NewItem>, Refusal> {
    let item = |change: ItemChange| match change.act {
        Act::Add { price, quantity, metadata } => Ok(NewItem { metadata, price, quantity: quantity.unwrap_or(1) }),
        Act::Edit { id, .. } | Act::Remove { id } => {
            Err(Refusal::no_such("subscription_item", id.as_str()).param(format!("{}[id]", change.param)))
        }
    };
    changes.into_iter().map(item).collect()
}

/// An invoice that does not exist says so by its ids. Those of its lines are the same at every preview, so
/// that a list of them can be paged.
fn named(mut invoice: Value) -> Value {
    let id = invoice.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let id = format!("upcoming_{id}");
    if let Some(lines) = invoice.pointer_mut("/lines/data").and_then(Value::as_array_mut) {
        for (place, line) in lines.iter_mut().enumerate() {
            (line["id"], line["invoice"]) = (json!(format!("il_tmp_{place:03}")), json!(id));
        }
    }
    invoice["lines"]["url"] = json!(format!("/v1/invoices/{id}/lines"));
    invoice["billing_reason"] = json!("upcoming");
    invoice["id"] = json!(id);
    invoice
}

fn spoken(mut invoice: Value) -> Value {
    wire::wire(&NOUN, &mut invoice, &|_| None);
    invoice
}
