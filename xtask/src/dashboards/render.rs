//! `cargo xtask dashboards render`: runs a cluster under load for some minutes, then
//! `dashboards/render.py` draws the boards from its Prometheus.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::scene::Scene;
use crate::workspace;

const SCRIPT: &str = "dashboards/render.py";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How long the load runs before the boards are drawn
    #[arg(long, default_value_t = 300)]
    seconds: u64,
    /// A Python that has matplotlib
    #[arg(long, default_value = "python3")]
    python: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let scene = Scene::start()?;
    std::thread::sleep(Duration::from_secs(arguments.seconds));
    let status = Command::new(&arguments.python)
        .arg(SCRIPT)
        .arg(format!("http://{}", scene.prometheus.address))
        .args(["--seconds", &arguments.seconds.to_string()])
        .current_dir(workspace::root()?)
        .status()
        .context("run the script that draws")?;
    scene.end()?;
    ensure!(status.success(), "{SCRIPT}: {status}");
    Ok(())
}
