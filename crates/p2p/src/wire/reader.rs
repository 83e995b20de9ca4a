//! Reads RLP from a frame; byte strings come out as slices of it.

use super::WireError;
use alloy_primitives::Bytes;
use alloy_rlp::{Decodable, Header};

/// A place in a frame.
#[derive(Debug)]
pub struct Reader<'a> {
    frame: &'a bytes::Bytes,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// At the beginning of a frame.
    pub fn new(frame: &'a bytes::Bytes) -> Self {
        Self { frame, rest: frame }
    }

    /// Enters a list, and goes past it here.
    pub fn list(&mut self) -> Result<Self, WireError> {
        let payload = Header::decode_bytes(&mut self.rest, true)?;
        Ok(Self { frame: self.frame, rest: payload })
    }

    /// A byte string of at most `max` bytes, shared with the frame.
    pub fn bytes(&mut self, max: usize) -> Result<Bytes, WireError> {
        let payload = Header::decode_bytes(&mut self.rest, false)?;
        if payload.len() > max {
            return Err(WireError::TooLong { bytes: payload.len(), max });
        }
        Ok(self.frame.slice_ref(payload).into())
    }

    /// A small value that owns what it reads.
    pub fn item<T: Decodable>(&mut self) -> Result<T, WireError> {
        Ok(T::decode(&mut self.rest)?)
    }

    /// The items of a list, at most `max` of them.
    pub fn items<T>(
        &mut self,
        list: &'static str,
        max: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, WireError>,
    ) -> Result<Vec<T>, WireError> {
        let mut inner = self.list()?;
        let mut items = Vec::new();
        while !inner.is_empty() {
            if items.len() == max {
                return Err(WireError::TooMany { list, max });
            }
            items.push(read(&mut inner)?);
        }
        Ok(items)
    }

    /// An item that may be absent: a list of none or one.
    pub fn optional<T>(
        &mut self,
        field: &'static str,
        read: impl FnMut(&mut Self) -> Result<T, WireError>,
    ) -> Result<Option<T>, WireError> {
        Ok(self.items(field, 1, read)?.pop())
    }

    /// The RLP of the next item, whatever it is, of at most `max` bytes; shared with the frame.
    pub fn raw(&mut self, max: usize) -> Result<Bytes, WireError> {
        let start = self.rest;
        let mut after = start;
        let header = Header::decode(&mut after)?;
        let length = start.len() - after.len() + header.payload_length;
        if length > max || length > start.len() {
            return Err(WireError::TooLong { bytes: length, max });
        }
        self.rest = &start[length..];
        Ok(self.frame.slice_ref(&start[..length]).into())
    }

    /// Whether nothing is left here.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Refuses bytes that are left.
    pub fn end(&self) -> Result<(), WireError> {
        if self.is_empty() { Ok(()) } else { Err(alloy_rlp::Error::UnexpectedLength.into()) }
    }
}
