//! Errors, as the wire has them.

use axum::http::Method;
use serde_json::{Map, Value, json};

use crate::billing::Refusal;

/// The body of an error: null members are left out.
pub fn body(refusal: &Refusal) -> Value {
    let mut error = Map::new();
    if let Some(charge) = &refusal.charge {
        error.insert("charge".into(), charge.as_str().into());
    }
    if let Some(code) = &refusal.code {
        error.insert("code".into(), code.as_str().into());
    }
    if let Some(code) = &refusal.decline_code {
        error.insert("decline_code".into(), code.as_str().into());
    }
    if let Some(page) = refusal.doc_url() {
        error.insert("doc_url".into(), page.into());
    }
    error.insert("message".into(), refusal.message.as_str().into());
    if let Some(param) = &refusal.param {
        error.insert("param".into(), param.as_str().into());
    }
    if let Some(intent) = &refusal.payment_intent {
        error.insert("payment_intent".into(), Value::clone(intent));
    }
    if let Some(intent) = &refusal.setup_intent {
        error.insert("setup_intent".into(), Value::clone(intent));
    }
    error.insert("type".into(), refusal.kind.as_str().into());
    json!({ "error": error })
}

/// There is nothing at this address.
pub fn unrecognized(method: &Method, path: &str) -> Refusal {
    Refusal::invalid(format!(
        "Unrecognized request URL ({method}: {path}). If you are trying to list objects, remove the trailing slash. If you are \
         trying to retrieve an object, make sure you passed a valid (non-empty) identifier in your code. Please see \
         https://stripe.com/docs or we can help at https://support.stripe.com/."
    ))
    .status(404)
}

/// Whether a client should try again by itself: the `Stripe-Should-Retry` header.
pub fn should_retry(refusal: &Refusal) -> Option<bool> {
    match refusal.status {
        409 | 429 => Some(true),
        500.. => None,
        _ => Some(false),
    }
}
