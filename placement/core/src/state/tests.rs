use ringkv_topology::{
    BootstrapWhen, NodeSecret, NodeState, PlannedGroup, ReadMode, SlotCount, plan_bootstrap,
};

use super::*;
use crate::command::{Claim, Incarnation, Registration};

mod operations;
mod replicas;

pub(crate) const CLUSTER: ClusterId = ClusterId(9);

fn settings() -> Settings {
    Settings {
        slot_count: SlotCount::DEFAULT,
        replication_factor: 3,
        value_bytes_max: 1 << 20,
        read_mode: ReadMode::ReadIndex,
    }
}

pub(crate) fn initialized() -> State {
    let mut state = State::default();
    let done = state.apply(Command::Init { cluster: CLUSTER, settings: settings() });
    assert_eq!(done, CommandResult::Initialized);
    state
}

/// The secret that `register` draws for the node with this id.
pub(crate) fn secret_of(node: u64) -> NodeSecret {
    NodeSecret::new(u128::from(node).to_le_bytes())
}

pub(crate) fn fresh(address: &str, incarnation: u64) -> Registration {
    let (address, zone) = (address.into(), String::new());
    Registration {
        claim: None,
        address,
        zone,
        capacity: 100,
        incarnation,
        starts: 1,
        directory: None,
    }
}

/// A later start of a node: its number is the incarnation.
pub(crate) fn returning(node: u64, address: &str, incarnation: u64) -> Registration {
    let claim = Claim { cluster: CLUSTER, node: NodeId(node), secret: secret_of(node) };
    Registration { claim: Some(claim), starts: incarnation, ..fresh(address, incarnation) }
}

/// Registers with a leader that has found no process silent.
pub(crate) fn register(state: &mut State, registration: Registration) -> Result<NodeId, Refusal> {
    propose(state, registration, Vec::new())
}

/// Registers with a leader that has found every process silent.
pub(crate) fn take_over(state: &mut State, registration: Registration) -> Result<NodeId, Refusal> {
    let fences = &state.cluster.as_ref().expect("initialized").fences;
    let all =
        fences.iter().map(|(node, fence)| Incarnation { node: *node, number: fence.incarnation });
    let all = all.collect();
    propose(state, registration, all)
}

fn propose(
    state: &mut State,
    registration: Registration,
    displaces: Vec<Incarnation>,
) -> Result<NodeId, Refusal> {
    let is_new = registration.claim.is_none();
    let last_node = state.cluster.as_ref().map_or(0, |cluster| cluster.last_node);
    let secret = secret_of(last_node + 1);
    match state.apply(Command::Register { registration, secret, displaces }) {
        CommandResult::Registered { cluster: CLUSTER, node, secret, .. } => {
            assert_eq!(secret, is_new.then_some(secret_of(node.0)));
            Ok(node)
        }
        CommandResult::Refused(refusal) => Err(refusal),
        other => panic!("not an answer to a registration: {other:?}"),
    }
}

fn plan_of(state: &State) -> Command {
    let topology = state.topology().expect("initialized");
    let plan = plan_bootstrap(topology.nodes.values(), &settings(), &BootstrapWhen::default())
        .expect("enough nodes");
    Command::Bootstrap {
        planned_at: topology.epoch,
        groups: plan.groups,
        owners: plan.owners,
        now_ms: 0,
    }
}

pub(crate) fn bootstrapped() -> State {
    let mut state = initialized();
    for id in 1..=3 {
        assert_eq!(register(&mut state, fresh(&format!("n{id}:1"), id)), Ok(NodeId(id)));
    }
    let plan = plan_of(&state);
    assert_eq!(state.apply(plan), CommandResult::Bootstrapped { epoch: Epoch(5) });
    state
}

pub(crate) fn node_state(state: &State, node: u64) -> Option<NodeState> {
    state.topology()?.nodes.get(&NodeId(node)).map(|node| node.state)
}

mod init {
    use super::*;

    #[test]
    fn the_first_one_counts() {
        let mut state = initialized();
        state.apply(Command::Init { cluster: ClusterId(1), settings: settings() });
        assert_eq!(state.topology().map(|topology| topology.cluster), Some(CLUSTER));
        assert_eq!(state.epoch(), Epoch(1));
    }

    #[test]
    fn nothing_is_registered_before_it() {
        let mut state = State::default();
        assert_eq!(register(&mut state, fresh("n:1", 1)), Err(Refusal::NotInitialized));
        assert_eq!(state, State::default());
    }
}

mod bootstrap {
    use super::*;

    #[test]
    fn every_replica_gets_an_id_of_its_own() {
        let state = bootstrapped();
        let topology = state.topology().expect("initialized");
        assert!(topology.is_bootstrapped());
        let ids: Vec<u64> = topology
            .groups
            .values()
            .flat_map(|group| group.replicas.iter().map(|replica| replica.id.0))
            .collect();
        assert_eq!(ids, (1..=36).collect::<Vec<_>>());
        for group in topology.groups.values() {
            assert_eq!(group.formed, topology.epoch);
            assert!(group.replicas.iter().any(|replica| replica.node == group.preferred_leader));
        }
    }

    #[test]
    fn a_plan_of_an_older_epoch_changes_nothing() {
        let mut state = bootstrapped();
        state.cluster.as_mut().unwrap().topology.owners.clear();
        state.cluster.as_mut().unwrap().topology.groups.clear();
        let plan = plan_of(&state);
        register(&mut state, fresh("n4:1", 4)).expect("a new node");
        let before = state.clone();
        assert_eq!(state.apply(plan), CommandResult::Refused(Refusal::Stale));
        assert_eq!(state, before);
    }

    #[test]
    fn a_cluster_is_bootstrapped_once() {
        let mut state = bootstrapped();
        let plan = plan_of(&state);
        assert_eq!(state.apply(plan), CommandResult::Refused(Refusal::Stale));
    }

    #[test]
    fn an_impossible_plan_changes_nothing_and_says_why() {
        type Break = fn(&mut Vec<PlannedGroup>, &mut Vec<GroupId>);
        let cases: [(&str, Break); 6] = [
            ("a group is named twice", |groups, _| groups[1].id = GroupId(1)),
            ("different nodes", |groups, _| groups[0].nodes[1] = groups[0].nodes[0]),
            ("different nodes", |groups, _| groups[0].nodes.truncate(1)),
            ("node 7 of group 1 is not active", |groups, _| groups[0].nodes[0] = NodeId(7)),
            ("4095 slots have an owner", |_, owners| owners.truncate(4095)),
            ("owner 99 is not a group", |_, owners| owners[5] = GroupId(99)),
        ];
        for (reason, breaks) in cases {
            let mut state = initialized();
            for id in 1..=3 {
                register(&mut state, fresh(&format!("n{id}:1"), id)).expect("a new node");
            }
            let before = state.clone();
            let Command::Bootstrap { planned_at, mut groups, mut owners, now_ms } = plan_of(&state)
            else {
                panic!("a plan to bootstrap")
            };
            breaks(&mut groups, &mut owners);
            let result = state.apply(Command::Bootstrap { planned_at, groups, owners, now_ms });
            let CommandResult::Refused(Refusal::Impossible(problem)) = result else {
                panic!("not refused: {result:?}")
            };
            assert!(problem.contains(reason), "{problem} / {reason}");
            assert_eq!(state, before);
        }
    }
}
