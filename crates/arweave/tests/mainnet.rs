//! Real transactions of both formats, mined on Arweave's main network: shape, id and signature of each, and that a change
//! of any signed field is noticed.
//!
//! Looked for in `$WEFT_FIXTURES`, then in `../shared`; skipped with a line when neither has them.

use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::Command,
};
use weft_arweave::{Format, FormatError, Id, Transaction, Winston};

const NAME: &str = "arweave/mainnet-transactions.jsonl.xz";

fn lines() -> Option<Vec<String>> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let bases = std::env::var_os("WEFT_FIXTURES").map(PathBuf::from).into_iter().chain([shared]);
    let Some(file) = bases.map(|base| base.join(NAME)).find(|file| file.is_file()) else {
        eprintln!("skipped: no {NAME} in $WEFT_FIXTURES or ../shared");
        return None;
    };
    let Ok(output) = Command::new("xz").arg("-dc").arg(&file).output() else {
        eprintln!("skipped: xz is not installed");
        return None;
    };
    assert!(output.status.success(), "xz cannot read {}", file.display());
    let text = String::from_utf8(output.stdout).expect("JSON is text");
    Some(text.lines().map(str::to_owned).collect())
}

#[test]
fn every_transaction_verifies_and_keeps_its_json() {
    let Some(lines) = lines() else { return };
    let mut counts = [0; 2];
    for line in &lines {
        let transaction: Transaction = serde_json::from_str(line).expect("a transaction");
        transaction.verify().unwrap_or_else(|error| panic!("{}: {error}", transaction.id));
        counts[usize::from(transaction.format == Format::Two)] += 1;
        let mut theirs: Value = serde_json::from_str(line).expect("JSON");
        theirs.as_object_mut().expect("an object").remove("src");
        assert_eq!(serde_json::to_value(&transaction).expect("JSON"), theirs, "{}", transaction.id);
    }
    assert_eq!(counts, [109, 311], "of formats 1 and 2");
}

#[test]
fn a_change_of_any_signed_field_is_noticed() {
    let Some(lines) = lines() else { return };
    let all: Vec<Transaction> =
        lines.iter().map(|line| serde_json::from_str(line).expect("a transaction")).collect();
    // One of each format, with tags.
    for format in [Format::One, Format::Two] {
        let good = all
            .iter()
            .find(|transaction| transaction.format == format && !transaction.tags.is_empty())
            .expect("one with tags");
        let refused = |change: &dyn Fn(&mut Transaction)| {
            let mut changed = good.clone();
            change(&mut changed);
            assert_ne!(&changed, good);
            changed.verify().expect_err("a changed transaction verifies")
        };
        assert!(matches!(refused(&|tx| tx.reward = Winston(tx.reward.0 + 1)), FormatError::Signature));
        assert!(matches!(refused(&|tx| tx.quantity = Winston(1)), FormatError::Signature));
        assert!(matches!(refused(&|tx| tx.tags[0].value.push(b'x')), FormatError::Signature));
        assert!(matches!(refused(&|tx| tx.target = Some(good.owner.address())), FormatError::Signature));
        assert!(matches!(
            refused(&|tx| tx.last_tx = "A".repeat(43).parse().expect("zeros")),
            FormatError::Signature
        ));
        assert!(matches!(refused(&|tx| tx.id = Id([1; 32])), FormatError::WrongId { .. }));
        assert!(matches!(
            refused(&|tx| {
                let mut signature = tx.signature.to_vec();
                signature[100] ^= 1;
                tx.id = Id::of_signature(&signature);
                tx.signature = signature.into();
            }),
            FormatError::Signature
        ));
        if format == Format::Two {
            refused(&|tx| tx.data_size += 1);
            refused(&|tx| tx.data_root = Some(weft_arweave::DataRoot([3; 32])));
            refused(&|tx| tx.data_root = None);
        } else {
            refused(&|tx| tx.data = vec![0; tx.data.len()].into());
            assert!(matches!(refused(&|tx| tx.data = Vec::new().into()), FormatError::WrongData(_)));
        }
    }
}
