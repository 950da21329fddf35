//! Every byte of the log's database: keys that sort as they are read, values that prove themselves.
//!
//! Key: group u64 BE ‖ kind u8, and for entries ‖ index u64 BE, so that a group's records come
//! first, then its entries in order. Value: version u8 ‖ body (LE) ‖ CRC-32 over key and all
//! before it, so that a record under the wrong key is found out too.

use bytes::{Buf, BufMut, Bytes};
use ringkv_consensus::{
    DecodeError, Entry, EntryKind, Genesis, HardState, InstallMarker, LogIndex, LogPosition,
    Members, Term, take_version,
};
use ringkv_topology::{GroupId, ReplicaId};

const VERSION: u8 = 1;
/// Stored once, under a group id that no group has.
const FORMAT: u32 = 2;

/// What a key holds, in key order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Format = 0,
    Genesis = 1,
    HardState = 2,
    Start = 3,
    Install = 4,
    Entry = 5,
    /// In the place of all others.
    Tombstone = 6,
}

const KEY_BYTES: usize = 9;
const ENTRY_KEY_BYTES: usize = 17;
/// Version, kind and term come before an entry's data.
const ENTRY_HEADER_BYTES: usize = 1 + 1 + 8;

pub(crate) type Key = [u8; KEY_BYTES];
pub(crate) type EntryKey = [u8; ENTRY_KEY_BYTES];

/// The key of a group's record.
pub(crate) fn key(group: GroupId, kind: Kind) -> Key {
    let mut key = [kind as u8; KEY_BYTES];
    key[..8].copy_from_slice(&group.0.to_be_bytes());
    key
}

/// The key of a group's entry.
pub(crate) fn entry_key(group: GroupId, index: LogIndex) -> EntryKey {
    let mut out = [0; ENTRY_KEY_BYTES];
    out[..KEY_BYTES].copy_from_slice(&key(group, Kind::Entry));
    out[KEY_BYTES..].copy_from_slice(&index.0.to_be_bytes());
    out
}

/// The key of the format number.
pub(crate) fn format_key() -> Key {
    key(GroupId(0), Kind::Format)
}

/// The group of any key.
pub(crate) fn group_of(mut key: &[u8]) -> Result<GroupId, DecodeError> {
    Ok(GroupId(key.try_get_u64()?))
}

/// The index of an entry's key; anything else is implausible.
pub(crate) fn index_of(key: &[u8]) -> Result<LogIndex, DecodeError> {
    let (head, index) = key.split_last_chunk::<8>().ok_or(DecodeError::EndedEarly)?;
    if head.len() == KEY_BYTES && head[KEY_BYTES - 1] == Kind::Entry as u8 {
        Ok(LogIndex(u64::from_be_bytes(*index)))
    } else {
        Err(DecodeError::Implausible("key of an entry"))
    }
}

pub(crate) fn encode_format(key: &Key) -> Vec<u8> {
    record(key, |out| out.put_u32_le(FORMAT))
}

pub(crate) fn decode_format(key: &[u8], value: &[u8]) -> Result<(), DecodeError> {
    let mut body = open(key, value)?;
    match body.try_get_u32_le()? {
        FORMAT => ended(body),
        _ => Err(DecodeError::Implausible("log format: it was written by another release")),
    }
}

pub(crate) fn encode_genesis(key: &Key, genesis: &Genesis) -> Vec<u8> {
    record(key, |out| {
        out.put_u64_le(genesis.replica.0);
        genesis.members.encode(out);
        out.put_slice(&genesis.context);
    })
}

pub(crate) fn decode_genesis(
    group: GroupId,
    key: &[u8],
    value: &[u8],
) -> Result<Genesis, DecodeError> {
    let mut body = open(key, value)?;
    let replica = ReplicaId(body.try_get_u64_le()?);
    let members = Members::decode(&mut body)?;
    Ok(Genesis { group, replica, members, context: Bytes::copy_from_slice(body) })
}

pub(crate) fn encode_tombstone(key: &Key, replica: ReplicaId) -> Vec<u8> {
    record(key, |out| out.put_u64_le(replica.0))
}

pub(crate) fn decode_tombstone(key: &[u8], value: &[u8]) -> Result<ReplicaId, DecodeError> {
    let mut body = open(key, value)?;
    let replica = ReplicaId(body.try_get_u64_le()?);
    ended(body)?;
    Ok(replica)
}

pub(crate) fn encode_hard_state(key: &Key, state: HardState) -> Vec<u8> {
    record(key, |out| {
        out.put_u64_le(state.term.0);
        out.put_u64_le(state.vote);
        out.put_u64_le(state.commit.0);
    })
}

pub(crate) fn decode_hard_state(key: &[u8], value: &[u8]) -> Result<HardState, DecodeError> {
    let mut body = open(key, value)?;
    let (term, vote) = (Term(body.try_get_u64_le()?), body.try_get_u64_le()?);
    let commit = LogIndex(body.try_get_u64_le()?);
    ended(body)?;
    Ok(HardState { term, vote, commit })
}

pub(crate) fn encode_start(key: &Key, start: LogPosition) -> Vec<u8> {
    record(key, |out| {
        out.put_u64_le(start.index.0);
        out.put_u64_le(start.term.0);
    })
}

pub(crate) fn decode_start(key: &[u8], value: &[u8]) -> Result<LogPosition, DecodeError> {
    let mut body = open(key, value)?;
    let (index, term) = (body.try_get_u64_le()?, body.try_get_u64_le()?);
    ended(body)?;
    Ok(LogPosition::new(term, index))
}

pub(crate) fn encode_install(key: &Key, marker: &InstallMarker) -> Vec<u8> {
    record(key, |out| {
        let id = marker.snapshot_id.as_bytes();
        out.put_u32_le(u32::try_from(id.len()).expect("a snapshot id is short"));
        out.put_slice(id);
        out.put_slice(&marker.manifest);
    })
}

pub(crate) fn decode_install(key: &[u8], value: &[u8]) -> Result<InstallMarker, DecodeError> {
    let mut body = open(key, value)?;
    let id_bytes = body.try_get_u32_le()? as usize;
    let (id, manifest) = body.split_at_checked(id_bytes).ok_or(DecodeError::EndedEarly)?;
    let snapshot_id =
        std::str::from_utf8(id).map_err(|_| DecodeError::Implausible("snapshot id"))?.to_owned();
    Ok(InstallMarker { snapshot_id, manifest: Bytes::copy_from_slice(manifest) })
}

/// Replaces `out` by the value of an entry.
pub(crate) fn encode_entry(key: &EntryKey, entry: &Entry, out: &mut Vec<u8>) {
    out.clear();
    out.reserve(ENTRY_HEADER_BYTES + entry.data.len() + 4);
    out.put_u8(VERSION);
    out.put_u8(entry.kind.number());
    out.put_u64_le(entry.position.term.0);
    out.put_slice(&entry.data);
    seal(key, out);
}

pub(crate) fn decode_entry(key: &[u8], value: &[u8]) -> Result<Entry, DecodeError> {
    let index = index_of(key)?;
    let mut body = open(key, value)?;
    let kind = EntryKind::from_number(body.try_get_u8()?)?;
    let position = LogPosition { term: Term(body.try_get_u64_le()?), index };
    Ok(Entry { position, kind, data: Bytes::copy_from_slice(body) })
}

/// The term of an entry from its header alone; the checksum is left to [`decode_entry`].
pub(crate) fn entry_term(value: &[u8]) -> Result<Term, DecodeError> {
    let mut input = value;
    take_version(&mut input, VERSION)?;
    input.try_get_u8()?;
    Ok(Term(input.try_get_u64_le()?))
}

/// A whole value around a body.
fn record(key: &[u8], body: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = vec![VERSION];
    body(&mut out);
    seal(key, &mut out);
    out
}

fn seal(key: &[u8], out: &mut Vec<u8>) {
    let sum = checksum(key, out);
    out.put_u32_le(sum);
}

/// The body of a value whose checksum and version are right.
fn open<'a>(key: &[u8], value: &'a [u8]) -> Result<&'a [u8], DecodeError> {
    let (mut body, sum) = value.split_last_chunk::<4>().ok_or(DecodeError::EndedEarly)?;
    if checksum(key, body) != u32::from_le_bytes(*sum) {
        return Err(DecodeError::Checksum);
    }
    take_version(&mut body, VERSION)?;
    Ok(body)
}

fn checksum(key: &[u8], value: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(value);
    hasher.finalize()
}

fn ended(rest: &[u8]) -> Result<(), DecodeError> {
    if rest.is_empty() { Ok(()) } else { Err(DecodeError::TrailingBytes) }
}
