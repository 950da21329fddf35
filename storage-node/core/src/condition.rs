//! When a conditional write may happen: HTTP's If-Match and If-None-Match over revisions.
//!
//! Owns the rule and its bytes inside a command: flags u8, then two lists of revisions, each as
//! count u8 and u64 LE numbers. Never looks at anything but the revision of the present record.

use bytes::{Buf, BufMut};
use ringkv_consensus::DecodeError;

/// The most revisions either list may hold.
pub const REVISIONS_MAX: usize = 32;

const MATCH_ANY: u8 = 1;
const NONE_MATCH_ANY: u8 = 2;

/// All that is set must hold; nothing set always holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// The record exists and its revision is one of these.
    pub if_match: Vec<u64>,
    /// The record exists.
    pub if_match_any: bool,
    /// The record is absent or its revision is none of these.
    pub if_none_match: Vec<u64>,
    /// The record is absent.
    pub if_none_match_any: bool,
}

impl Condition {
    /// Whether the write may happen, given the revision of the present record.
    pub fn holds(&self, current: Option<u64>) -> bool {
        let matched = match current {
            Some(revision) => self.if_match.is_empty() || self.if_match.contains(&revision),
            None => self.if_match.is_empty() && !self.if_match_any,
        };
        let none_matched = match current {
            Some(revision) => !self.if_none_match_any && !self.if_none_match.contains(&revision),
            None => true,
        };
        matched && none_matched
    }

    /// Whether it can hold only for a record that exists.
    pub fn needs_record(&self) -> bool {
        self.if_match_any || !self.if_match.is_empty()
    }

    pub(crate) fn encoded_bytes(&self) -> usize {
        3 + 8 * (self.if_match.len() + self.if_none_match.len())
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let any = if self.if_match_any { MATCH_ANY } else { 0 };
        let none_any = if self.if_none_match_any { NONE_MATCH_ANY } else { 0 };
        out.put_u8(any | none_any);
        for revisions in [&self.if_match, &self.if_none_match] {
            out.put_u8(u8::try_from(revisions.len()).expect("the number of revisions is limited"));
            revisions.iter().for_each(|revision| out.put_u64_le(*revision));
        }
    }

    pub(crate) fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        let flags = input.try_get_u8()?;
        if flags & !(MATCH_ANY | NONE_MATCH_ANY) != 0 {
            return Err(DecodeError::Implausible("condition"));
        }
        let if_match = take_revisions(input)?;
        let if_none_match = take_revisions(input)?;
        Ok(Self {
            if_match,
            if_match_any: flags & MATCH_ANY != 0,
            if_none_match,
            if_none_match_any: flags & NONE_MATCH_ANY != 0,
        })
    }
}

fn take_revisions(input: &mut &[u8]) -> Result<Vec<u64>, DecodeError> {
    (0..input.try_get_u8()?).map(|_| Ok(input.try_get_u64_le()?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_holds_exactly_when_it_says() {
        let always = Condition::default();
        let revisions = Condition { if_match: vec![4, 5], ..always.clone() };
        let present = Condition { if_match_any: true, ..always.clone() };
        let not_these = Condition { if_none_match: vec![4, 5], ..always.clone() };
        let absent = Condition { if_none_match_any: true, ..always.clone() };
        let cases = [
            // condition, absent, at revision 5, at revision 6
            (&always, [true, true, true]),
            (&revisions, [false, true, false]),
            (&present, [false, true, true]),
            (&not_these, [true, false, true]),
            (&absent, [true, false, false]),
        ];
        for (condition, expected) in cases {
            let got = [None, Some(5), Some(6)].map(|current| condition.holds(current));
            assert_eq!(got, expected, "{condition:?}");
        }
    }

    #[test]
    fn all_parts_must_hold_together() {
        let both =
            Condition { if_match: vec![5, 6], if_none_match: vec![6], ..Condition::default() };
        assert!(both.holds(Some(5)));
        assert!(!both.holds(Some(6)));
        let never =
            Condition { if_match_any: true, if_none_match_any: true, ..Condition::default() };
        assert!(!never.holds(None) && !never.holds(Some(1)));
    }
}
