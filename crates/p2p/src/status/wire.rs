//! The wire form of a status.

use super::{Head, RemoteStatus};
use crate::{
    ForkDigest, Role, SignedHead,
    wire::{Reader, Wire, WireError, Writer},
};
use alloy_primitives::{B256, FixedBytes};

/// Version of the handshake.
pub(crate) const VERSION: u16 = 1;

/// What a node says of itself and of its chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusMessage {
    /// Version of the protocol.
    pub version: u16,
    /// Hash of block 0.
    pub genesis_hash: B256,
    /// The fork digest.
    pub fork_digest: ForkDigest,
    /// The rest.
    pub status: RemoteStatus,
}

/// Why a peer is sent away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goodbye {
    /// It speaks another version of the handshake.
    OtherVersion,
    /// Its chain begins with another block.
    OtherGenesis,
    /// Its chain has other rules.
    OtherFork,
}

/// The answer to a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatusReply {
    /// The other side's status.
    Status(Box<StatusMessage>),
    /// The asker is a stranger here.
    Goodbye(Goodbye),
}

impl StatusMessage {
    /// Why a peer with this status does not belong here, where the status would be `ours`.
    pub(crate) fn stranger(&self, ours: &Self) -> Option<Goodbye> {
        if self.version != ours.version {
            Some(Goodbye::OtherVersion)
        } else if self.genesis_hash != ours.genesis_hash {
            Some(Goodbye::OtherGenesis)
        } else if self.fork_digest != ours.fork_digest {
            Some(Goodbye::OtherFork)
        } else {
            None
        }
    }
}

impl Role {
    fn code(self) -> u8 {
        match self {
            Self::Full => 1,
            Self::Da => 2,
            Self::Light => 3,
        }
    }

    fn of_code(code: u8) -> Result<Self, WireError> {
        match code {
            1 => Ok(Self::Full),
            2 => Ok(Self::Da),
            3 => Ok(Self::Light),
            _ => Err(WireError::Field { field: "role", reason: "not a role" }),
        }
    }
}

impl Wire for StatusMessage {
    const BYTES_MAX: usize = 1024;

    fn write(&self, out: &mut Writer) {
        let status = &self.status;
        out.list(|out| {
            out.item(&self.version);
            out.item(&self.genesis_hash);
            out.item(&FixedBytes(self.fork_digest.0));
            out.item(&status.role.code());
            out.item(&status.custody_count);
            out.item(&status.head.number);
            out.item(&status.head.hash);
            out.item(&status.earliest_body);
            out.item(&status.earliest_columns);
            out.items(&status.signed_head, |out, head| head.write(out));
        });
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let mut list = from.list()?;
        let message = Self {
            version: list.item()?,
            genesis_hash: list.item()?,
            fork_digest: ForkDigest(list.item::<FixedBytes<4>>()?.0),
            status: RemoteStatus {
                role: Role::of_code(list.item()?)?,
                custody_count: list.item()?,
                head: Head { number: list.item()?, hash: list.item()? },
                earliest_body: list.item()?,
                earliest_columns: list.item()?,
                signed_head: list.optional("signedHead", SignedHead::read)?,
            },
        };
        list.end()?;
        Ok(message)
    }
}

impl Wire for StatusReply {
    const BYTES_MAX: usize = StatusMessage::BYTES_MAX + 8;

    fn write(&self, out: &mut Writer) {
        out.list(|out| match self {
            Self::Status(message) => {
                out.item(&0_u8);
                message.write(out);
            }
            Self::Goodbye(reason) => {
                out.item(&1_u8);
                out.item(&match reason {
                    Goodbye::OtherVersion => 1_u8,
                    Goodbye::OtherGenesis => 2,
                    Goodbye::OtherFork => 3,
                });
            }
        });
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let mut list = from.list()?;
        let reply = match list.item::<u8>()? {
            0 => Self::Status(Box::new(StatusMessage::read(&mut list)?)),
            1 => Self::Goodbye(match list.item::<u8>()? {
                1 => Goodbye::OtherVersion,
                2 => Goodbye::OtherGenesis,
                3 => Goodbye::OtherFork,
                _ => return Err(WireError::Field { field: "goodbye", reason: "not a reason" }),
            }),
            _ => return Err(WireError::Field { field: "status", reason: "neither status nor goodbye" }),
        };
        list.end()?;
        Ok(reply)
    }
}
