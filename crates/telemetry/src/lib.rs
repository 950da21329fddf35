//! What every ringkv binary sets up the same way: logs, traces, metrics, health pages and signals.
//!
//! Owns the outside of a process: how it logs, where its traces go, where it answers /metrics and
//! /readyz, what a signal or a panic does. Knows nothing of groups, keys or nodes; nothing of ours
//! is imported. Nothing here is global except what a process has once: its log, its panic hook, its
//! signals.

pub mod bind;
pub mod build_info;
pub mod exemplars;
pub mod health;
pub mod http;
pub mod logging;
mod openmetrics;
pub mod pages;
pub mod panic;
pub mod process;
pub mod series;
pub mod settings;
pub mod shutdown;
pub mod trace;
