//! When a conditional write may happen: HTTP's If-Match and If-None-Match over revisions.

/// The most revisions that either list of a condition may hold.
pub const REVISIONS_MAX: usize = 32;

/// A write happens only if all that is set holds; the default always holds.
///
/// No record has revision 0: in a list it matches nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// The record exists and its revision is one of these; empty means no such condition.
    pub if_match: Vec<u64>,
    /// The record exists.
    pub if_match_any: bool,
    /// The record is absent or its revision is none of these.
    pub if_none_match: Vec<u64>,
    /// The record is absent.
    pub if_none_match_any: bool,
}

impl Condition {
    /// Only if the key is absent.
    pub fn absent() -> Self {
        Self { if_none_match_any: true, ..Self::default() }
    }

    /// Only if the record has this revision.
    pub fn revision(revision: u64) -> Self {
        Self { if_match: vec![revision], ..Self::default() }
    }

    /// Whether nothing is set.
    pub fn is_always(&self) -> bool {
        *self == Self::default()
    }

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
