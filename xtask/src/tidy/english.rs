//! Rule: comments, messages and pages are plain English (docs/style.md). Owns the short list of
//! words that have made this tree hard to read, each with what to write for it.
//!
//! Reads prose only: comments and literals of Rust, every word of the other text files. Skips code in
//! backticks, fenced examples, and names such as `is_told`.

use std::path::Path;

use super::rust_text::prose;
use super::source::Source;

/// A word or phrase, and what says the same plainly.
const WORDS: &[(&str, &str)] = &[
    ("gives", "returns, assigns, has"),
    ("gave", "returned, assigned, had"),
    ("told", "receives, is notified; `told apart`: distinguished"),
    ("whoever", "name the part: the caller, the operator"),
    ("whatever", "any, every"),
    ("nobody", "name the part: no node, no caller"),
    ("somebody", "name the part: a caller, an operator"),
    ("everybody", "name the part: all nodes, every caller"),
    ("anybody", "name the part: any node, any caller"),
    ("beside", "next to, in addition to, during"),
    ("ceases", "ends, expires"),
    ("life", "run (of a process), lifetime"),
    ("lives of the", "runs (of a process)"),
    ("hears", "receives, is notified of"),
    ("came of", "the result of"),
    ("comes of", "the result of"),
    ("comes to be", "is created"),
    ("anew", "again"),
    ("for want of", "because there is no"),
    ("in good order", "cleanly"),
    ("to heart", "apply, take into account"),
    ("by and by", "gradually"),
];

/// Phrases that hold a listed word in a plain sense of its own.
const PLAIN: &[&str] = &["gives up", "gave up", "sign of life", "signs of life"];

/// Files that name the words because they are about them.
const EXEMPT: &[&str] = &["docs/style.md", "xtask/src/tidy/english.rs", "LICENSE", "Cargo.lock"];

/// Complains about each listed word in prose.
pub(crate) fn check(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in sources.iter().filter(|source| is_checked(&source.path)) {
        let prose = if source.is_rust() { &prose(&source.text) } else { &source.text };
        for (number, line) in without_examples(prose) {
            for (word, plain) in found(&line) {
                let path = source.path.display();
                complaints.push(format!("{path}:{number}: `{word}`: write {plain}"));
            }
        }
    }
    complaints
}

/// Boards and their like are written from Rust, where their words are checked.
fn is_checked(path: &Path) -> bool {
    let is_generated = path.extension().is_some_and(|extension| extension == "json");
    !is_generated && !EXEMPT.iter().any(|exempt| path == Path::new(exempt))
}

/// Each line with its number: without words in backticks, and without fenced examples.
fn without_examples(text: &str) -> impl Iterator<Item = (usize, String)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let is_fence = line.trim_start_matches(['/', '!', ' ']).starts_with("```");
        fenced ^= is_fence;
        let outside: Vec<&str> = line.split('`').step_by(2).collect();
        (!is_fence && !fenced).then(|| (index + 1, outside.join("`")))
    })
}

/// The listed words of one line, each as often as it stands there.
fn found(line: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let line = line.to_lowercase();
    WORDS.iter().flat_map(move |&(word, plain)| {
        let times = line.match_indices(word).filter(|&(at, _)| counts(&line, at, word)).count();
        std::iter::repeat_n((word, plain), times)
    })
}

/// Whether the word at `at` stands alone, outside a name and outside a plain phrase.
fn counts(line: &str, at: usize, word: &str) -> bool {
    let end = at + word.len();
    let before = line[..at].chars().next_back();
    let after = line[end..].chars().next();
    let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || "_-{".contains(c));
    let is_plain = PLAIN.iter().any(|phrase| {
        line.match_indices(phrase).any(|(from, _)| from <= at && end <= from + phrase.len())
    });
    !joins(before) && !joins(after) && !is_plain
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::source::source;

    #[test]
    fn a_listed_word_is_named_with_its_line_and_what_to_write() {
        let code = source("a.rs", "//! Owns a.\n\n/// Gives the value.\nfn a() {}\n");
        assert_eq!(check(&[code]), ["a.rs:3: `gives`: write returns, assigns, has"]);
        assert_eq!(check(&[source("a.md", "The caller is\ntold twice.\n")]).len(), 1);
        assert_eq!(check(&[source("a.rs", "fn a() { panic!(\"nobody leads\") }\n")]).len(), 1);
    }

    #[test]
    fn names_code_and_plain_phrases_are_left_alone() {
        let names = source("a.rs", "// `told` and is_told\nlet told = \"{told}\"; // gives up\n");
        assert!(check(&[names]).is_empty(), "names");
        assert!(
            check(&[source("a.md", "Besides, a lifetime without a sign of life.\n")]).is_empty()
        );
    }
}
