//! Every key of the data store: who owns which bytes of the key space.
//!
//! `group u64 BE ‖ slot u16 BE ‖ kind u8 ‖ rest`, so that a group is one contiguous range and a
//! slot of it is one contiguous range inside: to stream, to ingest, to drop. A slot has records
//! (rest = user key); kinds 0 and 1 of a slot are kept free for what it may need of its own. The
//! group's own rows live at slot 0xFFFF, which no cluster can have (slots end at 32,767): its
//! state, its slots, and the remembered results (rest = number of the first in the row, u64 BE).
//! User bytes are always behind the fixed head: they can collide with nothing.

use bytes::{BufMut, Bytes, BytesMut};
use ringkv_topology::{GroupId, Slot};

/// Bytes of group and slot: the prefix that rows of one slot share.
pub const SLOT_PREFIX_BYTES: usize = 10;
/// Bytes before the rest of a key.
pub const HEAD_BYTES: usize = SLOT_PREFIX_BYTES + 1;

const GROUP_SLOT: Slot = Slot(u16::MAX);
const KIND_GROUP_STATE: u8 = 0;
const KIND_GROUP_SLOTS: u8 = 1;
const KIND_GROUP_RESULTS: u8 = 2;
const KIND_RECORD: u8 = 2;
/// Above every kind: the end of ranges.
const KIND_END: u8 = 0xFF;

/// A half-open range of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    pub start: Bytes,
    /// Not in the range.
    pub end: Bytes,
}

impl KeyRange {
    /// Whether the key is in the range.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.start <= key && key < &self.end[..]
    }
}

/// The record of a user key.
pub fn record(group: GroupId, slot: Slot, key: &[u8]) -> Bytes {
    with_rest(group, slot, KIND_RECORD, key)
}

/// The row of remembered results whose first has this number.
pub fn results(group: GroupId, number: u64) -> Bytes {
    with_rest(group, GROUP_SLOT, KIND_GROUP_RESULTS, &number.to_be_bytes())
}

/// Where a group's applied state, clock, counter and checksum are.
pub fn group_state(group: GroupId) -> Bytes {
    with_rest(group, GROUP_SLOT, KIND_GROUP_STATE, &[])
}

/// Where the slots a group owns are.
pub fn group_slots(group: GroupId) -> Bytes {
    with_rest(group, GROUP_SLOT, KIND_GROUP_SLOTS, &[])
}

/// All rows of a group.
pub fn group_range(group: GroupId) -> KeyRange {
    KeyRange {
        start: with_rest(group, Slot(0), 0, &[]),
        end: with_rest(group, GROUP_SLOT, KIND_END, &[]),
    }
}

/// All rows of a slot.
pub fn slot_range(group: GroupId, slot: Slot) -> KeyRange {
    range(group, slot, 0, KIND_END)
}

/// The remembered results of a group, ascending by number.
pub fn results_range(group: GroupId) -> KeyRange {
    range(group, GROUP_SLOT, KIND_GROUP_RESULTS, KIND_GROUP_RESULTS + 1)
}

/// The records of a slot, ascending by user key.
pub fn record_range(group: GroupId, slot: Slot) -> KeyRange {
    range(group, slot, KIND_RECORD, KIND_RECORD + 1)
}

/// The whole store.
pub fn everything() -> KeyRange {
    KeyRange { start: Bytes::new(), end: Bytes::from_static(&[0xFF; HEAD_BYTES]) }
}

/// The group a key belongs to; `None` for bytes that are no key of ours.
pub fn group_of(key: &[u8]) -> Option<GroupId> {
    (key.len() >= HEAD_BYTES).then_some(())?;
    key.first_chunk().map(|group| GroupId(u64::from_be_bytes(*group)))
}

fn range(group: GroupId, slot: Slot, from: u8, to: u8) -> KeyRange {
    KeyRange { start: with_rest(group, slot, from, &[]), end: with_rest(group, slot, to, &[]) }
}

fn with_rest(group: GroupId, slot: Slot, kind: u8, rest: &[u8]) -> Bytes {
    let mut key = BytesMut::with_capacity(HEAD_BYTES + rest.len());
    key.put_u64(group.0);
    key.put_u16(slot.0);
    key.put_u8(kind);
    key.put_slice(rest);
    key.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn user_key() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(any::<u8>(), 1..40)
    }

    proptest! {
        #[test]
        fn a_user_key_is_only_ever_in_the_record_range_of_its_own_slot(
            group in 0u64..u64::MAX, other_group in 0u64..u64::MAX,
            slot in 0u16..32_768, other_slot in 0u16..32_768, key in user_key(), number in any::<u64>(),
        ) {
            let (group, slot, other_slot) = (GroupId(group), Slot(slot), Slot(other_slot));
            let row = record(group, slot, &key);
            prop_assert!(record_range(group, slot).contains(&row));
            prop_assert!(slot_range(group, slot).contains(&row));
            prop_assert!(group_range(group).contains(&row));
            prop_assert!(everything().contains(&row));
            prop_assert!(!results_range(group).contains(&row));
            prop_assert_ne!(&row, &group_state(group));
            prop_assert_ne!(&row, &group_slots(group));
            prop_assert_ne!(&row, &results(group, number));
            prop_assert_eq!(slot_range(group, other_slot).contains(&row), slot == other_slot);
            prop_assert_eq!(group_range(GroupId(other_group)).contains(&row), group.0 == other_group);
            prop_assert_eq!(group_of(&row), Some(group));
        }

        #[test]
        fn rows_sort_by_user_key_and_results_by_number(
            a in user_key(), b in user_key(), m in any::<u64>(), n in any::<u64>(),
        ) {
            let (group, slot) = (GroupId(7), Slot(9));
            prop_assert_eq!(record(group, slot, &a).cmp(&record(group, slot, &b)), a.cmp(&b));
            prop_assert_eq!(results(group, m).cmp(&results(group, n)), m.cmp(&n));
            prop_assert!(results_range(group).contains(&results(group, n)));
            prop_assert!(!slot_range(group, slot).contains(&results(group, n)));
        }

        #[test]
        fn any_bytes_name_a_group_or_none(bytes in prop::collection::vec(any::<u8>(), 0..30)) {
            prop_assert_eq!(group_of(&bytes).is_some(), bytes.len() >= HEAD_BYTES);
        }
    }

    #[test]
    fn the_rows_of_a_group_itself_are_in_its_range_but_in_no_slot() {
        let group = GroupId(3);
        for row in [group_state(group), group_slots(group), results(group, 1)] {
            assert!(group_range(group).contains(&row));
            assert!(!slot_range(group, Slot(32_767)).contains(&row));
        }
    }

    #[test]
    fn the_layout_is_fixed() {
        let row = record(GroupId(0x0102_0304_0506_0708), Slot(0x0A0B), b"k");
        assert_eq!(&row[..], &[1, 2, 3, 4, 5, 6, 7, 8, 0x0A, 0x0B, 2, b'k']);
    }
}
