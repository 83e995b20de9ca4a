//! A transaction in JSON, as nodes and gateways send and take it.
//!
//! Bytes are base64url, numbers are decimal strings; fields that are not known (`data_tree`) are skipped.

use super::{Format, Transaction};
use crate::{Address, DataRoot, FormatError, Id, Owner, Tag, Winston, base64url, id::parse_decimal};
use serde::{Deserialize, Serialize};

/// The JSON object.
#[derive(Serialize, Deserialize)]
pub(super) struct Wire {
    #[serde(default = "format_of_old_transactions")]
    format: u8,
    id: Id,
    last_tx: String,
    owner: String,
    tags: Vec<Tag>,
    target: String,
    quantity: Winston,
    #[serde(default)]
    data: String,
    /// Missing in what old nodes tell of format 1.
    #[serde(default)]
    data_size: Option<String>,
    #[serde(default)]
    data_root: String,
    reward: Winston,
    signature: String,
    #[serde(default, skip_serializing)]
    denomination: Option<serde_json::Value>,
}

fn format_of_old_transactions() -> u8 {
    1
}

/// An optional field that is the empty string when it is not there.
fn optional<T: std::str::FromStr<Err = FormatError>>(text: &str) -> Result<Option<T>, FormatError> {
    if text.is_empty() { Ok(None) } else { text.parse().map(Some) }
}

impl TryFrom<Wire> for Transaction {
    type Error = FormatError;

    fn try_from(wire: Wire) -> Result<Self, FormatError> {
        let format = match wire.format {
            1 => Format::One,
            2 => Format::Two,
            _ => return Err(FormatError::Malformed { field: "format", reason: "neither 1 nor 2" }),
        };
        let plain = |value: &serde_json::Value| *value == 0 || *value == "0";
        if !wire.denomination.as_ref().is_none_or(plain) {
            return Err(FormatError::Malformed { field: "denomination", reason: "only 0 is supported" });
        }
        if wire.owner.is_empty() {
            let reason = "empty: not an RSA transaction, which is all that is supported";
            return Err(FormatError::Malformed { field: "owner", reason });
        }
        let data = base64url::decode("data", &wire.data)?;
        let data_size = match wire.data_size {
            None => data.len() as u64,
            Some(text) => parse_decimal("data_size", &text)?,
        };
        Ok(Self {
            format,
            id: wire.id,
            last_tx: wire.last_tx.parse()?,
            owner: Owner::new(base64url::decode("owner", &wire.owner)?)?,
            tags: wire.tags,
            target: optional::<Address>(&wire.target)?,
            quantity: wire.quantity,
            data: data.into(),
            data_size,
            data_root: optional::<DataRoot>(&wire.data_root)?,
            reward: wire.reward,
            signature: base64url::decode("signature", &wire.signature)?.into(),
        })
    }
}

impl From<Transaction> for Wire {
    fn from(transaction: Transaction) -> Self {
        Self {
            format: if transaction.format == Format::One { 1 } else { 2 },
            id: transaction.id,
            last_tx: transaction.last_tx.to_string(),
            owner: base64url::encode(transaction.owner.as_bytes()),
            tags: transaction.tags,
            target: transaction.target.map(|address| address.to_string()).unwrap_or_default(),
            quantity: transaction.quantity,
            data: base64url::encode(&transaction.data),
            data_size: Some(transaction.data_size.to_string()),
            data_root: transaction.data_root.map(|root| root.to_string()).unwrap_or_default(),
            reward: transaction.reward,
            signature: base64url::encode(&transaction.signature),
            denomination: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn sample() -> Value {
        let mut owner = vec![0x81; 512];
        owner[511] |= 1;
        json!({
            "format": 2, "id": Id([1; 32]), "last_tx": "", "owner": base64url::encode(owner),
            "tags": [{ "name": "YQ", "value": "Yg" }], "target": "", "quantity": "0", "data": "",
            "data_size": "3", "data_root": Id([2; 32]), "reward": "12",
            "signature": base64url::encode([3; 512]),
        })
    }

    #[test]
    fn other_spellings_and_kinds_are_refused() {
        let good: Transaction = serde_json::from_value(sample()).unwrap();
        assert_eq!(serde_json::to_value(good).unwrap(), sample());
        let cases = [
            ("format", json!(3)),
            ("format", json!("2")),
            ("owner", json!("")),
            ("owner", json!(base64url::encode([0x81; 256]))),
            ("owner", json!(base64url::encode([1; 512]))),
            ("reward", json!("012")),
            ("reward", json!("-1")),
            ("reward", json!(12)),
            ("data_size", json!("")),
            ("data_size", json!("3.0")),
            ("data_size", json!("18446744073709551616")),
            ("target", json!("AAAA")),
            ("last_tx", json!("AAAA")),
            ("data_root", json!("A")),
            ("tags", json!([{ "name": "YQ==", "value": "Yg" }])),
            ("denomination", json!("1")),
        ];
        for (field, value) in cases {
            let mut wrong = sample();
            wrong[field] = value;
            assert!(
                serde_json::from_value::<Transaction>(wrong.clone()).is_err(),
                "{field}: {}",
                wrong[field]
            );
        }
        let mut fine = sample();
        fine["denomination"] = json!("0");
        fine["data_tree"] = json!([]);
        assert!(serde_json::from_value::<Transaction>(fine).is_ok());
    }

    #[test]
    fn a_short_signature_is_an_error_and_no_panic() {
        let mut short = sample();
        short["signature"] = json!("AAAA");
        short["id"] = json!(Id::of_signature(&[0; 3]));
        let transaction: Transaction = serde_json::from_value(short).unwrap();
        assert!(matches!(transaction.verify(), Err(FormatError::Length { field: "signature", .. })));
    }

    proptest! {
        #[test]
        fn any_field_decodes_without_a_panic(field in 0..12_usize, text in ".{0,60}") {
            let mut json = sample();
            let object = json.as_object_mut().unwrap();
            let name = object.keys().nth(field).unwrap().clone();
            object.insert(name, text.into());
            if let Ok(transaction) = serde_json::from_value::<Transaction>(json.clone()) {
                let _ = transaction.verify();
                prop_assert_eq!(serde_json::to_value(transaction).unwrap(), json);
            }
        }
    }
}
