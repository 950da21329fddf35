//! The pure core alone: scripted clusters of pollers in memory, no thread, no clock, no socket.

mod lab;

mod divergence;
mod lease;
mod membership;
mod pitfalls;
mod replication;
mod snapshots;
