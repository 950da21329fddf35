//! Rule: a path named in ARCHITECTURE.md, README.md or a page under docs/ exists.
//!
//! A path is a word in backticks that contains a slash and starts with a folder of the tree. Words
//! with `*` are skipped. Decision pages are skipped too: they record the tree of their day.

use std::path::Path;

use super::source::Source;

/// Complains about each named path that does not exist.
pub(crate) fn check(root: &Path, sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in sources.iter().filter(|source| is_checked(&source.path)) {
        for (number, line) in source.text.lines().enumerate() {
            for path in named_paths(line).filter(|path| !root.join(path).exists()) {
                let page = source.path.display();
                complaints.push(format!("{page}:{}: `{path}` does not exist", number + 1));
            }
        }
    }
    complaints
}

fn is_checked(path: &Path) -> bool {
    let is_page = path.extension().is_some_and(|extension| extension == "md");
    is_page && !path.starts_with("docs/decisions") && path.as_os_str() != "CHANGELOG.md"
}

const FOLDERS: &[&str] = &[
    "proto/",
    "crates/",
    "placement/",
    "storage-node/",
    "gateway/",
    "cli/",
    "tests/",
    "docs/",
    "loadtests/",
    "dashboards/",
    "scripts/",
    "xtask/",
];

/// The paths in backticks of one line, without a `:line` or `::item` after them.
fn named_paths(line: &str) -> impl Iterator<Item = &str> {
    line.split('`')
        .skip(1)
        .step_by(2)
        .map(|word| word.split(':').next().unwrap_or_default())
        .filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder)))
        .filter(|word| !word.contains(['*', ' ', '{', '<']))
}

#[cfg(test)]
mod tests {
    use super::named_paths;

    #[test]
    fn only_paths_of_the_tree_in_backticks_count() {
        let line =
            "see `crates/topology/src/slot.rs::slot_of`, `GET /kv/x`, proto/a and `docs/*.md`";
        assert_eq!(named_paths(line).collect::<Vec<_>>(), ["crates/topology/src/slot.rs"]);
    }
}
