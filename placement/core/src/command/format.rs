//! The bytes of commands and results: what both formats share.
//!
//! Layout (little endian): version u8, kind u8, then the fields of the kind in the order in which
//! they are written. A string is its length u32 and UTF-8; a list is its length u32 and its items; what
//! may be absent follows a flag u8, 0 or 1; a secret is its 16 bytes.
//! No RPC message defines any of these bytes, so the schema of the services may change without a
//! change of what is on disk. Every value encodes and decodes to itself. An unknown version or
//! kind, a value out of range, or left-over bytes is an error, and never skipped: a replica that
//! skipped a command would differ from the others. There is no checksum here: the log has one for
//! each entry.

mod commands;
mod members;
mod operations;
mod replicas;
mod results;

use bytes::{Buf, BufMut};
use ringkv_consensus::DecodeError;
use ringkv_topology::{NodeId, NodeSecret};

/// Version 1 embedded messages of the RPC schema.
const VERSION: u8 = 2;

/// The version and kind that every command and result begins with.
fn begin(kind: u8) -> Vec<u8> {
    vec![VERSION, kind]
}

/// Takes the version, which must be known, and the kind.
fn take_kind(input: &mut &[u8]) -> Result<u8, DecodeError> {
    let found = input.try_get_u8()?;
    if found != VERSION {
        return Err(DecodeError::Version { found, known: VERSION });
    }
    Ok(input.try_get_u8()?)
}

fn ended(input: &[u8]) -> Result<(), DecodeError> {
    if input.is_empty() { Ok(()) } else { Err(DecodeError::TrailingBytes) }
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    out.put_u32_le(u32::try_from(length).expect("a command is far smaller than 4 GiB"));
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_length(out, text.len());
    out.put_slice(text.as_bytes());
}

fn take_text(input: &mut &[u8]) -> Result<String, DecodeError> {
    let length = input.try_get_u32_le()? as usize;
    let (text, rest) = input.split_at_checked(length).ok_or(DecodeError::EndedEarly)?;
    *input = rest;
    let text = str::from_utf8(text).map_err(|_| DecodeError::Implausible("text"))?;
    Ok(text.to_owned())
}

/// Zero is never an id: an image with such a node would not load again.
fn take_node(input: &mut &[u8]) -> Result<NodeId, DecodeError> {
    NodeId::from_wire(input.try_get_u64_le()?).ok_or(DecodeError::Implausible("node"))
}

fn unknown_kind() -> DecodeError {
    DecodeError::Implausible("command kind")
}

fn take_flag(input: &mut &[u8]) -> Result<bool, DecodeError> {
    match input.try_get_u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(DecodeError::Implausible("flag")),
    }
}

fn take_secret(input: &mut &[u8]) -> Result<NodeSecret, DecodeError> {
    let (secret, rest) = input.split_first_chunk().ok_or(DecodeError::EndedEarly)?;
    *input = rest;
    Ok(NodeSecret::new(*secret))
}

fn put_ids(out: &mut Vec<u8>, ids: impl ExactSizeIterator<Item = u64>) {
    put_length(out, ids.len());
    ids.for_each(|id| out.put_u64_le(id));
}

fn take_ids(input: &mut &[u8]) -> Result<Vec<u64>, DecodeError> {
    let ids = input.try_get_u32_le()?;
    (0..ids).map(|_| Ok(input.try_get_u64_le()?)).collect()
}

#[cfg(test)]
mod tests;
