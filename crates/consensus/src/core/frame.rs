//! Frames: the Raft messages of many groups from one node to another, in one run of bytes.
//!
//! Layout, all little-endian: version u8, count u32, messages, CRC-32. A message: group, to, from,
//! term, log_term, index, commit, commit_term, request_snapshot, reject_hint (u64 each), type u8,
//! reject u8, context (length u16, bytes), entries (count u32, then kind u8, term u64, length u32,
//! data; indexes follow the message's index). Snapshots travel apart: a snapshot message carries
//! no snapshot here. Nothing is parsed by rust-protobuf. Entry data shares the frame's memory.

use bytes::{Buf, BufMut, Bytes};
use raft::eraftpb::{self, MessageType};
use ringkv_topology::{GroupId, ReplicaId};

use crate::codec::{DecodeError, checked, take_version};
use crate::core::wire::{from_raft, to_raft};
use crate::log_store::{Entry, EntryKind};
use crate::position::LogPosition;

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 1 + 4;

/// The types that may travel, by their number on the wire. Local ones and forwarded proposals or
/// reads are not among them: a frame cannot make a node propose.
const TYPES: [(u8, MessageType); 10] = [
    (1, MessageType::MsgAppend),
    (2, MessageType::MsgAppendResponse),
    (3, MessageType::MsgRequestVote),
    (4, MessageType::MsgRequestVoteResponse),
    (5, MessageType::MsgSnapshot),
    (6, MessageType::MsgHeartbeat),
    (7, MessageType::MsgHeartbeatResponse),
    (8, MessageType::MsgTimeoutNow),
    (9, MessageType::MsgRequestPreVote),
    (10, MessageType::MsgRequestPreVoteResponse),
];

/// Collects the messages for one node.
pub(crate) struct FrameBuilder {
    bytes: Vec<u8>,
    count: u32,
}

impl FrameBuilder {
    pub(crate) fn new() -> Self {
        let mut bytes = Vec::with_capacity(512);
        bytes.put_u8(VERSION);
        bytes.put_u32_le(0);
        Self { bytes, count: 0 }
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Appends a message; returns false for a type that does not travel.
    pub(crate) fn push(&mut self, group: GroupId, message: &eraftpb::Message) -> bool {
        let kind = TYPES.iter().find(|(_, t)| *t == message.get_msg_type());
        let Some((kind, _)) = kind else { return false };
        let out = &mut self.bytes;
        for field in [
            group.0,
            message.to,
            message.from,
            message.term,
            message.log_term,
            message.index,
            message.commit,
            message.commit_term,
            message.request_snapshot,
            message.reject_hint,
        ] {
            out.put_u64_le(field);
        }
        out.put_u8(*kind);
        out.put_u8(u8::from(message.reject));
        out.put_u16_le(u16::try_from(message.context.len()).expect("contexts are ours and short"));
        out.put_slice(&message.context);
        out.put_u32_le(u32::try_from(message.entries.len()).expect("appends are bounded"));
        for (index, entry) in (message.index + 1..).zip(&message.entries) {
            // Only the first index travels: entries that do not follow it would become others.
            assert_eq!(entry.index, index, "the entries of an append follow its index");
            let entry = from_raft(entry);
            out.put_u8(entry.kind.number());
            out.put_u64_le(entry.position.term.0);
            out.put_u32_le(u32::try_from(entry.data.len()).expect("entries are bounded"));
            out.put_slice(&entry.data);
        }
        self.count += 1;
        true
    }

    /// The frame; `None` if nothing was pushed.
    pub(crate) fn finish(mut self) -> Option<Bytes> {
        if self.count == 0 {
            return None;
        }
        self.bytes[1..HEADER_BYTES].copy_from_slice(&self.count.to_le_bytes());
        let sum = crc32fast::hash(&self.bytes);
        self.bytes.put_u32_le(sum);
        Some(self.bytes.into())
    }
}

/// The messages of a frame.
///
/// # Errors
/// `DecodeError` for a damaged frame, another version, or a message type that may not travel.
pub(crate) fn decode(frame: &Bytes) -> Result<Vec<(GroupId, eraftpb::Message)>, DecodeError> {
    let mut input = checked(frame)?;
    let input = &mut input;
    take_version(input, VERSION)?;
    let count = input.try_get_u32_le()?;
    let mut messages = Vec::new();
    for _ in 0..count {
        messages.push(message(input, frame)?);
    }
    if input.is_empty() { Ok(messages) } else { Err(DecodeError::TrailingBytes) }
}

/// The group and the replica that a frame of one message is for.
///
/// # Errors
/// `DecodeError` for a frame that cannot be read, or has another number of messages.
pub fn addressee(frame: &Bytes) -> Result<(GroupId, ReplicaId), DecodeError> {
    match decode(frame)?.as_slice() {
        [(group, message)] => Ok((*group, ReplicaId(message.to))),
        _ => Err(DecodeError::Implausible("count of messages")),
    }
}

fn message(input: &mut &[u8], frame: &Bytes) -> Result<(GroupId, eraftpb::Message), DecodeError> {
    let group = GroupId::from_wire(input.try_get_u64_le()?);
    let group = group.ok_or(DecodeError::Implausible("group"))?;
    let mut out = eraftpb::Message::default();
    for field in [
        &mut out.to,
        &mut out.from,
        &mut out.term,
        &mut out.log_term,
        &mut out.index,
        &mut out.commit,
        &mut out.commit_term,
        &mut out.request_snapshot,
        &mut out.reject_hint,
    ] {
        *field = input.try_get_u64_le()?;
    }
    if out.to == 0 || out.from == 0 {
        return Err(DecodeError::Implausible("replica"));
    }
    let kind = input.try_get_u8()?;
    let kind = TYPES.iter().find(|(number, _)| *number == kind);
    out.set_msg_type(kind.ok_or(DecodeError::Implausible("message type"))?.1);
    out.reject = input.try_get_u8()? != 0;
    let context = usize::from(input.try_get_u16_le()?);
    out.context = take(input, frame, context)?;
    let mut entries = Vec::new();
    for i in 1..=u64::from(input.try_get_u32_le()?) {
        let kind = EntryKind::from_number(input.try_get_u8()?)?;
        let term = input.try_get_u64_le()?;
        let len = input.try_get_u32_le()? as usize;
        let data = take(input, frame, len)?;
        let index = out.index.checked_add(i).ok_or(DecodeError::Implausible("index"))?;
        entries.push(to_raft(&Entry { position: LogPosition::new(term, index), kind, data }));
    }
    out.set_entries(entries.into());
    Ok((group, out))
}

/// Takes `len` bytes from the front, sharing the frame's memory.
fn take(input: &mut &[u8], frame: &Bytes, len: usize) -> Result<Bytes, DecodeError> {
    let (head, rest) = input.split_at_checked(len).ok_or(DecodeError::EndedEarly)?;
    *input = rest;
    Ok(if head.is_empty() { Bytes::new() } else { frame.slice_ref(head) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_entry() -> impl Strategy<Value = (u8, u64, Vec<u8>)> {
        (0u8..3, any::<u64>(), prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(k, t, d)| {
            // Commands without bytes do not exist, nor do empty entries with bytes.
            match k {
                0 => (0, t, Vec::new()),
                1 if d.is_empty() => (1, t, vec![1]),
                _ => (k, t, d),
            }
        })
    }

    proptest! {
        #[test]
        fn messages_come_back_as_they_went_in(
            kind in 0usize..TYPES.len(),
            ids in (1u64.., 1u64.., 1u64..),
            numbers in prop::array::uniform6(any::<u64>()),
            index in 0..u64::MAX / 2,
            reject in any::<bool>(),
            context in prop::collection::vec(any::<u8>(), 0..20),
            entries in prop::collection::vec(any_entry(), 0..5),
        ) {
            let mut message = eraftpb::Message::default();
            message.set_msg_type(TYPES[kind].1);
            (message.to, message.from) = (ids.0, ids.1);
            [message.term, message.log_term, message.commit, message.commit_term,
             message.request_snapshot, message.reject_hint] = numbers;
            message.index = index;
            message.reject = reject;
            message.context = context.into();
            let entries: Vec<_> = (index + 1..).zip(entries).map(|(index, (kind, term, data))| {
                let kind = EntryKind::from_number(kind).expect("a known kind");
                to_raft(&Entry { position: LogPosition::new(term, index), kind, data: data.into() })
            }).collect();
            message.set_entries(entries.into());

            let mut frame = FrameBuilder::new();
            prop_assert!(frame.push(GroupId(ids.2), &message));
            let frame = frame.finish().expect("one message");
            prop_assert_eq!(addressee(&frame), Ok((GroupId(ids.2), ReplicaId(ids.0))));
            prop_assert_eq!(decode(&frame), Ok(vec![(GroupId(ids.2), message)]));
        }

        #[test]
        fn any_bytes_decode_or_fail_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&Bytes::from(bytes.clone()));
            let mut summed = bytes;
            let sum = crc32fast::hash(&summed);
            summed.put_u32_le(sum);
            let _ = decode(&Bytes::from(summed));
        }

        #[test]
        fn a_flipped_bit_is_found(at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut message = eraftpb::Message::default();
            message.set_msg_type(MessageType::MsgHeartbeat);
            (message.to, message.from) = (1, 2);
            let mut builder = FrameBuilder::new();
            builder.push(GroupId(1), &message);
            let mut frame = builder.finish().expect("one message").to_vec();
            let at = at.index(frame.len());
            frame[at] ^= 1 << bit;
            prop_assert!(decode(&Bytes::from(frame)).is_err());
        }
    }

    #[test]
    fn a_frame_of_two_messages_has_no_one_addressee() {
        let mut message = eraftpb::Message::default();
        message.set_msg_type(MessageType::MsgSnapshot);
        (message.to, message.from) = (1, 2);
        let mut builder = FrameBuilder::new();
        builder.push(GroupId(1), &message);
        builder.push(GroupId(1), &message);
        addressee(&builder.finish().expect("two messages")).expect_err("of which one?");
    }

    #[test]
    fn proposals_and_local_messages_do_not_travel() {
        for kind in [MessageType::MsgPropose, MessageType::MsgHup, MessageType::MsgReadIndex] {
            let mut message = eraftpb::Message::default();
            message.set_msg_type(kind);
            assert!(!FrameBuilder::new().push(GroupId(1), &message), "{kind:?}");
        }
    }
}
