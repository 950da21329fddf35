//! `cargo xtask tidy`: the project's rules for its sources that no compiler checks.
//!
//! Each rule is one file that reads the tree and returns complaints; this file only runs them. Owns
//! no state but the ratchet `xtask/lengths.txt`: files listed there may shrink but not grow, and
//! only `--ratchet` adds a file.

mod arrows;
mod english;
mod guards;
mod headers;
mod lengths;
mod paths;
mod purity;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::workspace;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Write the current lengths of over-long files, which then may not grow
    #[arg(long)]
    ratchet: bool,
}

/// One source file as the rules see it.
pub(crate) struct Source {
    /// Relative to the root of the tree.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn is_rust(&self) -> bool {
        self.path.extension().is_some_and(|extension| extension == "rs")
    }

    /// The text above the first inline test module: the part that ships.
    pub(crate) fn shipped(&self) -> &str {
        self.text.split_once("#[cfg(test)]\nmod ").map_or(&self.text, |(above, _)| above)
    }

    /// The lines of the `//!` header.
    pub(crate) fn header(&self) -> impl Iterator<Item = &str> {
        self.text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim)
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let root = workspace::root();
    let sources = read(&root)?;
    if arguments.ratchet {
        return lengths::write_ratchet(&root, &sources);
    }

    let mut complaints = Vec::new();
    complaints.extend(headers::check(&sources));
    complaints.extend(lengths::check(&root, &sources)?);
    complaints.extend(purity::check(&sources));
    complaints.extend(words::check(&sources));
    complaints.extend(english::check(&sources));
    complaints.extend(paths::check(&root, &sources));
    complaints.extend(guards::check(&sources));
    complaints.extend(arrows::check(&root)?);

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

#[cfg(test)]
fn source(path: &str, text: &str) -> Source {
    Source { path: PathBuf::from(path), text: text.to_owned() }
}
