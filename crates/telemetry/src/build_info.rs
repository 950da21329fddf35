//! Which build answers: one series with the version and the component.

use prometheus::{GaugeVec, Opts, Registry};

/// The version of this build, shared by all crates of the workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Adds `ringkv_build_info{version, component} 1` to the registry.
///
/// # Errors
/// The name is taken in this registry.
pub fn register(registry: &Registry, component: &str) -> prometheus::Result<()> {
    let options = Opts::new("ringkv_build_info", "Version of the running build; always 1.");
    let gauge = GaugeVec::new(options, &["version", "component"])?;
    gauge.with_label_values(&[VERSION, component]).set(1.0);
    registry.register(Box::new(gauge))
}
