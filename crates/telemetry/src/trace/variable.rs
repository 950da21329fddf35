//! An environment variable whose value cannot be used.

/// A variable, its value, and what it may be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: `{value}` is not {allowed}")]
pub struct InvalidVariable {
    variable: &'static str,
    value: String,
    allowed: &'static str,
}

/// Refuses `value`; `allowed` completes the sentence "it is not".
pub(super) fn invalid<T>(
    variable: &'static str,
    value: impl Into<String>,
    allowed: &'static str,
) -> Result<T, InvalidVariable> {
    Err(InvalidVariable { variable, value: value.into(), allowed })
}
