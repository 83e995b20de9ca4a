//! Mends one column of a block in a database without bodies.
//!
//! First the column itself, piece by piece, from peers that have it. Where that is not enough, any k columns, own or
//! peers': chunk by chunk the n cells are made again and hashed; the n roots must lead to the header's `daRoot`, else
//! nothing of it is kept.
//!
//! Memory: the column (`maxBlockBytes / k`), 32 bytes per cell of the block, and k cells of [`WINDOW_CHUNKS`] chunks.

use super::is_whole;
use crate::{
    ColumnFetch, ColumnPeers, ProvenCells, Range32, RetrieveError, Taken,
    metrics::RepairMetrics,
    peers::{Gathered, own_held},
    proven::SEGMENT_BYTES_MAX,
};
use alloy_primitives::{B256, Bytes};
use weft_erasure::{HeldColumn, Preimage, SparseTree, column_of, decode_chunk, encode_blob, leaf, merkle};
use weft_primitives::{BlockNumber, ChunkIndex, ColumnIndex, Geometry, SealedHeader};
use weft_storage::Store;

/// Chunks whose k cells are gathered at a time: 4 MiB at 4 + 7.
const WINDOW_CHUNKS: u32 = 32;

/// What became of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnRepair {
    /// It was whole.
    Whole,
    /// Peers had it.
    Fetched,
    /// It was computed from k others.
    Rebuilt,
    /// Too little of it and of others can be had now; it is noted as due.
    Lost,
}

/// Mends a column of a block; what is good of it stays. With `dry_run` nothing is written and peers are not asked for
/// the column itself: the answer is what could be done.
pub fn repair_column(
    store: &Store,
    peers: Option<&dyn ColumnPeers>,
    number: BlockNumber,
    column: ColumnIndex,
    dry_run: bool,
) -> Result<ColumnRepair, RetrieveError> {
    let metrics = RepairMetrics::default();
    let header = store.view().header(number)?.ok_or(RetrieveError::Gone(number))?;
    if is_whole(&store.view(), &header, column)? {
        return Ok(ColumnRepair::Whole);
    }
    if !dry_run {
        let held = store.view().held_column(number, column);
        // Half of it may be good, but only a record that is the header's says so.
        let damaged = match held {
            Ok(None) => false,
            Ok(Some(held)) => held.is_complete() || held.check(header.header()).is_err(),
            Err(_) => true,
        };
        if damaged {
            store.forget_column(number, column)?;
        } else {
            store.note_due(number, &[column])?;
        }
        if let Some(peers) = peers
            && fetch(store, peers, &header, column)?
        {
            metrics.columns_fetched.increment(1);
            tracing::info!(target: "weft::archive", number, %column, "column fetched");
            return Ok(ColumnRepair::Fetched);
        }
    }
    let Some(rebuilt) = rebuild(store, peers, &header, column)? else {
        metrics.columns_failed.increment(1);
        return Ok(ColumnRepair::Lost);
    };
    if !dry_run {
        rebuilt.store(store, &header)?;
        metrics.columns_rebuilt.increment(1);
        tracing::info!(target: "weft::archive", number, %column, "column rebuilt");
    }
    Ok(ColumnRepair::Rebuilt)
}

/// Asks for the column itself. Whether it is whole now.
fn fetch(
    store: &Store,
    peers: &dyn ColumnPeers,
    header: &SealedHeader,
    column: ColumnIndex,
) -> Result<bool, RetrieveError> {
    let number = header.number;
    let held = store.view().held_column(number, column)?;
    let missing = held.map(|held| held.tree.missing());
    let gap = missing.as_ref().and_then(|gaps| Some(gaps.first()?.start..gaps.last()?.end));
    // Of a block of which nothing is here it is not known how many chunks it has: the first answer tells.
    let gap = gap.unwrap_or(0..u32::MAX as usize);
    let narrow = |chunk| u32::try_from(chunk).unwrap_or(u32::MAX);
    let chunks = Range32 { first: narrow(gap.start), end: narrow(gap.end) };
    let wanted = ColumnFetch { header, chunks, columns: &[column], need: 1 };
    let (mut failed, mut complete) = (None, false);
    let result = peers.fetch(&wanted, &mut |piece| match piece.check(header.hash()) {
        Err(error) => Taken::Bad(Box::new(error)),
        Ok(range) if range.held().column != column => Taken::Useless,
        Ok(range) => match store.put_range(header.num_hash(), &range) {
            Ok(progress) => {
                complete = progress.is_complete();
                match (complete, progress.cells_new) {
                    (true, _) => Taken::Enough,
                    (false, 0) => Taken::Useless,
                    (false, _) => Taken::More,
                }
            }
            Err(error) => {
                failed = Some(error);
                Taken::Enough
            }
        },
    });
    if let Err(error) = result {
        tracing::debug!(target: "weft::archive", number, %column, %error, "the column itself does not come from peers");
    }
    failed.map_or(Ok(complete), |error| Err(error.into()))
}

/// A column that was made again, and proven.
struct Rebuilt {
    held: HeldColumn,
    cells: Vec<Bytes>,
}

impl Rebuilt {
    /// Stores it in pieces of at most 1 MiB, as if they had come in.
    fn store(&self, store: &Store, header: &SealedHeader) -> Result<(), RetrieveError> {
        let failed = |source| RetrieveError::Proof { block: header.number, source };
        let anchor = self.held.anchor(header.header());
        let mut rest = &self.cells[..];
        let mut first = 0_u32;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = rest.iter().take_while(|cell| {
                bytes += cell.len();
                bytes <= SEGMENT_BYTES_MAX
            });
            let (piece, others) = rest.split_at(fits.count().max(1));
            let range = self.held.prove(ChunkIndex(first), piece.to_vec()).map_err(failed)?;
            let piece = ProvenCells { anchor: anchor.clone(), range };
            store.put_range(header.num_hash(), &piece.check(header.hash()).map_err(failed)?)?;
            first += u32::try_from(piece.range.cells.len()).expect("as many as chunks");
            rest = others;
        }
        Ok(())
    }
}

/// Makes the column again from any k. `None`: too few can be had.
fn rebuild(
    store: &Store,
    peers: Option<&dyn ColumnPeers>,
    header: &SealedHeader,
    column: ColumnIndex,
) -> Result<Option<Rebuilt>, RetrieveError> {
    let Some(preimage) = preimage_of(store, peers, header, column)? else { return Ok(None) };
    let geometry = preimage.geometry;
    if usize::from(column.0) >= geometry.columns() || preimage.chunk_count == 0 {
        return Ok(None);
    }
    let mut leaves: Vec<Vec<B256>> = vec![Vec::new(); geometry.columns()];
    let mut cells = Vec::new();
    for start in (0..preimage.chunk_count).step_by(WINDOW_CHUNKS as usize) {
        let end = start.saturating_add(WINDOW_CHUNKS).min(preimage.chunk_count);
        let mut gathered = Gathered::new(start..end, geometry.data_shards());
        own_held(&store.view(), header, &mut gathered)?;
        if !gathered.is_enough() {
            let Some(peers) = peers else { return Ok(None) };
            if let Err(error) = gathered.fetch(peers, header, geometry) {
                tracing::debug!(target: "weft::archive", number = header.number, start, %error, "too few columns to rebuild");
                return Ok(None);
            }
        }
        for chunk in start..end {
            let made = remake(geometry, header.number, ChunkIndex(chunk), &gathered)?;
            for (leaves, cell) in leaves.iter_mut().zip(&made) {
                leaves.push(leaf(cell));
            }
            cells.extend(made.into_iter().nth(column.0.into()));
        }
    }
    let roots: Vec<B256> = leaves.iter().map(|leaves| leaf(merkle::root(leaves).as_slice())).collect();
    let column_path = merkle::audit_path(&roots, column.0.into()).expect("the column is one of them");
    let own = leaves.swap_remove(column.0.into());
    let chunks = own.len();
    let tree = SparseTree::of_range(own, 0, chunks, &[]).expect("all leaves of a tree that has some");
    let held = HeldColumn { preimage, column, column_path, tree };
    held.check(header.header()).map_err(|source| RetrieveError::Proof { block: header.number, source })?;
    Ok(Some(Rebuilt { held, cells }))
}

/// All cells of a chunk out of k. Its length does not matter for that: with its padding it is a full chunk of a smaller
/// geometry.
fn remake(
    geometry: Geometry,
    block: BlockNumber,
    chunk: ChunkIndex,
    gathered: &Gathered,
) -> Result<Vec<Bytes>, RetrieveError> {
    let cells = gathered.of(chunk.0);
    let size = cells.first().map_or(0, |cell| cell.bytes().len()) * geometry.data_shards();
    let padded = decode_chunk(geometry, chunk, size, &cells)
        .map_err(|source| RetrieveError::Decode { block, source })?;
    let encoded = encode_blob(geometry, &padded);
    Ok(crate::reader::all_columns(geometry).map(|column| column_of(&encoded, &padded, column)).collect())
}

/// The proven preimage of the block's `daRoot`: from its summary, from any column that is here, or from any piece that a
/// peer gives.
fn preimage_of(
    store: &Store,
    peers: Option<&dyn ColumnPeers>,
    header: &SealedHeader,
    lost: ColumnIndex,
) -> Result<Option<Preimage>, RetrieveError> {
    let view = store.view();
    if let Some(summary) = view.da_summary(header.number)? {
        return Ok(Some(Preimage::from(&summary)));
    }
    for (column, _) in view.held_columns(header.number).unwrap_or_default() {
        if let Ok(Some(held)) = view.held_column(header.number, column)
            && held.check(header.header()).is_ok()
        {
            return Ok(Some(held.preimage));
        }
    }
    drop(view);
    let Some(peers) = peers else { return Ok(None) };
    let columns: Vec<ColumnIndex> = (0..256).map(ColumnIndex).filter(|column| *column != lost).collect();
    let wanted = ColumnFetch { header, chunks: Range32 { first: 0, end: 1 }, columns: &columns, need: 1 };
    let mut found = None;
    let result = peers.fetch(&wanted, &mut |piece| match piece.check(header.hash()) {
        Ok(range) => {
            found = Some(range.held().preimage);
            Taken::Enough
        }
        Err(error) => Taken::Bad(Box::new(error)),
    });
    if let Err(error) = result {
        tracing::debug!(target: "weft::archive", number = header.number, %error, "nothing of the block comes from peers");
    }
    Ok(found)
}
