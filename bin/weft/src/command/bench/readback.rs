//! The read-back: a sample's bytes compared with what was sent, also from shards alone.
//!
//! On a node of our own the sample's bodies and m random columns each are deleted from the database in between,
//! so that every compared byte was reconstructed from k columns.

use super::{child, measure::Target, payload::Payload};
use crate::{client::Client, command::db::drop::drop_data};
use alloy_primitives::{B256, Bytes};
use eyre::{Result, bail, ensure, eyre};
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use weft_primitives::ColumnIndex;
use weft_storage::{Store, StoreOptions};

/// What the read-back compared.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ReadBack {
    pub transactions: usize,
    pub bytes: usize,
    /// Of those, bytes that were reconstructed after the body and m columns had been deleted.
    pub reconstructed_bytes: usize,
}

#[derive(Deserialize)]
struct Input {
    input: Bytes,
}

/// Compares the sample, or fails with the first difference. Consumes the target: its node is stopped.
pub fn check(target: Target, payload: &Payload, sample: &[(u64, B256)]) -> Result<ReadBack> {
    let mut client = Client::new(target.url())?;
    let mut done = ReadBack { transactions: sample.len(), ..ReadBack::default() };
    let mut blobs = Vec::new();
    for (number, hash) in sample {
        let expected = payload.calldata(*number);
        let tx: Option<Input> = client.call("eth_getTransactionByHash", (hash,))?;
        same(
            &tx.ok_or_else(|| eyre!("transaction {hash} is gone"))?.input,
            &expected,
            *hash,
            "eth_getTransactionByHash",
        )?;
        done.bytes += expected.len();
        if let Ok(Some(blob)) = client.call::<Option<Bytes>>("da_getBlob", (hash,)) {
            same(&blob, &expected, *hash, "da_getBlob")?;
            blobs.push((*number, *hash));
        }
    }
    let Target::Own { node, folder } = target else { return Ok(done) };
    node.stop(|| false)?;
    if blobs.is_empty() {
        return Ok(done);
    }
    drop_sample(&folder.path().join("data"), &blobs)?;
    let node = child::start(folder.path(), &[])?;
    let mut client = Client::new(&node.banner().http)?;
    for (number, hash) in blobs {
        let expected = payload.calldata(number);
        let blob: Option<Bytes> = client.call("da_getBlob", (hash, json!({ "source": "shards" })))?;
        same(&blob.ok_or_else(|| eyre!("blob {hash} is gone"))?, &expected, hash, "reconstruction")?;
        done.reconstructed_bytes += expected.len();
    }
    node.stop(|| false)?;
    Ok(done)
}

/// Compares the sample as this node gives it by `da_getBlob`; bytes that were compared. Where there is a node to ask for
/// `places`, the one that is compared is told in which block each transaction is.
pub fn compare_blobs(
    client: &mut Client,
    mut places: Option<&mut Client>,
    payload: &Payload,
    sample: &[(u64, B256)],
) -> Result<usize> {
    let mut bytes = 0;
    for (number, hash) in sample {
        let expected = payload.calldata(*number);
        let blob: Option<Bytes> = match &mut places {
            Some(places) => {
                let receipt: Value = places.call("eth_getTransactionReceipt", (hash,))?;
                client.call("da_getBlob", (hash, Value::Null, &receipt["blockNumber"]))?
            }
            None => client.call("da_getBlob", (hash,))?,
        };
        same(&blob.ok_or_else(|| eyre!("blob {hash} is not there"))?, &expected, *hash, "da_getBlob")?;
        bytes += expected.len();
    }
    Ok(bytes)
}

fn same(actual: &[u8], expected: &[u8], hash: B256, source: &str) -> Result<()> {
    ensure!(
        actual.len() == expected.len(),
        "{source} of {hash}: {} bytes instead of {}",
        actual.len(),
        expected.len()
    );
    match actual.iter().zip(expected).position(|(a, b)| a != b) {
        Some(at) => bail!("{source} of {hash}: byte {at} is wrong"),
        None => Ok(()),
    }
}

/// Deletes the bodies of a sample and m random columns of each.
fn drop_sample(datadir: &std::path::Path, sample: &[(u64, B256)]) -> Result<()> {
    let store = Store::open(&datadir.join(weft_node::DB_FOLDER), StoreOptions::default())?;
    for (_, hash) in sample {
        let geometry = crate::command::db::geometry_of(&store, *hash)?;
        let mut columns: Vec<ColumnIndex> = (0..geometry.columns()).map(|j| ColumnIndex(j as u16)).collect();
        columns.shuffle(&mut rand::rng());
        drop_data(&store, *hash, true, &columns[..geometry.parity_shards()])?;
    }
    Ok(())
}
