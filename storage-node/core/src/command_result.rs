//! The result of a command: it travels from the state machine to the client, and a retry of the
//! same request gets it again.
//!
//! Layout: version u8, tag u8, and for a write flags u8, revision u64 LE and the row of the
//! previous record if wanted (it keeps its own checksum); for a failed precondition the current
//! revision u64 LE.

use bytes::{Buf, BufMut, Bytes};
use ringkv_consensus::DecodeError;
use ringkv_kv_types::Written;

use crate::format;
use crate::record::RecordView;

const VERSION: u8 = 1;
const WRITTEN: u8 = 0;
const PRECONDITION_FAILED: u8 = 1;
const KEY_ABSENT: u8 = 2;
const MOVED: u8 = 3;
const REQUEST_ID_REUSED: u8 = 4;
const BUSY: u8 = 5;

const EXISTED: u8 = 1;
const REPEATED: u8 = 2;
const PREVIOUS: u8 = 4;

/// The result of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandResult {
    Written(Written),
    Rejected(Rejection),
}

/// The write did not apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The revision of the present record, 0 if the key is absent.
    PreconditionFailed { current_revision: u64 },
    /// A delete of a key that is not there.
    KeyAbsent,
    /// The group does not own the slot.
    Moved,
    /// Another write of this key carried this request id.
    RequestIdReused,
    /// The group cannot remember another request id now.
    Busy,
}

impl Rejection {
    /// Whether a retry must get this very answer: it was decided by data that may change. The
    /// others may be decided again, since nothing was done.
    pub(crate) fn is_remembered(self) -> bool {
        matches!(self, Self::PreconditionFailed { .. } | Self::KeyAbsent)
    }

    pub(crate) fn encode(self) -> Bytes {
        let mut out = Vec::with_capacity(2 + 8);
        out.put_u8(VERSION);
        match self {
            Self::PreconditionFailed { current_revision } => {
                out.put_u8(PRECONDITION_FAILED);
                out.put_u64_le(current_revision);
            }
            Self::KeyAbsent => out.put_u8(KEY_ABSENT),
            Self::Moved => out.put_u8(MOVED),
            Self::RequestIdReused => out.put_u8(REQUEST_ID_REUSED),
            Self::Busy => out.put_u8(BUSY),
        }
        Bytes::from(out)
    }
}

/// The result of a first write; `previous` is the row of the record before, if asked for.
pub(crate) fn encode_written(revision: u64, existed: bool, previous: Option<&[u8]>) -> Bytes {
    let mut out = Vec::with_capacity(3 + 8 + previous.map_or(0, <[u8]>::len));
    out.put_u8(VERSION);
    out.put_u8(WRITTEN);
    let existed = if existed { EXISTED } else { 0 };
    out.put_u8(existed | if previous.is_some() { PREVIOUS } else { 0 });
    out.put_u64_le(revision);
    out.put_slice(previous.unwrap_or_default());
    Bytes::from(out)
}

/// A remembered result, for a retry.
pub(crate) fn repeat(first: &[u8]) -> Bytes {
    let mut out = first.to_vec();
    if let [_, WRITTEN, flags, ..] = &mut out[..] {
        *flags |= REPEATED;
    }
    Bytes::from(out)
}

impl CommandResult {
    /// Decodes what the state machine returned for a command.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut cursor = bytes;
        let input = &mut cursor;
        format::take_version(input, VERSION)?;
        let rejection = match input.try_get_u8()? {
            WRITTEN => return Ok(Self::Written(take_written(input)?)),
            PRECONDITION_FAILED => {
                Rejection::PreconditionFailed { current_revision: input.try_get_u64_le()? }
            }
            KEY_ABSENT => Rejection::KeyAbsent,
            MOVED => Rejection::Moved,
            REQUEST_ID_REUSED => Rejection::RequestIdReused,
            BUSY => Rejection::Busy,
            _ => return Err(DecodeError::Implausible("result tag")),
        };
        if input.is_empty() {
            Ok(Self::Rejected(rejection))
        } else {
            Err(DecodeError::TrailingBytes)
        }
    }
}

fn take_written(input: &mut &[u8]) -> Result<Written, DecodeError> {
    let flags = input.try_get_u8()?;
    let revision = input.try_get_u64_le()?;
    let previous = if flags & PREVIOUS != 0 {
        Some(RecordView::decode(input)?.to_record(true))
    } else if input.is_empty() {
        None
    } else {
        return Err(DecodeError::TrailingBytes);
    };
    Ok(Written {
        revision,
        existed: flags & EXISTED != 0,
        previous,
        repeated: flags & REPEATED != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{self, Stamp};
    use proptest::prelude::*;

    fn rejections() -> [Rejection; 5] {
        [
            Rejection::PreconditionFailed { current_revision: 7 },
            Rejection::KeyAbsent,
            Rejection::Moved,
            Rejection::RequestIdReused,
            Rejection::Busy,
        ]
    }

    #[test]
    fn rejections_come_back_as_they_were_and_are_no_different_the_second_time() {
        for rejection in rejections() {
            let bytes = rejection.encode();
            assert_eq!(CommandResult::decode(&bytes), Ok(CommandResult::Rejected(rejection)));
            assert_eq!(repeat(&bytes), bytes);
        }
    }

    #[test]
    fn a_write_comes_back_with_the_record_before_and_says_when_it_is_repeated() {
        let stamp = Stamp { revision: 3, created_ms: 1, updated_ms: 2, expires_ms: 0 };
        let row = record::encode(&stamp, &[0, 0, 0], b"old");
        let previous = RecordView::decode(&row).expect("a record").to_record(true);
        let first = encode_written(9, true, Some(&row));
        let mut written =
            Written { revision: 9, existed: true, previous: Some(previous), repeated: false };
        assert_eq!(CommandResult::decode(&first), Ok(CommandResult::Written(written.clone())));
        written.repeated = true;
        assert_eq!(CommandResult::decode(&repeat(&first)), Ok(CommandResult::Written(written)));
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_fail_without_panic(
            mut bytes in prop::collection::vec(any::<u8>(), 0..60), plausible in any::<bool>(),
        ) {
            if plausible {
                bytes.insert(0, VERSION);
            }
            let _ = CommandResult::decode(&bytes);
        }
    }
}
