//! What the server and the registrar need of whatever they serve: a full node, or one that keeps headers and columns.

use crate::{Readiness, RpcConfig, RpcContext, RpcMetrics};
use std::{fmt, sync::Arc};
use tokio::sync::Semaphore;
use weft_pool::Pool;

/// The state of a server, as far as it does not depend on the methods.
pub trait Serving: fmt::Debug + Send + Sync + 'static {
    /// Limits.
    fn config(&self) -> &RpcConfig;
    /// Counters per method, and of the server.
    fn metrics(&self) -> &RpcMetrics;
    /// What `/ready` answers.
    fn readiness(&self) -> Readiness;
    /// Calls that read.
    fn read_permits(&self) -> &Arc<Semaphore>;
    /// Calls that execute, scan or wait for peers.
    fn execute_permits(&self) -> &Arc<Semaphore>;
    /// Where raw transactions go; `None`: they are refused.
    fn pool(&self) -> Option<&Pool>;
}

impl Serving for RpcContext {
    fn config(&self) -> &RpcConfig {
        &self.config
    }

    fn metrics(&self) -> &RpcMetrics {
        &self.metrics
    }

    fn readiness(&self) -> Readiness {
        self.parts.readiness.borrow().clone()
    }

    fn read_permits(&self) -> &Arc<Semaphore> {
        &self.read_permits
    }

    fn execute_permits(&self) -> &Arc<Semaphore> {
        &self.execute_permits
    }

    fn pool(&self) -> Option<&Pool> {
        Some(&self.parts.pool)
    }
}
