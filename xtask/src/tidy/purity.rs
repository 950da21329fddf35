//! Rule: what decides is pure. A file in one of the pure folders, or one whose header has a
//! sentence `Pure.`, names no clock, no randomness of the process, no file, socket, thread or
//! async runtime: time comes to it as a tick and randomness as a seed.

use super::source::Source;

/// Folders and modules that are pure whole.
const PURE: &[&str] = &[
    "crates/topology/src/",
    "crates/consensus/src/",
    "crates/client/src/routing",
    "storage-node/core/src/",
];

/// What a pure file may not name, and why.
const BANNED: &[(&str, &str)] = &[
    ("SystemTime", "time comes as an argument"),
    ("Instant::now", "time comes as a tick"),
    ("thread_rng", "randomness comes from a seed"),
    ("rand::rng(", "randomness comes from a seed"),
    ("rand::random", "randomness comes from a seed"),
    ("tokio::", "the shell around it is async, the core is not"),
    ("std::fs", "files are the shell's"),
    ("std::net", "sockets are the shell's"),
    ("std::thread", "threads are the shell's"),
    ("tracing::", "facts are returned, the shell logs them"),
];

/// Complains about each line of a pure file that names something impure. Tests may.
pub(crate) fn check(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in sources.iter().filter(|source| source.is_rust() && is_pure(source)) {
        for (number, line) in source.shipped().lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for (word, reason) in BANNED.iter().filter(|(word, _)| code.contains(word)) {
                let path = source.path.display();
                complaints
                    .push(format!("{path}:{}: `{word}` in a pure file: {reason}", number + 1));
            }
        }
    }
    complaints
}

fn is_pure(source: &Source) -> bool {
    let path = source.path.to_string_lossy();
    let is_test = path.ends_with("tests.rs") || path.contains("/tests/");
    let says_so =
        source.header().any(|line| line.split_inclusive('.').any(|s| s.trim() == "Pure."));
    !is_test && (says_so || PURE.iter().any(|prefix| path.starts_with(prefix)))
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::source::source;

    #[test]
    fn a_clock_in_a_pure_folder_is_named_with_its_line() {
        let text = "//! Core.\nfn f() { let t = SystemTime::now(); }\n";
        let complaints = check(&[source("crates/topology/src/a.rs", text)]);
        assert_eq!(complaints.len(), 1);
        assert!(complaints[0].contains("a.rs:2:"));
    }

    #[test]
    fn a_header_that_says_pure_is_held_to_it() {
        let text = "//! Plans moves. Pure.\nuse std::fs;\n";
        assert_eq!(check(&[source("placement/src/plan.rs", text)]).len(), 1);
        let text = "//! Reads files.\nuse std::fs;\n";
        assert!(check(&[source("placement/src/shell.rs", text)]).is_empty());
    }

    #[test]
    fn comments_and_inline_tests_may_name_a_clock() {
        let text = "//! Core.\n// unlike SystemTime\n#[cfg(test)]\nmod tests { use std::fs; }\n";
        assert!(check(&[source("crates/topology/src/a.rs", text)]).is_empty());
    }
}
