//! Rust source as text for rules: the code for those that read names, the prose for those that read
//! words.
//!
//! Knows comments, literals and test modules, and no other grammar. Every removed character becomes
//! a space and line breaks stay, so a position in the result is a position in the file.

/// The code that ships: without comments, without string and character literals, and without
/// inline modules and items under `#[cfg(test)]`.
pub(crate) fn shipped_code(text: &str) -> String {
    without_inline_tests(&parts(text, Part::Code))
}

/// The comments and literals, without the line breaks that strings write as `\\n`.
pub(crate) fn prose(text: &str) -> String {
    parts(text, Part::Prose).replace("\\n", "  ")
}

/// What a piece of a file is.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Code,
    /// Comments, and literals of strings and characters.
    Prose,
}

/// The 1-based line of a byte position.
pub(crate) fn line_of(code: &str, position: usize) -> usize {
    code[..position].matches('\n').count() + 1
}

/// Whether `c` can be part of a name.
pub(crate) fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The file with only this part of it.
fn parts(text: &str, wanted: Part) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((part, length)) = next(rest) {
        let (piece, behind) = rest.split_at(length);
        if part == wanted {
            kept.push_str(piece);
        } else {
            blank(piece, &mut kept);
        }
        rest = behind;
    }
    kept
}

/// The part at the start of `rest`, and its length in bytes; a name is taken whole, since a raw
/// string could begin inside what looks like one.
fn next(rest: &str) -> Option<(Part, usize)> {
    let first = rest.chars().next()?;
    if let Some(length) = comment_or_literal(rest) {
        return Some((Part::Prose, length));
    }
    let length = if is_name(first) {
        rest.find(|c: char| !is_name(c)).unwrap_or(rest.len())
    } else {
        first.len_utf8()
    };
    Some((Part::Code, length))
}

/// Appends as many spaces as the piece has characters; line breaks stay.
fn blank(piece: &str, text: &mut String) {
    text.extend(piece.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
}

/// How many bytes a comment or literal takes at the start of `rest`, if there is one.
fn comment_or_literal(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(rest.find("*/").map_or(rest.len(), |end| end + 2));
    }
    let prefix = rest.len() - rest.trim_start_matches(['b', 'r', 'c']).len();
    let hashes = rest[prefix..].len() - rest[prefix..].trim_start_matches('#').len();
    let is_raw = rest[..prefix].contains('r') || hashes > 0;
    if prefix <= 2 && rest[prefix + hashes..].starts_with('"') {
        let start = prefix + hashes + 1;
        let close = format!("\"{}", "#".repeat(hashes));
        let length = if is_raw { rest[start..].find(&close) } else { quoted(&rest[start..]) };
        return Some(length.map_or(rest.len(), |length| start + length + close.len()));
    }
    character(rest)
}

/// The bytes in front of the closing quote of a string.
fn quoted(body: &str) -> Option<usize> {
    let mut escaped = false;
    body.char_indices().find_map(|(at, c)| match c {
        _ if escaped => {
            escaped = false;
            None
        }
        '\\' => {
            escaped = true;
            None
        }
        '"' => Some(at),
        _ => None,
    })
}

/// The bytes of a character literal; a lifetime is none.
fn character(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix('\'')?;
    if body.starts_with('\\') {
        return body[2..].find('\'').map(|end| 1 + 2 + end + 1);
    }
    let first = body.chars().next()?.len_utf8();
    body[first..].starts_with('\'').then_some(1 + first + 1)
}

fn without_inline_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find(MARK) {
        let item = at + MARK.len();
        let end = item + item_length(&rest[item..]);
        kept.push_str(&rest[..at]);
        blank(&rest[at..end], &mut kept);
        rest = &rest[end..];
    }
    kept.push_str(rest);
    kept
}

/// The bytes of the item at the start: up to its `;`, or to the end of its braces.
fn item_length(rest: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in rest.char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => {
                depth = depth.saturating_sub(1);
                if c == '}' && depth == 0 {
                    return at + 1;
                }
            }
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::{line_of, prose, shipped_code};

    #[test]
    fn names_in_comments_and_literals_are_gone_and_lines_stay() {
        let text = "// crate::a\nlet s = \"crate::\\\"b\"; /* crate::c\n */ let r = r#\"\"crate::d\"#;\n\
                    let c = ['\"', '\\'', 'x']; fn f<'a>(x: &'a str) { crate::e }\n";
        let code = shipped_code(text);
        assert_eq!(code.matches("crate::").count(), 1, "{code}");
        let at = code.find("crate::e").expect("the code stays");
        assert_eq!(line_of(&code, at), 4);
        assert_eq!(code.lines().count(), text.lines().count());
    }

    #[test]
    fn prose_is_what_code_is_not() {
        let text =
            "let a = r#\"b \"c\" d\"#; e // f\nfn g<'a>(h: &'a str) { i(\"j\\nk\", '\"', l) }\n";
        let prose = prose(text);
        let words: Vec<&str> = prose.split_whitespace().collect();
        assert_eq!(words, ["r#\"b", "\"c\"", "d\"#", "//", "f", "\"j", "k\"", "'\"'"]);
        assert_eq!(prose.lines().count(), text.lines().count());
    }

    #[test]
    fn tests_are_gone_and_what_follows_them_stays() {
        let text = "#[cfg(test)]\nmod tests;\npub use a::B;\n#[cfg(test)]\nmod more { use c::D; }\n\
                    #[cfg(test)]\npub(super) fn peek(&self) -> [u8; 3] { e::F }\nuse g::H;\n";
        let code = shipped_code(text);
        assert!(code.contains("a::B") && code.contains("g::H"), "{code}");
        assert!(
            !code.contains("mod") && !code.contains("c::D") && !code.contains("e::F"),
            "{code}"
        );
    }
}
