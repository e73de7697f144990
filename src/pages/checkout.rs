//! `/checkout/{session}`: where a customer pays, subscribes or leaves a card. Who knows the address may see it.

use axum::{
    Router,
    extract::{Path, Request, State},
    http::StatusCode,
    response::Response,
    routing::get,
};
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::json;

use super::{Failed, escape, form_of, html, page, redirect};
use crate::{
    billing::{
        Id, Refusal, attach,
        checkout::{
            NOUN, Session,
            asks::{ConsentCollection, CustomField, FieldType},
            complete::{Entries, Means},
            item::LineItem,
            session::{Mode, Pursuit, Status, SubmitType},
        },
        customer::check_email,
        id,
        next_action::NextAction,
        payment_intent,
        payment_method::BillingDetails,
        price,
        price::Price,
        setup_intent,
    },
    dialect::form::Form,
    engine::{
        Answered, Closed, Engine, Failure, Render, Request as EngineRequest, Subject,
        checkout::{self, Card},
    },
    store::{Connection, Fault, read},
};

pub fn routes() -> Router<Engine> {
    Router::new().route("/checkout/{id}", get(show).post(act))
}

/// The session of a page, and the prices of its lines.
struct Shown {
    session: Session,
    prices: Vec<Price>,
}

async fn show(State(engine): State<Engine>, Path(id): Path<String>, request: Request) -> Response {
    let shown = async {
        let form = form_of(request).await?;
        let failed = text(&form, "redirect_status") == Some("failed");
        let said = failed.then_some("Your payment method could not be authenticated. Please try another one.");
        find(&engine, &id).await?.page(said)
    };
    answer(shown.await)
}

async fn act(State(engine): State<Engine>, Path(id): Path<String>, request: Request) -> Response {
    answer(submitted(&engine, &id, request).await)
}

fn answer(result: Result<Response, Failed>) -> Response {
    result.unwrap_or_else(|failed| failed.page("Checkout", "There is nothing to pay for here."))
}

/// What became of a submission.
#[derive(Deserialize)]
struct Outcome {
    session: Session,
    /// Why it did not succeed.
    error: Option<String>,
    /// Where the customer has to authenticate first.
    next: Option<String>,
}

async fn submitted(engine: &Engine, id: &str, request: Request) -> Result<Response, Failed> {
    let form = form_of(request).await?;
    let shown = find(engine, id).await?;
    if shown.session.status != Status::Open || shown.session.internal.paying {
        return shown.page(None);
    }
    let outcome = match complete(engine, &shown.session, &form).await {
        Ok(outcome) => outcome,
        // Its twin was faster.
        Err(Failed::Refused(refusal)) if refusal.status == 429 => return find(engine, id).await?.page(None),
        Err(Failed::Refused(refusal)) if refusal.status < 500 => {
            return find(engine, id).await?.page(Some(&refusal.message));
        }
        Err(failed) => return Err(failed),
    };
    match outcome.next {
        Some(url) if outcome.session.status == Status::Open => redirect(&url).map_err(Failed::Refused),
        _ => Shown { session: outcome.session, ..shown }.page(outcome.error.as_deref()),
    }
}

async fn complete(engine: &Engine, session: &Session, form: &Form) -> Result<Outcome, Failed> {
    let entries = entries(form).map_err(Failed::Refused)?;
    let (method, refused) = match card(form).map_err(Failed::Refused)? {
        Some(card) => {
            let known = session.customer_details.as_ref().and_then(|details| details.email.clone());
            let details = BillingDetails {
                email: entries.email.clone().or(known),
                name: entries.name.clone(),
                phone: entries.phone.clone(),
                ..BillingDetails::default()
            };
            let taken = checkout::take_in(engine, session, card, details).await;
            let (method, refused) = taken.map_err(|decline| Failed::Refused(decline.refusal()))?;
            (Some(method), refused)
        }
        None => (None, None),
    };
    let mut reader = engine.store.reader().await?;
    let (_, needs) = checkout::around(&mut reader, &session.id).await?;
    drop(reader);
    let means = Means { payment_method: None, refused, return_url: Some(session.page(&engine.address)) };
    let verb = checkout::complete(&session.id, needs, entries, means, move |books, bucket, at| {
        method.map(|method| attach::make(books, method, bucket, at)).transpose()
    });
    let request = id::request_id(&mut engine.new_moment()?.ids);
    let request = EngineRequest { id: request, livemode: session.livemode, idempotency: None };
    let answered = engine.perform(&request, verb, Told { livemode: session.livemode }).await?;
    serde_json::from_str(&answered.body).map_err(|error| Failed::Broken(error.into()))
}

fn text<'f>(form: &'f Form, key: &str) -> Option<&'f str> {
    match form.get(key)? {
        Form::Text(text) => Some(text.trim()).filter(|text| !text.is_empty()),
        Form::List(_) | Form::Map(_) => None,
    }
}

/// The members of `quantity[…]` or `field[…]`.
fn members<'f>(form: &'f Form, key: &str) -> impl Iterator<Item = (&'f str, &'f str)> {
    let members = match form.get(key) {
        Some(Form::Map(members)) => &members[..],
        Some(Form::Text(_) | Form::List(_)) | None => &[],
    };
    members.iter().filter_map(|(key, value)| match value {
        Form::Text(value) => Some((key.as_str(), value.as_str())),
        Form::List(_) | Form::Map(_) => None,
    })
}

fn entries(form: &Form) -> Result<Entries, Refusal> {
    let owned = |key: &str| text(form, key).map(ToOwned::to_owned);
    let email = owned("email");
    email.as_deref().map_or(Ok(()), check_email)?;
    let mut quantities = Vec::new();
    for (line, quantity) in members(form, "quantity") {
        let number = quantity.trim().parse().map_err(|_| Refusal::invalid(format!("Invalid integer: {quantity}")))?;
        quantities.push((Id::<LineItem>::given(line), number));
    }
    Ok(Entries {
        accepts_terms: text(form, "terms").is_some(),
        email,
        fields: members(form, "field").map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        name: owned("name"),
        phone: owned("phone"),
        quantities,
    })
}

/// The card that was filled in, if any: its number may be grouped, its expiry is `MM / YY`.
fn card(form: &Form) -> Result<Option<Card>, Refusal> {
    let Some(number) = text(form, "number") else { return Ok(None) };
    let invalid = || Refusal::card("invalid_expiry_year", "Your card's expiration date is invalid.");
    let expiry = text(form, "expiry").and_then(|expiry| expiry.split_once('/')).ok_or_else(invalid)?;
    let exp_month = expiry.0.trim().parse().map_err(|_| invalid())?;
    let year: i64 = expiry.1.trim().parse().map_err(|_| invalid())?;
    Ok(Some(Card {
        number: number.chars().filter(|character| !character.is_whitespace()).collect(),
        exp_month,
        exp_year: if (0..100).contains(&year) { 2000 + year } else { year },
        cvc: text(form, "cvc").map(ToOwned::to_owned),
    }))
}

/// The session that an address names.
async fn find(engine: &Engine, id: &str) -> Result<Shown, Failed> {
    // The database takes no NUL.
    if id.contains('\0') {
        return Err(Failed::NotFound);
    }
    let mut reader = engine.store.reader().await?;
    let mut found = None;
    for livemode in [false, true].into_iter().filter(|livemode| id.starts_with(&*NOUN.prefix_in(*livemode))) {
        found = read::find(&mut reader, &NOUN, id, livemode).await?;
    }
    let session: Session = serde_json::from_str(&found.ok_or(Failed::NotFound)?).map_err(Fault::from)?;
    let ids: Vec<String> = session.internal.line_items.iter().map(|line| line.price.to_string()).collect();
    let prices = read::find_many(&mut reader, &price::NOUN, &ids, session.livemode).await?;
    let prices = prices.values().map(|body| serde_json::from_str(body)).collect::<Result<_, _>>();
    Ok(Shown { session, prices: prices.map_err(Fault::from)? })
}

const CARD: &str = "<label>Card number<input name=\"number\" inputmode=\"numeric\" autocomplete=\"cc-number\"></label>\n\
                    <label>Expiry (MM / YY)<input name=\"expiry\" autocomplete=\"cc-exp\" placeholder=\"12 / 34\"></label>\n\
                    <label>Security code<input name=\"cvc\" inputmode=\"numeric\" autocomplete=\"cc-csc\"></label>\n\
                    <label>Name on the card<input name=\"name\" autocomplete=\"cc-name\"></label>\n";

impl Shown {
    /// The page; a session that is complete has sent its customer on.
    fn page(&self, said: Option<&str>) -> Result<Response, Failed> {
        let session = &self.session;
        let message = match session.status {
            Status::Complete => return redirect(&session.success_url()).map_err(Failed::Refused),
            Status::Expired => "This page has expired.",
            Status::Open if session.internal.paying => "Your payment is being processed. Please reload this page.",
            Status::Open => return Ok(html(StatusCode::OK, &page(self.title(), &self.form(said)))),
        };
        Ok(html(StatusCode::OK, &page("Checkout", &format!("<p>{message}</p>{}", self.way_back()))))
    }

    const fn title(&self) -> &'static str {
        match self.session.mode {
            Mode::Payment => "Pay",
            Mode::Subscription => "Subscribe",
            Mode::Setup => "Save a card",
        }
    }

    fn form(&self, said: Option<&str>) -> String {
        let (session, words) = (&self.session, &self.session.custom_text);
        let message = |words: &str| format!("<p>{}</p>\n", escape(words));
        let error = said.map(|said| format!("<p class=\"error\" role=\"alert\">{}</p>\n", escape(said)));
        let test = "<p>This is a test: 4242 4242 4242 4242 is a card that works, and no money moves.</p>\n";
        let parts = [
            error.unwrap_or_default(),
            "<form method=\"post\" class=\"tall\">\n".to_owned(),
            self.lines(),
            self.person(),
            session.custom_fields.iter().map(field).collect(),
            CARD.to_owned(),
            self.terms(),
            words.submit.as_ref().map(|words| message(&words.message)).unwrap_or_default(),
            format!("<button>{}</button>\n</form>\n", self.button()),
            words.after_submit.as_ref().map(|words| message(&words.message)).unwrap_or_default(),
            if session.livemode { String::new() } else { test.to_owned() },
            self.way_back(),
        ];
        parts.concat()
    }

    /// What the customer has to agree to.
    fn terms(&self) -> String {
        let session = &self.session;
        if !session.consent_collection.as_ref().is_some_and(ConsentCollection::asks_for_terms) {
            return String::new();
        }
        let words = session.custom_text.terms_of_service_acceptance.as_ref();
        let terms = escape(words.map_or("I agree to the terms of service.", |words| &words.message));
        format!("<label>{terms}<input type=\"checkbox\" name=\"terms\" value=\"accepted\"></label>\n")
    }

    const fn button(&self) -> &'static str {
        match (self.session.submit_type, self.session.mode) {
            (Some(SubmitType::Book), _) => "Book",
            (Some(SubmitType::Donate), _) => "Donate",
            (Some(SubmitType::Subscribe), _) | (_, Mode::Subscription) => "Subscribe",
            (_, Mode::Setup) => "Save card",
            (Some(SubmitType::Pay | SubmitType::Auto) | None, Mode::Payment) => "Pay",
        }
    }

    /// What is sold, and what is due now.
    fn lines(&self) -> String {
        let session = &self.session;
        let Some((currency, total)) = session.currency.zip(session.amount_total) else { return String::new() };
        let rows = session.internal.line_items.iter().map(|line| {
            let name = escape(line.description.as_deref().unwrap_or("Item"));
            let every = self.every(line);
            let amount = escape(&currency.readable(line.amount_total));
            format!("<tr><td>{name}{}{every}</td><td>{amount}</td></tr>\n", quantity(line))
        });
        let rows: String = rows.collect();
        let total = escape(&currency.readable(total));
        format!("<table>\n{rows}<tr class=\"total\"><td>Due now</td><td>{total}</td></tr>\n</table>\n")
    }

    /// How often a line is charged again.
    fn every(&self, line: &LineItem) -> String {
        let price = self.prices.iter().find(|price| price.id == line.price);
        let Some(recurring) = price.and_then(|price| price.recurring.as_ref()) else { return String::new() };
        let each =
            price.and_then(|price| price.in_currency(line.currency)).and_then(|price| price.amount(line.quantity).ok());
        let amount = each.map(|each| escape(&line.currency.readable(each))).unwrap_or_default();
        match recurring.interval_count {
            1 => format!("<br><small>{amount} every {}</small>", recurring.interval.word()),
            count => format!("<br><small>{amount} every {count} {}s</small>", recurring.interval.word()),
        }
    }

    /// Who pays.
    fn person(&self) -> String {
        let session = &self.session;
        let known = session.customer_details.as_ref().and_then(|details| details.email.as_deref());
        let fixed =
            session.customer_email.is_some() || session.customer.is_some() && !session.internal.brought_customer;
        let mut content = match known {
            Some(email) if fixed => format!("<p>{}</p>\n", escape(email)),
            known => format!(
                "<label>E-mail<input type=\"email\" name=\"email\" autocomplete=\"email\" required value=\"{}\"></label>\n",
                escape(known.unwrap_or_default())
            ),
        };
        if session.phone_number_collection.enabled {
            content.push_str("<label>Phone<input type=\"tel\" name=\"phone\" autocomplete=\"tel\" required></label>\n");
        }
        content
    }

    /// Back to the shop, where it has said how.
    fn way_back(&self) -> String {
        let back = |url: &String| format!("<p><a href=\"{}\" rel=\"noreferrer\">Back</a></p>\n", escape(url));
        let is_web = |url: &&String| url.starts_with("https://") || url.starts_with("http://");
        self.session.cancel_url.as_ref().filter(is_web).map(back).unwrap_or_default()
    }
}

/// How many, or the choice of it.
fn quantity(line: &LineItem) -> String {
    match line.choice() {
        Some((minimum, maximum)) => format!(
            " <input type=\"number\" name=\"quantity[{}]\" min=\"{}\" max=\"{maximum}\" value=\"{}\" aria-label=\"Quantity\">",
            escape(line.id.as_str()),
            minimum.max(1),
            line.quantity
        ),
        None if line.quantity == 1 => String::new(),
        None => format!(" × {}", line.quantity),
    }
}

/// A field that the merchant wants filled in.
fn field(field: &CustomField) -> String {
    let (label, key) = (escape(&field.label.custom), escape(&field.key));
    let required = if field.optional { "" } else { " required" };
    let usual = field.usual().unwrap_or_default();
    let input = match (field.kind, &field.dropdown) {
        (FieldType::Dropdown, Some(dropdown)) => {
            let options = dropdown.options.iter().map(|option| {
                let selected = if option.value == usual { " selected" } else { "" };
                format!("<option value=\"{}\"{selected}>{}</option>", escape(&option.value), escape(&option.label))
            });
            format!("<select name=\"field[{key}]\"{required}>{}</select>", options.collect::<String>())
        }
        _ => format!("<input name=\"field[{key}]\" value=\"{}\"{required}>", escape(usual)),
    };
    format!("<label>{label}{input}</label>\n")
}

/// Tells the page what became of a submission.
struct Told {
    livemode: bool,
}

/// An intent of either kind, as far as the page cares.
#[derive(Deserialize)]
struct Begun {
    next_action: Option<NextAction>,
    last_payment_error: Option<Why>,
    status: String,
}

#[derive(Deserialize)]
struct Why {
    message: String,
}

impl Render for Told {
    fn render<'a>(
        &'a self,
        connection: &'a mut Connection,
        subject: &'a Subject,
        closed: &'a Closed,
    ) -> BoxFuture<'a, Result<Answered, Failure>> {
        Box::pin(async move {
            let body = closed.find(connection, &NOUN, &subject.id, self.livemode).await?.unwrap_or_default();
            let session: Session = serde_json::from_str(&body).map_err(Fault::from)?;
            let setup = match &session.internal.pursuit {
                Some(Pursuit::Setup(setup)) => Some(setup.clone()),
                _ => session.setup_intent.clone(),
            };
            let about = match (&subject.unless_declined, setup) {
                (Some(intent), _) => Some((&payment_intent::NOUN, intent.to_string())),
                (None, Some(setup)) => Some((&setup_intent::NOUN, setup.to_string())),
                (None, None) => None,
            };
            let begun: Option<Begun> = match about {
                Some((noun, id)) => {
                    let body = closed.find(connection, noun, &id, self.livemode).await?;
                    body.map(|body| serde_json::from_str(&body)).transpose().map_err(Fault::from)?
                }
                None => None,
            };
            let refused = subject.refusal.as_ref().map(|refusal| refusal.message.clone());
            let failed =
                begun.as_ref().filter(|begun| ["requires_payment_method", "canceled"].contains(&&*begun.status));
            let error = refused.or_else(|| failed?.last_payment_error.as_ref().map(|why| why.message.clone()));
            let next = begun.and_then(|begun| Some(begun.next_action?.redirect_to_url?.url));
            let body = json!({"session": session, "error": error, "next": next}).to_string();
            Ok(Answered { status: 200, body, repeats: None })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> Form {
        Form::parse(&[text.as_bytes()]).unwrap()
    }

    #[test]
    fn cards_are_read_as_people_write_them() {
        let read = |text: &str| card(&form(text));
        let card =
            Card { number: "4242424242424242".to_owned(), exp_month: 1, exp_year: 2034, cvc: Some("123".to_owned()) };
        assert_eq!(read("number=4242+4242+4242+4242&expiry=1+/+34&cvc=123").unwrap(), Some(card));
        assert!(read("number=&expiry=").unwrap().is_none(), "nothing was filled in");
        for bad in ["number=4242", "number=4242&expiry=1234", "number=4242&expiry=a/b"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_form_is_read_whatever_it_holds() {
        let read = entries(&form("email=a@b.test&quantity[li_1]=3&field[size]=s&terms=accepted")).unwrap();
        assert_eq!(read.quantities, [(Id::given("li_1"), 3)]);
        assert_eq!(read.fields, [("size".to_owned(), "s".to_owned())]);
        assert!(read.accepts_terms);
        for bad in ["email=nobody", "quantity[li_1]=many"] {
            assert!(entries(&form(bad)).is_err(), "{bad}");
        }
        assert!(entries(&form("quantity=3&field[]=s")).unwrap().quantities.is_empty());
    }
}
