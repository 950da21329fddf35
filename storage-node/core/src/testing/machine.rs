//! A machine with one group, and commands, entries and batches to drive it with.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use ringkv_consensus::{
    AppliedState, Apply as _, CommandBatch, Committed, EntryTimes, Genesis, GroupBatch, LogIndex,
    LogPosition, Members,
};
use ringkv_kv_types::{Condition, Record, RequestId, Written};
use ringkv_topology::{GroupId, NodeId, ReplicaId, Slot, SlotCount};

use crate::command::{Command, Operation};
use crate::command_result::{CommandResult, Rejection};
use crate::machine::{KvMachine, Retention};
use crate::owned_slots::OwnedSlots;
use crate::record::Attributes;
use crate::store::Store;
use crate::store::memory::MemoryStore;

/// The group of [`Harness`].
pub const GROUP: GroupId = GroupId(1);
/// Slots of the cluster.
pub const SLOTS: SlotCount = SlotCount::DEFAULT;
/// A slot that every group owns; 5 is one that none owns.
pub const SLOT: Slot = Slot(4);

/// A group of one replica that owns the even slots.
pub fn genesis(group: GroupId) -> Genesis {
    let owned = OwnedSlots::new(SLOTS, 1024, (0..SLOTS.get()).step_by(2).map(Slot));
    Genesis {
        group,
        replica: ReplicaId(1),
        members: Members::of_voters([(ReplicaId(1), NodeId(1))]),
        context: owned.encode(),
    }
}

/// The attributes of every record written here.
pub fn attributes() -> Bytes {
    let mut out = Vec::new();
    Attributes::encode("text/plain", [("name", "value")].into_iter(), &mut out);
    Bytes::from(out)
}

/// A put under a request id that no other command has.
pub fn put(key: &str, value: &str) -> Command {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut id = [0; 16];
    id[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    Command {
        slot: SLOT,
        key: Bytes::copy_from_slice(key.as_bytes()),
        request: RequestId { id, chosen_by_user: false },
        condition: Condition::default(),
        return_previous: false,
        operation: Operation::Put {
            ttl_ms: 0,
            attributes: attributes(),
            value: Bytes::copy_from_slice(value.as_bytes()),
        },
    }
}

/// A delete under a request id that no other command has.
pub fn delete(key: &str) -> Command {
    Command { operation: Operation::Delete, ..put(key, "") }
}

/// The commands as one entry.
pub fn command_batch(clock_ms: u64, commands: &[Command]) -> CommandBatch {
    let commands: Vec<Bytes> = commands.iter().map(Command::encode).collect();
    CommandBatch::new(clock_ms, commands.iter())
}

/// Entries of one group as one batch, the first at `first`.
pub fn batch(
    group: GroupId,
    first: u64,
    entries: impl IntoIterator<Item = CommandBatch>,
) -> GroupBatch {
    let entries: Vec<Committed> = (first..)
        .zip(entries)
        .map(|(index, commands)| Committed {
            index: LogIndex(index),
            commands: Some(commands),
            tickets: Vec::new(),
            times: EntryTimes::default(),
        })
        .collect();
    let index = entries.last().map_or(LogIndex(first), |entry| entry.index);
    let after = AppliedState {
        position: LogPosition { term: Genesis::POSITION.term, index },
        members: genesis(group).members,
    };
    GroupBatch { group, entries, after }
}

/// A machine with one group, applying one entry after the other.
pub struct Harness<S: Store> {
    pub store: S,
    pub machine: KvMachine<S>,
    /// Of the last entry applied.
    pub index: LogIndex,
    /// The group clock of the next entry.
    pub clock_ms: u64,
}

impl Harness<MemoryStore> {
    /// On an empty memory store.
    pub fn in_memory() -> Self {
        Self::on(MemoryStore::new(), Retention::default())
    }
}

impl<S: Store> Harness<S> {
    /// On an empty store.
    pub fn on(store: S, retention: Retention) -> Self {
        let mut machine =
            KvMachine::with_retention(store.clone(), retention).expect("an empty store");
        machine.create(&genesis(GROUP)).expect("a new group");
        Self { store, machine, index: Genesis::POSITION.index, clock_ms: 1_000 }
    }

    /// Applies the commands as one entry.
    pub fn apply(&mut self, commands: &[Command]) -> Vec<CommandResult> {
        self.index = self.index.next();
        let batch = batch(GROUP, self.index.0, [command_batch(self.clock_ms, commands)]);
        let results = self.machine.apply(&[batch]).expect("apply");
        assert_eq!(results.len(), 1, "one list per entry");
        results[0].iter().map(|bytes| CommandResult::decode(bytes).expect("a result")).collect()
    }

    /// Applies one command.
    pub fn apply_one(&mut self, command: &Command) -> CommandResult {
        let results = self.apply(std::slice::from_ref(command));
        results.into_iter().next().expect("one result per command")
    }

    /// Applies a command that must change its record.
    pub fn write(&mut self, command: &Command) -> Written {
        match self.apply_one(command) {
            CommandResult::Written(written) => written,
            CommandResult::Rejected(rejection) => panic!("rejected: {rejection:?}"),
        }
    }

    /// Applies a command that must be rejected.
    pub fn reject(&mut self, command: &Command) -> Rejection {
        match self.apply_one(command) {
            CommandResult::Rejected(rejection) => rejection,
            CommandResult::Written(written) => panic!("written: {written:?}"),
        }
    }

    /// The record of a key in [`SLOT`].
    pub fn get(&self, key: &str) -> Option<Record> {
        self.machine.reader().get(GROUP, SLOT, key.as_bytes(), false).expect("read")
    }

    /// Its value.
    pub fn value(&self, key: &str) -> Option<Bytes> {
        self.get(key).map(|record| record.value)
    }
}
