//! `/authenticate/{intent}`: where a customer authenticates. In test mode nobody is there to prove
//! anything, so there is a button to succeed and one to fail.

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Path, Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::future::BoxFuture;

use super::{escape, page};
use crate::{
    billing::{
        Refusal, id,
        next_action::Authentication,
        payment_intent::{NOUN, PaymentIntent, Status},
    },
    dialect::form::Form,
    engine::{Answered, Engine, Failure, Render, Request as EngineRequest, Subject, authenticate},
    store::{Connection, Fault, read},
};

pub fn routes() -> Router<Engine> {
    Router::new().route("/authenticate/{id}", get(show).post(act))
}

/// The largest form that is read.
const MAXIMUM_BODY: usize = 16 * 1024;

/// Why there is nothing to be seen.
enum Failed {
    /// No intent, or not the secret of that intent.
    NotFound,
    Refused(Refusal),
    Broken(Fault),
}

async fn show(State(engine): State<Engine>, Path(id): Path<String>, request: Request) -> Response {
    let found = find(&engine, &id, request).await;
    answer(found.map(|(intent, _)| {
        if intent.status == Status::RequiresAction {
            html(StatusCode::OK, page("Authenticate this payment", &buttons(&intent)))
        } else {
            done(&intent)
        }
    }))
}

async fn act(State(engine): State<Engine>, Path(id): Path<String>, request: Request) -> Response {
    answer(authenticated(&engine, &id, request).await)
}

async fn authenticated(engine: &Engine, id: &str, request: Request) -> Result<Response, Failed> {
    let (intent, form) = find(engine, id, request).await?;
    let outcome = match form.get("outcome") {
        Some(Form::Text(word)) if word == Authentication::Succeed.word() => Authentication::Succeed,
        Some(Form::Text(word)) if word == Authentication::Fail.word() => Authentication::Fail,
        _ => return Err(Failed::Refused(Refusal::missing("outcome"))),
    };
    if intent.status != Status::RequiresAction {
        return Ok(done(&intent));
    }
    let mut reader = engine.store.reader().await?;
    let verb = authenticate::payment(&mut reader, &intent.id, outcome).await?;
    drop(reader);
    let request = EngineRequest {
        id: id::request_id(&mut engine.new_moment()?.ids),
        livemode: intent.livemode,
        idempotency: None,
    };
    let answered = engine.perform(&request, verb, &AsItRests).await?;
    let after: PaymentIntent = serde_json::from_str(&answered.body).map_err(Fault::from)?;
    Ok(match intent.next_action.as_ref().and_then(|action| action.return_url()) {
        Some(url) => redirect(&back(url, &after)),
        None => done(&after),
    })
}

/// The intent that the address names, if its secret is in it; and the form that was sent.
async fn find(engine: &Engine, id: &str, request: Request) -> Result<(PaymentIntent, Form), Failed> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MAXIMUM_BODY).await.map_err(|_| Failed::NotFound)?;
    let form = Form::parse(&[parts.uri.query().unwrap_or_default().as_bytes(), &body]).map_err(Failed::Refused)?;
    let Some(Form::Text(secret)) = form.get("client_secret") else { return Err(Failed::NotFound) };
    // The database takes no NUL.
    if id.contains('\0') {
        return Err(Failed::NotFound);
    }
    let mut reader = engine.store.reader().await?;
    let found = read::find(&mut reader, &NOUN, id, false).await?;
    let intent: PaymentIntent = serde_json::from_str(&found.ok_or(Failed::NotFound)?).map_err(Fault::from)?;
    if intent.client_secret == *secret { Ok((intent, form)) } else { Err(Failed::NotFound) }
}

fn buttons(intent: &PaymentIntent) -> String {
    let amount = escape(&intent.currency.readable(intent.amount));
    format!(
        "<p>A payment of <strong>{amount}</strong> must be authenticated by the holder of the card.</p>\n<p>This is a test: \
         nobody is asked, and no money moves.</p>\n<form method=\"post\">\n<button name=\"outcome\" value=\"succeed\">Complete \
         authentication</button>\n<button name=\"outcome\" value=\"fail\">Fail authentication</button>\n</form>"
    )
}

fn done(intent: &PaymentIntent) -> Response {
    let message = match intent.status {
        Status::Succeeded | Status::RequiresCapture => "The payment has succeeded. You can close this page.",
        Status::Processing => "The payment is being processed. You can close this page.",
        Status::RequiresConfirmation => "You have been authenticated. You can close this page.",
        Status::Canceled => "The payment was canceled.",
        Status::RequiresAction | Status::RequiresPaymentMethod => "The payment has failed. Please try another card.",
    };
    html(StatusCode::OK, page("Authentication", &format!("<p>{message}</p>")))
}

/// Where the customer wanted to be afterwards, told what became of the payment.
fn back(return_url: &str, intent: &PaymentIntent) -> String {
    let status = match intent.status {
        Status::Succeeded | Status::RequiresCapture | Status::RequiresConfirmation => "succeeded",
        Status::Processing => "pending",
        Status::RequiresAction | Status::RequiresPaymentMethod | Status::Canceled => "failed",
    };
    let (address, fragment) = match return_url.split_once('#') {
        Some((address, fragment)) => (address, format!("#{fragment}")),
        None => (return_url, String::new()),
    };
    let join = if address.contains('?') { '&' } else { '?' };
    format!(
        "{address}{join}payment_intent={}&payment_intent_client_secret={}&redirect_status={status}{fragment}",
        intent.id, intent.client_secret
    )
}

fn redirect(url: &str) -> Response {
    let Ok(location) = HeaderValue::from_str(url) else {
        return answer(Err(Failed::Refused(Refusal::invalid("The return_url cannot be followed."))));
    };
    (StatusCode::SEE_OTHER, guarded(), [(header::LOCATION, location)], Body::empty()).into_response()
}

fn html(status: StatusCode, text: String) -> Response {
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    (status, guarded(), [kind], text).into_response()
}

/// The address holds a secret: it must not leak to other pages, and nobody may frame this one.
fn guarded() -> [(HeaderName, HeaderValue); 2] {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
    [
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy)),
    ]
}

fn answer(result: Result<Response, Failed>) -> Response {
    let (status, message) = match result {
        Ok(response) => return response,
        Err(Failed::NotFound) => (StatusCode::NOT_FOUND, "There is nothing to authenticate here.".to_owned()),
        Err(Failed::Refused(refusal)) => {
            (StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), refusal.message)
        }
        Err(Failed::Broken(fault)) => {
            tracing::error!(error = &fault as &dyn std::error::Error, "a page failed");
            (StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong. Please try again.".to_owned())
        }
    };
    html(status, page("Authentication", &format!("<p>{}</p>", escape(&message))))
}

/// The document, not put into words for anybody.
struct AsItRests;

impl Render for AsItRests {
    fn render<'a>(
        &'a self,
        connection: &'a mut Connection,
        subject: &'a Subject,
    ) -> BoxFuture<'a, Result<Answered, Failure>> {
        Box::pin(async move {
            let body = read::find(connection, subject.noun, &subject.id, false).await?.unwrap_or_default();
            Ok(Answered { status: 200, body, repeats: None })
        })
    }
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Failed::Broken(fault)
    }
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => Failed::Refused(refusal),
            Failure::Broken(fault) => Failed::Broken(fault),
        }
    }
}
