//! The subcommands, one module each.

pub mod bench;
pub mod blob;
pub mod completions;
pub mod config;
pub mod db;
mod fund;
mod gas;
pub mod init;
pub mod key;
pub mod node;
mod progress;
