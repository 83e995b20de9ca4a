//! Progress bars on standard error, where that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar that counts bytes; invisible when `quiet` or when nobody is looking.
pub fn bytes(total: u64, quiet: bool) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(
        "{bar:32} {bytes:>11} / {total_bytes}  {bytes_per_sec}  {eta} left  {msg}",
    )
    .expect("a constant template");
    ProgressBar::new(total).with_style(style)
}

/// A bar that counts blocks.
pub fn blocks(total: u64, quiet: bool) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:32} {pos:>9} / {len} blocks  {per_sec}  {eta} left")
        .expect("a constant template");
    ProgressBar::new(total).with_style(style)
}

/// A bar that counts steps of a whole, with what is being done beside it.
pub fn share(total: u64, quiet: bool) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:32} {percent:>3} %  {elapsed}  {msg}")
        .expect("a constant template");
    ProgressBar::new(total).with_style(style)
}
