//! The bytes of PROTOCOL §2–§4, pinned: `tests/vectors/*.json` must be what this crate computes.
//!
//! After a change of protocol version: `WEFT_WRITE_VECTORS=1 cargo test -p weft-erasure --test vectors`.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use alloy_primitives::{B256, Bytes, hex};
use common::{TestBlock, bytes_of};
use serde_json::{Value, json};
use std::{fs, path::PathBuf, process::Command};
use weft_erasure::{Anchor, BlobProof, CellProof, ColumnProof, RangeProof, encode_blob, sha256};
use weft_primitives::{BlobIndex, ChunkIndex, ColumnIndex, Geometry};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Compares with the file, or writes it when asked to.
fn pin(name: &str, value: &Value) {
    let path = root().join("tests/vectors").join(name);
    let text = format!("{}\n", serde_json::to_string_pretty(value).unwrap());
    if std::env::var_os("WEFT_WRITE_VECTORS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let pinned = fs::read_to_string(&path).unwrap();
    assert!(pinned == text, "{} is not what this code computes", path.display());
}

fn geometry_json(geometry: Geometry) -> Value {
    json!({
        "version": geometry.version(), "dataShards": geometry.data_shards(),
        "parityShards": geometry.parity_shards(), "chunkBytes": geometry.chunk_bytes(),
    })
}

fn geometries() -> [Geometry; 4] {
    let of = |k, m, chunk| Geometry::new(1, k, m, chunk).unwrap();
    [Geometry::DEV, of(1, 1, 64), of(3, 2, 384), of(10, 246, 6400)]
}

#[test]
fn blobs_code_to_the_pinned_cells() {
    let mut blobs = Vec::new();
    for geometry in geometries() {
        let chunk = geometry.chunk_bytes();
        for length in [1, 64, chunk - 1, chunk, chunk + 1, 2 * chunk + 100] {
            let name = format!("vector {length}");
            let blob = bytes_of(&name, length);
            let encoded = encode_blob(geometry, &blob);
            let parity: Vec<u8> = encoded.parity.concat();
            let mut vector = json!({
                "geometry": geometry_json(geometry), "name": name, "length": length,
                "blobSha256": sha256(&blob), "paritySha256": sha256(&parity),
                "cellHashesSha256": sha256(encoded.cell_hashes.concat().as_slice()),
            });
            if encoded.cell_hashes.len() <= 33 {
                vector["cellHashes"] = json!(encoded.cell_hashes);
            }
            if parity.len() <= 1024 {
                vector["parity"] = json!(hex::encode_prefixed(&parity));
            }
            blobs.push(vector);
        }
    }
    pin("blobs.json", &json!(blobs));
}

fn blocks() -> [TestBlock; 3] {
    [
        TestBlock::new(Geometry::DEV, &[]),
        TestBlock::new(Geometry::new(1, 3, 2, 384).unwrap(), &[1, 383, 384, 385, 2000]),
        TestBlock::new(Geometry::DEV, &[4096, 131_072, 131_073]),
    ]
}

#[test]
fn blocks_commit_to_the_pinned_roots() {
    let blocks: Vec<Value> = blocks()
        .iter()
        .map(|block| {
            let summary = block.cells.summary();
            let blobs: Vec<Value> = summary
                .blobs
                .iter()
                .zip(0..)
                .map(|(blob, i)| {
                    json!({"name": format!("blob {i}"), "transactionHash": blob.tx_hash,
                           "transactionIndex": blob.tx_index, "length": blob.length, "firstChunk": blob.first_chunk.0})
                })
                .collect();
            json!({
                "geometry": geometry_json(block.geometry), "blobs": blobs, "chunkCount": summary.chunk_count,
                "blobsRoot": summary.blobs_root, "columnRoots": summary.column_roots,
                "columnsRoot": summary.columns_root, "daRoot": summary.da_root,
                "header": Bytes::from(alloy_rlp::encode(&block.header)), "blockHash": block.hash,
            })
        })
        .collect();
    pin("blocks.json", &json!(blocks));
}

/// One served object with what a verifier knows beforehand.
fn served(kind: &str, block_hash: B256, asked: Value, proof: &Value, valid: bool) -> Value {
    json!({"kind": kind, "blockHash": block_hash, "asked": asked, "proof": proof, "valid": valid})
}

#[test]
fn proofs_are_the_pinned_ones() {
    let [_, block, large] = blocks();
    let mut proofs = Vec::new();
    let chunks = block.cells.summary().chunk_count;
    let anchor = serde_json::to_value(Anchor::new(&block.header, block.cells.summary()).unwrap()).unwrap();
    let cell_of = |chunk: u32, column: u16| {
        let (blob, within) = block.place(chunk);
        block.cell(blob, within, column)
    };
    for (column, chunk) in [(0, 0), (2, 1), (4, 3), (3, chunks - 1)] {
        let proof = CellProof::new(
            &block.header,
            &block.cells,
            ColumnIndex(column),
            ChunkIndex(chunk),
            cell_of(chunk, column),
        );
        let proof = serde_json::to_value(proof.unwrap()).unwrap();
        let asked = json!({"column": column, "chunk": chunk});
        proofs.push(served("cell", block.hash, asked.clone(), &proof, true));
        let mut changed = proof.clone();
        let cell = proof["cell"].as_str().unwrap();
        changed["cell"] =
            json!(format!("{}{}", &cell[..cell.len() - 1], if cell.ends_with('0') { "1" } else { "0" }));
        proofs.push(served("cell", block.hash, asked.clone(), &changed, false));
        proofs.push(served("cell", large.hash, asked, &proof, false));
        proofs.push(served(
            "cell",
            block.hash,
            json!({"column": (column + 1) % 5, "chunk": chunk}),
            &proof,
            false,
        ));
    }
    for (column, first, count) in [(1, 0, chunks), (0, 2, 3), (4, chunks - 1, 1), (3, 1, 4)] {
        let cells = (first..first + count).map(|chunk| cell_of(chunk, column)).collect();
        let proof = RangeProof::new(&block.cells, ColumnIndex(column), ChunkIndex(first), cells).unwrap();
        let mut proof = serde_json::to_value(proof).unwrap();
        let asked = json!({"column": column, "firstChunk": first, "anchor": anchor});
        proofs.push(served("range", block.hash, asked.clone(), &proof, true));
        let cells = proof["cells"].as_array_mut().unwrap();
        cells.pop();
        proofs.push(served("range", block.hash, asked, &proof, false));
    }
    let column =
        serde_json::to_value(ColumnProof::new(&block.header, &block.cells, ColumnIndex(2)).unwrap()).unwrap();
    let root = block.cells.summary().column_roots[2];
    proofs.push(served("column", block.hash, json!({"column": 2, "columnRoot": root}), &column, true));
    proofs.push(served("column", block.hash, json!({"column": 1, "columnRoot": root}), &column, false));
    for blob in 0..5 {
        let proof = BlobProof::new(&block.header, &block.cells, BlobIndex(blob)).unwrap();
        let mut proof = serde_json::to_value(proof).unwrap();
        proofs.push(served("blob", block.hash, json!({}), &proof, true));
        proof["length"] = json!("0x182");
        proofs.push(served("blob", block.hash, json!({}), &proof, false));
    }
    pin("proofs.json", &json!(proofs));
}

/// The second verifier, written from PROTOCOL.md alone in another language, agrees about every vector.
#[test]
fn the_python_verifier_agrees() {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("skipped: there is no python3 to run tests/verify_proof.py");
        return;
    }
    let output = Command::new("python3")
        .arg(root().join("tests/verify_proof.py"))
        .arg("vectors")
        .arg(root().join("tests/vectors"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains(" vectors agree"), "{said}");
}
