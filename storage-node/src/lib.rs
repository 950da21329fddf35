//! The storage node: the shell around `ringkv-storage-core`.
//!
//! Owns what the core may not: RocksDB (`store`), the gRPC service (`kv_service`,
//! `admin_service`), threads, clocks, files and metrics. `node` starts and stops everything;
//! `placement_link` talks to placement; `directory` checks the data directory at a start, `identity`
//! and `topology_file` keep what must survive a restart in addition to the stores, and `layout`
//! names the folders. The core decides what a write
//! does, which requests are refused, which replicas are missing and when a leader transfers its
//! leadership.

pub mod disk_space;
pub mod store;

mod admin_service;
mod cluster_view;
mod config;
mod directory;
mod disk_watch;
mod identity;
mod kv_service;
mod layout;
mod metrics;
mod node;
mod placement_link;
mod topology_file;

pub use config::{Args, Config, Expect, InvalidSetting, StopNow};
pub use node::{Listeners, run, serve};
