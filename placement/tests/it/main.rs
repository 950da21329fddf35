//! Placement as its clients meet it: whole replicas in this process, spoken to over gRPC.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod cluster;

mod one_replica;
mod three_replicas;
