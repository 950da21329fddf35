//! A tiny state machine on disk: every group is the list of its commands. The result of a
//! command is its place in the list, so that any loss, repetition or reordering shows. Durable only
//! when flushed, as the real one is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes};
use parking_lot::Mutex;
use ringkv_consensus::{
    AppliedState, Apply, Flusher, Genesis, GroupBatch, Installer, LogIndex, MachineError,
    SnapshotBuilder, StateMachine,
};
use ringkv_topology::GroupId;

/// A command that makes [`Ledger::apply`] fail.
pub(crate) const POISON: &[u8] = b"poison";
/// A command that makes [`Ledger::apply`] panic.
pub(crate) const PANIC: &[u8] = b"panic";

#[derive(Clone)]
pub(crate) struct Ledger {
    file: PathBuf,
    state: Arc<Mutex<State>>,
    /// Held by a test to make apply wait.
    pub(crate) gate: Arc<Mutex<()>>,
    /// Held by a test to make installs and removals wait.
    pub(crate) install_gate: Arc<Mutex<()>>,
}

#[derive(Clone, Default)]
struct State {
    groups: BTreeMap<GroupId, Group>,
    /// Installed, and not yet in service.
    installed: BTreeMap<GroupId, Group>,
    installs: usize,
}

#[derive(Clone, Default)]
struct Group {
    applied: AppliedState,
    commands: Vec<Bytes>,
}

impl Ledger {
    /// Opens what was last flushed to `file`.
    pub(crate) fn open(file: PathBuf) -> Self {
        let mut state = State::default();
        if let Ok(bytes) = std::fs::read(&file) {
            let mut input = Bytes::from(bytes);
            while input.has_remaining() {
                let group = GroupId(input.get_u64());
                state.groups.insert(group, Group::decode(&mut input));
            }
        }
        let state = Arc::new(Mutex::new(state));
        Self { file, state, gate: Arc::default(), install_gate: Arc::default() }
    }

    pub(crate) fn commands(&self, group: GroupId) -> Vec<Bytes> {
        self.state.lock().groups.get(&group).map(|g| g.commands.clone()).unwrap_or_default()
    }

    pub(crate) fn applied_index(&self, group: GroupId) -> LogIndex {
        self.state.lock().groups.get(&group).map_or(LogIndex::ZERO, |g| g.applied.position.index)
    }

    /// How often a snapshot was installed in this run.
    pub(crate) fn installs(&self) -> usize {
        self.state.lock().installs
    }
}

impl Group {
    fn encode(&self, out: &mut Vec<u8>) {
        let applied = self.applied.encode();
        out.put_u64(applied.len() as u64);
        out.put_slice(&applied);
        out.put_u64(self.commands.len() as u64);
        for command in &self.commands {
            out.put_u64(command.len() as u64);
            out.put_slice(command);
        }
    }

    fn decode(input: &mut Bytes) -> Self {
        let take = |input: &mut Bytes| {
            let len = input.get_u64() as usize;
            input.split_to(len)
        };
        let applied = AppliedState::decode(&take(input)).expect("written by encode");
        let count = input.get_u64();
        Self { applied, commands: (0..count).map(|_| take(input)).collect() }
    }
}

fn io(error: std::io::Error) -> MachineError {
    MachineError::new("use the ledger's file", error)
}

impl Apply for Ledger {
    fn groups(&self) -> Vec<(GroupId, AppliedState)> {
        let state = self.state.lock();
        state.groups.iter().map(|(id, group)| (*id, group.applied.clone())).collect()
    }

    fn create(&mut self, genesis: &Genesis) -> Result<(), MachineError> {
        let group = Group { applied: genesis.applied(), commands: Vec::new() };
        self.state.lock().groups.insert(genesis.group, group);
        Ok(())
    }

    fn destroy(&mut self, group: GroupId) -> Result<(), MachineError> {
        self.state.lock().groups.remove(&group);
        Ok(())
    }

    fn apply(&mut self, batches: &[GroupBatch]) -> Result<Vec<Vec<Bytes>>, MachineError> {
        let _gate = self.gate.lock();
        let mut state = self.state.lock();
        let mut results = Vec::new();
        for batch in batches {
            let group = state.groups.get_mut(&batch.group).expect("created before");
            for entry in &batch.entries {
                assert!(
                    entry.index > group.applied.position.index,
                    "an entry is never applied twice"
                );
                let mut of_entry = Vec::new();
                for command in
                    entry.commands.iter().flat_map(ringkv_consensus::CommandBatch::commands)
                {
                    assert!(command != PANIC, "asked to panic");
                    if command == POISON {
                        return Err(MachineError::corrupt("asked to fail"));
                    }
                    of_entry
                        .push(Bytes::copy_from_slice(&(group.commands.len() as u64).to_be_bytes()));
                    group.commands.push(command);
                }
                results.push(of_entry);
            }
            group.applied = batch.after.clone();
        }
        Ok(results)
    }
}

impl StateMachine for Ledger {
    fn release(&mut self, group: GroupId) {
        self.state.lock().groups.remove(&group);
    }

    fn adopt(&mut self, group: GroupId, applied: &AppliedState) -> Result<(), MachineError> {
        let mut state = self.state.lock();
        let installed = state.installed.remove(&group).expect("installed before");
        assert_eq!(&installed.applied, applied, "files and manifest agree");
        state.groups.insert(group, installed);
        state.installs += 1;
        Ok(())
    }

    fn installer(&self) -> Arc<dyn Installer> {
        Arc::new(self.clone())
    }

    fn snapshot_builder(&self) -> Arc<dyn SnapshotBuilder> {
        Arc::new(self.clone())
    }

    fn flusher(&self) -> Arc<dyn Flusher> {
        Arc::new(self.clone())
    }
}

impl Installer for Ledger {
    fn install(&self, group: GroupId, dir: &Path) -> Result<(), MachineError> {
        let _gate = self.install_gate.lock();
        let mut bytes = Bytes::from(std::fs::read(dir.join("group")).map_err(io)?);
        self.state.lock().installed.insert(group, Group::decode(&mut bytes));
        self.flush().map(|_| ())
    }

    fn remove(&self, group: GroupId) -> Result<(), MachineError> {
        let _gate = self.install_gate.lock();
        assert!(!self.state.lock().groups.contains_key(&group), "released before");
        self.flush().map(|_| ())
    }
}

impl SnapshotBuilder for Ledger {
    fn build(&self, group: GroupId, dir: &Path) -> Result<AppliedState, MachineError> {
        let group = self.state.lock().groups.get(&group).cloned();
        let group = group.ok_or_else(|| MachineError::corrupt("build an absent group"))?;
        let mut out = Vec::new();
        group.encode(&mut out);
        std::fs::write(dir.join("group"), out).map_err(io)?;
        std::fs::write(dir.join("empty"), []).map_err(io)?;
        Ok(group.applied)
    }
}

impl Flusher for Ledger {
    fn flush(&self) -> Result<Vec<(GroupId, LogIndex)>, MachineError> {
        let state = self.state.lock().clone();
        let mut out = Vec::new();
        for (id, group) in state.groups.iter().chain(&state.installed) {
            out.put_u64(id.0);
            group.encode(&mut out);
        }
        let new = self.file.with_extension("new");
        std::fs::write(&new, out).map_err(io)?;
        std::fs::rename(&new, &self.file).map_err(io)?;
        Ok(state.groups.iter().map(|(id, group)| (*id, group.applied.position.index)).collect())
    }
}
