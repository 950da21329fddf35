//! The ids of the cluster as distinct types, so that a group is never passed where a node is meant.
//!
//! Zero is never a valid id: it means "none", on the wire only, and `from_wire` refuses it.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl $name {
            /// The id, or `None` for the wire's zero.
            pub fn from_wire(id: u64) -> Option<Self> {
                (id != 0).then_some(Self(id))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// A cluster; drawn at random when placement first starts. Data of one is never used in another.
    ClusterId
);
id!(
    /// A storage-node process with its data directory; assigned by placement, never used again.
    NodeId
);
id!(
    /// One Raft group.
    GroupId
);
id!(
    /// A group's copy on one node; assigned by placement, unique in the cluster, never used again
    /// (a forgotten vote under a reused id would allow two leaders).
    ReplicaId
);

/// The version of the topology; every change of it adds one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One of the fixed number of hash buckets: the unit of ownership and of movement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u16);

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
