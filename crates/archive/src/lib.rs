#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod error;
mod metrics;
mod operations;
mod parity;
mod reader;
mod retrieve;
mod stage;
mod verify;

pub use error::RetrieveError;
pub use operations::{drop_body, drop_columns, repair};
pub use parity::ParityCache;
pub use retrieve::{Retriever, Source};
pub use stage::{BLOB_ARCHIVE, BlobArchive};
pub use verify::{BlockReport, Problem, verify_block};
