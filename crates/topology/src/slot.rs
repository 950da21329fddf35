//! From a key to its slot: the tag rule and the fixed hash.
//!
//! The result is part of the data format: it is the same in every process and every version
//! (golden test). `slot = xxh3_64(tag(key)) mod slot_count`.

use xxhash_rust::xxh3::xxh3_64;

use crate::ids::Slot;

/// The number of slots of a cluster: a power of two from 1 to 32,768, fixed at creation.
///
/// Bounded by 32,768 so that the slot numbers above it stay free for other uses in data keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotCount(u16);

impl SlotCount {
    /// The count of a cluster that sets no other.
    pub const DEFAULT: Self = Self(4096);

    /// Accepts a power of two from 1 to 32,768.
    pub fn new(count: u32) -> Option<Self> {
        let count = u16::try_from(count).ok()?;
        (count.is_power_of_two()).then_some(Self(count))
    }

    /// The number of slots.
    pub fn get(self) -> u16 {
        self.0
    }

    /// The slot of a key.
    pub fn slot_of(self, key: &[u8]) -> Slot {
        let hash = xxh3_64(tag(key)) % u64::from(self.0);
        Slot(u16::try_from(hash).expect("a remainder of a u16 fits one"))
    }
}

/// The part of a key that is hashed: the bytes between the first `{` and the next `}` if there
/// are any between them, else the whole key (Redis Cluster's rule).
pub fn tag(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|b| *b == b'{') else {
        return key;
    };
    let rest = &key[open + 1..];
    match rest.iter().position(|b| *b == b'}') {
        Some(close) if close > 0 => &rest[..close],
        _ => key,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_is_what_stands_between_the_first_braces() {
        let cases: [(&[u8], &[u8]); 12] = [
            (b"", b""),
            (b"user", b"user"),
            (b"{user}", b"user"),
            (b"a{user}b", b"user"),
            (b"a{user}{other}", b"user"),
            (b"a{us{er}b", b"us{er"),
            (b"a{}b", b"a{}b"),
            (b"a{}{user}", b"a{}{user}"),
            (b"a{user", b"a{user"),
            (b"a}user{b", b"a}user{b"),
            (b"a}b{user}", b"user"),
            (b"{\xff\x00}\xfe", b"\xff\x00"),
        ];
        for (key, expected) in cases {
            assert_eq!(tag(key), expected, "tag of {:?}", key.escape_ascii().to_string());
        }
    }

    /// These values are part of the data format: a change of them would lose every stored key.
    #[test]
    fn slots_are_the_same_in_every_version() {
        let slot = |key: &[u8]| SlotCount::DEFAULT.slot_of(key).0;
        let found =
            [slot(b""), slot(b"hello"), slot(b"a{hello}b"), slot(b"\x00\xff"), slot(b"key-1")];
        assert_eq!(found, [1218, 3325, 3325, 3059, 2553]);
        assert_eq!(SlotCount(32_768).slot_of(b"hello").0, 23_805);
        assert_eq!(SlotCount(1).slot_of(b"hello").0, 0);
    }

    #[test]
    fn a_slot_count_is_a_power_of_two_that_leaves_room_above() {
        for good in [1, 2, 4096, 32_768] {
            assert_eq!(SlotCount::new(good).map(SlotCount::get).map(u32::from), Some(good));
        }
        for bad in [0, 3, 4095, 65_535, 65_536, u32::MAX] {
            assert_eq!(SlotCount::new(bad), None);
        }
    }
}
