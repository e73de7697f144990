//! What a server must know to keep and to read a thing, said once for all things.

use std::borrow::Cow;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    Id, Metadata, Timestamp,
    describe::Shape,
    searchable::{self, Searchable},
};

/// A kind of thing: its names, its columns, how it is filtered and what it refers to.
#[derive(Debug)]
pub struct Noun {
    /// The `object` member: `customer`.
    pub object: &'static str,
    /// What its ids start with: `cus_`.
    pub prefix: &'static str,
    pub table: &'static str,
    /// Where its list is served: `/v1/customers`.
    pub url: &'static str,
    /// What errors call it: `No such customer: …`.
    pub name: &'static str,
    pub keyed: Keyed,
    /// Deleting leaves a stub that can still be retrieved; otherwise it is gone.
    pub leaves_stub: bool,
    /// The columns beside `id`, `bucket`, `livemode`, `created`, `due_at` and `body`, in the order of
    /// [`Resource::cells`].
    pub columns: &'static [Column],
    /// The filters of its list, beside `created` and paging.
    pub filters: &'static [Filter],
    /// What `expand[]` can follow.
    pub links: &'static [Link],
    /// Ids that are always spoken as whole objects: where the parents are, and the key in them.
    pub inlines: &'static [Inline],
    /// Inlined lists that may be long: only their first ten are spoken, the rest has a URL of its own.
    pub previews: &'static [&'static str],
    /// What its search can ask, if it has one.
    pub searchable: &'static [Searchable],
    /// What its document holds.
    pub document: fn() -> Shape,
}

/// Who makes the ids of a noun, and what they tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyed {
    /// Owned by a customer: made here, in that customer's bucket, and written under that customer's lock.
    OfCustomer,
    /// The same; and what has an id of another kind is a part of something else, which callers never see.
    OfCustomerOrHidden,
    /// Nobody's, and made here.
    Shared,
    /// Nobody's, and callers may choose them: they tell no time, so that lists go by `created`.
    Chosen,
}

impl Noun {
    /// Whether a customer owns it, so that its table has buckets.
    pub const fn is_owned(&self) -> bool {
        matches!(self.keyed, Keyed::OfCustomer | Keyed::OfCustomerOrHidden)
    }

    /// Whether an id can name what callers may see. What they may not has ids that sort before all others.
    pub fn shows(&self, id: &str) -> bool {
        self.hides_below().is_none_or(|prefix| id.starts_with(prefix))
    }

    /// What the ids of all that callers may see start with and come after, if there is anything else.
    pub const fn hides_below(&self) -> Option<&'static str> {
        if matches!(self.keyed, Keyed::OfCustomerOrHidden) { Some(self.prefix) } else { None }
    }

    /// What its ids start with in a mode, where that shows in them.
    pub fn prefix_in(&self, livemode: bool) -> Cow<'static, str> {
        if livemode { self.prefix.replace("_test_", "_live_").into() } else { self.prefix.into() }
    }

    /// Whether its ids sort by the time at which they were made.
    pub const fn ids_tell_time(&self) -> bool {
        !matches!(self.keyed, Keyed::Chosen)
    }

    /// What permissions call it: the first word of its URL, whether it is ours, for tests only, or Stripe's.
    pub fn resource(&self) -> &'static str {
        let mut words = self.url.split('/').filter(|word| !["", "v1", "dunlin", "test_helpers"].contains(word));
        words.next().unwrap_or(self.object)
    }
}

#[derive(Debug)]
pub struct Column {
    pub name: &'static str,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Integer,
    Boolean,
    Json,
}

/// A value for a [`Column`].
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Text(Option<String>),
    Integer(Option<i64>),
    Boolean(bool),
    /// As text.
    Json(Option<String>),
}

/// A filter of a list.
#[derive(Debug)]
pub struct Filter {
    /// The parameter, in bracket notation: `recurring[interval]`.
    pub param: &'static str,
    pub by: By,
}

/// What a filter compares.
#[derive(Debug)]
pub enum By {
    Text(&'static str),
    /// The same where another column has the text in lower case, and the index.
    Folded {
        column: &'static str,
        folded: &'static str,
    },
    Boolean(&'static str),
    /// A number, or a range of them: `gt`, `gte`, `lt`, `lte`.
    Range(&'static str),
    /// The same of the period of any item of the subscription: a column, and the member that says it.
    ItemPeriod {
        column: &'static str,
        member: &'static str,
    },
    /// One of some words; the empty one stands for none that is said.
    Word {
        column: &'static str,
        words: &'static [Word],
    },
    /// Several texts: `ids[]`.
    OneOf(&'static str),
    /// The id of a price that an item of the subscription has.
    ItemPrice,
    /// `true`: the column is null; `false`: it is not.
    IsNull(&'static str),
    /// An event type, exact or with a wildcard at its end: `invoice.*`.
    EventType,
    /// Several event types: `types[]`.
    EventTypes,
    /// Whether every endpoint has acknowledged the event.
    DeliverySuccess,
    /// Refused, with a clear error.
    NotSupportedYet,
}

/// A word of a filter, and what it means.
pub type Word = (&'static str, Meaning);

/// Which values of its column a word stands for.
#[derive(Debug)]
pub enum Meaning {
    Anything,
    /// One of these; where there are none, it stands for what this server does not have.
    OneOf(&'static [&'static str]),
}

#[derive(Debug)]
pub struct Link {
    pub path: &'static str,
    pub to: Target,
}

/// What a link leads to.
#[derive(Debug)]
pub enum Target {
    /// The member holds an id of this noun (or null).
    One(&'static Noun),
    /// The member is absent unless expanded; then it is the list of those whose column is our id.
    Many { noun: &'static Noun, column: &'static str, query: &'static str },
    /// The member is absent unless expanded; then it is copied from under `internal`, and shows something of
    /// this noun.
    Kept { name: &'static str, of: &'static Noun },
    /// The member is absent unless expanded; then it is made of the stored document, if it has it, and shows
    /// something of these nouns beside it.
    Derived { make: fn(&Value) -> Option<Value>, of: &'static [&'static Noun] },
    /// The member is absent unless expanded; then it is the list that is kept under `internal`, of documents of
    /// this noun. The first ten are shown, the rest has a URL of its own.
    Within { noun: &'static Noun, name: &'static str, query: &'static str },
    /// The member can be expanded, and is always null on this server.
    Nothing,
    /// The member is already inlined; the path may go on inside it.
    Inline(&'static Noun),
}

#[derive(Debug)]
pub struct Inline {
    /// Where the parents are: `items.data`; empty for the object itself.
    pub parents: &'static str,
    /// The member that holds the id of a price.
    pub key: &'static str,
    /// Its legacy view is shown beside it.
    pub with_plan: bool,
}

/// A document of some noun: the struct is the newest wire shape, plus `internal`.
pub trait Resource: Clone + Send + Sync + Serialize + DeserializeOwned + 'static {
    const NOUN: &'static Noun;

    fn id(&self) -> &Id<Self>;

    fn livemode(&self) -> bool;

    fn created(&self) -> Timestamp;

    /// The values of [`Noun::columns`], in that order.
    fn cells(&self) -> Vec<Cell>;

    /// When this must next be touched. A pure function of the state: saved at every write, so that
    /// it cannot be stale.
    fn due(&self) -> Option<Timestamp> {
        None
    }

    /// Whether it is spoken just as it rests, but for `internal`: nothing to inline, no long list.
    fn is_plain(&self) -> bool {
        Self::NOUN.inlines.is_empty()
    }

    /// Parts that are looked up on their own (subscription items): their ids, and the price of each.
    fn parts(&self) -> Vec<Part> {
        Vec::new()
    }

    /// What must hold whenever this is written.
    fn check(&self) -> Result<(), &'static str> {
        Ok(())
    }
}

/// The three things that every document says about itself in the same way.
#[macro_export]
macro_rules! basics {
    ($created:ident) => {
        fn id(&self) -> &Id<Self> {
            &self.id
        }

        fn livemode(&self) -> bool {
            self.livemode
        }

        fn created(&self) -> Timestamp {
            self.$created
        }
    };
}

/// A part of an aggregate that can be looked up on its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub id: String,
    pub customer: String,
    pub price: String,
    /// Of a change that waits for its payment.
    pub pending: bool,
}

impl Cell {
    pub fn as_text(&self) -> Option<&str> {
        if let Cell::Text(value) = self { value.as_deref() } else { None }
    }

    pub const fn as_integer(&self) -> Option<i64> {
        if let Cell::Integer(value) = self { *value } else { None }
    }

    pub const fn as_boolean(&self) -> Option<bool> {
        if let Cell::Boolean(value) = self { Some(*value) } else { None }
    }

    pub fn as_json(&self) -> Option<&str> {
        if let Cell::Json(value) = self { value.as_deref() } else { None }
    }

    #[expect(clippy::needless_pass_by_value, reason = "words are passed by value, ids by reference")]
    pub fn text(value: impl ToString) -> Cell {
        Cell::Text(Some(value.to_string()))
    }

    pub fn maybe(value: Option<impl ToString>) -> Cell {
        Cell::Text(value.map(|value| value.to_string()))
    }

    /// Text as it is searched for.
    pub fn folded(value: Option<&String>) -> Cell {
        Cell::Text(value.map(|value| searchable::fold(value)))
    }

    /// Metadata as it is searched for: the pairs, and under the empty key, which no pair has, all keys, as
    /// an index of pairs cannot say who has a key. Where there is no metadata, the index has nothing to keep.
    pub fn metadata(metadata: &Metadata) -> Cell {
        if metadata.is_empty() {
            return Cell::Json(None);
        }
        let keys: Value = metadata.keys().cloned().collect();
        let pairs = metadata.iter().map(|(key, value)| (key.clone(), Value::from(searchable::fold(value))));
        Cell::Json(Some(pairs.chain([(String::new(), keys)]).collect::<Value>().to_string()))
    }

    pub fn time(value: Option<Timestamp>) -> Cell {
        Cell::Integer(value.map(Timestamp::unix_seconds))
    }
}

pub const fn text(name: &'static str) -> Column {
    Column { name, kind: Kind::Text }
}

pub const fn integer(name: &'static str) -> Column {
    Column { name, kind: Kind::Integer }
}

pub const fn boolean(name: &'static str) -> Column {
    Column { name, kind: Kind::Boolean }
}

pub const fn json(name: &'static str) -> Column {
    Column { name, kind: Kind::Json }
}

pub const fn filter(param: &'static str, by: By) -> Filter {
    Filter { param, by }
}

/// A word that stands for itself.
pub const fn word(word: &'static [&'static str; 1]) -> Word {
    (word[0], Meaning::OneOf(word))
}

pub const fn null(path: &'static str) -> Link {
    Link { path, to: Target::Nothing }
}

pub const fn one(path: &'static str, noun: &'static Noun) -> Link {
    Link { path, to: Target::One(noun) }
}
