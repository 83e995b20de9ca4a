//! Counters and latencies per method.

use metrics::{Counter, Gauge, Histogram};
use metrics_derive::Metrics;
use parking_lot::RwLock;
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// Labels beyond this number of methods fall together under `unknown`: a caller must not be able
/// to grow the registry with names of its own.
const METHODS_MAX: usize = 256;

/// One method.
#[derive(Clone, Metrics)]
#[metrics(scope = "weft_rpc")]
pub struct MethodMetrics {
    /// Calls that were answered, with a result or an error.
    calls_total: Counter,
    /// Calls that were answered with an error.
    errors_total: Counter,
    /// Seconds from a parsed call to its answer.
    latency_seconds: Histogram,
}

/// The server.
#[derive(Clone, Metrics)]
#[metrics(scope = "weft_rpc_server")]
pub struct ServerMetrics {
    /// Open TCP connections.
    pub connections: Gauge,
    /// Connections refused because there were too many.
    pub connections_refused_total: Counter,
    /// Bytes of HTTP request bodies received.
    pub request_bytes_total: Counter,
    /// Request bodies that were given up: too slow, cut off or over the limit.
    pub bodies_refused_total: Counter,
    /// Raw transactions taken from the socket without building the JSON text first.
    pub raw_transactions_streamed_total: Counter,
    /// Subscriptions closed because their client did not keep up.
    pub subscriptions_overrun_total: Counter,
}

/// Where the server's own time goes.
#[derive(Clone, Metrics)]
#[metrics(scope = "weft_rpc")]
pub struct WorkMetrics {
    /// Seconds of CPU from a body's bytes to decoded calldata or JSON text, per body.
    pub parse_seconds: Histogram,
}

/// All of them.
#[derive(Debug, Default)]
pub struct RpcMetrics {
    methods: RwLock<HashMap<String, Arc<MethodMetrics>>>,
    /// The server as a whole.
    pub server: ServerMetrics,
    /// Its own work.
    pub work: WorkMetrics,
}

impl RpcMetrics {
    /// Notes an answered call. `name` must be one of the served methods, or `unknown`.
    pub fn observe(&self, name: &str, success: bool, took: Duration) {
        let metrics = self.method(name);
        metrics.calls_total.increment(1);
        if !success {
            metrics.errors_total.increment(1);
        }
        metrics.latency_seconds.record(took.as_secs_f64());
    }

    /// Notes a call that began at `start`.
    pub fn observe_since(&self, name: &str, success: bool, start: Instant) {
        self.observe(name, success, start.elapsed());
    }

    fn method(&self, name: &str) -> Arc<MethodMetrics> {
        if let Some(metrics) = self.methods.read().get(name) {
            return Arc::clone(metrics);
        }
        let mut methods = self.methods.write();
        let name = if methods.len() < METHODS_MAX { name } else { "unknown" };
        let make = || Arc::new(MethodMetrics::new_with_labels(&[("method", name.to_owned())]));
        Arc::clone(methods.entry(name.to_owned()).or_insert_with(make))
    }
}
