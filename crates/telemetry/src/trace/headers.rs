//! Pure. The W3C headers `traceparent` and `tracestate`, in and out.
//!
//! A header that is not valid counts as not there, as the specification has it: a request is never
//! refused for it. Source: W3C Trace Context, level 1, sections 3.2 and 3.3.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::{SpanContext, TraceState};
use opentelemetry::{SpanId, TraceFlags, TraceId};

use super::ids::write_hex;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// `00-`, 32 digits, `-`, 16 digits, `-`, 2 digits.
const LENGTH: usize = 55;
/// A longer `tracestate` is dropped: the standard requires no process to pass on more.
const STATE_BYTES_MAX: usize = 512;

/// The span a request comes from, if its headers name one.
pub fn parent(headers: &HeaderMap) -> Option<SpanContext> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let (trace, span, flags) = parse(values.next()?.as_bytes())?;
    // Two of them contradict each other.
    if values.next().is_some() {
        return None;
    }
    Some(SpanContext::new(trace, span, flags, true, state(headers)))
}

fn state(headers: &HeaderMap) -> TraceState {
    let mut list = String::new();
    for value in headers.get_all(TRACESTATE) {
        let Ok(part) = value.to_str() else { return TraceState::NONE };
        if list.len() + 1 + part.len() > STATE_BYTES_MAX {
            return TraceState::NONE;
        }
        if !list.is_empty() {
            list.push(',');
        }
        list.push_str(part);
    }
    list.parse().unwrap_or(TraceState::NONE)
}

fn parse(header: &[u8]) -> Option<(TraceId, SpanId, TraceFlags)> {
    let (known, rest) = header.split_at_checked(LENGTH)?;
    let version = number(&known[..2])?;
    // A later version may carry more behind another dash.
    let ends_well = if version == 0 { rest.is_empty() } else { matches!(rest, [] | [b'-', ..]) };
    let dashes = [2, 35, 52].into_iter().all(|at| known[at] == b'-');
    if version == 0xff || !ends_well || !dashes {
        return None;
    }
    let trace = number(&known[3..35])?;
    let span = u64::try_from(number(&known[36..52])?).ok()?;
    let flags = u8::try_from(number(&known[53..])?).ok()?;
    let valid = trace != 0 && span != 0;
    valid.then(|| (TraceId::from(trace), SpanId::from(span), TraceFlags::new(flags)))
}

/// Lower-case hexadecimal digits only, at most 32 of them.
fn number(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

/// A span as the value of a `traceparent` header.
pub fn traceparent(span: &SpanContext) -> HeaderValue {
    let mut header = *b"00-00000000000000000000000000000000-0000000000000000-00";
    write_hex(&span.trace_id().to_bytes(), &mut header[3..35]);
    write_hex(&span.span_id().to_bytes(), &mut header[36..52]);
    write_hex(&[span.trace_flags().to_u8()], &mut header[53..]);
    HeaderValue::from_bytes(&header).expect("digits and dashes are a header's")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(all: &[(HeaderName, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in all {
            map.append(name, HeaderValue::from_str(value).unwrap());
        }
        map
    }

    fn read(value: &str) -> Option<SpanContext> {
        parent(&headers(&[(TRACEPARENT, value)]))
    }

    #[test]
    fn a_span_comes_back_as_it_went_out() {
        let span = read(GOOD).unwrap();
        assert!(span.is_sampled() && span.is_remote() && span.is_valid());
        assert_eq!(traceparent(&span), GOOD);
    }

    #[test]
    fn the_sampled_bit_alone_decides() {
        assert!(!read(&GOOD.replace("-01", "-00")).unwrap().is_sampled());
        assert!(read(&GOOD.replace("-01", "-03")).unwrap().is_sampled());
        assert!(!read(&GOOD.replace("-01", "-02")).unwrap().is_sampled());
    }

    #[test]
    fn a_later_version_may_say_more_and_this_one_may_not() {
        assert!(read(&format!("cc{}-more", &GOOD[2..])).is_some());
        assert!(read(&format!("cc{}", &GOOD[2..])).is_some());
        assert!(read(&format!("cc{}.more", &GOOD[2..])).is_none());
        assert!(read(&format!("{GOOD}-more")).is_none());
        assert!(read(&format!("ff{}", &GOOD[2..])).is_none());
    }

    #[test]
    fn what_is_not_valid_counts_as_not_there() {
        for bad in [
            "",
            "00",
            &GOOD[..54],
            &GOOD.to_uppercase(),
            &GOOD.replace("4bf9", "4bg9"),
            &GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &GOOD.replace('-', "_"),
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(parent(&headers(&[(TRACEPARENT, GOOD), (TRACEPARENT, GOOD)])), None);
    }

    #[test]
    fn the_state_is_kept_whole_or_not_at_all() {
        let with = |states: &[&str]| {
            let mut all = vec![(TRACEPARENT, GOOD)];
            all.extend(states.iter().map(|state| (TRACESTATE, *state)));
            parent(&headers(&all)).unwrap().trace_state().header()
        };
        assert_eq!(with(&["a=1, b=2", "c=3"]), "a=1,b=2,c=3");
        assert_eq!(with(&["no list"]), "");
        assert_eq!(
            with(&[&format!("a={}", "x".repeat(250)), &format!("b={}", "x".repeat(250))]).len(),
            505
        );
        assert_eq!(with(&[&"a=1,".repeat(128)]), "");
    }
}
