//! The settings that an operator changes while the cluster runs: their names, forms and ranges.

use ringkv_topology::RuntimeSettings;

use crate::command::Refusal;
use crate::operation::{OperationId, OperationKind};
use crate::state::Cluster;

/// Shorter, a restart would look like a loss; longer, a loss would go unrepaired for days.
const REPLACE_AFTER_S: std::ops::RangeInclusive<u64> = 10..=86_400;
/// Slower, the snapshot of a group would take days.
const SNAPSHOT_RATE_MIN: u64 = 1 << 20;

impl Cluster {
    /// Changes a setting.
    pub(super) fn set(
        &mut self,
        name: String,
        value: String,
        now_ms: u64,
    ) -> Result<OperationId, Refusal> {
        let changed = changed(self.topology.runtime, &name, &value);
        let changed = changed.map_err(Refusal::InvalidSetting)?;
        let id = self.record(OperationKind::SettingsSet { name, value }, now_ms);
        if changed != self.topology.runtime {
            self.topology.runtime = changed;
            self.next_epoch();
        }
        Ok(id)
    }
}

/// The settings after one is set by name.
fn changed(
    mut settings: RuntimeSettings,
    name: &str,
    value: &str,
) -> Result<RuntimeSettings, String> {
    match name {
        "replace-after" => {
            let seconds = scaled(value, &[("s", 1), ("m", 60), ("h", 3_600), ("", 1)]);
            let valid = seconds.filter(|seconds| REPLACE_AFTER_S.contains(seconds));
            settings.replace_after_s =
                valid.and_then(|valid| u32::try_from(valid).ok()).ok_or_else(|| {
                    format!("replace-after: `{value}` is not a time from 10s to 86400s (24h)")
                })?;
        }
        "snapshot-rate" => {
            let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("", 1)];
            let rate = scaled(value.strip_suffix("/s").unwrap_or(value), &units);
            settings.snapshot_bytes_per_s =
                rate.filter(|rate| *rate >= SNAPSHOT_RATE_MIN).ok_or_else(|| {
                    format!("snapshot-rate: `{value}` is not a rate of 1MiB/s or more")
                })?;
        }
        _ => {
            let problem = "is not a setting that can be changed: replace-after or snapshot-rate";
            return Err(format!("`{name}` {problem}"));
        }
    }
    Ok(settings)
}

/// A whole number with one of the units.
fn scaled(value: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (digits, scale) = units
        .iter()
        .find_map(|(unit, scale)| value.strip_suffix(unit).map(|digits| (digits.trim(), *scale)))?;
    let is_plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse::<u64>().ok().filter(|_| is_plain)?.checked_mul(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, value: &str) -> Result<(u32, u64), String> {
        changed(RuntimeSettings::default(), name, value)
            .map(|settings| (settings.replace_after_s, settings.snapshot_bytes_per_s))
    }

    #[test]
    fn values_have_the_units_that_people_type() {
        let default = RuntimeSettings::default();
        let rate = default.snapshot_bytes_per_s;
        for (value, seconds) in [("10", 10), ("10s", 10), ("5m", 300), ("24h", 86_400)] {
            assert_eq!(set("replace-after", value), Ok((seconds, rate)), "{value}");
        }
        for (value, rate) in [("1MiB", 1 << 20), ("1048576", 1 << 20), ("2 GiB/s", 2 << 30)] {
            assert_eq!(set("snapshot-rate", value), Ok((300, rate)), "{value}");
        }
    }

    #[test]
    fn an_error_names_the_setting_and_its_range() {
        for value in ["9", "86401", "25h", "", "s", "5d", "-5", "+10", "1.5m"] {
            let error = set("replace-after", value).unwrap_err();
            assert!(error.contains("replace-after: `") && error.contains("10s to 86400s"));
        }
        for value in ["1023KiB", "0", "fast", "99999999999999999999", "18446744073709551615GiB"] {
            assert!(set("snapshot-rate", value).unwrap_err().contains("1MiB/s or more"), "{value}");
        }
        assert!(set("slot-count", "7").unwrap_err().starts_with("`slot-count` is not a setting"));
    }
}
