//! What a JSON-RPC call can fail with, in geth's codes and words.
//!
//! Handlers return [`RpcError`]; the registrar turns it into a JSON-RPC error object. Codes:
//! 3 for a revert, -32000 for everything that geth reports so, -32002 for a timeout, -32003 for a
//! response that is too large, 4444 for blocks of which only the header is kept (EIP-4444), -32005 for limits (EIP-1474), -32010 for calldata that cannot be had
//! now (PROTOCOL §8), -32602 for wrong parameters, -32603 for faults of this node, and
//! -38010 … -38026 for `eth_simulateV1` (execution-apis).

use alloy_primitives::{Bytes, TxHash};
use jsonrpsee::types::{ErrorObjectOwned, error::ErrorObject};
use weft_primitives::ColumnIndex;

/// A failed call.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// The parameters are malformed or break a rule of the method (-32602).
    #[error("{0}")]
    InvalidParams(String),
    /// The request is well formed, and cannot be answered as it is (-32000).
    #[error("{0}")]
    Rejected(String),
    /// The named block is not in the canonical chain (-32000).
    #[error("header not found")]
    HeaderNotFound,
    /// The block is known, and its body and receipts are not kept (4444).
    #[error("pruned history unavailable: {0}")]
    PrunedHistory(#[source] weft_storage::StorageError),
    /// The EVM reverted (code 3, the returned bytes as data).
    #[error("{}", revert_message(.0))]
    Reverted(Bytes),
    /// A limit of this server (-32005).
    #[error("{0}")]
    Limit(String),
    /// The time for one request ran out (-32002).
    #[error("request timed out")]
    Timeout,
    /// The result does not fit the response limit (-32003).
    #[error("response too large (limit {0} bytes)")]
    ResponseTooLarge(usize),
    /// Calldata exists and cannot be had now (-32010, PROTOCOL §8).
    #[error("data of transaction {transaction} cannot be had now: columns {} are missing", display_columns(.missing))]
    DataMissing {
        /// Whose calldata.
        transaction: TxHash,
        /// Columns that neither this node nor its sources have.
        missing: Vec<ColumnIndex>,
    },
    /// An error with a code of its own (`eth_simulateV1`).
    #[error("{message}")]
    Coded {
        /// JSON-RPC error code.
        code: i32,
        /// What went wrong.
        message: String,
    },
    /// The method exists elsewhere and not here (-32601).
    #[error("{0}")]
    Unsupported(String),
    /// A fault of this node (-32603); the source is logged, not shown.
    #[error("internal error: {0}")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl RpcError {
    /// A fault of this node.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(source.into())
    }

    /// Argument `index` is not what the method takes.
    pub fn argument(index: usize, reason: impl std::fmt::Display) -> Self {
        Self::InvalidParams(format!("invalid argument {index}: {reason}"))
    }

    /// JSON-RPC error code.
    pub fn code(&self) -> i32 {
        match self {
            Self::InvalidParams(_) => -32602,
            Self::Rejected(_) | Self::HeaderNotFound => -32000,
            Self::PrunedHistory(_) => 4444,
            Self::Reverted(_) => 3,
            Self::Limit(_) => -32005,
            Self::Timeout => -32002,
            Self::ResponseTooLarge(_) => -32003,
            Self::DataMissing { .. } => -32010,
            Self::Coded { code, .. } => *code,
            Self::Unsupported(_) => -32601,
            Self::Internal(_) => -32603,
        }
    }

    /// The error object, for every way out of this server.
    pub fn into_object(self) -> ErrorObjectOwned {
        let (code, message) = (self.code(), self.to_string());
        match self {
            Self::Reverted(data) => ErrorObject::owned(code, message, Some(data)),
            Self::DataMissing { missing, .. } => {
                let columns: Vec<String> =
                    missing.into_iter().map(|column| format!("{:#x}", column.0)).collect();
                ErrorObject::owned(code, message, Some(serde_json::json!({ "missing": columns })))
            }
            Self::Internal(source) => {
                tracing::error!(target: "weft::rpc", error = %source, "request failed");
                ErrorObject::owned(code, message, None::<()>)
            }
            _ => ErrorObject::owned(code, message, None::<()>),
        }
    }
}

impl From<RpcError> for ErrorObjectOwned {
    fn from(error: RpcError) -> Self {
        error.into_object()
    }
}

impl From<weft_storage::StorageError> for RpcError {
    fn from(error: weft_storage::StorageError) -> Self {
        match error {
            weft_storage::StorageError::BodyDropped(transaction, missing) => {
                Self::DataMissing { transaction, missing }
            }
            error @ (weft_storage::StorageError::BodyNotKept { .. }
            | weft_storage::StorageError::HeadersOnly(_)) => Self::PrunedHistory(error),
            error @ weft_storage::StorageError::StateNotKept { .. } => Self::Rejected(error.to_string()),
            error => Self::internal(error),
        }
    }
}

impl From<weft_trie::TrieError> for RpcError {
    fn from(error: weft_trie::TrieError) -> Self {
        Self::internal(error)
    }
}

impl From<weft_archive::RetrieveError> for RpcError {
    fn from(error: weft_archive::RetrieveError) -> Self {
        use weft_archive::RetrieveError;
        match error {
            RetrieveError::Missing { tx, missing } => Self::DataMissing { transaction: tx, missing },
            // The data exists, and not in the source that was asked for.
            RetrieveError::BodyDropped { .. } => Self::Coded { code: -32010, message: error.to_string() },
            RetrieveError::Storage(
                weft_storage::StorageError::BodyNotKept { .. } | weft_storage::StorageError::HeadersOnly(_),
            ) => Self::Coded { code: -32010, message: error.to_string() },
            RetrieveError::Commitment { .. }
            | RetrieveError::Archive { .. }
            | RetrieveError::NotProven { .. } => Self::Coded { code: -32010, message: error.to_string() },
            RetrieveError::OutOfRange { .. } => Self::InvalidParams(error.to_string()),
            error => Self::internal(error),
        }
    }
}

impl From<weft_pool::PoolError> for RpcError {
    fn from(error: weft_pool::PoolError) -> Self {
        use weft_pool::PoolError;
        match error {
            // Come again later: a limit, not a verdict.
            PoolError::Busy { .. } | PoolError::Archiving { .. } => Self::Limit(error.to_string()),
            PoolError::Storage(_) | PoolError::State(_) | PoolError::Threads(_) => Self::internal(error),
            // geth answers every refusal of its pool with -32000 and the pool's words.
            _ => Self::Rejected(error.to_string()),
        }
    }
}

/// geth's words for a revert: the reason string or the panic's meaning where the bytes tell it.
pub fn revert_message(data: &[u8]) -> String {
    match revert_reason(data) {
        Some(reason) => format!("execution reverted: {reason}"),
        None => "execution reverted".to_owned(),
    }
}

/// `Error(string)` and `Panic(uint256)` as Solidity encodes them.
fn revert_reason(data: &[u8]) -> Option<String> {
    const ERROR: [u8; 4] = [0x08, 0xc3, 0x79, 0xa0];
    const PANIC: [u8; 4] = [0x4e, 0x48, 0x7b, 0x71];
    let (selector, rest) = data.split_at_checked(4)?;
    if selector == PANIC && rest.len() >= 32 {
        let code = alloy_primitives::U256::from_be_slice(&rest[..32]);
        return Some(
            panic_reason(code.saturating_to())
                .map_or_else(|| format!("unknown panic code: {code:#x}"), str::to_owned),
        );
    }
    if selector != ERROR {
        return None;
    }
    let word = |at: usize| -> Option<usize> {
        let bytes = rest.get(at..at.checked_add(32)?)?;
        alloy_primitives::U256::from_be_slice(bytes).try_into().ok()
    };
    let start = word(0)?;
    let length = word(start)?;
    let from = start.checked_add(32)?;
    let text = rest.get(from..from.checked_add(length)?)?;
    Some(String::from_utf8_lossy(text).into_owned())
}

/// Solidity's panic codes (docs.soliditylang.org, "Panic via assert and Error via require").
fn panic_reason(code: u64) -> Option<&'static str> {
    Some(match code {
        0x00 => "generic panic",
        0x01 => "assert(false)",
        0x11 => "arithmetic underflow or overflow",
        0x12 => "division or modulo by zero",
        0x21 => "enum overflow",
        0x22 => "invalid encoded storage byte array accessed",
        0x31 => "out-of-bounds array access; popping on an empty array",
        0x32 => "out-of-bounds access of an array or bytesN",
        0x41 => "out of memory",
        0x51 => "uninitialized function",
        _ => return None,
    })
}

fn display_columns(columns: &[ColumnIndex]) -> String {
    let list: Vec<String> = columns.iter().map(ToString::to_string).collect();
    format!("[{}]", list.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::hex;
    use proptest::prelude::*;

    #[test]
    fn a_revert_says_what_solidity_said() {
        let user = hex!(
            "08c379a00000000000000000000000000000000000000000000000000000000000000020000000000000000000000000000000000000000000000000000000000000000a75736572206572726f72"
        );
        assert_eq!(revert_message(&user), "execution reverted: user error");
        let panic = hex!("4e487b710000000000000000000000000000000000000000000000000000000000000001");
        assert_eq!(revert_message(&panic), "execution reverted: assert(false)");
        assert_eq!(revert_message(b"wrong-calldatasize"), "execution reverted");
        assert_eq!(revert_message(b""), "execution reverted");
    }

    #[test]
    fn a_revert_keeps_code_3_and_its_bytes() {
        let object = RpcError::Reverted(Bytes::from_static(&[1, 2])).into_object();
        assert_eq!(object.code(), 3);
        assert_eq!(object.data().map(|data| data.get()), Some("\"0x0102\""));
    }

    #[test]
    fn missing_columns_are_named() {
        let error = RpcError::DataMissing {
            transaction: TxHash::ZERO,
            missing: vec![ColumnIndex(2), ColumnIndex(9)],
        };
        let object = error.into_object();
        assert_eq!(object.code(), -32010);
        assert!(object.message().contains("[2, 9]"));
        assert_eq!(object.data().map(|data| data.get()), Some(r#"{"missing":["0x2","0x9"]}"#));
    }

    proptest! {
        #[test]
        fn no_revert_data_makes_the_decoder_panic(prefix in any::<bool>(), mut tail in proptest::collection::vec(any::<u8>(), 0..200)) {
            if prefix {
                tail.splice(0..0, [0x08, 0xc3, 0x79, 0xa0]);
            }
            prop_assert!(revert_message(&tail).starts_with("execution reverted"));
        }
    }
}
