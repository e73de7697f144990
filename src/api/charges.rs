//! `/v1/charges`: read only; charges are made by intents.

use super::route::Route;
use crate::billing::charge::NOUN;

pub fn routes() -> Vec<Route> {
    vec![
        Route::list("/v1/charges", &NOUN),
        Route::search("/v1/charges/search", &NOUN),
        Route::retrieve("/v1/charges/{id}", &NOUN),
    ]
}
