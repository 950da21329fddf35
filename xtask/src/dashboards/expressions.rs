//! The part of PromQL that the checks need: which metrics an expression names, with which
//! selectors, and the values with which Grafana would replace its variables.
//!
//! Never checks whether an expression is valid: Prometheus does.

/// The values that Grafana would insert. Every chosen value is "All".
const VARIABLES: &[(&str, &str)] = &[
    ("$__rate_interval", "15s"),
    ("$gateway", ".*"),
    ("$node", ".*"),
    ("$group", ".*"),
    ("$job", ".*"),
];

/// The prefixes of the names of our metrics; recorded ones begin with `ringkv:`.
const PREFIXES: &[&str] = &["ringkv_", "ringkv:", "raft_", "process_"];

/// Whether our services export or our rules record the metric.
pub(crate) fn is_ours(name: &str) -> bool {
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The expression as Grafana would send it to Prometheus.
pub(crate) fn fill(expression: &str) -> String {
    VARIABLES
        .iter()
        .fold(expression.to_owned(), |filled, (name, value)| filled.replace(name, value))
}

/// The board variables in an expression, without Grafana's built-in ones.
pub(crate) fn variables(expression: &str) -> Vec<&str> {
    expression
        .split('$')
        .skip(1)
        .map(|rest| {
            let end = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
            &rest[..end]
        })
        .filter(|name| !name.starts_with("__"))
        .collect()
}

/// Names of our metrics and of recorded ones, in order of appearance.
pub(crate) fn metrics(expression: &str) -> Vec<&str> {
    selectors(expression)
        .into_iter()
        .map(|selector| selector.split('{').next().unwrap_or_default())
        .collect()
}

/// Every selector of a metric of ours, with its label matchers and without a range.
pub(crate) fn selectors(expression: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(first) = expression[at..].chars().next() {
        if first == '"' {
            at += quoted(&expression[at..]);
        } else if is_name(first) {
            let rest = &expression[at..];
            let mut end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            let ours = is_ours(&rest[..end]);
            if ours && rest[end..].starts_with('{') {
                end += braced(&rest[end..]);
            }
            if ours {
                found.push(&rest[..end]);
            }
            at += end;
        } else {
            at += first.len_utf8();
        }
    }
    found
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

/// Length of the string in quotes that the text begins with.
fn quoted(text: &str) -> usize {
    text[1..].find('"').map_or(text.len(), |end| end + 2)
}

/// Length of the matchers in braces that the text begins with.
fn braced(text: &str) -> usize {
    let mut at = 1;
    while let Some(next) = text[at..].chars().next() {
        match next {
            '}' => return at + 1,
            '"' => at += quoted(&text[at..]),
            other => at += other.len_utf8(),
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::{fill, metrics, selectors, variables};

    #[test]
    fn selectors_keep_their_matchers_and_lose_their_range() {
        let text = r#"sum by (raft) (rate(raft_a{x="}raft_b", y=~"$node"}[5m])) / ringkv:b:c > up"#;
        assert_eq!(selectors(text), [r#"raft_a{x="}raft_b", y=~"$node"}"#, "ringkv:b:c"]);
        assert_eq!(metrics(text), ["raft_a", "ringkv:b:c"]);
    }

    #[test]
    fn variables_of_a_board_are_named_and_filled() {
        let text = r#"rate(raft_a{i=~"$gateway|$node"}[$__rate_interval])"#;
        assert_eq!(variables(text), ["gateway", "node"]);
        assert_eq!(fill(text), r#"rate(raft_a{i=~".*|.*"}[15s])"#);
    }
}
