//! What payment intents and setup intents have in common: what they are confirmed with, and the secret
//! by which a browser may touch one.

use serde::Deserialize;

use super::{
    call::Call,
    reply::{Problem, Reply},
    route::At,
    sources::{self, MethodData, Source},
};
use crate::{
    billing::{
        Id, Metadata, Refusal, Resource, next_action::check_return_url, payment_intent::PaymentIntent,
        setup_intent::SetupIntent,
    },
    store::{
        Connection, Fault,
        books::{Needs, peek},
        read,
    },
};

/// What an intent has brought is with its latest charge, and what was heard of that since: a decision about it
/// needs them, if there are any.
pub async fn need_charge(reader: &mut Connection, intent: &Id<PaymentIntent>, needs: &mut Needs) -> Result<(), Fault> {
    let known = peek(reader, intent).await?;
    if let Some(intent) = known {
        intent.latest_charge.iter().for_each(|charge| needs.document(charge));
        intent.internal.disputes.iter().for_each(|dispute| needs.document(dispute));
        intent.internal.fraud_warnings.iter().for_each(|warning| needs.document(warning));
    }
    Ok(())
}

/// An intent of either kind.
pub trait Intent: Resource {
    /// What errors call it.
    const TITLE: &'static str;

    fn client_secret(&self) -> &str;

    /// The error of an action that its status does not allow.
    fn unexpected_state(message: String) -> Refusal;
}

impl Intent for PaymentIntent {
    const TITLE: &'static str = "PaymentIntent";

    fn client_secret(&self) -> &str {
        &self.client_secret
    }

    fn unexpected_state(message: String) -> Refusal {
        PaymentIntent::unexpected_state(message)
    }
}

impl Intent for SetupIntent {
    const TITLE: &'static str = "SetupIntent";

    fn client_secret(&self) -> &str {
        &self.client_secret
    }

    fn unexpected_state(message: String) -> Refusal {
        SetupIntent::unexpected_state(message)
    }
}

#[derive(Debug, Deserialize)]
pub struct Retrieve {
    client_secret: Option<String>,
}

/// Answers with an intent; with a publishable key only where its secret is shown.
pub async fn retrieve<I: Intent>(At(id): At<String>, call: Call, params: Retrieve) -> Reply {
    check_secret::<I>(&call, &id, params.client_secret.as_deref()).await?;
    call.retrieve(I::NOUN, &id).await
}

/// A publishable key must show the secret of what it touches; a secret that is shown must be right.
pub async fn check_secret<I: Intent>(call: &Call, id: &str, given: Option<&str>) -> Result<(), Problem> {
    if call.caller.publishable || given.is_some() {
        seen::<I>(call, id, given).await?;
    }
    Ok(())
}

/// The intent as it is now, for a caller who may see it.
pub async fn seen<I: Intent>(call: &Call, id: &str, given: Option<&str>) -> Result<I, Problem> {
    if call.caller.publishable && given.is_none() {
        return Err(Refusal::missing("client_secret").into());
    }
    let mut reader = call.house.engine.store.reader().await?;
    let body =
        read::find(&mut reader, I::NOUN, id, call.livemode()).await?.ok_or_else(|| Refusal::not_found(I::NOUN, id))?;
    let intent: I = serde_json::from_str(&body).map_err(Fault::from)?;
    if given.is_some_and(|given| given != intent.client_secret()) {
        let message = format!(
            "The client_secret provided does not match any associated {} on this account. Ensure the API key you are using is the \
             API key associated with the {}.",
            I::TITLE,
            I::TITLE
        );
        return Err(Refusal::invalid(message).param("client_secret").into());
    }
    Ok(intent)
}

/// Refuses what only a confirmation can be told, where a new intent is not confirmed.
pub fn check_confirms<I: Intent>(confirmed: bool, params: &[(&str, bool)]) -> Result<(), Refusal> {
    match params.iter().find(|(_, sent)| *sent && !confirmed) {
        None => Ok(()),
        Some((name, _)) => {
            let title = I::TITLE;
            let message = format!("You cannot set `{name}` without `confirm=true` when creating a {title}.");
            Err(Refusal::invalid(message).param(*name))
        }
    }
}

/// Where to send a customer who has to authenticate; a client with Stripe's own library opens the page
/// itself.
pub fn redirect_to(return_url: Option<String>, use_stripe_sdk: Option<bool>) -> Result<Option<String>, Refusal> {
    if let Some(url) = &return_url {
        check_return_url(url)?;
    }
    Ok(return_url.filter(|_| use_stripe_sdk != Some(true)))
}

/// The payment method that a call gives, one way or the other.
pub async fn given(call: &Call, id: Option<&String>, data: Option<MethodData>) -> Result<Option<Source>, Problem> {
    Ok(match (id, data) {
        (Some(id), None) => Some(sources::named(call, id).await?),
        (None, Some(data)) => Some(sources::described(call, data, Metadata::new()).await?),
        (None, None) => None,
        (Some(_), Some(_)) => {
            return Err(Refusal::exclusive(&["payment_method", "payment_method_data"]).param("payment_method").into());
        }
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Microdeposits {
    amounts: Option<Vec<i64>>,
    client_secret: Option<String>,
    descriptor_code: Option<String>,
}

/// Cards are not verified by small deposits, and there are only cards.
pub async fn verify_microdeposits<I: Intent>(At(id): At<String>, call: Call, params: Microdeposits) -> Reply {
    seen::<I>(&call, &id, params.client_secret.as_deref()).await?;
    let title = I::TITLE;
    let message =
        format!("This {title} cannot be verified with microdeposits: its payment method does not require them.");
    Err(I::unexpected_state(message).into())
}
