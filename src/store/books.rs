//! Opening books: a fixed number of set-based queries, whether for one customer or for a thousand.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, LazyLock},
};

use sqlx::{AssertSqlSafe, Row as _, postgres::PgRow};

use super::{
    Connection, Fault,
    idempotency::{self, Key, Receipt},
};
use crate::billing::{
    Id, Noun, Resource,
    books::{Books, Catalogue},
    customer::{self, Customer},
    id::Bucket,
    invoice,
    price::{self, Price},
    product::{self, Product},
    settings,
    subscription::Subscription,
    test_clock,
    webhook_endpoint::{self, WebhookEndpoint},
};

/// What a decision needs beyond the standing set of its customer.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// Documents by id; they are locked.
    pub documents: Vec<(&'static Noun, String)>,
    /// Prices, with their products. Read only.
    pub prices: Vec<Id<Price>>,
    /// All invoices of the subscription that this invoice belongs to.
    pub invoices_beside: Option<String>,
    /// The latest invoices of this subscription: where its items were billed.
    pub invoices_of: Option<Id<Subscription>>,
}

impl Needs {
    pub fn document<R: Resource>(&mut self, id: &Id<R>) {
        self.documents.push((R::NOUN, id.to_string()));
    }
}

/// Books that were opened together.
#[derive(Default)]
pub struct Opened {
    /// In the order of the openings.
    pub books: Vec<Books>,
    /// Enabled endpoints: their events become deliveries.
    pub endpoints: Arc<[WebhookEndpoint]>,
    /// What is known about the keys that were asked about.
    pub receipts: Vec<Receipt>,
    /// Who listens, and the settings, to be remembered: read where the decision is about nothing that exists.
    pub listening: Option<Listening>,
    /// The seal of what was remembered, where nothing was read.
    pub seal: Option<i64>,
}

/// Who listens, and the settings: all that a decision about nothing that exists needs to know. Whoever decides
/// by what is remembered of it has the seal compared by the statement that writes.
#[derive(Clone, Debug)]
pub struct Listening {
    catalogue: Arc<Catalogue>,
    endpoints: Arc<[WebhookEndpoint]>,
    seal: i64,
}

impl Listening {
    /// So many books about nothing that exists.
    pub fn opened(&self, count: usize) -> Opened {
        let books = (0..count).map(|_| Books::new(Arc::clone(&self.catalogue))).collect();
        let endpoints = Arc::clone(&self.endpoints);
        Opened { books, endpoints, receipts: Vec::new(), listening: None, seal: Some(self.seal) }
    }
}

/// Whose books, and what must be in them.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    pub customer: Option<Id<Customer>>,
    pub needs: Needs,
}

impl Needs {
    /// Whether nothing that exists may be changed: one statement reads all there is to read.
    pub const fn locks_nothing(&self) -> bool {
        self.documents.is_empty() && self.invoices_beside.is_none() && self.invoices_of.is_none()
    }
}

impl Opening {
    fn customer(&self) -> Option<&str> {
        self.customer.as_ref().map(Id::as_str)
    }

    /// Whether the decision needs nothing but who listens, and the settings.
    pub const fn is_about_nothing(&self) -> bool {
        self.customer.is_none() && self.needs.prices.is_empty() && self.needs.locks_nothing()
    }
}

/// The customer that a document belongs to. `None`: no such document; `Some(None)`: nobody's.
pub async fn owner(connection: &mut Connection, noun: &Noun, id: &str) -> Result<Option<Option<Id<Customer>>>, Fault> {
    let sql = format!("select customer from {} where id = $1 and bucket = $2", noun.table);
    let found: Option<Option<String>> = sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(id)
        .bind(Bucket::of(id).number())
        .fetch_optional(connection)
        .await?;
    Ok(found.map(|customer| customer.map(Id::given)))
}

/// A document as it is now, without a lock: for finding out what else a decision will need.
pub async fn peek<R: Resource>(connection: &mut Connection, id: &Id<R>) -> Result<Option<R>, Fault> {
    let sql = format!("select body from {} where id = $1 and bucket = $2", R::NOUN.table);
    let body: Option<String> = sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(id.as_str())
        .bind(id.bucket().number())
        .fetch_optional(connection)
        .await?;
    Ok(body.map(|body| serde_json::from_str(&body)).transpose()?)
}

/// Locks the customers (in id order: no deadlocks) and loads all that the decisions need.
pub async fn open(connection: &mut Connection, openings: &[Opening]) -> Result<Opened, Fault> {
    open_and_find(connection, openings, &[]).await
}

/// The same, and what is known about the idempotency keys of whoever asks.
pub async fn open_and_find(
    connection: &mut Connection,
    openings: &[Opening],
    keys: &[Key<'_>],
) -> Result<Opened, Fault> {
    let customers: Vec<&str> = openings.iter().filter_map(Opening::customer).collect();
    let customers = lock(connection, &customers, Locked::WaitedFor).await?;
    let openings: Vec<&Opening> = openings.iter().collect();
    open_locked(connection, &customers, &openings, keys).await
}

/// The same of those who are free: their customers are not locked by others, and nobody before them needs the same
/// documents. Says who they are.
pub async fn open_free(
    connection: &mut Connection,
    openings: &[&Opening],
    keys: &[Key<'_>],
) -> Result<(Opened, Vec<bool>), Fault> {
    let customers: Vec<&str> = openings.iter().filter_map(|opening| opening.customer()).collect();
    let customers = lock(connection, &customers, Locked::PassedOver).await?;
    let reached: HashSet<&str> = customers.iter().map(|row| row.get("id")).collect();
    let (mut needed, mut free) = (HashSet::new(), Vec::with_capacity(openings.len()));
    for opening in openings {
        let documents: HashSet<&str> = opening.needs.documents.iter().map(|(_, id)| id.as_str()).collect();
        let is_reached = opening.customer().is_none_or(|customer| reached.contains(customer));
        free.push(is_reached && documents.is_disjoint(&needed));
        needed.extend(documents);
    }
    let openings: Vec<&Opening> = openings.iter().zip(&free).filter(|(_, free)| **free).map(|(one, _)| *one).collect();
    if openings.is_empty() {
        return Ok((Opened::default(), free));
    }
    Ok((open_locked(connection, &customers, &openings, keys).await?, free))
}

/// What becomes of customers that somebody else has locked.
#[derive(Clone, Copy)]
enum Locked {
    WaitedFor,
    PassedOver,
}

/// In id order: no deadlocks.
const LOCKING: &str =
    "select id, test_clock, deleted, scheduled, body, told from customers where id = any($1) order by id for update";

async fn lock(connection: &mut Connection, customers: &[&str], locked: Locked) -> Result<Vec<PgRow>, Fault> {
    if customers.is_empty() {
        return Ok(Vec::new());
    }
    let sql = match locked {
        Locked::WaitedFor => LOCKING.to_owned(),
        Locked::PassedOver => format!("{LOCKING} skip locked"),
    };
    Ok(sqlx::query(AssertSqlSafe(sql)).bind(customers).fetch_all(connection).await?)
}

/// Loads all that the decisions need beside their customers.
async fn open_locked(
    connection: &mut Connection,
    customers: &[PgRow],
    openings: &[&Opening],
    keys: &[Key<'_>],
) -> Result<Opened, Fault> {
    let mut loaded = Loaded::default();
    for row in customers {
        if let Some(clock) = row.get::<Option<String>, _>("test_clock") {
            loaded.on_clocks.entry(clock).or_default().push(row.get("id"));
        }
        if row.get::<bool, _>("scheduled") {
            loaded.scheduled.push(row.get("id"));
        }
        // Of one that is deleted there may be payments to finish.
        if !row.get::<bool, _>("deleted") {
            loaded.owned.push((row.get("id"), Stored::of(customer::NOUN.object, row)));
        }
    }
    let prices: Vec<&str> = openings.iter().flat_map(|opening| &opening.needs.prices).map(Id::as_str).collect();
    let customers: Vec<&str> = openings.iter().filter_map(|opening| opening.customer()).collect();
    load_standing(connection, &customers, &prices, keys, &mut loaded).await?;
    load_schedules(connection, &mut loaded).await?;
    load_needed(connection, openings, &mut loaded).await?;
    loaded.into_books(openings)
}

/// A document as it rests, and how many events were told of it.
struct Stored {
    object: String,
    body: String,
    told: i32,
}

impl Stored {
    fn of(object: &str, row: &PgRow) -> Stored {
        Stored { object: object.to_owned(), body: row.get("body"), told: row.get("told") }
    }
}

#[derive(Default)]
struct Loaded {
    /// Each with its owner.
    owned: Vec<(String, Stored)>,
    /// The customers on each test clock.
    on_clocks: BTreeMap<String, Vec<String>>,
    /// The customers who have schedules.
    scheduled: Vec<String>,
    /// The ids of the standing set, each with the customer whose lock covers it; test clocks with none.
    standing: HashMap<String, Option<String>>,
    /// By place of the opening that needs it.
    needed: Vec<(usize, Stored)>,
    catalogue: Catalogue,
    endpoints: Vec<WebhookEndpoint>,
    receipts: Vec<Receipt>,
    seal: Option<i64>,
}

/// Who listens, and the settings: what each is, and its rows.
const LISTENED: [(&str, &str); 2] =
    [("webhook_endpoint", "webhook_endpoints where enabled"), ("dunlin.settings", "settings where version > 0")];

/// All that is needed where the decision is about nothing that exists.
static LISTENING: LazyLock<String> = LazyLock::new(|| {
    LISTENED
        .map(|(object, rows)| format!("select '{object}' as object, id, '' as owner, body, told from {rows}"))
        .join(" union all ")
});

/// The standing set: what is alive about the customers, and the prices it refers to. What may be large
/// (events, old invoices) is never in it.
const ALIVE: &str = "
    with wanted as materialized (
        select unnest($2::text[]) as price union select price from subscription_items where customer = any($1)
    )
    select 'subscription' as object, id, customer as owner, body, told from subscriptions where customer = any($1) and standing
    union all
    select 'invoice', id, customer, body, told from invoices where customer = any($1) and standing
    union all
    select 'payment_intent', id, customer, body, told from payment_intents where customer = any($1) and standing
    union all
    select 'invoice_payment', id, customer, body, told from invoice_payments where customer = any($1) and standing
    union all
    select 'invoiceitem', id, customer, body, told from invoice_items where customer = any($1) and standing
    union all
    select 'payment_method', id, customer, body, told from payment_methods where customer = any($1)
    union all
    select 'test_helpers.test_clock', id, '', body, told from test_clocks where id = any($3)
    union all
    select 'price', id, '', body, told from prices where id in (select price from wanted)
    union all
    select 'product', id, '', body, told from products
    where id in (select product from prices where id in (select price from wanted))";

static STANDING: LazyLock<String> = LazyLock::new(|| format!("{ALIVE} union all {}", *LISTENING));
static STANDING_AND_RECEIPTS: LazyLock<String> =
    LazyLock::new(|| format!("{} union all {}", *STANDING, idempotency::found(4)));
/// What tells one state of [`LISTENING`] from any other, whoever changed it: no two of its bodies are the same.
pub(super) static SEAL: LazyLock<String> = LazyLock::new(|| {
    LISTENED
        .map(|(_, rows)| format!("(select coalesce(bit_xor(hashtextextended(body, 0)), 0) from {rows})"))
        .join(" # ")
});
static SEALED: LazyLock<String> =
    LazyLock::new(|| format!("{} union all select 'seal', '', '', ({})::text, 0", *LISTENING, *SEAL));
static SEALED_AND_RECEIPTS: LazyLock<String> =
    LazyLock::new(|| format!("{} union all {}", *SEALED, idempotency::found(1)));

async fn load_standing(
    connection: &mut Connection,
    customers: &[&str],
    prices: &[&str],
    keys: &[Key<'_>],
    loaded: &mut Loaded,
) -> Result<(), Fault> {
    let clocks: Vec<&String> = loaded.on_clocks.keys().collect();
    let is_about_nothing = customers.is_empty() && prices.is_empty();
    let sql = match (is_about_nothing, keys.is_empty()) {
        (true, true) => SEALED.as_str(),
        (true, false) => &SEALED_AND_RECEIPTS,
        (false, true) => &STANDING,
        (false, false) => &STANDING_AND_RECEIPTS,
    };
    let mut query = sqlx::query(AssertSqlSafe(sql));
    if !is_about_nothing {
        query = query.bind(customers).bind(prices).bind(clocks);
    }
    if !keys.is_empty() {
        let (modes, texts): (Vec<bool>, Vec<&str>) = keys.iter().map(|key| (key.livemode, key.text)).unzip();
        let fingerprints: Vec<&[u8]> = keys.iter().map(|key| key.fingerprint).collect();
        query = query.bind(modes).bind(texts).bind(fingerprints);
    }
    let rows = query.fetch_all(connection).await?;
    loaded.take(&rows)
}

/// The schedules that stand, and the prices they name: of the few customers who have any, so that nobody else's
/// standing set is the larger for it.
async fn load_schedules(connection: &mut Connection, loaded: &mut Loaded) -> Result<(), Fault> {
    if loaded.scheduled.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query(
        "with schedules as materialized (
             select id, customer, prices, body, told from subscription_schedules where customer = any($1) and standing
         ), wanted as materialized (select jsonb_array_elements_text(prices) as price from schedules)
         select 'subscription_schedule' as object, id, customer as owner, body, told from schedules
         union all
         select 'price', id, '', body, told from prices where id in (select price from wanted)
         union all
         select 'product', id, '', body, told from products
         where id in (select product from prices where id in (select price from wanted))",
    )
    .bind(&loaded.scheduled)
    .fetch_all(connection)
    .await?;
    loaded.take(&rows)
}

impl Loaded {
    /// Puts what was read where it belongs.
    fn take(&mut self, rows: &[PgRow]) -> Result<(), Fault> {
        for row in rows {
            let stored = Stored::of(row.get("object"), row);
            if stored.object == price::NOUN.object {
                let body = &stored.body;
                self.catalogue.add_price(serde_json::from_str::<Price>(body)?, serde_json::from_str(body)?);
            } else if stored.object == product::NOUN.object {
                let product: Product = serde_json::from_str(&stored.body)?;
                self.catalogue.products.insert(product.id.clone(), product);
            } else if stored.object == "seal" {
                self.seal = stored.body.parse().ok();
            } else if stored.object == idempotency::OBJECT {
                self.receipts.push(serde_json::from_str(&stored.body)?);
            } else if stored.object == webhook_endpoint::NOUN.object {
                self.endpoints.push(serde_json::from_str(&stored.body)?);
            } else if stored.object == settings::NOUN.object {
                self.catalogue.settings.push(serde_json::from_str(&stored.body)?);
            } else if stored.object == test_clock::NOUN.object {
                let id: String = row.get("id");
                let customers = self.on_clocks.get(&id).into_iter().flatten();
                self.owned.extend(customers.map(|customer| (customer.clone(), Stored::of(&stored.object, row))));
                self.standing.insert(id, None);
            } else {
                let owner: String = row.get("owner");
                self.standing.insert(row.get("id"), Some(owner.clone()));
                self.owned.push((owner, stored));
            }
        }
        Ok(())
    }
}

/// Documents of one noun, each with the place of the opening that needs it.
type Wanted<'a> = (&'static Noun, Vec<(usize, &'a str)>);

async fn load_needed(connection: &mut Connection, openings: &[&Opening], loaded: &mut Loaded) -> Result<(), Fault> {
    let mut wanted: BTreeMap<&str, Wanted<'_>> = BTreeMap::new();
    for (place, opening) in openings.iter().enumerate() {
        let missing = |(_, id): &&(&'static Noun, String)| match loaded.standing.get(id) {
            None => true,
            Some(owner) => owner.as_deref().is_some_and(|owner| opening.customer() != Some(owner)),
        };
        for (noun, id) in opening.needs.documents.iter().filter(missing) {
            wanted.entry(noun.table).or_insert((noun, Vec::new())).1.push((place, id));
        }
    }
    for (noun, places) in wanted.into_values() {
        let ids: Vec<&str> = places.iter().map(|(_, id)| *id).collect();
        let stub = if noun.leaves_stub { "and not deleted" } else { "" };
        let sql = format!("select id, body, told from {} where id = any($1) {stub} order by id for update", noun.table);
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(&ids).fetch_all(&mut *connection).await?;
        let mut found: HashMap<String, Stored> =
            rows.iter().map(|row| (row.get("id"), Stored::of(noun.object, row))).collect();
        for (place, id) in places {
            loaded.needed.extend(found.remove(id).map(|stored| (place, stored)));
        }
    }
    for (place, opening) in openings.iter().enumerate() {
        let mut rows: Vec<PgRow> = Vec::new();
        if let Some(invoice) = &opening.needs.invoices_beside {
            let sql = "select body, told from invoices
                 where subscription = (select subscription from invoices where id = $1) order by id desc limit 100";
            rows.extend(sqlx::query(sql).bind(invoice).fetch_all(&mut *connection).await?);
        }
        if let Some(subscription) = &opening.needs.invoices_of {
            let sql = "select body, told from invoices where subscription = $1 order by id desc limit 20";
            rows.extend(sqlx::query(sql).bind(subscription.as_str()).fetch_all(&mut *connection).await?);
        }
        loaded.needed.extend(rows.iter().map(|row| (place, Stored::of(invoice::NOUN.object, row))));
    }
    Ok(())
}

impl Loaded {
    fn into_books(self, openings: &[&Opening]) -> Result<Opened, Fault> {
        let endpoints: Arc<[WebhookEndpoint]> = self.endpoints.into();
        let mut catalogue = self.catalogue;
        catalogue.endpoints = Arc::clone(&endpoints);
        let catalogue = Arc::new(catalogue);
        let mut books: Vec<Books> = openings.iter().map(|_| Books::new(Arc::clone(&catalogue))).collect();
        let places: HashMap<&str, usize> =
            openings.iter().enumerate().filter_map(|(place, opening)| Some((opening.customer()?, place))).collect();
        let owned = self.owned.iter().filter_map(|(owner, stored)| Some((*places.get(owner.as_str())?, stored)));
        for (place, stored) in owned.chain(self.needed.iter().map(|(place, stored)| (*place, stored))) {
            if let Some(books) = books.get_mut(place) {
                books.load(&stored.object, &stored.body, stored.told)?;
            }
        }
        let listening = self.seal.map(|seal| {
            let (catalogue, endpoints) = (Arc::clone(&catalogue), Arc::clone(&endpoints));
            Listening { catalogue, endpoints, seal }
        });
        Ok(Opened { books, endpoints, receipts: self.receipts, listening, seal: None })
    }
}
