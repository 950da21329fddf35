//! `cargo xtask tidy`: the project's rules for its sources that no compiler checks.
//!
//! Each rule is one file that reads the tree and returns complaints; this file only runs them. Owns
//! no state but the ratchet `xtask/lengths.txt`: files listed there may shrink but not grow, and
//! only `--ratchet` adds a file.

mod arrows;
mod cores;
mod cycles;
mod declarations;
mod english;
mod guards;
mod headers;
mod lengths;
mod modules;
mod paths;
mod rust_text;
mod source;
mod words;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::workspace;
use source::Source;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Write the current lengths of over-long files, which then may not grow
    #[arg(long)]
    ratchet: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let root = workspace::root()?;
    let sources = read(&root)?;
    if arguments.ratchet {
        return lengths::write_ratchet(&root, &sources);
    }

    let mut complaints = Vec::new();
    complaints.extend(headers::check(&sources));
    complaints.extend(lengths::check(&root, &sources)?);
    complaints.extend(cycles::check(&sources));
    complaints.extend(words::check(&sources));
    complaints.extend(english::check(&sources));
    complaints.extend(paths::check(&root, &sources));
    complaints.extend(guards::check(&sources));
    complaints.extend(arrows::check(&root)?);
    complaints.extend(cores::check(&root, &sources)?);

    for complaint in &complaints {
        println!("{complaint}");
    }
    if complaints.is_empty() {
        println!("tidy: {} files checked", sources.len());
        return Ok(());
    }
    bail!("tidy: {} complaints", complaints.len())
}

/// Reads every text file of the tree; skips files that are not UTF-8 (a fuzz corpus, for example).
fn read(root: &Path) -> anyhow::Result<Vec<Source>> {
    let mut sources = Vec::new();
    for path in workspace::files(root)? {
        let bytes =
            fs::read(root.join(&path)).with_context(|| format!("read {}", path.display()))?;
        if let Ok(text) = String::from_utf8(bytes) {
            sources.push(Source { path, text });
        }
    }
    Ok(sources)
}
