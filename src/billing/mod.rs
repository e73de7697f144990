//! What billing decides: nouns (what exists) and rules (what happens to it).
//!
//! Nothing here asks the time, touches a database or the network, or is `async`. Every rule is a
//! function over [`books::Books`] and a [`moment::Moment`], so that one request, a thousand due
//! renewals, a preview and a simulation all run the same lines.

// The alphabet.
pub mod amount;
pub mod answer;
pub mod books;
pub mod currency;
pub mod decimal;
pub mod id;
pub mod metadata;
pub mod moment;
pub mod next_action;
pub mod noun;
pub mod period;
pub mod plain;
pub mod refusal;
pub mod searchable;
pub mod seed;
pub mod shape;
pub mod tier;
pub mod wire;

// list: nouns with a table of their own
pub mod balance_transaction;
pub mod charge;
pub mod checkout;
pub mod credit_note;
pub mod customer;
pub mod dispute;
pub mod early_fraud_warning;
pub mod feature;
pub mod invoice;
pub mod invoice_item;
pub mod invoice_payment;
pub mod invoice_prefix;
pub mod payment_intent;
pub mod payment_method;
pub mod price;
pub mod product;
pub mod refund;
pub mod settings;
pub mod setup_attempt;
pub mod setup_intent;
pub mod subscription;
pub mod subscription_schedule;
pub mod tax_id;
pub mod test_clock;
pub mod token;
pub mod webhook_endpoint;
// end of list

// Nouns without one, and what belongs to nouns.
pub mod card;
pub mod event;
pub mod event_types;
pub mod evidence;
pub mod invoice_line;
pub mod mandate;
pub mod method_options;
pub mod method_types;
pub mod movement;
pub mod plan;

// A rule each.
pub mod advance;
pub mod anchor;
pub mod announce;
pub mod attach;
pub mod attempts;
pub mod authenticate;
pub mod balance;
pub mod begin;
pub mod bill;
pub mod cancel;
pub mod chance;
pub mod change;
pub mod collect;
pub mod confirm;
pub mod contest;
pub mod credit;
pub mod delivery;
pub mod describe;
pub mod direct;
pub mod draft;
pub mod dunning;
pub mod edit;
pub mod end_date;
pub mod erase;
pub mod extra;
pub mod finalize;
pub mod follow;
pub mod hold;
pub mod increment;
pub mod intend;
pub mod invoice_states;
pub mod itemize;
pub mod items;
pub mod lend;
pub mod lines;
pub mod migrate;
pub mod network;
pub mod news;
pub mod pause;
pub mod pause_collection;
pub mod pending_interval;
pub mod pending_update;
pub mod phases;
pub mod preview;
pub mod processing;
pub mod prorate;
pub mod receive;
pub mod reissue;
pub mod remind;
pub mod renew;
pub mod repay;
pub mod resume;
pub mod retry;
pub mod revise;
pub mod schedule;
pub mod send;
pub mod settle;
pub mod setup;
pub mod smart;
pub mod subscribe;
pub mod transition;
pub mod trial;
pub mod upcoming;

pub use amount::Amount;
pub use books::Books;
pub use currency::Currency;
pub use id::Id;
pub use metadata::{Metadata, MetadataPatch};
pub use moment::{Moment, Timestamp};
pub use noun::{Noun, Resource};
pub use refusal::Refusal;

/// Every noun that a name can mean.
fn nouns() -> impl Iterator<Item = &'static Noun> {
    books::NOUNS.iter().copied().chain([
        &card::NOUN,
        &checkout::item::NOUN,
        &event::NOUN,
        &movement::NOUN,
        &plan::NOUN,
        &subscription::ITEM_NOUN,
    ])
}

/// The noun that an object name means.
pub fn noun_of(object: &str) -> Option<&'static Noun> {
    nouns().find(|noun| noun.object == object)
}

/// The noun that errors call so.
pub fn noun_named(name: &str) -> Option<&'static Noun> {
    nouns().find(|noun| noun.name == name)
}
