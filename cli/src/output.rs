//! Standard output and standard error of the commands.
//!
//! Results go to standard output and are the only thing there; remarks go to standard error.

use std::io::{ErrorKind, Write};

use crate::failure::{Exit, Failure};

/// Writes result bytes to standard output as they are.
///
/// # Errors
/// Standard output cannot be written. A closed pipe is not an error: the reader has what it wants.
pub(crate) fn result(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::new(
            Exit::NotApplied,
            format!("cannot write to standard output: {error}"),
            "check where the output goes",
        )),
    }
}

/// Writes one line of result to standard output.
///
/// # Errors
/// As [`result`].
pub(crate) fn result_line(line: &str) -> Result<(), Failure> {
    result(format!("{line}\n").as_bytes())
}

/// Writes one line of remark to standard error.
pub(crate) fn remark(line: &str) {
    // If standard error is closed, there is no reader for the remark.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
