//! `/healthz`, `/readyz`, `/metrics`: for whoever runs the server. No key needed.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

use super::House;
use crate::store::{Fault, delivery, due};

pub fn routes() -> Router<Arc<House>> {
    Router::new().route("/healthz", get(healthy)).route("/readyz", get(ready)).route("/metrics", get(metrics))
}

/// The process is alive.
async fn healthy() -> &'static str {
    "ok"
}

/// It can do its work: the database answers.
async fn ready(State(house): State<Arc<House>>) -> Response {
    if house.engine.store.is_ready().await {
        return "ready".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer").into_response()
}

async fn metrics(State(house): State<Arc<House>>) -> Response {
    if let Err(fault) = gauges(&house).await {
        tracing::warn!(error = &fault as &dyn std::error::Error, "the gauges could not be read");
    }
    match house.engine.metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Gauges are read when they are asked for.
async fn gauges(house: &House) -> Result<(), Fault> {
    let metrics = &house.engine.metrics;
    let mut reader = house.engine.store.reader().await?;
    metrics.due_lag_seconds.set(due::lag(&mut reader, house.engine.clock.now().unix_seconds()).await?);
    metrics.customers_parked.set(due::count_parked(&mut reader).await?);
    let (waiting, given_up) = delivery::counts(&mut reader).await?;
    metrics.deliveries_waiting.set(waiting);
    metrics.deliveries_given_up.set(given_up);
    Ok(())
}
