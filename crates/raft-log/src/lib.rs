//! The Raft log of a node's groups on RocksDB, and RocksDB's own figures.
//!
//! Owns the log's database: how it is set up (`options`), every byte in it (`layout`), what is
//! checked at start (`load`). Knows nothing of Raft's rules: it stores what a
//! [`ringkv_consensus::LogBatch`] says.

mod failure;
mod figures;
mod layout;
mod load;
mod options;
mod rocks_log;

#[cfg(test)]
mod tests;

pub use figures::{count_tickers, rocks_figure};
pub use rocks_log::RocksLog;
