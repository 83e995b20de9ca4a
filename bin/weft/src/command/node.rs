//! `weft node`: runs until a signal, or until a part of it cannot go on.

use crate::{
    logging,
    settings::resolve::{Sources, node_config},
};
use eyre::{Context, Result, bail};
use std::process;
use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
};
use tracing::{info, warn};
use weft_node::{Node, Stopped, install_recorder};

/// What shells report for a process that SIGINT ended.
const INTERRUPTED: i32 = 130;

/// Runs a node.
pub fn run(sources: &Sources) -> Result<()> {
    let settings = sources.effective()?;
    logging::init(&settings)?;
    let config = node_config(&settings)?;
    let recorder = install_recorder()?;
    let runtime = runtime::Builder::new_multi_thread().enable_all().thread_name("weft-async").build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).wrap_err("SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).wrap_err("SIGINT")?;
        let node = Node::start(config, recorder).await?;
        print!("{}", node.banner());
        let stopped = tokio::select! {
            _ = terminate.recv() => Stopped::Asked,
            _ = interrupt.recv() => Stopped::Asked,
            stopped = node.stopped() => stopped,
        };
        if stopped == Stopped::Asked {
            info!(target: "weft::node", "stopping; a second signal ends the process at once");
        }
        tokio::select! {
            () = node.shutdown() => {}
            _ = terminate.recv() => at_once(),
            _ = interrupt.recv() => at_once(),
        }
        match stopped {
            Stopped::Asked => Ok(()),
            Stopped::Failed(part) => bail!("{part} could not go on; the log says why"),
        }
    })
}

/// Safe at any moment: what was acknowledged is on the disk.
fn at_once() {
    warn!(target: "weft::node", "second signal: ending at once");
    process::exit(INTERRUPTED);
}
