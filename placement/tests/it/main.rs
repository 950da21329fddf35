//! Placement as its clients meet it: whole replicas in this process, spoken to over gRPC.

mod cluster;

mod one_replica;
mod three_replicas;
