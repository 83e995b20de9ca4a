//! Base64url without padding, the only text form of bytes in Arweave's API.
//!
//! Strict: padding, other alphabets and non-zero trailing bits are refused, so that a value has one spelling.

use crate::FormatError;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// The text of `bytes`.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of `text`; `field` names them in the error.
pub fn decode(field: &'static str, text: &str) -> Result<Vec<u8>, FormatError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|source| FormatError::Base64 { field, source })
}

/// Exactly `N` bytes of `text`; a text of another length is refused before it is decoded.
pub fn decode_array<const N: usize>(field: &'static str, text: &str) -> Result<[u8; N], FormatError> {
    // Four characters carry three bytes.
    if text.len() != (N * 4).div_ceil(3) {
        return Err(FormatError::Length { field, expected: N, found: text.len() * 3 / 4 });
    }
    let bytes = decode(field, text)?;
    let found = bytes.len();
    bytes.try_into().map_err(|_| FormatError::Length { field, expected: N, found })
}
