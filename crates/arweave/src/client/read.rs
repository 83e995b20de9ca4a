//! Reading data back: by hash, by signed root, by item, whole or in ranges.

use super::{Client, failover::Base, http::Answer};
use crate::{
    ChunkTree, DataItem, Error, FormatError, Id, Transaction, bundle,
    merkle::{chunk_starts, verify_chunk},
};
use bytes::Bytes;
use futures::{StreamExt, stream};
use reqwest::header::{CONTENT_RANGE, RANGE};
use sha2::{Digest, Sha256};
use std::ops::Range;

impl Client {
    /// The data of a transaction or item, at most `max` bytes, exactly as a gateway sends it.
    pub async fn untrusted_data(&self, id: Id, max: u64) -> Result<Bytes, Error> {
        self.checked_data(id, max, |_| Ok(())).await
    }

    /// A part of the data of a transaction or item, exactly as a gateway sends it. Of a gateway that ignores ranges the whole is
    /// read, if it has at most `max` bytes.
    pub async fn untrusted_range(&self, id: Id, range: Range<u64>, max: u64) -> Result<Bytes, Error> {
        self.checked_range(id, range, max, |bytes| Ok(bytes.clone())).await
    }

    /// The data of a transaction or item that has this SHA-256 and size, from any gateway whose answer does.
    pub async fn data_with_hash(&self, id: Id, sha256: [u8; 32], size: u64) -> Result<Bytes, Error> {
        self.checked_data(id, size, |bytes| {
            if bytes.len() as u64 != size {
                return Err(FormatError::WrongData("another size"));
            }
            if Sha256::digest(bytes)[..] != sha256 {
                return Err(FormatError::WrongData("another hash"));
            }
            Ok(())
        })
        .await
    }

    /// A transaction and its data, both verified: the signature, and the data's root and size. From the gateways that serve data
    /// whole, else put together from chunks with their proofs.
    pub async fn transaction_with_data(&self, id: Id, max: u64) -> Result<(Transaction, Bytes), Error> {
        let transaction = self.transaction(id).await?;
        if transaction.data_size > max {
            return Err(Error::BodyTooLarge { url: id.to_string(), max });
        }
        if transaction.data.len() as u64 == transaction.data_size {
            // Inline, and verified with the transaction.
            let data = transaction.data.clone();
            return Ok((transaction, data));
        }
        let whole = self
            .checked_data(id, transaction.data_size, |bytes| transaction.verify_data(&ChunkTree::of(bytes)));
        let data = match whole.await {
            Ok(data) => data,
            Err(error) => {
                tracing::debug!(target: "arweave", %id, %error, "data not served whole, going for chunks");
                self.data_from_chunks(&transaction, max).await?
            }
        };
        Ok((transaction, data))
    }

    /// The data of a mined transaction from its chunks, each verified against the signed root. Works for data that was cut
    /// by any rule.
    pub async fn data_from_chunks(&self, transaction: &Transaction, max: u64) -> Result<Bytes, Error> {
        let (size, root) = match transaction.data_root {
            Some(root) if transaction.data_size <= max => (transaction.data_size, root),
            None => return Ok(Bytes::new()),
            Some(_) => return Err(Error::BodyTooLarge { url: transaction.id.to_string(), max }),
        };
        let start = self.proven_placement(transaction.id, root, size).await?.start;
        let chunk_at = |at: u64| async move {
            let served = self.checked_chunk(start.saturating_add(at), |served| {
                match verify_chunk(&root, size, at, &served.data_path, &served.chunk)? {
                    range if range.start == at => Ok(()),
                    _ => Err(FormatError::Proof("the chunk does not begin here")),
                }
            });
            Ok::<_, Error>((at, served.await?.chunk))
        };
        let mut data = Vec::new();
        let guesses = stream::iter(chunk_starts(size).map(chunk_at)).buffered(self.config.parallel_max);
        futures::pin_mut!(guesses);
        while let Some(Ok((at, chunk))) = guesses.next().await {
            if at != data.len() as u64 {
                break;
            }
            data.extend_from_slice(&chunk);
        }
        // Data that was cut otherwise, or a failure above: one by one, each where the one before ends.
        while (data.len() as u64) < size {
            data.extend_from_slice(&chunk_at(data.len() as u64).await?.1);
        }
        Ok(data.into())
    }

    /// A data item out of a bundle, verified. Reads the bundle's table and the item by ranges; `bundle` is whatever transaction or
    /// item holds it. The item proves itself, so nothing is asked of the bundle.
    pub async fn item_in_bundle(&self, bundle: Id, item: Id, max: u64) -> Result<DataItem, Error> {
        let table = self.checked_range(bundle, 0..32, max, |bytes| bundle::table_bytes(bytes)).await?;
        let place = self.checked_range(bundle, 0..table, max, |bytes| bundle::locate(bytes, item)).await?;
        let Some(place) = place else { return Err(Error::NotFound(format!("{item} in {bundle}"))) };
        if place.end - place.start > max {
            return Err(Error::BodyTooLarge { url: item.to_string(), max });
        }
        self.checked_range(bundle, place, max, |bytes| {
            let found = DataItem::parse(bytes.clone())?;
            check_item(&found, item)?;
            Ok(found)
        })
        .await
    }

    /// A data item by its id, verified: the gateway's index tells its fields and serves its data, and the signature holds them
    /// together. Tags have to be UTF-8, which is what GraphQL can carry.
    pub async fn item(&self, id: Id, max: u64) -> Result<DataItem, Error> {
        self.ask_gateways(max, |base| async move {
            let found = self.find_one(base.clone(), id).await?;
            if found.data_size > max {
                return Err(Error::BodyTooLarge { url: id.to_string(), max });
            }
            let answer = self.get_data(&base, id, None, found.data_size).await?;
            found.item_with(&answer.body).map_err(|error| answer.wrong(error))
        })
        .await
    }

    /// Data that `check` accepts, from any gateway that serves such.
    pub(super) async fn checked_data(
        &self,
        id: Id,
        max: u64,
        check: impl Fn(&Bytes) -> Result<(), FormatError>,
    ) -> Result<Bytes, Error> {
        let check = &check;
        self.ask_gateways(max, |base| async move {
            let answer = self.get_data(&base, id, None, max).await?;
            check(&answer.body).map_err(|error| answer.wrong(error))?;
            Ok(answer.body)
        })
        .await
    }

    /// A part of the data from which `read` can make something.
    async fn checked_range<T>(
        &self,
        id: Id,
        range: Range<u64>,
        max: u64,
        read: impl Fn(&Bytes) -> Result<T, FormatError>,
    ) -> Result<T, Error> {
        let length = range.end.checked_sub(range.start).filter(|length| *length > 0 && *length <= max);
        let Some(length) = length else {
            return Err(Error::Config(format!("a range of 1 to {max} bytes is needed")));
        };
        let (read, range) = (&read, &range);
        self.ask_gateways(length, |base| async move {
            let answer = self.get_data(&base, id, Some(range), max).await?;
            let bytes = part_of(&answer, range).map_err(|error| answer.wrong(error))?;
            read(&bytes).map_err(|error| answer.wrong(error))
        })
        .await
    }

    /// `/raw/{id}`, which never resolves manifests, else `/{id}`.
    async fn get_data(
        &self,
        base: &Base,
        id: Id,
        range: Option<&Range<u64>>,
        max: u64,
    ) -> Result<Answer, Error> {
        let get = |path: String| {
            let request = self.http.get(base.at(&path));
            let request = match range {
                Some(range) => request.header(RANGE, format!("bytes={}-{}", range.start, range.end - 1)),
                None => request,
            };
            self.http.send(request, max)
        };
        let mut answer = get(format!("raw/{id}")).await?;
        if matches!(answer.status, 400 | 404 | 405) {
            answer = get(id.to_string()).await?;
        }
        match answer.status {
            202 => Err(Error::Pending(id)),
            _ => answer.success(|| id.to_string()),
        }
    }
}

/// What was asked for of an answer: all of it with status 206, a part of it with status 200.
fn part_of(answer: &Answer, range: &Range<u64>) -> Result<Bytes, FormatError> {
    let body = &answer.body;
    let length = range.end - range.start;
    if answer.status == 206 {
        let expected = format!("bytes {}-{}/", range.start, range.end - 1);
        let header = answer.headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
        if !header.is_some_and(|header| header.starts_with(&expected)) || body.len() as u64 != length {
            return Err(FormatError::WrongData("another range"));
        }
        return Ok(body.clone());
    }
    if (body.len() as u64) < range.end {
        return Err(FormatError::WrongData("shorter than the range"));
    }
    // Within the body, whose length is a usize.
    Ok(body.slice(range.start as usize..range.end as usize))
}

fn check_item(item: &DataItem, expected: Id) -> Result<(), FormatError> {
    let found = item.id();
    if found != expected {
        return Err(FormatError::WrongId { expected, found });
    }
    item.verify()
}
