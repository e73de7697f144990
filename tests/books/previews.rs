//! A preview is what is then charged, line by line, whatever has happened before.

use dunlin::billing::{
    Books, Id, MetadataPatch, Moment, Timestamp, advance,
    change::{self, Act, Change, ItemChange},
    end_date::CancelAt,
    extra::{ExtraEnd, ExtraStart, NewExtra},
    invoice::Invoice,
    preview::{self, Ahead},
    prorate::ProrationBehavior,
    shape::Patch,
    subscribe::{self, NewItem, NewSubscription, PaymentBehavior},
    subscription::{BillingMode, Status, Subscription},
    trial::TrialEnd,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{CUSTOMER, at, lines, open, price, settle_all};

/// Something that a customer does after some days.
#[derive(Clone, Debug)]
struct Step {
    seconds: i64,
    act: Option<Wish>,
    prorations: ProrationBehavior,
    restart: bool,
    payment: PaymentBehavior,
}

#[derive(Clone, Debug)]
enum Wish {
    Quantity(i64),
    Price(&'static str),
    Another,
    /// A one-off item.
    Extra,
    /// An end after so many seconds, or none.
    End(Option<i64>),
    /// A trial for so many seconds from now.
    Trial(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let act = prop_oneof![
        Just(None),
        (0_i64..6).prop_map(|quantity| Some(Wish::Quantity(quantity))),
        prop_oneof![Just("price_1"), Just("price_2")].prop_map(|price| Some(Wish::Price(price))),
        Just(Some(Wish::Another)),
        Just(Some(Wish::Extra)),
        prop::option::of(1_i64..60 * 86_400).prop_map(|seconds| Some(Wish::End(seconds))),
        (1_i64..20 * 86_400).prop_map(|seconds| Some(Wish::Trial(seconds))),
    ];
    let prorations = prop_oneof![
        Just(ProrationBehavior::CreateProrations),
        Just(ProrationBehavior::AlwaysInvoice),
        Just(ProrationBehavior::None),
    ];
    let payment = prop_oneof![
        Just(PaymentBehavior::AllowIncomplete),
        Just(PaymentBehavior::ErrorIfIncomplete),
        Just(PaymentBehavior::PendingIfIncomplete),
    ];
    let step = (1_i64..45 * 86_400, act, prorations, prop::bool::weighted(0.2), payment)
        .prop_map(|(seconds, act, prorations, restart, payment)| Step { seconds, act, prorations, restart, payment });
    prop::collection::vec(step, 1..7)
}

/// The change that a step wishes for, if it makes a difference.
fn change_of(subscription: &Subscription, step: &Step, now: Timestamp) -> Option<Change> {
    let item = &subscription.items.data[0];
    let edit =
        |price, quantity| Some(Act::Edit { id: item.id.clone(), price, quantity, metadata: MetadataPatch::Keep });
    let has = |price: &str| subscription.items.data.iter().any(|item| item.price.as_str() == price);
    let act = match &step.act {
        Some(Wish::Quantity(quantity)) => edit(None, Some(*quantity)),
        Some(Wish::Price(price)) if !has(price) => edit(Some(Id::given(*price)), None),
        Some(Wish::Another) if !has("price_2") => {
            Some(Act::Add { price: Id::given("price_2"), quantity: Some(1), metadata: [].into() })
        }
        Some(Wish::Price(_) | Wish::Another | Wish::Extra | Wish::End(_) | Wish::Trial(_)) | None => None,
    };
    let (proration_behavior, payment_behavior) = (step.prorations, step.payment);
    let mut change = Change { proration_behavior, payment_behavior, restart: step.restart, ..Change::default() };
    match &step.act {
        Some(Wish::Extra) => change.extras.push(NewExtra {
            item: NewItem { metadata: [].into(), price: Id::given("once"), quantity: 1 },
            discountable: true,
            start: ExtraStart::Now,
            end: ExtraEnd::MinItemPeriodEnd,
        }),
        Some(Wish::End(Some(seconds))) => change.end = Patch::Set(CancelAt::Time(now.plus_seconds(*seconds))),
        Some(Wish::End(None)) => change.end = Patch::Clear,
        Some(Wish::Trial(seconds)) => change.trial.end = Some(TrialEnd::At(now.plus_seconds(*seconds))),
        Some(Wish::Quantity(_) | Wish::Price(_) | Wish::Another) | None => {}
    }
    // Inside a trial the cycle cannot begin anew, nor beside another.
    change.restart &= subscription.status == Status::Active && change.trial.end.is_none();
    let items: Vec<ItemChange> = act.into_iter().map(|act| ItemChange { param: "items[0]".into(), act }).collect();
    change.items = items;
    let differs = change.restart
        || !change.items.is_empty()
        || !change.extras.is_empty()
        || change.end != Patch::Keep
        || change.trial.end.is_some();
    differs.then_some(change)
}

fn known(books: &Books) -> Vec<Id<Invoice>> {
    books.all::<Invoice>().map(|invoice| invoice.id.clone()).collect()
}

pub fn go_on(books: &mut Books, horizon: Timestamp, at: &mut Moment) {
    loop {
        advance::advance(books, horizon, true, at).unwrap();
        if !settle_all(books, 0, at) {
            break;
        }
    }
    at.now = horizon;
}

/// What an invoice bills: everything but ids, and what its later life brings.
fn bill(invoice: &Invoice) -> Value {
    json!([lines(invoice), invoice.subtotal, invoice.total, invoice.currency])
}

/// The first invoice that is new, in a future in which nothing else is done.
fn first_new(books: &Books, before: &[Id<Invoice>], now: Timestamp) -> Option<Value> {
    let (mut books, mut at) = (books.clone(), at(now.unix_seconds()));
    go_on(&mut books, now.plus_seconds(61 * 86_400), &mut at);
    books.all::<Invoice>().find(|invoice| !before.contains(&invoice.id)).map(bill)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_preview_is_what_is_then_charged(
        start in 1_600_000_000_i64..1_900_000_000,
        cents in 100_i64..100_000,
        classic: bool,
        steps in steps(),
    ) {
        let (mut books, mut now) = (open("month", 1, cents), at(start));
        let mut once = price("once", "month", 1, 700);
        (once["type"], once["recurring"]) = (json!("one_time"), Value::Null);
        books.load("price", &once.to_string(), 0).unwrap();
        let items = vec![NewItem { metadata: [].into(), price: Id::given("price_1"), quantity: 2 }];
        let billing_mode = if classic {
            BillingMode::classic()
        } else {
            BillingMode::flexible()
        };
        let wanted = NewSubscription { off_session: true, billing_mode, ..NewSubscription::of(Id::given(CUSTOMER), items) };
        let id = subscribe::subscribe(&mut books, &wanted, &mut now).unwrap();
        settle_all(&mut books, 0, &mut now);
        for step in &steps {
            let time = now.now.plus_seconds(step.seconds);
            go_on(&mut books, time, &mut now);
            let subscription = books.get(&id).unwrap();
            if subscription.status.is_terminal() {
                break;
            }
            let change = change_of(subscription, step, time);
            let before = known(&books);
            let mut looking = books.clone();
            let ahead = Ahead { change: change.clone(), ..Ahead::of(id.clone()) };
            let previewed = match preview::ahead(&mut looking, &ahead, &mut at(time.unix_seconds())) {
                Ok(preview) => Some(bill(looking.get(&preview).unwrap())),
                Err(refusal) if refusal.status == 404 => None,
                // What cannot be looked at cannot be done.
                Err(refused) => {
                    let was = change::open(&mut looking, &id, &mut now).unwrap();
                    let again = change::change(&mut books.clone(), &id, &was, change.as_ref().unwrap(), &mut now);
                    prop_assert_eq!(again.unwrap_err(), refused);
                    continue;
                }
            };
            if let Some(change) = &change {
                let was = change::open(&mut books, &id, &mut now).unwrap();
                change::change(&mut books, &id, &was, change, &mut now).unwrap();
                settle_all(&mut books, 0, &mut now);
            }
            prop_assert_eq!(previewed, first_new(&books, &before, time), "{:?}", step);
        }
    }
}
