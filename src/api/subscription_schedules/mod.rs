//! `/v1/subscription_schedules`

mod create;
mod defaults;
mod end;
pub mod phases;
mod update;

use super::route::Route;
use crate::{billing::subscription_schedule::NOUN, words};

pub fn routes() -> Vec<Route> {
    vec![
        Route::list("/v1/subscription_schedules", &NOUN),
        Route::post("/v1/subscription_schedules", create::create, &NOUN),
        Route::retrieve("/v1/subscription_schedules/{id}", &NOUN),
        Route::post("/v1/subscription_schedules/{id}", update::update, &NOUN),
        Route::post("/v1/subscription_schedules/{id}/cancel", end::cancel, &NOUN),
        Route::post("/v1/subscription_schedules/{id}/release", end::release, &NOUN),
    ]
}

words!(NowWord { Now = "now" });
