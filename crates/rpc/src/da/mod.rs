//! `da_`: commitments, blobs, cells and their proofs (PROTOCOL §8).
//!
//! Blobs, cells and their proofs come from the [`Retriever`](weft_archive::Retriever), which checks them
//! against the header's commitment; here are only their JSON and their limits.

pub(crate) mod blobs;
pub(crate) mod cells;
mod checkpoint_events;
mod checkpoints;
pub(crate) mod commitment;
mod inclusion;
mod permanent;
mod price;
mod receipt;
mod status;
mod subscribe;

pub use checkpoints::now as checkpoint_now;
pub(crate) use status::Place;

use crate::{Registrar, network};
use alloy_primitives::U64;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Registers the namespace.
pub fn register(registrar: &mut Registrar) {
    registrar.read("da_commitment", 1, commitment::commitment);
    registrar.execute("da_blobInfo", 1, blobs::info);
    registrar.execute("da_getBlob", 2, blobs::get);
    registrar.execute("da_cells", 4, cells::cells);
    registrar.execute("da_cellProof", 3, cells::cell_proof);
    registrar.execute("da_receipt", 1, receipt::receipt);
    registrar.read("da_checkpoints", 1, checkpoints::list);
    registrar.read("da_locate", 1, checkpoints::locate);
    registrar.asynchronous("da_requestPermanence", permanent::request);
    registrar.asynchronous("da_price", price::price);
    registrar.read("da_status", 0, status::status);
    network::register_da(registrar);
    subscribe::register(registrar);
}

/// A count or offset: a hex quantity, or for convenience a JSON number; answered as a quantity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantity(pub u64);

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(number) => Ok(Self(number)),
            Written::Text(text) => {
                let digits = text.strip_prefix("0x").filter(|digits| !digits.is_empty());
                let digits =
                    digits.ok_or_else(|| D::Error::custom("hex string without 0x prefix or digits"))?;
                u64::from_str_radix(digits, 16).map(Self).map_err(D::Error::custom)
            }
        }
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        U64::from(self.0).serialize(serializer)
    }
}

impl From<usize> for Quantity {
    fn from(number: usize) -> Self {
        Self(number as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn quantities_are_read_as_they_are_written(number in any::<u64>()) {
            let text = serde_json::to_string(&Quantity(number)).unwrap();
            prop_assert_eq!(serde_json::from_str::<Quantity>(&text).unwrap(), Quantity(number));
            prop_assert_eq!(serde_json::from_str::<Quantity>(&number.to_string()).unwrap(), Quantity(number));
        }

        #[test]
        fn other_text_is_refused(text in "[^0-9]{1,12}") {
            let json = serde_json::to_string(&text).unwrap();
            prop_assert!(serde_json::from_str::<Quantity>(&json).is_err());
        }
    }
}
