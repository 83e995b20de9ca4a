#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod admin;
mod args;
mod chain;
mod columns;
mod config;
mod context;
mod da;
mod dev;
mod digest;
mod error;
mod eth;
mod filters;
mod follow;
mod head;
mod metrics;
mod net;
mod network;
mod pending;
mod permanence;
mod place;
mod registrar;
mod server;
mod serving;
mod txpool;
mod types;
mod web3;

pub use args::Args;
pub use columns::{ColumnsContext, ColumnsParts};
pub use config::RpcConfig;
pub use context::{Readiness, RpcContext, RpcParts};
pub use dev::DevAccounts;
pub use digest::{BlockDigest, TransactionDigest};
pub use error::{RpcError, revert_message};
pub use filters::Filters;
pub use head::{Head, HeadChange, JournalEntry};
pub use metrics::RpcMetrics;
pub use network::{NetworkParts, SyncView, Syncing};
pub use permanence::{PermanenceParts, UploadState, Uploads};
pub use registrar::{Json, Registrar};
pub use server::{RpcServer, RpcServerError};
pub use serving::Serving;

use jsonrpsee::{RpcModule, server::RegisterMethodError};
use std::sync::Arc;

/// All methods of the configured namespaces. A new namespace is one line here and one module;
/// `debug`, `trace` and `engine` have their place in this table.
fn module(context: &Arc<RpcContext>) -> Result<RpcModule<Arc<RpcContext>>, RegisterMethodError> {
    type Register = fn(&mut Registrar);
    const NAMESPACES: [(&str, Register); 6] = [
        ("eth", eth::register),
        ("net", net::register),
        ("web3", web3::register),
        ("txpool", txpool::register),
        ("da", da::register),
        ("admin", admin::register),
    ];
    let mut registrar = Registrar::new(Arc::clone(context));
    for (name, register) in NAMESPACES {
        if context.config.namespaces.iter().any(|wanted| wanted == name) {
            register(&mut registrar);
        }
    }
    registrar.finish()
}
