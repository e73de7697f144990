//! A form tree, read into a parameter struct. Strings become numbers here, and every failure knows its
//! path: `items[0][price]`.
//!
//! Unknown parameters are found by comparing each struct's fields with what was sent; they are reported
//! all at once, before anything else that is wrong.

use std::{cell::RefCell, fmt};

use serde::{
    Deserialize,
    de::{self, DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor},
};

use super::{
    form::Form,
    unknown::{Unknown, known_only, meant},
};
use crate::billing::{
    Refusal,
    shape::{PATCH, VERBATIM},
};

const MAXIMUM_CHARACTERS: usize = 5000;

/// Reads parameters, or says what is wrong with them.
pub fn read<'de, T: Deserialize<'de>>(form: &'de Form) -> Result<T, Refusal> {
    let unknown = RefCell::new(Vec::new());
    let result = T::deserialize(Reader { form, path: String::new(), unknown: &unknown });
    known_only(&unknown.into_inner())?;
    result.map_err(|wrong| wrong.0)
}

/// What is wrong with a parameter.
#[derive(Debug)]
pub struct Wrong(Refusal);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Wrong {}

impl de::Error for Wrong {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Wrong(Refusal::invalid(message.to_string()))
    }

    fn missing_field(field: &'static str) -> Self {
        Wrong(Refusal::missing(field))
    }
}

struct Reader<'de, 'u> {
    form: &'de Form,
    path: String,
    unknown: &'u RefCell<Vec<Unknown>>,
}

impl<'de, 'u> Reader<'de, 'u> {
    fn at(&self, form: &'de Form, key: &str) -> Reader<'de, 'u> {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}[{key}]", self.path) };
        Reader { form, path, unknown: self.unknown }
    }

    fn wrong(&self, message: String) -> Wrong {
        Wrong(Refusal::invalid(message).param(self.path.clone()))
    }

    fn text(&self) -> Result<&'de str, Wrong> {
        match self.form {
            Form::Text(text) if text.is_empty() => {
                let path = &self.path;
                Err(Wrong(
                    Refusal::invalid(format!(
                        "You passed an empty string for '{path}'. We assume empty values are an attempt to unset a parameter; however \
                         '{path}' cannot be unset. You should remove '{path}' from your request or supply a non-empty value."
                    ))
                    .code("parameter_invalid_empty")
                    .param(path.clone()),
                ))
            }
            Form::Text(text) if text.chars().count() > MAXIMUM_CHARACTERS => {
                let characters: Vec<char> = text.chars().collect();
                let head: String = characters[..4].iter().collect();
                let tail: String = characters[characters.len() - 4..].iter().collect();
                Err(self
                    .wrong(format!("Invalid string: {head}...{tail}; must be at most {MAXIMUM_CHARACTERS} characters")))
            }
            Form::Text(text) => Ok(text),
            Form::List(_) | Form::Map(_) => Err(self.wrong(format!("Invalid string: {}", json(self.form)))),
        }
    }

    /// Gives an error that has no path yet the path of this place.
    fn place<T>(path: &str, result: Result<T, Wrong>) -> Result<T, Wrong> {
        result.map_err(|Wrong(mut refusal)| {
            match &refusal.param {
                None if path.is_empty() => {}
                None => refusal.param = Some(path.to_owned()),
                // "Missing required param" knows only the field; here is where it is missing.
                Some(param)
                    if refusal.code.as_deref() == Some("parameter_missing")
                        && !param.contains('[')
                        && !path.is_empty() =>
                {
                    let full = format!("{path}[{param}]");
                    refusal.message = format!("Missing required param: {full}.");
                    refusal.param = Some(full);
                }
                Some(_) => {}
            }
            Wrong(refusal)
        })
    }

    fn integer(&self) -> Result<i64, Wrong> {
        let text = self.text()?;
        text.parse().map_err(|_| {
            let refusal = Refusal::invalid(format!("Invalid integer: {text}")).code("parameter_invalid_integer");
            Wrong(refusal.param(self.path.clone()))
        })
    }
}

fn json(form: &Form) -> serde_json::Value {
    match form {
        Form::Text(text) => text.as_str().into(),
        Form::List(items) => items.iter().map(json).collect(),
        Form::Map(members) => members.iter().map(|(key, form)| (key.clone(), json(form))).collect(),
    }
}

impl<'de> de::Deserializer<'de> for Reader<'de, '_> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.form {
            Form::Text(_) => self.deserialize_str(visitor),
            Form::List(_) => self.deserialize_seq(visitor),
            Form::Map(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.text()? {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            other => Err(self.wrong(format!("Invalid boolean: {other}"))),
        }
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let integer = self.integer()?;
        let path = self.path;
        Self::place(&path, visitor.visit_i64(integer))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let text = self.text()?;
        let path = self.path;
        Self::place(&path, visitor.visit_borrowed_str(text))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Wrong> {
        match (name, self.form) {
            (PATCH, Form::Text(text)) if text.is_empty() => visitor.visit_unit(),
            (VERBATIM, Form::Text(text)) => visitor.visit_str(text),
            _ => {
                let path = self.path.clone();
                Self::place(&path, visitor.visit_newtype_struct(self))
            }
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.form {
            Form::List(items) => {
                let path = self.path.clone();
                let items = Items { reader: self, items: items.iter().enumerate() };
                Self::place(&path, visitor.visit_seq(items))
            }
            Form::Text(_) | Form::Map(_) => Err(self.wrong("Invalid array".to_owned())),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.form {
            Form::Map(members) => {
                let path = self.path.clone();
                let members = Members { reader: self, members: members.iter(), value: None, known: None };
                Self::place(&path, visitor.visit_map(members))
            }
            // `metadata[0]=x`: digits that were keys after all.
            Form::List(items) => {
                let path = self.path.clone();
                let items = Numbered { reader: self, items: items.iter().enumerate(), value: None };
                Self::place(&path, visitor.visit_map(items))
            }
            Form::Text(_) => Err(self.wrong("Invalid object".to_owned())),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let Form::Map(members) = self.form else { return Err(self.wrong("Invalid object".to_owned())) };
        for (key, form) in members.iter().filter(|(key, _)| !fields.contains(&key.as_str())) {
            self.unknown.borrow_mut().push((self.at(form, key).path, meant(key, fields)));
        }
        let path = self.path.clone();
        let members = Members { reader: self, members: members.iter(), value: None, known: Some(fields) };
        Self::place(&path, visitor.visit_map(members))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let text = self.text()?;
        if !variants.contains(&text) {
            let name = self.path.rsplit('[').next().unwrap_or_default().trim_end_matches(']');
            return Err(self.wrong(format!("Invalid {name}: must be one of {}", one_of(variants))));
        }
        visitor.visit_enum(Word(text))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct identifier
    }
}

/// `a`, `a or b`, `a, b, or c`.
pub fn one_of(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [one, other] => format!("{one} or {other}"),
        [most @ .., last] => format!("{}, or {last}", most.join(", ")),
    }
}

struct Items<'de, 'u> {
    reader: Reader<'de, 'u>,
    items: std::iter::Enumerate<std::slice::Iter<'de, Form>>,
}

impl<'de> SeqAccess<'de> for Items<'de, '_> {
    type Error = Wrong;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Wrong> {
        let Some((index, form)) = self.items.next() else { return Ok(None) };
        let reader = self.reader.at(form, &index.to_string());
        let path = reader.path.clone();
        Reader::place(&path, seed.deserialize(reader)).map(Some)
    }
}

struct Members<'de, 'u> {
    reader: Reader<'de, 'u>,
    members: std::slice::Iter<'de, (String, Form)>,
    value: Option<Reader<'de, 'u>>,
    /// The fields of the struct that is read; others were reported and are passed over.
    known: Option<&'static [&'static str]>,
}

impl<'de> MapAccess<'de> for Members<'de, '_> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        for (key, form) in self.members.by_ref() {
            if self.known.is_some_and(|known| !known.contains(&key.as_str())) {
                continue;
            }
            self.value = Some(self.reader.at(form, key));
            let key: de::value::BorrowedStrDeserializer<'_, Wrong> = de::value::BorrowedStrDeserializer::new(key);
            return seed.deserialize(key).map(Some);
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        match self.value.take() {
            Some(reader) => {
                let path = reader.path.clone();
                Reader::place(&path, seed.deserialize(reader))
            }
            None => Err(de::Error::custom("a value without a key")),
        }
    }
}

struct Numbered<'de, 'u> {
    reader: Reader<'de, 'u>,
    items: std::iter::Enumerate<std::slice::Iter<'de, Form>>,
    value: Option<Reader<'de, 'u>>,
}

impl<'de> MapAccess<'de> for Numbered<'de, '_> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        let Some((index, form)) = self.items.next() else { return Ok(None) };
        let key = index.to_string();
        self.value = Some(self.reader.at(form, &key));
        seed.deserialize(key.into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        match self.value.take() {
            Some(reader) => {
                let path = reader.path.clone();
                Reader::place(&path, seed.deserialize(reader))
            }
            None => Err(de::Error::custom("a value without a key")),
        }
    }
}

struct Word<'de>(&'de str);

impl<'de> EnumAccess<'de> for Word<'de> {
    type Error = Wrong;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Wrong> {
        let name: de::value::BorrowedStrDeserializer<'_, Wrong> = de::value::BorrowedStrDeserializer::new(self.0);
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Word<'de> {
    type Error = Wrong;

    fn unit_variant(self) -> Result<(), Wrong> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _seed: T) -> Result<T::Value, Wrong> {
        Err(de::Error::custom("a word was expected"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, _visitor: V) -> Result<V::Value, Wrong> {
        Err(de::Error::custom("a word was expected"))
    }

    fn struct_variant<V: Visitor<'de>>(self, _fields: &'static [&'static str], _visitor: V) -> Result<V::Value, Wrong> {
        Err(de::Error::custom("a word was expected"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        billing::{MetadataPatch, shape::Patch},
        words,
    };

    words!(Colour { Red = "red", Green = "green", Blue = "blue" });

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Sample {
        name: Option<String>,
        count: Option<i64>,
        flag: Option<bool>,
        colour: Option<Colour>,
        note: Patch<String>,
        items: Vec<Item>,
        metadata: MetadataPatch,
    }

    #[derive(Debug, Deserialize)]
    struct Item {
        price: String,
        quantity: Option<i64>,
    }

    fn sample(form: &str) -> Result<Sample, Refusal> {
        read(&Form::parse(&[form.as_bytes()])?)
    }

    #[test]
    fn reads_every_kind() {
        let form = "name=A&count=-5&flag=true&colour=green&note=&items[0][price]=p&items[0][quantity]=2&metadata[a]=&metadata[0]=z";
        let read = sample(form).unwrap();
        assert_eq!((read.name.as_deref(), read.count, read.flag), (Some("A"), Some(-5), Some(true)));
        assert_eq!((read.colour, read.note), (Some(Colour::Green), Patch::Clear));
        assert_eq!((read.items[0].price.as_str(), read.items[0].quantity), ("p", Some(2)));
        assert!(matches!(read.metadata, MetadataPatch::Merge(pairs) if pairs["a"].is_empty() && pairs["0"] == "z"));
        assert_eq!(sample("metadata=").unwrap().metadata, MetadataPatch::Clear);
        assert!(matches!(sample("metadata[0]=z").unwrap().metadata, MetadataPatch::Merge(pairs) if pairs["0"] == "z"));
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        for (form, param, code, message) in [
            ("nmae=A", "nmae", Some("parameter_unknown"), "Received unknown parameter: nmae. Did you mean name?"),
            (
                "items[0][prices]=p",
                "items[0][prices]",
                Some("parameter_unknown"),
                "Received unknown parameter: items[0][prices]. Did you mean price?",
            ),
            ("count=x&zz=1&items[0][x]=1", "zz", Some("parameter_unknown"), "Received unknown parameter: zz"),
            ("count=1.5", "count", Some("parameter_invalid_integer"), "Invalid integer: 1.5"),
            ("count=99999999999999999999", "count", Some("parameter_invalid_integer"), "Invalid integer: 9999"),
            ("flag=yes", "flag", None, "Invalid boolean: yes"),
            ("colour=pink", "colour", None, "Invalid colour: must be one of red, green, or blue"),
            ("name=", "name", Some("parameter_invalid_empty"), "You passed an empty string for 'name'."),
            ("name[a]=1", "name", None, "Invalid string: {\"a\":\"1\"}"),
            ("items=1", "items", None, "Invalid array"),
            ("items[0]=1", "items[0]", None, "Invalid object"),
            (
                "items[0][quantity]=1",
                "items[0][price]",
                Some("parameter_missing"),
                "Missing required param: items[0][price].",
            ),
            (
                "items[0][price]=p&items[0][quantity]=x",
                "items[0][quantity]",
                Some("parameter_invalid_integer"),
                "Invalid integer: x",
            ),
            ("metadata=x", "metadata", None, "Invalid object"),
        ] {
            let refusal = sample(form).unwrap_err();
            assert_eq!((refusal.param.as_deref(), refusal.code.as_deref()), (Some(param), code), "{form}");
            assert!(refusal.message.starts_with(message), "{form}: {}", refusal.message);
        }
    }
}
