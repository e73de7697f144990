//! Putting what a call was about into words: the document as its caller may see it, or the error that
//! its payment came to.

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use crate::{
    billing::{Noun, Refusal, increment::DeclinedIncrement, payment_intent, setup_intent},
    dialect::{error, expand, speak, version::Pin, versions},
    engine::{Answered, Asked, Closed, Failure, Render, Subject},
    store::{Connection, Fault},
};

/// How subjects are put into words for one caller.
pub struct Voice {
    pub paths: Vec<String>,
    pub pin: Pin,
    /// A publishable key asks.
    pub redact: bool,
}

impl Voice {
    async fn speak(&self, connection: &mut Connection, noun: &'static Noun, body: String) -> Result<Value, Failure> {
        let bodies = [body];
        let mut spoken = speak::speak(connection, noun, &bodies, self.pin).await?;
        expand::expand(connection, noun, &mut spoken, &bodies, &self.paths, self.pin).await?;
        let value = spoken.pop().unwrap_or(Value::Null);
        Ok(if self.redact { redacted(noun, value) } else { value })
    }

    /// The same as text.
    pub async fn text(
        &self,
        connection: &mut Connection,
        noun: &'static Noun,
        body: String,
    ) -> Result<String, Failure> {
        if self.paths.is_empty() && !self.redact && speak::as_it_rests(noun, self.pin.version) {
            return Ok(speak::text_as_it_rests(&body));
        }
        Ok(speak::text(&self.speak(connection, noun, body).await?)?)
    }

    /// A line or an item, out of the document that it lives in.
    async fn part(
        &self,
        connection: &mut Connection,
        subject: &Subject,
        closed: &Closed,
        noun: &'static Noun,
        id: &str,
    ) -> Result<Answered, Failure> {
        let body = closed.find(connection, subject.noun, &subject.id, self.pin.livemode).await?;
        let whole: Value = serde_json::from_str(&body.unwrap_or_default()).map_err(Fault::from)?;
        let places = ["/lines/data", "/items/data", "/pending_update/subscription_items"];
        let parts = places.into_iter().filter_map(|path| whole.pointer(path)?.as_array());
        let part = parts.flatten().find(|part| part.get("id").and_then(Value::as_str) == Some(id));
        let part = part.ok_or_else(|| Refusal::not_found(noun, id))?.to_string();
        let value = self.speak(connection, noun, part).await?;
        Ok(Answered { status: 200, body: speak::text(&value)?, repeats: None })
    }

    /// The error of a payment that was declined meanwhile.
    async fn declined(
        &self,
        connection: &mut Connection,
        subject: &Subject,
        closed: &Closed,
    ) -> Result<Option<Answered>, Failure> {
        let Some(Asked { intent, .. }) = &subject.unless_declined else { return Ok(None) };
        let noun = &payment_intent::NOUN;
        let Some(body) = closed.find(connection, noun, intent.as_str(), self.pin.livemode).await? else {
            return Ok(None);
        };
        let kept = serde_json::from_str(&body).map_err(Fault::from)?;
        let Some(refusal) = refusal_of(subject, &kept) else { return Ok(None) };
        let value = Voice { paths: Vec::new(), ..*self }.speak(connection, noun, body).await?;
        let payment_intent = noun.shows(intent.as_str()).then(|| Box::new(value));
        let refusal = Refusal { payment_intent, ..refusal };
        Ok(Some(Answered { status: refusal.status, body: speak::text(&error::body(&refusal))?, repeats: None }))
    }
}

/// What an intent that was to be paid, as it is kept, has come to, if that is an error.
fn refusal_of(subject: &Subject, intent: &Value) -> Option<Refusal> {
    if let Some(number) = subject.unless_declined.as_ref().and_then(|asked| asked.increment) {
        let declined = intent.pointer("/internal/declined_increment")?;
        let declined: DeclinedIncrement = serde_json::from_value(declined.clone()).ok()?;
        return (declined.attempt == number).then(|| declined.decline.refusal());
    }
    let status = intent.get("status").and_then(Value::as_str).unwrap_or_default();
    let of = |key: &str| {
        intent.pointer(&format!("/last_payment_error/{key}")).and_then(Value::as_str).map(ToOwned::to_owned)
    };
    // An intent that was closed with what it was to pay failed before.
    if let ("requires_payment_method" | "canceled", Some(message)) = (status, of("message")) {
        let mut refusal = Refusal::card(of("code").unwrap_or_default(), message);
        (refusal.decline_code, refusal.charge) = (of("decline_code"), of("charge"));
        Some(refusal)
    } else if status == "requires_action" && subject.noun.object == "invoice" {
        let message = "This payment requires additional user action before it can be completed successfully. Payment can be \
                       completed using the PaymentIntent associated with the invoice.";
        Some(Refusal::card("invoice_payment_intent_requires_action", message))
    } else if status == "canceled" && subject.noun.object == "subscription" {
        let message = "Payment for this subscription requires additional user action before it can be completed successfully. \
                       Create the subscription with another payment_behavior to let the customer complete it.";
        Some(Refusal::card("subscription_payment_intent_requires_action", message))
    } else {
        None
    }
}

impl Render for Voice {
    fn render_ahead(&self, subject: &Subject, closed: &Closed) -> Result<Option<Answered>, Failure> {
        let Subject { noun, id, part: None, refusal: None, shown_once: None, deleted: false, .. } = subject else {
            return Ok(None);
        };
        if !self.paths.is_empty() || self.redact {
            return Ok(None);
        }
        if let Some(Asked { intent, .. }) = &subject.unless_declined {
            let intent = closed.written(&payment_intent::NOUN, intent.as_str()).map(serde_json::from_str::<Value>);
            let Some(intent) = intent.transpose().map_err(Fault::from)? else { return Ok(None) };
            if refusal_of(subject, &intent).is_some() {
                return Ok(None);
            }
        }
        let Some(body) = closed.written(noun, id) else { return Ok(None) };
        let body = speak::text_at_hand(noun, body, self.pin.version, &|id| closed.price(id))?;
        Ok(body.map(|body| Answered { status: 200, body, repeats: None }))
    }

    fn render<'a>(
        &'a self,
        connection: &'a mut Connection,
        subject: &'a Subject,
        closed: &'a Closed,
    ) -> BoxFuture<'a, Result<Answered, Failure>> {
        Box::pin(async move {
            if let Some(refusal) = &subject.refusal {
                let mut refusal = Refusal::clone(refusal);
                show_intents(connection, &mut refusal, self.pin, self.redact).await?;
                let body = speak::text(&error::body(&refusal))?;
                return Ok(Answered { status: refusal.status, body, repeats: None });
            }
            if let Some(declined) = self.declined(connection, subject, closed).await? {
                return Ok(declined);
            }
            if let Some((noun, id)) = &subject.part {
                return self.part(connection, subject, closed, noun, id).await;
            }
            if subject.deleted {
                let stub = json!({"id": subject.id, "object": subject.noun.object, "deleted": true});
                return Ok(Answered { status: 200, body: speak::text(&stub)?, repeats: None });
            }
            let body = closed.find(connection, subject.noun, &subject.id, self.pin.livemode).await?;
            let body = body.ok_or_else(|| Refusal::not_found(subject.noun, &subject.id))?;
            let Some((name, once)) = &subject.shown_once else {
                let body = self.text(connection, subject.noun, body).await?;
                return Ok(Answered { status: 200, body, repeats: None });
            };
            let mut value = self.speak(connection, subject.noun, body).await?;
            if let Some(members) = value.as_object_mut() {
                members.insert((*name).to_owned(), once.as_str().into());
            }
            Ok(Answered { status: 200, body: speak::text(&value)?, repeats: None })
        })
    }
}

/// Whether a publishable key sees only a part of it.
pub fn is_redacted(noun: &Noun) -> bool {
    [payment_intent::NOUN.object, setup_intent::NOUN.object].contains(&noun.object)
}

/// Shapes the intents in an error for who is told: in the caller's version, and of them only what a publishable
/// key may see where one asks.
pub async fn show_intents(
    connection: &mut Connection,
    refusal: &mut Refusal,
    pin: Pin,
    redact: bool,
) -> Result<(), Fault> {
    let intents =
        [(&payment_intent::NOUN, &mut refusal.payment_intent), (&setup_intent::NOUN, &mut refusal.setup_intent)];
    for (noun, shown) in intents {
        let Some(shown) = shown else { continue };
        let mut seen = [shown.take()];
        versions::render(connection, &mut seen, pin).await?;
        let [seen] = seen;
        **shown = if redact { redacted(noun, seen) } else { seen };
    }
    Ok(())
}

/// The one thing that a publishable key may see whole: behind it lies what is the merchant's own.
const EXPANDABLE: &str = "payment_method";

/// Whether a publishable key may see whole what it asks for.
pub fn check_expansions(paths: &[String]) -> Result<(), Refusal> {
    match paths.iter().find(|path| *path != EXPANDABLE) {
        None => Ok(()),
        Some(path) => {
            let message = format!("This property cannot be expanded with a publishable key ({path}).");
            Err(Refusal::invalid(message).param("expand"))
        }
    }
}

/// What a publishable key may see of an intent.
fn redacted(noun: &Noun, value: Value) -> Value {
    const SHOWN: [&str; 26] = [
        "id",
        "object",
        "amount",
        "amount_details",
        "automatic_payment_methods",
        "canceled_at",
        "cancellation_reason",
        "capture_method",
        "client_secret",
        "confirmation_method",
        "created",
        "currency",
        "description",
        "last_payment_error",
        "last_setup_error",
        "livemode",
        "next_action",
        "payment_method",
        "payment_method_types",
        "processing",
        "receipt_email",
        "setup_future_usage",
        "shipping",
        "source",
        "status",
        "usage",
    ];
    /// Where payment methods are shown whole.
    const METHODS: [&str; 3] =
        ["/payment_method", "/last_payment_error/payment_method", "/last_setup_error/payment_method"];
    match value {
        Value::Object(members) if is_redacted(noun) => {
            let mut shown =
                Value::Object(members.into_iter().filter(|(key, _)| SHOWN.contains(&key.as_str())).collect());
            for path in METHODS {
                if let Some(Value::Object(method)) = shown.pointer_mut(path) {
                    method.retain(|key, _| !["customer", "customer_account", "metadata"].contains(&key.as_str()));
                }
            }
            shown
        }
        other => other,
    }
}
