//! `weft`.
mod conformance;

use clap::Parser;

#[derive(Parser)]
enum Cli {
    /// Runs Ethereum's blockchain tests.
    #[command(hide = true)]
    EfTests(conformance::Args),
}

fn main() -> eyre::Result<()> {
    let Cli::EfTests(args) = Cli::parse();
    conformance::run(&args)
}
