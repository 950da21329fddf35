//! The payload of a log entry: the commands of one batch and the leader's clock.
//!
//! Many commands in one entry are what makes consensus cheap per command. Encoded once by the
//! leader; the same bytes go to the log, to the followers and to the state machine.
//! Layout: version u8, clock_ms u64, count u32, then count times (length u32, bytes); all LE.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::codec::DecodeError;

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 1 + 8 + 4;

/// An encoded batch of commands, checked when made from bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandBatch {
    bytes: Bytes,
}

impl CommandBatch {
    /// Encodes commands under the leader's wall clock, milliseconds since the Unix epoch.
    pub fn new<'a>(
        clock_ms: u64,
        commands: impl ExactSizeIterator<Item = &'a Bytes> + Clone,
    ) -> Self {
        let total: usize = commands.clone().map(|c| 4 + c.len()).sum();
        let mut out = BytesMut::with_capacity(HEADER_BYTES + total);
        out.put_u8(VERSION);
        out.put_u64_le(clock_ms);
        out.put_u32_le(len_u32(commands.len()));
        for command in commands {
            out.put_u32_le(len_u32(command.len()));
            out.put_slice(command);
        }
        Self { bytes: out.freeze() }
    }

    /// Checks that the bytes are a whole batch.
    ///
    /// # Errors
    /// `DecodeError` for another version, a length that does not fit, or bytes left over.
    pub fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        let mut input = &bytes[..];
        crate::codec::take_version(&mut input, VERSION)?;
        input.try_get_u64_le()?;
        for _ in 0..input.try_get_u32_le()? {
            let len = input.try_get_u32_le()? as usize;
            input = input.get(len..).ok_or(DecodeError::EndedEarly)?;
        }
        if input.is_empty() { Ok(Self { bytes }) } else { Err(DecodeError::TrailingBytes) }
    }

    /// The leader's wall clock when the entry was made, milliseconds since the Unix epoch. May
    /// fall from one entry to the next: the machine takes the maximum seen.
    pub fn clock_ms(&self) -> u64 {
        (&self.bytes[1..]).get_u64_le()
    }

    /// How many commands.
    pub fn count(&self) -> usize {
        (&self.bytes[9..]).get_u32_le() as usize
    }

    /// The commands in order, sharing the memory of the batch.
    pub fn commands(&self) -> impl Iterator<Item = Bytes> + '_ {
        let mut at = HEADER_BYTES;
        (0..self.count()).map(move |_| {
            let len = (&self.bytes[at..]).get_u32_le() as usize;
            at += 4 + len;
            self.bytes.slice(at - len..at)
        })
    }

    /// The whole encoded batch.
    pub fn as_bytes(&self) -> &Bytes {
        &self.bytes
    }
}

fn len_u32(len: usize) -> u32 {
    u32::try_from(len).expect("a batch is bounded by the entry size limit")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn commands_come_back_as_they_went_in(
            clock in any::<u64>(),
            commands in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..20),
        ) {
            let commands: Vec<Bytes> = commands.into_iter().map(Bytes::from).collect();
            let batch = CommandBatch::new(clock, commands.iter());
            let decoded = CommandBatch::decode(batch.as_bytes().clone()).expect("a batch just made");
            prop_assert_eq!(decoded.clock_ms(), clock);
            prop_assert_eq!(decoded.commands().collect::<Vec<_>>(), commands);
        }

        #[test]
        fn any_bytes_decode_or_fail_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(batch) = CommandBatch::decode(Bytes::from(bytes)) {
                prop_assert_eq!(batch.commands().count(), batch.count());
            }
        }
    }
}
