//! A failure of RocksDB as an error of the log.

use ringkv_consensus::LogError;

/// A failure with its cause.
pub(crate) fn failure(
    context: impl Into<String>,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> LogError {
    LogError { context: context.into(), source: Some(source.into()) }
}
