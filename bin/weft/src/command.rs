//! The subcommands, one module each.

pub mod bench;
pub mod blob;
pub mod checkpoint;
mod child;
pub mod completions;
pub mod config;
pub mod cost;
pub mod db;
pub mod devnet;
mod fund;
mod gas;
pub mod gateway;
pub mod identity;
pub mod init;
mod keeper;
pub mod key;
pub mod node;
mod progress;
pub mod restore;
pub mod wallet;
