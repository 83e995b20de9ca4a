//! RocksDB's options, with the arithmetic of their memory.
//!
//! | what | bytes at most |
//! |---|---|
//! | memtables of `transactions` | 3 × 32 MiB |
//! | memtables of `shards` | 3 × 32 MiB (writers flush after each 32 MiB, so 2 in practice) |
//! | memtables of `cell_hashes` | 3 × 32 MiB, filled by 720 KiB per 256 MiB of blobs of 128 KiB or more |
//! | memtables of `column_cells`, `held_columns` | 3 × 32 MiB, of what went past the log; in a database without bodies, where the three above are empty |
//! | memtables of the logged tables | the log's limit, 64 MiB, plus one batch; about 1.5 times that with skip-list nodes |
//! | block cache | `cache_bytes`, 128 MiB unless configured |
//! | table readers | index and filter blocks are in the block cache |
//!
//! In all about 500 MiB when every table is at its limit at once; `memtable_bytes_max` bounds all memtables together.
//!
//! Two flush threads, so that a block does not wait for a flush of shards; two compaction threads.
//! Nothing but receipts, bodies and change sets is compressed: calldata and hashes do not shrink.

use crate::{Table, tables::Layout};
use rocksdb::{
    BlockBasedOptions, Cache, DBCompressionType, DBRecoveryMode, LogLevel, Options, SliceTransform,
};

/// Large values fill one of these, then it is flushed while the next one fills.
pub(crate) const LARGE_MEMTABLE_BYTES: usize = 32 << 20;
const SMALL_MEMTABLE_BYTES: usize = 8 << 20;
/// Active, being flushed, waiting. A fourth would let RocksDB slow writers down instead of stopping them shortly.
const MEMTABLES: i32 = 3;
const WAL_BYTES_MAX: u64 = 64 << 20;
/// Values from here on leave the LSM tree.
const BLOB_BYTES_MIN: u64 = 4096;
const BLOB_FILE_BYTES: u64 = 256 << 20;
/// Let the kernel write behind in steps, so that the fsync at the end is short.
const SYNC_STEP_BYTES: u64 = 4 << 20;

/// Options of the whole database.
pub(crate) fn database(open_files: i32, direct_io: bool, memtable_bytes_max: Option<usize>) -> Options {
    let mut options = Options::default();
    if let Some(bytes) = memtable_bytes_max {
        options.set_db_write_buffer_size(bytes);
    }
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.enable_statistics();
    options.set_max_open_files(open_files);
    // Deprecated in favour of one number that gives flushes a quarter; we need two flushes and no six compactions.
    #[allow(deprecated)]
    {
        options.set_max_background_flushes(2);
        options.set_max_background_compactions(2);
    }
    options.set_bytes_per_sync(SYNC_STEP_BYTES);
    // Gigabytes that are written once would push everything else out of the page cache, and copying them into it
    // costs more than writing them.
    options.set_use_direct_io_for_flush_and_compaction(direct_io);
    options.set_max_total_wal_size(WAL_BYTES_MAX);
    // Each write is synced on its own, so at most the unacknowledged last one can be torn.
    options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_log_level(LogLevel::Warn);
    options.set_keep_log_file_num(4);
    options.set_max_log_file_size(4 << 20);
    options
}

/// Options of one table.
pub(crate) fn table(table: Table, cache: &Cache) -> Options {
    let mut options = Options::default();
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_cache_index_and_filter_blocks_with_high_priority(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    blocks.set_format_version(6);
    options.set_max_write_buffer_number(MEMTABLES);
    options.set_write_buffer_size(SMALL_MEMTABLE_BYTES);
    options.set_compression_type(DBCompressionType::None);
    options.set_level_compaction_dynamic_level_bytes(true);
    match table.layout() {
        Layout::Large => {
            options.set_write_buffer_size(LARGE_MEMTABLE_BYTES);
            options.set_enable_blob_files(true);
            options.set_min_blob_size(BLOB_BYTES_MIN);
            options.set_blob_file_size(BLOB_FILE_BYTES);
            options.set_blob_compression_type(DBCompressionType::None);
            // Dropped bodies and columns give their space back once half of the oldest files is dead.
            options.set_enable_blob_gc(true);
            options.set_blob_gc_age_cutoff(0.25);
            options.set_blob_gc_force_threshold(0.5);
        }
        Layout::Sequential => options.set_compression_type(DBCompressionType::Lz4),
        Layout::Hashed => {
            blocks.set_bloom_filter(10.0, false);
            blocks.set_block_size(4 << 10);
        }
        Layout::Prefixed(bytes) => {
            blocks.set_bloom_filter(10.0, false);
            blocks.set_block_size(4 << 10);
            options.set_prefix_extractor(SliceTransform::create_fixed_prefix(bytes));
        }
    }
    options.set_block_based_table_factory(&blocks);
    options
}
