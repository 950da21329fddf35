//! The pure core alone: scripted clusters of pollers in memory, no thread, no clock, no socket.

mod test_cluster;

mod change_crashes;
mod destroy;
mod divergence;
mod isolation;
mod joint;
mod lease;
mod membership;
mod pitfalls;
mod random_changes;
mod removal;
mod replication;
mod snapshots;
