//! Rust source as text for rules that read names: comments, literals and test modules are blank.
//!
//! Owns no grammar beyond that. Every removed character becomes a space and line breaks stay, so a
//! position in the result is a position in the file.

/// The code that ships: without comments, without string and character literals, and without
/// inline modules and items under `#[cfg(test)]`.
pub(crate) fn shipped_code(text: &str) -> String {
    without_inline_tests(&without_comments_and_literals(text))
}

/// The 1-based line of a byte position.
pub(crate) fn line_of(code: &str, position: usize) -> usize {
    code[..position].matches('\n').count() + 1
}

/// Whether `c` can be part of a name.
pub(crate) fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn without_comments_and_literals(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = removable(rest).unwrap_or(0);
        if length > 0 {
            code.extend(rest[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[length..];
            continue;
        }
        // A raw string begins inside what looks like a name: take names whole.
        let length = match first {
            c if is_name(c) => rest.find(|c: char| !is_name(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        code.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    code
}

/// How many bytes a comment or literal takes at the start of `rest`, if there is one.
fn removable(rest: &str) -> Option<usize> {
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
        kept.extend(rest[at..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
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
    use super::{line_of, shipped_code};

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
