//! The TOML file: reading it, laying sources over each other, and writing the effective settings back.
//!
//! A dotted name is a TOML table path: `http.port = 1` and `[http]` / `port = 1` are the same. Unknown names are
//! refused with their name.

use super::NodeArgs;
use clap::{Args, Command};
use eyre::{Context, Result, eyre};
use std::{fmt::Write, fs, path::Path};
use toml::{Table, Value};

/// Reads and checks a settings file.
pub fn read(path: &Path) -> Result<NodeArgs> {
    let text = fs::read_to_string(path).wrap_err_with(|| format!("settings file {}", path.display()))?;
    parse(&text).wrap_err_with(|| format!("settings file {}", path.display()))
}

/// Checks settings in TOML.
pub fn parse(text: &str) -> Result<NodeArgs> {
    let table: Table = text.parse()?;
    let mut flat = Table::new();
    flatten("", table, &mut flat)?;
    // The error's first line names the field; what follows would point into a text that nobody wrote.
    Value::Table(flat).try_into().map_err(|error: toml::de::Error| eyre!("{}", error.message()))
}

/// `over` where it says something, else `under`.
pub fn merge(over: &NodeArgs, under: &NodeArgs) -> Result<NodeArgs> {
    let mut merged = Table::try_from(under)?;
    merged.extend(Table::try_from(over)?);
    Ok(merged.try_into()?)
}

/// The settings as a TOML file that says the same, each with its help text above it; unset ones commented out.
pub fn render(settings: &NodeArgs) -> Result<String> {
    let values = Table::try_from(settings)?;
    let command = NodeArgs::augment_args(Command::new("node"));
    let mut text = String::from(
        "# Settings of `weft node`. A flag wins over the environment (WEFT_HTTP_PORT for http.port),\n# that over this file, and this file over the defaults.\n",
    );
    for argument in command.get_arguments() {
        let Some(flag) = argument.get_long() else { continue };
        let name = toml_name(flag);
        writeln!(text, "\n# {}", argument.get_help().map(ToString::to_string).unwrap_or_default())?;
        match values.get(&name) {
            Some(value) => writeln!(text, "{name} = {value}")?,
            None => writeln!(text, "# {name} =")?,
        }
    }
    Ok(text)
}

/// The name in TOML of a flag.
pub fn toml_name(flag: &str) -> String {
    match flag {
        "dev" | "http" | "ws" | "p2p" => format!("{flag}.enabled"),
        _ => flag.to_owned(),
    }
}

fn flatten(prefix: &str, table: Table, into: &mut Table) -> Result<()> {
    for (key, value) in table {
        let name = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
        match value {
            Value::Table(inner) => flatten(&name, inner, into)?,
            value => {
                if into.insert(name.clone(), value).is_some() {
                    return Err(eyre!("`{name}` is given twice"));
                }
            }
        }
    }
    Ok(())
}
