//! Permanence for what `weft blob put` published: asked for over RPC, and awaited.
//!
//! A node puts blobs on Arweave, and a transaction carries a blob when its calldata is long enough. What is shorter, such as a small file,
//! cannot be bought permanence for, and that is told.

use crate::{client::Client, command::progress};
use alloy_primitives::B256;
use eyre::{Result, bail};
use serde::Deserialize;
use std::{thread, time::Duration};

/// Distance of the looks at what has been asked for. Arweave makes a block every two minutes.
const PAUSE: Duration = Duration::from_secs(1);

/// What `da_requestPermanence` answers.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Requested {
    length: alloy_primitives::U64,
    item: Option<Item>,
}

#[derive(Clone, Debug, Deserialize)]
struct Item {
    id: String,
    state: String,
    error: Option<String>,
}

impl Requested {
    /// Whether it is on Arweave and was read back.
    fn is_done(&self) -> bool {
        self.item.as_ref().is_some_and(|item| matches!(item.state.as_str(), "verified" | "found"))
    }
}

/// Asks for the permanence of these transactions' blobs and, with `wait`, returns when all were read back from Arweave.
pub fn buy(client: &mut Client, transactions: &[B256], wait: bool, quiet: bool) -> Result<()> {
    let (mut open, mut bytes) = (Vec::new(), 0);
    for transaction in transactions {
        match ask(client, *transaction)? {
            Some(requested) => {
                bytes += requested.length.to::<u64>();
                open.push(*transaction);
            }
            None => eprintln!(
                "{transaction} is too short to be a blob and stays off Arweave: keep its calldata yourself"
            ),
        }
    }
    if open.is_empty() {
        bail!("nothing of it is long enough to be a blob, so nothing of it can be made permanent");
    }
    eprintln!("permanence of {} blobs, {bytes} bytes, is asked for:", open.len());
    open.iter().for_each(|transaction| eprintln!("  {transaction}"));
    if wait { await_all(client, open, quiet) } else { Ok(()) }
}

fn await_all(client: &mut Client, mut open: Vec<B256>, quiet: bool) -> Result<()> {
    let bar = progress::share(open.len() as u64, quiet);
    loop {
        let mut waiting = Vec::new();
        for transaction in open {
            let Some(requested) = ask(client, transaction)? else {
                bail!("{transaction} is not in the chain any more");
            };
            if let Some(Item { error: Some(reason), .. }) = &requested.item {
                bail!("{transaction} does not get to Arweave: {reason}");
            }
            if requested.is_done() {
                let id = requested.item.map(|item| item.id).unwrap_or_default();
                bar.suspend(|| eprintln!("{transaction} is permanent: {id}"));
                bar.inc(1);
            } else {
                let state = requested
                    .item
                    .map_or("waiting for its block to be finalized".to_owned(), |item| item.state);
                bar.set_message(format!("{transaction}: {state}"));
                waiting.push(transaction);
            }
        }
        if waiting.is_empty() {
            bar.finish_and_clear();
            return Ok(());
        }
        open = waiting;
        thread::sleep(PAUSE);
    }
}

/// Bytes from which on calldata is a blob on the node's chain.
pub fn blob_bytes_min(client: &mut Client) -> Result<usize> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Status {
        blob_threshold_bytes: Option<alloy_primitives::U64>,
    }
    let status: Status = client.call("da_status", ())?;
    let Some(bytes) = status.blob_threshold_bytes else { bail!("the node's chain has no blobs") };
    Ok(bytes.to())
}

fn ask(client: &mut Client, transaction: B256) -> Result<Option<Requested>> {
    Ok(client.call("da_requestPermanence", (transaction,))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_the_node_are_read() {
        let parse = |text: &str| serde_json::from_str::<Option<Requested>>(text).expect("an answer");
        assert!(parse("null").is_none());
        let early = r#"{"transactionHash":"0x00","blockNumber":"0x1","blockHash":"0x00","length":"0x1000","item":null}"#;
        assert!(!parse(early).expect("some").is_done());
        for (state, done) in [("posted", false), ("confirmed", false), ("verified", true), ("found", true)] {
            let item = format!(r#"{{"length":"0x1","item":{{"id":"a","state":"{state}","error":null}}}}"#);
            assert_eq!(parse(&item).expect("some").is_done(), done, "{state}");
        }
    }
}
