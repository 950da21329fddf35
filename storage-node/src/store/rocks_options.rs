//! How the data store's RocksDB is tuned, and why: point reads and small writes on few cores.
//!
//! One column family, so that a flush is atomic by itself; no write-ahead log (the Raft log is the
//! journal). Files made for snapshots carry the same filters, so an installed group is as fast as
//! a grown one.

use ringkv_raft_log::count_tickers;
use ringkv_storage_core::keys;
use rocksdb::{
    BlockBasedOptions, Cache, DBCompressionType, DataBlockIndexType, Options, SliceTransform,
};

const LEVELS: usize = 7;
const BLOCK_BYTES: usize = 8 * 1024;
const FILTER_BITS_PER_KEY: f64 = 10.0;
const MEMTABLES: i32 = 4;
const OPEN_FILES_MAX: i32 = 1024;
const INFO_LOG_BYTES: usize = 16 * 1024 * 1024;

/// What an operator may choose of a data store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RocksSettings {
    /// Cache of uncompressed blocks, bytes.
    pub block_cache_bytes: usize,
    /// One memtable, bytes; up to four of them are held. More is fewer, larger flushes.
    pub memtable_bytes: usize,
    /// One run of the write buffer, bytes; up to two of them are held. The larger, the more of the
    /// rows that are soon written again or dropped never reach RocksDB.
    pub write_buffer_bytes: usize,
}

impl Default for RocksSettings {
    fn default() -> Self {
        Self {
            block_cache_bytes: 128 * 1024 * 1024,
            memtable_bytes: 64 * 1024 * 1024,
            write_buffer_bytes: 32 * 1024 * 1024,
        }
    }
}

pub(super) fn database(settings: &RocksSettings) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_paranoid_checks(true);
    // Means nothing with one column family; set so that a second one could not break the
    // invariant that applied state and data reach the disk together.
    options.set_atomic_flush(true);
    options.set_write_buffer_size(settings.memtable_bytes);
    options.set_max_write_buffer_number(MEMTABLES);
    options.set_memtable_prefix_bloom_ratio(0.02);
    options.set_memtable_whole_key_filtering(true);
    // One thread applies; locking the memtable for more costs and brings nothing.
    options.set_allow_concurrent_memtable_write(false);
    options.set_prefix_extractor(SliceTransform::create_fixed_prefix(keys::SLOT_PREFIX_BYTES));
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_compression_per_level(&compression());
    options.set_max_background_jobs(2);
    options.set_bytes_per_sync(1024 * 1024);
    options.set_max_open_files(OPEN_FILES_MAX);
    options.set_stats_dump_period_sec(0);
    count_tickers(&mut options);
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(INFO_LOG_BYTES);
    options.set_block_based_table_factory(&table(settings));
    options
}

/// The upper two levels are rewritten soon: compressing them costs more than it saves.
fn compression() -> [DBCompressionType; LEVELS] {
    std::array::from_fn(|level| match level {
        0 | 1 => DBCompressionType::None,
        _ => DBCompressionType::Lz4,
    })
}

fn table(settings: &RocksSettings) -> BlockBasedOptions {
    let mut table = BlockBasedOptions::default();
    table.set_block_size(BLOCK_BYTES);
    table.set_bloom_filter(FILTER_BITS_PER_KEY, false);
    table.set_whole_key_filtering(true);
    table.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
    // Zero: the cache finds the size of its entries by itself.
    table.set_block_cache(&Cache::new_hyper_clock_cache(settings.block_cache_bytes, 0));
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    table
}
