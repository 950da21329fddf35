//! The violations that a run can find.

use std::any::Any;
use std::fmt;

/// A violated invariant of the system under test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation(String);

impl Violation {
    /// A violation, described as text.
    pub(crate) fn broken(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    /// A panic of the system under test.
    pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Self {
        let words = panic.downcast_ref::<String>().map(String::as_str);
        let words = words.or_else(|| panic.downcast_ref::<&str>().copied());
        Self(format!("panic: {}", words.unwrap_or("(not in words)")))
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Violation {}
