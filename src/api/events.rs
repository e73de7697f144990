//! `/v1/events`

use super::route::Route;
use crate::billing::event::NOUN;

pub fn routes() -> Vec<Route> {
    vec![Route::list("/v1/events", &NOUN), Route::retrieve("/v1/events/{id}", &NOUN)]
}
