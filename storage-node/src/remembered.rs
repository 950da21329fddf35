//! The row of a remembered outcome: what a retry of the same request is answered from.
//!
//! Layout (little endian): version u8, chosen by user u8, identity 16 bytes, fingerprint u64,
//! at_ms u64, the outcome, checksum of all before. Written once, dropped once, never changed.

use bytes::{Buf, BufMut, Bytes};
use ringkv_consensus::DecodeError;
use xxhash_rust::xxh3::xxh3_128;

use crate::command::RequestId;
use crate::format;

const VERSION: u8 = 1;

/// A request id within its key: the same id on another key is another request. That way it does
/// not depend on which keys share a slot or a group whether an id counts as used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity(pub(crate) [u8; 16]);

impl Identity {
    pub(crate) fn new(request: &RequestId, key: &[u8]) -> Self {
        Self((u128::from_le_bytes(request.id) ^ xxh3_128(key)).to_le_bytes())
    }
}

/// A row, read in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remembered<'a> {
    pub(crate) chosen_by_user: bool,
    pub(crate) identity: Identity,
    pub(crate) fingerprint: u64,
    /// The group clock when the outcome came about.
    pub(crate) at_ms: u64,
    pub(crate) outcome: &'a [u8],
}

impl<'a> Remembered<'a> {
    pub(crate) fn encode(&self) -> Bytes {
        let len = 2 + 16 + 8 + 8 + self.outcome.len() + format::SEAL_BYTES;
        let mut out = Vec::with_capacity(len);
        out.put_u8(VERSION);
        out.put_u8(u8::from(self.chosen_by_user));
        out.put_slice(&self.identity.0);
        out.put_u64_le(self.fingerprint);
        out.put_u64_le(self.at_ms);
        out.put_slice(self.outcome);
        format::seal(&mut out);
        Bytes::from(out)
    }

    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut cursor = format::unseal(bytes)?;
        let input = &mut cursor;
        format::take_version(input, VERSION)?;
        Ok(Self {
            chosen_by_user: format::take_flag(input)?,
            identity: Identity(format::take_array(input)?),
            fingerprint: input.try_get_u64_le()?,
            at_ms: input.try_get_u64_le()?,
            outcome: input,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_row_comes_back_as_it_was(
            chosen_by_user in any::<bool>(), identity in any::<[u8; 16]>(),
            fingerprint in any::<u64>(), at_ms in any::<u64>(),
            outcome in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let identity = Identity(identity);
            let row = Remembered { chosen_by_user, identity, fingerprint, at_ms, outcome: &outcome };
            let bytes = row.encode();
            prop_assert_eq!(Remembered::decode(&bytes), Ok(row));
        }

        #[test]
        fn any_bytes_decode_or_fail_without_panic(
            mut bytes in prop::collection::vec(any::<u8>(), 0..80), sealed in any::<bool>(),
        ) {
            if sealed {
                bytes.insert(0, VERSION);
                format::seal(&mut bytes);
            }
            let _ = Remembered::decode(&bytes);
        }
    }

    #[test]
    fn one_id_on_two_keys_is_two_requests() {
        let request = RequestId { id: [7; 16], chosen_by_user: true };
        assert_eq!(Identity::new(&request, b"a"), Identity::new(&request, b"a"));
        assert_ne!(Identity::new(&request, b"a"), Identity::new(&request, b"b"));
    }
}
