//! What a type reads, asked of the type itself: it is deserialized from a source that has nothing to give and
//! only notes what it is asked for, once for every place in it. So a description cannot differ from what is read.

use std::{cell::RefCell, fmt};

use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer as _, MapAccess, SeqAccess, Visitor};

use super::shape::{NOTHING, NULL, PATCH};

/// What is read at one place.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    pub kind: Kind,
    /// It may be left out, or be null.
    pub optional: bool,
    /// An empty string in its place unsets it.
    pub clears: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Any,
    /// Always null.
    Null,
    /// Always an empty list.
    Nothing,
    Boolean,
    Integer,
    Number,
    Text,
    /// One of these.
    Word(&'static [&'static str]),
    List(Box<Shape>),
    /// Any names, with values of one shape.
    Map(Box<Shape>),
    Object(Vec<Field>),
}

/// A member of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub name: &'static str,
    pub required: bool,
    pub shape: Shape,
}

/// What a type reads. Members that are refused whatever they hold are left out.
pub fn shape_of<T: DeserializeOwned>() -> Shape {
    let ask = |ask: Ask<'_>| drop(T::deserialize(ask));
    let nothing = Shape { kind: Kind::Any, optional: false, clears: false };
    explore(&ask, &mut Vec::new(), &mut Vec::new()).unwrap_or(nothing)
}

/// Of what no struct is read into: some object.
pub fn written_elsewhere() -> Shape {
    Shape { kind: Kind::Object(Vec::new()), optional: false, clears: false }
}

/// A name in a map. Some maps are of currencies, and this is one.
const NAME: &str = "usd";

/// A step down from a place to one inside.
#[derive(Clone, Copy, Debug)]
enum Step {
    Field(&'static str),
    Inside,
}

/// A source that follows a path and, at its end, notes what is asked for and gives nothing.
#[derive(Clone, Copy)]
struct Ask<'a> {
    path: &'a [Step],
    /// Members to give at the end of the path, to see which are missed: all of them are samples of this text.
    given: Option<(&'a [&'a Field], &'static str)>,
    found: &'a RefCell<Found>,
}

#[derive(Debug, Default)]
struct Found {
    kind: Option<Asked>,
    optional: bool,
    clears: bool,
    missing: Option<&'static str>,
}

#[derive(Clone, Copy, Debug)]
enum Asked {
    Leaf(Leaf),
    List,
    Map,
    Struct(&'static [&'static str]),
}

#[derive(Clone, Copy, Debug)]
enum Leaf {
    Any,
    Null,
    Nothing,
    Boolean,
    Integer,
    Number,
    Text,
    Word(&'static [&'static str]),
}

type Run<'r> = &'r dyn Fn(Ask<'_>);

fn explore(run: Run<'_>, path: &mut Vec<Step>, within: &mut Vec<&'static [&'static str]>) -> Option<Shape> {
    let found = RefCell::new(Found::default());
    run(Ask { path, given: None, found: &found });
    let found = found.into_inner();
    let inside = |path: &mut Vec<Step>, within: &mut Vec<_>, step| {
        path.push(step);
        let shape = explore(run, path, within);
        path.pop();
        shape
    };
    let kind = match found.kind? {
        Asked::Leaf(leaf) => leaf.kind(),
        Asked::List => Kind::List(Box::new(inside(path, within, Step::Inside)?)),
        Asked::Map => Kind::Map(Box::new(inside(path, within, Step::Inside)?)),
        // A thing that holds its own kind is described once.
        Asked::Struct(names) if within.iter().any(|above| std::ptr::eq(*above, names)) => Kind::Any,
        Asked::Struct(names) => {
            within.push(names);
            let mut fields = Vec::new();
            for name in names {
                let shape = inside(path, within, Step::Field(name));
                fields.extend(shape.map(|shape| Field { name, required: false, shape }));
            }
            within.pop();
            require(run, path, &mut fields);
            Kind::Object(fields)
        }
    };
    Some(Shape { kind, optional: found.optional, clears: found.clears })
}

/// Finds the members that are missed when all others are there.
fn require(run: Run<'_>, path: &[Step], fields: &mut [Field]) {
    // Some texts are currencies, some are numbers; what neither will do for counts as not required.
    const SAMPLES: [&str; 2] = ["usd", "1"];
    let missed = |given: &[&Field], text| {
        let found = RefCell::new(Found::default());
        run(Ask { path, given: Some((given, text)), found: &found });
        found.into_inner().missing
    };
    if missed(&[], SAMPLES[0]).is_none() {
        return;
    }
    let mut required = Vec::new();
    for field in fields.iter().filter(|field| !field.shape.optional && !field.shape.clears) {
        let others: Vec<&Field> = fields
            .iter()
            .filter(|other| other.name != field.name && !other.shape.optional && !other.shape.clears)
            .collect();
        if SAMPLES.iter().any(|text| missed(&others, text) == Some(field.name)) {
            required.push(field.name);
        }
    }
    fields.iter_mut().for_each(|field| field.required = required.contains(&field.name));
}

impl Leaf {
    const fn kind(self) -> Kind {
        match self {
            Leaf::Any => Kind::Any,
            Leaf::Null => Kind::Null,
            Leaf::Nothing => Kind::Nothing,
            Leaf::Boolean => Kind::Boolean,
            Leaf::Integer => Kind::Integer,
            Leaf::Number => Kind::Number,
            Leaf::Text => Kind::Text,
            Leaf::Word(words) => Kind::Word(words),
        }
    }
}

/// The end of a question.
#[derive(Debug)]
enum Enough {
    Noted,
    Missing(&'static str),
}

impl fmt::Display for Enough {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Enough::Noted => f.write_str("noted"),
            Enough::Missing(name) => write!(f, "{name} is missing"),
        }
    }
}

impl std::error::Error for Enough {}

impl de::Error for Enough {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Enough::Noted
    }

    fn missing_field(field: &'static str) -> Self {
        Enough::Missing(field)
    }
}

impl<'a> Ask<'a> {
    fn note<T>(self, asked: Asked) -> Result<T, Enough> {
        self.found.borrow_mut().kind = Some(asked);
        Err(Enough::Noted)
    }

    /// The question for what is one step further.
    fn further(self) -> Option<(Step, Ask<'a>)> {
        let (step, path) = self.path.split_first()?;
        Some((*step, Ask { path, ..self }))
    }
}

/// Methods for what has no inside.
macro_rules! leaves {
    ($($method:ident $leaf:ident,)+) => {
        $(fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Enough> {
            self.note(Asked::Leaf(Leaf::$leaf))
        })+
    };
}

impl<'de> de::Deserializer<'de> for Ask<'_> {
    type Error = Enough;

    leaves! {
        deserialize_any Any,
        deserialize_ignored_any Any,
        deserialize_bool Boolean,
        deserialize_i8 Integer,
        deserialize_i16 Integer,
        deserialize_i32 Integer,
        deserialize_i64 Integer,
        deserialize_u8 Integer,
        deserialize_u16 Integer,
        deserialize_u32 Integer,
        deserialize_u64 Integer,
        deserialize_f32 Number,
        deserialize_f64 Number,
        deserialize_str Text,
        deserialize_string Text,
        deserialize_unit Null,
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Enough> {
        if self.path.is_empty() {
            self.found.borrow_mut().optional = true;
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Enough> {
        match name {
            NULL => return self.note(Asked::Leaf(Leaf::Null)),
            NOTHING => return self.note(Asked::Leaf(Leaf::Nothing)),
            PATCH if self.path.is_empty() => self.found.borrow_mut().clears = true,
            _ => {}
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Enough> {
        match self.further() {
            Some((_, inside)) => visitor.visit_seq(One { key: "", inside: Some(inside) }),
            None => self.note(Asked::List),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Enough> {
        match self.further() {
            Some((_, inside)) => visitor.visit_map(One { key: NAME, inside: Some(inside) }),
            None => self.note(Asked::Map),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Enough> {
        match (self.further(), self.given) {
            (Some((Step::Field(key), inside)), _) => visitor.visit_map(One { key, inside: Some(inside) }),
            (None, Some((given, text))) => {
                if let Err(Enough::Missing(name)) = visitor.visit_map(Given { fields: given.iter(), value: None, text })
                {
                    self.found.borrow_mut().missing = Some(name);
                }
                Err(Enough::Noted)
            }
            (Some((Step::Inside, _)) | None, _) => self.note(Asked::Struct(fields)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Enough> {
        self.note(Asked::Leaf(Leaf::Word(variants)))
    }

    serde::forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit_struct tuple tuple_struct identifier
    }
}

/// A list or an object with one member.
struct One<'a> {
    key: &'static str,
    inside: Option<Ask<'a>>,
}

impl<'de> SeqAccess<'de> for One<'_> {
    type Error = Enough;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Enough> {
        self.inside.take().map(|inside| seed.deserialize(inside)).transpose()
    }
}

impl<'de> MapAccess<'de> for One<'_> {
    type Error = Enough;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Enough> {
        self.inside.map(|_| seed.deserialize(self.key.into_deserializer())).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Enough> {
        self.inside.take().map_or(Err(Enough::Noted), |inside| seed.deserialize(inside))
    }
}

/// An object of samples.
struct Given<'a, I> {
    fields: I,
    value: Option<&'a Shape>,
    text: &'static str,
}

impl<'a, 'de, I: Iterator<Item = &'a &'a Field>> MapAccess<'de> for Given<'a, I> {
    type Error = Enough;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Enough> {
        let Some(field) = self.fields.next() else { return Ok(None) };
        self.value = Some(&field.shape);
        seed.deserialize(field.name.into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Enough> {
        let shape = self.value.take().ok_or(Enough::Noted)?;
        seed.deserialize(Sample { shape, text: self.text })
    }
}

/// Something of a shape.
struct Sample<'a> {
    shape: &'a Shape,
    text: &'static str,
}

impl<'de> de::Deserializer<'de> for Sample<'_> {
    type Error = Enough;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Enough> {
        match &self.shape.kind {
            Kind::Any | Kind::Null => visitor.visit_unit(),
            Kind::Nothing | Kind::List(_) => visitor.visit_seq(One { key: "", inside: None }),
            Kind::Boolean => visitor.visit_bool(true),
            Kind::Integer => visitor.visit_i64(1),
            Kind::Number => visitor.visit_f64(1.0),
            Kind::Text => visitor.visit_str(self.text),
            Kind::Word(words) => visitor.visit_enum(words.first().copied().unwrap_or_default().into_deserializer()),
            Kind::Map(_) => visitor.visit_map(One { key: "", inside: None }),
            Kind::Object(fields) => {
                let required: Vec<&Field> = fields.iter().filter(|field| field.required).collect();
                visitor.visit_map(Given { fields: required.iter(), value: None, text: self.text })
            }
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Enough> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq
        tuple tuple_struct map struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;
    use crate::{
        billing::{
            Currency, Id, MetadataPatch,
            customer::Customer,
            shape::{Patch, Unsupported},
        },
        words,
    };

    words!(Colour { Red = "red", Green = "green" });

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only read")]
    struct Sampled {
        currency: Currency,
        customer: Id<Customer>,
        colour: Option<Colour>,
        #[serde(default)]
        items: Vec<Item>,
        #[serde(default)]
        metadata: MetadataPatch,
        #[serde(default)]
        note: Patch<String>,
        options: Option<BTreeMap<Currency, Item>>,
        later: Option<Unsupported>,
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only read")]
    struct Item {
        price: String,
        quantity: Option<i64>,
        inside: Option<Box<Item>>,
    }

    fn names(shape: &Shape, wanted: impl Fn(&Field) -> bool) -> Vec<&'static str> {
        let Kind::Object(fields) = &shape.kind else { return Vec::new() };
        fields.iter().filter(|field| wanted(field)).map(|field| field.name).collect()
    }

    #[test]
    fn a_type_says_what_it_reads() {
        let shape = shape_of::<Sampled>();
        // What is refused whatever it holds is no part of it.
        assert_eq!(names(&shape, |_| true), ["currency", "customer", "colour", "items", "metadata", "note", "options"]);
        assert_eq!(names(&shape, |field| field.required), ["currency", "customer"]);
        assert_eq!(names(&shape, |field| field.shape.clears), ["metadata", "note"]);
        let Kind::Object(fields) = &shape.kind else { panic!("{shape:?}") };
        assert_eq!(fields[2].shape.kind, Kind::Word(&["red", "green"]));
        let Kind::List(item) = &fields[3].shape.kind else { panic!("{shape:?}") };
        assert_eq!(names(item, |_| true), ["price", "quantity", "inside"]);
        assert_eq!(names(item, |field| field.required), ["price"]);
        let Kind::Map(value) = &fields[4].shape.kind else { panic!("{shape:?}") };
        assert_eq!(value.kind, Kind::Text);
        let Kind::Map(option) = &fields[6].shape.kind else { panic!("{shape:?}") };
        assert_eq!(names(option, |_| true), ["price", "quantity", "inside"]);
    }
}
