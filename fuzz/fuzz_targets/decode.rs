//! Columns of a sealer that lies: a header commits to cells that no blob was coded to, of any size. All pass their check;
//! what any k of them decode to is a blob with just these cells, or nothing.
#![no_main]

use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};
use weft_erasure::{
    CheckedCell, Preimage, RangeProof, TrustedAnchor, decode_blob, encode_blob, leaf, merkle,
    summary_of_roots,
};
use weft_fuzz::{cells_of, hash};
use weft_primitives::{B256, BlobRef, Bytes, ChunkIndex, ColumnIndex, Geometry, Header};

/// No blob is told to be longer, in bytes: it would cost time and prove nothing more.
const LENGTH_MAX: usize = 2048;

/// A blob, and what the sealer makes of it.
#[derive(Arbitrary, Debug)]
struct Lie {
    data_shards: u8,
    parity_shards: u8,
    blob: Vec<u8>,
    /// What the blob table says, modulo [`LENGTH_MAX`].
    length: Option<u16>,
    /// Column, chunk, and what is there instead of its cell.
    cells: Vec<(u8, u8, Vec<u8>)>,
    /// The first of the columns that are decoded.
    first: u8,
}

impl Lie {
    fn geometry(&self) -> Geometry {
        let shards = |byte| u16::from(byte % 4) + 1;
        let data_shards = shards(self.data_shards);
        Geometry::new(1, data_shards, shards(self.parity_shards), 128 * u32::from(data_shards))
            .expect("a geometry of the protocol")
    }

    /// The entry of the blob table, and the cells, as many in each column as that asks for.
    fn told(&self) -> (BlobRef, Vec<Vec<Bytes>>) {
        let geometry = self.geometry();
        let length = self.length.map_or(self.blob.len(), |length| usize::from(length) % LENGTH_MAX).max(1);
        let entry =
            BlobRef { tx_hash: hash(1), tx_index: 0, length: length as u64, first_chunk: ChunkIndex(0) };
        let chunks = geometry.chunk_count(length);
        let mut columns = cells_of(&self.blob, &encode_blob(geometry, &self.blob));
        columns.iter_mut().for_each(|cells| cells.resize(chunks, Bytes::new()));
        for (column, chunk, cell) in &self.cells {
            columns[usize::from(*column) % geometry.columns()][usize::from(*chunk) % chunks] =
                cell.clone().into();
        }
        (entry, columns)
    }
}

/// The cells as a node has them that has only the header: proven column by column.
fn checked(geometry: Geometry, entry: BlobRef, columns: &[Vec<Bytes>]) -> Vec<Vec<CheckedCell>> {
    let root = |cells: &Vec<Bytes>| merkle::root(&cells.iter().map(|cell| leaf(cell)).collect::<Vec<_>>());
    let roots: Vec<B256> = columns.iter().map(root).collect();
    let leaves: Vec<B256> = roots.iter().map(|root| leaf(root.as_slice())).collect();
    let summary = summary_of_roots(geometry, vec![entry], roots).expect("one blob from chunk 0 on");
    let header = Header { extra_data: summary.da_root.into(), ..Header::default() };
    let anchor = TrustedAnchor::of_header(&header, Preimage::from(&summary)).expect("a daRoot");
    let prove = |(column, cells): (u16, &Vec<Bytes>)| {
        let column_path = merkle::audit_path(&leaves, column.into()).expect("a column of the block");
        let proof =
            RangeProof { column, first_chunk: 0, cells: cells.clone(), range_proof: vec![], column_path };
        let passed = proof.verify(&anchor, ColumnIndex(column), ChunkIndex(0));
        passed.expect("what the header commits to")
    };
    (0_u16..).zip(columns).map(prove).collect()
}

fn decode(lie: &Lie) {
    let geometry = lie.geometry();
    let (entry, columns) = lie.told();
    let checked = checked(geometry, entry, &columns);
    let first = usize::from(lie.first);
    let used: Vec<usize> =
        (first..).map(|column| column % geometry.columns()).take(geometry.data_shards()).collect();
    let by_chunk = |chunk: usize| used.iter().map(|column| checked[*column][chunk].clone()).collect();
    let cells: Vec<Vec<CheckedCell>> = (0..columns[0].len()).map(by_chunk).collect();
    let decoded = decode_blob(geometry, &entry, &cells);
    if let Ok(blob) = &decoded {
        assert_eq!(blob.len() as u64, entry.length, "another length");
        let again = cells_of(blob, &encode_blob(geometry, blob));
        for column in used {
            assert_eq!(again[column], columns[column], "column {column} has other cells");
        }
    }
    if lie.length.is_none() && lie.cells.is_empty() && !lie.blob.is_empty() {
        assert_eq!(decoded, Ok(lie.blob.clone().into()), "no lie at all");
    }
}

fuzz_target!(|lie: Lie| decode(&lie));
