//! Runs the shell lines of the README's first `console` block that call curl, word for word, and
//! compares what each prints with what the README shows under it.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::workspace;

/// One command line, and its expected output.
#[derive(Debug, PartialEq)]
struct Example {
    line: String,
    output: String,
}

/// Runs all of them in order.
pub(super) fn check() -> anyhow::Result<()> {
    let text =
        fs::read_to_string(workspace::root()?.join("README.md")).context("read the README")?;
    let examples = examples(&text);
    ensure!(examples.len() >= 3, "the README shows {} curl lines", examples.len());
    for example in examples {
        let output = Command::new("sh")
            .args(["-c", &example.line])
            .output()
            .with_context(|| format!("run {}", example.line))?;
        let printed = String::from_utf8_lossy(&output.stdout);
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {error}", example.line);
        ensure!(
            printed.trim_end() == example.output.trim_end(),
            "{} printed {printed:?}, the README shows {:?}",
            example.line,
            example.output,
        );
    }
    Ok(())
}

/// The curl lines of the first `console` block, each with the lines below it.
fn examples(text: &str) -> Vec<Example> {
    let block = text.split("```console\n").nth(1).and_then(|rest| rest.split("```").next());
    let mut examples: Vec<Example> = Vec::new();
    for line in block.unwrap_or_default().lines() {
        if let Some(typed) = line.strip_prefix("$ ") {
            examples.push(Example { line: typed.to_owned(), output: String::new() });
        } else if let Some(example) = examples.last_mut() {
            example.output.push_str(line);
            example.output.push('\n');
        }
    }
    examples.retain(|example| example.line.starts_with("curl "));
    examples
}

#[cfg(test)]
mod tests {
    use super::{Example, examples};

    #[test]
    fn each_curl_line_comes_with_what_is_shown_below_it() {
        let text =
            "```console\n$ docker compose up\nready\n$ curl -s x\nhello\nyou\n$ curl y\n```\n";
        let example =
            |line: &str, output: &str| Example { line: line.to_owned(), output: output.to_owned() };
        assert_eq!(examples(text), [example("curl -s x", "hello\nyou\n"), example("curl y", "")]);
    }
}
