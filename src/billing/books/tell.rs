//! Telling of what has changed: an event is a document as it was at that moment.

use std::sync::Arc;

use serde_json::{
    Map, Value,
    value::{RawValue, to_raw_value},
};

use super::{Books, Shelved, shelf::Base};
use crate::billing::{Id, Moment, Resource, Timestamp, event, plain::Plain, price::Price, wire};

/// An event, told but not yet written.
#[derive(Clone, Debug)]
pub struct Told {
    pub id: String,
    pub created: Timestamp,
    pub kind: &'static str,
    pub livemode: bool,
    /// The id of the document that it is about.
    pub about: String,
    /// Its number among all events about that document.
    pub sequence: i32,
    /// The document as it was at that moment, in the newest wire shape.
    pub object: Arc<RawValue>,
    pub previous: Option<Map<String, Value>>,
}

/// How events end that say what was before.
const UPDATES: [&str; 2] = [".updated", ".automatically_updated"];

impl Books {
    /// Tells an event beside the update that goes with it: `previous_attributes` still count from before.
    pub fn tell_beside<R: Shelved>(&mut self, id: &Id<R>, kind: &'static str, at: &mut Moment) {
        let base = R::shelf(self).0.get(id).and_then(|page| page.base.clone());
        self.tell(id, kind, at);
        if let Some(page) = R::shelf_mut(self).0.get_mut(id) {
            page.base = base;
        }
    }

    /// Tells an event about a document as it is now. An update without a change tells nothing, nor does what
    /// callers never see.
    pub fn tell<R: Shelved>(&mut self, id: &Id<R>, kind: &'static str, at: &mut Moment) {
        if !R::NOUN.shows(id.as_str()) {
            return;
        }
        let mut previous = None;
        if UPDATES.iter().any(|ending| kind.ends_with(ending)) {
            previous = self.previous_attributes(id);
            if previous.is_none() {
                return;
            }
        }
        let Some(object) = self.text(id) else { return };
        let Some(page) = R::shelf_mut(self).0.get_mut(id) else { return };
        page.base = Some(Base::Told(Arc::clone(&object)));
        let (livemode, about, sequence) = (page.document.livemode(), id.to_string(), page.next_sequence());
        let id = at.ids.next(event::NOUN.prefix, id.bucket());
        self.told.push(Told { id, created: at.now, kind, livemode, about, sequence, object, previous });
    }

    /// Tells the latest news about a document once more, under another name.
    pub fn echo<R: Shelved>(&mut self, id: &Id<R>, kind: &str, other: &'static str, at: &mut Moment) {
        let news = self.told.iter().rfind(|told| told.kind == kind && told.about == id.as_str()).cloned();
        let Some((news, page)) = news.zip(R::shelf_mut(self).0.get_mut(id)) else { return };
        let sequence = page.next_sequence();
        let event = at.ids.next(event::NOUN.prefix, id.bucket());
        self.told.push(Told { id: event, kind: other, sequence, ..news });
    }

    fn previous_attributes<R: Shelved>(&self, id: &Id<R>) -> Option<Map<String, Value>> {
        let page = R::shelf(self).0.get(id)?;
        let before = match page.base.as_ref()? {
            Base::Told(text) => serde_json::from_str(text.get()).ok()?,
            Base::Loaded(document) => self.spoken(document.as_ref()),
        };
        wire::previous_attributes(&before, &self.spoken(&page.document))
    }

    /// Tells an event about the legacy view of a document. An update counts from the document as it was `before`.
    pub fn tell_view<R: Shelved>(
        &mut self,
        id: &Id<R>,
        kind: &'static str,
        (view, before): (fn(&Value) -> Value, Option<&Value>),
        at: &mut Moment,
    ) {
        let Some(shown) = self.image(id).map(|image| view(&image)) else { return };
        let previous = before.map(|before| wire::previous_attributes(&view(before), &shown));
        match previous {
            Some(None) => {}
            previous => self.tell_as(id, kind, &shown, previous.flatten(), at),
        }
    }

    /// Tells that something about a document has changed which it does not show.
    pub fn tell_unseen<R: Shelved>(&mut self, id: &Id<R>, kind: &'static str, at: &mut Moment) {
        let Some(image) = self.image(id) else { return };
        self.tell_value(id, kind, &image, at);
    }

    /// Tells an event that belongs to a document, and shows something else.
    pub fn tell_value<R: Shelved>(&mut self, id: &Id<R>, kind: &'static str, value: &Value, at: &mut Moment) {
        self.tell_as(id, kind, value, None, at);
    }

    fn tell_as<R: Shelved>(
        &mut self,
        id: &Id<R>,
        kind: &'static str,
        value: &Value,
        previous: Option<Map<String, Value>>,
        at: &mut Moment,
    ) {
        let Some(livemode) = self.get(id).map(Resource::livemode) else { return };
        let Ok(object) = to_raw_value(value) else { return };
        let (about, event) = (id.to_string(), at.ids.next(event::NOUN.prefix, id.bucket()));
        let (sequence, object) = (self.next_sequence_of(&about), object.into());
        self.told.push(Told { id: event, created: at.now, kind, livemode, about, sequence, object, previous });
    }

    /// The id of the newest event that was told.
    pub fn last_told(&self) -> Option<&str> {
        self.told.last().map(|told| told.id.as_str())
    }

    /// Makes an event that this decision has told already show the document as it is now: for what is
    /// made in several steps but created once.
    pub fn retell<R: Shelved>(&mut self, id: &Id<R>, kind: &'static str) {
        let Some(text) = self.text(id) else { return };
        if let Some(told) = self.told.iter_mut().find(|told| told.kind == kind && told.about == id.as_str()) {
            told.object = Arc::clone(&text);
        }
        if let Some(page) = R::shelf_mut(self).0.get_mut(id) {
            page.base = Some(Base::Told(text));
        }
    }

    /// Makes the next update of a document count from an earlier image than the one that was loaded: for
    /// what is changed in two transactions but told of once.
    pub fn compare_with<R: Shelved>(&mut self, id: &Id<R>, before: R) {
        if let Some(page) = R::shelf_mut(self).0.get_mut(id) {
            page.base = Some(Base::Loaded(Box::new(before)));
        }
    }

    /// A document as a client sees it.
    pub fn image<R: Shelved>(&self, id: &Id<R>) -> Option<Value> {
        R::shelf(self).0.get(id).map(|page| self.spoken(&page.document))
    }

    /// The same as text, made once until the document changes.
    fn text<R: Shelved>(&mut self, id: &Id<R>) -> Option<Arc<RawValue>> {
        let page = R::shelf(self).0.get(id)?;
        if let Some(text) = &page.text {
            return Some(Arc::clone(text));
        }
        let spoken = if page.document.is_plain() {
            to_raw_value(&Plain(&page.document))
        } else {
            to_raw_value(&self.spoken(&page.document))
        };
        let text: Arc<RawValue> = spoken.ok()?.into();
        if let Some(page) = R::shelf_mut(self).0.get_mut(id) {
            page.text = Some(Arc::clone(&text));
        }
        Some(text)
    }

    fn spoken<R: Resource>(&self, document: &R) -> Value {
        let mut value = serde_json::to_value(document).unwrap_or(Value::Null);
        wire::wire(R::NOUN, &mut value, &|id| {
            let made_here = || serde_json::to_value(self.get::<Price>(&Id::given(id))?).ok();
            self.catalogue.spoken.get(id).cloned().or_else(made_here)
        });
        value
    }
}
