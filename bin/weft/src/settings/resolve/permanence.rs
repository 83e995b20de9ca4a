//! The settings of Arweave and of checkpoints.

use crate::settings::{
    ArAmount, Embedded, LOOPBACK_NAMESPACES, NodeArgs, RoleName, defaults::CHECKPOINT_FULL_EVERY,
};
use eyre::{Context, Result, ensure};
use std::{env, fs, num::NonZeroU64};
use weft_archive::{Budget, checkpoint::LAYERS_MAX, permanence::CheckpointConfig};
use weft_arweave::{Winston, client::Url};
use weft_node::{Passphrase, PermanenceConfig, WalletFile};
use zeroize::Zeroizing;

/// Where a passphrase may be given besides a file. Never a flag: those are in process lists.
const PASSPHRASE_VARIABLE: &str = "WEFT_ARWEAVE_PASSPHRASE";

/// Block cache of a light node: it reads a header now and then.
const LIGHT_CACHE_MIB: usize = 4;
/// Peers of a light node, each with buffers of its own.
const LIGHT_PEERS_MAX: u32 = 16;

/// Defaults that depend on what is given: naming a peer turns the network on, as does a role that lives by it, and a light node is small and
/// serves its own machine; with a gateway none is embedded, and without a wallet for it nothing is put there; what
/// only the operator may ask for is not served on an open interface.
pub fn fitted(defaults: NodeArgs, given: &NodeArgs) -> NodeArgs {
    let mut fitted = defaults;
    let elsewhere = given.arweave_gateway.is_some() && given.arweave_embedded.is_none();
    let off = given.arweave_embedded == Some(Embedded::Off);
    if elsewhere {
        fitted.arweave_embedded = Some(Embedded::Off);
    }
    if (elsewhere || off) && given.arweave_wallet.is_none() {
        fitted.checkpoint_interval = Some(0);
    }
    if super::network::is_wanted(given) || given.role.is_some_and(|role| role != RoleName::Full) {
        fitted.p2p = Some(true);
    }
    if given.role == Some(RoleName::Light) {
        fitted.http = Some(true);
        fitted.db_cache_size = Some(LIGHT_CACHE_MIB);
        fitted.p2p_max_peers = Some(LIGHT_PEERS_MAX);
    }
    let http_open = given.http_addr.is_some_and(|address| !address.is_loopback());
    let ws_open = given.ws_addr.map_or(http_open, |address| !address.is_loopback());
    for (open, api) in [(http_open, &mut fitted.http_api), (ws_open || http_open, &mut fitted.ws_api)] {
        if open && let Some(api) = api {
            api.retain(|name| !LOOPBACK_NAMESPACES.contains(&name.as_str()));
        }
    }
    fitted
}

/// Checks what is said of Arweave.
pub fn permanence(settings: &NodeArgs) -> Result<PermanenceConfig> {
    let embedded = match settings.arweave_embedded {
        Some(Embedded::At(address)) => Some(address),
        Some(Embedded::Off) | None => None,
    };
    let gateways = settings.arweave_gateway.iter().flatten();
    let gateways = gateways.map(|text| url("arweave.gateway", text)).collect::<Result<Vec<_>>>()?;
    ensure!(
        embedded.is_none() || gateways.is_empty(),
        "--arweave.embedded and --arweave.gateway are two networks: give one of them"
    );
    let passphrase = passphrase(settings)?;
    let wallet = settings.arweave_wallet.clone().map(|path| WalletFile { path, passphrase });
    let config = PermanenceConfig {
        embedded,
        gateways,
        bundler: settings.arweave_bundler.as_deref().map(|text| url("arweave.bundler", text)).transpose()?,
        bundler_payment: settings
            .arweave_bundler_payment
            .as_deref()
            .map(|text| url("arweave.bundler-payment", text))
            .transpose()?,
        wallet,
        budget: budget(settings),
        confirmations: settings.arweave_confirmations,
        checkpoints: checkpoints(settings)?,
        usd_per_ar: settings.arweave_ar_price_usd,
    };
    ensure!(
        config.usd_per_ar.is_none_or(|usd| usd.is_finite() && usd >= 0.0),
        "--arweave.ar-price-usd is a price in dollars"
    );
    if config.checkpoints.is_some() {
        ensure!(!config.is_off(), "--checkpoint.interval needs --arweave.gateway or --arweave.embedded");
        ensure!(
            config.embedded.is_some() || config.wallet.is_some(),
            "--checkpoint.interval needs --arweave.wallet, which signs and pays"
        );
    }
    ensure!(
        config.wallet.is_none() || !config.is_off(),
        "--arweave.wallet needs --arweave.gateway or --arweave.embedded"
    );
    Ok(config)
}

fn checkpoints(settings: &NodeArgs) -> Result<Option<CheckpointConfig>> {
    let full_every = settings.checkpoint_full_every.unwrap_or(CHECKPOINT_FULL_EVERY);
    ensure!(full_every.get() <= LAYERS_MAX as u64, "--checkpoint.full-every is at most {LAYERS_MAX}");
    let interval = settings.checkpoint_interval.and_then(NonZeroU64::new);
    Ok(interval.map(|interval| CheckpointConfig { interval, full_every }))
}

fn budget(settings: &NodeArgs) -> Budget {
    let winston = |amount: Option<ArAmount>| amount.map(|amount| Winston(amount.0));
    Budget {
        total: winston(settings.arweave_max_spend),
        per_hour: winston(settings.arweave_max_spend_per_hour),
        per_mib: winston(settings.arweave_max_price),
    }
}

/// The passphrase of the wallet, from the file or from the environment.
fn passphrase(settings: &NodeArgs) -> Result<Option<Passphrase>> {
    let Some(path) = &settings.arweave_passphrase_file else {
        let given = env::var(PASSPHRASE_VARIABLE).ok().filter(|given| !given.is_empty());
        return Ok(given.map(|given| Passphrase(Zeroizing::new(given))));
    };
    let text = fs::read_to_string(path)
        .map(Zeroizing::new)
        .wrap_err_with(|| format!("--arweave.passphrase-file: {}", path.display()))?;
    let line = text.lines().next().unwrap_or_default();
    ensure!(!line.is_empty(), "--arweave.passphrase-file: {} is empty", path.display());
    Ok(Some(Passphrase(Zeroizing::new(line.to_owned()))))
}

fn url(name: &str, text: &str) -> Result<Url> {
    text.parse().wrap_err_with(|| format!("--{name}: `{text}`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::file::merge;

    fn resolved(given: NodeArgs, dev: bool) -> Result<PermanenceConfig> {
        permanence(&merge(&given, &fitted(NodeArgs::defaults(dev), &given))?)
    }

    #[test]
    fn a_dev_node_has_its_own_arweave_unless_it_is_given_another() {
        let own = resolved(NodeArgs::default(), true).expect("dev");
        assert_eq!(own.embedded.map(|address| address.port()), Some(1984));
        assert_eq!(own.checkpoints.map(|checkpoints| checkpoints.interval.get()), Some(100));
        let gateway =
            NodeArgs { arweave_gateway: Some(vec!["https://g.example".into()]), ..NodeArgs::default() };
        let other = resolved(gateway.clone(), true).expect("a gateway");
        assert!(other.embedded.is_none() && other.checkpoints.is_none() && other.gateways.len() == 1);
        let paid = NodeArgs { arweave_wallet: Some("w".into()), ..gateway };
        assert!(resolved(paid, true).expect("a wallet").checkpoints.is_some());
        assert!(resolved(NodeArgs::default(), false).expect("plain").is_off());
        let off = NodeArgs { arweave_embedded: Some(Embedded::Off), ..NodeArgs::default() };
        assert!(resolved(off, true).expect("off").is_off());
    }

    #[test]
    fn what_does_not_fit_together_is_named() {
        let gateway = || Some(vec!["https://g.example".to_owned()]);
        for (given, named) in [
            (NodeArgs { checkpoint_interval: Some(1), ..NodeArgs::default() }, "--arweave.gateway"),
            (
                NodeArgs { checkpoint_interval: Some(1), arweave_gateway: gateway(), ..NodeArgs::default() },
                "--arweave.wallet",
            ),
            (NodeArgs { arweave_wallet: Some("w".into()), ..NodeArgs::default() }, "--arweave.gateway"),
            (
                NodeArgs {
                    arweave_gateway: gateway(),
                    arweave_embedded: "on".parse().ok(),
                    ..NodeArgs::default()
                },
                "two networks",
            ),
            (
                NodeArgs { arweave_gateway: Some(vec!["nowhere".into()]), ..NodeArgs::default() },
                "--arweave.gateway",
            ),
            (
                NodeArgs { checkpoint_full_every: NonZeroU64::new(257), ..NodeArgs::default() },
                "--checkpoint.full-every",
            ),
            (
                NodeArgs { arweave_ar_price_usd: Some(f64::NAN), ..NodeArgs::default() },
                "--arweave.ar-price-usd",
            ),
        ] {
            let error = format!("{:#}", resolved(given, false).expect_err(named));
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn a_passphrase_is_the_first_line_of_its_file_and_is_not_printed() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("passphrase");
        fs::write(&file, "correct horse\nbattery").expect("written");
        let given = NodeArgs {
            arweave_passphrase_file: Some(file),
            arweave_wallet: Some("w".into()),
            arweave_embedded: "on".parse().ok(),
            ..NodeArgs::default()
        };
        let config = resolved(given, false).expect("resolves");
        let passphrase = config.wallet.as_ref().and_then(|wallet| wallet.passphrase.as_ref());
        assert_eq!(passphrase.map(|passphrase| passphrase.0.as_str()), Some("correct horse"));
        assert!(!format!("{config:?}").contains("horse"));
    }
}
