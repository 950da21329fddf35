//! Whether a process was started with the settings of its cluster.
//!
//! The settings are kept in the replicated state since the cluster was created; flags may only
//! repeat them. Owns the comparison and the name of the flag that differs.

use ringkv_topology::Settings;

use crate::state::State;

/// A flag that differs from the cluster's setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{flag}: the cluster was created with {theirs}, not {ours}; it cannot be changed")]
pub struct SettingDiffers {
    pub flag: &'static str,
    pub theirs: String,
    pub ours: String,
}

/// Compares the settings of this process with those of the cluster, as far as it is initialized.
///
/// # Errors
/// [`SettingDiffers`] names the first flag that differs: this process must not take part.
pub fn check(state: &State, ours: &Settings) -> Result<(), SettingDiffers> {
    let Some(topology) = state.topology() else { return Ok(()) };
    let theirs = &topology.settings;
    let shown = |show: fn(&Settings) -> String| [theirs, ours].map(show);
    let pairs = [
        ("--slot-count", shown(|settings| settings.slot_count.get().to_string())),
        ("--replication-factor", shown(|settings| settings.replication_factor.to_string())),
        ("--value-bytes-max", shown(|settings| settings.value_bytes_max.to_string())),
        ("--read-mode", shown(|settings| settings.read_mode.to_string())),
    ];
    for (flag, [theirs, ours]) in pairs {
        if theirs != ours {
            return Err(SettingDiffers { flag, theirs, ours });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ringkv_topology::{ClusterId, ReadMode, SlotCount};

    use super::*;
    use crate::command::Command;

    fn settings() -> Settings {
        Settings {
            slot_count: SlotCount::DEFAULT,
            replication_factor: 3,
            value_bytes_max: 1 << 20,
            read_mode: ReadMode::ReadIndex,
        }
    }

    #[test]
    fn settings_other_than_the_clusters_are_refused_by_their_flag() {
        let mut state = State::default();
        check(&state, &settings()).unwrap();
        state.apply(Command::Init { cluster: ClusterId(1), settings: settings() });
        check(&state, &settings()).unwrap();
        let others = [
            Settings { slot_count: SlotCount::new(64).unwrap(), ..settings() },
            Settings { replication_factor: 1, ..settings() },
            Settings { value_bytes_max: 7, ..settings() },
            Settings { read_mode: ReadMode::Lease, ..settings() },
        ];
        let flags = ["--slot-count", "--replication-factor", "--value-bytes-max", "--read-mode"];
        for (other, flag) in others.iter().zip(flags) {
            let error = check(&state, other).unwrap_err().to_string();
            assert!(error.starts_with(flag), "{error}");
        }
    }
}
