//! `/v1/radar/early_fraud_warnings`: made by issuers.

use super::route::Route;
use crate::billing::early_fraud_warning::NOUN;

pub fn routes() -> Vec<Route> {
    vec![
        Route::list("/v1/radar/early_fraud_warnings", &NOUN),
        Route::retrieve("/v1/radar/early_fraud_warnings/{id}", &NOUN),
    ]
}
