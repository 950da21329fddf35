//! One file of the tree as the rules see it.

use std::path::PathBuf;

/// One source file.
pub(crate) struct Source {
    /// Relative to the root.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn is_rust(&self) -> bool {
        self.path.extension().is_some_and(|extension| extension == "rs")
    }

    /// The lines of the `//!` header.
    pub(crate) fn header(&self) -> impl Iterator<Item = &str> {
        self.text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim)
    }
}

/// A made file, for the tests of rules.
#[cfg(test)]
pub(crate) fn source(path: &str, text: &str) -> Source {
    Source { path: PathBuf::from(path), text: text.to_owned() }
}
