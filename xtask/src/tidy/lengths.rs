//! Rule: a Rust file has at most 500 lines. The files listed in `xtask/lengths.txt` are exempt, but
//! may not grow past the length written there.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context as _;

use super::source::Source;

/// A longer file owns more than one idea.
const LINES_MAX: usize = 500;
const RATCHET: &str = "xtask/lengths.txt";

/// Complains about files over the limit, or over their own limit in the ratchet.
pub(crate) fn check(root: &Path, sources: &[Source]) -> anyhow::Result<Vec<String>> {
    let path = root.join(RATCHET);
    let text = if path.exists() {
        fs::read_to_string(path).context("read the ratchet")?
    } else {
        String::new()
    };
    Ok(compare(&parse(&text)?, sources))
}

/// Writes the current lengths of the over-long files.
pub(crate) fn write_ratchet(root: &Path, sources: &[Source]) -> anyhow::Result<()> {
    let mut text = String::new();
    for (name, lines) in lengths(sources).filter(|(_, lines)| *lines > LINES_MAX) {
        text.push_str(&format!("{lines} {name}\n"));
    }
    fs::write(root.join(RATCHET), text).context("write the ratchet")
}

fn lengths(sources: &[Source]) -> impl Iterator<Item = (String, usize)> {
    sources
        .iter()
        .filter(|source| source.is_rust())
        .map(|source| (source.path.display().to_string(), source.text.lines().count()))
}

fn parse(text: &str) -> anyhow::Result<BTreeMap<String, usize>> {
    text.lines()
        .map(|line| {
            let (lines, name) = line.split_once(' ').context("split a line of the ratchet")?;
            Ok((name.to_owned(), lines.parse().context("read a length of the ratchet")?))
        })
        .collect()
}

fn compare(ratchet: &BTreeMap<String, usize>, sources: &[Source]) -> Vec<String> {
    lengths(sources)
        .filter_map(|(name, lines)| match ratchet.get(&name) {
            Some(limit) if lines > *limit => {
                Some(format!("{name}: {lines} lines, it may not grow past {limit}"))
            }
            None if lines > LINES_MAX => {
                Some(format!("{name}: {lines} lines, the limit is {LINES_MAX}: split it"))
            }
            Some(_) | None => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{compare, parse};
    use crate::tidy::source::source;

    #[test]
    fn a_new_file_over_the_limit_is_named() {
        let long = source("a.rs", &"\n".repeat(501));
        assert_eq!(compare(&parse("").unwrap(), &[long]).len(), 1);
    }

    #[test]
    fn a_listed_file_may_shrink_but_not_grow() {
        let ratchet = parse("600 a.rs\n").unwrap();
        assert!(compare(&ratchet, &[source("a.rs", &"\n".repeat(600))]).is_empty());
        assert_eq!(compare(&ratchet, &[source("a.rs", &"\n".repeat(601))]).len(), 1);
    }
}
