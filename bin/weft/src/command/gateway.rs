//! `weft gateway`: the embedded Arweave gateway in a process of its own.
//!
//! The same that `weft node --dev` has inside, over the same folder: what a development node put on "Arweave" outlives the
//! node and its database, and a restore from it can be practised. Runs until a signal.

use super::keeper;
use clap::Args;
use eyre::{Context, Result};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};
use tokio::signal::unix::{SignalKind, signal};
use weft_arweave::{
    Gateway, GatewayConfig,
    gateway::{DEFAULT_PORT, Mining},
};

/// Pause between two blocks while something waits for confirmations.
const BLOCK_TIME: Duration = Duration::from_secs(1);
/// Confirmations after which no further blocks are made.
const REST_AFTER_CONFIRMATIONS: u64 = 12;

/// Options of `weft gateway`.
#[derive(Args, Clone, Debug)]
pub struct GatewayArgs {
    /// Where everything is kept; one gateway at a time
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Address and port that it listens on; port 0 takes a free one
    #[arg(long, value_name = "IP:PORT", default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)))]
    pub address: SocketAddr,
}

/// Serves until SIGINT or SIGTERM; prints its URL once it does.
pub fn run(args: &GatewayArgs) -> Result<()> {
    let config = GatewayConfig {
        address: args.address,
        mining: Mining::Interval { every: BLOCK_TIME, rest_after_confirmations: REST_AFTER_CONFIRMATIONS },
        ..GatewayConfig::new(&args.folder)
    };
    keeper::runtime()?.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).wrap_err("SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).wrap_err("SIGINT")?;
        let gateway = Gateway::start(config).await?;
        println!("{}", gateway.url());
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        gateway.stop().await;
        Ok(())
    })
}
