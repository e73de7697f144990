//! What an error says beyond what the decision knew: which parameter names the path, whether the thing that is
//! missing lives in the other mode, and only as much of an intent as the caller may see.

use axum::http::Method;

use super::{House, reply::Problem, voice::show_intents};
use crate::{
    billing::{Refusal, noun_named, refusal::About, subscription::ITEM_NOUN},
    dialect::version::Pin,
    engine::Failure,
    store::{Fault, read},
};

/// Completes the error of a call.
pub async fn explained(house: &House, method: &Method, caller: Seer, problem: Problem) -> Problem {
    let Problem(Failure::Refused(mut refusal)) = problem else { return problem };
    if let Err(fault) = complete(house, method, caller, &mut refusal).await {
        return fault.into();
    }
    refusal.into()
}

/// Who is told.
#[derive(Clone, Copy, Debug)]
pub struct Seer {
    pub pin: Pin,
    pub publishable: bool,
}

async fn complete(house: &House, method: &Method, caller: Seer, refusal: &mut Refusal) -> Result<(), Fault> {
    if refusal.payment_intent.is_some() || refusal.setup_intent.is_some() {
        let mut reader = house.engine.store.reader().await?;
        show_intents(&mut reader, refusal, caller.pin, caller.publishable).await?;
    }
    if refusal.code.as_deref() == Some("resource_missing") {
        name_the_path(refusal, method);
        if lives_elsewhere(house, refusal, caller.pin.livemode).await? {
            refusal.message.push_str(&elsewhere(caller.pin.livemode));
        }
    }
    Ok(())
}

/// What is read is called by the name of its route, what is written is called `id`; intents are always called
/// `intent`.
fn name_the_path(refusal: &mut Refusal, method: &Method) {
    let by_path = refusal.status == 404 && refusal.param.as_deref() == Some("id");
    let Some(noun) = refusal.about.as_ref().filter(|_| by_path).and_then(|about| noun_named(about.name)) else {
        return;
    };
    let param = match noun.object {
        "payment_intent" | "setup_intent" => "intent",
        "subscription" | "event" | "charge" | "payment_method" => "id",
        _ if method != Method::GET => "id",
        "test_helpers.test_clock" => "test_clock",
        other => other,
    };
    refusal.param = Some(param.to_owned());
}

async fn lives_elsewhere(house: &House, refusal: &Refusal, livemode: bool) -> Result<bool, Fault> {
    let Some(About { name, id }) = refusal.about.as_deref() else { return Ok(false) };
    let Some(noun) = noun_named(name) else { return Ok(false) };
    let mut reader = house.engine.store.reader().await?;
    let found = if noun.object == ITEM_NOUN.object {
        read::subscription_of_item(&mut reader, id, !livemode).await?
    } else {
        read::find(&mut reader, noun, id, !livemode).await?
    };
    Ok(found.is_some())
}

fn elsewhere(livemode: bool) -> String {
    let (there, here) = if livemode { ("test", "live") } else { ("live", "test") };
    format!("; a similar object exists in {there} mode, but a {here} mode key was used to make this request.")
}
