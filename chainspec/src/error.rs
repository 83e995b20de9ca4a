//! Why a genesis file is refused.

/// A genesis file, or a configuration built in code, that this node cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ChainSpecError {
    /// Not JSON at all, or not the shape of a genesis file.
    #[error("genesis: {0}")]
    Json(#[from] serde_json::Error),
    /// One field is wrong.
    #[error("genesis: {field}: {reason}")]
    Field {
        /// Path from the top of the file, for example `config.weft.chunkBytes`.
        field: String,
        /// What is wrong with it, and what would be right.
        reason: String,
    },
}

impl ChainSpecError {
    /// One field is wrong.
    pub(crate) fn field(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Field { field: field.into(), reason: reason.into() }
    }

    /// A field that must be there is not.
    pub(crate) fn missing(field: impl Into<String>) -> Self {
        Self::field(field, "is missing")
    }
}
