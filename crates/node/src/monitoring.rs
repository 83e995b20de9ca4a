//! What tells others how the node is: the watch over the disk, which decides whether it is ready, and the page of metrics.

use crate::{Recorder, health::Health, operations::Operations, process::ProcessReader};
use eyre::Result;
use std::{net::SocketAddr, path::Path};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use weft_rpc::Readiness;

/// What it watches, and whom it tells.
pub(crate) struct MonitoringArgs<'a> {
    pub(crate) datadir: &'a Path,
    /// Free bytes below which the node is not ready.
    pub(crate) reserve_bytes: u64,
    /// Where metrics, health and readiness are served.
    pub(crate) metrics: Option<SocketAddr>,
    pub(crate) recorder: Recorder,
    pub(crate) readiness: watch::Sender<Readiness>,
}

/// The running parts.
#[derive(Debug)]
pub(crate) struct Monitoring {
    operations: Option<Operations>,
    health: JoinHandle<()>,
    stop_health: CancellationToken,
}

impl Monitoring {
    /// An address that cannot be listened on fails here.
    pub(crate) async fn start(args: MonitoringArgs<'_>) -> Result<Self> {
        let MonitoringArgs { datadir, reserve_bytes, metrics, recorder, readiness } = args;
        let operations = match metrics {
            Some(address) => {
                let process = ProcessReader::new(datadir.to_owned());
                Some(Operations::start(address, recorder, process, readiness.subscribe()).await?)
            }
            None => None,
        };
        let stop_health = CancellationToken::new();
        let health = Health { datadir: datadir.to_owned(), reserve_bytes, readiness };
        Ok(Self { operations, health: tokio::spawn(health.run(stop_health.clone())), stop_health })
    }

    /// Where metrics are served.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.operations.as_ref().map(Operations::address)
    }

    /// From now on the node counts as not ready. To be called first when it stops, so that nobody is sent here any more.
    pub(crate) async fn leave(&mut self) {
        self.stop_health.cancel();
        // An error would be a panic of the task, which has been logged.
        let _ = (&mut self.health).await;
    }

    /// To be called after [`Self::leave`].
    pub(crate) async fn stop(self) {
        if let Some(operations) = self.operations {
            operations.stop().await;
        }
    }
}
