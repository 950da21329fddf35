//! Shared pieces of the node's own byte formats: the version byte and the trailing checksum.
//!
//! Every format starts with a version byte; an unknown one is refused, never skipped. What rests
//! on disk ends in the xxh3 hash of all bytes before it, so that damage is found when it is read.

use bytes::Buf;
use ringkv_consensus::DecodeError;
use xxhash_rust::xxh3::xxh3_64;

/// Bytes that [`seal`] adds.
pub(crate) const SEAL_BYTES: usize = 8;

/// Appends the checksum of all bytes so far.
pub(crate) fn seal(out: &mut Vec<u8>) {
    let sum = xxh3_64(out);
    out.extend_from_slice(&sum.to_le_bytes());
}

/// The bytes before the checksum, once it has been found right.
pub(crate) fn unseal(bytes: &[u8]) -> Result<&[u8], DecodeError> {
    let (body, sum) = bytes.split_last_chunk::<SEAL_BYTES>().ok_or(DecodeError::EndedEarly)?;
    if xxh3_64(body) == u64::from_le_bytes(*sum) { Ok(body) } else { Err(DecodeError::Checksum) }
}

/// Takes the version byte and refuses any but the known one.
pub(crate) fn take_version(input: &mut &[u8], known: u8) -> Result<(), DecodeError> {
    let found = input.try_get_u8()?;
    if found == known { Ok(()) } else { Err(DecodeError::Version { found, known }) }
}

/// Takes the next `len` bytes.
pub(crate) fn take_bytes<'a>(input: &mut &'a [u8], len: usize) -> Result<&'a [u8], DecodeError> {
    let (taken, rest) = input.split_at_checked(len).ok_or(DecodeError::EndedEarly)?;
    *input = rest;
    Ok(taken)
}

/// Takes a fixed number of bytes.
pub(crate) fn take_array<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], DecodeError> {
    let (taken, rest) = input.split_first_chunk::<N>().ok_or(DecodeError::EndedEarly)?;
    *input = rest;
    Ok(*taken)
}

/// Takes a flag byte, which is 0 or 1.
pub(crate) fn take_flag(input: &mut &[u8]) -> Result<bool, DecodeError> {
    match input.try_get_u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(DecodeError::Implausible("flag")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_flipped_bit_breaks_the_seal(
            bytes in prop::collection::vec(any::<u8>(), 0..64),
            at in any::<prop::sample::Index>(),
            bit in 0u8..8,
        ) {
            let mut sealed = bytes.clone();
            seal(&mut sealed);
            prop_assert_eq!(unseal(&sealed), Ok(&bytes[..]));
            let at = at.index(sealed.len());
            sealed[at] ^= 1 << bit;
            prop_assert_eq!(unseal(&sealed), Err(DecodeError::Checksum));
        }
    }

    #[test]
    fn an_unknown_version_is_refused() {
        assert_eq!(
            take_version(&mut &[9u8][..], 1),
            Err(DecodeError::Version { found: 9, known: 1 })
        );
        assert_eq!(take_version(&mut &[][..], 1), Err(DecodeError::EndedEarly));
    }
}
