//! What can be asked over HTTP. Each noun's file holds its parameters and its verbs; everything that is
//! the same for all of them lives once, in `call`, `auth`, `reply` and this router.

// list: calls, each with its routes
pub mod account;
pub mod authentications;
pub mod balance_transactions;
pub mod cards;
pub mod charges;
pub mod checkout;
pub mod credit_notes;
pub mod customers;
pub mod deliveries;
pub mod disputes;
pub mod early_fraud_warnings;
pub mod endpoint_settings;
pub mod events;
pub mod features;
pub mod invoice_items;
pub mod invoices;
pub mod movements;
pub mod payment_intents;
pub mod payment_methods;
pub mod plans;
pub mod prices;
pub mod products;
pub mod refunds;
pub mod reissues;
pub mod settings;
pub mod setup_attempts;
pub mod setup_intents;
pub mod subscription_items;
pub mod subscription_schedules;
pub mod subscriptions;
pub mod tax_ids;
pub mod test_clocks;
pub mod tokens;
pub mod webhook_endpoints;
// end of list

// What they share.
pub mod auth;
pub mod call;
pub mod explain;
pub mod health;
pub mod intents;
pub mod mandates;
pub mod method_options;
pub mod method_types;
pub mod openapi;
pub mod permissions;
pub mod reply;
pub mod route;
pub mod search;
pub mod sources;
pub mod voice;

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use rand::{TryRng as _, rngs::SysRng};

use crate::{
    billing::{Refusal, id},
    dialect::{error, version::Version},
    engine::Engine,
};

use auth::Keys;
use permissions::Permissions;
use reply::Problem;
use route::Route;

/// What every handler can reach.
pub struct House {
    pub engine: Engine,
    pub keys: Keys,
    /// The account that this server is.
    pub account: account::Account,
}

/// The id of a request, for answers, logs and events.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

/// The version in which a request is answered, once that is known.
#[derive(Clone, Debug, Default)]
pub struct EffectiveVersion(Arc<OnceLock<Version>>);

impl EffectiveVersion {
    /// Said once, by whoever has found out.
    fn set(&self, version: Version) {
        let _ = self.0.set(version);
    }
}

/// A request may take this long in all.
const PATIENCE: Duration = Duration::from_mins(1);
/// A request's path and query may be so long together, in bytes.
const LONGEST_URL: usize = 16 * 1024;

const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const STRIPE_VERSION: HeaderName = HeaderName::from_static("stripe-version");
/// What every answer tells caches and browsers.
const EVERY_ANSWER: [(HeaderName, HeaderValue); 7] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store")),
    (header::VARY, HeaderValue::from_static("Origin")),
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, PUT, PATCH, POST, DELETE")),
    (
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("authorization, content-type, idempotency-key, stripe-version, stripe-account"),
    ),
    (
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("Request-Id, Stripe-Manage-Version, Stripe-Should-Retry"),
    ),
    (header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("300")),
];

/// The API: every call there is, declared once.
pub fn routes() -> Vec<Route> {
    [
        // list: routes
        account::routes(),
        authentications::routes(),
        balance_transactions::routes(),
        cards::routes(),
        charges::routes(),
        checkout::routes(),
        credit_notes::routes(),
        customers::routes(),
        deliveries::routes(),
        disputes::routes(),
        early_fraud_warnings::routes(),
        endpoint_settings::routes(),
        events::routes(),
        features::routes(),
        invoice_items::routes(),
        invoices::routes(),
        movements::routes(),
        payment_intents::routes(),
        payment_methods::routes(),
        plans::routes(),
        prices::routes(),
        products::routes(),
        refunds::routes(),
        reissues::routes(),
        settings::routes(),
        setup_attempts::routes(),
        setup_intents::routes(),
        subscription_items::routes(),
        subscription_schedules::routes(),
        subscriptions::routes(),
        tax_ids::routes(),
        test_clocks::routes(),
        tokens::routes(),
        webhook_endpoints::routes(),
        // end of list
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Permissions of a restricted key, for resources that some call needs them for; or what is wrong with them.
pub fn known_permissions(text: &str) -> Result<Permissions, String> {
    let permissions = Permissions::parse(text)?;
    let known: BTreeSet<&str> = routes().iter().map(|route| route.operation.resource).collect();
    if let Some(other) = permissions.resources().find(|resource| !known.contains(resource)) {
        let known: Vec<&str> = known.into_iter().collect();
        return Err(format!("there is no resource {other}: there are {}", known.join(", ")));
    }
    Ok(permissions)
}

/// Everything that is served: the API, and the pages beside it.
pub fn router(house: Arc<House>, pages: Router) -> Router {
    Router::new()
        .merge(health::routes())
        .merge(route::serve(routes()))
        .route("/openapi.json", get(openapi::show))
        // Previews were here once: neither is the id of an invoice.
        .route("/v1/invoices/upcoming", any(unrecognized))
        .route("/v1/invoices/upcoming/lines", any(unrecognized))
        .with_state(house.clone())
        .merge(pages)
        .fallback(unrecognized)
        .method_not_allowed_fallback(unrecognized)
        .layer(tower_http::catch_panic::CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(house, around))
}

/// The one layer around every request: its id, its log line, its headers, its time limit.
async fn around(State(house): State<Arc<House>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(&house);
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unrecognized".to_owned(), |path| path.as_str().to_owned());
    let version = EffectiveVersion::default();
    let said_again = ["idempotency-key", "stripe-account"].map(|name| (name, request.headers().get(name).cloned()));
    let too_long = path.len() + request.uri().query().map_or(0, str::len) > LONGEST_URL;
    request.extensions_mut().insert(RequestId(id.clone()));
    request.extensions_mut().insert(version.clone());
    let mut response = if method == Method::OPTIONS {
        StatusCode::OK.into_response()
    } else if too_long {
        let message = format!("The request's URL is longer than {LONGEST_URL} bytes.");
        Problem::from(Refusal::invalid(message).status(414)).into_response()
    } else {
        match tokio::time::timeout(PATIENCE, next.run(request)).await {
            Ok(response) => response,
            Err(_) => Problem::from(Refusal::internal("The request took too long.").status(504)).into_response(),
        }
    };
    let headers = response.headers_mut();
    headers.extend(EVERY_ANSWER);
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    let version = version.0.get().copied().unwrap_or(Version::NEWEST);
    headers.insert(STRIPE_VERSION, HeaderValue::from_static(version.as_str()));
    for (name, value) in said_again {
        if let Some(value) = value {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    let seconds = started.elapsed();
    let status = response.status().as_u16();
    house.engine.metrics.requests.with_label_values(&[method.as_str(), &route, &status.to_string()]).inc();
    house.engine.metrics.request_seconds.observe(seconds.as_secs_f64());
    tracing::info!(
        request.id = id,
        http.method = method.as_str(),
        http.path = path,
        http.status = status,
        http.ms = u64::try_from(seconds.as_millis()).unwrap_or(u64::MAX),
        "request"
    );
    response
}

fn request_id(house: &House) -> String {
    let mut seed = [0; 32];
    // Without randomness ids would repeat; the request fails where it first needs some.
    let _ = SysRng.try_fill_bytes(&mut seed);
    id::request_id(&mut id::Ids::new(house.engine.clock.ticks(), seed))
}

/// There is nothing at this address.
pub async fn unrecognized(request: Request) -> Problem {
    error::unrecognized(request.method(), request.uri().path()).into()
}

#[expect(clippy::needless_pass_by_value, reason = "the layer hands it over")]
fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response {
    let what = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!(panic = what.unwrap_or("unknown"), "a handler panicked");
    Problem::from(Refusal::internal("An unexpected error occurred.")).into_response()
}

/// The content type of every answer.
pub const JSON: (HeaderName, HeaderValue) = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
