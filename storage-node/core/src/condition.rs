//! The bytes of a condition inside a command: flags u8, then two lists of revisions, each as count
//! u8 and u64 LE numbers.

use bytes::{Buf, BufMut};
use ringkv_consensus::DecodeError;
use ringkv_kv_types::Condition;

const MATCH_ANY: u8 = 1;
const NONE_MATCH_ANY: u8 = 2;

pub(crate) fn encoded_bytes(condition: &Condition) -> usize {
    3 + 8 * (condition.if_match.len() + condition.if_none_match.len())
}

pub(crate) fn encode(condition: &Condition, out: &mut Vec<u8>) {
    let any = if condition.if_match_any { MATCH_ANY } else { 0 };
    let none_any = if condition.if_none_match_any { NONE_MATCH_ANY } else { 0 };
    out.put_u8(any | none_any);
    for revisions in [&condition.if_match, &condition.if_none_match] {
        out.put_u8(u8::try_from(revisions.len()).expect("the number of revisions is limited"));
        revisions.iter().for_each(|revision| out.put_u64_le(*revision));
    }
}

pub(crate) fn take(input: &mut &[u8]) -> Result<Condition, DecodeError> {
    let flags = input.try_get_u8()?;
    if flags & !(MATCH_ANY | NONE_MATCH_ANY) != 0 {
        return Err(DecodeError::Implausible("condition"));
    }
    let if_match = take_revisions(input)?;
    let if_none_match = take_revisions(input)?;
    Ok(Condition {
        if_match,
        if_match_any: flags & MATCH_ANY != 0,
        if_none_match,
        if_none_match_any: flags & NONE_MATCH_ANY != 0,
    })
}

fn take_revisions(input: &mut &[u8]) -> Result<Vec<u64>, DecodeError> {
    (0..input.try_get_u8()?).map(|_| Ok(input.try_get_u64_le()?)).collect()
}
