//! `weft devnet`: a whole network on this machine: a node that seals, nodes that follow it, `da` nodes and light nodes.
//!
//! Each node is a child process of this binary with a folder, a log and a key of its own. The keys are made before
//! anything runs, so that every node can be told whose blocks to believe; each dials all that were started before it.

pub mod fleet;
pub mod plan;
mod signals;

use clap::Args;
use eyre::{Context, Result, bail};
use fleet::Fleet;
use plan::{Plan, Shape};
use signals::Signals;
use std::{
    path::{Path, PathBuf},
    thread,
    time::Duration,
};
use tempfile::TempDir;

/// Distance of the looks at the children and for a signal.
const LOOK: Duration = Duration::from_millis(50);

/// Options of `weft devnet`.
#[derive(Args, Clone, Debug)]
pub struct DevnetArgs {
    /// Full nodes; the first of them seals
    #[arg(long, default_value_t = 4, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=16))]
    pub nodes: u16,
    /// Nodes that keep columns and execute nothing
    #[arg(long, default_value_t = 0, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(0..=16))]
    pub da: u16,
    /// Nodes that sample
    #[arg(long, default_value_t = 0, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(0..=16))]
    pub light: u16,
    /// Folder of the nodes' data, keys and logs, kept afterwards; the network goes on in it the next time [default: a
    /// temporary folder that is removed at the end]
    #[arg(long, value_name = "DIR")]
    pub datadir: Option<PathBuf>,
    /// JSON-RPC of the first node is served here, that of the others on the ports after it; peers 100 above, metrics
    /// 200 above [default: ports that the system chooses]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..=plan::BASE_PORT_MAX))]
    pub base_port: Option<u16>,
    /// Further options for the node that seals, after `--`, for example `--dev.block-time 1s`
    #[arg(last = true, value_name = "NODE OPTION")]
    pub sealer: Vec<String>,
}

/// Runs the network until a signal, or until one of its nodes has ended.
pub fn run(args: &DevnetArgs) -> Result<()> {
    let signals = Signals::listen()?;
    let folder = Folder::open(args.datadir.as_deref())?;
    let shape = Shape { nodes: args.nodes, da: args.da, light: args.light };
    let plan = Plan::new(folder.path(), shape, args.base_port, &args.sealer)?;
    let mut fleet = Fleet::default();
    let outcome = live(&plan, &mut fleet, &signals);
    if signals.count() > 0 {
        println!("stopping {} nodes; a second signal kills them", fleet.running().len());
    }
    let stopped = fleet.stop(&|| signals.count() > 1);
    // What was given up because of a signal is no failure.
    let outcome = if signals.count() > 0 { stopped } else { outcome.and(stopped) };
    if outcome.is_ok() {
        println!("stopped");
    } else {
        folder.keep();
    }
    outcome
}

/// From the start to the first signal, or to the first failure.
fn live(plan: &Plan, fleet: &mut Fleet, signals: &Signals) -> Result<()> {
    let given_up = || signals.count() > 0;
    fleet.start(plan, &given_up)?;
    print!("{fleet}");
    println!("logs: {}/*.log", plan.folder().display());
    fleet.await_connected(&given_up)?;
    println!(
        "ready: every node is connected to the {} others; Ctrl-C ends them all",
        plan.members().len() - 1
    );
    while signals.count() == 0 {
        if let Some(obituary) = fleet.obituary()? {
            bail!("{obituary}");
        }
        thread::sleep(LOOK);
    }
    Ok(())
}

/// Where the nodes' folders are.
enum Folder {
    Kept(PathBuf),
    Temporary(TempDir),
}

impl Folder {
    fn open(wanted: Option<&Path>) -> Result<Self> {
        let Some(path) = wanted else {
            return Ok(Self::Temporary(tempfile::Builder::new().prefix("weft-devnet-").tempdir()?));
        };
        std::fs::create_dir_all(path).wrap_err_with(|| format!("create {}", path.display()))?;
        // A child does not get along with a path that is relative to a folder that it may have left.
        Ok(Self::Kept(path.canonicalize().wrap_err_with(|| format!("--datadir: {}", path.display()))?))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }

    /// After a failure the logs are of use.
    fn keep(self) {
        if let Self::Temporary(folder) = self {
            eprintln!("kept: {}", folder.keep().display());
        }
    }
}
