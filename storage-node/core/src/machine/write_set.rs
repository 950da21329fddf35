//! The rows that a batch of commands is going to write, readable before they are written.
//!
//! Keeps the order of writes, so that the last one of a row wins in the store as it does here.

use std::collections::HashMap;

use bytes::Bytes;

use crate::store::Write;

#[derive(Default)]
pub(super) struct WriteSet {
    writes: Vec<Write>,
    /// Where the last write of each row is. Looked up only, never walked.
    latest: HashMap<Bytes, usize>,
}

impl WriteSet {
    /// What a row is going to be: `None` if it is not written, `Some(None)` if it is dropped.
    pub(super) fn get(&self, key: &[u8]) -> Option<Option<&Bytes>> {
        let at = *self.latest.get(key)?;
        Some(self.writes[at].value.as_ref())
    }

    pub(super) fn put(&mut self, key: Bytes, value: Bytes) {
        self.push(key, Some(value));
    }

    pub(super) fn delete(&mut self, key: Bytes) {
        self.push(key, None);
    }

    /// All writes, in order.
    pub(super) fn into_writes(self) -> Vec<Write> {
        self.writes
    }

    fn push(&mut self, key: Bytes, value: Option<Bytes>) {
        self.latest.insert(key.clone(), self.writes.len());
        self.writes.push(Write { key, value });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_write_of_a_row_is_what_is_seen() {
        let mut writes = WriteSet::default();
        assert_eq!(writes.get(b"a"), None);
        writes.put(Bytes::from_static(b"a"), Bytes::from_static(b"1"));
        writes.put(Bytes::from_static(b"a"), Bytes::from_static(b"2"));
        assert_eq!(writes.get(b"a"), Some(Some(&Bytes::from_static(b"2"))));
        writes.delete(Bytes::from_static(b"a"));
        assert_eq!(writes.get(b"a"), Some(None));
        assert_eq!(writes.into_writes().len(), 3);
    }
}
