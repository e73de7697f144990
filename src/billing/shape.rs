//! Small shapes that many documents and parameters share.

use std::{fmt, marker::PhantomData};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Id, Timestamp};

/// A field that is always null: something Stripe shows and this server does not do (yet).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Null;

impl Serialize for Null {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_none()
    }
}

impl<'de> Deserialize<'de> for Null {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(NULL, Ignore).map(|()| Null)
    }
}

/// A field that is always an empty list, for the same reason as [`Null`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nothing;

impl Serialize for Nothing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(std::iter::empty::<()>())
    }
}

impl<'de> Deserialize<'de> for Nothing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(NOTHING, Ignore).map(|()| Nothing)
    }
}

/// The names by which [`Null`] and [`Nothing`] can be told from what is merely not looked at.
pub const NULL: &str = "$null";
pub const NOTHING: &str = "$nothing";

/// Takes whatever there is.
struct Ignore;

impl<'de> de::Visitor<'de> for Ignore {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        de::IgnoredAny::deserialize(deserializer).map(|_| ())
    }
}

/// A list inlined in its parent, always whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inlined<T> {
    pub object: ListTag,
    pub data: Vec<T>,
    pub has_more: bool,
    pub url: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListTag {
    List,
}

impl<T> Inlined<T> {
    pub fn new(url: String, data: Vec<T>) -> Self {
        Inlined { object: ListTag::List, has_more: false, url, data }
    }
}

/// A part that clients send empty is none.
fn filled<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<Verbatim>::deserialize(deserializer)?.map(|Verbatim(text)| text);
    Ok(text.filter(|text| !text.is_empty()))
}

/// A postal address.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Address {
    #[serde(default, deserialize_with = "filled")]
    pub city: Option<String>,
    #[serde(default, deserialize_with = "filled")]
    pub country: Option<String>,
    #[serde(default, deserialize_with = "filled")]
    pub line1: Option<String>,
    #[serde(default, deserialize_with = "filled")]
    pub line2: Option<String>,
    #[serde(default, deserialize_with = "filled")]
    pub postal_code: Option<String>,
    #[serde(default, deserialize_with = "filled")]
    pub state: Option<String>,
}

/// Where something is sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shipping {
    pub address: Address,
    #[serde(default, deserialize_with = "filled", skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    pub name: String,
    #[serde(default, deserialize_with = "filled")]
    pub phone: Option<String>,
    #[serde(default, deserialize_with = "filled", skip_serializing_if = "Option::is_none")]
    pub tracking_number: Option<String>,
}

/// A parameter of an update: absent, unset by the empty string, or set.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Patch<T> {
    #[default]
    Keep,
    Clear,
    Set(T),
}

impl<T> Patch<T> {
    /// The field after the patch.
    pub fn over(self, current: Option<T>) -> Option<T> {
        match self {
            Patch::Keep => current,
            Patch::Clear => None,
            Patch::Set(value) => Some(value),
        }
    }

    pub fn given(self) -> Option<T> {
        self.over(None)
    }
}

/// A parameter that cannot be unset.
impl<T> From<Option<T>> for Patch<T> {
    fn from(given: Option<T>) -> Patch<T> {
        given.map_or(Patch::Keep, Patch::Set)
    }
}

/// A time, or a word in its place (`now`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeOr<W> {
    Time(Timestamp),
    Word(W),
}

impl<'de, W: Deserialize<'de>> Deserialize<'de> for TimeOr<W> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if let Ok(seconds) = text.parse() {
            return Ok(TimeOr::Time(Timestamp::new(seconds)));
        }
        let invalid = || de::Error::custom(format_args!("Invalid timestamp: {text}"));
        W::deserialize(de::value::StrDeserializer::<de::value::Error>::new(&text))
            .map(TimeOr::Word)
            .map_err(|_| invalid())
    }
}

/// The name by which [`Patch`] asks the form reader to tell an empty string from a value.
pub const PATCH: &str = "$patch";
/// The name by which [`Verbatim`] asks the form reader for the text as it was sent, empty or not.
pub const VERBATIM: &str = "$verbatim";

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Visitor<T> {
            type Value = Patch<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value or an empty string")
            }
            fn visit_unit<E: de::Error>(self) -> Result<Patch<T>, E> {
                Ok(Patch::Clear)
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Patch<T>, D::Error> {
                T::deserialize(deserializer).map(Patch::Set)
            }
        }
        deserializer.deserialize_newtype_struct(PATCH, Visitor(PhantomData))
    }
}

/// Text as it was sent: an empty string is a value here, not an attempt to unset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verbatim(pub String);

impl<'de> Deserialize<'de> for Verbatim {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Verbatim;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Verbatim, E> {
                Ok(Verbatim(text.to_owned()))
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Verbatim, D::Error> {
                String::deserialize(deserializer).map(Verbatim)
            }
        }
        deserializer.deserialize_newtype_struct(VERBATIM, Visitor)
    }
}

/// The id of a thing, or what is needed to make one.
#[derive(Clone, Debug)]
pub enum IdOr<R, T> {
    Id(Id<R>),
    New(T),
}

impl<'de, R, T: Deserialize<'de>> Deserialize<'de> for IdOr<R, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<R, T>(PhantomData<fn() -> (R, T)>);
        impl<'de, R, T: Deserialize<'de>> de::Visitor<'de> for Visitor<R, T> {
            type Value = IdOr<R, T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an id or an object")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<IdOr<R, T>, E> {
                Ok(IdOr::Id(Id::given(text)))
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<IdOr<R, T>, D::Error> {
                T::deserialize(deserializer).map(IdOr::New)
            }
        }
        deserializer.deserialize_newtype_struct(VERBATIM, Visitor(PhantomData))
    }
}

/// A parameter that Stripe knows and this server does not support yet: refused, never ignored.
#[derive(Clone, Copy, Debug)]
pub struct Unsupported;

impl<'de> Deserialize<'de> for Unsupported {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(unsupported())
    }
}

fn unsupported<E: de::Error>() -> E {
    E::custom("This parameter is not supported by this server yet.")
}

/// `automatic_tax`, which is not supported yet: that it is not enabled holds anyway.
#[derive(Clone, Copy, Debug)]
pub struct Untaxed;

impl<'de> Deserialize<'de> for Untaxed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[expect(dead_code, reason = "named so that it is refused, not ignored")]
        struct AutomaticTax {
            enabled: bool,
            liability: Option<Unsupported>,
        }
        match AutomaticTax::deserialize(deserializer)? {
            AutomaticTax { enabled: true, .. } => Err(unsupported()),
            AutomaticTax { enabled: false, .. } => Ok(Untaxed),
        }
    }
}

/// Text of at most `N` characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text<const N: usize>(pub String);

impl<'de, const N: usize> Deserialize<'de> for Text<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Text::within(String::deserialize(deserializer)?)
    }
}

impl<const N: usize> Text<N> {
    /// The text, if it is no longer.
    pub fn within<E: de::Error>(text: String) -> Result<Self, E> {
        let count = text.chars().count();
        if count <= N {
            return Ok(Text(text));
        }
        let head: String = text.chars().take(4).collect();
        let tail: String = text.chars().skip(count.saturating_sub(4)).collect();
        Err(de::Error::custom(format_args!("Invalid string: {head}...{tail}; must be at most {N} characters")))
    }
}

impl<const N: usize> From<Text<N>> for String {
    fn from(text: Text<N>) -> String {
        text.0
    }
}

impl<T> Patch<T> {
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Patch<U> {
        match self {
            Patch::Keep => Patch::Keep,
            Patch::Clear => Patch::Clear,
            Patch::Set(value) => Patch::Set(change(value)),
        }
    }
}

/// An enum of wire words: serde and `Display` agree because both come from one list.
#[macro_export]
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$doc])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            pub const fn word(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}
