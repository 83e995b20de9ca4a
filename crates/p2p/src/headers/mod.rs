//! `/weft/headers/1`: consecutive headers, rising or falling, so that a chain is believed from a signed head down.

use crate::wire::{HEADER_BYTES_MAX, Reader, Wire, WireError, Writer};
use alloy_eips::BlockHashOrNumber;
use alloy_primitives::Bytes;

/// Headers of one answer.
pub const HEADERS_MAX: u32 = 1024;

/// Which headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadersRequest {
    /// The first of them.
    pub start: BlockHashOrNumber,
    /// How many at most, 1 to [`HEADERS_MAX`].
    pub count: u32,
    /// Towards the genesis block instead of towards the head. The answer begins with `start` in any case.
    pub falling: bool,
}

/// RLP of headers, beginning with the one that was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeadersResponse(pub Vec<Bytes>);

impl Wire for HeadersRequest {
    const BYTES_MAX: usize = 64;

    fn write(&self, out: &mut Writer) {
        out.list(|out| {
            out.item(&self.start);
            out.item(&self.count);
            out.item(&self.falling);
        });
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let mut list = from.list()?;
        let request = Self { start: list.item()?, count: list.item()?, falling: list.item()? };
        list.end()?;
        if request.count == 0 || request.count > HEADERS_MAX {
            return Err(WireError::Field { field: "count", reason: "not in 1..=1024" });
        }
        Ok(request)
    }
}

impl Wire for HeadersResponse {
    const BYTES_MAX: usize = HEADERS_MAX as usize * (HEADER_BYTES_MAX + 3) + 8;

    fn write(&self, out: &mut Writer) {
        out.items(&self.0, |out, header| out.raw(header));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        from.items("headers", HEADERS_MAX as usize, |from| from.raw(HEADER_BYTES_MAX)).map(Self)
    }
}
