//! `weft blob put`: a file as calldata of several transactions, some of them on their way at any moment.
//!
//! Each worker takes the next part from the file, signs and submits it and waits for its receipt. Memory: per
//! worker one part, as bytes, as a transaction and as hex (`in_flight · part_size · 4` bytes at most). Nonces are
//! given out in order; when one submission fails for good, the others stop and the error is shown.

use super::{
    PutArgs,
    index::{Index, MAGIC, Part, parts_max},
    journal::Journal,
    permanent,
    publisher::Publisher,
};
use crate::{client::Client, command::progress};
use alloy_primitives::{B256, Bytes};
use eyre::{Context, Result, ensure, eyre};
use indicatif::ProgressBar;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::Read,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

/// Publishes and prints the handle.
pub fn run(args: &PutArgs) -> Result<()> {
    let publisher = Publisher::open(&args.rpc.rpc, &args.key)?;
    let file = File::open(&args.file).wrap_err_with(|| args.file.display().to_string())?;
    let metadata = file.metadata()?;
    ensure!(metadata.is_file(), "{} is not a regular file", args.file.display());
    let (length, part_bytes) = (metadata.len(), publisher.part_bytes(args.part_size.0)?);
    let count = length.div_ceil(part_bytes as u64);
    let room = parts_max(publisher.part_bytes(usize::MAX)?);
    ensure!(
        count <= room as u64,
        "{count} parts do not fit one index ({room} do): choose a larger --part-size"
    );

    let put = Put {
        publisher,
        url: &args.rpc.rpc,
        part_bytes,
        bar: progress::bytes(length, args.quiet),
        source: Mutex::new(Source::new(file, length)),
        journal: Mutex::new(Journal::open(&args.file)?),
    };
    let parts = put.all_parts(usize::try_from(count)?, args.in_flight)?;
    let source = put.source.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut transactions: Vec<B256> = parts.iter().map(|part| part.transaction).collect();
    let handle = match &parts[..] {
        [only] if !source.begins_with_magic => only.transaction,
        _ => {
            let sha256 = B256::from_slice(&source.whole.finalize());
            let index = Index { length, sha256, part_bytes: u32::try_from(part_bytes)?, parts, padding: 0 };
            let mut client = Client::new(&args.rpc.rpc)?;
            // Only a blob can be made permanent.
            let bytes = if args.permanent { permanent::blob_bytes_min(&mut client)? } else { 0 };
            put.publisher.publish(&mut client, index.padded_to(bytes).encode().into())?
        }
    };
    put.journal.into_inner().unwrap_or_else(PoisonError::into_inner).finish()?;
    put.bar.finish_and_clear();
    println!("{handle}");
    if args.permanent {
        if !transactions.contains(&handle) {
            transactions.push(handle);
        }
        permanent::buy(&mut Client::new(&args.rpc.rpc)?, &transactions, !args.no_wait, args.quiet)?;
    }
    Ok(())
}

/// What the workers of one run share.
struct Put<'a> {
    publisher: Publisher,
    url: &'a str,
    part_bytes: usize,
    bar: ProgressBar,
    source: Mutex<Source>,
    journal: Mutex<Journal>,
}

/// The file, read in order.
struct Source {
    file: File,
    left: u64,
    number: usize,
    whole: Sha256,
    begins_with_magic: bool,
}

impl Source {
    fn new(file: File, length: u64) -> Self {
        Self { file, left: length, number: 0, whole: Sha256::new(), begins_with_magic: false }
    }

    /// The next part with its number; `None` at the end.
    fn next(&mut self, part_bytes: usize) -> Result<Option<(usize, Bytes)>> {
        let size = usize::try_from(self.left.min(part_bytes as u64))?;
        if size == 0 {
            return Ok(None);
        }
        let mut bytes = vec![0; size];
        self.file.read_exact(&mut bytes).wrap_err("the file became shorter while it was read")?;
        self.whole.update(&bytes);
        if self.number == 0 {
            self.begins_with_magic = bytes.starts_with(&MAGIC);
        }
        self.left -= size as u64;
        self.number += 1;
        Ok(Some((self.number - 1, bytes.into())))
    }
}

impl Put<'_> {
    fn all_parts(&self, count: usize, workers: u8) -> Result<Vec<Part>> {
        let parts = Mutex::new(vec![None; count]);
        thread::scope(|scope| {
            let workers: Vec<_> = (0..workers)
                .map(|_| {
                    scope.spawn(|| {
                        let result = self.work(&parts);
                        if result.is_err() {
                            self.publisher.abort();
                        }
                        result
                    })
                })
                .collect();
            let results: Vec<Result<()>> = workers
                .into_iter()
                .map(|worker| worker.join().map_err(|_| eyre!("a worker panicked"))?)
                .collect();
            // The first cause, rather than one of those that it stopped.
            let (causes, stopped): (Vec<_>, Vec<_>) =
                results.into_iter().filter_map(Result::err).partition(|error| !Publisher::is_aborted(error));
            causes.into_iter().chain(stopped).next().map_or(Ok(()), Err)
        })?;
        let parts = parts.into_inner().unwrap_or_else(PoisonError::into_inner);
        parts.into_iter().collect::<Option<_>>().ok_or_else(|| eyre!("a part was not published"))
    }

    fn work(&self, parts: &Mutex<Vec<Option<Part>>>) -> Result<()> {
        let mut client = Client::new(self.url)?;
        while !self.publisher.aborted() {
            let Some((number, bytes)) = lock(&self.source).next(self.part_bytes)? else { return Ok(()) };
            let size = bytes.len() as u64;
            let sha256 = B256::from_slice(&Sha256::digest(&bytes));
            let noted = lock(&self.journal).transaction(sha256);
            let transaction = match noted {
                Some(noted) if is_included(&mut client, noted)? => noted,
                _ => {
                    let transaction = self
                        .publisher
                        .publish(&mut client, bytes)
                        .wrap_err_with(|| format!("part {number}"))?;
                    lock(&self.journal).note(sha256, transaction)?;
                    transaction
                }
            };
            lock(parts)[number] = Some(Part { transaction, sha256 });
            self.bar.inc(size);
        }
        Ok(())
    }
}

fn is_included(client: &mut Client, transaction: B256) -> Result<bool> {
    let receipt: Option<Value> = client.call("eth_getTransactionReceipt", (transaction,))?;
    Ok(receipt.is_some_and(|receipt| receipt["status"] == "0x1"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
