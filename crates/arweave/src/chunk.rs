//! Chunks as they travel: posted with `POST /chunk`, served by `GET /chunk/{offset}`.

use crate::{
    ChunkTree, DataRoot, FormatError, base64url,
    id::parse_decimal,
    merkle::{CHUNK_BYTES_MAX, DATA_PATH_BYTES_MAX, verify_chunk},
    tag::check_max,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Most bytes of either JSON form: chunk and path at their largest, in base64, with room for the names.
pub const CHUNK_JSON_BYTES_MAX: usize = (CHUNK_BYTES_MAX + 2 * DATA_PATH_BYTES_MAX) / 3 * 4 + 4096;

/// A chunk with its proof, well formed but not yet verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "PostedJson", into = "PostedJson")]
pub struct PostedChunk {
    /// Root of the transaction's data.
    pub data_root: DataRoot,
    /// Bytes of the transaction's data.
    pub data_size: u64,
    /// The proof.
    pub data_path: Bytes,
    /// A byte of the data that the chunk holds, by custom its last.
    pub offset: u64,
    /// The bytes.
    pub chunk: Bytes,
}

impl PostedChunk {
    /// Chunk `index` of a tree, whose bytes the caller has read; nothing past the last one. Wrong bytes are an error here and
    /// not at the node.
    pub fn new(tree: &ChunkTree, index: usize, chunk: Bytes) -> Result<Option<Self>, FormatError> {
        let (Some(place), Some(data_path)) = (tree.chunks().get(index), tree.path(index)) else {
            return Ok(None);
        };
        let offset = place.range.end - 1;
        let posted = Self { data_root: tree.root(), data_size: tree.size(), data_path, offset, chunk };
        posted.verify()?;
        Ok(Some(posted))
    }

    /// Checks the proof, and gives the part of the data that the chunk is.
    pub fn verify(&self) -> Result<Range<u64>, FormatError> {
        verify_chunk(&self.data_root, self.data_size, self.offset, &self.data_path, &self.chunk)
    }
}

#[derive(Serialize, Deserialize)]
struct PostedJson {
    data_root: DataRoot,
    data_size: String,
    data_path: String,
    offset: String,
    chunk: String,
}

impl TryFrom<PostedJson> for PostedChunk {
    type Error = FormatError;

    fn try_from(json: PostedJson) -> Result<Self, FormatError> {
        Ok(Self {
            data_root: json.data_root,
            data_size: parse_decimal("data_size", &json.data_size)?,
            data_path: bounded("data_path", &json.data_path, DATA_PATH_BYTES_MAX)?,
            offset: parse_decimal("offset", &json.offset)?,
            chunk: bounded("chunk", &json.chunk, CHUNK_BYTES_MAX)?,
        })
    }
}

impl From<PostedChunk> for PostedJson {
    fn from(posted: PostedChunk) -> Self {
        Self {
            data_root: posted.data_root,
            data_size: posted.data_size.to_string(),
            data_path: base64url::encode(&posted.data_path),
            offset: posted.offset.to_string(),
            chunk: base64url::encode(&posted.chunk),
        }
    }
}

/// A chunk as a node serves it, well formed but not yet verified: the proofs lead to roots that the receiver knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ServedJson", into = "ServedJson")]
pub struct ServedChunk {
    /// The bytes.
    pub chunk: Bytes,
    /// Leads to the transaction's `data_root`.
    pub data_path: Bytes,
    /// Leads to the block's `tx_root`; empty where it is not served.
    pub tx_path: Bytes,
}

#[derive(Serialize, Deserialize)]
struct ServedJson {
    chunk: String,
    data_path: String,
    #[serde(default)]
    tx_path: String,
}

impl TryFrom<ServedJson> for ServedChunk {
    type Error = FormatError;

    fn try_from(json: ServedJson) -> Result<Self, FormatError> {
        Ok(Self {
            chunk: bounded("chunk", &json.chunk, CHUNK_BYTES_MAX)?,
            data_path: bounded("data_path", &json.data_path, DATA_PATH_BYTES_MAX)?,
            tx_path: bounded("tx_path", &json.tx_path, DATA_PATH_BYTES_MAX)?,
        })
    }
}

impl From<ServedChunk> for ServedJson {
    fn from(served: ServedChunk) -> Self {
        Self {
            chunk: base64url::encode(&served.chunk),
            data_path: base64url::encode(&served.data_path),
            tx_path: base64url::encode(&served.tx_path),
        }
    }
}

fn bounded(field: &'static str, text: &str, max: usize) -> Result<Bytes, FormatError> {
    let bytes = base64url::decode(field, text)?;
    check_max(field, bytes.len(), max)?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn both_forms_round_trip(
            data_root: [u8; 32],
            data_size: u64,
            offset: u64,
            path in prop::collection::vec(any::<u8>(), 0..200),
            chunk in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let (path, chunk) = (Bytes::from(path), Bytes::from(chunk));
            let posted = PostedChunk {
                data_root: DataRoot(data_root), data_size, data_path: path.clone(), offset, chunk: chunk.clone(),
            };
            let json = serde_json::to_string(&posted).unwrap();
            prop_assert_eq!(serde_json::from_str::<PostedChunk>(&json).unwrap(), posted);
            let served = ServedChunk { chunk, data_path: path.clone(), tx_path: path };
            let json = serde_json::to_string(&served).unwrap();
            prop_assert_eq!(serde_json::from_str::<ServedChunk>(&json).unwrap(), served);
        }

        #[test]
        fn any_text_decodes_without_a_panic(text in ".{0,100}", size in "[0-9+ -]{0,22}") {
            let json = serde_json::json!({
                "data_root": text, "data_size": size, "data_path": text, "offset": size, "chunk": text,
            });
            let _ = serde_json::from_value::<PostedChunk>(json.clone());
            let _ = serde_json::from_value::<ServedChunk>(json);
        }
    }

    #[test]
    fn sizes_have_bounds() {
        let long = base64url::encode(vec![0; CHUNK_BYTES_MAX + 1]);
        let json = serde_json::json!({ "chunk": long, "data_path": "" });
        assert!(serde_json::from_value::<ServedChunk>(json).is_err());
    }

    #[test]
    fn wrong_bytes_are_not_posted() {
        let tree = ChunkTree::of(b"data");
        assert!(PostedChunk::new(&tree, 0, Bytes::from_static(b"date")).is_err());
        assert!(PostedChunk::new(&tree, 1, Bytes::new()).unwrap().is_none());
        let posted = PostedChunk::new(&tree, 0, Bytes::from_static(b"data")).unwrap().unwrap();
        assert_eq!(posted.verify().unwrap(), 0..4);
    }
}
