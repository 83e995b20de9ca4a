//! `weft node`: runs until a signal, or until a part of it cannot go on.

use crate::{
    command::progress,
    logging,
    settings::{
        NodeArgs, RoleName,
        resolve::{Sources, columns_config, node_config},
    },
};
use eyre::{Context, Result, bail, ensure};
use indicatif::ProgressBar;
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};
use weft_consensus::SyncProgress;
use weft_node::{ColumnsConfig, ColumnsNode, Node, NodeConfig, Recorder, Stopped, install_recorder};

/// What shells report for a process that SIGINT ended.
const INTERRUPTED: i32 = 130;

/// Runs a node of the role that the settings name.
pub fn run(sources: &Sources) -> Result<()> {
    run_as(&sources.effective()?)
}

/// Runs a light node.
pub fn run_light(sources: &Sources) -> Result<()> {
    let mut sources = sources.clone();
    ensure!(
        sources.node.role.is_none_or(|role| role == RoleName::Light),
        "`weft light` is a role of its own: leave --role out, or use `weft node --role`"
    );
    sources.node.role = Some(RoleName::Light);
    run(&sources)
}

/// They round a light node's small heap up to twice its size. A kernel that has none refuses, which is as good.
fn give_up_huge_pages() {
    let (yes, unused): (libc::c_ulong, libc::c_ulong) = (1, 0);
    // SAFETY: prctl takes numbers here.
    let _ = unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, yes, unused, unused, unused) };
}

fn run_as(settings: &NodeArgs) -> Result<()> {
    logging::init(settings)?;
    if settings.role == Some(RoleName::Light) {
        give_up_huge_pages();
    }
    let config = match columns_config(settings)? {
        Some(config) => Config::Columns(Box::new(config)),
        None => Config::Full(Box::new(node_config(settings)?)),
    };
    let recorder = install_recorder()?;
    runtime()?.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).wrap_err("SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).wrap_err("SIGINT")?;
        let node = config.start(recorder).await?;
        print!("{}", node.banner());
        let bar = node.sync_progress().map(|progress| AbortOnDropHandle::new(tokio::spawn(show(progress))));
        let stopped = tokio::select! {
            _ = terminate.recv() => Stopped::Asked,
            _ = interrupt.recv() => Stopped::Asked,
            stopped = node.stopped() => stopped,
        };
        drop(bar);
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

/// What is to run.
enum Config {
    Full(Box<NodeConfig>),
    Columns(Box<ColumnsConfig>),
}

/// What runs.
enum Running {
    Full(Box<Node>),
    Columns(Box<ColumnsNode>),
}

impl Config {
    async fn start(self, recorder: Recorder) -> Result<Running> {
        Ok(match self {
            Self::Full(config) => Running::Full(Box::new(Node::start(*config, recorder).await?)),
            Self::Columns(config) => Running::Columns(Box::new(ColumnsNode::start(*config, recorder).await?)),
        })
    }
}

impl Running {
    fn banner(&self) -> String {
        match self {
            Self::Full(node) => node.banner(),
            Self::Columns(node) => node.banner(),
        }
    }

    fn sync_progress(&self) -> Option<watch::Receiver<SyncProgress>> {
        match self {
            Self::Full(node) => node.sync_progress(),
            Self::Columns(node) => Some(node.sync_progress()),
        }
    }

    async fn stopped(&self) -> Stopped {
        match self {
            Self::Full(node) => node.stopped().await,
            Self::Columns(node) => node.stopped().await,
        }
    }

    async fn shutdown(self) {
        match self {
            Self::Full(node) => node.shutdown().await,
            Self::Columns(node) => node.shutdown().await,
        }
    }
}

/// A bar on the terminal while the node catches up.
async fn show(mut progress: watch::Receiver<SyncProgress>) {
    let mut bar: Option<ProgressBar> = None;
    while progress.changed().await.is_ok() {
        let now = *progress.borrow_and_update();
        if !now.is_syncing() {
            if let Some(bar) = bar.take() {
                bar.finish_and_clear();
            }
            continue;
        }
        let bar = bar.get_or_insert_with(|| progress::blocks(0, false));
        bar.set_length(now.target.saturating_sub(now.start));
        bar.set_position(now.executed.saturating_sub(now.start));
    }
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
