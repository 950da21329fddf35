//! How much one span may carry: the standard `OTEL_SPAN_*` and `OTEL_ATTRIBUTE_*` limits.
//!
//! What is over a limit is cut off and counted on the span. Spans here have no events, so there is
//! nothing to hold to the limits of events.

use opentelemetry::trace::{Link, SpanContext};
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::trace::SpanLinks;

use super::variable::{InvalidVariable, invalid};

/// OpenTelemetry's default for attributes and for links.
const COUNT_DEFAULT: usize = 128;
const LIMIT_MAX: usize = 65_535;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) attributes: usize,
    /// Of a text value, in characters.
    pub(super) value_length: usize,
    pub(super) links: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { attributes: COUNT_DEFAULT, value_length: usize::MAX, links: COUNT_DEFAULT }
    }
}

impl Limits {
    pub(super) fn read(
        get: impl Fn(&'static str) -> Option<String>,
    ) -> Result<Self, InvalidVariable> {
        let limit = |names: &[&'static str], default| {
            let set = names.iter().find_map(|name| Some((*name, get(name)?)));
            let Some((name, text)) = set else { return Ok(default) };
            match text.parse() {
                Ok(limit) if limit <= LIMIT_MAX => Ok(limit),
                _ => invalid(name, text, "a number from 0 to 65535"),
            }
        };
        let default = Self::default();
        Ok(Self {
            attributes: limit(
                &["OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"],
                default.attributes,
            )?,
            value_length: limit(
                &["OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"],
                default.value_length,
            )?,
            links: limit(&["OTEL_SPAN_LINK_COUNT_LIMIT"], default.links)?,
        })
    }

    /// The attributes that fit, and how many do not.
    pub(super) fn attributes(&self, mut all: Vec<KeyValue>) -> (Vec<KeyValue>, u32) {
        let dropped = over(all.len(), self.attributes);
        all.truncate(self.attributes);
        for attribute in &mut all {
            if let Value::String(text) = &attribute.value
                && let Some((end, _)) = text.as_str().char_indices().nth(self.value_length)
            {
                attribute.value = text.as_str()[..end].to_owned().into();
            }
        }
        (all, dropped)
    }

    /// The links that fit, with the count of those that do not.
    pub(super) fn links(&self, all: Vec<SpanContext>) -> SpanLinks {
        let mut links = SpanLinks::default();
        links.dropped_count = over(all.len(), self.links);
        let fit = all.into_iter().take(self.links);
        links.links = fit.map(|to| Link::new(to, Vec::new(), 0)).collect();
        links
    }
}

fn over(count: usize, limit: usize) -> u32 {
    u32::try_from(count.saturating_sub(limit)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(set: &[(&'static str, &str)]) -> Result<Limits, String> {
        let get = |name: &str| set.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        Limits::read(get).map_err(|error| error.to_string())
    }

    #[test]
    fn the_limit_of_spans_comes_before_the_one_of_all_signals() {
        assert_eq!(read(&[]), Ok(Limits::default()));
        let general = ("OTEL_ATTRIBUTE_COUNT_LIMIT", "9");
        assert_eq!(read(&[general]).unwrap().attributes, 9);
        let spans = ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "3");
        assert_eq!(read(&[general, spans]).unwrap().attributes, 3);
        assert_eq!(read(&[("OTEL_SPAN_LINK_COUNT_LIMIT", "0")]).unwrap().links, 0);
        assert_eq!(read(&[("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "7")]).unwrap().value_length, 7);
        let error = read(&[("OTEL_SPAN_LINK_COUNT_LIMIT", "65536")]).unwrap_err();
        assert!(
            error.starts_with("OTEL_SPAN_LINK_COUNT_LIMIT: `65536` is not a number"),
            "{error}"
        );
    }

    #[test]
    fn what_is_over_a_limit_is_cut_off_and_counted() {
        let limits = Limits { attributes: 2, value_length: 3, links: 1 };
        let all = vec![
            KeyValue::new("text", "äöüß"),
            KeyValue::new("number", 12_345),
            KeyValue::new("third", "x"),
        ];
        let (kept, dropped) = limits.attributes(all);
        assert_eq!(kept, [KeyValue::new("text", "äöü"), KeyValue::new("number", 12_345)]);
        assert_eq!(dropped, 1);
        let links = limits.links(vec![SpanContext::NONE; 3]);
        assert_eq!((links.links.len(), links.dropped_count), (1, 2));
    }
}
