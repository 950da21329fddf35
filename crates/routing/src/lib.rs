//! Pure. Where a request goes, and what to do when it fails.
//!
//! Owns the client's picture of the cluster ([`Router`]) and the retry decision for one request
//! ([`Attempts`]). Never opens a connection, reads no clock, draws no random number: the client
//! (and the simulation) does what [`Next`] says. Invariants: a write that may have applied stays
//! *unknown* until an answer that went through the replicated log settles it; between two pauses
//! no node is asked twice, so two nodes that name each other as leader cannot make a loop.
#![warn(missing_docs)]

mod attempts;
mod failure;
mod router;

#[cfg(test)]
mod tests;

pub use attempts::{Attempts, Next};
pub use failure::{Failure, RetryReason};
pub use router::{NotReady, Route, Router};

impl Router {
    /// Where to send the next attempt of a request for `key`.
    ///
    /// # Errors
    /// [`NotReady`]: wait for a topology, then ask again.
    pub fn route(&self, key: &[u8], attempts: &Attempts) -> Result<Route, NotReady> {
        self.route_to(key, attempts.aim(), attempts.tried())
    }
}
