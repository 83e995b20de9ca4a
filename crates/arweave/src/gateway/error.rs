//! Why a gateway cannot go on (`GatewayError`), and what it answers to a request that it refuses (`Refusal`).

use crate::{FormatError, WalletError};
use http::StatusCode;
use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};

/// What can go wrong in a gateway, apart from refused requests.
#[derive(Clone, Debug, thiserror::Error)]
pub enum GatewayError {
    /// The address cannot be listened on.
    #[error("the gateway cannot listen on {address}: {source}")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// The system's reason.
        source: Arc<io::Error>,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// The system's reason.
        source: Arc<io::Error>,
    },
    /// The index cannot be read or written.
    #[error("the gateway's index: {0}")]
    Index(Arc<redb::Error>),
    /// The folder was written by another version.
    #[error("the gateway's folder has schema {found}, this version knows {known}")]
    Schema {
        /// What the folder says.
        found: u64,
        /// What is known.
        known: u64,
    },
    /// A record that is not what this version writes, or refers to what is not there.
    #[error("the gateway's index is damaged: {0}")]
    Damaged(&'static str),
    /// The bundler's wallet cannot be made or read.
    #[error("the bundler's wallet: {0}")]
    Wallet(Arc<WalletError>),
    /// What the gateway itself made is refused.
    #[error("the bundler made what it should not: {0}")]
    Bundler(Arc<FormatError>),
    /// It was stopped.
    #[error("the gateway has stopped")]
    Stopped,
    /// The request is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl GatewayError {
    pub(super) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::File { path, source: Arc::new(source) }
    }
}

macro_rules! index_errors {
    ($($error:ident),*) => {
        $(impl From<redb::$error> for GatewayError {
            fn from(error: redb::$error) -> Self {
                Self::Index(Arc::new(error.into()))
            }
        })*
    };
}

index_errors!(DatabaseError, TransactionError, TableError, StorageError, CommitError);

impl From<WalletError> for GatewayError {
    fn from(error: WalletError) -> Self {
        Self::Wallet(Arc::new(error))
    }
}

/// The answer to a request that is refused: status and text, as Arweave's own nodes word it where they know the case.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{status}: {text}")]
pub struct Refusal {
    /// The HTTP status.
    pub status: StatusCode,
    /// The body.
    pub text: String,
}

impl Refusal {
    /// Plain text.
    pub(super) fn text(status: u16, text: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, text: text.into() }
    }

    /// `{"error": code}`, the form of chunk uploads.
    pub(super) fn code(code: &str) -> Self {
        Self::text(400, serde_json::json!({ "error": code }).to_string())
    }

    pub(super) fn not_found() -> Self {
        Self::text(404, "Not Found.")
    }
}
