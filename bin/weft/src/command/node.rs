//! `weft node`: runs until a signal, or until a part of it cannot go on.

use crate::{
    logging,
    settings::resolve::{Sources, node_config},
};
use eyre::{Context, Result, bail};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};
use tokio::{
    runtime::{Builder, Runtime},
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
    runtime()?.block_on(async {
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

/// The asynchronous threads. Those that serve are told apart by name from those that may block (stages, reads of the
/// database), so that a profile or `/proc` says who used the time; the runtime starts all of the former first.
fn runtime() -> Result<Runtime> {
    let workers = thread::available_parallelism().map_or(2, usize::from);
    let started = AtomicUsize::new(0);
    let name = move || match started.fetch_add(1, Ordering::Relaxed) < workers {
        true => "weft-async".to_owned(),
        false => "weft-blocking".to_owned(),
    };
    Ok(Builder::new_multi_thread().worker_threads(workers).enable_all().thread_name_fn(name).build()?)
}

/// Safe at any moment: what was acknowledged is on the disk. Runs no destructor of the process: other threads are in
/// the middle of their work, in RocksDB too.
fn at_once() {
    warn!(target: "weft::node", "second signal: ending at once");
    // SAFETY: `_exit` takes a number and does not return.
    unsafe { libc::_exit(INTERRUPTED) }
}
