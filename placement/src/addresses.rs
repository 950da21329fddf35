//! Where the replicas of placement are reached: by the replicated state and by `--peers`.
//!
//! Both may be out of date: a replica that has moved tells the leader only once it reaches it, and
//! `--peers` of the others may be older than its move. So a connection tries them in turn; a process
//! that is not the wanted replica refuses, because each call names the replica.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use ringkv_placement_core::start::Peers;
use ringkv_placement_core::state::{PlacementMembers, State};
use ringkv_topology::{NodeId, ReplicaId};
use ringkv_transport::AddressBook;
use tokio::sync::watch;

/// The addresses of placement's replicas, by their node on the transport.
pub(crate) struct Addresses {
    state: watch::Receiver<Arc<State>>,
    peers: Peers,
    /// Known when this replica joined: it has no state before the leader reaches it.
    joined: PlacementMembers,
    /// How many connections to each replica were tried.
    tries: Mutex<BTreeMap<NodeId, usize>>,
}

impl Addresses {
    pub(crate) fn new(
        state: watch::Receiver<Arc<State>>,
        peers: Peers,
        joined: PlacementMembers,
    ) -> Self {
        Self { state, peers, joined, tries: Mutex::default() }
    }

    /// The address that clients are sent to.
    pub(crate) fn get(&self, node: NodeId) -> Option<String> {
        self.candidates(node).into_iter().next()
    }

    fn candidates(&self, node: NodeId) -> Vec<String> {
        let id = ReplicaId(node.0);
        let state = Arc::clone(&self.state.borrow());
        let mut found: Vec<String> = Vec::new();
        let members = [state.members(), &self.joined];
        let replicated = members.iter().filter_map(|members| members.address(id));
        let place = members.iter().find_map(|members| members.replicas.get(&id));
        let configured = place.and_then(|member| self.peers.get(&member.place));
        for address in replicated.chain(configured.map(String::as_str)) {
            if !found.iter().any(|other| other == address) {
                found.push(address.to_owned());
            }
        }
        found
    }
}

impl AddressBook for Addresses {
    fn address(&self, node: NodeId) -> Option<String> {
        let found = self.candidates(node);
        let mut tries = self.tries.lock();
        let count = tries.entry(node).or_default();
        *count += 1;
        let at = (*count - 1) % found.len().max(1);
        found.into_iter().nth(at)
    }
}

#[cfg(test)]
mod tests {
    use ringkv_placement_core::place::Place;

    use super::*;

    #[test]
    fn both_addresses_of_a_replica_are_tried_in_turn() {
        let peers = |address: &str| Peers::from([(Place(1), address.to_owned())]);
        let state = State::founded(Place(1), &peers("old:7000"));
        let (_sender, state) = watch::channel(Arc::new(state));
        let addresses = Addresses::new(state, peers("new:7000"), PlacementMembers::default());
        let tried: Vec<_> = (0..3).map(|_| addresses.address(NodeId(1)).unwrap()).collect();
        assert_eq!(tried, ["old:7000", "new:7000", "old:7000"]);
        assert_eq!(addresses.get(NodeId(1)).unwrap(), "old:7000");
        assert_eq!(addresses.address(NodeId(9)), None);
    }
}
