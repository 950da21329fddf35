//! A crate's modules as files, what each takes from the others, and where that really lies.
//!
//! Reads `mod` and `use` declarations and written-out paths; expands no macro. A path is followed
//! through re-exports to the file that owns the item, so that no re-export hides an import.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::declarations::{declarations, flatten, names};
use super::rust_text::{is_name, line_of, shipped_code};
use super::source::Source;

/// The modules below one `src` folder.
pub(crate) struct Crate {
    /// By the module's path; the root has the empty one.
    pub(crate) modules: BTreeMap<Vec<String>, Module>,
}

/// One file.
pub(crate) struct Module {
    pub(crate) file: PathBuf,
    /// Names of the modules declared in it.
    children: Vec<String>,
    uses: Vec<Use>,
    /// The code without its `use` declarations.
    body: String,
}

/// One name that a `use` brings in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Use {
    pub(crate) path: Vec<String>,
    /// The name it has here; `*` for everything.
    pub(crate) name: String,
    pub(crate) is_public: bool,
    pub(crate) line: usize,
}

/// Reads every crate of the tree: all that has a `src/lib.rs` or `src/main.rs`.
pub(crate) fn crates(sources: &[Source]) -> Vec<Crate> {
    let is_root = |path: &Path| path.ends_with("src/lib.rs") || path.ends_with("src/main.rs");
    let mut roots: BTreeMap<PathBuf, &Source> = BTreeMap::new();
    for source in sources.iter().filter(|source| is_root(&source.path)) {
        let folder = source.path.parent().unwrap_or(Path::new("")).to_owned();
        // A thin `main.rs` next to a library declares no modules: the library is the crate.
        let known = roots.entry(folder).or_insert(source);
        if source.path.ends_with("lib.rs") {
            *known = source;
        }
    }
    roots.iter().map(|(folder, root)| Crate::read(folder, root, sources)).collect()
}

impl Crate {
    fn read(folder: &Path, root: &Source, sources: &[Source]) -> Self {
        let by_path: BTreeMap<&Path, &Source> =
            sources.iter().map(|source| (source.path.as_path(), source)).collect();
        let mut modules = BTreeMap::new();
        let mut open = vec![(Vec::new(), folder.to_owned(), root)];
        while let Some((path, below, source)) = open.pop() {
            let module = Module::read(source);
            for child in &module.children {
                let file = below.join(format!("{child}.rs"));
                if let Some(source) = by_path.get(file.as_path()) {
                    let path: Vec<String> = path.iter().chain([child]).cloned().collect();
                    open.push((path, below.join(child), source));
                }
            }
            modules.insert(path, module);
        }
        Self { modules }
    }

    /// Everything that `module` takes from other modules: the owner's path and the line.
    pub(crate) fn arrows(&self, from: &[String]) -> Vec<(Vec<String>, usize)> {
        let module = &self.modules[from];
        let mut arrows = Vec::new();
        for used in &module.uses {
            let owner = self.owner(from, &used.path, 0);
            // A module brought in as a name: what counts is what is taken through that name.
            if owner.as_ref().is_some_and(|(_, is_module)| *is_module) && used.name != "*" {
                continue;
            }
            arrows.extend(owner.map(|(owner, _)| (owner, used.line)));
        }
        for (path, line) in module.written_paths() {
            arrows.extend(self.owner(from, &path, 0).map(|(owner, _)| (owner, line)));
        }
        arrows.retain(|(owner, _)| owner != from);
        arrows
    }

    /// The re-exports of the root that a module imports by `use crate::`: name and line.
    pub(crate) fn imports_through_root(&self, from: &[String]) -> Vec<(String, usize)> {
        let root = &self.modules[&Vec::new()];
        let module = &self.modules[from];
        let of_root = |used: &&Use| match used.path.as_slice() {
            [first, name] if first == "crate" => root.re_export(name).is_some(),
            _ => false,
        };
        let uses = module.uses.iter().filter(|_| !from.is_empty());
        uses.filter(of_root).map(|used| (used.path[1].clone(), used.line)).collect()
    }

    /// The module that owns what `path`, written in `from`, names, and whether it names that module
    /// itself; `None` for what is not of this crate.
    fn owner(&self, from: &[String], path: &[String], depth: usize) -> Option<(Vec<String>, bool)> {
        let (first, rest) = path.split_first()?;
        let module = &self.modules[from];
        let (at, rest) = match first.as_str() {
            "crate" => (Vec::new(), rest),
            "self" => (from.to_vec(), rest),
            "super" => (from[..from.len().checked_sub(1)?].to_vec(), rest),
            name if module.children.iter().any(|child| child == name) => (from.to_vec(), path),
            name => {
                let used = module.uses.iter().find(|used| used.name == name)?;
                // A name that stands for itself (`use http;`) is another crate's.
                if depth > 8 || used.path.first().is_some_and(|first| first == name) {
                    return None;
                }
                let whole: Vec<String> = used.path.iter().chain(rest).cloned().collect();
                return self.owner(from, &whole, depth + 1);
            }
        };
        self.walk(at, rest, depth)
    }

    fn walk(
        &self,
        mut at: Vec<String>,
        mut rest: &[String],
        depth: usize,
    ) -> Option<(Vec<String>, bool)> {
        while let Some((name, after)) = rest.split_first() {
            if name == "super" {
                at.pop()?;
                rest = after;
                continue;
            }
            let module = self.modules.get(&at)?;
            let mut below = at.clone();
            below.push(name.clone());
            if self.modules.contains_key(&below) {
                at = below;
                rest = after;
                continue;
            }
            if let Some(used) = module.uses.iter().find(|used| used.name == *name)
                && depth < 8
            {
                return self.owner(&at, &used.path, depth + 1);
            }
            return Some((at, false));
        }
        self.modules.contains_key(&at).then_some((at, true))
    }
}

impl Module {
    fn read(source: &Source) -> Self {
        let code = shipped_code(&source.text);
        let (mut uses, mut body) = (Vec::new(), code.clone());
        for (start, end, is_public) in declarations(&code, "use") {
            let line = line_of(&code, start);
            let tree: String = code[start..end].split_whitespace().collect::<Vec<_>>().join(" ");
            flatten(&tree, &[], &mut |path, name| {
                uses.push(Use { path, name, is_public, line });
            });
            body.replace_range(start..end, &blank(&code[start..end]));
        }
        let children = declarations(&code, "mod")
            .into_iter()
            .map(|(start, end, _)| code[start..end].trim().to_owned())
            .filter(|name| name.chars().all(is_name))
            .collect();
        Self { file: source.path.clone(), children, uses, body }
    }

    /// The re-export of `name`, if this module has one.
    fn re_export(&self, name: &str) -> Option<&Use> {
        self.uses.iter().find(|used| used.is_public && used.name == name)
    }

    /// Paths written out in the code that may lead to another module, with their lines.
    fn written_paths(&self) -> Vec<(Vec<String>, usize)> {
        let mut paths = Vec::new();
        for (at, first) in names(&self.body) {
            let leads = matches!(first, "crate" | "super" | "self")
                || self.children.iter().any(|child| child == first)
                || self.uses.iter().any(|used| used.name == first);
            let begins = !self.body[..at].trim_end().ends_with("::");
            if leads && begins && self.body[at + first.len()..].starts_with("::") {
                let whole = self.body[at..]
                    .find(|c: char| !is_name(c) && c != ':')
                    .map_or(&self.body[at..], |end| &self.body[at..at + end]);
                let parts = whole.split("::").filter(|part| !part.is_empty());
                paths.push((parts.map(str::to_owned).collect(), line_of(&self.body, at)));
            }
        }
        paths
    }
}

fn blank(text: &str) -> String {
    // One space a byte keeps every position behind it.
    text.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect()
}

#[cfg(test)]
mod tests {
    use super::{Crate, crates};
    use crate::tidy::source::source;

    fn read(files: &[(&str, &str)]) -> Crate {
        let sources: Vec<_> = files.iter().map(|(path, text)| source(path, text)).collect();
        crates(&sources).pop().expect("a crate")
    }

    fn arrows(files: &[(&str, &str)], from: &str) -> Vec<String> {
        let path: Vec<String> =
            from.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
        let mut arrows: Vec<String> =
            read(files).arrows(&path).into_iter().map(|(to, _)| to.join("::")).collect();
        arrows.dedup();
        arrows
    }

    #[test]
    fn a_path_leads_through_re_exports_to_the_file_that_owns_the_item() {
        let files = [
            ("x/src/lib.rs", "mod a;\nmod b;\npub use a::Thing;\n"),
            ("x/src/a.rs", "mod inner;\npub(crate) use inner::Thing;\n"),
            ("x/src/a/inner.rs", "pub struct Thing;\n"),
            ("x/src/b.rs", "use crate::Thing;\n"),
        ];
        assert_eq!(arrows(&files, "b"), ["a::inner"]);
    }

    #[test]
    fn names_taken_through_a_module_and_written_out_paths_are_arrows() {
        let files = [
            ("x/src/lib.rs", "mod a;\nmod b;\nmod c;\n"),
            ("x/src/a.rs", "pub fn f() {}\n"),
            ("x/src/b.rs", "use super::a;\nfn g() { a::f(); std::mem::drop(1) }\n"),
            ("x/src/c.rs", "mod d;\nfn g() { crate::a::f(); d::f() }\n"),
            ("x/src/c/d.rs", "use std::fmt;\npub fn f() { super::super::b::g() }\n"),
        ];
        assert_eq!(arrows(&files, "b"), ["a"]);
        assert_eq!(arrows(&files, "c"), ["a", "c::d"]);
        assert_eq!(arrows(&files, "c::d"), ["b"]);
    }

    #[test]
    fn the_tests_of_a_module_may_look_anywhere() {
        let files = [
            ("x/src/lib.rs", "mod a;\n#[cfg(test)]\nmod tests;\n"),
            ("x/src/a.rs", "#[cfg(test)]\nmod tests { use crate::b::B; }\n"),
            ("x/src/tests.rs", "use crate::a::A;\n"),
        ];
        assert_eq!(arrows(&files, "a"), Vec::<String>::new());
        assert_eq!(read(&files).modules.len(), 2);
    }
}
