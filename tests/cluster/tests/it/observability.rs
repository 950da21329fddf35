//! Metrics, logs and traces of a working cluster, which never delay its requests.

mod logs;
mod metrics;
mod secured_collector;
mod trace_sink;
mod traces;
