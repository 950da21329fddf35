//! The ring: consistent hashing decides which group should own each slot.
//!
//! Every group has virtual nodes on a hash circle, in proportion to its weight; a slot goes to the
//! first virtual node at or after its own point whose group is not full, slots in rising order
//! (bounded loads, Mirrokni et al. 2018). Points come from a fixed hash of ids, so the result is
//! part of the data format: the same in every process and every version (golden test).
//! The ring only proposes: the topology names the owner of a slot, because moving data takes time.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hash, Hasher};

use hashring::HashRing;
use xxhash_rust::xxh3::Xxh3;

use crate::ids::{GroupId, Slot};
use crate::slot::SlotCount;

/// The default weight of a group.
pub const WEIGHT_DEFAULT: u32 = 100;

/// Virtual nodes of a group of default weight. With more of them groups are more even before the
/// bound applies; above this number the bound moves hardly fewer slots.
const VIRTUAL_NODES: u64 = 128;

/// Proposed owners of all slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    owners: Vec<GroupId>,
}

impl Ring {
    /// Assigns every slot to one of `groups`, given as (id, weight); their order does not matter
    /// and a weight of 0 counts as 1. Without groups there are no owners.
    ///
    /// A group gets at most 1.10 times its share by weight (rounded down, but never below the
    /// share itself): with the default slot count and equal weights, the fullest group has at
    /// most 1.10 times the mean for 1 to 256 groups.
    pub fn new(groups: &[(GroupId, u32)], slots: SlotCount) -> Self {
        let weights: BTreeMap<GroupId, u32> =
            groups.iter().map(|(group, weight)| (*group, (*weight).max(1))).collect();
        if weights.is_empty() {
            return Self { owners: Vec::new() };
        }
        let circle = Circle::new(&weights);
        let mut room = rooms(&weights, slots);
        let owners = (0..slots.get()).map(|slot| circle.place(Slot(slot), &mut room)).collect();
        Self { owners }
    }

    /// The owner of slot `i` at index `i`; empty without groups.
    pub fn owners(self) -> Vec<GroupId> {
        self.owners
    }
}

/// How many slots each group may get: 1.10 times its share, less a fixed fraction of one slot that
/// differs from group to group. Without the fraction the bounds of all groups would drop by one at
/// the same moment as groups are added, and move a slot of each between groups that both stay.
/// Where shares are so small that this does not hold all slots, shares are rounded up instead.
fn rooms(weights: &BTreeMap<GroupId, u32>, slots: SlotCount) -> BTreeMap<GroupId, u64> {
    let total: u64 = weights.values().map(|weight| u64::from(*weight)).sum();
    let share = |weight: &u32| u64::from(slots.get()) * u64::from(*weight);
    let bounded = |(group, weight): (&GroupId, &u32)| {
        let fraction = u128::from(FixedHash.hash_one(RoomFraction(*group)) >> 32);
        let bound = (u128::from(share(weight)) << 32) * 11 / (u128::from(total) * 10);
        let room = u64::try_from(bound.saturating_sub(fraction) >> 32);
        (*group, room.expect("about a share, which fits").max(share(weight) / total))
    };
    let rooms: BTreeMap<_, _> = weights.iter().map(bounded).collect();
    if rooms.values().sum::<u64>() >= u64::from(slots.get()) {
        return rooms;
    }
    weights.iter().map(|(group, weight)| (*group, share(weight).div_ceil(total))).collect()
}

/// The hash circle with its virtual nodes in order.
struct Circle {
    ring: HashRing<VirtualNode, FixedHash>,
    order: Vec<VirtualNode>,
    place: BTreeMap<VirtualNode, usize>,
}

impl Circle {
    fn new(weights: &BTreeMap<GroupId, u32>) -> Self {
        let mut ring = HashRing::with_hasher(FixedHash);
        let nodes = weights.iter().flat_map(|(group, weight)| {
            let count = u64::from(*weight) * VIRTUAL_NODES / u64::from(WEIGHT_DEFAULT);
            (0..count.max(1)).map(|number| VirtualNode { group: *group, number })
        });
        ring.batch_add(nodes.collect());
        // The whole circle, from anywhere on: "the node of this key and so many after it".
        let order = ring
            .get_with_replicas(&SlotPoint(Slot(0)), ring.len() - 1)
            .expect("every group has a virtual node");
        let place = order.iter().enumerate().map(|(at, node)| (*node, at)).collect();
        Self { ring, order, place }
    }

    /// The first group with room at or after the slot's point; takes one from its room.
    fn place(&self, slot: Slot, room: &mut BTreeMap<GroupId, u64>) -> GroupId {
        let first = self.ring.get(&SlotPoint(slot)).expect("a circle has virtual nodes");
        let (before, after) = self.order.split_at(self.place[first]);
        after
            .iter()
            .chain(before)
            .find_map(|node| {
                let room = room.get_mut(&node.group)?;
                *room = room.checked_sub(1)?;
                Some(node.group)
            })
            .expect("the rooms of all groups together hold all slots")
    }
}

/// One of a group's points on the circle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct VirtualNode {
    group: GroupId,
    number: u64,
}

/// A slot's point on the circle.
struct SlotPoint(Slot);

/// What a group's room is rounded down by.
struct RoomFraction(GroupId);

/// Bytes are written whole and little-endian: the standard library's own `Hash` of an integer
/// depends on the machine. The first byte keeps the kinds apart.
impl Hash for VirtualNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut bytes = [0; 17];
        bytes[0] = b'g';
        bytes[1..9].copy_from_slice(&self.group.0.to_le_bytes());
        bytes[9..].copy_from_slice(&self.number.to_le_bytes());
        state.write(&bytes);
    }
}

impl Hash for SlotPoint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [low, high] = self.0.0.to_le_bytes();
        state.write(&[b's', low, high]);
    }
}

impl Hash for RoomFraction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut bytes = [0; 9];
        bytes[0] = b'r';
        bytes[1..].copy_from_slice(&self.0.0.to_le_bytes());
        state.write(&bytes);
    }
}

/// XXH3, 64 bits, seed 0.
#[derive(Clone)]
struct FixedHash;

impl BuildHasher for FixedHash {
    type Hasher = Xxh3;

    fn build_hasher(&self) -> Xxh3 {
        Xxh3::new()
    }
}

#[cfg(test)]
mod tests;
