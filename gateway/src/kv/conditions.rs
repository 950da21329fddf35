//! `If-Match` and `If-None-Match`: lists of entity tags, or `*` (RFC 9110, section 13.1).
//!
//! Our tags are `"<revision>"`. A well-formed tag that is not one of ours matches nothing; it is
//! kept as revision 0, which no record has, so that a list of such tags stays a condition. Pure.

use http::header::{IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName};
use ringkv_client::Condition;

use crate::problem::Problem;

/// Both conditions of a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    pub(crate) if_match: Option<Tags>,
    pub(crate) if_none_match: Option<Tags>,
}

/// What one of the headers lists.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Tags {
    /// `*`: any record.
    Any,
    List(Vec<Tag>),
}

/// One entity tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    revision: u64,
    weak: bool,
}

impl Conditions {
    pub(crate) fn parse(headers: &HeaderMap) -> Result<Self, Problem> {
        Ok(Self {
            if_match: tags(headers, &IF_MATCH, "If-Match")?,
            if_none_match: tags(headers, &IF_NONE_MATCH, "If-None-Match")?,
        })
    }

    /// The condition of a write.
    pub(crate) fn into_condition(self) -> Condition {
        let split = |tags, revisions: fn(Vec<Tag>) -> Vec<u64>| match tags {
            None => (Vec::new(), false),
            Some(Tags::Any) => (Vec::new(), true),
            Some(Tags::List(list)) => (revisions(list), false),
        };
        // If-Match compares strongly: a weak tag matches nothing.
        let strong = |list: Vec<Tag>| {
            list.into_iter().map(|tag| if tag.weak { 0 } else { tag.revision }).collect()
        };
        let weak = |list: Vec<Tag>| list.into_iter().map(|tag| tag.revision).collect();
        let (if_match, if_match_any) = split(self.if_match, strong);
        let (if_none_match, if_none_match_any) = split(self.if_none_match, weak);
        Condition { if_match, if_match_any, if_none_match, if_none_match_any }
    }

    /// Whether `If-Match` lets a read of a record with this revision go on; `None` is no record.
    pub(crate) fn match_holds(&self, revision: Option<u64>) -> bool {
        match &self.if_match {
            None => true,
            Some(Tags::Any) => revision.is_some(),
            Some(Tags::List(list)) => {
                revision.is_some_and(|r| list.iter().any(|tag| !tag.weak && tag.revision == r))
            }
        }
    }

    /// Whether the reader has the record of this revision already.
    pub(crate) fn is_known(&self, revision: u64) -> bool {
        match &self.if_none_match {
            None => false,
            Some(Tags::Any) => true,
            Some(Tags::List(list)) => list.iter().any(|tag| tag.revision == revision),
        }
    }
}

fn tags(headers: &HeaderMap, name: &HeaderName, shown: &str) -> Result<Option<Tags>, Problem> {
    let mut found: Option<Tags> = None;
    for value in headers.get_all(name) {
        let malformed = || {
            Problem::header(
                shown,
                "* or a list of quoted entity tags, like \"812\" with its quotes",
            )
        };
        let parsed = parse_list(value.as_bytes()).ok_or_else(malformed)?;
        found = Some(match (found, parsed) {
            (None, parsed) => parsed,
            (Some(Tags::List(mut list)), Tags::List(more)) => {
                list.extend(more);
                Tags::List(list)
            }
            _ => return Err(malformed()),
        });
    }
    Ok(found)
}

fn parse_list(value: &[u8]) -> Option<Tags> {
    let mut rest = value.trim_ascii();
    if rest == b"*" {
        return Some(Tags::Any);
    }
    let mut list = Vec::new();
    while !rest.is_empty() {
        let weak = rest.starts_with(b"W/");
        let quoted = if weak { &rest[2..] } else { rest };
        let inner = quoted.strip_prefix(b"\"")?;
        let end = inner.iter().position(|byte| *byte == b'"')?;
        list.push(Tag { revision: revision(&inner[..end]), weak });
        rest = inner[end + 1..].trim_ascii_start();
        match rest.split_first() {
            None => {}
            Some((b',', more)) => rest = more.trim_ascii_start(),
            Some(_) => return None,
        }
    }
    (!list.is_empty()).then_some(Tags::List(list))
}

/// The revision of a tag as this gateway writes it; 0 for any other tag.
fn revision(tag: &[u8]) -> u64 {
    let ours = tag.iter().all(u8::is_ascii_digit) && !tag.starts_with(b"0");
    std::str::from_utf8(tag).ok().filter(|_| ours).and_then(|t| t.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn parse(headers: &[(HeaderName, &'static str)]) -> Result<Conditions, Problem> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, HeaderValue::from_static(value));
        }
        Conditions::parse(&map)
    }

    #[test]
    fn lists_stars_and_repeated_headers_become_one_condition() {
        let condition = |headers: &[_]| parse(headers).unwrap().into_condition();
        assert_eq!(condition(&[]), Condition::default());
        assert_eq!(condition(&[(IF_NONE_MATCH, "*")]), Condition::absent());
        assert_eq!(condition(&[(IF_MATCH, "\"812\"")]), Condition::revision(812));
        let both = condition(&[(IF_MATCH, "\"1\" , \"2\""), (IF_MATCH, "\"3\"")]);
        assert_eq!(both.if_match, [1, 2, 3]);
        let any = condition(&[(IF_MATCH, "*"), (IF_NONE_MATCH, "\"9\",")]);
        assert!(any.if_match_any && any.if_none_match == [9]);
    }

    #[test]
    fn a_tag_that_is_not_ours_matches_nothing_and_stays_a_condition() {
        let list = "\"a,b\", \"007\", \"\", W/\"5\", \"+1\"";
        let condition = parse(&[(IF_MATCH, list)]).unwrap().into_condition();
        assert_eq!(condition.if_match, [0, 0, 0, 0, 0]);
        let weak = parse(&[(IF_NONE_MATCH, "W/\"5\"")]).unwrap().into_condition();
        assert_eq!(weak.if_none_match, [5], "If-None-Match compares weakly");
    }

    #[test]
    fn what_is_no_list_of_tags_is_refused() {
        for bad in ["812", "\"1", "\"1\" \"2\"", "", ",", "*, \"1\"", "w/\"1\""] {
            assert!(parse(&[(IF_MATCH, bad)]).is_err(), "{bad}");
        }
        assert!(parse(&[(IF_MATCH, "*"), (IF_MATCH, "\"1\"")]).is_err());
    }

    #[test]
    fn reads_are_judged_by_strong_match_and_weak_none_match() {
        let conditions = parse(&[(IF_MATCH, "W/\"1\", \"2\"")]).unwrap();
        assert!(conditions.match_holds(Some(2)) && !conditions.match_holds(Some(1)));
        assert!(!conditions.match_holds(None));
        let any = parse(&[(IF_MATCH, "*")]).unwrap();
        assert!(any.match_holds(Some(7)) && !any.match_holds(None));
        let known = parse(&[(IF_NONE_MATCH, "W/\"1\"")]).unwrap();
        assert!(known.is_known(1) && !known.is_known(2) && known.match_holds(None));
    }
}
