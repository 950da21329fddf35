//! The shipped state machines over stores that can be copied: a copy is the result of a flush.

use std::collections::BTreeMap;

use bytes::Bytes;
use ringkv_consensus::{AppliedState, Apply as _, Genesis, GroupBatch, LogIndex};
use ringkv_kv_types::Record;
use ringkv_placement_core::image::{GROUP, Image};
use ringkv_placement_core::state::State;
use ringkv_storage_core::machine::{KvMachine, StateHash};
use ringkv_storage_core::service::accept::Read;
use ringkv_storage_core::store::memory::MemoryStore;
use ringkv_topology::GroupId;

/// Far fewer entries than on real nodes, so that a run compares replicas several times.
const STATE_HASH_INTERVAL: u64 = 8;

/// All of a group's state, in order of keys.
pub(crate) type Rows = Vec<(Bytes, Bytes)>;

/// A node's running state machine.
pub(crate) enum Machine {
    Kv { store: MemoryStore, machine: Box<KvMachine<MemoryStore>> },
    Placement(Box<Image>),
}

/// The durable state of a state machine.
pub(crate) enum Durable {
    Kv(MemoryStore),
    Placement(Vec<u8>),
}

impl Durable {
    /// The empty disk of a storage node.
    pub(crate) fn kv() -> Self {
        Self::Kv(MemoryStore::new())
    }

    /// The empty disk of a placement replica.
    pub(crate) fn placement() -> Self {
        Self::Placement(Image::default().encode())
    }

    /// A state machine that starts from its durable state.
    pub(crate) fn open(&self) -> Machine {
        match self {
            Self::Kv(rows) => {
                let store = rows.fork();
                let machine = KvMachine::new(store.clone());
                let machine = machine.expect("rows that a machine wrote are readable");
                let machine = Box::new(machine.with_state_hashes_every(STATE_HASH_INTERVAL));
                Machine::Kv { store, machine }
            }
            Self::Placement(bytes) => {
                let image = Image::decode(bytes).expect("an image that was encoded decodes");
                Machine::Placement(Box::new(image))
            }
        }
    }
}

impl Machine {
    /// The state that a flush at this moment makes durable.
    pub(crate) fn flush(&self) -> Durable {
        match self {
            Self::Kv { store, .. } => Durable::Kv(store.fork()),
            Self::Placement(image) => Durable::Placement(image.encode()),
        }
    }

    /// The applied index of each group.
    pub(crate) fn positions(&self) -> Vec<(GroupId, AppliedState)> {
        match self {
            Self::Kv { machine, .. } => machine.groups(),
            Self::Placement(image) => {
                image.applied().map(|applied| (GROUP, applied.clone())).into_iter().collect()
            }
        }
    }

    pub(crate) fn create(&mut self, genesis: &Genesis) {
        match self {
            Self::Kv { machine, .. } => machine.create(genesis).expect("a genesis of ours"),
            Self::Placement(image) => image.create(genesis).expect("a genesis of ours"),
        }
    }

    pub(crate) fn destroy(&mut self, group: GroupId) {
        match self {
            Self::Kv { machine, .. } => machine.destroy(group).expect("a memory store clears"),
            Self::Placement(image) => **image = Image::default(),
        }
    }

    /// Applies entries; one result per command, by entry.
    ///
    /// # Errors
    /// The machine rejects them; contains its message.
    pub(crate) fn apply(&mut self, batches: &[GroupBatch]) -> Result<Vec<Vec<Bytes>>, String> {
        let applied = match self {
            Self::Kv { machine, .. } => machine.apply(batches),
            Self::Placement(image) => image.apply(batches),
        };
        applied.map_err(|error| format!("the state machine refuses committed entries: {error}"))
    }

    /// All of a group's state, as a snapshot contains it.
    pub(crate) fn export(&self, group: GroupId) -> Rows {
        match self {
            Self::Kv { machine, .. } => machine.export(group).expect("a memory store can be read"),
            Self::Placement(image) => vec![(Bytes::new(), image.encode().into())],
        }
    }

    /// Replaces all of a group by a snapshot.
    pub(crate) fn import(&mut self, group: GroupId, rows: &Rows, applied: &AppliedState) {
        match self {
            Self::Kv { machine, .. } => {
                machine.import(group, rows.clone(), applied).expect("rows of the same machine");
            }
            Self::Placement(image) => {
                let (_, bytes) = rows.first().expect("a placement snapshot has one row");
                **image = Image::decode(bytes).expect("an image that was encoded decodes");
            }
        }
    }

    /// The current record here.
    ///
    /// # Errors
    /// The store cannot be read; contains its message.
    pub(crate) fn read(&self, read: &Read) -> Result<Option<Record>, String> {
        let Read { group, slot, key, without_value } = read;
        match self {
            Self::Kv { machine, .. } => {
                let found = machine.reader().get(*group, *slot, key, *without_value);
                found.map_err(|error| format!("a read of group {group} fails: {error}"))
            }
            Self::Placement(_) => Err("placement holds no records".to_owned()),
        }
    }

    /// The hashes that a storage node reports for its groups' states; empty for placement.
    pub(crate) fn state_hashes(&self) -> BTreeMap<GroupId, Vec<StateHash>> {
        match self {
            Self::Kv { machine, .. } => machine.reader().state_hashes(),
            Self::Placement(_) => BTreeMap::new(),
        }
    }

    /// The applied index of a storage node's group, and the checksum of its state there.
    pub(crate) fn checksum(&self, group: GroupId) -> Option<(LogIndex, u64)> {
        match self {
            Self::Kv { machine, .. } => machine.checksum(group),
            Self::Placement(_) => None,
        }
    }

    /// Placement's replicated state; `None` on a storage node.
    pub(crate) fn placement_state(&self) -> Option<&State> {
        match self {
            Self::Kv { .. } => None,
            Self::Placement(image) => Some(image.state()),
        }
    }
}
