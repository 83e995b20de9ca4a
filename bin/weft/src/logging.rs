//! Log lines on standard error; standard output belongs to results and to the node's banner.

use crate::settings::{LogFormat, NodeArgs};
use eyre::{Context, Result, eyre};
use std::io::{self, IsTerminal};
use tracing_subscriber::EnvFilter;

/// Installs the process' logger.
pub fn init(settings: &NodeArgs) -> Result<()> {
    let filter = settings.log_filter.as_deref().unwrap_or("info");
    let filter = EnvFilter::try_new(filter).wrap_err_with(|| format!("--log.filter `{filter}`"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let result = match settings.log_format {
        Some(LogFormat::Json) => builder.json().flatten_event(true).try_init(),
        _ => builder.with_ansi(io::stderr().is_terminal()).try_init(),
    };
    result.map_err(|error| eyre!("logging: {error}"))
}
