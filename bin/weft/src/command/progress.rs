//! Progress bars on standard error, where that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar that counts bytes; invisible when `quiet` or when nobody is looking.
pub fn bytes(total: u64, quiet: bool) -> ProgressBar {
    bar(total, quiet, "{bar:32} {bytes:>11} / {total_bytes}  {bytes_per_sec}  {eta} left  {msg}")
}

/// A bar that counts blocks.
pub fn blocks(total: u64, quiet: bool) -> ProgressBar {
    bar(total, quiet, "{bar:32} {pos:>9} / {len} blocks  {per_sec}  {eta} left")
}

/// A bar that counts steps of a whole, with what is being done beside it.
pub fn share(total: u64, quiet: bool) -> ProgressBar {
    bar(total, quiet, "{bar:32} {percent:>3} %  {elapsed}  {msg}")
}

fn bar(total: u64, quiet: bool, template: &'static str) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    ProgressBar::new(total).with_style(ProgressStyle::with_template(template).expect("a constant template"))
}
