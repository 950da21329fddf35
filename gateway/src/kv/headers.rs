//! What the request headers ask for, except for conditions. Pure.
//!
//! A problem names the header that is wrong, and what it may be.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use ringkv_client::{Metadata, RequestId};

use crate::limits::Limits;
use crate::problem::Problem;

/// Prefix of the headers that are stored with a value.
pub(crate) const METADATA_PREFIX: &str = "kv-meta-";

/// The request's own budget, if it names one.
pub(crate) fn timeout(headers: &HeaderMap, limits: &Limits) -> Result<Option<Duration>, Problem> {
    const NAME: &str = "KV-Timeout-Ms";
    let Some(value) = single(headers, NAME)? else { return Ok(None) };
    let max = limits.timeout_max.as_millis();
    let digits = value.as_bytes().iter().all(u8::is_ascii_digit);
    let ms = value.to_str().ok().filter(|_| digits).and_then(|text| text.parse::<u64>().ok());
    match ms {
        Some(ms) if (1..=max).contains(&u128::from(ms)) => Ok(Some(Duration::from_millis(ms))),
        _ => Err(Problem::header(NAME, format_args!("a whole number of 1 to {max}"))),
    }
}

/// The id of the write, if the user named it.
pub(crate) fn request_id(
    headers: &HeaderMap,
    limits: &Limits,
) -> Result<Option<RequestId>, Problem> {
    const NAME: &str = "Idempotency-Key";
    let Some(value) = single(headers, NAME)? else { return Ok(None) };
    let (key, max) = (value.as_bytes(), limits.idempotency_key_bytes_max);
    if key.is_empty() || key.len() > max || !key.iter().all(u8::is_ascii_graphic) {
        let allowed = format_args!("1 to {max} visible ASCII characters");
        return Err(Problem::header(NAME, allowed));
    }
    Ok(Some(RequestId::from_idempotency_key(key)))
}

/// The content type to store; empty for none. The type that curl sends by default with `-d` and
/// `--data-binary` (`application/x-www-form-urlencoded`) counts as none.
pub(crate) fn content_type(headers: &HeaderMap, limits: &Limits) -> Result<String, Problem> {
    const NAME: &str = "Content-Type";
    let Some(value) = single(headers, NAME)? else { return Ok(String::new()) };
    let max = limits.content_type_bytes_max;
    let text = value.to_str().ok().filter(|text| text.len() <= max);
    let Some(text) = text else {
        return Err(Problem::header(NAME, format_args!("at most {max} ASCII characters")));
    };
    let essence = text.split(';').next().unwrap_or_default().trim();
    let form = essence.eq_ignore_ascii_case("application/x-www-form-urlencoded");
    Ok(if form { String::new() } else { text.to_owned() })
}

/// The `KV-Meta-*` headers, in the order given; names in lower case, without the prefix.
pub(crate) fn metadata(headers: &HeaderMap, limits: &Limits) -> Result<Vec<Metadata>, Problem> {
    let mut metadata: Vec<Metadata> = Vec::new();
    let mut bytes = 0;
    for (name, value) in headers {
        let Some(name) = name.as_str().strip_prefix(METADATA_PREFIX) else { continue };
        if name.is_empty() || metadata.iter().any(|entry| entry.name == name) {
            return Err(Problem::header("KV-Meta-*", "named, and each name given once"));
        }
        let Ok(value) = value.to_str() else {
            let name = format!("KV-Meta-{name}");
            return Err(Problem::header(&name, "visible ASCII characters and spaces"));
        };
        bytes += name.len() + value.len();
        metadata.push(Metadata { name: name.to_owned(), value: value.to_owned() });
    }
    let (count_max, bytes_max) = (limits.metadata_count_max, limits.metadata_bytes_max);
    if metadata.len() > count_max || bytes > bytes_max {
        let allowed = format_args!("at most {count_max} headers of together {bytes_max} bytes");
        return Err(Problem::header("KV-Meta-*", allowed).with_limit(bytes_max as u64));
    }
    Ok(metadata)
}

/// Whether the client asked for a JSON envelope by name; `*/*` asks for the bytes.
pub(crate) fn wants_json(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT).iter().any(|value| {
        value.to_str().is_ok_and(|text| {
            text.split(',').any(|range| {
                let essence = range.split(';').next().unwrap_or_default().trim();
                essence.eq_ignore_ascii_case("application/json")
            })
        })
    })
}

/// The value of a header that makes sense only once.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a HeaderValue>, Problem> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    match values.next() {
        None => Ok(first),
        Some(_) => Err(Problem::header(name, "given once")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(headers: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        map
    }

    #[test]
    fn a_timeout_is_whole_milliseconds_in_its_range() {
        let limits = Limits::default();
        let read = |value| timeout(&map(&[("kv-timeout-ms", value)]), &limits).ok().flatten();
        assert_eq!(read("1"), Some(Duration::from_millis(1)));
        assert_eq!(read("30000"), Some(Duration::from_secs(30)));
        for bad in ["0", "30001", "-1", "+1", "1.5", "5s", "", "99999999999999999999"] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert!(timeout(&map(&[("kv-timeout-ms", "1"), ("kv-timeout-ms", "1")]), &limits).is_err());
    }

    #[test]
    fn an_idempotency_key_is_visible_ascii() {
        let limits = Limits::default();
        let ok = |value| request_id(&map(&[("idempotency-key", value)]), &limits).is_ok();
        assert!(ok("7f3a") && ok("~!\"key\""));
        assert!(!ok("") && !ok("a b") && !ok("ü"));
        let long: &'static str = Box::leak("k".repeat(256).into_boxed_str());
        assert!(ok(&long[1..]) && !ok(long));
    }

    #[test]
    fn a_forms_content_type_counts_as_none() {
        let limits = Limits::default();
        let read = |value| content_type(&map(&[("content-type", value)]), &limits).unwrap();
        assert_eq!(read("application/x-www-form-urlencoded"), "");
        assert_eq!(read("Application/X-WWW-Form-urlencoded; charset=utf-8"), "");
        assert_eq!(read("text/plain; charset=utf-8"), "text/plain; charset=utf-8");
    }

    #[test]
    fn json_is_given_when_named_only() {
        let json = |value| wants_json(&map(&[("accept", value)]));
        assert!(json("application/json") && json("text/html, application/JSON;q=0.9"));
        assert!(!json("*/*") && !json("application/jsonl") && !wants_json(&map(&[])));
    }

    #[test]
    fn metadata_is_bounded_in_count_and_bytes() {
        let limits = Limits { metadata_count_max: 2, metadata_bytes_max: 8, ..Limits::default() };
        let read = |headers: &[(&'static str, &'static str)]| metadata(&map(headers), &limits);
        let found = read(&[("kv-meta-a", "1"), ("kv-meta-b", "2"), ("other", "3")]).unwrap();
        let entry = |name: &str, value: &str| Metadata { name: name.into(), value: value.into() };
        assert_eq!(found, [entry("a", "1"), entry("b", "2")]);
        assert!(read(&[("kv-meta-a", "12345678")]).is_err());
        assert!(read(&[("kv-meta-a", "1"), ("kv-meta-a", "2")]).is_err());
        assert!(read(&[("kv-meta-", "1")]).is_err());
        assert!(read(&[("kv-meta-a", ""), ("kv-meta-b", ""), ("kv-meta-c", "")]).is_err());
    }
}
