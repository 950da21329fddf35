//! What nodes made durable: it only rises, no committed entry is removed, equal positions have equal
//! content, and a restart finds all of it.

use ringkv_consensus::{HardState, LogBatch, LogIndex};
use ringkv_topology::{GroupId, NodeId, ReplicaId};
use xxhash_rust::xxh3::xxh3_64;

use super::replica_log::ReplicaLog;
use super::{Broken, EntrySeen, Invariants, ReplicaSeen};
use crate::process::Found;

impl Invariants {
    /// A log batch of a node has become durable.
    pub(crate) fn on_durable(&mut self, node: NodeId, batch: &LogBatch) -> Result<(), Broken> {
        for (id, write) in &batch.groups {
            let group = self.groups.entry(*id).or_default();
            let replica = self.replicas.entry((*id, node)).or_default();
            if write.destroy.is_some() {
                *replica = ReplicaSeen::default();
            }
            if let Some(genesis) = &write.create {
                replica.durable_id = Some(genesis.replica);
                replica.handed_over = genesis.applied().position.index;
                replica.members = genesis.members.clone();
            }
            let removed = write.truncate_from.map(|from| from.through(group.committed_to));
            let mut removed = removed.into_iter().flatten();
            let lost = |index: &LogIndex| {
                let term = replica.log.term(*index);
                term.is_some() && term == group.committed.get(index).copied()
            };
            if let Some(index) = removed.find(lost) {
                return Err(format!("node {node} group {id}: removes committed entry {index}"));
            }
            if let Some(state) = write.hard_state {
                hard_state_rises(replica.durable, state)
                    .map_err(|what| format!("node {node} group {id}: {what}"))?;
                replica.durable = state;
            }
            replica.log.write(write);
            for entry in &write.append {
                let kind = [entry.kind as u8];
                let print = xxh3_64(&[&kind[..], &entry.data].concat());
                let at = entry.position;
                let known = group.entries.entry(at).or_insert(EntrySeen { print, before: None });
                // Unknown if the log was cut between the two.
                let before = at.index.previous().and_then(|before| replica.log.term(before));
                let agrees = known.print == print
                    && (known.before.is_none() || before.is_none() || known.before == before);
                if !agrees {
                    return Err(format!(
                        "group {id}: logs do not match: node {node} has at index {} term {} \
                         {print:x} after term {before:?}, a node before it {known:x?}",
                        at.index, at.term
                    ));
                }
                known.before = known.before.or(before);
            }
        }
        Ok(())
    }

    /// A node has lost what was not durable and restarts with this.
    pub(crate) fn on_restart(&mut self, node: NodeId, found: &Found) -> Result<(), Broken> {
        self.absent_after_restart(node, found)?;
        for stored in &found.stored {
            let (id, replica) = (stored.genesis.group, stored.genesis.replica);
            let seen = self.replicas.entry((id, node)).or_default();
            // A crash may keep a batch that was not known to be durable: here the one that
            // destroyed the replica before this one.
            let is_other = seen.durable_id.is_some_and(|before| before != replica);
            let before = if is_other { HardState::default() } else { seen.durable };
            let now = stored.hard_state;
            hard_state_rises(before, now)
                .map_err(|what| format!("node {node} group {id} after a restart: {what}"))?;
            let state = found.applied.get(&id).cloned().unwrap_or_default();
            let applied = state.position.index;
            *seen = ReplicaSeen {
                id: Some(replica),
                durable_id: Some(replica),
                members: state.members,
                next_members: Vec::new(),
                log: ReplicaLog::found(stored),
                durable: now,
                term: now.term,
                commit: now.commit,
                applied,
                handed_over: applied,
            };
        }
        Ok(())
    }

    /// A replica that a node no longer has was destroyed, or its creation was not durable.
    fn absent_after_restart(&mut self, node: NodeId, found: &Found) -> Result<(), Broken> {
        let is_stored = |id: GroupId| found.stored.iter().any(|group| group.genesis.group == id);
        let is_destroyed = |id: GroupId, replica: ReplicaId| {
            found.tombstones.iter().any(|(group, last)| *group == id && replica <= *last)
        };
        for ((id, _), seen) in
            self.replicas.extract_if(.., |(id, at), _| *at == node && !is_stored(*id))
        {
            if let Some(replica) = seen.durable_id.filter(|replica| !is_destroyed(id, *replica)) {
                return Err(format!("node {node} group {id}: a restart lost replica {replica}"));
            }
        }
        Ok(())
    }
}

fn hard_state_rises(before: HardState, now: HardState) -> Result<(), Broken> {
    if now.term < before.term {
        return Err(format!("the durable term fell from {} to {}", before.term, now.term));
    }
    if now.term == before.term && before.vote != 0 && now.vote != before.vote {
        return Err(format!(
            "the vote in term {} changed from {} to {}",
            now.term, before.vote, now.vote
        ));
    }
    if now.commit < before.commit {
        return Err(format!("the durable commit fell from {} to {}", before.commit, now.commit));
    }
    Ok(())
}
