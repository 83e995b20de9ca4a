//! What a peer can do wrong. What each costs is in the table of scores.

/// What a peer did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Offence {
    /// A cell, a segment or a proof that does not lead to the header.
    BadProof,
    /// A block that breaks the rules of the chain, or a body that is not its header's.
    BadBlock,
    /// A header that is not what was asked for, or does not link.
    BadHeader,
    /// A transaction that no valid node passes on.
    BadTransaction,
    /// A block or a head of somebody who is not a sealer.
    StrangersBlock,
    /// Bytes that cannot be decoded.
    Undecodable,
    /// A frame longer than its protocol allows, or a stream without an end.
    Oversized,
    /// No answer in time.
    Timeout,
    /// Something that was announced, attested or promised and is not had.
    NotServed,
    /// Requests after the refusals that asked to stop.
    Flood,
}

impl Offence {
    /// All of them, for tables and metrics.
    pub const ALL: [Self; 10] = [
        Self::BadProof,
        Self::BadBlock,
        Self::BadHeader,
        Self::BadTransaction,
        Self::StrangersBlock,
        Self::Undecodable,
        Self::Oversized,
        Self::Timeout,
        Self::NotServed,
        Self::Flood,
    ];

    /// As it is written in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadProof => "bad_proof",
            Self::BadBlock => "bad_block",
            Self::BadHeader => "bad_header",
            Self::BadTransaction => "bad_transaction",
            Self::StrangersBlock => "strangers_block",
            Self::Undecodable => "undecodable",
            Self::Oversized => "oversized",
            Self::Timeout => "timeout",
            Self::NotServed => "not_served",
            Self::Flood => "flood",
        }
    }
}
