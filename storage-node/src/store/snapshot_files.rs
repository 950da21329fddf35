//! Snapshot files: the rows of a group as sorted tables that RocksDB ingests whole.
//!
//! Owns their names, their size and their order. The engine checks their checksums before they are
//! used.

use std::path::{Path, PathBuf};

use ringkv_storage_core::store::StoreError;
use rocksdb::{DB, DBRawIteratorWithThreadMode, Options, SstFileWriter};

/// A file is closed once it holds this much: small enough to send again, large enough to be few.
const FILE_BYTES: usize = 64 * 1024 * 1024;
const EXTENSION: &str = "sst";

/// Writes all rows from the position of the iterator. Without rows there is no file.
pub(super) fn write(
    rows: &mut DBRawIteratorWithThreadMode<'_, DB>,
    options: &Options,
    dir: &Path,
) -> Result<(), StoreError> {
    let mut number = 0;
    while rows.valid() {
        let path = dir.join(format!("{number:06}.{EXTENSION}"));
        write_file(rows, options, &path)?;
        number += 1;
    }
    rows.status().map_err(|e| StoreError::failed("read rows for a snapshot", e))
}

fn write_file(
    rows: &mut DBRawIteratorWithThreadMode<'_, DB>,
    options: &Options,
    path: &Path,
) -> Result<(), StoreError> {
    let failed = |e| StoreError::failed(format!("write the snapshot file {}", path.display()), e);
    let mut file = SstFileWriter::create(options);
    file.open(path).map_err(failed)?;
    let mut bytes = 0;
    while let Some((key, value)) = rows.item() {
        if bytes >= FILE_BYTES {
            break;
        }
        file.put(key, value).map_err(failed)?;
        bytes += key.len() + value.len();
        rows.next();
    }
    file.finish().map_err(failed)
}

/// The snapshot files of a directory in key order; other files in it are not the machine's.
pub(super) fn list(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let failed = |e| StoreError::failed(format!("list snapshot files in {}", dir.display()), e);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
