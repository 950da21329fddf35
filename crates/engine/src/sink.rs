//! Where the engine delivers the ends of requests.

use ringkv_consensus::Completion;

/// Takes the ends of requests.
pub trait Sink: Send + Sync {
    /// Called from an engine thread, or from within [`crate::Handle::submit`] for requests turned away
    /// at once. Must not block.
    fn deliver(&self, completions: Vec<Completion>);
}
