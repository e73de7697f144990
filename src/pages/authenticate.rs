//! `/authenticate/{intent}`: where a customer authenticates. In test mode nobody is there to prove
//! anything, so there is a button to succeed and one to fail.

use axum::{
    Router,
    extract::{Path, Request, State},
    http::StatusCode,
    response::Response,
    routing::get,
};
use futures_util::future::BoxFuture;

use super::{Failed, escape, form_of, html, page, redirect};
use crate::{
    billing::{
        Id, Noun, Refusal, id,
        next_action::{Authentication, NextAction},
        payment_intent::{self, PaymentIntent},
        setup_intent::{self, SetupIntent},
    },
    dialect::form::Form,
    engine::{Answered, Closed, Engine, Failure, Render, Request as EngineRequest, Subject, authenticate},
    store::{Connection, Fault, read},
};

pub fn routes() -> Router<Engine> {
    Router::new().route("/authenticate/{id}", get(show).post(act))
}

/// A payment or a setup, as far as the page cares.
struct Shown {
    noun: &'static Noun,
    id: String,
    client_secret: String,
    /// What is to be authenticated.
    what: String,
    return_url: Option<String>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waiting,
    Authenticated,
    Processing,
    Succeeded,
    Failed,
    Canceled,
}

impl Shown {
    fn read(noun: &'static Noun, body: &str) -> serde_json::Result<Shown> {
        if noun.object == setup_intent::NOUN.object {
            serde_json::from_str(body).map(Shown::setup)
        } else {
            serde_json::from_str(body).map(Shown::payment)
        }
    }

    fn payment(intent: PaymentIntent) -> Shown {
        use payment_intent::Status;
        let amount = escape(&intent.currency.readable(intent.amount));
        Shown {
            noun: &payment_intent::NOUN,
            id: intent.id.to_string(),
            client_secret: intent.client_secret,
            what: format!("A payment of <strong>{amount}</strong>"),
            return_url: intent.next_action.and_then(NextAction::into_return_url),
            stage: match intent.status {
                Status::RequiresAction => Stage::Waiting,
                Status::RequiresConfirmation => Stage::Authenticated,
                Status::Processing => Stage::Processing,
                Status::RequiresCapture | Status::Succeeded => Stage::Succeeded,
                Status::RequiresPaymentMethod => Stage::Failed,
                Status::Canceled => Stage::Canceled,
            },
        }
    }

    fn setup(intent: SetupIntent) -> Shown {
        use setup_intent::Status;
        Shown {
            noun: &setup_intent::NOUN,
            id: intent.id.to_string(),
            client_secret: intent.client_secret,
            what: "Keeping a card for later payments".to_owned(),
            return_url: intent.next_action.and_then(NextAction::into_return_url),
            stage: match intent.status {
                Status::RequiresAction => Stage::Waiting,
                Status::RequiresConfirmation => Stage::Authenticated,
                Status::Processing => Stage::Processing,
                Status::Succeeded => Stage::Succeeded,
                Status::RequiresPaymentMethod => Stage::Failed,
                Status::Canceled => Stage::Canceled,
            },
        }
    }

    fn page(&self) -> Response {
        let message = match self.stage {
            Stage::Waiting => return html(StatusCode::OK, &page("Authenticate this card", &self.buttons())),
            Stage::Authenticated => "You have been authenticated. You can close this page.",
            Stage::Processing => "It is being processed. You can close this page.",
            Stage::Succeeded => "It has succeeded. You can close this page.",
            Stage::Failed => "It has failed. Please try another card.",
            Stage::Canceled => "It was canceled.",
        };
        html(StatusCode::OK, &page("Authentication", &format!("<p>{message}</p>")))
    }

    fn buttons(&self) -> String {
        format!(
            "<p>{} must be authenticated by the holder of the card.</p>\n<p>This is a test: nobody is asked, and no money \
             moves.</p>\n<form method=\"post\">\n<button name=\"outcome\" value=\"succeed\">Complete authentication</button>\n\
             <button name=\"outcome\" value=\"fail\">Fail authentication</button>\n</form>",
            self.what
        )
    }

    /// Where the customer wanted to be afterwards, told what became of it.
    fn back(&self, return_url: &str) -> String {
        let status = match self.stage {
            Stage::Authenticated | Stage::Succeeded => "succeeded",
            Stage::Processing => "pending",
            Stage::Waiting | Stage::Failed | Stage::Canceled => "failed",
        };
        let (address, fragment) = match return_url.split_once('#') {
            Some((address, fragment)) => (address, format!("#{fragment}")),
            None => (return_url, String::new()),
        };
        let join = if address.contains('?') { '&' } else { '?' };
        let (object, id, secret) = (self.noun.object, &self.id, &self.client_secret);
        format!("{address}{join}{object}={id}&{object}_client_secret={secret}&redirect_status={status}{fragment}")
    }
}

async fn show(State(engine): State<Engine>, Path(id): Path<String>, request: Request) -> Response {
    answer(find(&engine, &id, request).await.map(|(shown, _)| shown.page()))
}

async fn act(State(engine): State<Engine>, Path(id): Path<String>, request: Request) -> Response {
    answer(authenticated(&engine, &id, request).await)
}

async fn authenticated(engine: &Engine, id: &str, request: Request) -> Result<Response, Failed> {
    let (shown, form) = find(engine, id, request).await?;
    let outcome = match form.get("outcome") {
        Some(Form::Text(word)) if word == Authentication::Succeed.word() => Authentication::Succeed,
        Some(Form::Text(word)) if word == Authentication::Fail.word() => Authentication::Fail,
        _ => return Err(Failed::Refused(Refusal::missing("outcome"))),
    };
    if shown.stage != Stage::Waiting {
        return Ok(shown.page());
    }
    let request = id::request_id(&mut engine.new_moment()?.ids);
    let request = EngineRequest { id: request, livemode: false, idempotency: None };
    let mut reader = engine.store.reader().await?;
    let answered = if shown.noun.object == setup_intent::NOUN.object {
        let verb = authenticate::setup(&mut reader, &Id::given(id), outcome).await?;
        drop(reader);
        engine.perform(&request, verb, AsItRests).await?
    } else {
        let verb = authenticate::payment(&mut reader, &Id::given(id), outcome).await?;
        drop(reader);
        engine.perform(&request, verb, AsItRests).await?
    };
    let after = Shown::read(shown.noun, &answered.body).map_err(Fault::from)?;
    Ok(match &shown.return_url {
        Some(url) => redirect(&after.back(url)).unwrap_or_else(|refusal| answer(Err(Failed::Refused(refusal)))),
        None => after.page(),
    })
}

/// What the address names, if its secret is in it; and the form that was sent.
async fn find(engine: &Engine, id: &str, request: Request) -> Result<(Shown, Form), Failed> {
    let form = form_of(request).await?;
    let Some(Form::Text(secret)) = form.get("client_secret") else { return Err(Failed::NotFound) };
    // The database takes no NUL.
    if id.contains('\0') {
        return Err(Failed::NotFound);
    }
    let setup = id.starts_with(setup_intent::NOUN.prefix);
    let noun = if setup { &setup_intent::NOUN } else { &payment_intent::NOUN };
    let mut reader = engine.store.reader().await?;
    let body = read::find(&mut reader, noun, id, false).await?.ok_or(Failed::NotFound)?;
    let shown = Shown::read(noun, &body).map_err(Fault::from)?;
    if shown.client_secret == *secret { Ok((shown, form)) } else { Err(Failed::NotFound) }
}

fn answer(result: Result<Response, Failed>) -> Response {
    result.unwrap_or_else(|failed| failed.page("Authentication", "There is nothing to authenticate here."))
}

/// The document, not put into words for anybody.
struct AsItRests;

impl Render for AsItRests {
    fn render<'a>(
        &'a self,
        connection: &'a mut Connection,
        subject: &'a Subject,
        closed: &'a Closed,
    ) -> BoxFuture<'a, Result<Answered, Failure>> {
        Box::pin(async move {
            let body = closed.find(connection, subject.noun, &subject.id, false).await?.unwrap_or_default();
            Ok(Answered { status: 200, body, repeats: None })
        })
    }
}
