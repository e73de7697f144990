//! Laws of every beginning: whatever is asked for about time, nothing is billed twice, nothing is left
//! out, and one leap is many steps.

use std::collections::BTreeMap;

use dunlin::billing::{
    Books, Id, Timestamp,
    begin::When,
    end_date::CancelAt,
    invoice::Invoice,
    invoice_line::Line,
    period::Period,
    subscribe::{self, NewItem, NewSubscription},
    subscription::{BillingMode, CollectionMethod, Subscription},
    trial::TrialWanted,
};
use proptest::{collection::vec, option, prelude::*};
use serde_json::json;

use crate::{CUSTOMER, at, facts, go_on, open, settle_all, subscribe as subscribe_two};

const DAY: i64 = 86_400;

/// What may be asked for; times in seconds from now.
#[derive(Clone, Debug)]
struct Wish {
    prices: usize,
    classic: bool,
    sent: bool,
    trial_days: Option<i64>,
    anchor: Option<i64>,
    backdated: Option<i64>,
    free: bool,
    cancel_at: Option<i64>,
}

fn any_wish() -> impl Strategy<Value = Wish> {
    let when = (
        option::of(1_i64..40),
        option::of(0_i64..27 * DAY),
        option::of(1_i64..200 * DAY),
        any::<bool>(),
        option::of(1_i64..500 * DAY),
    );
    (1_usize..=3, any::<bool>(), any::<bool>(), when).prop_map(|(prices, classic, sent, when)| {
        let (trial_days, anchor, backdated, free, cancel_at) = when;
        Wish { prices: if classic { 1 } else { prices }, classic, sent, trial_days, anchor, backdated, free, cancel_at }
    })
}

/// A monthly, a quarterly and a yearly price.
fn books() -> Books {
    let mut books = open("month", 1, 3100);
    for (id, interval, count, cents) in [("price_2", "month", 3, 9301), ("price_3", "year", 1, 36_519)] {
        let price = json!({
            "id": id, "object": "price", "active": true, "billing_scheme": "per_unit", "created": 0, "currency": "usd",
            "custom_unit_amount": null, "livemode": false, "lookup_key": null, "metadata": {}, "nickname": null,
            "product": "prod_1", "recurring": {"interval": interval, "interval_count": count, "meter": null,
            "trial_period_days": null, "usage_type": "licensed"}, "tax_behavior": "unspecified", "tiers_mode": null,
            "transform_quantity": null, "type": "recurring", "unit_amount": cents,
            "unit_amount_decimal": cents.to_string(),
        });
        books.load("price", &price.to_string(), 0).unwrap();
    }
    books
}

fn wanted(wish: &Wish, now: i64) -> NewSubscription {
    let later = |seconds: i64| Timestamp::new(now + seconds);
    let item = |number: usize| NewItem {
        metadata: [].into(),
        price: Id::given(format!("price_{number}")),
        quantity: i64::try_from(number).unwrap(),
    };
    let trial = wish.trial_days.unwrap_or(0) * DAY;
    let mode = BillingMode::classic();
    NewSubscription {
        billing_mode: if wish.classic { mode } else { BillingMode::flexible() },
        cancel_at: wish.cancel_at.map(|seconds| CancelAt::Time(later(seconds))),
        collection_method: if wish.sent {
            CollectionMethod::SendInvoice
        } else {
            CollectionMethod::ChargeAutomatically
        },
        days_until_due: wish.sent.then_some(10),
        trial: TrialWanted { days: wish.trial_days, ..TrialWanted::default() },
        when: When {
            anchor: wish.anchor.map(|seconds| later(trial + seconds)),
            backdated_to: wish.backdated.map(|seconds| later(-seconds)),
            free_of_prorations: wish.free,
            ..When::default()
        },
        ..NewSubscription::of(Id::given(CUSTOMER), (1..=wish.prices).map(item).collect())
    }
}

/// A life that begins as wished and stops at these times.
fn life(wish: &Wish, now: i64, stops: &[i64]) -> Books {
    let (mut books, mut at) = (books(), at(now));
    let mut customer = books.customer().unwrap().clone();
    customer.email = Some("ada@example.com".to_owned());
    books.put(customer);
    subscribe::subscribe(&mut books, &wanted(wish, now), &mut at).unwrap();
    settle_all(&mut books, 0, &mut at);
    go_on(&mut books, 0, stops, &mut at);
    books
}

/// What each item was billed for, in the order of time.
fn billed(books: &Books) -> BTreeMap<String, Vec<Line>> {
    let mut billed: BTreeMap<String, Vec<Line>> = BTreeMap::new();
    for line in books.all::<Invoice>().flat_map(|invoice| &invoice.lines.data) {
        let item = &line.parent.subscription_item_details.as_ref().unwrap().subscription_item;
        billed.entry(item.to_string()).or_default().push(line.clone());
    }
    billed.values_mut().for_each(|lines| lines.sort_by_key(|line| line.period.start));
    billed
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn one_leap_is_many_steps_however_it_begins(
        now in 1_500_000_000_i64..1_900_000_000,
        wish in any_wish(),
        mut steps in vec(0_i64..400 * DAY, 0..12),
    ) {
        steps.sort_unstable();
        let end = now + 400 * DAY;
        let mut stops: Vec<i64> = steps.into_iter().map(|step| now + step).collect();
        stops.push(end);
        prop_assert_eq!(facts(life(&wish, now, &[end])), facts(life(&wish, now, &stops)));
    }

    #[test]
    fn every_second_is_billed_once(now in 1_500_000_000_i64..1_900_000_000, wish in any_wish()) {
        let books = life(&wish, now, &[now + 400 * DAY]);
        prop_assert!(books.soundness().is_ok());
        let subscription = books.all::<Subscription>().next().unwrap();
        let start = wish.backdated.map_or(now, |seconds| now - seconds);
        for (item, lines) in billed(&books) {
            // A free stub after a trial is on no invoice.
            let free_stub = |end, start| {
                wish.free && subscription.trial_end == Some(end) && subscription.billing_cycle_anchor == start
            };
            for pair in lines.windows(2) {
                let (end, start) = (pair[0].period.end, pair[1].period.start);
                prop_assert!(end == start || free_stub(end, start), "{item}: no gap, no overlap");
            }
            if !wish.free {
                prop_assert_eq!(lines[0].period.start, Timestamp::new(start));
            }
            let current = subscription.items.data.iter().find(|known| known.id.as_str() == item).unwrap();
            let last = lines.last().unwrap();
            let period = Period { start: current.current_period_start, end: current.current_period_end };
            let billed_to = if wish.anchor.is_some() && free_stub(period.start, subscription.billing_cycle_anchor) {
                period.start
            } else {
                period.end
            };
            prop_assert_eq!(last.period.end, billed_to, "the current period is the last one billed");
            // Boundaries keep the time of day of the anchor, but for the ends of trials and of the subscription.
            for line in &lines[..lines.len() - 1] {
                let of_day = |time: Timestamp| time.unix_seconds().rem_euclid(DAY);
                let given = subscription.trial_end == Some(line.period.end) || subscription.trial_start == Some(line.period.end);
                prop_assert!(given || of_day(line.period.end) == of_day(subscription.billing_cycle_anchor));
            }
        }
        let ends = subscription.cancel_at.filter(|end| end.unix_seconds() <= now + 400 * DAY);
        prop_assert_eq!(subscription.ended_at, ends);
    }

    /// Cut anywhere by an anchor, the parts of a period cost what they are of it.
    #[test]
    fn a_stub_costs_its_part(now in 1_500_000_000_i64..1_900_000_000, ahead in 1_i64..27 * DAY) {
        let wish = Wish {
            prices: 1, classic: false, sent: false, trial_days: None, anchor: Some(ahead), backdated: None, free: false,
            cancel_at: None,
        };
        let books = life(&wish, now, &[]);
        let stub = &books.all::<Invoice>().next().unwrap().lines.data[0];
        prop_assert_eq!(stub.period.seconds(), ahead);
        // The natural month that ends on the anchor has 28 to 31 days.
        let cost = |days: i64| 3100 * ahead / (days * DAY);
        prop_assert!((cost(31)..=cost(28) + 1).contains(&stub.amount.minor_units()));
    }
}

/// A customer has fewer than 500 subscriptions that have not ended.
#[test]
fn a_customer_has_so_many_subscriptions() {
    let (mut books, mut at) = (open("month", 1, 2000), at(1_700_000_000));
    for _ in 0..500 {
        subscribe_two(&mut books, &mut at);
    }
    let items = vec![NewItem { metadata: [].into(), price: Id::given("price_1"), quantity: 1 }];
    let wanted = NewSubscription::of(Id::given(CUSTOMER), items);
    let refused = subscribe::subscribe(&mut books, &wanted, &mut at).unwrap_err();
    assert_eq!(refused.code.as_deref(), Some("customer_max_subscriptions"));
}
