//! The declarations in a piece of Rust code: where they are, and the paths that a `use` brings in.
//!
//! Reads text and knows no module: which file a path leads to is in `modules`.

use super::rust_text::is_name;

/// Every name in the code, with its position.
pub(crate) fn names(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = 0;
    std::iter::from_fn(move || {
        let start = rest + code[rest..].find(is_name)?;
        let end = code[start..].find(|c| !is_name(c)).map_or(code.len(), |length| start + length);
        rest = end;
        Some((start, &code[start..end]))
    })
}

/// The declarations that `keyword` begins and `;` ends: where what is between them lies, and
/// whether `pub` stands in front.
pub(crate) fn declarations(code: &str, keyword: &str) -> Vec<(usize, usize, bool)> {
    let mut found = Vec::new();
    for (at, _) in names(code).filter(|(_, name)| *name == keyword) {
        let before = code[..at].trim_end();
        let statement = before.rfind([';', '}', '{', ']']).map_or(0, |last| last + 1);
        let visibility = before[statement..].trim();
        let begins = visibility.is_empty() || visibility.starts_with("pub");
        let start = at + keyword.len();
        if let Some(length) = code[start..].find(';').filter(|_| begins) {
            found.push((start, start + length, !visibility.is_empty()));
        }
    }
    found
}

/// Calls `each` with every path of a `use` tree and the name it has afterwards.
pub(crate) fn flatten(tree: &str, prefix: &[String], each: &mut impl FnMut(Vec<String>, String)) {
    let tree = tree.trim();
    if let Some(open) = tree.find('{') {
        let inner = tree[open + 1..].strip_suffix('}').unwrap_or(&tree[open + 1..]);
        let prefix: Vec<String> =
            prefix.iter().cloned().chain(parts(&tree[..open]).map(str::to_owned)).collect();
        for branch in branches(inner) {
            flatten(branch, &prefix, each);
        }
        return;
    }
    if tree.is_empty() {
        return;
    }
    let (path, alias) = tree.split_once(" as ").map_or((tree, None), |(p, a)| (p, Some(a.trim())));
    let mut whole: Vec<String> =
        prefix.iter().cloned().chain(parts(path).map(str::to_owned)).collect();
    // `a::{self}` names `a`.
    if whole.len() > 1 && whole.last().is_some_and(|last| last == "self") {
        whole.pop();
    }
    let name = alias.map(str::to_owned).or_else(|| whole.last().cloned()).unwrap_or_default();
    if whole.last().is_some_and(|last| last == "*") {
        whole.pop();
    }
    each(whole, name);
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split("::").map(str::trim).filter(|part| !part.is_empty())
}

/// Splits at the commas that are not inside braces.
fn branches(inner: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (0_usize, 0, Vec::new());
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                found.push(&inner[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(&inner[start..]);
    found
}

#[cfg(test)]
mod tests {
    use super::flatten;

    #[test]
    fn a_tree_of_uses_becomes_paths_with_names() {
        let mut found = Vec::new();
        flatten("crate::a::{self, b::{C, D as E}, f::*}", &[], &mut |path, name| {
            found.push(format!("{} {name}", path.join("::")));
        });
        assert_eq!(found, ["crate::a a", "crate::a::b::C C", "crate::a::b::D E", "crate::a::f *"]);
    }
}
