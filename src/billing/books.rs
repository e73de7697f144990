//! Everything loaded about one customer (or one shared noun), and a journal of what changed.
//!
//! Rules read and change Books in memory and call each other; nothing is written until the engine
//! closes them. A preview opens Books and never closes them.

mod withheld;

use std::{
    collections::BTreeMap,
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde_json::{
    Map, Value,
    value::{RawValue, to_raw_value},
};

use super::{
    Id, Moment, Noun, Refusal, Resource, Timestamp,
    balance_transaction::BalanceTransaction,
    charge::Charge,
    credit_note::CreditNote,
    customer::Customer,
    id::Bucket,
    invoice::Invoice,
    invoice_item::InvoiceItem,
    invoice_payment::InvoicePayment,
    noun::{Cell, Part},
    payment_intent::PaymentIntent,
    payment_method::PaymentMethod,
    plain::Plain,
    price::Price,
    product::Product,
    refund::Refund,
    setup_intent::SetupIntent,
    subscription::Subscription,
    test_clock::TestClock,
    webhook_endpoint::WebhookEndpoint,
    wire,
};

pub use withheld::Withheld;

/// Prices and products that are referred to: read-only, shared by all books of a batch.
#[derive(Debug, Default)]
pub struct Catalogue {
    pub prices: HashMap<Id<Price>, Price>,
    pub products: HashMap<Id<Product>, Product>,
    /// Who listens.
    pub endpoints: Arc<[WebhookEndpoint]>,
    /// Prices as they are spoken.
    spoken: HashMap<String, Value>,
}

impl Catalogue {
    pub fn add_price(&mut self, price: Price, document: Value) {
        self.spoken.insert(price.id.to_string(), document);
        self.prices.insert(price.id.clone(), price);
    }
}

/// One document in the books.
#[derive(Clone, Debug)]
struct Page<R> {
    document: R,
    /// In the database already.
    stored: bool,
    changed: bool,
    gone: bool,
    parts_changed: bool,
    /// What the last event about it showed, or what was loaded: `previous_attributes` count from here.
    base: Option<Base<R>>,
    /// The document as spoken, until it changes.
    text: Option<Arc<RawValue>>,
}

#[derive(Clone, Debug)]
enum Base<R> {
    Loaded(Box<R>),
    Told(Arc<RawValue>),
}

#[derive(Clone, Debug)]
pub struct Shelf<R>(BTreeMap<Id<R>, Page<R>>);

impl<R> Default for Shelf<R> {
    fn default() -> Self {
        Shelf(BTreeMap::new())
    }
}

/// An event, told but not yet written.
#[derive(Clone, Debug)]
pub struct Told {
    pub id: String,
    pub created: Timestamp,
    pub kind: &'static str,
    pub livemode: bool,
    /// The id of the document that it is about.
    pub about: String,
    /// The document as it was at that moment, in the newest wire shape.
    pub object: Arc<RawValue>,
    pub previous: Option<Map<String, Value>>,
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
    pub cells: Vec<Cell>,
    /// The parts, when they have changed.
    pub parts: Option<Vec<Part>>,
    pub body: String,
}

/// A noun that books can hold.
pub trait Shelved: Resource {
    fn shelf(books: &Books) -> &Shelf<Self>;
    fn shelf_mut(books: &mut Books) -> &mut Shelf<Self>;
}

macro_rules! shelves {
    ($($field:ident: $noun:ty),+ $(,)?) => {
        /// See the module's documentation.
        #[derive(Clone, Debug, Default)]
        pub struct Books {
            catalogue: Arc<Catalogue>,
            told: Vec<Told>,
            broken: Option<&'static str>,
            /// Events that an endpoint has not acknowledged, as far as somebody asked.
            unheard: Arc<HashSet<String>>,
            /// Set when only one mode may be seen.
            livemode: Option<bool>,
            $($field: Shelf<$noun>),+
        }

        $(impl Shelved for $noun {
            fn shelf(books: &Books) -> &Shelf<Self> { &books.$field }
            fn shelf_mut(books: &mut Books) -> &mut Shelf<Self> { &mut books.$field }
        })+

        impl Books {
            /// Puts a stored document into the books. The object name says which noun it is.
            pub fn load(&mut self, object: &str, body: &str) -> Result<(), serde_json::Error> {
                $(if object == <$noun as Resource>::NOUN.object {
                    self.$field.load(serde_json::from_str::<$noun>(body)?);
                    return Ok(());
                })+
                Err(serde::de::Error::custom(format_args!("books hold no {object}")))
            }

            /// Forgets what belongs to the other mode: test and live never mix.
            pub fn keep_mode(&mut self, livemode: bool) {
                self.livemode = Some(livemode);
                $(self.$field.0.retain(|_, page| page.document.livemode() == livemode);)+
            }

            /// All that changed, noun by noun, each with its place in an order that foreign keys
            /// accept; and the events.
            pub fn into_changes(self) -> Result<(Vec<(usize, Changes)>, Vec<Told>), serde_json::Error> {
                let mut changes = Vec::new();
                let mut place = 0;
                $(
                    changes.extend(self.$field.into_changes()?.map(|found| (place, found)));
                    place += 1;
                )+
                let _ = place;
                Ok((changes, self.told))
            }
        }
    };
}

shelves! {
    products: Product,
    prices: Price,
    test_clocks: TestClock,
    webhook_endpoints: WebhookEndpoint,
    customers: Customer,
    payment_methods: PaymentMethod,
    setup_intents: SetupIntent,
    subscriptions: Subscription,
    invoices: Invoice,
    invoice_items: InvoiceItem,
    payment_intents: PaymentIntent,
    invoice_payments: InvoicePayment,
    charges: Charge,
    refunds: Refund,
    balance_transactions: BalanceTransaction,
    credit_notes: CreditNote,
}

impl<R: Resource> Shelf<R> {
    fn load(&mut self, document: R) {
        let id = document.id().clone();
        let page =
            Page { document, stored: true, changed: false, gone: false, parts_changed: false, base: None, text: None };
        self.0.entry(id).or_insert(page);
    }

    fn into_changes(self) -> Result<Option<Changes>, serde_json::Error> {
        let mut found = Changes { noun: R::NOUN, inserted: Vec::new(), updated: Vec::new(), removed: Vec::new() };
        for page in self.0.into_values().filter(|page| page.changed) {
            let row = Row::of(&page.document, page.parts_changed)?;
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
    fn of<R: Resource>(document: &R, parts_changed: bool) -> Result<Row, serde_json::Error> {
        Ok(Row {
            id: document.id().to_string(),
            bucket: document.id().bucket(),
            livemode: document.livemode(),
            created: document.created(),
            due: document.due(),
            cells: document.cells(),
            parts: parts_changed.then(|| document.parts()),
            body: serde_json::to_string(document)?,
        })
    }
}

impl Books {
    pub fn new(catalogue: Arc<Catalogue>) -> Books {
        Books { catalogue, ..Books::default() }
    }

    pub fn get<R: Shelved>(&self, id: &Id<R>) -> Option<&R> {
        R::shelf(self).0.get(id).filter(|page| !page.gone).map(|page| &page.document)
    }

    /// All of a noun, oldest first.
    pub fn all<R: Shelved>(&self) -> impl Iterator<Item = &R> {
        R::shelf(self).0.values().filter(|page| !page.gone).map(|page| &page.document)
    }

    /// Those of a noun that this decision made or changed.
    pub fn changed<R: Shelved>(&self) -> impl Iterator<Item = &R> {
        R::shelf(self).0.values().filter(|page| page.changed && !page.gone).map(|page| &page.document)
    }

    /// A document that a parameter or the path names, or "No such …" with that parameter.
    pub fn find<R: Shelved>(&self, id: &Id<R>, param: &str) -> Result<&R, Refusal> {
        self.get(id).ok_or_else(|| Refusal::no_such(R::NOUN.name, id.as_str()).param(param))
    }

    /// The one customer whose books these are.
    pub fn customer(&self) -> Result<&Customer, Refusal> {
        let deleted = || Refusal::invalid("This customer has been deleted.").code("resource_missing").param("customer");
        self.all::<Customer>().next().ok_or_else(deleted)
    }

    pub fn price(&self, id: &Id<Price>) -> Option<&Price> {
        self.get(id).or_else(|| self.catalogue.prices.get(id).filter(|price| self.sees(price.livemode)))
    }

    pub fn product(&self, id: &Id<Product>) -> Option<&Product> {
        self.get(id).or_else(|| self.catalogue.products.get(id).filter(|product| self.sees(product.livemode)))
    }

    fn sees(&self, livemode: bool) -> bool {
        self.livemode.is_none_or(|only| only == livemode)
    }

    /// A document that the path names, or 404.
    pub fn at_path<R: Shelved>(&self, id: &Id<R>) -> Result<&R, Refusal> {
        let name = R::NOUN.name;
        self.get(id).ok_or_else(|| Refusal::not_found(name, id.as_str()).in_mode(name, self.livemode.unwrap_or(false)))
    }

    /// Keeps a new or changed document. What breaks the noun's own rules spoils the whole decision.
    pub fn put<R: Shelved>(&mut self, document: R) -> Kept<'_, R> {
        if let Err(broken) = document.check() {
            self.broken.get_or_insert(broken);
        }
        let id = document.id().clone();
        match R::shelf_mut(self).0.get_mut(&id) {
            Some(page) => {
                page.parts_changed |= page.document.parts() != document.parts();
                let before = std::mem::replace(&mut page.document, document);
                if page.base.is_none() && page.stored {
                    page.base = Some(Base::Loaded(Box::new(before)));
                }
                (page.changed, page.text) = (true, None);
            }
            None => {
                let page = Page {
                    document,
                    stored: false,
                    changed: true,
                    gone: false,
                    parts_changed: true,
                    base: None,
                    text: None,
                };
                R::shelf_mut(self).0.insert(id.clone(), page);
            }
        }
        Kept { books: self, id }
    }

    pub fn remove<R: Shelved>(&mut self, id: &Id<R>) {
        if let Some(page) = R::shelf_mut(self).0.get_mut(id) {
            (page.gone, page.changed) = (true, true);
        }
    }

    /// Tells an event beside the update that goes with it: `previous_attributes` still count from before.
    pub fn tell_beside<R: Shelved>(&mut self, id: &Id<R>, kind: &'static str, at: &mut Moment) {
        let base = R::shelf(self).0.get(id).and_then(|page| page.base.clone());
        self.tell(id, kind, at);
        if let Some(page) = R::shelf_mut(self).0.get_mut(id) {
            page.base = base;
        }
    }

    /// Tells an event about a document as it is now. An update without a change tells nothing.
    pub fn tell<R: Shelved>(&mut self, id: &Id<R>, kind: &'static str, at: &mut Moment) {
        let mut previous = None;
        if kind.ends_with(".updated") {
            previous = self.previous_attributes(id);
            if previous.is_none() {
                return;
            }
        }
        let Some(object) = self.text(id) else { return };
        let Some(page) = R::shelf_mut(self).0.get_mut(id) else { return };
        page.base = Some(Base::Told(Arc::clone(&object)));
        let (livemode, about) = (page.document.livemode(), id.to_string());
        let id = at.ids.next(super::event::NOUN.prefix, id.bucket());
        self.told.push(Told { id, created: at.now, kind, livemode, about, object, previous });
    }

    /// Tells the latest news about a document once more, under another name.
    pub fn echo<R: Shelved>(&mut self, id: &Id<R>, kind: &str, other: &'static str, at: &mut Moment) {
        let news = self.told.iter().rfind(|told| told.kind == kind && told.about == id.as_str()).cloned();
        let event = at.ids.next(super::event::NOUN.prefix, id.bucket());
        self.told.extend(news.map(|told| Told { id: event, kind: other, ..told }));
    }

    fn previous_attributes<R: Shelved>(&self, id: &Id<R>) -> Option<Map<String, Value>> {
        let page = R::shelf(self).0.get(id)?;
        let before = match page.base.as_ref()? {
            Base::Told(text) => serde_json::from_str(text.get()).ok()?,
            Base::Loaded(document) => self.spoken(document.as_ref()),
        };
        wire::previous_attributes(&before, &self.spoken(&page.document))
    }

    /// Tells an event about the legacy view of a price.
    pub fn tell_plan(&mut self, id: &Id<Price>, kind: &'static str, at: &mut Moment) {
        let Some(plan) = self.image(id).map(|price| super::price::as_plan(&price)) else { return };
        let Some(livemode) = self.price(id).map(|price| price.livemode) else { return };
        let Ok(object) = to_raw_value(&plan) else { return };
        let (about, event) = (id.to_string(), at.ids.next(super::event::NOUN.prefix, id.bucket()));
        let told = Told { id: event, created: at.now, kind, livemode, about, object: object.into(), previous: None };
        self.told.push(told);
    }

    /// Whether an endpoint wants to hear of such events.
    pub fn is_heard(&self, livemode: bool, kind: &str) -> bool {
        self.catalogue.endpoints.iter().any(|endpoint| endpoint.listens_to(livemode, kind))
    }

    /// Whether an endpoint has yet to acknowledge an event.
    pub fn is_unheard(&self, event: &str) -> bool {
        self.unheard.contains(event)
    }

    /// Which of the events that were asked about are not acknowledged.
    pub fn learn_unheard(&mut self, events: Arc<HashSet<String>>) {
        self.unheard = events;
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

    /// Whether this decision has made a document.
    pub fn is_new<R: Shelved>(&self, id: &Id<R>) -> bool {
        R::shelf(self).0.get(id).is_some_and(|page| !page.stored)
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

    /// What is wrong with what was put, if anything: such books must not be closed.
    pub fn soundness(&self) -> Result<(), Refusal> {
        match self.broken {
            None => Ok(()),
            Some(broken) => Err(Refusal::internal(broken)),
        }
    }
}

/// A document that was just put, for telling about it in the same breath.
pub struct Kept<'a, R: Shelved> {
    books: &'a mut Books,
    id: Id<R>,
}

impl<R: Shelved> Kept<'_, R> {
    #[expect(clippy::return_self_not_must_use, reason = "telling is the effect; chaining is optional")]
    pub fn tell(self, kind: &'static str, at: &mut Moment) -> Self {
        self.books.tell(&self.id, kind, at);
        self
    }
}
