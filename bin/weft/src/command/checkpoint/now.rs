//! `weft checkpoint now`: asks a running node for a checkpoint.

use super::NowArgs;
use crate::client::Client;
use eyre::{Result, WrapErr};

/// Makes one, or finds that of the block, and prints its manifest's Arweave id.
pub fn run(args: &NowArgs) -> Result<()> {
    let mut client = Client::new(&args.rpc.rpc)?;
    let made: super::list::Remote = client
        .call("admin_checkpointNow", ())
        .wrap_err("a node answers this on the loopback interface, where `admin` is served (--http.api)")?;
    eprintln!("{made}; `weft checkpoint list --rpc {}` says when it is on Arweave", args.rpc.rpc);
    println!("{}", made.manifest.id);
    Ok(())
}
