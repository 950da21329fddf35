//! What a poller counts.

/// What has happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Elections that a replica here began.
    pub elections: u64,
    /// A replica here has learnt of another leader than before.
    pub leader_changes: u64,
    /// Cuts of a log.
    pub compactions: u64,
    /// Snapshots that replaced the state of a replica here.
    pub snapshots_installed: u64,
    /// Replicas here whose state was found wrong ([`crate::Input::Rebuild`]).
    pub replicas_diverged: u64,
    /// Messages for unknown groups, older replica ids or unknown nodes, and appends while too
    /// much is not applied.
    pub messages_dropped: u64,
    /// Frames whose checksum, version or shape was wrong.
    pub frames_damaged: u64,
}
