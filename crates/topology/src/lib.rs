//! Pure: who holds which key. Ids, the tag and slot of a key, the ring, the topology and its plan.
//!
//! Never opens a socket or file, reads no clock, draws no random number: every result is a
//! function of the arguments, the same in every process and every version.
#![warn(missing_docs)]

mod ids;
mod plan;
mod ring;
mod secret;
mod slot;
mod topology;

pub use ids::{ClusterId, Epoch, GroupId, NodeId, ReplicaId, Slot};
pub use plan::{
    BootstrapBlocked, BootstrapPlan, BootstrapWhen, GROUPS_MAX, PlannedGroup, plan_bootstrap,
};
pub use ring::{Ring, WEIGHT_DEFAULT};
pub use secret::NodeSecret;
pub use slot::{SlotCount, tag};
pub use topology::{
    Group, Node, NodeState, ReadMode, Replica, Role, RuntimeSettings, Settings, Topology,
};
