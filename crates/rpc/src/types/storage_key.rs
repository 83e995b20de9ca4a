//! A storage slot as callers write it: a quantity or 32 bytes, in hex.

use crate::RpcError;
use alloy_primitives::{B256, hex};
use serde::{Serialize, Serializer};

/// A slot; answers in the form in which it was asked (geth's `eth_getProof`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageKey {
    /// The slot.
    pub slot: B256,
    short: bool,
}

impl StorageKey {
    /// geth's rules and words: `0x` optional, at most 64 digits, an odd number of them allowed.
    pub fn parse(text: &str) -> Result<Self, RpcError> {
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
        let invalid = || RpcError::InvalidParams(format!("invalid hex in storage key: {text:?}"));
        if digits.len() > 64 {
            // geth looks at the length first only when the hex is sound.
            return Err(match digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                true => {
                    RpcError::InvalidParams(format!("storage key too long (want at most 32 bytes): {text:?}"))
                }
                false => invalid(),
            });
        }
        let mut slot = B256::ZERO;
        let padded = if digits.len() % 2 == 1 { format!("0{digits}") } else { digits.to_owned() };
        let bytes = hex::decode(&padded).map_err(|_| invalid())?;
        slot[32 - bytes.len()..].copy_from_slice(&bytes);
        Ok(Self { slot, short: digits.len() != 64 })
    }
}

impl Serialize for StorageKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.short {
            alloy_primitives::U256::from_be_bytes(self.slot.0).serialize(serializer)
        } else {
            self.slot.serialize(serializer)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_are_read_as_geth_reads_them() {
        assert_eq!(StorageKey::parse("0x1").unwrap().slot, B256::with_last_byte(1));
        assert_eq!(StorageKey::parse("").unwrap().slot, B256::ZERO);
        let full = format!("0x{:064x}", 7);
        assert_eq!(serde_json::to_string(&StorageKey::parse(&full).unwrap()).unwrap(), format!("\"{full}\""));
        assert_eq!(serde_json::to_string(&StorageKey::parse("0x07").unwrap()).unwrap(), "\"0x7\"");
        let long = format!("0x0{:064x}", 7);
        for (text, words) in [
            ("0xasdf", "invalid hex in storage key"),
            (&long, "storage key too long (want at most 32 bytes)"),
        ] {
            let error = StorageKey::parse(text).unwrap_err();
            assert_eq!(error.code(), -32602);
            assert_eq!(error.to_string(), format!("{words}: {text:?}"));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_key_or_an_error(text in "(0x)?[0-9a-fA-F]{0,70}|.{0,40}") {
            if let Ok(key) = StorageKey::parse(&text) {
                let digits = text.trim_start_matches("0x").trim_start_matches("0X");
                prop_assert!(digits.is_empty() || alloy_primitives::U256::from_str_radix(digits, 16).unwrap() == alloy_primitives::U256::from_be_bytes(key.slot.0));
            }
        }
    }
}
