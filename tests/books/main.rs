//! Laws of the Books: whole histories decided in memory, without a database, a clock or a server.

mod beginnings;
mod changes;
mod edits;
mod invoices;
mod previews;
mod schedules;
mod states;

use std::sync::Arc;

use dunlin::billing::{
    Amount, Books, Id, Moment, Resource as _, Timestamp, advance,
    answer::{Answer, Decline},
    books::Catalogue,
    charge::{Charge, RiskLevel, Status as ChargeStatus},
    dunning::{FinalAction, InvoiceAction},
    id::Ids,
    invoice::{Invoice, Status},
    invoice_line::Line,
    invoice_payment::InvoicePayment,
    payment_intent::PaymentIntent,
    settings::{Final, Retries, RetryMode, Settings, Window},
    settle,
    subscribe::{self, NewItem, NewSubscription},
    subscription::Subscription,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const CUSTOMER: &str = "cus_000000000000000000000000";
const METHOD: &str = "pm_000000000000000000000000";

fn at(now: i64) -> Moment {
    Moment::new(Timestamp::new(now), Ids::new(u64::try_from(now).unwrap() * 1000 * 4096, [1; 32]))
}

/// A price that recurs.
fn price(id: &str, interval: &str, count: i64, cents: i64) -> Value {
    json!({
        "id": id, "object": "price", "active": true, "billing_scheme": "per_unit", "created": 0, "currency": "usd",
        "custom_unit_amount": null, "livemode": false, "lookup_key": null, "metadata": {}, "nickname": null,
        "product": "prod_1", "recurring": {"interval": interval, "interval_count": count, "meter": null,
        "trial_period_days": null, "usage_type": "licensed"}, "tax_behavior": "unspecified", "tiers_mode": null,
        "transform_quantity": null, "type": "recurring", "unit_amount": cents, "unit_amount_decimal": cents.to_string(),
    })
}

/// A customer with a card, and two prices that recur; the second is dearer.
fn open(interval: &str, count: i64, cents: i64) -> Books {
    open_with((interval, count), cents, Settings::default())
}

/// The same with these settings.
fn open_with((interval, count): (&str, i64), cents: i64, settings: Settings) -> Books {
    let prices = [("price_1", interval, count, cents), ("price_2", interval, count, cents * 2 + 101)];
    shop_with(&prices, settings)
}

/// A customer with a card, and these prices: id, interval and how many of them, cents.
fn shop(prices: &[(&str, &str, i64, i64)]) -> Books {
    shop_with(prices, Settings::default())
}

fn shop_with(prices: &[(&str, &str, i64, i64)], settings: Settings) -> Books {
    let customer = json!({
        "id": CUSTOMER, "object": "customer", "address": null, "balance": 0, "created": 0, "currency": null,
        "customer_account": null, "default_source": null, "delinquent": false, "description": null, "discount": null,
        "email": null, "invoice_prefix": "BOOKS", "invoice_settings": {"custom_fields": null,
        "default_payment_method": METHOD, "footer": null, "rendering_options": null}, "livemode": false, "metadata": {},
        "name": null, "next_invoice_sequence": 1, "phone": null, "preferred_locales": [], "shipping": null,
        "tax_exempt": "none", "test_clock": null,
    });
    let method = json!({
        "id": METHOD, "object": "payment_method", "allow_redisplay": "unspecified", "billing_details": {"address": {},
        "email": null, "name": null, "phone": null, "tax_id": null}, "card": {"brand": "visa", "checks": {
        "address_line1_check": null, "address_postal_code_check": null, "cvc_check": null}, "country": "US",
        "display_brand": "visa", "exp_month": 1, "exp_year": 2099, "fingerprint": "f", "funding": "credit",
        "generated_from": null, "last4": "4242", "networks": {"available": [], "preferred": null},
        "regulated_status": "unregulated", "three_d_secure_usage": {"supported": true}, "wallet": null}, "created": 0,
        "customer": CUSTOMER, "customer_account": null, "livemode": false, "metadata": {}, "type": "card",
        "internal": {"token": "visa"},
    });
    let mut catalogue = Catalogue::default();
    catalogue.settings.push(settings);
    for (id, interval, count, cents) in prices {
        let price = price(id, interval, *count, *cents);
        catalogue.add_price(serde_json::from_value(price.clone()).unwrap(), price);
    }
    let mut books = Books::new(Arc::new(catalogue));
    books.load("customer", &customer.to_string(), 0).unwrap();
    books.load("payment_method", &method.to_string(), 0).unwrap();
    books
}

fn subscribe(books: &mut Books, at: &mut Moment) -> Id<Subscription> {
    let items = vec![NewItem { metadata: [].into(), price: Id::given("price_1"), quantity: 2 }];
    let wanted = NewSubscription { off_session: true, ..NewSubscription::of(Id::given(CUSTOMER), items) };
    subscribe::subscribe(books, &wanted, at).unwrap()
}

/// The processor: which payments it declines follows from when they are made.
fn answer(started_at: Timestamp, declining: u8) -> Answer {
    let day = started_at.unix_seconds().div_euclid(86_400);
    if declining > 0 && day % 8 < i64::from(declining) {
        return Answer::Declined(Decline { code: "card_declined".into(), decline_code: None, message: "No.".into() });
    }
    Answer::Approved { reference: format!("ref_{started_at}"), risk: RiskLevel::Normal }
}

/// Asks and settles until no question is open.
fn settle_all(books: &mut Books, declining: u8, at: &mut Moment) -> bool {
    let open: Vec<PaymentIntent> =
        books.all::<PaymentIntent>().filter(|intent| intent.internal.attempt.is_some()).cloned().collect();
    for intent in &open {
        let attempt = intent.internal.attempt.as_ref().unwrap();
        at.now = attempt.started_at;
        let answer = answer(attempt.started_at, declining);
        settle::settle(books, &intent.id, attempt.number, &answer, at).unwrap();
        // The same answer once more changes nothing.
        settle::settle(books, &intent.id, attempt.number, &answer, at).unwrap();
    }
    !open.is_empty()
}

/// Lives from the start to the last of these times, stopping at each.
fn live(start: i64, cycle: (&str, i64), cents: i64, declining: u8, stops: &[i64]) -> Books {
    live_with(Settings::default(), start, cycle, cents, declining, stops)
}

/// The same with these settings.
fn live_with(settings: Settings, start: i64, cycle: (&str, i64), cents: i64, declining: u8, stops: &[i64]) -> Books {
    let mut books = open_with(cycle, cents, settings);
    let mut at = at(start);
    subscribe(&mut books, &mut at);
    settle_all(&mut books, 0, &mut at);
    go_on(&mut books, declining, stops, &mut at);
    books
}

/// Lives on to the last of these times, stopping at each.
fn go_on(books: &mut Books, declining: u8, stops: &[i64], at: &mut Moment) {
    for stop in stops {
        loop {
            advance::advance(books, Timestamp::new(*stop), true, at).unwrap();
            if !settle_all(books, declining, at) {
                break;
            }
        }
    }
}

/// What can be compared between two lives: everything but ids.
fn facts(books: Books) -> (Vec<Value>, Vec<(&'static str, Timestamp)>) {
    let invoices = books.all::<Invoice>().map(|invoice| {
        json!([
            invoice.created,
            invoice.status,
            invoice.number,
            invoice.amount_paid,
            invoice.period_start,
            invoice.period_end,
            invoice.status_transitions,
            invoice.total,
            lines(invoice),
            invoice.attempt_count,
        ])
    });
    let invoices = invoices.collect();
    let (_, told) = books.into_changes().unwrap();
    (invoices, told.into_iter().map(|told| (told.kind, told.created)).collect())
}

fn lines(invoice: &Invoice) -> Vec<Value> {
    let said = |line: &Line| json!([line.description, line.period, line.amount, line.quantity]);
    invoice.lines.data.iter().map(said).collect()
}

/// Ways to collect.
fn any_settings() -> impl Strategy<Value = Settings> {
    let modes = prop_oneof![Just(RetryMode::Smart), Just(RetryMode::Custom), Just(RetryMode::Off)];
    let windows = prop_oneof![Just(Window::OneWeek), Just(Window::TwoWeeks), Just(Window::TwoMonths)];
    let actions = prop_oneof![Just(FinalAction::Cancel), Just(FinalAction::PastDue), Just(FinalAction::Unpaid)];
    let invoices = prop_oneof![Just(InvoiceAction::LeaveOpen), Just(InvoiceAction::Uncollectible)];
    let numbers = (1_i64..=8, prop::collection::vec(1_i64..30, 1..=3), prop::option::of(1_i64..=45));
    (modes, windows, actions, invoices, numbers).prop_map(|(mode, window, subscription, invoice, numbers)| {
        let mut settings = Settings::default();
        let (max_attempts, days, upcoming_days) = numbers;
        settings.collection.retries = Retries { days, max_attempts, mode, window };
        settings.collection.final_action = Final { invoice, subscription };
        settings.invoice.upcoming_days = upcoming_days;
        settings
    })
}

fn any_cycle() -> impl Strategy<Value = (&'static str, i64)> {
    prop_oneof![Just(("month", 1)), Just(("month", 3)), Just(("week", 1)), Just(("day", 10)), Just(("year", 1))]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn one_leap_is_many_steps(
        start in 1_500_000_000_i64..1_900_000_000,
        cycle in any_cycle(),
        settings in any_settings(),
        declining in 0_u8..8,
        mut steps in prop::collection::vec(0_i64..400 * 86_400, 0..12),
    ) {
        let end = start + 400 * 86_400;
        steps.sort_unstable();
        let mut stops: Vec<i64> = steps.into_iter().map(|step| start + step).collect();
        stops.push(end);
        let leap = facts(live_with(settings.clone(), start, cycle, 1999, declining, &[end]));
        prop_assert_eq!(leap, facts(live_with(settings, start, cycle, 1999, declining, &stops)));
    }

    /// However it is collected: every debt comes to an end, and what was cancelled is left alone.
    #[test]
    fn dunning_ends(
        start in 1_500_000_000_i64..1_900_000_000,
        cycle in any_cycle(),
        settings in any_settings(),
        declining in 1_u8..=8,
    ) {
        let end = start + 400 * 86_400;
        let most = settings.collection.retries.max_attempts.max(3) + 1;
        let books = live_with(settings, start, cycle, 1999, declining, &[end]);
        for invoice in books.all::<Invoice>() {
            prop_assert!(invoice.attempt_count <= most);
            prop_assert!(invoice.next_payment_attempt.is_none_or(|next| next.unix_seconds() > end));
        }
        let (_, told) = books.into_changes().unwrap();
        let ended = told.iter().find(|told| told.kind == "customer.subscription.deleted").map(|told| told.created);
        // What was being asked at that moment is still answered.
        let after = told.iter().filter(|told| ended.is_some_and(|ended| told.created > ended));
        prop_assert_eq!(after.map(|told| told.kind).collect::<Vec<_>>(), Vec::<&str>::new());
    }

    #[test]
    fn money_adds_up_in_every_history(
        start in 1_500_000_000_i64..1_900_000_000,
        cycle in any_cycle(),
        cents in 0_i64..5_000_000,
        declining in 0_u8..8,
    ) {
        let books = live(start, cycle, cents, declining, &[start + 300 * 86_400]);
        prop_assert!(books.soundness().is_ok());
        let invoices: Vec<&Invoice> = books.all::<Invoice>().collect();
        prop_assert!(invoices.iter().all(|invoice| invoice.check().is_ok()));
        let paid = Amount::sum(invoices.iter().map(|invoice| invoice.amount_paid)).unwrap();
        let charged = books.all::<Charge>().filter(|charge| charge.status == ChargeStatus::Succeeded);
        prop_assert_eq!(paid, Amount::sum(charged.map(|charge| charge.amount_captured)).unwrap());
        let joined = books.all::<InvoicePayment>().filter_map(|payment| payment.amount_paid);
        prop_assert_eq!(paid, Amount::sum(joined).unwrap());
        // What was too little to charge waits in the balance.
        let finalized = invoices.iter().filter(|invoice| invoice.status != Status::Draft);
        let billed = Amount::sum(finalized.clone().map(|invoice| invoice.total)).unwrap();
        let due = Amount::sum(finalized.clone().map(|invoice| invoice.amount_due)).unwrap();
        prop_assert_eq!(billed, due.plus(books.customer().unwrap().balance).unwrap());
        // Numbers have no gaps, periods meet.
        for (place, invoice) in finalized.enumerate() {
            prop_assert_eq!(invoice.number.clone().unwrap(), format!("BOOKS-{:04}", place + 1));
        }
        for pair in invoices.windows(2) {
            prop_assert_eq!(pair[0].lines.data[0].period.end, pair[1].lines.data[0].period.start);
        }
    }
}

#[test]
fn a_refused_decision_leaves_no_trace_in_a_copy() {
    let mut books = open("month", 1, 2000);
    let mut at = at(1_700_000_000);
    let id = subscribe(&mut books, &mut at);
    let before = facts(books.clone());
    let mut attempt = books.clone();
    // Nobody can be charged twice at a time.
    let invoice = attempt.get(&id).unwrap().latest_invoice.clone().unwrap();
    let again = dunlin::billing::collect::Collection { automatic: false, off_session: true, payment_method: None };
    assert_eq!(dunlin::billing::collect::collect(&mut attempt, &invoice, &again, &mut at).unwrap_err().status, 429);
    assert_eq!(facts(books), before);
}
