//! What each field of a genesis file must look like, so that a malformed one is refused by its name.
//!
//! serde's own errors lose the path inside `config` (its unknown fields are kept aside), hence this pass over
//! the JSON before it is made typed. Fields that are not listed are left to serde, which ignores them as geth does.

use crate::ChainSpecError;
use serde_json::{Map, Value};

/// Shape of a field's value.
#[derive(Clone, Copy)]
enum Kind {
    /// A whole number below 2^64, as JSON number or hex or decimal string.
    U64,
    /// Below 2^256.
    U256,
    /// `0x` and this many bytes.
    Fixed(usize),
    /// `0x` and any bytes.
    Bytes,
    Bool,
    Object,
}

const TOP: &[(&str, Kind)] = &[
    ("config", Kind::Object),
    ("alloc", Kind::Object),
    ("nonce", Kind::U64),
    ("timestamp", Kind::U64),
    ("extraData", Kind::Bytes),
    ("gasLimit", Kind::U64),
    ("difficulty", Kind::U256),
    ("mixHash", Kind::Fixed(32)),
    ("coinbase", Kind::Fixed(20)),
    ("baseFeePerGas", Kind::U64),
    ("excessBlobGas", Kind::U64),
    ("blobGasUsed", Kind::U64),
    ("number", Kind::U64),
    ("parentHash", Kind::Fixed(32)),
];

const CONFIG: &[(&str, Kind)] = &[
    ("chainId", Kind::U64),
    ("daoForkSupport", Kind::Bool),
    ("terminalTotalDifficulty", Kind::U256),
    ("terminalTotalDifficultyPassed", Kind::Bool),
    ("depositContractAddress", Kind::Fixed(20)),
    ("blobSchedule", Kind::Object),
];

const BLOBS: &[(&str, Kind)] =
    &[("target", Kind::U64), ("max", Kind::U64), ("baseFeeUpdateFraction", Kind::U64)];

const ACCOUNT: &[(&str, Kind)] =
    &[("nonce", Kind::U64), ("balance", Kind::U256), ("code", Kind::Bytes), ("storage", Kind::Object)];

/// Refuses the first field that is not what it must be.
pub(crate) fn check(genesis: &Value) -> Result<(), ChainSpecError> {
    let top = object("file", genesis)?;
    required("", top, &["config", "alloc", "gasLimit"])?;
    known("", top, TOP)?;

    let config = object("config", &top["config"])?;
    required("config.", config, &["chainId"])?;
    known("config.", config, CONFIG)?;
    for (name, value) in config {
        if name.ends_with("Block") || name.ends_with("Time") {
            kind(&format!("config.{name}"), value, Kind::U64)?;
        }
    }
    for (fork, value) in children(config, "blobSchedule") {
        let path = format!("config.blobSchedule.{fork}");
        let params = object(&path, value)?;
        let path = format!("{path}.");
        required(&path, params, &["target", "max", "baseFeeUpdateFraction"])?;
        known(&path, params, BLOBS)?;
    }
    for (address, value) in children(top, "alloc") {
        account(address, value)?;
    }
    Ok(())
}

fn account(address: &str, value: &Value) -> Result<(), ChainSpecError> {
    let path = format!("alloc.{address}");
    if !is_hex(address.strip_prefix("0x").unwrap_or(address), Some(20)) {
        return Err(ChainSpecError::field(path, "is not an address of 20 bytes"));
    }
    let fields = object(&path, value)?;
    let path = format!("{path}.");
    required(&path, fields, &["balance"])?;
    known(&path, fields, ACCOUNT)?;
    for (slot, value) in children(fields, "storage") {
        let path = format!("{path}storage.{slot}");
        kind(&path, &Value::String(slot.clone()), Kind::U256)?;
        kind(&path, value, Kind::U256)?;
    }
    Ok(())
}

fn object<'a>(path: &str, value: &'a Value) -> Result<&'a Map<String, Value>, ChainSpecError> {
    value.as_object().ok_or_else(|| ChainSpecError::field(path, "must be an object"))
}

fn children<'a>(parent: &'a Map<String, Value>, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    parent.get(name).and_then(Value::as_object).into_iter().flatten()
}

fn required(prefix: &str, object: &Map<String, Value>, names: &[&str]) -> Result<(), ChainSpecError> {
    match names.iter().find(|name| object.get(**name).is_none_or(Value::is_null)) {
        Some(name) => Err(ChainSpecError::missing(format!("{prefix}{name}"))),
        None => Ok(()),
    }
}

fn known(prefix: &str, object: &Map<String, Value>, fields: &[(&str, Kind)]) -> Result<(), ChainSpecError> {
    for (name, shape) in fields {
        if let Some(value) = object.get(*name) {
            kind(&format!("{prefix}{name}"), value, *shape)?;
        }
    }
    Ok(())
}

/// `null` counts as absent, as in geth.
fn kind(path: &str, value: &Value, shape: Kind) -> Result<(), ChainSpecError> {
    if value.is_null() {
        return Ok(());
    }
    let (ok, expected) = match shape {
        Kind::U64 => (number_bytes(value, 8), "a whole number below 2^64".to_owned()),
        Kind::U256 => (number_bytes(value, 32), "a whole number below 2^256".to_owned()),
        Kind::Fixed(bytes) => (hex_string(value, Some(bytes)), format!("0x and {bytes} bytes in hex")),
        Kind::Bytes => (hex_string(value, None), "0x and bytes in hex".to_owned()),
        Kind::Bool => (value.is_boolean(), "true or false".to_owned()),
        Kind::Object => (value.is_object(), "an object".to_owned()),
    };
    if ok {
        Ok(())
    } else {
        Err(ChainSpecError::field(path, format!("is {}, must be {expected}", short(value))))
    }
}

fn number_bytes(value: &Value, bytes: usize) -> bool {
    let Some(text) = value.as_str() else {
        // Total difficulties are written as bare numbers beyond 2^64; serde_json gives those as floats.
        return value.as_u64().is_some() || (bytes > 8 && value.as_f64().is_some_and(|number| number >= 0.0));
    };
    match text.strip_prefix("0x") {
        Some(hex) => {
            let digits = hex.trim_start_matches('0');
            !hex.is_empty()
                && digits.len() <= bytes * 2
                && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
        }
        None => bytes > 8 && text.parse::<alloy_primitives::U256>().is_ok() || text.parse::<u64>().is_ok(),
    }
}

fn hex_string(value: &Value, bytes: Option<usize>) -> bool {
    value.as_str().is_some_and(|text| text.strip_prefix("0x").is_some_and(|hex| is_hex(hex, bytes)))
}

fn is_hex(text: &str, bytes: Option<usize>) -> bool {
    let whole = bytes.map_or(text.len().is_multiple_of(2), |bytes| text.len() == bytes * 2);
    whole && text.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// The value as it stands in the file, cut so that an error stays one line.
fn short(value: &Value) -> String {
    const CHARS_MAX: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
