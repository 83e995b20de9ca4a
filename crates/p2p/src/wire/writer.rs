//! Writes RLP as pieces: small things into one buffer, payloads as they are.

use alloy_primitives::Bytes;
use alloy_rlp::{Encodable, Header};

/// A payload of so many bytes becomes a piece of its own; below, copying is cheaper than one more write.
const PIECE_BYTES_MIN: usize = 4096;

/// A message in pieces.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    pieces: Vec<bytes::Bytes>,
}

impl Frame {
    /// Its pieces, in order.
    pub fn pieces(&self) -> &[bytes::Bytes] {
        &self.pieces
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.pieces.iter().map(bytes::Bytes::len).sum()
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All pieces in one.
    pub fn to_vec(&self) -> Vec<u8> {
        self.pieces.concat()
    }
}

/// Where a message is written to.
#[derive(Debug, Default)]
pub struct Writer {
    pieces: Vec<bytes::Bytes>,
    pieces_bytes: usize,
    tail: Vec<u8>,
}

impl Writer {
    /// A list of what `write` writes.
    pub fn list(&mut self, write: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        write(&mut inner);
        Header { list: true, payload_length: inner.len() }.encode(&mut self.tail);
        self.append(inner);
    }

    /// A small value.
    pub fn item(&mut self, value: &impl Encodable) {
        value.encode(&mut self.tail);
    }

    /// A byte string, shared and not copied when it is large.
    pub fn bytes(&mut self, value: &Bytes) {
        if value.len() < PIECE_BYTES_MIN {
            return value.encode(&mut self.tail);
        }
        Header { list: false, payload_length: value.len() }.encode(&mut self.tail);
        self.piece(value.0.clone());
    }

    /// A list with one `write` per item.
    pub fn items<'a, T: 'a>(
        &mut self,
        items: impl IntoIterator<Item = &'a T>,
        mut write: impl FnMut(&mut Self, &'a T),
    ) {
        self.list(|out| items.into_iter().for_each(|item| write(out, item)));
    }

    /// RLP that is written already.
    pub fn raw(&mut self, rlp: &[u8]) {
        self.tail.extend_from_slice(rlp);
    }

    /// The message.
    pub fn finish(mut self) -> Frame {
        self.flush();
        Frame { pieces: self.pieces }
    }

    fn len(&self) -> usize {
        self.pieces_bytes + self.tail.len()
    }

    fn flush(&mut self) {
        if !self.tail.is_empty() {
            let tail = std::mem::take(&mut self.tail);
            self.pieces_bytes += tail.len();
            self.pieces.push(tail.into());
        }
    }

    fn piece(&mut self, piece: bytes::Bytes) {
        self.flush();
        self.pieces_bytes += piece.len();
        self.pieces.push(piece);
    }

    fn append(&mut self, inner: Self) {
        for piece in inner.pieces {
            if piece.len() < PIECE_BYTES_MIN {
                self.tail.extend_from_slice(&piece);
            } else {
                self.piece(piece);
            }
        }
        self.tail.extend_from_slice(&inner.tail);
    }
}
