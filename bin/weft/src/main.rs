//! `weft`: flags to configuration to node, and the commands around it; nothing else.

mod cli;
mod client;
mod command;
mod conformance;
mod logging;
mod settings;

use clap::Parser;
use cli::{Cli, Command};
use std::process::ExitCode;
use tikv_jemallocator::Jemalloc;

/// For RocksDB's C++ as well. Its settings are compiled in: `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Exit codes: 0 done, 1 failed, 2 wrong usage (clap's own), 130 stopped at once by a second signal.
fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Node(sources) => command::node::run(&sources),
        Command::Light(sources) => command::node::run_light(&sources),
        Command::Init(sources) => command::init::run(&sources),
        Command::Identity(sources) => command::identity::run(&sources),
        Command::Config(sources) => command::config::run(&sources),
        Command::Devnet(args) => command::devnet::run(&args),
        Command::Db(args) => command::db::run(&args),
        Command::Blob(command) => command::blob::run(&command),
        Command::Restore(args) => command::restore::run(&args),
        Command::Checkpoint(command) => command::checkpoint::run(&command),
        Command::Cost(args) => command::cost::run(&args),
        Command::Wallet(command) => command::wallet::run(&command),
        Command::Gateway(args) => command::gateway::run(&args),
        Command::Bench(args) => command::bench::run(&args),
        Command::EfTests(args) => conformance::run(&args),
        Command::Completions { shell } => {
            command::completions::run(shell);
            Ok(())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
