//! Whether a request took effect: the one meaning of "outcome" in the project.

/// Whether a request took effect. A read changes nothing: its outcome is never `Unknown`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It took effect, now or earlier under the same request id.
    Applied,
    /// It did not take effect and never will.
    NotApplied,
    /// It may have taken effect: only the same request under the same id can tell.
    Unknown,
}

impl Outcome {
    /// The name in JSON and metrics: `applied`, `not_applied`, `unknown`.
    pub fn slug(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::NotApplied => "not_applied",
            Self::Unknown => "unknown",
        }
    }
}
