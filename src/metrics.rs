//! What Prometheus is told.

use prometheus::{
    Encoder as _, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

/// Counters and gauges of one server.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// Requests by method, route and status.
    pub requests: IntCounterVec,
    pub request_seconds: Histogram,
    /// How many requests each transaction that could be shared was to write.
    pub written_together: Histogram,
    /// Shared transactions that failed. Their requests are done alone.
    pub groups_failed: IntCounter,
    /// Customers worked on by ticks, by result: `decided`, `refused`, `parked`.
    pub ticked: IntCounterVec,
    pub tick_seconds: Histogram,
    /// Questions to the processor, by answer.
    pub attempts: IntCounterVec,
    /// Webhook deliveries, by outcome.
    pub deliveries: IntCounterVec,
    /// How long the longest-waiting thing has been due.
    pub due_lag_seconds: IntGauge,
    /// Customers whose due things were refused too often, and wait for a person.
    pub customers_parked: IntGauge,
    pub deliveries_waiting: IntGauge,
    pub deliveries_given_up: IntGauge,
    /// Deliveries that this server is making right now.
    pub deliveries_under_way: IntGauge,
    /// Endpoints that failed so often that only probes go out to them.
    pub circuits_open: IntGauge,
    pub faults: IntCounter,
}

impl Metrics {
    pub fn new() -> Result<Metrics, prometheus::Error> {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counters.clone()))?;
            Ok::<_, prometheus::Error>(counters)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let histogram = |name: &str, help: &str, buckets: Vec<f64>| {
            let histogram = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets))?;
            registry.register(Box::new(histogram.clone()))?;
            Ok::<_, prometheus::Error>(histogram)
        };
        let seconds = |name: &str, help: &str| {
            histogram(name, help, vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0])
        };
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        Ok(Metrics {
            requests: counters("dunlin_requests_total", "Requests served.", &["method", "route", "status"])?,
            request_seconds: seconds("dunlin_request_seconds", "How long requests took.")?,
            written_together: histogram(
                "dunlin_requests_written_together",
                "How many requests each transaction that could be shared was to write.",
                vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0],
            )?,
            ticked: counters("dunlin_ticked_customers_total", "Customers worked on by ticks.", &["result"])?,
            tick_seconds: seconds("dunlin_tick_seconds", "How long ticks that found something took.")?,
            attempts: counters("dunlin_payment_attempts_total", "Questions to the processor.", &["answer"])?,
            deliveries: counters("dunlin_webhook_deliveries_total", "Webhook deliveries tried.", &["outcome"])?,
            due_lag_seconds: gauge("dunlin_due_lag_seconds", "How long the longest-waiting thing has been due.")?,
            customers_parked: gauge("dunlin_customers_parked", "Customers whose due things were refused too often.")?,
            deliveries_waiting: gauge("dunlin_webhook_deliveries_waiting", "Deliveries not yet acknowledged.")?,
            deliveries_given_up: gauge("dunlin_webhook_deliveries_given_up", "Deliveries given up.")?,
            deliveries_under_way: gauge("dunlin_webhook_deliveries_under_way", "Deliveries being made.")?,
            circuits_open: gauge("dunlin_webhook_circuits_open", "Endpoints to which only probes go out.")?,
            groups_failed: counter("dunlin_groups_failed_total", "Shared transactions that failed.")?,
            faults: counter("dunlin_faults_total", "Requests and ticks that failed by our own fault.")?,
            registry,
        })
    }

    /// The exposition format.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}
