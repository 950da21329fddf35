//! The link from a panel to traces: it opens Jaeger's search in Grafana's Explore, for the slow
//! requests of a service in the displayed time range.

use serde_json::{Value, json};

use crate::http::percent_encode;

/// The search shows traces of at least this duration.
const SLOW: &str = "20ms";

/// A data link in Grafana's JSON.
pub(crate) fn link(service: &str) -> Value {
    let panes = json!({"traces": {
        "datasource": "${jaeger}",
        "queries": [{
            "refId": "A",
            "datasource": {"type": "jaeger", "uid": "${jaeger}"},
            "queryType": "search",
            "service": service,
            "minDuration": SLOW,
        }],
        "range": {"from": "${__from}", "to": "${__to}"},
    }});
    json!({
        "title": format!("Slow traces of {service}"),
        "url": format!("/explore?schemaVersion=1&orgId=1&panes={}", encode(&panes.to_string())),
        "targetBlank": true,
    })
}

/// Percent-encodes all but the variables `${…}`, which Grafana replaces first.
fn encode(text: &str) -> String {
    let mut parts = text.split("${");
    let mut encoded = percent_encode(parts.next().unwrap_or_default());
    for part in parts {
        let (variable, rest) = part.split_once('}').unwrap_or((part, ""));
        encoded.push_str(&format!("${{{variable}}}{}", percent_encode(rest)));
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::encode;

    #[test]
    fn all_but_the_variables_is_encoded() {
        assert_eq!(encode(r#"{"a":"${jaeger}"}"#), "%7B%22a%22%3A%22${jaeger}%22%7D");
        assert_eq!(encode("a{b}"), "a%7Bb%7D");
    }
}
