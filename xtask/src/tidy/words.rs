//! Rule: the tree contains no path of one machine or user, and no mark of unfinished work.

use super::source::Source;

/// The words are split into parts, so that this file passes its own rule.
const BANNED: &[(&[&str], &str)] = &[
    (&["/ho", "me/"], "a path of one machine"),
    (&["/ro", "ot/"], "a path of one machine"),
    (&["/wo", "rk/"], "a path of one machine"),
    (&["FIX", "ME"], "finish it or file an issue"),
    (&["TO", "DO"], "finish it or file an issue"),
    (&["XX", "X"], "finish it or file an issue"),
    (&["<<<<", "<<<"], "a merge conflict"),
];

/// Complains about each line that contains a banned word.
pub(crate) fn check(sources: &[Source]) -> Vec<String> {
    let banned: Vec<(String, &str)> =
        BANNED.iter().map(|(parts, reason)| (parts.concat(), *reason)).collect();
    let mut complaints = Vec::new();
    for source in sources.iter().filter(|source| source.path.as_os_str() != "Cargo.lock") {
        for (number, line) in source.text.lines().enumerate() {
            for (word, reason) in banned.iter().filter(|(word, _)| holds(line, word)) {
                let path = source.path.display();
                complaints.push(format!("{path}:{}: `{word}`: {reason}", number + 1));
            }
        }
    }
    complaints
}

/// Whether the line contains the word, not as a part of a longer one.
fn holds(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let is_path = word.starts_with('/');
        let joined = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !joined(before) && (is_path || !joined(after))
    })
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::source::source;

    #[test]
    fn a_path_of_one_machine_is_named() {
        let text = ["a", &["/ho", "me/someone"].concat()].join(" ");
        assert_eq!(check(&[source("README.md", &text)]).len(), 1);
    }

    #[test]
    fn a_longer_word_or_an_inner_folder_is_fine() {
        let text = [["TO", "DOS"].concat(), ["var/ho", "me/x"].concat()].join(" ");
        assert!(check(&[source("README.md", &text)]).is_empty());
    }
}
