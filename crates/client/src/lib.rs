//! The client of a ringkv cluster: leader-routed, batched, with retries that cannot apply twice.
//!
//! Owns the way from a key to the node that leads its group and back. [`routing`] decides (pure,
//! also driven by the simulation); `call` runs one request through it; `link` carries requests to
//! one node; `placement` follows the topology. Knows no storage and no HTTP.

mod types;

mod error;

mod config;

mod trace;

mod observer;

pub mod routing;

mod client;

mod call;

mod watched;

mod budget;

mod backoff;

mod cluster;

mod links;

mod link;

mod placement;

pub use client::Client;
pub use cluster::View;
pub use config::ClientConfig;
pub use error::{Error, ErrorKind, Outcome};
pub use observer::{Attempt, Observer, RetryReason};
pub use trace::{CallTrace, Timing};
pub use types::{
    Condition, DeleteOptions, Found, GetOptions, KEY_BYTES_MAX, Metadata, PutOptions, Record,
    RequestId, Written,
};

#[cfg(feature = "fake")]
pub mod fake;
