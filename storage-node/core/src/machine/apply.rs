//! What one entry does to its group: the rules of writes, in one place.
//!
//! Pure over the rows it reads: the same entries produce the same rows and results on every replica,
//! however they are cut into batches. Invariant (I-8): a request id takes effect at most once
//! while it is remembered; a write is refused rather than applied unremembered.

use std::ops::Deref;

use bytes::Bytes;
use ringkv_consensus::{CommandBatch, LogIndex, MachineError};
use ringkv_topology::GroupId;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::command::{Command, Operation, Received};
use crate::command_result::{self, Rejection};
use crate::keys;
use crate::machine::group::Group;
use crate::machine::window::Entry;
use crate::machine::write_set::WriteSet;
use crate::record::{self, RecordView, Stamp};
use crate::remembered::{Identity, Remembered, ResultRow};
use crate::store::{Store, StoreError};

/// Rows of forgotten results dropped per entry and kind of id. An entry adds one at most: enough
/// for the backlog of a burst to shrink, too few for it to be felt.
const ROWS_FORGOTTEN_PER_ENTRY: usize = 4;

/// Applies entries of one group; what they write is collected, not written.
pub(super) struct Application<'a, S: Store> {
    pub(super) id: GroupId,
    pub(super) store: &'a S,
    pub(super) writes: &'a mut WriteSet,
    pub(super) group: &'a mut Group,
    /// What the entry being applied adds to the remembered results, by kind of id.
    rows: [ResultRow; 2],
}

impl<'a, S: Store> Application<'a, S> {
    pub(super) fn new(
        id: GroupId,
        store: &'a S,
        writes: &'a mut WriteSet,
        group: &'a mut Group,
    ) -> Self {
        Self { id, store, writes, group, rows: [false, true].map(|user| ResultRow::new(user, 0)) }
    }

    /// Applies the commands of one entry and returns the result of each.
    pub(super) fn commands(&mut self, batch: &CommandBatch) -> Result<Vec<Bytes>, MachineError> {
        let state = &mut self.group.state;
        state.clock_ms = state.clock_ms.max(batch.clock_ms());
        let mut checksum = xxh3_64_with_seed(batch.as_bytes(), state.checksum);
        self.rows = [false, true].map(|user| ResultRow::new(user, state.clock_ms));
        self.forget_due();
        let mut results = Vec::with_capacity(batch.count());
        for bytes in batch.commands() {
            let received = Command::decode(&bytes)
                .map_err(|e| MachineError::new("decode a committed command", e))?;
            let result = self.command(&received)?;
            checksum = xxh3_64_with_seed(&result, checksum);
            results.push(result);
        }
        self.group.state.checksum = checksum;
        for row in &self.rows {
            if let Some(number) = row.number() {
                self.writes.put(keys::results(self.id, number), row.encode());
            }
        }
        Ok(results)
    }

    /// The entry at `index` is done.
    pub(super) fn note_state_hash(&self, index: LogIndex) {
        self.group.view.state_hashes.note(index, self.group.state.checksum);
    }

    /// Drops rows of results whose time is over, the oldest first, a bounded number of them.
    fn forget_due(&mut self) {
        let clock_ms = self.group.state.clock_ms;
        for chosen_by_user in [false, true] {
            let window = self.group.windows.of(chosen_by_user);
            for _ in 0..ROWS_FORGOTTEN_PER_ENTRY {
                let Some(number) = window.forget_due(clock_ms) else { break };
                self.writes.delete(keys::results(self.id, number));
            }
        }
    }

    fn command(&mut self, received: &Received) -> Result<Bytes, MachineError> {
        let Received { command, fingerprint } = received;
        if !self.group.view.owned.contains(command.slot) {
            return Ok(Rejection::Moved.encode());
        }
        let identity = Identity::new(&command.request, &command.key);
        let clock_ms = self.group.state.clock_ms;
        let window = self.group.windows.of(command.request.chosen_by_user);
        if let Some(entry) = window.find(&identity, clock_ms) {
            return self.repeat(entry, command.request.chosen_by_user, *fingerprint);
        }
        if window.is_full() {
            return Ok(Rejection::Busy.encode());
        }
        let number = self.group.state.counter + 1;
        let result = match self.execute(command, number)? {
            Ok(written) => written,
            Err(rejection) if rejection.is_remembered() => rejection.encode(),
            Err(rejection) => return Ok(rejection.encode()),
        };
        self.group.state.counter = number;
        self.remember(received, identity, number, &result);
        Ok(result)
    }

    /// The first result again, or a refusal if the request is another one.
    fn repeat(
        &self,
        entry: Entry,
        chosen_by_user: bool,
        fingerprint: u64,
    ) -> Result<Bytes, MachineError> {
        let open = &self.rows[usize::from(chosen_by_user)];
        let stored;
        let row = if open.number() == Some(entry.row) {
            open
        } else {
            let row = self.row(&keys::results(self.id, entry.row))?;
            let row = row.ok_or_else(|| MachineError::corrupt("find a row of results"))?;
            let row = ResultRow::decode(&row);
            stored = row.map_err(StoreError::damaged("results of requests"))?;
            &stored
        };
        let first = row
            .find(&entry.identity)
            .ok_or_else(|| MachineError::corrupt("find a remembered result in its row"))?;
        if first.fingerprint == fingerprint {
            Ok(command_result::repeat(&first.result))
        } else {
            Ok(Rejection::RequestIdReused.encode())
        }
    }

    fn remember(&mut self, received: &Received, identity: Identity, number: u64, result: &Bytes) {
        let Command { slot, request, .. } = received.command;
        let row = &mut self.rows[usize::from(request.chosen_by_user)];
        row.results.push(Remembered {
            slot,
            number,
            identity,
            fingerprint: received.fingerprint,
            result: result.clone(),
        });
        let entry =
            Entry { identity, at_ms: row.at_ms, row: row.number().expect("it has just got one") };
        self.group.windows.of(request.chosen_by_user).remember(entry);
    }

    /// Does what the command says, under the given number, if it may be done.
    fn execute(
        &mut self,
        command: &Command,
        number: u64,
    ) -> Result<Result<Bytes, Rejection>, MachineError> {
        let clock_ms = self.group.state.clock_ms;
        let key = keys::record(self.id, command.slot, &command.key);
        let row = self.row(&key)?;
        let current = match &row {
            Some(row) => Some(RecordView::decode(row).map_err(StoreError::damaged("record"))?),
            None => None,
        };
        let current = current.map(|view| view.stamp).filter(|stamp| !stamp.is_expired(clock_ms));
        let revision = current.map(|stamp| stamp.revision);
        if !command.condition.holds(revision) {
            let current_revision = revision.unwrap_or(0);
            return Ok(Err(Rejection::PreconditionFailed { current_revision }));
        }
        let previous = row.as_deref().filter(|_| command.return_previous && current.is_some());
        let result = command_result::encode_written(number, current.is_some(), previous);
        match &command.operation {
            Operation::Put { ttl_ms, attributes, value } => {
                let stamp = Stamp {
                    revision: number,
                    created_ms: current.map_or(clock_ms, |stamp| stamp.created_ms),
                    updated_ms: clock_ms,
                    expires_ms: expires_ms(clock_ms, *ttl_ms),
                };
                self.writes.put(key, record::encode(&stamp, attributes, value));
            }
            Operation::Delete if current.is_none() => return Ok(Err(Rejection::KeyAbsent)),
            Operation::Delete => self.writes.delete(key),
        }
        Ok(Ok(result))
    }

    /// A row as this batch has it so far.
    fn row(&self, key: &[u8]) -> Result<Option<Row<S::Value<'a>>>, StoreError> {
        match self.writes.get(key) {
            Some(written) => Ok(written.map(|value| Row::Written(value.clone()))),
            None => Ok(self.store.get(key)?.map(Row::Stored)),
        }
    }
}

/// Expiry time of a record written now; 0 means no expiry.
fn expires_ms(clock_ms: u64, ttl_ms: u64) -> u64 {
    if ttl_ms == 0 { 0 } else { clock_ms.saturating_add(ttl_ms) }
}

/// A row from the batch in the making or from the store.
enum Row<V> {
    Written(Bytes),
    Stored(V),
}

impl<V: Deref<Target = [u8]>> Deref for Row<V> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Written(bytes) => bytes,
            Self::Stored(value) => value,
        }
    }
}
