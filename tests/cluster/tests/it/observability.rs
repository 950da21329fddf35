//! What a cluster tells of itself while it works, and that telling never gets in its way.

mod logs;
mod metrics;
mod secured_collector;
mod trace_sink;
mod traces;
