//! The prose of a file: its text with everything else replaced by blanks, so that lines keep their
//! numbers. Owns a lexer of Rust that knows comments, strings and character literals and no more.

/// Comments and string literals of a Rust file.
pub(super) fn of_rust(text: &str) -> String {
    let mut rust = Rust { rest: text, prose: String::with_capacity(text.len()), last: ' ' };
    while let Some(next) = rust.rest.chars().next() {
        if rust.rest.starts_with("//") {
            rust.comment();
        } else if next == '"' {
            rust.string();
        } else if let Some(hashes) = rust.raw_string_starts() {
            rust.raw_string(hashes);
        } else if next == '\'' {
            rust.character_or_lifetime();
        } else {
            rust.skip(next.len_utf8());
        }
    }
    of_page(&rust.prose)
}

/// A page without its fenced examples and its words in backticks.
pub(super) fn of_page(text: &str) -> String {
    let mut prose = String::with_capacity(text.len());
    let mut fenced = false;
    for line in text.lines() {
        let is_fence = line.trim_start_matches(['/', '!', ' ']).starts_with("```");
        if !is_fence && !fenced {
            let parts = line.split('`').step_by(2);
            prose.push_str(&parts.collect::<Vec<_>>().join("`"));
        }
        fenced ^= is_fence;
        prose.push('\n');
    }
    prose
}

struct Rust<'a> {
    rest: &'a str,
    prose: String,
    /// The character before `rest`: an `r` behind a letter starts no raw string.
    last: char,
}

impl Rust<'_> {
    fn keep(&mut self, bytes: usize) {
        let (kept, rest) = self.rest.split_at(bytes);
        self.prose.push_str(kept);
        self.advance(kept.chars().next_back(), rest.len());
    }

    fn skip(&mut self, bytes: usize) {
        let (skipped, rest) = self.rest.split_at(bytes);
        self.prose.extend(skipped.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        self.advance(skipped.chars().next_back(), rest.len());
    }

    fn advance(&mut self, last: Option<char>, left: usize) {
        self.last = last.unwrap_or(self.last);
        self.rest = &self.rest[self.rest.len() - left..];
    }

    fn comment(&mut self) {
        self.keep(self.rest.find('\n').unwrap_or(self.rest.len()));
    }

    fn string(&mut self) {
        self.skip(1);
        while let Some(next) = self.rest.chars().next() {
            match next {
                '"' => return self.skip(1),
                '\\' => {
                    let escaped = self.rest[1..].chars().next().map_or(0, char::len_utf8);
                    self.skip(1 + escaped);
                }
                _ => self.keep(next.len_utf8()),
            }
        }
    }

    /// The number of `#` of the raw string that starts here.
    fn raw_string_starts(&self) -> Option<usize> {
        let behind_r = self.rest.strip_prefix('r')?;
        let inside = behind_r.trim_start_matches('#');
        let in_a_name = self.last.is_alphanumeric() && self.last != 'b' || self.last == '_';
        (inside.starts_with('"') && !in_a_name).then_some(behind_r.len() - inside.len())
    }

    fn raw_string(&mut self, hashes: usize) {
        self.skip(1 + hashes + 1);
        let end = format!("\"{}", "#".repeat(hashes));
        self.keep(self.rest.find(&end).unwrap_or(self.rest.len()));
        self.skip(end.len().min(self.rest.len()));
    }

    fn character_or_lifetime(&mut self) {
        let mut behind = self.rest.char_indices().skip(1);
        let first = behind.next().map(|(_, c)| c);
        let closes = match first {
            // `'\''` and `'\u{7f}'`: the end is the first quote behind the escaped character.
            Some('\\') => behind.skip(1).find(|(_, c)| *c == '\'').map(|(at, _)| at),
            _ => behind.next().filter(|(_, c)| *c == '\'').map(|(at, _)| at),
        };
        self.skip(closes.map_or(1, |at| at + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::{of_page, of_rust};

    fn words(text: &str) -> String {
        of_rust(text).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_and_strings_are_prose_and_code_is_not() {
        assert_eq!(words("let a = 1; // one `two` three\n"), "// one ` three");
        assert_eq!(words("call(\"a \\\" b\\nc\", 'x', d) // e"), "a b c // e");
        assert_eq!(words("let a = r#\"b \"c\" d\"#; e"), "b \"c\" d");
        assert_eq!(words("fn a<'a>(b: &'a str) -> char { '\"' } // c"), "// c");
        assert_eq!(words("matches!(c, '\\'' | '\\u{7f}') // d"), "// d");
    }

    #[test]
    fn lines_keep_their_numbers() {
        let text = "a\n\"b\n c\"\n/// ```\n/// d\n/// ```\n// e\n";
        assert_eq!(of_rust(text).lines().nth(6), Some("// e"));
        assert_eq!(of_page("a\n```sh\nb\n```\nc\n"), "a\n\n\n\nc\n");
    }
}
