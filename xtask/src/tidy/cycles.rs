//! Rule: the modules of a crate import each other in one direction only, and by their real paths.
//!
//! A module is a file with the folder below it. Of the modules side by side in one folder none may
//! take anything from another that takes, over however many others, something from it: then
//! neither can be read, tested or moved alone. A child and the parent it is a part of may use each
//! other. Inside a crate `use crate::X` names where `X` lies, not the root's re-export: only then
//! do the imports show the real order. Tests may look anywhere.

use std::collections::{BTreeMap, BTreeSet};

use super::modules::{Crate, crates};
use super::source::Source;

type Path = Vec<String>;
/// From each module to its neighbours that it takes from, with the import that does.
type Arrows<'a> = BTreeMap<&'a [String], BTreeMap<&'a [String], &'a Import>>;

/// One file that takes something from another.
struct Import {
    from: Path,
    owner: Path,
    line: usize,
}

/// Complains about each circle of modules and each import through a crate's root.
pub(crate) fn check(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for one in crates(sources) {
        complaints.extend(circles(&one));
        complaints.extend(imports_through_root(&one));
    }
    complaints
}

fn imports_through_root(one: &Crate) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, module) in &one.modules {
        for (name, line) in one.imports_through_root(path) {
            let file = module.file.display();
            complaints.push(format!(
                "{file}:{line}: `use crate::{name}` goes through the root: name its module"
            ));
        }
    }
    complaints
}

/// One complaint for each circle that shares no module with another one complained about.
fn circles(one: &Crate) -> Vec<String> {
    let imports = imports(one);
    let arrows = arrows(&imports);
    let mut complaints = Vec::new();
    let mut named: BTreeSet<&[String]> = BTreeSet::new();
    for start in arrows.keys() {
        if named.contains(start) {
            continue;
        }
        if let Some(circle) = shortest_circle(&arrows, start) {
            complaints.push(describe(one, &arrows, &circle));
            named.extend(circle);
        }
    }
    complaints
}

fn imports(one: &Crate) -> Vec<Import> {
    let mut imports = Vec::new();
    for from in one.modules.keys() {
        for (owner, line) in one.arrows(from) {
            imports.push(Import { from: from.clone(), owner, line });
        }
    }
    imports
}

fn arrows(imports: &[Import]) -> Arrows<'_> {
    let mut arrows = Arrows::new();
    for import in imports {
        let (from, owner) = (&import.from, &import.owner);
        let shared = from.iter().zip(owner).take_while(|(a, b)| a == b).count();
        // One is a part of the other.
        let (Some(from), Some(owner)) = (from.get(..=shared), owner.get(..=shared)) else {
            continue;
        };
        arrows.entry(from).or_default().entry(owner).or_insert(import);
    }
    arrows
}

/// The shortest way from `start` back to it.
fn shortest_circle<'a>(arrows: &Arrows<'a>, start: &'a [String]) -> Option<Vec<&'a [String]>> {
    let mut ways = vec![vec![start]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            let last = way[way.len() - 1];
            for next in arrows.get(last).into_iter().flat_map(BTreeMap::keys).copied() {
                if next == start {
                    return Some(way);
                }
                if seen.insert(next) {
                    longer.push(way.iter().copied().chain([next]).collect());
                }
            }
        }
        ways = longer;
    }
    None
}

/// The circle, each step as `module (file:line that imports the next)`.
fn describe(one: &Crate, arrows: &Arrows<'_>, circle: &[&[String]]) -> String {
    let mut steps = Vec::new();
    for (place, module) in circle.iter().enumerate() {
        let import = arrows[module][circle[(place + 1) % circle.len()]];
        let file = one.modules[&import.from].file.display();
        steps.push(format!("{} ({file}:{})", module.join("::"), import.line));
    }
    steps.push(circle[0].join("::"));
    format!("modules import each other in a circle: {}", steps.join(" → "))
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::source::source;

    fn complaints(files: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<_> = files.iter().map(|(path, text)| source(path, text)).collect();
        check(&sources)
    }

    #[test]
    fn a_circle_is_named_with_the_lines_that_close_it() {
        let files = [
            ("x/src/lib.rs", "mod a;\nmod b;\nmod c;\n"),
            ("x/src/a.rs", "use crate::b::B;\npub struct A;\n"),
            ("x/src/b.rs", "//! B.\nuse super::c::C;\npub struct B;\n"),
            ("x/src/c.rs", "pub struct C;\nfn f() { crate::a::A; }\n"),
        ];
        let expected = "modules import each other in a circle: \
                        a (x/src/a.rs:1) → b (x/src/b.rs:2) → c (x/src/c.rs:2) → a";
        assert_eq!(complaints(&files), [expected]);
    }

    #[test]
    fn what_lies_below_a_module_is_a_part_of_it() {
        let files = [
            ("x/src/lib.rs", "mod a;\nmod b;\n"),
            ("x/src/a.rs", "mod inner;\npub(crate) use inner::Thing;\n"),
            ("x/src/a/inner.rs", "pub(crate) struct Thing;\n"),
            ("x/src/b.rs", "use crate::a::Thing;\npub(crate) struct B;\n"),
        ];
        assert_eq!(complaints(&files), Vec::<String>::new());
        let mut circle = files;
        circle[1].1 = "mod inner;\npub(crate) use inner::Thing;\nuse crate::b::B;\n";
        assert_eq!(complaints(&circle).len(), 1);
    }

    #[test]
    fn a_child_and_its_parent_may_use_each_other_and_two_children_may_not() {
        let root = ("x/src/lib.rs", "mod a;\n");
        let parent =
            ("x/src/a.rs", "mod one;\nmod two;\nuse one::One;\npub(crate) struct A(One);\n");
        let one = ("x/src/a/one.rs", "use super::A;\npub(crate) struct One;\n");
        let two = ("x/src/a/two.rs", "use super::one::One;\npub(crate) struct Two;\n");
        assert_eq!(complaints(&[root, parent, one, two]), Vec::<String>::new());
        let one = ("x/src/a/one.rs", "use super::two::Two;\npub(crate) struct One;\n");
        assert_eq!(complaints(&[root, parent, one, two]).len(), 1);
    }

    #[test]
    fn an_import_through_the_root_is_named_and_what_the_root_owns_is_not() {
        let files = [
            ("x/src/lib.rs", "mod a;\nmod b;\npub use a::Thing;\npub const LIMIT: usize = 1;\n"),
            ("x/src/a.rs", "pub struct Thing;\n"),
            ("x/src/b.rs", "use crate::{LIMIT, Thing};\n"),
        ];
        let expected = "x/src/b.rs:1: `use crate::Thing` goes through the root: name its module";
        assert_eq!(complaints(&files), [expected]);
    }
}
