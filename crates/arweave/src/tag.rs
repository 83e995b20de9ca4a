//! Tags: the name and value pairs that transactions and data items carry, and their Avro form in ANS-104.
//!
//! The Avro form is `array<record{name: bytes, value: bytes}>`: a block with its count, the records, a zero.
//! Counts and lengths are zigzag varints. Canonical here: one block with a positive count, shortest varints, and
//! no bytes at all when there are no tags; everything else is refused.

use crate::{FormatError, base64url};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;

/// Most tags of a data item (ANS-104).
pub const ITEM_TAGS_MAX: usize = 128;
/// Most bytes of a data item's tag name (ANS-104).
pub const ITEM_TAG_NAME_BYTES_MAX: usize = 1024;
/// Most bytes of a data item's tag value (ANS-104).
pub const ITEM_TAG_VALUE_BYTES_MAX: usize = 3072;
/// Most bytes of a data item's tags in Avro (arbundles' `MAX_TAG_BYTES`).
pub const ITEM_TAGS_BYTES_MAX: usize = 4096;
/// Most bytes of all names and values of a transaction's tags (a rule of the network).
pub const TRANSACTION_TAGS_BYTES_MAX: usize = 2048;

/// A name and a value; any bytes, by custom UTF-8.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Tag {
    /// The name.
    pub name: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
}

impl Tag {
    /// A tag of any bytes; limits are checked when it is signed or encoded.
    pub fn new(name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), value: value.into() }
    }

    /// Whether this is the tag `name: value`.
    pub fn is(&self, name: &str, value: &str) -> bool {
        self.name == name.as_bytes() && self.value == value.as_bytes()
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", String::from_utf8_lossy(&self.name), String::from_utf8_lossy(&self.value))
    }
}

/// The value of the first tag with this name.
pub fn value_of<'a>(tags: &'a [Tag], name: &str) -> Option<&'a [u8]> {
    tags.iter().find(|tag| tag.name == name.as_bytes()).map(|tag| tag.value.as_slice())
}

#[derive(Serialize, Deserialize)]
struct JsonTag {
    name: String,
    value: String,
}

impl Serialize for Tag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        JsonTag { name: base64url::encode(&self.name), value: base64url::encode(&self.value) }
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tag = JsonTag::deserialize(deserializer)?;
        let name = base64url::decode("tag name", &tag.name).map_err(D::Error::custom)?;
        let value = base64url::decode("tag value", &tag.value).map_err(D::Error::custom)?;
        Ok(Self { name, value })
    }
}

/// The Avro form, within the limits of ANS-104.
pub fn encode_avro(tags: &[Tag]) -> Result<Vec<u8>, FormatError> {
    check_limits(tags)?;
    let mut bytes = Vec::new();
    if tags.is_empty() {
        return Ok(bytes);
    }
    put_long(&mut bytes, tags.len());
    for field in tags.iter().flat_map(|tag| [&tag.name, &tag.value]) {
        put_long(&mut bytes, field.len());
        bytes.extend_from_slice(field);
    }
    put_long(&mut bytes, 0);
    check_max("bytes of tags", bytes.len(), ITEM_TAGS_BYTES_MAX)?;
    Ok(bytes)
}

/// The tags in `bytes`, of which `count` were announced.
pub fn decode_avro(count: u64, bytes: &[u8]) -> Result<Vec<Tag>, FormatError> {
    check_max("bytes of tags", bytes.len(), ITEM_TAGS_BYTES_MAX)?;
    if count > ITEM_TAGS_MAX as u64 {
        return Err(FormatError::TooLarge { field: "tags", found: count, max: ITEM_TAGS_MAX as u64 });
    }
    if bytes.is_empty() && count == 0 {
        return Ok(Vec::new());
    }
    let mut rest = bytes;
    if count == 0 || take_long(&mut rest)? as u64 != count {
        return Err(malformed("the number of tags is not the announced one"));
    }
    let mut tags = Vec::new();
    for _ in 0..count {
        tags.push(Tag { name: take_bytes(&mut rest)?, value: take_bytes(&mut rest)? });
    }
    if take_long(&mut rest)? != 0 || !rest.is_empty() {
        return Err(malformed("not one block of tags with its end"));
    }
    check_limits(&tags)?;
    Ok(tags)
}

fn check_limits(tags: &[Tag]) -> Result<(), FormatError> {
    check_max("tags", tags.len(), ITEM_TAGS_MAX)?;
    for tag in tags {
        if tag.name.is_empty() || tag.value.is_empty() {
            return Err(malformed("an empty name or value"));
        }
        check_max("bytes of a tag name", tag.name.len(), ITEM_TAG_NAME_BYTES_MAX)?;
        check_max("bytes of a tag value", tag.value.len(), ITEM_TAG_VALUE_BYTES_MAX)?;
    }
    Ok(())
}

pub(crate) fn check_max(field: &'static str, found: usize, max: usize) -> Result<(), FormatError> {
    if found > max {
        return Err(FormatError::TooLarge { field, found: found as u64, max: max as u64 });
    }
    Ok(())
}

fn malformed(reason: &'static str) -> FormatError {
    FormatError::Malformed { field: "tags", reason }
}

/// A length as zigzag varint: doubled, then seven bits a byte, low ones first.
fn put_long(bytes: &mut Vec<u8>, length: usize) {
    let mut rest = length * 2;
    while rest >= 0x80 {
        bytes.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

/// A length that is not negative and in its shortest form; three bytes hold more than any limit here.
fn take_long(rest: &mut &[u8]) -> Result<usize, FormatError> {
    let mut value = 0_usize;
    for shift in [0, 7, 14] {
        let (&byte, tail) = rest.split_first().ok_or(malformed("cut off"))?;
        *rest = tail;
        value |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            if byte == 0 && shift > 0 {
                return Err(malformed("a length that is not in its shortest form"));
            }
            if value & 1 == 1 {
                return Err(malformed("a negative length"));
            }
            return Ok(value / 2);
        }
    }
    Err(malformed("a length over every limit"))
}

fn take_bytes(rest: &mut &[u8]) -> Result<Vec<u8>, FormatError> {
    let length = take_long(rest)?;
    let (bytes, tail) = rest.split_at_checked(length).ok_or(malformed("cut off"))?;
    *rest = tail;
    Ok(bytes.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    fn tags() -> impl Strategy<Value = Vec<Tag>> {
        vec((vec(any::<u8>(), 1..40), vec(any::<u8>(), 1..90)).prop_map(|(n, v)| Tag::new(n, v)), 0..20)
    }

    proptest! {
        #[test]
        fn avro_round_trips(tags in tags()) {
            let bytes = encode_avro(&tags).unwrap();
            prop_assert_eq!(decode_avro(tags.len() as u64, &bytes).unwrap(), tags);
        }

        #[test]
        fn avro_has_one_form(count in 0_u64..4, bytes in vec(any::<u8>(), 0..60)) {
            if let Ok(tags) = decode_avro(count, &bytes) {
                prop_assert_eq!(encode_avro(&tags).unwrap(), bytes);
            }
        }

        #[test]
        fn an_altered_byte_is_refused_or_still_canonical(tags in tags(), at: prop::sample::Index, byte: u8) {
            let mut bytes = encode_avro(&tags).unwrap();
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
                if let Ok(tags) = decode_avro(tags.len() as u64, &bytes) {
                    prop_assert_eq!(encode_avro(&tags).unwrap(), bytes);
                }
            }
        }
    }

    #[test]
    fn limits_are_kept() {
        let many = vec![Tag::new("a", "b"); 129];
        assert!(matches!(encode_avro(&many), Err(FormatError::TooLarge { field: "tags", .. })));
        assert_eq!(encode_avro(&many[..128]).unwrap().len(), 2 + 128 * 4 + 1);
        for tag in [
            Tag::new("", "b"),
            Tag::new("a", ""),
            Tag::new(vec![b'a'; 1025], "b"),
            Tag::new("a", vec![0; 3073]),
        ] {
            assert!(encode_avro(&[tag]).is_err());
        }
        let two = vec![Tag::new("a", vec![1; 2050]); 2];
        assert!(matches!(encode_avro(&two), Err(FormatError::TooLarge { field: "bytes of tags", .. })));
    }

    #[test]
    fn other_forms_of_the_same_tags_are_refused() {
        // The tag a: b, in Avro: count 1, "a", "b", end.
        let good = [2, 2, b'a', 2, b'b', 0];
        assert_eq!(decode_avro(1, &good).unwrap(), [Tag::new("a", "b")]);
        let with_size = [1, 8, 2, b'a', 2, b'b', 0];
        let long_count = [0x82, 0, 2, b'a', 2, b'b', 0];
        let trailing = [2, 2, b'a', 2, b'b', 0, 0];
        let without_end = [2, 2, b'a', 2, b'b'];
        for bytes in [&with_size[..], &long_count, &trailing, &without_end] {
            assert!(decode_avro(1, bytes).is_err(), "{bytes:?}");
        }
        assert!(decode_avro(0, &[0]).is_err(), "no tags are no bytes");
        assert!(decode_avro(2, &good).is_err());
    }
}
