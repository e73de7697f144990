//! One declaration per call. What is served, what `/openapi.json` says of it and which keys may make it all
//! come from the same line in a table of [`Route`]s.
//!
//! A handler takes, in this order and as far as it needs them: what stands in the path ([`At`]), the [`Call`],
//! and its parameters, a struct that the form is read into before the handler runs. A handler without
//! parameters refuses any.

use std::{fmt, sync::Arc};

use axum::{
    Router,
    extract::{FromRequestParts as _, RawPathParams, Request, State},
    http::Method,
    routing::{MethodFilter, MethodRouter, on},
};
use serde::de::DeserializeOwned;

use super::{
    House, auth,
    call::Call,
    customers::{check_owner, narrowed},
    explain::{Seer, explained},
    permissions::Permission,
    reply::{Problem, Reply},
};
use crate::{
    billing::{
        Noun, Refusal,
        describe::{Shape, shape_of},
    },
    dialect::{error, version::Version, versions},
};

/// What a call answers when all is well.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    One(&'static Noun),
    List(&'static Noun),
    Search(&'static Noun),
    /// The stub that is left of a thing.
    Deleted(&'static Noun),
    /// What is no noun, by its `object`.
    Other(&'static str),
}

/// A page of a noun.
pub const fn list_of(noun: &'static Noun) -> Answer {
    Answer::List(noun)
}

/// The stub of a thing that is gone.
pub const fn deleted(noun: &'static Noun) -> Answer {
    Answer::Deleted(noun)
}

/// A call, described.
#[derive(Clone, Debug)]
pub struct Operation {
    pub method: Method,
    /// With parameters in braces: `/v1/customers/{id}`.
    pub path: &'static str,
    /// What its handler reads from the form; a list without any is filtered as its noun declares.
    pub parameters: fn() -> Option<Shape>,
    pub answer: Answer,
    /// A publishable key may make it, too.
    pub publishable: bool,
    /// What a restricted key needs this permission for: `customers`.
    pub resource: &'static str,
    pub permission: Permission,
    /// There since this version.
    pub since: Option<Version>,
    /// Gone since this version.
    pub until: Option<Version>,
}

/// A call as it is declared: its description, and who hears it.
pub struct Route {
    pub operation: Operation,
    hear: Box<dyn FnOnce(Arc<Operation>) -> MethodRouter<Arc<House>> + Send>,
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.operation.fmt(f)
    }
}

impl Route {
    pub fn get<A: 'static>(path: &'static str, handler: impl Handler<A>, answer: impl Into<Answer>) -> Route {
        Route::new(Method::GET, path, handler, answer.into())
    }

    pub fn post<A: 'static>(path: &'static str, handler: impl Handler<A>, answer: impl Into<Answer>) -> Route {
        Route::new(Method::POST, path, handler, answer.into())
    }

    pub fn delete<A: 'static>(path: &'static str, handler: impl Handler<A>, answer: impl Into<Answer>) -> Route {
        Route::new(Method::DELETE, path, handler, answer.into())
    }

    /// All of a noun, by its filters.
    pub fn list(path: &'static str, noun: &'static Noun) -> Route {
        Route::get(path, move |call: Call| async move { call.list(noun).await }, Answer::List(noun))
    }

    /// What a query finds of a noun.
    pub fn search(path: &'static str, noun: &'static Noun) -> Route {
        Route::get(path, move |call: Call| async move { call.search(noun).await }, Answer::Search(noun))
    }

    /// One of a noun.
    pub fn retrieve(path: &'static str, noun: &'static Noun) -> Route {
        let handler = move |At(id): At<String>, call: Call| async move { call.retrieve(noun, &id).await };
        Route::get(path, handler, noun)
    }

    /// Those of a noun that belong to the customer in the path.
    pub fn list_of_customer(path: &'static str, noun: &'static Noun) -> Route {
        Route::get(path, move |At(id): At<String>, call: Call| narrowed(call, noun, id), Answer::List(noun))
    }

    /// One of a noun, if it belongs to the customer in the path.
    pub fn retrieve_of_customer(path: &'static str, noun: &'static Noun) -> Route {
        let handler = move |At((customer, id)): At<(String, String)>, call: Call| async move {
            check_owner(&call, noun, &customer, &id).await?;
            call.retrieve(noun, &id).await
        };
        Route::get(path, handler, noun)
    }

    fn new<A: 'static, H: Handler<A>>(method: Method, path: &'static str, handler: H, answer: Answer) -> Route {
        let reads = method == Method::GET;
        let operation = Operation {
            method,
            path,
            parameters: H::Params::shape,
            answer,
            publishable: false,
            resource: answer.resource(),
            permission: if reads { Permission::Read } else { Permission::Write },
            since: None,
            until: None,
        };
        let hear = |operation: Arc<Operation>| {
            let methods = MethodFilter::try_from(operation.method.clone()).unwrap_or(MethodFilter::GET);
            on(methods, move |State(house): State<Arc<House>>, request: Request| {
                hear(operation.clone(), handler.clone(), house, request)
            })
        };
        Route { operation, hear: Box::new(hear) }
    }

    /// May be made with a publishable key, too.
    pub fn publishable(mut self) -> Route {
        self.operation.publishable = true;
        self
    }

    /// Is there since this version.
    pub fn since(mut self, version: Version) -> Route {
        self.operation.since = Some(version);
        self
    }

    /// Is not there any more since this version.
    pub fn until(mut self, version: Version) -> Route {
        self.operation.until = Some(version);
        self
    }

    /// A restricted key needs to read this, where the noun and the method say something else.
    pub fn reads(mut self, resource: &'static str) -> Route {
        (self.operation.permission, self.operation.resource) = (Permission::Read, resource);
        self
    }

    /// A restricted key needs to write this, where the noun and the method say something else.
    pub fn writes(mut self, resource: &'static str) -> Route {
        (self.operation.permission, self.operation.resource) = (Permission::Write, resource);
        self
    }
}

/// Serves what is declared, and nothing else.
pub fn serve(routes: Vec<Route>) -> Router<Arc<House>> {
    routes.into_iter().fold(Router::new(), |router, Route { operation, hear }| {
        router.route(operation.path, hear(Arc::new(operation)))
    })
}

async fn hear<A>(operation: Arc<Operation>, handler: impl Handler<A>, house: Arc<House>, request: Request) -> Reply {
    let (mut parts, body) = request.into_parts();
    let place = RawPathParams::from_request_parts(&mut parts, &house).await;
    let mut call = Call::hear(&house, &parts, body).await?;
    let caller = Seer { pin: call.pin(), publishable: call.caller.publishable };
    operation.check(&call)?;
    let (since, until) = (operation.since, operation.until);
    if since.is_some_and(|since| call.version() < since) || until.is_some_and(|until| call.version() >= until) {
        return Err(error::unrecognized(&operation.method, operation.path).into());
    }
    call.accept(&versions::Route { method: &operation.method, path: operation.path })?;
    let place: Option<Vec<String>> =
        place.ok().map(|params| params.iter().map(|(_, value)| value.to_owned()).collect());
    let place = place.and_then(Place::read).ok_or_else(unreadable_path)?;
    let params = Params::read(&mut call, matches!(operation.answer, Answer::List(_) | Answer::Search(_)))?;
    match handler.answer(place, call, params).await {
        Err(problem) => Err(explained(&house, &operation.method, caller, problem).await),
        said => said,
    }
}

impl Operation {
    /// Whether the caller's key may make this call.
    fn check(&self, call: &Call) -> Result<(), Refusal> {
        if call.caller.publishable && !self.publishable {
            return Err(auth::publishable_not_allowed());
        }
        call.check_permission(self.resource, self.permission)
    }
}

impl Answer {
    pub const fn noun(self) -> Option<&'static Noun> {
        match self {
            Answer::One(noun) | Answer::List(noun) | Answer::Search(noun) | Answer::Deleted(noun) => Some(noun),
            Answer::Other(_) => None,
        }
    }

    fn resource(self) -> &'static str {
        match self {
            Answer::One(noun) | Answer::List(noun) | Answer::Search(noun) | Answer::Deleted(noun) => noun.resource(),
            Answer::Other(object) => object,
        }
    }
}

impl From<&'static Noun> for Answer {
    fn from(noun: &'static Noun) -> Answer {
        Answer::One(noun)
    }
}

impl From<&'static str> for Answer {
    fn from(object: &'static str) -> Answer {
        Answer::Other(object)
    }
}

/// Who answers a call.
pub trait Handler<Arguments>: Clone + Send + Sync + 'static {
    type Place: Place;
    type Params: Params;

    fn answer(
        self,
        place: Self::Place,
        call: Call,
        params: Self::Params,
    ) -> impl Future<Output = Result<super::reply::Said, Problem>> + Send;
}

impl<F, R> Handler<(Call,)> for F
where
    F: Fn(Call) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Reply> + Send,
{
    type Place = ();
    type Params = Nothing;

    async fn answer(self, (): (), call: Call, _: Nothing) -> Reply {
        self(call).await
    }
}

impl<F, R, P> Handler<(Call, P)> for F
where
    F: Fn(Call, P) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Reply> + Send,
    P: Params,
{
    type Place = ();
    type Params = P;

    async fn answer(self, (): (), call: Call, params: P) -> Reply {
        self(call, params).await
    }
}

impl<F, R, T> Handler<(At<T>, Call)> for F
where
    F: Fn(At<T>, Call) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Reply> + Send,
    At<T>: Place,
{
    type Place = At<T>;
    type Params = Nothing;

    async fn answer(self, place: At<T>, call: Call, _: Nothing) -> Reply {
        self(place, call).await
    }
}

impl<F, R, T, P> Handler<(At<T>, Call, P)> for F
where
    F: Fn(At<T>, Call, P) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Reply> + Send,
    At<T>: Place,
    P: Params,
{
    type Place = At<T>;
    type Params = P;

    async fn answer(self, place: At<T>, call: Call, params: P) -> Reply {
        self(place, call, params).await
    }
}

/// What stands in the path. What cannot be an id names nothing.
pub struct At<T>(pub T);

/// How a path is read.
pub trait Place: Sized + Send {
    fn read(params: Vec<String>) -> Option<Self>;
}

impl Place for () {
    fn read(params: Vec<String>) -> Option<()> {
        params.is_empty().then_some(())
    }
}

impl Place for At<String> {
    fn read(params: Vec<String>) -> Option<Self> {
        let [id] = params.try_into().ok()?;
        is_plausible(&id).then_some(At(id))
    }
}

impl Place for At<(String, String)> {
    fn read(params: Vec<String>) -> Option<Self> {
        let [one, other] = params.try_into().ok()?;
        (is_plausible(&one) && is_plausible(&other)).then_some(At((one, other)))
    }
}

/// The database takes no NUL, and no id is that long.
fn is_plausible(id: &str) -> bool {
    !id.contains('\0') && id.len() <= 5000
}

fn unreadable_path() -> Refusal {
    Refusal::invalid("The identifier in the request's path could not be read.").code("resource_missing").status(404)
}

/// How parameters are read.
pub trait Params: Sized + Send + 'static {
    /// A list keeps what says where in it to be.
    fn read(call: &mut Call, lists: bool) -> Result<Self, Refusal>;

    /// What is read; none where there are no parameters.
    fn shape() -> Option<Shape>;
}

impl<T: DeserializeOwned + Send + 'static> Params for T {
    fn read(call: &mut Call, lists: bool) -> Result<Self, Refusal> {
        if lists { call.params_of_list() } else { call.params() }
    }

    fn shape() -> Option<Shape> {
        Some(shape_of::<T>())
    }
}

/// No parameters of its own. Those of a list are its noun's filters.
pub struct Nothing;

impl Params for Nothing {
    fn read(call: &mut Call, lists: bool) -> Result<Self, Refusal> {
        if !lists {
            call.no_params()?;
        }
        Ok(Nothing)
    }

    fn shape() -> Option<Shape> {
        None
    }
}
