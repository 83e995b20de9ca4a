//! JSON shapes: geth's, built from alloy's RPC types.

mod block;
mod log;
mod receipt;
mod storage_key;
mod transaction;

pub use block::{MaybePending, RpcBlock, block_response, header_response, uncle_response};
pub use log::{log_at, logs_of};
pub use receipt::{RpcReceipt, receipt_response};
pub use storage_key::StorageKey;
pub use transaction::{RpcTransaction, included_transaction, pending_transaction, placed_transaction};
