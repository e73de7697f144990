//! Where the documents of one noun stand, and what has changed about each.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::value::RawValue;

use crate::billing::{
    Id, Noun, Resource, Timestamp,
    id::Bucket,
    noun::{Cell, Part},
};

/// One document in the books.
#[derive(Clone, Debug)]
pub(super) struct Page<R> {
    pub(super) document: R,
    /// In the database already.
    pub(super) stored: bool,
    pub(super) changed: bool,
    pub(super) gone: bool,
    parts_changed: bool,
    /// How many events were told of it, ever.
    told: i32,
    /// What the last event about it showed, or what was loaded: `previous_attributes` count from here.
    pub(super) base: Option<Base<R>>,
    /// The document as spoken, until it changes.
    pub(super) text: Option<Arc<RawValue>>,
}

#[derive(Clone, Debug)]
pub(super) enum Base<R> {
    Loaded(Box<R>),
    Told(Arc<RawValue>),
}

/// The documents of one noun. Boxed, for a node of the tree has room for eleven of them, and most shelves hold one.
#[derive(Clone, Debug)]
pub struct Shelf<R>(pub(super) BTreeMap<Id<R>, Box<Page<R>>>);

impl<R> Default for Shelf<R> {
    fn default() -> Self {
        Shelf(BTreeMap::new())
    }
}

/// What closing the books writes for one noun.
#[derive(Debug)]
pub struct Changes {
    pub noun: &'static Noun,
    pub inserted: Vec<Row>,
    pub updated: Vec<Row>,
    pub removed: Vec<Row>,
}

impl Changes {
    /// Another customer's changes of the same noun.
    pub fn append(&mut self, mut other: Changes) {
        self.inserted.append(&mut other.inserted);
        self.updated.append(&mut other.updated);
        self.removed.append(&mut other.removed);
    }
}

/// A document as a row.
#[derive(Debug)]
pub struct Row {
    pub id: String,
    pub bucket: Bucket,
    pub livemode: bool,
    pub created: Timestamp,
    pub due: Option<Timestamp>,
    /// How many events were told of it, ever.
    pub told: i32,
    pub cells: Vec<Cell>,
    /// The parts, when they have changed.
    pub parts: Option<Vec<Part>>,
    pub body: String,
}

impl<R> Page<R> {
    fn new(document: R, stored: bool, told: i32) -> Page<R> {
        Page { document, stored, changed: !stored, gone: false, parts_changed: !stored, told, base: None, text: None }
    }

    /// The number of the next event about it. The counter rests in its row, whose writers wait for each
    /// other: no two processes give the same number, whatever their clocks say.
    pub(super) fn next_sequence(&mut self) -> i32 {
        self.changed = true;
        self.told += 1;
        self.told
    }
}

impl<R: Resource> Shelf<R> {
    pub(super) fn load(&mut self, document: R, told: i32) {
        self.0.entry(document.id().clone()).or_insert_with(|| Box::new(Page::new(document, true, told)));
    }

    pub(super) fn put(&mut self, document: R) {
        let Some(page) = self.0.get_mut(document.id()) else {
            self.0.insert(document.id().clone(), Box::new(Page::new(document, false, 0)));
            return;
        };
        page.parts_changed |= page.document.parts() != document.parts();
        let before = std::mem::replace(&mut page.document, document);
        if page.base.is_none() && page.stored {
            page.base = Some(Base::Loaded(Box::new(before)));
        }
        (page.changed, page.text) = (true, None);
    }

    pub(super) fn into_changes(self) -> Result<Option<Changes>, serde_json::Error> {
        let mut found = Changes { noun: R::NOUN, inserted: Vec::new(), updated: Vec::new(), removed: Vec::new() };
        for page in self.0.into_values().filter(|page| page.changed) {
            let row = Row::of(&page.document, page.told, page.parts_changed)?;
            match (page.gone, page.stored) {
                (true, true) => found.removed.push(row),
                (true, false) => {}
                (false, true) => found.updated.push(row),
                (false, false) => found.inserted.push(row),
            }
        }
        let nothing = found.inserted.is_empty() && found.updated.is_empty() && found.removed.is_empty();
        Ok((!nothing).then_some(found))
    }
}

impl Row {
    fn of<R: Resource>(document: &R, told: i32, parts_changed: bool) -> Result<Row, serde_json::Error> {
        Ok(Row {
            id: document.id().to_string(),
            bucket: document.id().bucket(),
            livemode: document.livemode(),
            created: document.created(),
            due: document.due(),
            told,
            cells: document.cells(),
            parts: parts_changed.then(|| document.parts()),
            body: serde_json::to_string(document)?,
        })
    }
}
