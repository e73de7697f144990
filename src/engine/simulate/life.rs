//! One payer's life in memory: the true rules, from the subscription to the renewal that is declined and
//! what is done about it. Nothing is stored, and nobody is asked but the payer.

use std::sync::Arc;

use serde_json::{Value, json};

use super::population::Payer;
use crate::billing::{
    Books, Id, Moment, Refusal, Timestamp, advance,
    answer::{Answer, Decline},
    books::Catalogue,
    charge::RiskLevel,
    customer::Customer,
    id::Ids,
    invoice::{Invoice, Status},
    payment_intent::{Attempt, PaymentIntent},
    payment_method::PaymentMethod,
    settings::{Retries, Settings},
    settle,
    subscribe::{self, NewItem, NewSubscription},
};

const CUSTOMER: &str = "cus_000000000000000000000000";
const FIRST_CARD: &str = "pm_000000000000000000000000";
const OTHER_CARD: &str = "pm_000000000000000000000100";
/// A year and some days.
const UNTIL_RENEWED_SECONDS: i64 = 370 * 86_400;
/// What renewals cost, in cents.
pub const PRICES: [i64; 5] = [900, 1900, 2900, 4900, 9900];

/// A payer whose renewal is being collected.
#[derive(Clone, Debug)]
pub struct Life {
    pub payer: Payer,
    books: Books,
    invoice: Id<Invoice>,
    /// When the renewal was charged first.
    pub first: Timestamp,
    replaces_at: Option<Timestamp>,
    /// How far the life has come.
    now: Timestamp,
    ticks: u64,
}

/// How it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// How many seconds after the first failure the money came, if it did.
    pub recovered_after: Option<i64>,
    /// How often it was asked for, the first time included.
    pub attempts: i64,
}

/// What all lives share: prices, and how retries are made.
pub fn catalogue(retries: Retries) -> Result<Arc<Catalogue>, Refusal> {
    let mut settings = Settings::of(false);
    settings.collection.retries = retries;
    let mut catalogue = Catalogue::default();
    catalogue.settings.push(settings);
    for cents in PRICES {
        let price = price(cents);
        catalogue.add_price(read(price.clone())?, price);
    }
    Ok(Arc::new(catalogue))
}

fn read<T: serde::de::DeserializeOwned>(document: Value) -> Result<T, Refusal> {
    serde_json::from_value(document).map_err(|error| Refusal::internal(error.to_string()))
}

impl Life {
    /// Subscribes at that time and lives up to the first renewal. Nothing if it succeeds: then there is
    /// nothing to collect.
    pub fn begin(payer: Payer, start: Timestamp, catalogue: &Arc<Catalogue>) -> Result<Option<Life>, Refusal> {
        let mut books = Books::new(Arc::clone(catalogue));
        books.put::<Customer>(read(customer())?);
        books.put::<PaymentMethod>(read(card(&payer, FIRST_CARD))?);
        let item = NewItem { metadata: [].into(), price: Id::given(price_id(payer.cents)), quantity: 1 };
        let wanted = NewSubscription { off_session: true, ..NewSubscription::of(Id::given(CUSTOMER), vec![item]) };
        let mut life =
            Life { payer, books, invoice: Id::given(""), first: start, replaces_at: None, now: start, ticks: 0 };
        let mut at = life.moment(start);
        subscribe::subscribe(&mut life.books, &wanted, &mut at)?;
        // The first invoice is paid, the one after it is what this is about.
        let (intent, attempt) = life.asked().ok_or_else(|| Refusal::internal("nothing was charged"))?;
        life.settle(&intent, &attempt, &approved())?;
        // Advancing stops where somebody has to be asked.
        life.reach(start.plus_seconds(UNTIL_RENEWED_SECONDS))?;
        let (_, attempt) = life.asked().ok_or_else(|| Refusal::internal("nothing was renewed"))?;
        let renewal = life.books.all::<Invoice>().last().map(|invoice| invoice.id.clone());
        life.invoice = renewal.ok_or_else(|| Refusal::internal("there is no renewal"))?;
        life.first = attempt.started_at;
        life.replaces_at = life.payer.replaces_at(life.first);
        Ok(life.payer.declines(life.first, life.first, false).is_some().then_some(life))
    }

    /// Goes on under other settings, and with what is known by now.
    pub fn consult(&mut self, catalogue: &Arc<Catalogue>) {
        self.books.consult(Arc::clone(catalogue));
    }

    /// Asks for the money at that time, and takes the answer.
    pub fn attempt(&mut self, time: Timestamp) -> Result<(), Refusal> {
        if let Some(replaces_at) = self.replaces_at.filter(|replaces_at| *replaces_at <= time) {
            self.replace_card(replaces_at)?;
        }
        self.reach(time)?;
        if let Some((intent, attempt)) = self.asked() {
            let replaced = attempt.payment_method.as_str() == OTHER_CARD;
            let declined = self.payer.declines(attempt.started_at, self.first, replaced);
            self.settle(&intent, &attempt, &declined.map_or_else(approved, decline))?;
        }
        self.books.soundness()
    }

    /// When it will be asked for next, if it will be.
    pub fn next_attempt(&self) -> Option<Timestamp> {
        self.invoice().filter(|invoice| invoice.status == Status::Open)?.next_payment_attempt
    }

    pub fn ending(&self) -> Ending {
        let Some(invoice) = self.invoice() else { return Ending::default() };
        let paid_at = invoice.status_transitions.paid_at;
        let recovered_after = paid_at.map(|paid_at| paid_at.unix_seconds() - self.first.unix_seconds());
        // A payment by an attempt that was not the last to fail is counted with it.
        Ending { recovered_after, attempts: invoice.attempt_count }
    }

    /// The books, for what they have learned.
    pub fn books(&mut self) -> &mut Books {
        &mut self.books
    }

    fn invoice(&self) -> Option<&Invoice> {
        self.books.get(&self.invoice)
    }

    fn reach(&mut self, time: Timestamp) -> Result<(), Refusal> {
        let mut at = self.moment(self.now);
        advance::advance(&mut self.books, time, true, &mut at)?;
        self.now = at.now;
        Ok(())
    }

    /// The question that is open.
    fn asked(&self) -> Option<(Id<PaymentIntent>, Attempt)> {
        self.books.all::<PaymentIntent>().find_map(|one| Some((one.id.clone(), one.internal.attempt.clone()?)))
    }

    fn settle(&mut self, intent: &Id<PaymentIntent>, attempt: &Attempt, answer: &Answer) -> Result<(), Refusal> {
        let mut at = self.moment(attempt.started_at);
        settle::settle(&mut self.books, intent, attempt.number, answer, &mut at)
    }

    fn replace_card(&mut self, time: Timestamp) -> Result<(), Refusal> {
        self.replaces_at = None;
        let mut at = self.moment(time);
        self.books.put::<PaymentMethod>(read(card(&self.payer, OTHER_CARD))?);
        let mut customer = self.books.customer()?.clone();
        customer.invoice_settings.default_payment_method = Some(Id::given(OTHER_CARD));
        self.books.put(customer).tell("customer.updated", &mut at);
        Ok(())
    }

    /// Ids that sort, and are the same for the same payer.
    fn moment(&mut self, now: Timestamp) -> Moment {
        self.ticks += 1000;
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.payer.seed.to_be_bytes());
        seed[8..16].copy_from_slice(&self.ticks.to_be_bytes());
        Moment::new(now, Ids::new(self.ticks, seed))
    }
}

fn approved() -> Answer {
    Answer::Approved { reference: "simulated".to_owned(), risk: RiskLevel::Normal }
}

fn decline(reason: &str) -> Answer {
    let code = match reason {
        "expired_card" | "processing_error" => reason,
        _ => "card_declined",
    };
    Answer::Declined(Decline {
        code: code.to_owned(),
        decline_code: (code != reason).then(|| reason.to_owned()),
        message: "Your card was declined.".to_owned(),
    })
}

fn price_id(cents: i64) -> String {
    format!("price_{cents}")
}

/// A yearly price, so that one renewal is done with before the next comes.
fn price(cents: i64) -> Value {
    json!({
        "id": price_id(cents), "object": "price", "active": true, "billing_scheme": "per_unit", "created": 0,
        "currency": "usd", "custom_unit_amount": null, "livemode": false, "lookup_key": null, "metadata": {},
        "nickname": null, "product": "prod_simulated", "recurring": {"interval": "year", "interval_count": 1,
        "meter": null, "trial_period_days": null, "usage_type": "licensed"}, "tax_behavior": "unspecified",
        "tiers_mode": null, "transform_quantity": null, "type": "recurring", "unit_amount": cents,
        "unit_amount_decimal": cents.to_string(),
    })
}

fn customer() -> Value {
    json!({
        "id": CUSTOMER, "object": "customer", "address": null, "balance": 0, "created": 0, "currency": null,
        "customer_account": null, "default_source": null, "delinquent": false, "description": null, "discount": null,
        "email": null, "invoice_prefix": "SIMULATE", "invoice_settings": {"custom_fields": null,
        "default_payment_method": FIRST_CARD, "footer": null, "rendering_options": null}, "livemode": false,
        "metadata": {}, "name": null, "next_invoice_sequence": 1, "phone": null, "preferred_locales": [],
        "shipping": null, "tax_exempt": "none", "test_clock": null,
    })
}

fn card(payer: &Payer, id: &str) -> Value {
    json!({
        "id": id, "object": "payment_method", "allow_redisplay": "unspecified", "billing_details": {"address": {},
        "email": null, "name": null, "phone": null, "tax_id": null}, "card": {"brand": payer.brand, "checks": {
        "address_line1_check": null, "address_postal_code_check": null, "cvc_check": null}, "country": payer.country,
        "display_brand": payer.brand, "exp_month": 1, "exp_year": 2099, "fingerprint": id, "funding": payer.funding,
        "generated_from": null, "last4": "4242", "networks": {"available": [], "preferred": null},
        "regulated_status": "unregulated", "three_d_secure_usage": {"supported": true}, "wallet": null}, "created": 0,
        "customer": CUSTOMER, "customer_account": null, "livemode": false, "metadata": {}, "type": "card",
        "internal": {"token": "simulated"},
    })
}
