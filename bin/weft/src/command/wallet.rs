//! `weft wallet`: files with the key that pays for permanence.
//!
//! A wallet file has mode 0600 and is never overwritten. Nothing prints a key, and a passphrase is read from a file, the
//! environment or the terminal, never from an argument, which others on the machine can see.

use clap::{Args, Subcommand};
use eyre::{Context, Result, bail, ensure};
use std::{
    fs::{self, File},
    io::{self, IsTerminal, Read},
    path::{Path, PathBuf},
};
use weft_arweave::Wallet;
use zeroize::Zeroizing;

/// Holds the passphrase where there is no file and nobody at the terminal.
const PASSPHRASE_VARIABLE: &str = "WEFT_ARWEAVE_PASSPHRASE";
/// Bytes of a key in JSON; twelve numbers of at most 700 characters.
const JWK_BYTES_MAX: u64 = 64 << 10;

/// `weft wallet …`
#[derive(Subcommand, Clone, Debug)]
pub enum WalletCommand {
    /// Make a new RSA-4096 key, write it to a file of mode 0600 and print its address
    New(FileArgs),
    /// Print the address of a wallet file: where its AR is sent to
    Address(FileArgs),
    /// Write a wallet file of mode 0600 from the JSON that another Arweave wallet exported
    Import {
        /// JSON Web Key as other wallets export it; `-` is standard input
        #[arg(value_name = "JWK")]
        jwk: PathBuf,
        #[command(flatten)]
        file: FileArgs,
    },
}

/// A wallet file.
#[derive(Args, Clone, Debug)]
pub struct FileArgs {
    /// The wallet file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

/// Whether the file is sealed with a passphrase, and where that comes from.
#[derive(Args, Clone, Debug, Default)]
pub struct PassphraseArgs {
    /// The file is sealed with a passphrase, from WEFT_ARWEAVE_PASSPHRASE or asked for at the terminal
    #[arg(long, conflicts_with = "passphrase_file")]
    pub passphrase: bool,
    /// The file is sealed with the passphrase in the first line of this file
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

impl PassphraseArgs {
    /// The passphrase, if the file has one. `again`: a new one, which is asked for twice.
    fn read(&self, again: bool) -> Result<Option<Zeroizing<String>>> {
        let passphrase = if let Some(path) = &self.passphrase_file {
            let text = fs::read_to_string(path).map(Zeroizing::new);
            let text = text.wrap_err_with(|| format!("passphrase file {}", path.display()))?;
            Zeroizing::new(text.lines().next().unwrap_or_default().to_owned())
        } else if !self.passphrase {
            return Ok(None);
        } else if let Ok(text) = std::env::var(PASSPHRASE_VARIABLE) {
            Zeroizing::new(text)
        } else {
            ask(again)?
        };
        ensure!(!passphrase.is_empty(), "the passphrase is empty");
        Ok(Some(passphrase))
    }
}

fn ask(again: bool) -> Result<Zeroizing<String>> {
    if !io::stdin().is_terminal() {
        bail!("there is no terminal to ask at: give --passphrase-file or set {PASSPHRASE_VARIABLE}");
    }
    let first = Zeroizing::new(rpassword::prompt_password("passphrase: ")?);
    if again {
        let second = Zeroizing::new(rpassword::prompt_password("once more: ")?);
        ensure!(first == second, "these are two different passphrases");
    }
    Ok(first)
}

/// Runs a subcommand.
pub fn run(command: &WalletCommand) -> Result<()> {
    let wallet = match command {
        WalletCommand::New(args) => {
            ensure_free(&args.file)?;
            let passphrase = args.passphrase.read(true)?;
            save(&Wallet::generate()?, &args.file, passphrase)?
        }
        WalletCommand::Import { jwk, file } => {
            ensure_free(&file.file)?;
            let wallet = Wallet::from_jwk(&read_jwk(jwk)?).wrap_err_with(|| jwk.display().to_string())?;
            save(&wallet, &file.file, file.passphrase.read(true)?)?
        }
        WalletCommand::Address(args) => {
            let passphrase = args.passphrase.read(false)?;
            Wallet::load(&args.file, passphrase.as_ref().map(|text| text.as_str()))?
        }
    };
    println!("{}", wallet.address());
    Ok(())
}

/// Before a key is made, which takes seconds; saving does not overwrite either.
fn ensure_free(path: &Path) -> Result<()> {
    ensure!(!path.exists(), "{} is there already, and a wallet is never overwritten", path.display());
    Ok(())
}

fn save(wallet: &Wallet, path: &Path, passphrase: Option<Zeroizing<String>>) -> Result<Wallet> {
    wallet.save(path, passphrase.as_ref().map(|text| text.as_str()))?;
    eprintln!(
        "wrote {}: whoever has this file has the funds; keep a copy where nobody looks",
        path.display()
    );
    Ok(wallet.clone())
}

fn read_jwk(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    // Large enough from the start, so that no outgrown buffer keeps a copy.
    let mut bytes = Zeroizing::new(Vec::with_capacity(JWK_BYTES_MAX as usize + 1));
    let source: Box<dyn Read> = match path.to_str() {
        Some("-") => Box::new(io::stdin()),
        _ => Box::new(File::open(path).wrap_err_with(|| path.display().to_string())?),
    };
    source.take(JWK_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    ensure!(bytes.len() as u64 <= JWK_BYTES_MAX, "{} is too large for a key", path.display());
    Ok(bytes)
}
