//! Names of things on Arweave: ids, addresses, data roots, anchors and amounts, each a type of its own.

use crate::{FormatError, base64url};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest, Sha256};
use std::{fmt, str::FromStr};

macro_rules! name_of_32_bytes {
    ($(#[$doc:meta])* $name:ident, $field:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// The bytes.
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&base64url::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = FormatError;

            fn from_str(text: &str) -> Result<Self, FormatError> {
                base64url::decode_array($field, text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }
    };
}

name_of_32_bytes! {
    /// Id of a transaction or a data item: SHA-256 of its signature. 43 characters of base64url as text.
    Id, "id"
}

name_of_32_bytes! {
    /// Address of a wallet: SHA-256 of the key's modulus (or of the public key, for items signed otherwise).
    Address, "address"
}

name_of_32_bytes! {
    /// Root of the Merkle tree over a transaction's chunks.
    DataRoot, "data_root"
}

impl Id {
    /// The id that belongs to a signature.
    pub fn of_signature(signature: &[u8]) -> Self {
        Self(Sha256::digest(signature).into())
    }
}

impl Address {
    /// The address that belongs to a public key (for RSA: its modulus, big-endian).
    pub fn of_owner(owner: &[u8]) -> Self {
        Self(Sha256::digest(owner).into())
    }
}

/// `last_tx` of a transaction: empty, a 32-byte transaction id, or a 48-byte block hash. Its age limits how
/// long the signed transaction can be mined (50 blocks).
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Anchor(Vec<u8>);

impl Anchor {
    /// An anchor of 0, 32 or 48 bytes.
    pub fn new(bytes: Vec<u8>) -> Result<Self, FormatError> {
        match bytes.len() {
            0 | 32 | 48 => Ok(Self(bytes)),
            found => Err(FormatError::Length { field: "last_tx", expected: 48, found }),
        }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url::encode(&self.0))
    }
}

impl fmt::Debug for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Anchor {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        // 48 bytes are 64 characters.
        if text.len() > 64 {
            return Err(FormatError::Length { field: "last_tx", expected: 48, found: text.len() * 3 / 4 });
        }
        Self::new(base64url::decode("last_tx", text)?)
    }
}

/// An amount of winston, 10^-12 AR. A decimal string without sign or leading zeros in JSON.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Winston(pub u128);

impl fmt::Display for Winston {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Winston {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        parse_decimal("winston", text).map(Self)
    }
}

impl Serialize for Winston {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Winston {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// A decimal number in its one spelling: digits only, no leading zero but for `0` itself.
pub(crate) fn parse_decimal<T: FromStr>(field: &'static str, text: &str) -> Result<T, FormatError> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    let number = if canonical { text.parse().ok() } else { None };
    number.ok_or(FormatError::Malformed { field, reason: "not a decimal number in range" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_is_refused_or_has_one_spelling(text in "[A-Za-z0-9_=-]{40,46}") {
            if let Ok(id) = text.parse::<Id>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }

        #[test]
        fn any_string_decodes_without_a_panic(text in ".{0,70}") {
            let _ = text.parse::<Id>();
            if let Ok(anchor) = text.parse::<Anchor>() {
                prop_assert_eq!(anchor.to_string(), text.clone());
            }
            if let Ok(amount) = text.parse::<Winston>() {
                prop_assert_eq!(amount.to_string(), text);
            }
        }

        #[test]
        fn ids_round_trip(bytes: [u8; 32]) {
            let id = Id(bytes);
            prop_assert_eq!(id.to_string().parse::<Id>().unwrap(), id);
            let json = serde_json::to_string(&id).unwrap();
            prop_assert_eq!(serde_json::from_str::<Id>(&json).unwrap(), id);
        }
    }

    #[test]
    fn second_spellings_are_refused() {
        let id = Id([0; 32]).to_string();
        // The last character carries two unused bits.
        assert!(format!("{}B", &id[..42]).parse::<Id>().is_err());
        assert!(format!("{id}=").parse::<Id>().is_err());
        for text in ["", "00", "01", "+1", "-1", " 1", "1e3", "340282366920938463463374607431768211456"] {
            assert!(text.parse::<Winston>().is_err(), "{text}");
        }
        assert_eq!("66000000000000000000".parse::<Winston>().unwrap(), Winston(66_000_000_000_000_000_000));
        assert!("A".repeat(42).parse::<Anchor>().is_err());
    }
}
