//! `/v1/subscriptions`

mod cancel;
mod create;
mod update;

use axum::{Router, routing::get};
use serde::Deserialize;

use super::{
    House,
    call::{At, Call},
    reply::Reply,
};
use crate::billing::{
    shape::{Patch, Unsupported},
    subscription::{CancellationDetails, Feedback, NOUN, SaveDefault},
};

pub fn routes() -> Router<House> {
    Router::new()
        .route("/v1/subscriptions", get(|call: Call| async move { call.list(&NOUN).await }).post(create::create))
        .route("/v1/subscriptions/{id}", get(retrieve).post(update::update).delete(cancel::cancel))
}

async fn retrieve(At(id): At<String>, call: Call) -> Reply {
    call.retrieve(&NOUN, &id).await
}

#[derive(Clone, Debug, Deserialize)]
struct PaymentSettingsParams {
    save_default_payment_method: Option<SaveDefault>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    payment_method_options: Option<Unsupported>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    payment_method_types: Option<Unsupported>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct CancellationDetailsParams {
    comment: Patch<String>,
    feedback: Patch<Feedback>,
    feedback_option: Option<Unsupported>,
}

impl CancellationDetailsParams {
    fn over(self, current: CancellationDetails) -> CancellationDetails {
        CancellationDetails {
            comment: self.comment.over(current.comment),
            feedback: self.feedback.over(current.feedback),
            ..current
        }
    }
}
