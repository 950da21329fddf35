//! The groups of a heartbeat, checked field by field.

use ringkv_proto::v1;
use ringkv_topology::{Epoch, GroupId, ReplicaId};

use crate::divergence::StateHash;
use crate::observations::{GroupReport, MemberReport, MemberRole};
use crate::requests::{InvalidRequest, invalid};

/// Twice the groups of the largest cluster: a node also has replicas that it is to destroy.
const GROUPS_MAX: usize = 2 * ringkv_topology::GROUPS_MAX;
const STATE_HASHES_MAX: usize = 64;
/// Far more than the replicas of a group, joining and leaving ones included.
const MEMBERS_MAX: usize = 64;

/// The reports on groups in a heartbeat.
///
/// # Errors
/// [`InvalidRequest`] names the field.
pub(super) fn reports(wire: &[v1::GroupReport]) -> Result<Vec<GroupReport>, InvalidRequest> {
    if wire.len() > GROUPS_MAX {
        return invalid(format!("groups: more than {GROUPS_MAX}"));
    }
    wire.iter().map(report).collect()
}

fn report(wire: &v1::GroupReport) -> Result<GroupReport, InvalidRequest> {
    let Some(group) = GroupId::from_wire(wire.group) else {
        return invalid("groups.group: 0 is not an id");
    };
    if wire.checkpoints.len() > STATE_HASHES_MAX {
        return invalid(format!("groups.checkpoints: more than {STATE_HASHES_MAX}"));
    }
    if wire.members.len() > MEMBERS_MAX {
        return invalid(format!("groups.members: more than {MEMBERS_MAX}"));
    }
    let hash = |hash: &v1::Checkpoint| StateHash { index: hash.index, hash: hash.checksum };
    Ok(GroupReport {
        group,
        replica: ReplicaId::from_wire(wire.replica),
        leader: wire.leader,
        term: wire.term,
        state_hashes: wire.checkpoints.iter().map(hash).collect(),
        members_epoch: Epoch(wire.members_epoch),
        members: wire.members.iter().map(member).collect::<Result<_, _>>()?,
        state_bytes: wire.state_bytes,
    })
}

fn member(wire: &v1::MemberReport) -> Result<MemberReport, InvalidRequest> {
    let Some(replica) = ReplicaId::from_wire(wire.replica) else {
        return invalid("groups.members.replica: 0 is not an id");
    };
    let role = match wire.role() {
        v1::MemberRole::Voter => MemberRole::Voter,
        v1::MemberRole::Learner => MemberRole::Learner,
        v1::MemberRole::Outgoing => MemberRole::Outgoing,
        v1::MemberRole::Unspecified => {
            return invalid(format!("groups.members.role: {} is not a role", wire.role));
        }
    };
    Ok(MemberReport { replica, role, lag_entries: wire.lag_entries, active: wire.active })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valid() -> v1::GroupReport {
        let role = v1::MemberRole::Outgoing.into();
        let member = v1::MemberReport { replica: 7, role, lag_entries: 3, active: true };
        v1::GroupReport {
            group: 4,
            replica: 6,
            leader: true,
            term: 2,
            members_epoch: 9,
            members: vec![member],
            state_bytes: 8,
            ..Default::default()
        }
    }

    #[test]
    fn every_field_is_taken_over() {
        let member = MemberReport {
            replica: ReplicaId(7),
            role: MemberRole::Outgoing,
            lag_entries: 3,
            active: true,
        };
        let expected = GroupReport {
            leader: true,
            members_epoch: Epoch(9),
            members: vec![member],
            state_bytes: 8,
            ..GroupReport::new(GroupId(4), Some(ReplicaId(6)), 2)
        };
        assert_eq!(reports(&[valid()]), Ok(vec![expected]));
    }

    #[test]
    fn a_bad_field_is_named() {
        type Break = fn(&mut v1::GroupReport);
        let cases: [(&str, Break); 5] = [
            ("groups.group", |report| report.group = 0),
            ("groups.checkpoints", |report| {
                report.checkpoints = vec![Default::default(); STATE_HASHES_MAX + 1];
            }),
            ("groups.members:", |report| {
                report.members = vec![report.members[0]; MEMBERS_MAX + 1];
            }),
            ("groups.members.replica", |report| report.members[0].replica = 0),
            ("groups.members.role", |report| report.members[0].role = 9),
        ];
        for (field, breaks) in cases {
            let mut wire = valid();
            breaks(&mut wire);
            let problem = reports(&[wire]).unwrap_err().to_string();
            assert!(problem.starts_with(field), "{problem}");
        }
        let problem = reports(&vec![valid(); GROUPS_MAX + 1]).unwrap_err().to_string();
        assert!(problem.starts_with("groups: more than 512"), "{problem}");
    }
}
