//! `weft ef-tests`: Ethereum's blockchain test suites through the real storage, trie and engine.
//!
//! A case is a chain's genesis, blocks in the order in which they arrive, and the head and state that must come of
//! them. Each case gets a database of its own, in memory where the machine has a file system for that. What a consensus
//! layer would decide is decided in [`case`]: the head is the block with the most work before the merge, the newest
//! valid one after it.

mod case;
mod chain;
mod compare;
mod decode;
mod files;
mod fixture;
mod report;

use case::CaseError;
use report::Report;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Runs Ethereum's blockchain tests.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A file, a folder of them, an archive, or a folder with archives named fixtures/*blockchain*.tar.xz; may be
    /// repeated. Without it: $WEFT_FIXTURES, else ../shared.
    #[arg(long)]
    path: Vec<PathBuf>,
    /// Only cases whose file or name contains this.
    #[arg(long, default_value = "")]
    filter: String,
    /// Cases that run at the same time; one per core unless given.
    #[arg(long)]
    threads: Option<usize>,
}

/// Runs what is asked for and prints passed, failed and skipped. An error if any case failed, or none ran although
/// files were found.
pub fn run(args: &Args) -> eyre::Result<()> {
    let paths = match args.path.is_empty() {
        true => files::default_paths(),
        false => args.path.clone(),
    };
    if paths.is_empty() {
        println!("ef-tests: skipped, no fixtures in $WEFT_FIXTURES or ../shared");
        return Ok(());
    }
    let files = files::collect(&paths)?;
    let threads =
        args.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).max(1);
    let next = AtomicUsize::new(0);
    let report = Mutex::new(Report::default());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let of_file = run_file(file, &args.filter);
                    report.lock().unwrap_or_else(PoisonError::into_inner).add(of_file);
                }
            });
        }
    });
    report.into_inner().unwrap_or_else(PoisonError::into_inner).finish()
}

/// Runs the cases of one file.
fn run_file(file: &Path, filter: &str) -> Report {
    let mut report = Report::default();
    let name = file.display().to_string();
    let cases =
        match std::fs::read_to_string(file).map_err(eyre::Error::from).and_then(|json| fixture::parse(&json))
        {
            Ok(cases) => cases,
            Err(error) => {
                report.failed(&name, "", &format!("{error:#}"));
                return report;
            }
        };
    if cases.is_empty() {
        report.skipped("file without blockchain tests", 1);
    }
    for (case_name, case) in cases.iter().filter(|(case, _)| name.contains(filter) || case.contains(filter)) {
        match catch_unwind(AssertUnwindSafe(|| case::run(case))) {
            Ok(Ok(())) => report.passed(),
            Ok(Err(CaseError::Unsupported(reason))) => report.skipped(&reason, 1),
            Ok(Err(error)) => report.failed(&name, case_name, &error.to_string()),
            Err(_) => report.failed(&name, case_name, "panicked"),
        }
    }
    report
}
