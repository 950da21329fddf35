//! `cargo xtask dashboards`: writes and checks the Grafana boards and the Prometheus rules.
//!
//! `write` generates the JSON under `dashboards/` from the definitions in `boards`. `check` checks
//! the files alone; `live` queries a real Prometheus that scrapes a running cluster under load;
//! `render` draws the boards from such a Prometheus for the documents. Both checks read the shipped
//! files, not the definitions, and close with `N passed, M failed`.

mod board;
mod boards;
mod grafana;
mod traces;

mod expressions;
mod files;
mod rules;

mod check;

mod load;
mod prometheus;
mod scene;

mod live;
mod render;

use std::fs;

use anyhow::{Context as _, ensure};
use clap::Subcommand;

use crate::workspace;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Write the JSON of the boards from their definitions
    Write,
    /// Check boards, rules, their tests and runbooks without starting a cluster
    Check,
    /// Check all that, and against a real Prometheus that scrapes a cluster under load
    Live,
    /// Draw the boards to docs/dashboards from a cluster under load (needs Python with matplotlib)
    Render(render::Arguments),
}

pub(crate) fn run(arguments: Arguments) -> anyhow::Result<()> {
    match arguments.what {
        What::Write => write(),
        What::Check => report(check::all()?),
        What::Live => {
            let mut checks = check::all()?;
            checks.extend(live::all()?);
            report(checks)
        }
        What::Render(arguments) => render::run(&arguments),
    }
}

fn write() -> anyhow::Result<()> {
    let all = boards::all();
    for board in &all {
        let path = workspace::root()?.join(files::FOLDER).join(board.file());
        let text = grafana::text(board, &all);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    }
    println!("wrote {} boards", all.len());
    Ok(())
}

/// What was checked, and its complaints; the check passed if there are none.
struct Checked {
    what: String,
    complaints: Vec<String>,
}

impl Checked {
    fn new(what: impl Into<String>, complaints: Vec<String>) -> Self {
        Self { what: what.into(), complaints }
    }
}

fn report(checks: Vec<Checked>) -> anyhow::Result<()> {
    let failed = checks.iter().filter(|check| !check.complaints.is_empty()).count();
    for check in &checks {
        println!(
            "{}  {}",
            if check.complaints.is_empty() { "ok    " } else { "FAILED" },
            check.what
        );
        for complaint in &check.complaints {
            println!("          {complaint}");
        }
    }
    println!("{} passed, {failed} failed", checks.len() - failed);
    ensure!(failed == 0, "a check of the dashboards failed");
    Ok(())
}
