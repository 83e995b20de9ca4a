//! What is gossiped: heads of the sealers, announcements of transactions, segments of columns.
//!
//! Messages carry no signature of gossipsub's: a transaction and a segment prove themselves, and a block is signed in
//! its payload. That spares every hop a SHA-512 over each megabyte.

mod block;
mod segment;
mod signed_head;
mod transactions;

pub use block::{BlockAnnouncement, HASHES_MAX, SignedAnnouncement};
pub use segment::ColumnSegment;
pub use signed_head::SignedHead;
pub use transactions::{ANNOUNCEMENTS_MAX, Announcements, INLINE_BYTES_MAX, TxAnnouncement};
