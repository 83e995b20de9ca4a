//! Uploading a transaction's chunks, each with its proof, and finding those that are missing.

use super::Client;
use crate::{
    ChunkTree, Error, FormatError, Transaction,
    chunk::PostedChunk,
    merkle::{Chunk, verify_chunk},
};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::PathBuf,
};

const ANSWER_BYTES_MAX: u64 = 16 * 1024;
/// Refusals of a chunk that no repetition changes; all others may pass (the node has not seen the transaction, its disk is full).
const FINAL_CODES: [&str; 7] = [
    "invalid_json",
    "chunk_too_big",
    "data_path_too_big",
    "offset_too_big",
    "data_size_too_big",
    "chunk_proof_ratio_not_attractive",
    "invalid_proof",
];

/// Where the bytes to upload are.
#[derive(Clone, Debug)]
pub enum UploadData {
    /// In memory.
    Bytes(Bytes),
    /// In a file, which does not change meanwhile: a chunk that is not what the tree was made of is an error.
    File(PathBuf),
}

impl UploadData {
    /// The tree over the data, in constant memory besides. Reads it all: call it off the async threads.
    pub fn tree(&self) -> Result<ChunkTree, FormatError> {
        match self {
            Self::Bytes(bytes) => Ok(ChunkTree::of(bytes)),
            Self::File(path) => {
                let (mut file, mut builder) = (File::open(path)?, crate::ChunkTreeBuilder::default());
                let mut buffer = vec![0; 256 * 1024];
                loop {
                    match file.read(&mut buffer)? {
                        0 => return Ok(builder.finish()),
                        read => builder.push(&buffer[..read]),
                    }
                }
            }
        }
    }

    async fn read(&self, chunk: &Chunk) -> Result<Bytes, FormatError> {
        let range = chunk.range.clone();
        // A chunk's length is at most 256 KiB.
        let length = (range.end - range.start) as usize;
        match self {
            Self::Bytes(bytes) => {
                let start = usize::try_from(range.start).unwrap_or(usize::MAX);
                let end = start.checked_add(length).filter(|end| *end <= bytes.len());
                end.map(|end| bytes.slice(start..end)).ok_or(FormatError::WrongData("shorter than its tree"))
            }
            Self::File(path) => {
                let path = path.clone();
                let read = tokio::task::spawn_blocking(move || -> std::io::Result<Bytes> {
                    let mut file = File::open(path)?;
                    file.seek(SeekFrom::Start(range.start))?;
                    let mut bytes = vec![0; length];
                    file.read_exact(&mut bytes)?;
                    Ok(bytes.into())
                });
                Ok(read.await.map_err(std::io::Error::other)??)
            }
        }
    }
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl Client {
    /// Uploads the chunks with these indices, several at a time, and tells of each when a node has taken it, in no order. To go on
    /// after an interruption give the indices that are left; a chunk that is posted twice does no harm.
    ///
    /// That a node took a chunk is not that it keeps it: read back before anything depends on it.
    pub async fn upload_chunks(
        &self,
        transaction: &Transaction,
        tree: &ChunkTree,
        data: &UploadData,
        indices: impl IntoIterator<Item = usize>,
        on_taken: impl Fn(usize),
    ) -> Result<(), Error> {
        transaction.verify_data(tree)?;
        let on_taken = &on_taken;
        let uploads = indices.into_iter().map(|index| async move {
            let Some(place) = tree.chunks().get(index) else {
                return Err(Error::Config(format!("there is no chunk {index}")));
            };
            let bytes = data.read(place).await?;
            if let Some(chunk) = PostedChunk::new(tree, index, bytes)? {
                self.post_chunk(&chunk).await?;
            }
            on_taken(index);
            Ok(())
        });
        stream::iter(uploads).buffer_unordered(self.config.parallel_max).try_collect().await
    }

    /// Posts one chunk.
    pub async fn post_chunk(&self, chunk: &PostedChunk) -> Result<(), Error> {
        let body = Bytes::from(serde_json::to_vec(chunk).map_err(FormatError::from)?);
        self.ask_gateways(body.len() as u64, |base| {
            let request = self.http.post(base.at("chunk")).header("content-type", "application/json");
            let request = request.body(body.clone());
            async move {
                let answer = self.http.send(request, ANSWER_BYTES_MAX).await?;
                if matches!(answer.status, 200..=208) {
                    return Ok(());
                }
                let code = serde_json::from_slice::<Refusal>(&answer.body).map(|refusal| refusal.error);
                match code {
                    Ok(reason) if !FINAL_CODES.contains(&reason.as_str()) => {
                        Err(Error::NotYet { url: answer.url, reason })
                    }
                    _ => Err(answer.refusal()),
                }
            }
        })
        .await
    }

    /// Indices of the chunks of a mined transaction that no gateway serves, with proof, now. Reads all its data.
    pub async fn missing_chunks(
        &self,
        transaction: &Transaction,
        tree: &ChunkTree,
    ) -> Result<Vec<usize>, Error> {
        transaction.verify_data(tree)?;
        let placement = self.placement(transaction.id).await?;
        let (root, size) = (tree.root(), tree.size());
        let checks = (0..tree.chunks().len()).map(|index| async move {
            let start = tree.chunks()[index].range.start;
            let served = self.checked_chunk(placement.start.saturating_add(start), |served| {
                verify_chunk(&root, size, start, &served.data_path, &served.chunk).map(|_| ())
            });
            match served.await {
                Ok(_) => Ok(None),
                Err(Error::NotFound(_) | Error::WrongAnswer { .. }) => Ok(Some(index)),
                Err(error) => Err(error),
            }
        });
        let found: Vec<Option<usize>> =
            stream::iter(checks).buffered(self.config.parallel_max).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }
}
