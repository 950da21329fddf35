//! Which slots a group owns, and the settings of the cluster that its state machine needs.
//!
//! The KV machine's genesis context, and a row of the group next to its state. Layout: version u8,
//! slot count u32 LE, largest value u32 LE, one bit per slot, checksum of all before.

use bytes::{Buf, BufMut, Bytes};
use ringkv_consensus::DecodeError;
use ringkv_topology::{Slot, SlotCount};

use crate::format;

const VERSION: u8 = 1;

/// A set of slots out of a cluster's, with the cluster's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedSlots {
    slot_count: SlotCount,
    value_bytes_max: u32,
    /// Bit `slot % 8` of byte `slot / 8`.
    bits: Box<[u8]>,
}

impl OwnedSlots {
    /// The given slots; those beyond the slot count are not slots of the cluster and left out.
    pub fn new(
        slot_count: SlotCount,
        value_bytes_max: u32,
        slots: impl IntoIterator<Item = Slot>,
    ) -> Self {
        let mut bits = vec![0; bitmap_bytes(slot_count)].into_boxed_slice();
        for slot in slots.into_iter().filter(|slot| slot.0 < slot_count.get()) {
            bits[usize::from(slot.0 / 8)] |= 1 << (slot.0 % 8);
        }
        Self { slot_count, value_bytes_max, bits }
    }

    /// Whether the group owns the slot.
    pub fn contains(&self, slot: Slot) -> bool {
        let byte = self.bits.get(usize::from(slot.0 / 8)).copied().unwrap_or(0);
        byte & (1 << (slot.0 % 8)) != 0
    }

    /// The owned slots, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Slot> + '_ {
        (0..self.slot_count.get()).map(Slot).filter(|slot| self.contains(*slot))
    }

    /// The cluster's number of slots.
    pub fn slot_count(&self) -> SlotCount {
        self.slot_count
    }

    /// The largest value a write may carry, bytes.
    pub fn value_bytes_max(&self) -> u32 {
        self.value_bytes_max
    }

    /// The bytes for [`ringkv_consensus::Genesis::context`].
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(9 + self.bits.len() + format::SEAL_BYTES);
        out.put_u8(VERSION);
        out.put_u32_le(u32::from(self.slot_count.get()));
        out.put_u32_le(self.value_bytes_max);
        out.put_slice(&self.bits);
        format::seal(&mut out);
        Bytes::from(out)
    }

    /// The reverse of [`Self::encode`].
    ///
    /// # Errors
    /// `DecodeError` for damage, an unknown version, or slots that cannot be.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = format::unseal(bytes)?;
        format::take_version(&mut input, VERSION)?;
        let slot_count = SlotCount::new(input.try_get_u32_le()?)
            .ok_or(DecodeError::Implausible("slot count"))?;
        let value_bytes_max = input.try_get_u32_le()?;
        if input.len() != bitmap_bytes(slot_count) {
            return Err(DecodeError::Implausible("slot bits"));
        }
        let stray = slot_count.get() < 8 && input[0] >> slot_count.get() != 0;
        if stray {
            return Err(DecodeError::Implausible("slot bits"));
        }
        Ok(Self { slot_count, value_bytes_max, bits: input.into() })
    }
}

fn bitmap_bytes(slot_count: SlotCount) -> usize {
    usize::from(slot_count.get()).div_ceil(8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn owned_slots_come_back_as_they_were(
            power in 0u32..=15, slots in prop::collection::btree_set(any::<u16>(), 0..60),
            value_bytes_max in any::<u32>(),
        ) {
            let count = SlotCount::new(1 << power).expect("a power of two");
            let owned = OwnedSlots::new(count, value_bytes_max, slots.iter().copied().map(Slot));
            let decoded = OwnedSlots::decode(&owned.encode()).expect("owned slots just made");
            prop_assert_eq!(&decoded, &owned);
            let expected: BTreeSet<u16> =
                slots.into_iter().filter(|slot| *slot < count.get()).collect();
            prop_assert_eq!(decoded.iter().map(|slot| slot.0).collect::<BTreeSet<_>>(), expected);
            prop_assert_eq!(decoded.value_bytes_max(), value_bytes_max);
        }

        #[test]
        fn any_bytes_decode_or_fail_without_panic(
            mut bytes in prop::collection::vec(any::<u8>(), 0..40), count in 0u32..40, sealed in any::<bool>(),
        ) {
            if sealed {
                bytes.splice(0..0, count.to_le_bytes());
                bytes.insert(0, VERSION);
                format::seal(&mut bytes);
            }
            if let Ok(owned) = OwnedSlots::decode(&bytes) {
                prop_assert!(owned.iter().all(|slot| slot.0 < owned.slot_count().get()));
            }
        }
    }

    #[test]
    fn a_slot_of_no_cluster_is_owned_by_none() {
        let all = OwnedSlots::new(SlotCount::DEFAULT, 1, (0..=u16::MAX).map(Slot));
        assert!(all.contains(Slot(4095)));
        assert!(!all.contains(Slot(4096)) && !all.contains(Slot(u16::MAX)));
    }
}
