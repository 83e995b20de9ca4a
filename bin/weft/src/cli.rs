//! The command line: subcommands and their options, as plain data.

use crate::{
    command::{
        bench::BenchArgs, blob::BlobCommand, checkpoint::CheckpointCommand, cost::CostArgs, db::DbArgs,
        devnet::DevnetArgs, gateway::GatewayArgs, restore::RestoreArgs, wallet::WalletCommand,
    },
    conformance,
    settings::resolve::Sources,
};
use clap::{Parser, Subcommand};
use clap_complete::Shell;

const AFTER_HELP: &str = "\
Examples:
  weft node --dev                          a development chain on http://127.0.0.1:8545
  weft node --dev --dev.block-time 2s      the same with a block every two seconds
  weft devnet --nodes 4                    a network of four nodes on this machine
  weft light --sealers ID --peers ADDRESS  sample a chain, without its state
  weft blob put video.mp4                  publish a file, print its handle
  weft blob get 0x… -o video.mp4           get it back, checked
  weft db verify                           check the database of a stopped node
  weft restore --from URL --owner ADDRESS  a database from Arweave and nothing else
  weft bench --size 128KiB --duration 30s  how many MB/s this machine does";

/// An EVM-compatible data-availability node: large calldata becomes shards that anyone can check against the block header.
#[derive(Parser, Debug)]
#[command(name = "weft", version, about, after_help = AFTER_HELP, propagate_version = true, args_override_self = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run a node
    Node(Box<Sources>),
    /// Run a light node: believed headers, and random cells of every block; the same as `weft node --role light`
    Light(Box<Sources>),
    /// Create the data folder with the chain's genesis block and print its hash
    Init(Box<Sources>),
    /// Print the peer id of the data folder, by which others name this node; its key is made when it is missing
    Identity(Box<Sources>),
    /// Print the effective settings as TOML, each with its help
    Config(Box<Sources>),
    /// Run a whole network on this machine: a node that seals, nodes that follow it, da nodes, light nodes
    Devnet(DevnetArgs),
    /// Inspect, check and prune the database of a stopped node
    Db(Box<DbArgs>),
    /// Publish, fetch and verify files
    #[command(subcommand)]
    Blob(Box<BlobCommand>),
    /// Rebuild a node's database from a checkpoint on Arweave or in a folder, every byte of it checked
    Restore(Box<RestoreArgs>),
    /// Make, list, verify, export and import checkpoints
    #[command(subcommand)]
    Checkpoint(Box<CheckpointCommand>),
    /// Work out what a megabyte costs on Arweave, checkpointed and permanent
    Cost(Box<CostArgs>),
    /// Make and import the wallet that pays for permanence
    #[command(subcommand)]
    Wallet(WalletCommand),
    /// Serve the embedded Arweave gateway alone, for development: no real network, no real money
    Gateway(GatewayArgs),
    /// Measure throughput through a whole node, and read a sample back
    Bench(Box<BenchArgs>),
    /// Run Ethereum's own blockchain tests through storage, trie and engine
    #[command(hide = true)]
    EfTests(conformance::Args),
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn everything_has_help() {
        fn check(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{} has no help", command.get_name());
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{} of {} has no help",
                    argument.get_id(),
                    command.get_name()
                );
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }
}
