//! The Kv service without its stream: how a request is checked, kept, timed and answered.
//!
//! The storage node drives these parts from a gRPC stream, the simulation from its agenda.

pub mod accept;
pub mod convert;
pub mod open_requests;
pub mod reply;
pub mod stages;
