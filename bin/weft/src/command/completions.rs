//! `weft completions`: a script that lets a shell complete `weft`'s commands and flags.

use crate::cli::Cli;
use clap::CommandFactory;
use clap_complete::{Shell, generate};
use std::io;

/// Prints the script.
pub fn run(shell: Shell) {
    generate(shell, &mut Cli::command(), "weft", &mut io::stdout());
}
