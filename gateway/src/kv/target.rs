//! The key and the parameters, from the raw request target, byte for byte.
//!
//! A key is any bytes: the path is percent-decoded exactly once, nothing in it is normalised (no
//! `..`, no `//`, no trailing `/`), and no text encoding is asked for. Pure.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use http::Uri;
use ringkv_client::{ErrorKind, KEY_BYTES_MAX};

use crate::problem::Problem;

/// base64url, with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Where a request for a key names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the path, from this byte on.
    Path(usize),
    /// In the parameter `key_b64`.
    Query,
}

/// Where `path` names a key; `None` if it is the path of something else.
pub(crate) fn place(path: &str) -> Option<Place> {
    let (prefix, rest) = match path.strip_prefix("/v1") {
        Some(rest) => ("/v1/kv".len(), rest),
        None => ("/kv".len(), path),
    };
    match rest.strip_prefix("/kv")? {
        "" => Some(Place::Query),
        rest if rest.starts_with('/') => Some(Place::Path(prefix + 1)),
        _ => None,
    }
}

/// What the target of a request says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) key: Bytes,
    /// `?return=previous`
    pub(crate) return_previous: bool,
}

/// Whether the method reads or writes: each has parameters of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Read,
    Write,
}

/// Reads key and parameters.
pub(crate) fn parse(uri: &Uri, place: Place, used: Use) -> Result<Target, Problem> {
    let (mut key_b64, mut return_previous, mut consistency) = (None, None, None);
    for (name, value) in parameters(uri.query().unwrap_or_default())? {
        let slot = match (&*name, used) {
            (b"key_b64", _) if place == Place::Query => &mut key_b64,
            (b"return", Use::Write) => &mut return_previous,
            (b"consistency", Use::Read) => &mut consistency,
            _ => {
                let name = String::from_utf8_lossy(&name);
                let detail = format!("`{name}` is not a parameter of this request");
                return Err(Problem::new(ErrorKind::BadParameter, detail));
            }
        };
        if slot.replace(value).is_some() {
            let detail = format!("`{}` is given twice", String::from_utf8_lossy(&name));
            return Err(Problem::new(ErrorKind::BadParameter, detail));
        }
    }
    require(return_previous.as_deref(), b"previous", "`return` can only be `previous`")?;
    require(consistency.as_deref(), b"linearizable", "`consistency` can only be `linearizable`")?;
    let key = match (place, key_b64) {
        (Place::Path(start), _) => key_of_path(uri.path(), start)?,
        (Place::Query, Some(text)) => BASE64.decode(&*text).map(Bytes::from).map_err(|error| {
            Problem::new(ErrorKind::BadKey, format!("`key_b64` is not base64url: {error}"))
        })?,
        (Place::Query, None) => {
            let detail = "name the key in the path, /kv/{key}, or in ?key_b64=";
            return Err(Problem::new(ErrorKind::BadKey, detail));
        }
    };
    if key.is_empty() {
        let limit = KEY_BYTES_MAX;
        let detail = format!("the key is empty; a key has 1 to {limit} bytes");
        return Err(Problem::new(ErrorKind::BadKey, detail).with_limit(limit as u64));
    }
    Ok(Target { key, return_previous: return_previous.is_some() })
}

fn key_of_path(path: &str, start: usize) -> Result<Bytes, Problem> {
    let raw = &path.as_bytes()[start..];
    match decode(raw) {
        Ok(Cow::Borrowed(raw)) => Ok(Bytes::copy_from_slice(raw)),
        Ok(Cow::Owned(decoded)) => Ok(Bytes::from(decoded)),
        Err(at) => {
            let detail = format!(
                "the path has `%` without two hexadecimal digits behind it at byte {}",
                start + at
            );
            Err(Problem::new(ErrorKind::BadKey, detail))
        }
    }
}

/// Percent-decodes once; `Err` is the place of the first `%` that starts no escape.
fn decode(raw: &[u8]) -> Result<Cow<'_, [u8]>, usize> {
    if !raw.contains(&b'%') {
        return Ok(Cow::Borrowed(raw));
    }
    let mut decoded = Vec::with_capacity(raw.len());
    let mut at = 0;
    while let Some(byte) = raw.get(at) {
        if *byte != b'%' {
            decoded.push(*byte);
            at += 1;
            continue;
        }
        let digit = |place: usize| {
            raw.get(place).and_then(|digit| char::from(*digit).to_digit(16)).ok_or(at)
        };
        let value = digit(at + 1)? * 16 + digit(at + 2)?;
        decoded.push(u8::try_from(value).expect("two hexadecimal digits fit a byte"));
        at += 3;
    }
    Ok(Cow::Owned(decoded))
}

type Parameter<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

fn parameters(query: &str) -> Result<Vec<Parameter<'_>>, Problem> {
    let part = |raw: &'_ str| {
        let at = |at| {
            let detail = format!("the query has an invalid escape at byte {at} of `name=value`");
            Problem::new(ErrorKind::BadParameter, detail)
        };
        decode(raw.as_bytes()).map(Cow::into_owned).map(Cow::<[u8]>::Owned).map_err(at)
    };
    query
        .split('&')
        .filter(|parameter| !parameter.is_empty())
        .map(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            Ok((part(name)?, part(value)?))
        })
        .collect()
}

fn require(value: Option<&[u8]>, only: &[u8], detail: &str) -> Result<(), Problem> {
    match value {
        Some(value) if value != only => Err(Problem::new(ErrorKind::BadParameter, detail)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(target: &str) -> Result<Bytes, ErrorKind> {
        let uri: Uri = target.parse().unwrap();
        let place = place(uri.path()).expect("a path of a key");
        parse(&uri, place, Use::Read).map(|target| target.key).map_err(|problem| problem.kind())
    }

    #[test]
    fn a_key_is_the_rest_of_the_path_byte_for_byte() {
        let cases: [(&str, &[u8]); 16] = [
            ("/kv/a", b"a"),
            ("/v1/kv/a", b"a"),
            ("/kv/a/b", b"a/b"),
            ("/kv/a/", b"a/"),
            ("/kv//a", b"/a"),
            ("/kv/a//b", b"a//b"),
            ("/kv/..", b".."),
            ("/kv/a/../b", b"a/../b"),
            ("/kv/%2e%2E", b".."),
            ("/kv/a%2Fb", b"a/b"),
            ("/kv/%252F", b"%2F"),
            ("/kv/%00%ff", b"\x00\xff"),
            ("/kv/a+b", b"a+b"),
            ("/kv/a%20b%3F%23", b"a b?#"),
            ("/v1/kv//v1/kv/a", b"/v1/kv/a"),
            ("/kv?key_b64=Li4", b".."),
        ];
        for (target, expected) in cases {
            assert_eq!(key(target).as_deref(), Ok(expected), "{target}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for target in ["/kv/", "/kv", "/kv?key_b64=", "/kv/%", "/kv/a%2", "/kv/%zz", "/v1/kv"] {
            assert_eq!(key(target), Err(ErrorKind::BadKey), "{target}");
        }
        for target in ["/kv/a?ttl=3s", "/kv/a?consistency=stale", "/kv/a?key_b64=Li4"] {
            assert_eq!(key(target), Err(ErrorKind::BadParameter), "{target}");
        }
    }

    #[test]
    fn an_invalid_escape_is_named_by_its_place() {
        let uri: Uri = "/v1/kv/ab%4".parse().unwrap();
        let problem = parse(&uri, Place::Path(7), Use::Read).unwrap_err();
        assert!(format!("{problem:?}").contains("at byte 9"), "{problem:?}");
    }

    #[test]
    fn a_longer_first_segment_is_another_path() {
        for path in ["/kvs", "/kvs/a", "/v1/kvs", "/v1", "/v2/kv/a", "//kv/a", "/"] {
            assert_eq!(place(path), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_survive_the_path_and_the_query(
            bytes in prop::collection::vec(any::<u8>(), 1..64),
        ) {
            let escaped: String = bytes.iter().map(|byte| format!("%{byte:02X}")).collect();
            let found = key(&format!("/kv/{escaped}"));
            prop_assert_eq!(found.as_deref(), Ok(&bytes[..]));
            let text = base64::engine::general_purpose::URL_SAFE.encode(&bytes);
            for text in [text.as_str(), text.trim_end_matches('=')] {
                let found = key(&format!("/kv?key_b64={text}"));
                prop_assert_eq!(found.as_deref(), Ok(&bytes[..]));
            }
        }
    }
}
