//! The pure core alone: scripted clusters of pollers in memory, no thread, no clock, no socket.

mod test_cluster;

mod divergence;
mod lease;
mod membership;
mod pitfalls;
mod replication;
mod snapshots;
