//! Answers and errors, as HTTP responses.

use std::error::Error as _;

use axum::{
    http::{HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};

use super::JSON;
use crate::{
    billing::Refusal,
    dialect::{error, speak},
    engine::{Answered, Failure},
    store::Fault,
};

/// What a handler returns.
pub type Reply = Result<Said, Problem>;

/// A successful (or replayed) answer.
pub struct Said(pub Answered);

/// An answer that says what went wrong.
#[derive(Debug)]
pub struct Problem(pub Failure);

impl IntoResponse for Said {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, [JSON], self.0.body).into_response();
        if let Some(original) = self.0.repeats.and_then(|id| HeaderValue::from_str(&id).ok()) {
            let headers = response.headers_mut();
            headers.insert(HeaderName::from_static("original-request"), original);
            headers.insert(HeaderName::from_static("idempotent-replayed"), HeaderValue::from_static("true"));
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let refusal = match self.0 {
            Failure::Refused(refusal) => {
                if refusal.status >= 500 {
                    tracing::error!(reason = refusal.message, "a request failed");
                }
                refusal
            }
            Failure::Broken(fault) => {
                // Logged once, here where it is answered; the client learns nothing of our insides.
                tracing::error!(error = &fault as &dyn std::error::Error, cause = ?fault.source(), "a request failed");
                let passing = fault.is_passing() || fault.is_uncertain();
                let message = "An unexpected error occurred while processing the request. Please try again.";
                Refusal::internal(message).status(if passing { 503 } else { 500 })
            }
        };
        let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = speak::text(&error::body(&refusal)).unwrap_or_default();
        let mut response = (status, [JSON], body).into_response();
        let headers = response.headers_mut();
        if let Some(retry) = error::should_retry(&refusal) {
            let value = HeaderValue::from_static(if retry { "true" } else { "false" });
            headers.insert(HeaderName::from_static("stripe-should-retry"), value);
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(HeaderName::from_static("retry-after"), HeaderValue::from_static("1"));
        }
        if status == StatusCode::UNAUTHORIZED {
            let realm = HeaderValue::from_static("Basic realm=\"Stripe\"");
            headers.insert(HeaderName::from_static("www-authenticate"), realm);
        }
        response
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Problem(Failure::Refused(refusal))
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Problem(Failure::Broken(fault))
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Problem(failure)
    }
}
