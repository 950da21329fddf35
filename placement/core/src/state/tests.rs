use ringkv_topology::{BootstrapWhen, ReadMode, SlotCount, plan_bootstrap};

use super::*;

const CLUSTER: ClusterId = ClusterId(9);

fn settings() -> Settings {
    Settings {
        slot_count: SlotCount::DEFAULT,
        replication_factor: 3,
        value_bytes_max: 1 << 20,
        read_mode: ReadMode::ReadIndex,
    }
}

fn initialized() -> State {
    let mut state = State::default();
    let done = state.apply(Command::Init { cluster: CLUSTER, settings: settings() });
    assert_eq!(done, CommandResult::Initialized);
    state
}

fn fresh(address: &str, incarnation: u64) -> Registration {
    let (address, zone) = (address.into(), String::new());
    Registration { identity: None, address, zone, capacity: 100, incarnation }
}

fn returning(node: u64, address: &str, incarnation: u64) -> Registration {
    Registration { identity: Some((CLUSTER, NodeId(node))), ..fresh(address, incarnation) }
}

fn register(state: &mut State, registration: Registration) -> Result<NodeId, Refusal> {
    match state.apply(Command::Register(registration)) {
        CommandResult::Registered { cluster: CLUSTER, node, slot_count: 4096 } => Ok(node),
        CommandResult::Refused(refusal) => Err(refusal),
        other => panic!("not an answer to a registration: {other:?}"),
    }
}

fn plan_of(state: &State) -> Command {
    let topology = state.topology().expect("initialized");
    let plan = plan_bootstrap(topology.nodes.values(), &settings(), &BootstrapWhen::default())
        .expect("enough nodes");
    Command::Bootstrap { planned_at: topology.epoch, groups: plan.groups, owners: plan.owners }
}

fn bootstrapped() -> State {
    let mut state = initialized();
    for id in 1..=3 {
        assert_eq!(register(&mut state, fresh(&format!("n{id}:1"), id)), Ok(NodeId(id)));
    }
    let plan = plan_of(&state);
    assert_eq!(state.apply(plan), CommandResult::Bootstrapped { epoch: Epoch(5) });
    state
}

fn node_state(state: &State, node: u64) -> Option<NodeState> {
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

mod registration {
    use super::*;

    #[test]
    fn every_new_node_gets_the_next_id_and_an_epoch() {
        let mut state = initialized();
        assert_eq!(register(&mut state, fresh("n1:1", 11)), Ok(NodeId(1)));
        assert_eq!(register(&mut state, fresh("n2:1", 12)), Ok(NodeId(2)));
        assert_eq!(state.epoch(), Epoch(3));
    }

    #[test]
    fn a_retry_from_the_same_process_gets_the_same_id() {
        let mut state = initialized();
        assert_eq!(register(&mut state, fresh("n1:1", 11)), Ok(NodeId(1)));
        let before = state.clone();
        assert_eq!(register(&mut state, fresh("n1:1", 11)), Ok(NodeId(1)));
        assert_eq!(state, before);
    }

    #[test]
    fn a_known_node_is_confirmed_and_may_have_moved() {
        let mut state = initialized();
        register(&mut state, fresh("n1:1", 11)).expect("a new node");
        assert_eq!(register(&mut state, returning(1, "n1:1", 12)), Ok(NodeId(1)));
        assert_eq!(state.epoch(), Epoch(2), "no change that others need");
        assert_eq!(register(&mut state, returning(1, "elsewhere:1", 13)), Ok(NodeId(1)));
        assert_eq!(state.epoch(), Epoch(3));
        assert_eq!(state.topology().unwrap().nodes[&NodeId(1)].address, "elsewhere:1");
    }

    #[test]
    fn nodes_that_swap_addresses_both_stay() {
        let mut state = bootstrapped();
        assert_eq!(register(&mut state, returning(1, "n2:1", 21)), Ok(NodeId(1)));
        assert_eq!(register(&mut state, returning(2, "n1:1", 22)), Ok(NodeId(2)));
        assert_eq!(node_state(&state, 1), Some(NodeState::Active));
        assert_eq!(node_state(&state, 2), Some(NodeState::Active));
    }

    #[test]
    fn an_empty_node_at_the_address_of_one_with_replicas_leaves_it_a_way_back() {
        let mut state = bootstrapped();
        assert_eq!(register(&mut state, fresh("n2:1", 99)), Ok(NodeId(4)));
        assert_eq!(node_state(&state, 2), Some(NodeState::Active));
        assert_eq!(register(&mut state, returning(2, "n2:1", 100)), Ok(NodeId(2)));
    }

    #[test]
    fn a_replaced_node_that_held_nothing_is_forgotten_but_never_comes_back() {
        let mut state = initialized();
        register(&mut state, fresh("n1:1", 11)).expect("a new node");
        assert_eq!(register(&mut state, fresh("n1:1", 12)), Ok(NodeId(2)));
        assert_eq!(node_state(&state, 1), None);
        let refused = register(&mut state, returning(1, "n1:1", 13));
        assert_eq!(refused, Err(Refusal::NodeReplaced { node: NodeId(1) }));
    }

    #[test]
    fn a_node_of_another_cluster_or_never_seen_is_refused() {
        let mut state = initialized();
        let theirs = ClusterId(8);
        let unknown = Registration { identity: Some((theirs, NodeId(1))), ..fresh("n1:1", 1) };
        let refused = register(&mut state, unknown);
        assert_eq!(refused, Err(Refusal::WrongCluster { ours: CLUSTER, theirs }));
        let refused = register(&mut state, returning(1, "n1:1", 1));
        assert_eq!(refused, Err(Refusal::UnknownNode { node: NodeId(1) }));
    }

    #[test]
    fn the_number_of_nodes_is_bounded() {
        let mut state = initialized();
        for id in 1..=u64::from(NODES_MAX) {
            register(&mut state, fresh(&format!("n{id}:1"), id)).expect("room for it");
        }
        let refused = register(&mut state, fresh("one-more:1", 1));
        assert_eq!(refused, Err(Refusal::TooManyNodes { max: NODES_MAX }));
        assert!(register(&mut state, fresh("n7:1", 1)).is_ok(), "it takes the place of another");
    }

    #[test]
    fn only_another_process_at_the_address_is_another_node() {
        let mut state = initialized();
        register(&mut state, fresh("n1:1", 11)).expect("a new node");
        assert_eq!(state.other_node_at("n1:1", 11), None);
        assert_eq!(state.other_node_at("n1:1", 12), Some(NodeId(1)));
        assert_eq!(state.other_node_at("n2:1", 12), None);
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
            let Command::Bootstrap { planned_at, mut groups, mut owners } = plan_of(&state) else {
                panic!("a plan to bootstrap")
            };
            breaks(&mut groups, &mut owners);
            let result = state.apply(Command::Bootstrap { planned_at, groups, owners });
            let CommandResult::Refused(Refusal::Impossible(problem)) = result else {
                panic!("not refused: {result:?}")
            };
            assert!(problem.contains(reason), "{problem} / {reason}");
            assert_eq!(state, before);
        }
    }
}
