//! Checks the boards against Grafana's own types.
//!
//! Grafana Labs publishes the types of boards, panels and queries as a Python package, in one build
//! for each version of Grafana. `make setup` fetches them; `dashboards/schema.py` compares the
//! boards with one of them. Without a running Grafana this is the closest check to an import.

use std::path::Path;
use std::process::Command;

use crate::dashboards::Checked;
use crate::dashboards::files::{self, BoardFile};
use crate::workspace;

const SCRIPT: &str = "dashboards/schema.py";
/// The Python with which `make setup` fetches the builds.
const PYTHON: &str = "/usr/bin/python3";
/// The folder of a build, and the Grafana version of its types.
const BUILDS: [(&str, &str); 3] =
    [("11.0", "Grafana 11.0"), ("11.6", "Grafana 11.6"), ("next", "the Grafana in development")];

/// One check for each build.
///
/// # Errors
/// A build is missing, or Python does not run.
pub(super) fn checks(root: &Path, boards: &[BoardFile]) -> anyhow::Result<Vec<Checked>> {
    let mut checks = Vec::new();
    for (folder, whose) in BUILDS {
        let types = workspace::fetched(&format!("grafana-sdk/{folder}"))?;
        let paths = boards.iter().map(|board| Path::new(files::FOLDER).join(&board.name));
        let mut command = Command::new(PYTHON);
        command.arg(SCRIPT).args(paths).env("PYTHONPATH", types).current_dir(root);
        let complaints = super::printed(&mut command)?;
        checks.push(Checked::new(format!("the types of {whose} take every board"), complaints));
    }
    Ok(checks)
}
