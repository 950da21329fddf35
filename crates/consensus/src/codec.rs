//! Shared pieces of the crate's own byte formats: version bytes, checksums, and their error.
//!
//! Every format starts with a version byte; an unknown one is refused, never skipped. What rests
//! on disk or crosses the network ends in a CRC-32 of all bytes before it.

/// Why bytes are not a value of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The value goes on after the last byte.
    #[error("the bytes end early")]
    EndedEarly,
    /// There are bytes after the value.
    #[error("bytes are left over")]
    TrailingBytes,
    /// A byte was changed since the value was written.
    #[error("the checksum does not match")]
    Checksum,
    /// The value was written by a build with another format.
    #[error("format version {found} is not known (this build knows {known})")]
    Version {
        /// The version byte of the value.
        found: u8,
        /// The only version this build reads.
        known: u8,
    },
    /// A number or name that no value of ours has; says which.
    #[error("implausible {0}")]
    Implausible(&'static str),
}

impl From<bytes::TryGetError> for DecodeError {
    fn from(_: bytes::TryGetError) -> Self {
        Self::EndedEarly
    }
}

/// The bytes before a trailing little-endian CRC-32, once it has been found right.
pub(crate) fn checked(bytes: &[u8]) -> Result<&[u8], DecodeError> {
    let (body, sum) = bytes.split_last_chunk::<4>().ok_or(DecodeError::EndedEarly)?;
    if crc32fast::hash(body) == u32::from_le_bytes(*sum) {
        Ok(body)
    } else {
        Err(DecodeError::Checksum)
    }
}

/// Takes the version byte and refuses any but the known one.
///
/// # Errors
/// `DecodeError` when there is no byte, or another version.
pub fn take_version(input: &mut &[u8], known: u8) -> Result<(), DecodeError> {
    match input.split_first() {
        None => Err(DecodeError::EndedEarly),
        Some((&found, rest)) if found == known => {
            *input = rest;
            Ok(())
        }
        Some((&found, _)) => Err(DecodeError::Version { found, known }),
    }
}
