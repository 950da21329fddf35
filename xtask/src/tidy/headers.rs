//! Rule: every Rust file opens with a `//!` header that says what it owns. A `tests.rs` is exempt:
//! its path says that it owns the tests of its module.

use super::source::Source;

/// Complains about each Rust file whose first line is not a `//!` sentence.
pub(crate) fn check(sources: &[Source]) -> Vec<String> {
    sources
        .iter()
        .filter(|source| source.is_rust() && !source.path.ends_with("tests.rs"))
        .filter(|source| source.header().next().is_none_or(str::is_empty))
        .map(|source| {
            format!("{}:1: no `//!` header that says what the file owns", source.path.display())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::source::source;

    #[test]
    fn a_file_without_a_header_is_named() {
        let complaints =
            check(&[source("a.rs", "fn main() {}\n"), source("b.rs", "//! Owns b.\n")]);
        assert_eq!(complaints.len(), 1);
        assert!(complaints[0].starts_with("a.rs:1:"));
    }

    #[test]
    fn an_empty_header_is_no_header() {
        assert_eq!(check(&[source("a.rs", "//!\n//! late\n")]).len(), 1);
    }
}
