//! Where the parts of an encoded transaction lie, found without copying any of them.
//!
//! [`Outline::scan`] walks the headers of the transaction's RLP list and remembers byte ranges; `decode` uses
//! them to keep a large `input` as a slice of the received buffer, `prepare` to hash the signing payload in
//! place (all signed fields are contiguous in every transaction type). Called on bytes from strangers: never
//! panics, reads each header once, does not recurse and allocates nothing. Lengths are in bytes.

use alloy_rlp::Header;
use std::ops::Range;

/// How the fields of one transaction type are counted.
#[derive(Clone, Copy, Debug)]
struct Shape {
    /// Items in the list, signature included.
    items: usize,
    /// Which of them is `input`.
    input: usize,
}

/// Items of a signature: parity (or `v`), `r`, `s`; they are always last.
const SIGNATURE_ITEMS: usize = 3;

const fn shape(ty: u8) -> Option<Shape> {
    match ty {
        0 => Some(Shape { items: 9, input: 5 }),
        1 => Some(Shape { items: 11, input: 6 }),
        2 => Some(Shape { items: 12, input: 7 }),
        3 => Some(Shape { items: 14, input: 7 }),
        4 => Some(Shape { items: 13, input: 7 }),
        _ => None,
    }
}

/// Byte ranges of a signed transaction within its encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outline {
    /// EIP-2718 type; 0 for a legacy transaction, which has no type byte.
    pub ty: u8,
    /// The transaction's list: header and payload.
    pub list: Range<usize>,
    /// All items before the signature, back to back.
    pub signed_fields: Range<usize>,
    /// `input` with its RLP header.
    pub input_item: Range<usize>,
    /// `input` itself.
    pub input: Range<usize>,
    /// The three items of the signature.
    pub signature: Range<usize>,
    /// A type-3 transaction in network form: what follows the transaction's list within the outer one.
    pub sidecar: Option<Range<usize>>,
}

/// Why bytes are not a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutlineError {
    /// No bytes.
    #[error("empty transaction")]
    Empty,
    /// A type byte that this node does not know (EIP-2718).
    #[error("transaction type not supported: {0}")]
    Type(u8),
    /// Malformed RLP.
    #[error("rlp: {0}")]
    Rlp(#[from] alloy_rlp::Error),
    /// A list with another number of items than the type has.
    #[error("rlp: transaction of type {ty} has {expected} items")]
    Items {
        /// Transaction type.
        ty: u8,
        /// What it must have.
        expected: usize,
    },
    /// Bytes after the transaction.
    #[error("rlp: {0} bytes after the transaction")]
    Trailing(usize),
    /// A list where `input` should be.
    #[error("rlp: input is a list")]
    InputIsList,
}

/// A cursor that knows its offset from the start of the whole encoding.
struct Cursor<'a> {
    rest: &'a [u8],
    at: usize,
}

/// One RLP item: with its header, without it, and which kind it is.
struct Item {
    whole: Range<usize>,
    payload: Range<usize>,
    list: bool,
}

impl Cursor<'_> {
    fn item(&mut self) -> Result<Item, OutlineError> {
        let before = self.rest.len();
        let header = Header::decode(&mut self.rest)?;
        let header_bytes = before - self.rest.len();
        // `Header::decode` has checked that the payload is there.
        self.rest = self.rest.get(header.payload_length..).ok_or(alloy_rlp::Error::InputTooShort)?;
        let start = self.at;
        self.at += header_bytes + header.payload_length;
        Ok(Item { whole: start..self.at, payload: start + header_bytes..self.at, list: header.list })
    }
}

impl Outline {
    /// Scans a whole EIP-2718 encoding; refuses trailing bytes.
    pub(crate) fn scan(raw: &[u8]) -> Result<Self, OutlineError> {
        let first = *raw.first().ok_or(OutlineError::Empty)?;
        // EIP-2718: a first byte of at least 0xc0 opens the list of a legacy transaction.
        let (ty, at) = if first >= 0xc0 { (0, 0) } else { (first, 1) };
        let shape = shape(ty).filter(|_| at == 0 || ty != 0).ok_or(OutlineError::Type(ty))?;
        let mut outer = Cursor { rest: &raw[at..], at };
        let list = outer.list_item()?;
        if !outer.rest.is_empty() {
            return Err(OutlineError::Trailing(outer.rest.len()));
        }
        if ty == 3 {
            // Network form (EIP-4844): the first item of the outer list is the transaction's own list.
            let mut inner = Cursor { rest: &raw[list.payload.clone()], at: list.payload.start };
            if let Ok(body) = inner.item()
                && body.list
            {
                let sidecar = body.whole.end..list.payload.end;
                return Self::fields(raw, ty, shape, body, Some(sidecar));
            }
        }
        Self::fields(raw, ty, shape, list, None)
    }

    fn fields(
        raw: &[u8],
        ty: u8,
        shape: Shape,
        list: Item,
        sidecar: Option<Range<usize>>,
    ) -> Result<Self, OutlineError> {
        let mut cursor = Cursor { rest: &raw[list.payload.clone()], at: list.payload.start };
        let wrong = OutlineError::Items { ty, expected: shape.items };
        let mut input = None;
        let mut signature_start = list.payload.end;
        for index in 0..shape.items {
            if cursor.rest.is_empty() {
                return Err(wrong);
            }
            let item = cursor.item()?;
            if index == shape.input {
                input = Some(item);
            } else if index + SIGNATURE_ITEMS == shape.items {
                signature_start = item.whole.start;
            }
        }
        if !cursor.rest.is_empty() {
            return Err(wrong);
        }
        let input = input.ok_or(wrong)?;
        if input.list {
            return Err(OutlineError::InputIsList);
        }
        Ok(Self {
            ty,
            signed_fields: list.payload.start..signature_start,
            signature: signature_start..list.payload.end,
            input_item: input.whole,
            input: input.payload,
            list: list.whole,
            sidecar,
        })
    }
}

impl Cursor<'_> {
    fn list_item(&mut self) -> Result<Item, OutlineError> {
        let item = self.item()?;
        if item.list { Ok(item) } else { Err(alloy_rlp::Error::UnexpectedString.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, Kind};
    use alloy_eips::eip2718::Encodable2718;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            let _ = Outline::scan(&bytes);
        }

        #[test]
        fn random_bytes_behind_a_type_never_panic(ty in 0u8..6, bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            let mut raw = vec![ty];
            raw.extend(bytes);
            let _ = Outline::scan(&raw);
        }

        #[test]
        fn input_is_found_in_every_type(kind in testing::any_kind(), len in 0usize..5000) {
            let tx = testing::transaction(kind).input_len(len).sign();
            let raw = tx.encoded_2718();
            let outline = Outline::scan(&raw).unwrap();
            prop_assert_eq!(&raw[outline.input.clone()], alloy_consensus::Transaction::input(&tx).as_ref());
            prop_assert_eq!(outline.list.end, raw.len());
            prop_assert_eq!(outline.signature.end, raw.len());
        }
    }

    #[test]
    fn a_missing_and_an_extra_item_are_refused() {
        let raw = testing::transaction(Kind::Eip1559).sign().encoded_2718();
        let outline = Outline::scan(&raw).unwrap();
        let payload = &raw[outline.signed_fields.start..];
        for (cut, extra) in [(1, &[][..]), (0, &[0x80][..])] {
            let mut body = payload[..payload.len() - cut * 33].to_vec();
            body.extend_from_slice(extra);
            let mut forged = vec![2];
            Header { list: true, payload_length: body.len() }.encode(&mut forged);
            forged.extend(body);
            assert_eq!(Outline::scan(&forged), Err(OutlineError::Items { ty: 2, expected: 12 }));
        }
    }

    #[test]
    fn unknown_types_and_trailing_bytes_are_refused() {
        assert_eq!(Outline::scan(&[]), Err(OutlineError::Empty));
        assert_eq!(Outline::scan(&[5, 0xc0]), Err(OutlineError::Type(5)));
        assert_eq!(Outline::scan(&[0, 0xc0]), Err(OutlineError::Type(0)));
        assert_eq!(Outline::scan(&[0x7f, 0xc0]), Err(OutlineError::Type(0x7f)));
        let mut raw = testing::transaction(Kind::Legacy).sign().encoded_2718();
        raw.push(0);
        assert_eq!(Outline::scan(&raw), Err(OutlineError::Trailing(1)));
    }
}
