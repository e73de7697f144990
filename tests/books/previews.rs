//! A preview is what is then charged, line by line, whatever has happened before.

use dunlin::billing::{
    Books, Id, MetadataPatch, Moment, Timestamp, advance,
    change::{self, Act, Change, ItemChange},
    invoice::Invoice,
    preview::{self, Ahead},
    prorate::ProrationBehavior,
    subscribe::{self, NewItem, NewSubscription},
    subscription::{BillingMode, Subscription},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{CUSTOMER, at, lines, open, settle_all};

/// Something that a customer does after some days.
#[derive(Clone, Debug)]
struct Step {
    seconds: i64,
    act: Option<Wish>,
    prorations: ProrationBehavior,
    restart: bool,
}

#[derive(Clone, Debug)]
enum Wish {
    Quantity(i64),
    Price(&'static str),
    Another,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let act = prop_oneof![
        Just(None),
        (0_i64..6).prop_map(|quantity| Some(Wish::Quantity(quantity))),
        prop_oneof![Just("price_1"), Just("price_2")].prop_map(|price| Some(Wish::Price(price))),
        Just(Some(Wish::Another)),
    ];
    let prorations = prop_oneof![
        Just(ProrationBehavior::CreateProrations),
        Just(ProrationBehavior::AlwaysInvoice),
        Just(ProrationBehavior::None),
    ];
    let step = (1_i64..45 * 86_400, act, prorations, prop::bool::weighted(0.2))
        .prop_map(|(seconds, act, prorations, restart)| Step { seconds, act, prorations, restart });
    prop::collection::vec(step, 1..7)
}

/// The change that a step wishes for, if it makes a difference.
fn change_of(subscription: &Subscription, step: &Step) -> Option<Change> {
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
        Some(Wish::Price(_) | Wish::Another) | None => None,
    };
    let items: Vec<ItemChange> = act.into_iter().map(|act| ItemChange { param: "items[0]".into(), act }).collect();
    (step.restart || !items.is_empty()).then(|| Change {
        items,
        restart: step.restart,
        proration_behavior: step.prorations,
        ..Change::default()
    })
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
fn first_new(books: &Books, before: &[Id<Invoice>], now: Timestamp) -> Value {
    let (mut books, mut at) = (books.clone(), at(now.unix_seconds()));
    go_on(&mut books, now.plus_seconds(32 * 86_400), &mut at);
    let new = books.all::<Invoice>().find(|invoice| !before.contains(&invoice.id));
    bill(new.expect("a period ends within 32 days"))
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
            let change = change_of(books.get(&id).unwrap(), step);
            let before = known(&books);
            let mut looking = books.clone();
            let ahead = Ahead { change: change.clone(), ..Ahead::of(id.clone()) };
            let preview = preview::ahead(&mut looking, &ahead, &mut at(time.unix_seconds())).unwrap();
            let previewed = bill(looking.get(&preview).unwrap());
            if let Some(change) = &change {
                let was = change::open(&mut books, &id, &mut now).unwrap();
                change::change(&mut books, &id, &was, change, &mut now).unwrap();
                settle_all(&mut books, 0, &mut now);
            }
            prop_assert_eq!(previewed, first_new(&books, &before, time), "{:?}", step);
        }
    }
}
