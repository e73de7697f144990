//! What search can ask of a noun: its fields, and the columns that they stand on.

/// A field that queries may name.
#[derive(Debug)]
pub struct Searchable {
    /// As queries name it: `billing_details.address.postal_code`.
    pub field: &'static str,
    pub asked: Asked,
    pub stand: Stand,
}

/// What may be asked of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Whether it is equal, greater or less.
    Number,
    /// Whether it is equal, and whether it contains something.
    String,
    /// Whether it is equal.
    Token,
}

/// What a field stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// A column of text in lower case, with indexes for all of it and for parts of it.
    Folded(&'static str),
    /// A column of text as it was given.
    Text(&'static str),
    /// A column of Stripe's own words, all in lower case.
    Word(&'static str),
    /// A column of ids, with an index: ids are compared as they are.
    Id(&'static str),
    Number(&'static str),
    Boolean(&'static str),
    /// The column `metadata`, pair by pair.
    Metadata,
    /// Nothing: it is never set on this server.
    Nothing,
}

/// The field of a noun that has this name.
pub fn find(fields: &'static [Searchable], name: &str) -> Option<&'static Searchable> {
    fields.iter().find(|searchable| searchable.field == name)
}

/// Text as it is compared: its case does not matter.
pub fn fold(text: &str) -> String {
    text.to_lowercase()
}

pub const METADATA: Searchable = Searchable { field: "metadata", asked: Asked::Token, stand: Stand::Metadata };

pub const CREATED: Searchable = number("created");

/// A number in the column of its name.
pub const fn number(field: &'static str) -> Searchable {
    Searchable { field, asked: Asked::Number, stand: Stand::Number(field) }
}

pub const fn string(field: &'static str, stand: Stand) -> Searchable {
    Searchable { field, asked: Asked::String, stand }
}

pub const fn token(field: &'static str, stand: Stand) -> Searchable {
    Searchable { field, asked: Asked::Token, stand }
}
