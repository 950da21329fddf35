//! `ringkv settings`: what can be changed while the cluster runs.

use ringkv_topology::RuntimeSettings;

use crate::admin::{self, AdminArgs};
use crate::failure::Failure;
use crate::operation_view::size;
use crate::output;
use crate::topology_view::table;

/// Flags of `ringkv settings list`.
#[derive(Debug, clap::Args)]
pub(crate) struct SettingsListArgs {
    #[command(flatten)]
    pub admin: AdminArgs,
}

/// Flags of `ringkv settings set`.
#[derive(Debug, clap::Args)]
pub(crate) struct SettingsSetArgs {
    /// replace-after: how long a node may be silent before its replicas are replaced, 10s to 24h.
    /// snapshot-rate: how fast a node sends snapshots, all together, 1MiB/s or more.
    #[arg(value_name = "NAME")]
    pub name: String,

    /// The value with its unit: 300s, 5m or 1h; 64MiB/s or 1GiB/s.
    #[arg(value_name = "VALUE")]
    pub value: String,

    #[command(flatten)]
    pub admin: AdminArgs,
}

/// Shows one line a setting.
///
/// # Errors
/// Exit 3 when placement does not answer.
pub(crate) async fn list(args: SettingsListArgs) -> Result<(), Failure> {
    let placement = admin::connect(&args.admin).await?;
    let settings = placement.settings().await;
    let settings = settings.map_err(|error| admin::failure("cannot read the settings", &error))?;
    output::result(text(&settings).as_bytes())
}

/// Changes a setting.
///
/// # Errors
/// Exit 2 for a value out of range, 3 when placement does not answer.
pub(crate) async fn set(args: SettingsSetArgs) -> Result<(), Failure> {
    let placement = admin::connect(&args.admin).await?;
    let settings = placement.set_setting(&args.name, &args.value).await;
    let what = "cannot change the setting";
    let settings = settings.map_err(|error| admin::change_failure(what, &error))?;
    output::result(text(&settings).as_bytes())
}

fn text(settings: &RuntimeSettings) -> String {
    let row = |name: &str, value: String, meaning: &str| [name.into(), value, meaning.into()];
    table(&[
        row("SETTING", "VALUE".into(), "MEANING"),
        row(
            "replace-after",
            format!("{}s", settings.replace_after_s),
            "a node silent for longer is replaced; 10s to 24h",
        ),
        row(
            "snapshot-rate",
            format!("{}/s", size(settings.snapshot_bytes_per_s).replace(' ', "")),
            "how fast a node sends snapshots, all together; 1MiB/s or more",
        ),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_shown_with_its_unit_and_range() {
        let shown = text(&RuntimeSettings::default());
        assert!(shown.contains("replace-after  300s"), "{shown}");
        assert!(shown.contains("snapshot-rate  64.0MiB/s"), "{shown}");
    }
}
