//! What can go wrong: with bytes (`FormatError`), with a wallet (`WalletError`), with the network (`Error`).

use crate::Id;
use std::{io, path::PathBuf, time::Duration};

/// Bytes that are not what they should be, whoever sent them.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// Not base64url in its one spelling.
    #[error("{field} is not base64url: {source}")]
    Base64 {
        /// Which field.
        field: &'static str,
        /// The decoder's reason.
        source: base64::DecodeError,
    },
    /// Another number of bytes than the format has.
    #[error("{field} has {found} bytes where {expected} belong")]
    Length {
        /// Which field.
        field: &'static str,
        /// Bytes that the format asks for.
        expected: usize,
        /// Bytes that were there.
        found: usize,
    },
    /// More than the format, or this crate, allows.
    #[error("{field} is {found}, at most {max} is allowed")]
    TooLarge {
        /// What is too large.
        field: &'static str,
        /// Its size or number.
        found: u64,
        /// The bound.
        max: u64,
    },
    /// Not the format, or not its canonical form.
    #[error("{field}: {reason}")]
    Malformed {
        /// Which field.
        field: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// Not JSON of the expected shape.
    #[error("not the expected JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A signature that does not belong to the content and the owner.
    #[error("the signature does not verify")]
    Signature,
    /// An id that is not the hash of the signature, or not the one that was asked for.
    #[error("the id is {found} where {expected} belongs")]
    WrongId {
        /// The id that was asked for, or that follows from the signature.
        expected: Id,
        /// The id that was there.
        found: Id,
    },
    /// Data whose root, hash or size is not the signed one.
    #[error("the data is not what was signed: {0}")]
    WrongData(&'static str),
    /// A Merkle path that does not lead from the chunk to the root.
    #[error("the proof does not verify: {0}")]
    Proof(&'static str),
    /// The reader that bytes come from ended or failed, or the writer that they go to.
    #[error("input or output: {0}")]
    Io(#[from] io::Error),
}

/// Why there is no wallet.
#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    /// Not a wallet of the expected shape. Says where, never what.
    #[error("not a wallet: line {line}, column {column}")]
    Json {
        /// Line, from 1.
        line: usize,
        /// Column.
        column: usize,
    },
    /// A field of the JWK that is missing or wrong.
    #[error("the JWK's {field} {reason}")]
    Field {
        /// Its name in RFC 7518.
        field: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An RSA key of another size than 4096 bits.
    #[error("an RSA key of {0} bits; Arweave's keys have 4096")]
    KeySize(u32),
    /// Numbers that do not belong together.
    #[error("not a valid RSA key: {0}")]
    Key(#[from] rsa::Error),
    /// The file is encrypted and no passphrase was given.
    #[error("the wallet is encrypted: a passphrase is needed")]
    PassphraseNeeded,
    /// A passphrase for a file that is not encrypted.
    #[error("a passphrase was given, but the wallet is not encrypted")]
    NotEncrypted,
    /// The passphrase is wrong, or the file was altered.
    #[error("wrong passphrase, or the wallet file was altered")]
    Passphrase,
    /// Key derivation parameters out of bounds.
    #[error("the wallet file asks for a key derivation out of bounds")]
    Derivation,
    /// The operating system gave no random bytes.
    #[error("no random bytes: {0}")]
    Random(#[from] getrandom::Error),
    /// The file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// What a call of the client ends with when it fails.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes at hand are not what they should be.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The wallet could not sign.
    #[error(transparent)]
    Wallet(#[from] WalletError),
    /// The request did not get an answer.
    #[error("{url}: {source}")]
    Transport {
        /// Whom it was for.
        url: String,
        /// Why.
        source: reqwest::Error,
    },
    /// An answer with another status than the call knows.
    #[error("{url} answered {status}: {body}")]
    Status {
        /// Who answered.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The beginning of what it said.
        body: String,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// A body over the call's cap, refused before it was read whole.
    #[error("{url} sends more than {max} bytes")]
    BodyTooLarge {
        /// Who answered.
        url: String,
        /// The cap.
        max: u64,
    },
    /// An answer that is not what was asked for: a gateway that is broken, or lies.
    #[error("{url} gave a wrong answer: {source}")]
    WrongAnswer {
        /// Who answered.
        url: String,
        /// What is wrong with it.
        source: FormatError,
    },
    /// Known to the network, but not yet in a block.
    #[error("{0} is pending")]
    Pending(Id),
    /// The node cannot take it yet, for a reason that passes.
    #[error("{url} cannot take it yet: {reason}")]
    NotYet {
        /// Who answered.
        url: String,
        /// Its reason, by name.
        reason: String,
    },
    /// Every gateway says that it does not have it.
    #[error("no gateway has {0}")]
    NotFound(String),
    /// The network refused the signed bytes, with a reason.
    #[error("rejected with status {status}: {reason}")]
    Rejected {
        /// The HTTP status.
        status: u16,
        /// The beginning of what was said.
        reason: String,
    },
    /// The deadline of the call passed; the last failure is the source, if there was one.
    #[error("not done within {limit:?}")]
    Deadline {
        /// The deadline.
        limit: Duration,
        /// The last failure.
        source: Option<Box<Error>>,
    },
    /// A setting that the client cannot work with.
    #[error("{0}")]
    Config(String),
}

impl Error {
    /// Whether the same call may succeed later without anything being changed here.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Transport { .. } | Self::Deadline { .. } => true,
            Self::NotFound(_) | Self::Pending(_) | Self::NotYet { .. } => true,
            Self::WrongAnswer { .. } | Self::BodyTooLarge { .. } => true,
            Self::Status { status, .. } => is_transient_status(*status),
            Self::Format(_) | Self::Wallet(_) | Self::Rejected { .. } | Self::Config(_) => false,
        }
    }

    /// Of several failures the one that a caller should see: what leaves the outcome open before a wrong answer, that before a
    /// refusal, and that before an absence.
    pub(crate) fn worse(one: Option<Self>, other: Self) -> Option<Self> {
        let weight = |error: &Self| match error {
            Self::NotFound(_) => 0,
            Self::Pending(_) => 1,
            Self::Rejected { .. } => 2,
            Self::WrongAnswer { .. } | Self::BodyTooLarge { .. } => 3,
            _ => 4,
        };
        match one {
            Some(one) if weight(&one) > weight(&other) => Some(one),
            _ => Some(other),
        }
    }
}

/// Statuses after which the same request may be sent again: timeouts, too many requests, server faults.
pub(crate) fn is_transient_status(status: u16) -> bool {
    matches!(status, 408 | 421 | 425 | 429 | 500..=599)
}
