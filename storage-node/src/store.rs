//! The data store on RocksDB (`data/`), behind a write buffer.
//!
//! What the state machine asks of a store, and what it keeps there, is in `ringkv-storage-core`.

mod rocks;
mod rocks_options;
mod snapshot_files;
mod write_buffer;

pub use rocks::RocksStore;
pub use rocks_options::RocksSettings;

#[cfg(test)]
mod tests;
