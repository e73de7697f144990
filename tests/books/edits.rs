//! Editing the items of a subscription, entry by entry.

use dunlin::billing::{
    Books, Id, MetadataPatch, Moment, Refusal,
    change::{Act, ItemChange},
    edit::{self, Edit},
    subscribe::{self, NewItem, NewSubscription},
    subscription::{BillingMode, Item, Subscription},
};
use serde_json::json;

use crate::{CUSTOMER, at, price, shop};

const START: i64 = 1_793_491_200;

/// Two items, three of the first; and what else there is to go to.
fn scene(mode: BillingMode) -> (Books, Moment, Subscription) {
    let mut prices = vec![("one", "month", 1, 1000), ("two", "month", 1, 2000), ("three", "month", 1, 3000)];
    prices.extend([("weekly", "week", 1, 500), ("quarterly", "month", 3, 5000)]);
    let ids: Vec<String> = (0..20).map(|number| format!("other_{number}")).collect();
    prices.extend(ids.iter().map(|id| (id.as_str(), "month", 1, 100)));
    let (mut books, mut at) = (shop(&prices), at(START));
    for (id, active, currency) in [("archived", false, "usd"), ("euro", true, "eur")] {
        let mut price = price(id, "month", 1, 1000);
        (price["active"], price["currency"]) = (json!(active), json!(currency));
        books.load("price", &price.to_string(), 0).unwrap();
    }
    let item = |(id, quantity)| NewItem { metadata: [].into(), price: Id::given(id), quantity };
    let items = [("one", 3), ("two", 1)].map(item).into();
    let wanted = NewSubscription { billing_mode: mode, ..NewSubscription::of(Id::given(CUSTOMER), items) };
    let id = subscribe::subscribe(&mut books, &wanted, &mut at).unwrap();
    let subscription = books.get(&id).unwrap().clone();
    (books, at, subscription)
}

fn edits(mode: BillingMode, acts: impl FnOnce(&[Item]) -> Vec<Act>) -> Result<Vec<Edit>, Refusal> {
    let (books, mut at, subscription) = scene(mode);
    let acts = acts(&subscription.items.data).into_iter().enumerate();
    let changes: Vec<ItemChange> =
        acts.map(|(index, act)| ItemChange { param: format!("items[{index}]"), act }).collect();
    edit::edits(&books, &subscription, &changes, &[], &mut at)
}

fn add(price: &str) -> Act {
    Act::Add { price: Id::given(price), quantity: None, metadata: [].into() }
}

fn change(item: &Item, price: Option<&str>, quantity: Option<i64>) -> Act {
    Act::Edit { id: item.id.clone(), price: price.map(Id::given), quantity, metadata: MetadataPatch::Keep }
}

/// Editing items: an entry without an id adds one, another price begins with a quantity of 1.
#[test]
fn what_entries_mean() {
    for mode in [BillingMode::classic(), BillingMode::flexible()] {
        let after = |acts: fn(&[Item]) -> Vec<Act>| -> Vec<(String, i64, bool)> {
            let edits = edits(mode.clone(), acts).unwrap();
            let kept = edits.iter().filter_map(|edit| Some((edit.new.as_ref()?, edit.changed)));
            kept.map(|(item, changed)| (item.price.to_string(), item.quantity, changed)).collect()
        };
        let one = |quantity, changed| ("one".to_owned(), quantity, changed);
        let two = ("two".to_owned(), 1, false);
        let three = |quantity| ("three".to_owned(), quantity, true);
        assert_eq!(after(|_| vec![]), [one(3, false), two.clone()]);
        assert_eq!(after(|_| vec![add("three")]), [one(3, false), two.clone(), three(1)], "added, not swapped");
        assert_eq!(after(|items| vec![change(&items[0], Some("three"), None)]), [three(1), two.clone()]);
        assert_eq!(after(|items| vec![change(&items[0], Some("three"), Some(3))]), [three(3), two.clone()]);
        assert_eq!(after(|items| vec![change(&items[0], None, Some(0))]), [one(0, true), two.clone()]);
        assert_eq!(after(|items| vec![change(&items[0], Some("one"), None)]), [one(3, false), two.clone()], "the same");
        assert_eq!(after(|items| vec![Act::Remove { id: items[0].id.clone() }]), std::slice::from_ref(&two));
        // A price may move from one item to another.
        let moved: fn(&[Item]) -> Vec<Act> = |items| vec![Act::Remove { id: items[0].id.clone() }, add("one")];
        assert_eq!(after(moved), [two.clone(), one(1, true)]);
    }
}

/// What cannot be, and the parameter that is named.
#[test]
fn what_is_refused() {
    type Case = (&'static str, fn(&[Item]) -> Vec<Act>);
    let cases: [Case; 10] = [
        ("items", |items| items.iter().map(|item| Act::Remove { id: item.id.clone() }).collect()),
        ("items", |_| vec![add("two")]),
        ("items", |items| vec![change(&items[0], Some("two"), None)]),
        ("items", |_| (0..19).map(|number| add(&format!("other_{number}"))).collect()),
        ("items[0][price]", |_| vec![add("archived")]),
        ("items[0][price]", |_| vec![add("euro")]),
        ("items[0][price]", |_| vec![add("unknown")]),
        ("items[0][quantity]", |items| vec![change(&items[0], None, Some(-1))]),
        ("items[0][id]", |_| vec![Act::Remove { id: Id::given("si_unknown") }]),
        ("items[1][id]", |items| vec![change(&items[0], None, Some(1)), Act::Remove { id: items[0].id.clone() }]),
    ];
    for mode in [BillingMode::classic(), BillingMode::flexible()] {
        for (place, (param, acts)) in cases.iter().enumerate() {
            let refused = edits(mode.clone(), *acts).unwrap_err();
            assert_eq!(refused.param.as_deref(), Some(*param), "{place}: {}", refused.message);
        }
    }
    // Twenty there may be.
    assert_eq!(
        edits(BillingMode::flexible(), |_| (0..18).map(|n| add(&format!("other_{n}"))).collect()).unwrap().len(),
        20
    );
}

/// Intervals: one for all in classic mode; in flexible mode multiples of the shortest, and an item of
/// another interval ends where its own grid says.
#[test]
fn which_intervals_go_together() {
    let quarterly: fn(&[Item]) -> Vec<Act> = |_| vec![add("quarterly")];
    assert_eq!(edits(BillingMode::classic(), quarterly).unwrap_err().param.as_deref(), Some("items"));
    let added = edits(BillingMode::flexible(), quarterly).unwrap().pop().unwrap().new.unwrap();
    assert_eq!(added.current_period_start.unix_seconds(), START);
    assert_eq!(added.current_period_end.unix_seconds(), START + 92 * 86_400);
    for mode in [BillingMode::classic(), BillingMode::flexible()] {
        assert_eq!(edits(mode, |_| vec![add("weekly")]).unwrap_err().param.as_deref(), Some("items"));
    }
}
