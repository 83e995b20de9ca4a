//! Databases without execution, and a network in memory of peers that may lie.

use super::{TestBlock, block, open};
use alloy_primitives::Bytes;
use parking_lot::Mutex;
use std::{ops::ControlFlow, path::Path, sync::Arc};
use tempfile::TempDir;
use weft_archive::{
    BLOB_ARCHIVE, BlobArchive, CellServer, CellsRequest, ColumnFetch, ColumnPeers, Commitment, CustodyClaim,
    CustodyPeers, ParityCache, PeersError, ProvenCells, Taken, disperse,
};
use weft_primitives::{BlockNumHash, ChunkIndex, ColumnIndex, Geometry, SealedHeader};
use weft_stages::{Step, step};
use weft_storage::{Custody, DatabaseRole, Store, StoreOptions, Table};

/// A database without execution that knows the headers, and owes `custody`.
pub fn da_store(path: &Path, genesis: &SealedHeader, blocks: &[TestBlock], custody: &[ColumnIndex]) -> Store {
    let options = StoreOptions {
        disk_reserve_bytes: 0,
        cache_bytes: 8 << 20,
        role: Some(DatabaseRole::Da),
        ..StoreOptions::default()
    };
    let store = Store::open(path, options).unwrap();
    store.start_headers(genesis).unwrap();
    let headers: Vec<_> = blocks.iter().map(|block| block.block.header.clone()).collect();
    store.append_headers(&headers, Custody { geometry: Geometry::DEV, columns: custody }).unwrap();
    store
}

/// A full node with some blocks, in a folder of its own.
pub struct Chain {
    _folder: TempDir,
    pub store: Store,
    pub genesis: SealedHeader,
    pub blocks: Vec<TestBlock>,
}

pub fn chain(blocks: &[&[usize]]) -> Chain {
    let folder = TempDir::new().unwrap();
    let (store, genesis, blocks) = full_store(folder.path(), blocks, 1);
    Chain { _folder: folder, store, genesis, blocks }
}

/// A full node's database with these blocks, archived.
pub fn full_store(path: &Path, blocks: &[&[usize]], seed: u64) -> (Store, SealedHeader, Vec<TestBlock>) {
    let store = open(path);
    let genesis = super::genesis(&store);
    let mut parent = genesis.clone();
    let mut made = Vec::new();
    for inputs in blocks {
        let block = block(&parent, seed, inputs);
        block.commit(&store);
        parent = block.block.header.clone();
        made.push(block);
    }
    archive(&store);
    (store, genesis, made)
}

pub fn archive(store: &Store) {
    let stage = BlobArchive::new(ParityCache::new(0));
    while step(&stage, store, u64::MAX).unwrap() != Step::Idle {}
    assert!(store.view().stage_checkpoint(BLOB_ARCHIVE).unwrap().is_some());
}

/// All pieces of some columns, cut by the full node.
pub fn pieces(store: &Store, block: BlockNumHash, columns: &[ColumnIndex]) -> Vec<ProvenCells> {
    let mut pieces = Vec::new();
    disperse(store, None, block, Some(columns), &mut |piece| {
        pieces.push(piece);
        ControlFlow::Continue(())
    })
    .unwrap();
    pieces
}

/// Pieces of one cell each.
pub fn single_cells(store: &Store, block: BlockNumHash, column: ColumnIndex) -> Vec<ProvenCells> {
    let server = CellServer::new(store.clone());
    let at = |chunk| CellsRequest { block: block.hash, column, first: ChunkIndex(chunk), count: 1 };
    (0..).map_while(|chunk| server.cells(&at(chunk)).unwrap()).collect()
}

/// What a peer does to its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    Silent,
    Cell,
    Proof,
    Path,
    Preimage,
    Header,
    OtherColumn,
    Repeated,
}

impl Fault {
    pub const LIES: [Self; 7] = [
        Self::Cell,
        Self::Proof,
        Self::Path,
        Self::Preimage,
        Self::Header,
        Self::OtherColumn,
        Self::Repeated,
    ];

    /// The answer after the fault. A lie about a path that is not there is one about the cell.
    pub fn apply(self, mut piece: ProvenCells) -> Option<ProvenCells> {
        let flip = |cell: &Bytes| {
            let mut bytes = cell.to_vec();
            bytes[0] ^= 1;
            Bytes::from(bytes)
        };
        match self {
            Self::None => {}
            Self::Silent => return None,
            Self::Proof if !piece.range.range_proof.is_empty() => piece.range.range_proof[0].0[5] ^= 1,
            Self::Cell | Self::Proof => piece.range.cells[0] = flip(&piece.range.cells[0]),
            Self::Path => piece.range.column_path[0].0[5] ^= 1,
            Self::Preimage => piece.anchor.blob_count += 1,
            Self::Header => piece.anchor.header = flip(&piece.anchor.header),
            Self::OtherColumn => piece.range.column ^= 1,
            Self::Repeated => {
                let first = piece.range.cells[0].clone();
                piece.range.cells.push(first);
            }
        }
        Some(piece)
    }
}

/// A peer that serves from a database, only some columns of it, and perhaps wrongly.
#[derive(Clone, Debug)]
pub struct Peer {
    pub server: CellServer,
    pub columns: Vec<ColumnIndex>,
    pub fault: Fault,
}

/// Peers in memory, asked one after the other.
#[derive(Debug, Default)]
pub struct Network {
    pub peers: Vec<Peer>,
    pub commitments: Vec<Commitment>,
    pub log: Mutex<Log>,
}

#[derive(Debug, Default)]
pub struct Log {
    /// Pieces that were called lies.
    pub bad: usize,
    /// Columns that were asked for.
    pub asked: Vec<ColumnIndex>,
    pub bytes: usize,
    /// Peers that failed a spot check, and whether they answered.
    pub failed: Vec<(Bytes, bool)>,
}

impl Network {
    pub fn of(store: &Store, columns: &[&[u16]]) -> Self {
        let peer = |columns: &&[u16]| Peer {
            server: CellServer::new(store.clone()),
            columns: columns.iter().copied().map(ColumnIndex).collect(),
            fault: Fault::None,
        };
        Self { peers: columns.iter().map(peer).collect(), ..Self::default() }
    }

    pub fn shared(self) -> Arc<Self> {
        Arc::new(self)
    }
}

impl ColumnPeers for Network {
    fn fetch(
        &self,
        wanted: &ColumnFetch<'_>,
        take: &mut dyn FnMut(ProvenCells) -> Taken,
    ) -> Result<(), PeersError> {
        for &column in wanted.columns {
            self.log.lock().asked.push(column);
            for peer in self.peers.iter().filter(|peer| peer.columns.contains(&column)) {
                let mut next = wanted.chunks.first;
                while next < wanted.chunks.end {
                    let count = wanted.chunks.end - next;
                    let at =
                        CellsRequest { block: wanted.header.hash(), column, first: ChunkIndex(next), count };
                    let Some(piece) = peer.server.cells(&at).unwrap() else { break };
                    next += piece.range.cells.len() as u32;
                    let Some(piece) = peer.fault.apply(piece) else { break };
                    self.log.lock().bytes += piece.bytes();
                    match take(piece) {
                        Taken::Enough => return Ok(()),
                        Taken::Bad(_) => {
                            self.log.lock().bad += 1;
                            break;
                        }
                        Taken::More | Taken::Useless => {}
                    }
                }
            }
        }
        Err(PeersError::NobodyHas)
    }

    fn commitment(
        &self,
        _: &SealedHeader,
        take: &mut dyn FnMut(Commitment) -> bool,
    ) -> Result<(), PeersError> {
        let found = self.commitments.iter().any(|commitment| take(commitment.clone()));
        if found { Ok(()) } else { Err(PeersError::NobodyHas) }
    }
}

impl CustodyPeers for Network {
    fn claims(&self, _: BlockNumHash) -> Vec<CustodyClaim> {
        let claim = |(index, peer): (usize, &Peer)| CustodyClaim {
            peer: vec![index as u8 + 1; 38].into(),
            columns: peer.columns.clone(),
        };
        self.peers.iter().enumerate().map(claim).collect()
    }

    fn cell(&self, peer: &Bytes, request: &CellsRequest) -> Option<ProvenCells> {
        let peer = &self.peers[usize::from(peer[0]) - 1];
        peer.fault.apply(peer.server.cells(request).unwrap()?)
    }

    fn failed(&self, peer: &Bytes, lied: bool) {
        self.log.lock().failed.push((peer.clone(), lied));
    }
}

/// The whole of what a database keeps of columns.
pub fn dump(store: &Store) -> Vec<(Vec<u8>, Vec<u8>)> {
    let view = store.view();
    let mut found = Vec::new();
    for number in 0..=view.head().unwrap().number {
        for (column, _) in view.held_columns(number).unwrap() {
            let key = [&number.to_be_bytes()[..], &column.0.to_be_bytes()].concat();
            found.push((key.clone(), store.get(Table::HeldColumns, &key).unwrap().unwrap().to_vec()));
            let held = view.held_column(number, column).unwrap().unwrap();
            for chunk in held.tree.held().iter().cloned().flatten() {
                let key = [&key[..], &(chunk as u32).to_be_bytes()].concat();
                found.push((key.clone(), store.get(Table::ColumnCells, &key).unwrap().unwrap().to_vec()));
            }
        }
    }
    found.push((b"due".to_vec(), format!("{:?}", view.columns_due(0, 1000).unwrap()).into_bytes()));
    found.push((b"bytes".to_vec(), view.column_bytes().unwrap().to_be_bytes().to_vec()));
    found
}

/// Flips a bit of a stored cell, past all checks.
pub fn rot(folder: &Path, number: u64, column: ColumnIndex, chunk: u32) {
    let key = [&number.to_be_bytes()[..], &column.0.to_be_bytes(), &chunk.to_be_bytes()].concat();
    rot_record(folder, Table::ColumnCells, &key, 0);
}

/// Flips a bit of a record.
pub fn rot_record(folder: &Path, table: Table, key: &[u8], at: usize) {
    let names = Table::ALL.map(Table::name);
    let prefixed = |name: &str| match name {
        "hashed_storage" | "storage_trie" | "account_history" => Some(32),
        "storage_history" => Some(64),
        _ => None,
    };
    let families = names.map(|name| {
        let mut options = rocksdb::Options::default();
        if let Some(bytes) = prefixed(name) {
            options.set_prefix_extractor(rocksdb::SliceTransform::create_fixed_prefix(bytes));
        }
        rocksdb::ColumnFamilyDescriptor::new(name, options)
    });
    let db = rocksdb::DB::open_cf_descriptors(&rocksdb::Options::default(), folder, families).unwrap();
    let table = db.cf_handle(table.name()).unwrap();
    let mut record = db.get_cf(table, key).unwrap().unwrap();
    let at = at.min(record.len() - 1);
    record[at] ^= 1;
    db.put_cf(table, key, record).unwrap();
}
