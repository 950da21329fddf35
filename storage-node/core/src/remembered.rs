//! The row of the results of one entry: what a retry of any of its requests is answered from.
//!
//! One row for all requests of an entry with the same kind of id: a row for each would cost every
//! write another insert far from its record. Written once, dropped whole, never changed.
//! Layout (little endian): version u8, chosen by user u8, at_ms u64, count u32, then for each
//! result slot u16, number u64, identity 16 bytes, fingerprint u64, length u32, bytes; checksum of
//! all before.

use bytes::{Buf, BufMut, Bytes};
use ringkv_consensus::DecodeError;
use ringkv_kv_types::RequestId;
use ringkv_topology::Slot;
use xxhash_rust::xxh3::xxh3_128;

use crate::format;

const VERSION: u8 = 1;
const ROW_HEAD_BYTES: usize = 1 + 1 + 8 + 4;
const RESULT_HEAD_BYTES: usize = 2 + 8 + 16 + 8 + 4;

/// A request id within its key: the same id on another key is another request. That way it does
/// not depend on which keys share a slot or a group whether an id counts as used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity(pub(crate) [u8; 16]);

impl Identity {
    pub(crate) fn new(request: &RequestId, key: &[u8]) -> Self {
        Self((u128::from_le_bytes(request.id) ^ xxh3_128(key)).to_le_bytes())
    }
}

/// One remembered result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remembered {
    /// Whose it is: it goes where the slot goes.
    pub(crate) slot: Slot,
    pub(crate) number: u64,
    pub(crate) identity: Identity,
    pub(crate) fingerprint: u64,
    pub(crate) result: Bytes,
}

/// The results of one entry and one kind of request id, ascending by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResultRow {
    pub(crate) chosen_by_user: bool,
    /// The group clock of the entry.
    pub(crate) at_ms: u64,
    pub(crate) results: Vec<Remembered>,
}

impl ResultRow {
    pub(crate) fn new(chosen_by_user: bool, at_ms: u64) -> Self {
        Self { chosen_by_user, at_ms, results: Vec::new() }
    }

    /// The number of its first result, by which the row is found; `None` while it has none.
    pub(crate) fn number(&self) -> Option<u64> {
        self.results.first().map(|first| first.number)
    }

    /// The result of a request.
    pub(crate) fn find(&self, identity: &Identity) -> Option<&Remembered> {
        self.results.iter().find(|result| result.identity == *identity)
    }

    pub(crate) fn encode(&self) -> Bytes {
        let results: usize =
            self.results.iter().map(|one| RESULT_HEAD_BYTES + one.result.len()).sum();
        let mut out = Vec::with_capacity(ROW_HEAD_BYTES + results + format::SEAL_BYTES);
        out.put_u8(VERSION);
        out.put_u8(u8::from(self.chosen_by_user));
        out.put_u64_le(self.at_ms);
        out.put_u32_le(len_u32(self.results.len()));
        for one in &self.results {
            out.put_u16_le(one.slot.0);
            out.put_u64_le(one.number);
            out.put_slice(&one.identity.0);
            out.put_u64_le(one.fingerprint);
            out.put_u32_le(len_u32(one.result.len()));
            out.put_slice(&one.result);
        }
        format::seal(&mut out);
        Bytes::from(out)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut cursor = format::unseal(bytes)?;
        let input = &mut cursor;
        format::take_version(input, VERSION)?;
        let mut row = Self::new(format::take_flag(input)?, input.try_get_u64_le()?);
        for _ in 0..input.try_get_u32_le()? {
            row.results.push(Remembered {
                slot: Slot(input.try_get_u16_le()?),
                number: input.try_get_u64_le()?,
                identity: Identity(format::take_array(input)?),
                fingerprint: input.try_get_u64_le()?,
                result: {
                    let len = input.try_get_u32_le()? as usize;
                    Bytes::copy_from_slice(format::take_bytes(input, len)?)
                },
            });
        }
        if input.is_empty() { Ok(row) } else { Err(DecodeError::TrailingBytes) }
    }
}

fn len_u32(len: usize) -> u32 {
    u32::try_from(len).expect("an entry and its values are bounded")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn remembered() -> impl Strategy<Value = Remembered> {
        (
            any::<u16>(),
            any::<[u8; 16]>(),
            any::<(u64, u64)>(),
            prop::collection::vec(any::<u8>(), 0..40),
        )
            .prop_map(|(slot, identity, (number, fingerprint), result)| Remembered {
                slot: Slot(slot),
                number,
                identity: Identity(identity),
                fingerprint,
                result: result.into(),
            })
    }

    proptest! {
        #[test]
        fn a_row_comes_back_as_it_was(
            chosen_by_user in any::<bool>(), at_ms in any::<u64>(),
            results in prop::collection::vec(remembered(), 0..5),
        ) {
            let row = ResultRow { chosen_by_user, at_ms, results };
            prop_assert_eq!(ResultRow::decode(&row.encode()), Ok(row));
        }

        #[test]
        fn any_bytes_decode_or_fail_without_panic(
            mut bytes in prop::collection::vec(any::<u8>(), 0..80), sealed in any::<bool>(),
        ) {
            if sealed {
                bytes.insert(0, VERSION);
                format::seal(&mut bytes);
            }
            let _ = ResultRow::decode(&bytes);
        }
    }

    #[test]
    fn one_id_on_two_keys_is_two_requests() {
        let request = RequestId { id: [7; 16], chosen_by_user: true };
        assert_eq!(Identity::new(&request, b"a"), Identity::new(&request, b"a"));
        assert_ne!(Identity::new(&request, b"a"), Identity::new(&request, b"b"));
    }
}
