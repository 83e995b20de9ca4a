//! Which key signs: options shared by the commands that send transactions.

use alloy_signer_local::{MnemonicBuilder, PrivateKeySigner};
use clap::Args;
use eyre::{Context, Result, bail};
use std::{fs, path::PathBuf};
use weft_node::DEV_MNEMONIC;

/// Chain id of the built-in dev chain, on which the dev key may be used unasked.
pub const DEV_CHAIN_ID: u64 = 1337;

/// Where the key comes from; without any of these, account 0 of the dev mnemonic, on the dev chain only.
#[derive(Args, Clone, Debug, Default)]
pub struct KeyArgs {
    /// File with a private key in hex
    #[arg(long, value_name = "FILE", conflicts_with_all = ["private_key", "mnemonic"])]
    pub private_key_file: Option<PathBuf>,
    /// Private key in hex; an argument is visible to others on this machine, so prefer the variable or a file
    #[arg(
        long,
        env = "WEFT_PRIVATE_KEY",
        value_name = "HEX",
        hide_env_values = true,
        conflicts_with = "mnemonic"
    )]
    pub private_key: Option<String>,
    /// BIP-39 mnemonic; the key is that of m/44'/60'/0'/0/INDEX
    #[arg(long, env = "WEFT_MNEMONIC", value_name = "WORDS", hide_env_values = true)]
    pub mnemonic: Option<String>,
    /// Which account of the mnemonic
    #[arg(long, value_name = "INDEX", default_value_t = 0)]
    pub mnemonic_index: u32,
}

impl KeyArgs {
    /// The key; the dev key only where `chain_id` is the dev chain's.
    pub fn signer(&self, chain_id: u64) -> Result<PrivateKeySigner> {
        if let Some(path) = &self.private_key_file {
            let text = fs::read_to_string(path).wrap_err_with(|| format!("key file {}", path.display()))?;
            return parse(&text).wrap_err_with(|| format!("key file {}", path.display()));
        }
        if let Some(key) = &self.private_key {
            return parse(key).wrap_err("private key");
        }
        let phrase = match &self.mnemonic {
            Some(phrase) => phrase,
            None if chain_id == DEV_CHAIN_ID => DEV_MNEMONIC,
            None => bail!(
                "chain {chain_id} is not the dev chain: give a key with --private-key-file, --mnemonic or WEFT_PRIVATE_KEY"
            ),
        };
        derive(phrase, self.mnemonic_index)
    }
}

/// Account `index` of a mnemonic.
pub fn derive(phrase: &str, index: u32) -> Result<PrivateKeySigner> {
    Ok(MnemonicBuilder::try_from_phrase_nth(phrase, index)?)
}

fn parse(hex: &str) -> Result<PrivateKeySigner> {
    // The key itself must not end up in an error message.
    hex.trim().parse().map_err(|_| eyre::eyre!("not a private key of 32 bytes in hex"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::address;

    #[test]
    fn the_dev_key_is_used_on_the_dev_chain_only() {
        let account = KeyArgs::default().signer(DEV_CHAIN_ID).expect("dev key").address();
        assert_eq!(account, address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"));
        assert!(KeyArgs::default().signer(1).is_err());
    }

    #[test]
    fn a_bad_key_is_refused_without_being_repeated() {
        let args = KeyArgs { private_key: Some("0xsecret".into()), ..Default::default() };
        let error = format!("{:#}", args.signer(1).expect_err("refused"));
        assert!(!error.contains("secret"), "{error}");
    }
}
