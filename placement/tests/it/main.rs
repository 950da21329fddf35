//! Placement as its clients see it: whole replicas in this process, called over gRPC.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod cluster;

mod members;
mod one_replica;
mod operations;
mod three_replicas;
