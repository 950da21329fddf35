//! Whether a registration may take the place of another process, by what the leader has heard.
//!
//! The leader asks here before it proposes a registration. The state machine decides what heartbeats
//! do not show (secret, number of starts), and refuses a registration that would displace a
//! process other than those named here. A leader that was elected a moment ago has heard from no
//! node: it displaces no process until a live one would have been heard from twice over.

use ringkv_topology::NodeId;

use crate::command::{Incarnation, Registration};
use crate::observations::{ALIVE_MS, Observations};
use crate::state::State;

/// How long a leader listens before it takes silence for an end: two heartbeat timeouts.
pub const LISTEN_MS: u64 = 2 * ALIVE_MS;

/// Why a registration has to wait; the caller sends it again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wait {
    #[error(
        "node {node} is served by another process at {address}, heard {} ago; one data directory \
         has one process",
        seconds(*heard_ms)
    )]
    ServedElsewhere { node: NodeId, address: String, heard_ms: u64 },
    #[error(
        "node {node} at {address} is alive, heard {} ago; a new node at this address is taken in \
         once that one has been silent for {} s",
        seconds(*heard_ms),
        ALIVE_MS / 1_000
    )]
    AddressInUse { node: NodeId, address: String, heard_ms: u64 },
    #[error(
        "the placement leader is new and cannot know yet whether node {node} is served by another \
         process at {address}; it decides in {}",
        seconds(*remaining_ms)
    )]
    TooEarly { node: NodeId, address: String, remaining_ms: u64 },
}

/// What a leader has heard, and for how long it has led.
#[derive(Clone, Copy, Debug)]
pub struct Hearing<'a> {
    pub observations: &'a Observations,
    pub now_ms: u64,
    pub led_ms: u64,
}

/// Returns the processes that the registration may displace.
///
/// # Errors
/// One of them is alive, or may be: the registration has to wait.
pub fn displaced(
    state: &State,
    registration: &Registration,
    hearing: Hearing<'_>,
) -> Result<Vec<Incarnation>, Wait> {
    let Some(cluster) = &state.cluster else { return Ok(Vec::new()) };
    let others: Vec<NodeId> = match &registration.claim {
        Some(claim) => vec![claim.node],
        None => cluster.nodes_at(&registration.address).collect(),
    };
    let mut displaced = Vec::new();
    for node in others {
        let Some(fence) = cluster.fences.get(&node) else { continue };
        if fence.incarnation == registration.incarnation {
            return Ok(Vec::new());
        }
        let is_refused = registration.claim.is_some() && registration.starts <= fence.starts;
        if is_refused || fence.has_ended_before(registration) {
            continue;
        }
        let address = &cluster.topology.nodes[&node].address;
        check_silent(node, address, registration, hearing)?;
        displaced.push(Incarnation { node, number: fence.incarnation });
    }
    Ok(displaced)
}

fn check_silent(
    node: NodeId,
    address: &str,
    registration: &Registration,
    hearing: Hearing<'_>,
) -> Result<(), Wait> {
    let address = address.to_owned();
    let heard = hearing.observations.heard_ago(hearing.now_ms, node);
    match heard.filter(|heard_ms| *heard_ms < ALIVE_MS) {
        Some(heard_ms) if registration.claim.is_some() => {
            Err(Wait::ServedElsewhere { node, address, heard_ms })
        }
        Some(heard_ms) => Err(Wait::AddressInUse { node, address, heard_ms }),
        None if hearing.led_ms < LISTEN_MS => {
            let remaining_ms = LISTEN_MS - hearing.led_ms;
            Err(Wait::TooEarly { node, address, remaining_ms })
        }
        None => Ok(()),
    }
}

/// Whole seconds, rounded up, with their unit.
fn seconds(ms: u64) -> String {
    format!("{} s", ms.div_ceil(1_000))
}

#[cfg(test)]
mod tests;
