//! The tasks of groups that are out of service while an install or a removal works on them.
//!
//! Owns their order: a task of such a group waits behind the work, all others pass. Bounded by what
//! the poller sends: batches by its limit on unapplied bytes, the rest by one of each per group.

use std::collections::BTreeMap;

use ringkv_consensus::ApplyTask;
use ringkv_topology::GroupId;

/// The tasks that wait, by group; a group without tasks is out of service all the same.
#[derive(Default)]
pub(crate) struct Holds {
    groups: BTreeMap<GroupId, Vec<ApplyTask>>,
}

impl Holds {
    /// Whether no group is out of service.
    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The group is out of service from now on.
    ///
    /// # Panics
    /// When it is so already: its tasks would have waited.
    pub(crate) fn begin(&mut self, group: GroupId) {
        let before = self.groups.insert(group, Vec::new());
        assert!(before.is_none(), "group {group} is out of service already");
    }

    /// Returns the task if it can be done now, else keeps it.
    pub(crate) fn pass(&mut self, task: ApplyTask) -> Option<ApplyTask> {
        match self.groups.get_mut(&group_of(&task)) {
            Some(waiting) => {
                waiting.push(task);
                None
            }
            None => Some(task),
        }
    }

    /// The group is in service again: returns what waited, in order.
    pub(crate) fn end(&mut self, group: GroupId) -> Vec<ApplyTask> {
        self.groups.remove(&group).unwrap_or_default()
    }
}

fn group_of(task: &ApplyTask) -> GroupId {
    match task {
        ApplyTask::Create(genesis) => genesis.group,
        ApplyTask::Batch(batch) => batch.group,
        ApplyTask::Install(snapshot) => snapshot.group,
        ApplyTask::Destroy(group) => *group,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destroy(group: u64) -> ApplyTask {
        ApplyTask::Destroy(GroupId(group))
    }

    fn groups(tasks: Vec<ApplyTask>) -> Vec<GroupId> {
        tasks.iter().map(group_of).collect()
    }

    #[test]
    fn tasks_of_a_group_out_of_service_wait_and_all_others_pass() {
        let mut holds = Holds::default();
        assert!(holds.pass(destroy(1)).is_some());
        holds.begin(GroupId(1));
        assert!(holds.pass(destroy(1)).is_none());
        assert!(holds.pass(destroy(2)).is_some());
        assert!(holds.pass(destroy(1)).is_none());
        assert_eq!(groups(holds.end(GroupId(1))), [GroupId(1); 2]);
        assert!(holds.is_empty());
        assert!(holds.pass(destroy(1)).is_some(), "in service again");
    }

    #[test]
    fn two_groups_out_of_service_do_not_wait_for_each_other() {
        let mut holds = Holds::default();
        holds.begin(GroupId(1));
        holds.begin(GroupId(2));
        assert!(holds.pass(destroy(2)).is_none());
        assert_eq!(groups(holds.end(GroupId(1))), []);
        assert!(!holds.is_empty());
        assert_eq!(groups(holds.end(GroupId(2))), [GroupId(2)]);
    }

    #[test]
    #[should_panic(expected = "group 1 is out of service already")]
    fn one_piece_of_work_for_a_group_at_a_time() {
        let mut holds = Holds::default();
        holds.begin(GroupId(1));
        holds.begin(GroupId(1));
    }
}
