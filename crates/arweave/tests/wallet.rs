//! Wallets in memory and in files: what is written, who can read it, and what is refused.
//!
//! One test function for what needs a key of its own: making one takes seconds.

use serde_json::Value;
use std::{fs, path::Path};
use weft_arweave::{Wallet, WalletError};

fn files_in(folder: &Path) -> usize {
    fs::read_dir(folder).expect("a folder").count()
}

#[test]
fn a_wallet_is_kept_and_opened_by_who_may() {
    let wallet = Wallet::generate().expect("a key");
    let folder = tempfile::tempdir().expect("a folder");
    let (plain, sealed) = (folder.path().join("plain.json"), folder.path().join("sealed.json"));
    wallet.save(&plain, None).expect("written");
    wallet.save(&sealed, Some("correct horse")).expect("written");
    assert_eq!(files_in(folder.path()), 2, "no other file is left");
    #[cfg(unix)]
    for path in [&plain, &sealed] {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(path).expect("a file").permissions().mode() & 0o777, 0o600);
    }
    let refused = wallet.save(&plain, None).expect_err("there is a file");
    assert!(matches!(refused, WalletError::File { .. }));

    let same = |opened: Wallet| assert_eq!(opened.address(), wallet.address());
    same(Wallet::load(&plain, None).expect("opened"));
    same(Wallet::load(&sealed, Some("correct horse")).expect("opened"));
    let error = |path: &Path, passphrase| Wallet::load(path, passphrase).expect_err("refused");
    assert!(matches!(error(&sealed, Some("wrong horse")), WalletError::Passphrase));
    assert!(matches!(error(&sealed, None), WalletError::PassphraseNeeded));
    assert!(matches!(error(&plain, Some("correct horse")), WalletError::NotEncrypted));
    assert!(matches!(error(&folder.path().join("none"), None), WalletError::File { .. }));

    alterations_are_noticed(&sealed, &wallet);
    nothing_secret_is_shown(&wallet, &fs::read_to_string(&sealed).expect("text"));
    keys_that_are_not_arweaves_are_refused(&wallet);
    signatures_are_fresh_and_bound_to_their_message(&wallet);
}

fn alterations_are_noticed(path: &Path, wallet: &Wallet) {
    let good: Value = serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON");
    assert_eq!(good["address"], wallet.address().to_string(), "readable without the passphrase");
    let load = |field: &str, value: Value| {
        let mut changed = good.clone();
        assert_ne!(changed[field], value);
        changed[field] = value;
        let path = path.with_file_name("changed.json");
        fs::write(&path, changed.to_string()).expect("written");
        Wallet::load(&path, Some("correct horse")).expect_err("altered")
    };
    let other = weft_arweave::Address([7; 32]).to_string();
    assert!(matches!(load("address", other.into()), WalletError::Passphrase));
    assert!(matches!(load("nonce", "AAAAAAAAAAAAAAAA".into()), WalletError::Passphrase));
    assert!(matches!(load("sealed", "AAAA".into()), WalletError::Passphrase));
    assert!(matches!(load("passes", 4.into()), WalletError::Passphrase));
    // A file cannot make its reader take all memory or time.
    assert!(matches!(load("memory_kib", u32::MAX.into()), WalletError::Derivation));
    assert!(matches!(load("passes", 1000.into()), WalletError::Derivation));
    assert!(matches!(load("kdf", "md5".into()), WalletError::Derivation));
}

fn nothing_secret_is_shown(wallet: &Wallet, sealed: &str) {
    let jwk: Value = serde_json::from_str(&wallet.to_jwk()).expect("JSON");
    let shown = format!("{wallet:?} {wallet:#?} {sealed}");
    for field in ["d", "p", "q", "dp", "dq", "qi"] {
        let secret = jwk[field].as_str().expect("text");
        assert!(secret.len() > 300 && !shown.contains(&secret[..40]), "{field} is shown");
    }
    assert!(shown.contains(&wallet.address().to_string()));
}

fn keys_that_are_not_arweaves_are_refused(wallet: &Wallet) {
    let good: Value = serde_json::from_str(&wallet.to_jwk()).expect("JSON");
    let with = |changes: &[(&str, Value)]| {
        let mut jwk = good.clone();
        for (field, value) in changes {
            jwk[*field] = value.clone();
        }
        Wallet::from_jwk(jwk.to_string().as_bytes())
    };
    let same = with(&[("p", Value::Null), ("q", Value::Null), ("dp", Value::Null)]);
    assert_eq!(same.expect("found from d again").address(), wallet.address());
    let error = |changes: &[(&str, Value)]| with(changes).expect_err("refused");
    assert!(matches!(error(&[("kty", "EC".into())]), WalletError::Field { field: "kty", .. }));
    assert!(matches!(error(&[("e", "Aw".into())]), WalletError::Field { field: "e", .. }));
    assert!(matches!(error(&[("q", Value::Null)]), WalletError::Field { .. }));
    assert!(matches!(error(&[("p", good["q"].clone())]), WalletError::Key(_)));
    assert!(matches!(error(&[("d", good["p"].clone())]), WalletError::Key(_)));
    assert!(matches!(error(&[("d", "!".into())]), WalletError::Field { field: "d", .. }));
    let of_2048_bits = good["p"].clone();
    assert!(matches!(error(&[("n", of_2048_bits)]), WalletError::KeySize(2048)));
    let said = Wallet::from_jwk(b"{\"kty\": \"RSA\",\n \"d\": 3}").expect_err("refused").to_string();
    assert!(said.contains("line 2"), "{said}");
}

fn signatures_are_fresh_and_bound_to_their_message(wallet: &Wallet) {
    let (one, two) = (wallet.sign(b"message"), wallet.sign(b"message"));
    assert_ne!(one, two, "the salt is random");
    for signature in [&one, &two] {
        wallet.owner().verify(b"message", signature).expect("ours");
        assert!(wallet.owner().verify(b"another", signature).is_err());
    }
    let mut altered = one.to_vec();
    altered[0] ^= 1;
    assert!(wallet.owner().verify(b"message", &altered).is_err());
    assert!(wallet.owner().verify(b"message", &one[1..]).is_err());
}
