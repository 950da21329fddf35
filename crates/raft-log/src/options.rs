//! How the log's RocksDB is set up, each number with its reason.

use rocksdb::{BlockBasedOptions, Cache, DBCompressionType, DBRecoveryMode, Options};

use crate::figures::count_tickers;

/// One memtable. Entries are cut away about as fast as they come, so most are deleted before a
/// second flush would move them; more than this only lengthens the replay at start.
const MEMTABLE_BYTES: usize = 32 << 20;
/// The live write-ahead log: at most this is replayed at start.
const WAL_BYTES_MAX: u64 = 128 << 20;
/// Read only for followers that are further behind than the entries kept in memory.
const BLOCK_CACHE_BYTES: usize = 8 << 20;
/// Obsolete write-ahead log files are kept this long for a post-mortem, in seconds.
const WAL_TTL_SECONDS: u64 = 3600;
/// And at most this much of them, in MiB.
const WAL_SIZE_LIMIT_MB: u64 = 512;

/// The options of the one database.
pub(crate) fn database() -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_paranoid_checks(true);
    // Opening stops at the first record that is torn or wrong: what an unsynced tail may look
    // like after a power cut. The manifest distinguishes a synced file that is missing or
    // short, which is refused.
    options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_wal_ttl_seconds(WAL_TTL_SECONDS);
    options.set_wal_size_limit_mb(WAL_SIZE_LIMIT_MB);
    // Recycling is safe with point-in-time recovery (RocksDB turns it off only for the two
    // modes that cannot tell an old record from a damaged one), but not with a retention: a
    // file cannot be both kept and written over, and RocksDB lets the retention win. So this
    // takes effect only where both limits above are 0; the retention is what was asked for first.
    options.set_recycle_log_file_num(4);
    options.set_max_total_wal_size(WAL_BYTES_MAX);

    options.set_write_buffer_size(MEMTABLE_BYTES);
    options.set_max_write_buffer_number(4);
    options.set_target_file_size_base(MEMTABLE_BYTES as u64);
    options.set_compression_type(DBCompressionType::None);
    options.set_max_background_jobs(2);
    options.set_bytes_per_sync(1 << 20);

    options.set_keep_log_file_num(4);
    options.set_max_log_file_size(8 << 20);
    count_tickers(&mut options);
    let mut tables = BlockBasedOptions::default();
    tables.set_block_cache(&Cache::new_lru_cache(BLOCK_CACHE_BYTES));
    options.set_block_based_table_factory(&tables);
    options
}
