//! What a failed command prints for its user, and its exit code for scripts.
//!
//! Owns the exit codes. Three outcomes of a write stay apart: applied, not applied, unknown.

use std::io::Write;
use std::process::ExitCode;

/// Exit codes of every subcommand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// A definite no: the key is absent, the precondition does not hold, the probe failed.
    Negative = 1,
    /// The command itself is wrong; the same command will never work.
    Usage = 2,
    /// Certainly not applied; worth a retry.
    NotApplied = 3,
    /// A write that may or may not have applied.
    Unknown = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Whether a write took effect, as the messages name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    No,
    Unknown,
    /// The command writes nothing.
    NotAWrite,
}

/// A command that did not succeed.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    /// What happened, lowercase, no full stop.
    pub happened: String,
    pub applied: Applied,
    /// What to do next; empty when there is nothing to advise.
    pub next: String,
    /// Prints the failure as one JSON object instead of lines.
    pub json: bool,
}

impl Failure {
    /// A failure of a command that writes nothing.
    pub fn new(exit: Exit, happened: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            exit,
            happened: happened.into(),
            applied: Applied::NotAWrite,
            next: next.into(),
            json: false,
        }
    }

    /// The same failure with what became of the write.
    pub fn applied(self, applied: Applied) -> Self {
        Self { applied, ..self }
    }

    /// Writes the failure to standard error.
    pub fn print(&self) {
        // If standard error is closed, the exit code alone reports the failure.
        let _ = writeln!(std::io::stderr().lock(), "{}", self.text());
    }

    fn text(&self) -> String {
        let applied = match self.applied {
            Applied::No => Some(("no", "not_applied")),
            Applied::Unknown => Some(("unknown", "unknown")),
            Applied::NotAWrite => None,
        };
        if self.json {
            return serde_json::json!({
                "error": self.happened,
                "outcome": applied.map(|(_, slug)| slug),
                "next": self.next,
                "exit": self.exit as u8,
            })
            .to_string();
        }
        let mut text = format!("error: {}", self.happened);
        if let Some((word, _)) = applied {
            text.push_str("\napplied: ");
            text.push_str(word);
        }
        if !self.next.is_empty() {
            text.push_str("\nnext: ");
            text.push_str(&self.next);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_names_what_happened_whether_it_applied_and_what_to_do() {
        let failure = Failure::new(Exit::Unknown, "the gateway did not answer", "read the key")
            .applied(Applied::Unknown);
        assert_eq!(
            failure.text(),
            "error: the gateway did not answer\napplied: unknown\nnext: read the key"
        );
    }

    #[test]
    fn a_read_does_not_speak_of_applying() {
        let failure = Failure::new(Exit::Negative, "no such key", "");
        assert_eq!(failure.text(), "error: no such key");
    }

    #[test]
    fn json_carries_the_outcome_and_the_exit_code() {
        let failure = Failure {
            json: true,
            ..Failure::new(Exit::NotApplied, "busy", "retry").applied(Applied::No)
        };
        let value: serde_json::Value = serde_json::from_str(&failure.text()).expect("valid JSON");
        assert_eq!(value["outcome"], "not_applied");
        assert_eq!(value["exit"], 3);
    }
}
