//! Ids: a prefix, 22 characters of time and chance, two characters that say where it lives.

use std::{borrow::Borrow, fmt, hash, marker::PhantomData};

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Resource, Timestamp};

/// Ordered as bytes are ordered, so that ids sort by time under `collate "C"`.
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const UNIQUE_CHARACTERS: usize = 22;
/// How many buckets there are: two base-62 characters.
pub const BUCKETS: u16 = 62 * 62;

/// The id of an `R`: `Id<Customer>` is not `Id<Invoice>`. Text from outside may be any string.
pub struct Id<R>(String, PhantomData<fn() -> R>);

impl<R> Id<R> {
    /// An id that somebody gave us; it may name nothing.
    pub fn given(text: impl Into<String>) -> Self {
        Id(text.into(), PhantomData)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn bucket(&self) -> Bucket {
        Bucket::of(&self.0)
    }
}

impl<R: Resource> Id<R> {
    /// A new id in a customer's bucket.
    pub fn new(ids: &mut Ids, bucket: Bucket) -> Self {
        Id::given(ids.next(R::NOUN.prefix, bucket))
    }
}

/// Which shard a customer and all that it owns live in: the last two characters of its ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket(u16);

impl Bucket {
    /// The bucket of nouns without a customer.
    pub const SHARED: Bucket = Bucket(0);

    /// The bucket that an id names. Ids that callers chose may end in any characters: those hash.
    pub fn of(id: &str) -> Self {
        let digit = |byte: u8| BASE62.iter().position(|b| *b == byte).and_then(|p| u16::try_from(p).ok());
        let mut last = id.bytes().rev();
        match (last.next().and_then(digit), last.next().and_then(digit)) {
            (Some(low), Some(high)) => Bucket(high * 62 + low),
            _ => {
                let hash =
                    id.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
                Bucket(u16::try_from(hash % u32::from(BUCKETS)).unwrap_or(0))
            }
        }
    }

    pub const fn number(self) -> i16 {
        // BUCKETS is far below i16::MAX.
        self.0.cast_signed()
    }
}

/// Makes new ids and secrets. Time-ordered, unique across processes, and repeatable when seeded.
#[derive(Debug)]
pub struct Ids {
    ticks: u64,
    chance: StdRng,
}

/// How finely ids tell time: a `UUIDv7` has twelve bits below the millisecond.
pub const TICKS_PER_MILLISECOND: u64 = 1 << 12;
/// How many ids one decision may make before they mingle with those of the next.
pub const TICKS_PER_DECISION: u64 = 256;

impl Ids {
    /// Ids that sort by `ticks` of wall time. The seed must come from the operating system wherever
    /// secrets are made of it.
    pub fn new(ticks: u64, seed: [u8; 32]) -> Self {
        Ids { ticks, chance: StdRng::from_seed(seed) }
    }

    /// A new id: a `UUIDv7` layout (48 bits of milliseconds, 12 bits below them that keep the order of
    /// one decision, chance), in base 62.
    pub fn next(&mut self, prefix: &str, bucket: Bucket) -> String {
        let (milliseconds, below) = (self.ticks / TICKS_PER_MILLISECOND, self.ticks % TICKS_PER_MILLISECOND);
        let head = (u128::from(milliseconds) << 16) | 0x7000 | u128::from(below);
        self.ticks = self.ticks.saturating_add(1);
        let tail = (self.chance.next_u64() >> 2) | (1 << 63);
        let mut id = String::with_capacity(prefix.len() + UNIQUE_CHARACTERS + 2);
        id.push_str(prefix);
        push_base62(&mut id, (head << 64) | u128::from(tail), UNIQUE_CHARACTERS);
        push_base62(&mut id, u128::from(bucket.0), 2);
        id
    }

    /// From here on ids sort after this one, however far ahead the clock was that made it.
    pub fn follow(&mut self, id: &str) {
        let made = value_of(id).and_then(|value| u64::try_from(value >> 64).ok());
        if let Some(head) = made {
            let (milliseconds, below) = (head >> 16, head % TICKS_PER_MILLISECOND);
            self.ticks = self.ticks.max(milliseconds * TICKS_PER_MILLISECOND + below + 1);
        }
    }

    /// A bucket for a new customer.
    pub fn bucket(&mut self) -> Bucket {
        Bucket(u16::try_from(self.chance.next_u32() % u32::from(BUCKETS)).unwrap_or(0))
    }

    /// A secret of `length` characters; each carries almost six bits of chance.
    pub fn secret(&mut self, length: usize) -> String {
        let mut secret = String::with_capacity(length);
        while secret.len() < length {
            // Rejecting 62 and 63 keeps every character equally likely.
            if let Some(character) = BASE62.get(usize::try_from(self.chance.next_u32() >> 26).unwrap_or(63)) {
                secret.push(char::from(*character));
            }
        }
        secret
    }
}

/// When an id was made, unless somebody chose it.
pub fn made_at(id: &str) -> Option<Timestamp> {
    i64::try_from((value_of(id)? >> 80) / 1000).ok().map(Timestamp::new)
}

/// What the unique characters of an id stand for.
fn value_of(id: &str) -> Option<u128> {
    let unique = id.get(id.len().checked_sub(UNIQUE_CHARACTERS + 2)?..)?.get(..UNIQUE_CHARACTERS)?;
    let digit = |byte: u8| BASE62.iter().position(|known| *known == byte).and_then(|place| u128::try_from(place).ok());
    unique.bytes().try_fold(0_u128, |value, byte| value.checked_mul(62)?.checked_add(digit(byte)?))
}

/// An id for a request.
pub fn request_id(ids: &mut Ids) -> String {
    let id = ids.next("", Bucket::SHARED);
    format!("req_{}", &id[..UNIQUE_CHARACTERS])
}

/// The lowest id that an object made at `start` could have: the bound of a partition by time.
pub fn lower_bound(prefix: &str, start: Timestamp) -> String {
    let milliseconds = u64::try_from(start.unix_seconds()).unwrap_or(0).saturating_mul(1000);
    let mut id = prefix.to_owned();
    push_base62(&mut id, u128::from(milliseconds) << 80, UNIQUE_CHARACTERS);
    id
}

fn push_base62(text: &mut String, mut value: u128, length: usize) {
    let mut characters = [b'0'; UNIQUE_CHARACTERS];
    for place in characters[..length].iter_mut().rev() {
        *place = BASE62[usize::try_from(value % 62).unwrap_or(0)];
        value /= 62;
    }
    text.extend(characters[..length].iter().map(|byte| char::from(*byte)));
}

impl<R> Clone for Id<R> {
    fn clone(&self) -> Self {
        Id(self.0.clone(), PhantomData)
    }
}

impl<R> PartialEq for Id<R> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<R> Eq for Id<R> {}

impl<R> PartialOrd for Id<R> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<R> Ord for Id<R> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

/// It is found among its like by its text.
impl<R> Borrow<str> for Id<R> {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<R> hash::Hash for Id<R> {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<R> fmt::Debug for Id<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<R> fmt::Display for Id<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<R> Serialize for Id<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, R> Deserialize<'de> for Id<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Id::given)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn later_ids_sort_later(a in 0_u64..1 << 59, gap in 1_u64..1_000_000, seed: [u8; 32]) {
            let early = Ids::new(a, seed).next("in_", Bucket(61));
            let late = Ids::new(a + gap, seed).next("in_", Bucket(0));
            prop_assert!(early < late);
            prop_assert_eq!(early.len(), 3 + 24);
            prop_assert_eq!(Bucket::of(&early), Bucket(61));
        }

        #[test]
        fn ids_follow_one_of_any_clock(mine in 0_u64..1 << 59, theirs in 0_u64..1 << 59, seed: [u8; 32]) {
            let other = Ids::new(theirs, [255; 32]).next("in_", Bucket(61));
            let mut ids = Ids::new(mine, seed);
            ids.follow(&other);
            prop_assert!(ids.next("in_", Bucket(0)) > other);
            prop_assert!(ids.ticks == mine.max(theirs + 1) + 1);
        }

        #[test]
        fn any_text_has_a_bucket(text: String) {
            prop_assert!(Bucket::of(&text).0 < BUCKETS);
        }
    }

    #[test]
    fn ids_of_one_decision_keep_their_order() {
        let mut ids = Ids::new(1_700_000_000_000 * TICKS_PER_MILLISECOND, [7; 32]);
        let made: Vec<String> = (0..10_000).map(|_| ids.next("evt_", Bucket(9))).collect();
        assert!(made.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn an_id_knows_when_it_was_made() {
        let id = Ids::new(1_700_000_000_999 * TICKS_PER_MILLISECOND, [7; 32]).next("evt_", Bucket(61));
        assert_eq!(made_at(&id), Some(Timestamp::new(1_700_000_000)));
        for other in ["", "evt_1", "evt_ä23456789012345678901234", "evt_zzzzzzzzzzzzzzzzzzzzzzzz"] {
            assert_eq!(made_at(other), None, "{other}");
        }
    }

    #[test]
    fn a_bound_lies_between_the_milliseconds() {
        let bound = lower_bound("evt_", Timestamp::new(1_700_000_000));
        assert!(Ids::new(1_700_000_000_000 * TICKS_PER_MILLISECOND, [0; 32]).next("evt_", Bucket(0)) > bound);
        assert!(Ids::new(1_700_000_000_000 * TICKS_PER_MILLISECOND - 1, [255; 32]).next("evt_", Bucket(3843)) < bound);
    }
}
