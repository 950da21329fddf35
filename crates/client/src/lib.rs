//! The client of a ringkv cluster: leader-routed, batched, with retries that cannot apply twice.
//!
//! Owns the way from a key to the node that leads its group and back. `ringkv-routing` decides
//! (pure, also driven by the simulation); `call` runs one request through it; `link` carries
//! requests to one node; `placement` follows the topology. [`admin`] has the calls of operators.
//! Knows no storage and no HTTP.
#![warn(missing_docs)]

mod error;

mod trace;

mod options;

mod observer;

mod config;

mod client;

mod call;

mod watched;

mod backoff;

mod cluster;

mod links;

mod link;

mod placement;

mod operation;

pub mod admin;

pub use ringkv_kv_types::{
    Condition, ErrorKind, KEY_BYTES_MAX, Metadata, Outcome, Record, RequestId, Written,
};
pub use ringkv_routing::RetryReason;

pub use client::Client;
pub use cluster::View;
pub use config::ClientConfig;
pub use error::Error;
pub use observer::{Attempt, Observer};
pub use operation::{Operation, OperationState, Operations};
pub use options::{CallOptions, DeleteOptions, GetOptions, PutOptions};
pub use trace::{CallTrace, Timed, Timing};

#[cfg(feature = "fake")]
pub mod fake;
