//! `weft blob verify`: random cells of a file, each proven down to a block hash.
//!
//! Per transaction the blob's place is proven (length and chunks cannot be lied about), then random cells of random
//! columns are. A node that withholds more than a few per cent of a blob's cells is found out with a probability that
//! grows with `--samples`; parity makes that enough: any k of n columns give the blob back.

use super::{VerifyArgs, fetch, index::Index};
use crate::client::Client;
use alloy_primitives::{B256, U64};
use eyre::{Context, Result, bail, ensure, eyre};
use rand::Rng;
use serde::Deserialize;
use weft_erasure::{BlobProof, CellProof};
use weft_primitives::{ChunkIndex, ColumnIndex};

/// The parts of `da_blobInfo` that a proof needs.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlobInfo {
    block_hash: B256,
    transaction_index: U64,
    length: U64,
    first_chunk: U64,
    chunk_count: U64,
    blob_index: U64,
    blob_path: Vec<B256>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Commitment {
    columns_root: B256,
}

/// What was checked of one transaction.
struct Checked {
    cells: u32,
    bytes: u64,
}

/// Checks and says what was checked.
pub fn run(args: &VerifyArgs) -> Result<()> {
    let mut client = Client::new(&args.rpc.rpc)?;
    let head = fetch::proven_calldata(&mut client, args.handle)?;
    let index = Index::decode(&head).ok();
    let (mut cells, mut bytes, mut small) = (0, 0, 0);
    let parts = index.iter().flat_map(|index| &index.parts).map(|part| (part.transaction, None));
    for (transaction, block) in parts.chain([(args.handle, args.block)]) {
        match check(&mut client, transaction, block, args.samples)
            .wrap_err_with(|| format!("transaction {transaction}"))?
        {
            Some(checked) => {
                cells += u64::from(checked.cells);
                bytes += checked.bytes;
            }
            None => small += 1,
        }
    }
    println!("{cells} cells of {bytes} bytes of blobs are available and proven down to their block hashes");
    if small > 0 {
        println!("{small} transactions are too small to be blobs and are part of their blocks only");
    }
    Ok(())
}

/// `None`: the transaction carries no blob.
fn check(
    client: &mut Client,
    transaction: B256,
    block: Option<B256>,
    samples: u32,
) -> Result<Option<Checked>> {
    let info: Option<BlobInfo> = client.call("da_blobInfo", (transaction,))?;
    let Some(info) = info else {
        ensure!(block.is_none(), "it carries no blob, so that nothing can be proven against a block");
        return Ok(None);
    };
    let block = block.unwrap_or(info.block_hash);
    ensure!(block == info.block_hash, "the node says that it is in block {}, not {block}", info.block_hash);
    let columns_root = client.call::<Option<Commitment>>("da_commitment", (block,))?;
    let columns_root =
        columns_root.ok_or_else(|| eyre!("the node has no commitment of block {block}"))?.columns_root;
    let (first, chunks) = (info.first_chunk.to::<u32>(), info.chunk_count.to::<u32>());
    let mut place = None;
    for sample in 0..samples.max(1) {
        let chunk = first + rand::rng().random_range(0..chunks.max(1));
        // The number of columns is known with the first proof; column 0 always exists.
        let columns = place
            .as_ref()
            .map_or(1, |proof: &BlobProof| proof.anchor.data_shards + proof.anchor.parity_shards);
        let column = rand::rng().random_range(0..columns);
        let proof: Option<CellProof> =
            client.call("da_cellProof", (block, format!("0x{column:x}"), format!("0x{chunk:x}")))?;
        let Some(proof) = proof else { bail!("cell {chunk} of column {column} is not available") };
        proof
            .verify(block, ColumnIndex(column), ChunkIndex(chunk))
            .wrap_err_with(|| format!("sample {sample}"))?;
        if place.is_none() {
            let proof = BlobProof {
                anchor: proof.anchor,
                columns_root,
                transaction_hash: transaction,
                transaction_index: info.transaction_index.to(),
                length: info.length.to(),
                first_chunk: first,
                blob_index: info.blob_index.to(),
                blob_path: info.blob_path.clone(),
            };
            let proven = proof.verify(block).wrap_err("the blob's place in its block")?;
            let geometry_chunks = proven.length.div_ceil(u64::from(proof.anchor.chunk_bytes));
            ensure!(u64::from(chunks) == geometry_chunks, "the node lies about the number of chunks");
            place = Some(proof);
        }
    }
    Ok(Some(Checked { cells: samples.max(1), bytes: info.length.to() }))
}
