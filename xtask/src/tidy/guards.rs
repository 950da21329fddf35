//! Rule: each test that ARCHITECTURE.md names as the guard of an invariant exists.

use super::source::Source;

/// Complains about each named test that no Rust file defines.
pub(crate) fn check(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    let pages = sources.iter().filter(|source| source.path.as_os_str() == "ARCHITECTURE.md");
    for (number, line) in pages.flat_map(|page| page.text.lines().enumerate()) {
        for test in named_tests(line).filter(|test| !is_defined(sources, test)) {
            complaints.push(format!("ARCHITECTURE.md:{}: there is no test {test}", number + 1));
        }
    }
    complaints
}

/// Words in backticks with at least three underscores, as only names of tests have.
fn named_tests(line: &str) -> impl Iterator<Item = &str> {
    line.split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| word.matches('_').count() >= 3)
        .filter(|word| word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
}

fn is_defined(sources: &[Source], test: &str) -> bool {
    let definition = format!("fn {test}(");
    sources.iter().any(|source| source.is_rust() && source.text.contains(&definition))
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::source::source;

    #[test]
    fn a_named_test_that_is_gone_is_found() {
        let page = source("ARCHITECTURE.md", "| I-1 | x | `a_vote_is_safe`, `a_read_is_safe` |\n");
        let code = source("a.rs", "fn a_vote_is_safe() {}\n");
        assert_eq!(check(&[page, code]), ["ARCHITECTURE.md:1: there is no test a_read_is_safe"]);
    }
}
