//! Everything loaded about one customer (or one shared noun), and a journal of what changed.
//!
//! Rules read and change Books in memory and call each other; nothing is written until the engine
//! closes them. A preview opens Books and never closes them.

mod catalogue;
mod learned;
mod shelf;
mod tell;
mod withheld;

use std::sync::Arc;

use super::{Id, Moment, Noun, Refusal, Resource, customer::Customer, hold::Hearing, price::Price, product::Product};

pub use catalogue::Catalogue;
pub use learned::{Experience, Learned};
pub use shelf::{Changes, Row, Shelf};
pub use tell::Told;
pub use withheld::Withheld;

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
            /// Which events were acknowledged, as far as somebody asked.
            hearing: Arc<Hearing>,
            /// What is known of retries, if anybody said.
            experience: Option<Arc<Experience>>,
            learned: Vec<Learned>,
            /// Set when only one mode may be seen.
            livemode: Option<bool>,
            $($field: Shelf<$noun>),+
        }

        $(impl Shelved for $noun {
            fn shelf(books: &Books) -> &Shelf<Self> { &books.$field }
            fn shelf_mut(books: &mut Books) -> &mut Shelf<Self> { &mut books.$field }
        })+

        /// All nouns that books hold.
        pub static NOUNS: &[&Noun] = &[$(<$noun as Resource>::NOUN),+];

        impl Books {
            /// Puts a stored document into the books. The object name says which noun it is; `told` how
            /// many events were told of it.
            pub fn load(&mut self, object: &str, body: &str, told: i32) -> Result<(), serde_json::Error> {
                $(if object == <$noun as Resource>::NOUN.object {
                    self.$field.load(serde_json::from_str::<$noun>(body)?, told);
                    return Ok(());
                })+
                Err(serde::de::Error::custom(format_args!("books hold no {object}")))
            }

            /// The number of the next event about any document.
            fn next_sequence_of(&mut self, about: &str) -> i32 {
                $(if let Some(page) = self.$field.0.get_mut(about) {
                    return page.next_sequence();
                })+
                0
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
    // list: shelves, in an order that foreign keys accept
    customers: super::customer::Customer,
    products: super::product::Product,
    prices: super::price::Price,
    test_clocks: super::test_clock::TestClock,
    webhook_endpoints: super::webhook_endpoint::WebhookEndpoint,
    payment_methods: super::payment_method::PaymentMethod,
    subscriptions: super::subscription::Subscription,
    invoices: super::invoice::Invoice,
    invoice_items: super::invoice_item::InvoiceItem,
    payment_intents: super::payment_intent::PaymentIntent,
    invoice_payments: super::invoice_payment::InvoicePayment,
    charges: super::charge::Charge,
    setup_intents: super::setup_intent::SetupIntent,
    refunds: super::refund::Refund,
    customer_balance_transactions: super::balance_transaction::BalanceTransaction,
    credit_notes: super::credit_note::CreditNote,
    settings: super::settings::Settings,
    settings_versions: super::settings::version::SettingsVersion,
    tokens: super::token::Token,
    tax_ids: super::tax_id::TaxId,
    setup_attempts: super::setup_attempt::SetupAttempt,
    features: super::feature::Feature,
    invoice_prefixes: super::invoice_prefix::InvoicePrefix,
    disputes: super::dispute::Dispute,
    early_fraud_warnings: super::early_fraud_warning::EarlyFraudWarning,
    subscription_schedules: super::subscription_schedule::SubscriptionSchedule,
    checkout_sessions: super::checkout::session::Session,
    // end of list
}

impl Books {
    pub fn new(catalogue: Arc<Catalogue>) -> Books {
        Books { catalogue, ..Books::default() }
    }

    pub const fn catalogue(&self) -> &Arc<Catalogue> {
        &self.catalogue
    }

    pub fn get<R: Shelved>(&self, id: &Id<R>) -> Option<&R> {
        R::shelf(self).0.get(id).filter(|page| !page.gone).map(|page| &page.document)
    }

    /// A document that callers may see.
    fn shown<R: Shelved>(&self, id: &Id<R>) -> Option<&R> {
        self.get(id).filter(|_| R::NOUN.shows(id.as_str()))
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

    /// The same, where the parameter is a caller's: what callers never see they cannot name.
    pub fn find_shown<R: Shelved>(&self, id: &Id<R>, param: &str) -> Result<&R, Refusal> {
        self.shown(id).ok_or_else(|| Refusal::no_such(R::NOUN.name, id.as_str()).param(param))
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
        let livemode = self.livemode.unwrap_or(false);
        self.shown(id).ok_or_else(|| Refusal::not_found(R::NOUN, id.as_str()).in_mode(name, livemode))
    }

    /// Keeps a new or changed document. What breaks the noun's own rules spoils the whole decision.
    pub fn put<R: Shelved>(&mut self, document: R) -> Kept<'_, R> {
        if let Err(broken) = document.check() {
            self.broken.get_or_insert(broken);
        }
        let id = document.id().clone();
        R::shelf_mut(self).put(document);
        Kept { books: self, id }
    }

    pub fn remove<R: Shelved>(&mut self, id: &Id<R>) {
        if let Some(page) = R::shelf_mut(self).0.get_mut(id) {
            (page.gone, page.changed) = (true, true);
        }
    }

    /// Whether an endpoint wants to hear of such events.
    pub fn is_heard(&self, livemode: bool, kind: &str) -> bool {
        self.catalogue.endpoints.iter().any(|endpoint| endpoint.listens_to(livemode, kind))
    }

    /// Whether an endpoint wants to hear of just these events, not of all there are.
    pub fn is_named(&self, livemode: bool, kind: &str) -> bool {
        self.catalogue.endpoints.iter().any(|endpoint| endpoint.names(livemode, kind))
    }

    /// Which of the events that were asked about were acknowledged.
    pub fn hearing(&self) -> &Hearing {
        &self.hearing
    }

    /// What is known of the events that were asked about.
    pub fn learn_hearing(&mut self, hearing: Arc<Hearing>) {
        self.hearing = hearing;
    }

    /// Whether this decision has made a document.
    pub fn is_new<R: Shelved>(&self, id: &Id<R>) -> bool {
        R::shelf(self).0.get(id).is_some_and(|page| !page.stored)
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
