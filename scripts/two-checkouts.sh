#!/usr/bin/env bash
# Tests that two checkouts which share the build directory never use each other's files.
#
# Makes two checkouts of a tiny workspace with this tree's .cargo, edits the second without a newer
# time than the first one's build (as `git worktree add` of older work or a copy with times does),
# and checks that each runs, tests and lints its own code. Cargo's home is a folder of its own, so
# that nothing is left in the real build directory.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly HERE=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Drop the caller's settings that would replace those under test.
unset CARGO_TARGET_DIR CARGO_BUILD_TARGET_DIR CARGO_BUILD_BUILD_DIR \
    RUSTC_WORKSPACE_WRAPPER CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER
export CARGO_HOME=$work/home CARGO_TERM_QUIET=true CARGO_NET_OFFLINE=true
passed=0 failed=0

# One checkout: a library whose word the program prints, and a test of that word.
make_checkout() {
    local root=$work/$1 word=$1
    mkdir -p "$root/word/src" "$root/say/src"
    cp -R "$HERE/.cargo" "$HERE/rust-toolchain.toml" "$root/"
    cat >"$root/Cargo.toml" <<'END'
[workspace]
resolver = "3"
members = ["word", "say"]
END
    for package in word say; do
        printf '[package]\nname = "%s"\nversion = "0.1.0"\nedition = "2024"\n' "$package" \
            >"$root/$package/Cargo.toml"
    done
    printf '\n[dependencies]\nword = { path = "../word" }\n' >>"$root/say/Cargo.toml"
    printf 'pub const WORD: &str = "%s";\n' "$word" >"$root/word/src/lib.rs"
    cat >"$root/say/src/main.rs" <<END
fn main() {
    println!("{}", word::WORD);
}

#[test]
fn the_word_is_that_of_this_checkout() {
    println!("tested {}", word::WORD);
    assert_eq!(word::WORD, "$word");
}
END
    find "$root" -exec touch --no-dereference --date '1 hour ago' {} +
}

# Runs a command in a checkout and looks for a text in what it prints.
expect() {
    local what=$1 checkout=$2 expected=$3 got
    shift 3
    got=$(cd "$work/$checkout" && "$@" 2>&1) || true
    if [[ $got == *"$expected"* ]]; then
        passed=$((passed + 1))
        printf 'ok      %s\n' "$what"
    else
        failed=$((failed + 1))
        printf 'FAILED  %s: expected "%s", got:\n%s\n' "$what" "$expected" "$got"
    fi
}

make_checkout first
make_checkout second
expect "the first checkout runs its own code" first first cargo run
expect "the second checkout runs its own code" second second cargo run
expect "the first runs its own code again" first first cargo run
expect "the second's program is still its own" second second target/debug/say
expect "the first checkout tests its own code" first "tested first" \
    cargo test -- --nocapture
expect "the second checkout tests its own code" second "tested second" \
    cargo test -- --nocapture
expect "optimized code is each checkout's own" first first \
    cargo --config .cargo/optimized.toml run
expect "optimized code is each checkout's own, also in the second" second second \
    cargo --config .cargo/optimized.toml run

expect "the first checkout passes clippy" first "exit 0" sh -c 'cargo lint; echo exit $?'
printf 'pub fn same(word: bool) -> bool {\n    word == true\n}\n' >>"$work/second/word/src/lib.rs"
touch --date '1 hour ago' "$work/second/word/src/lib.rs"
expect "clippy complains about the second, not of the first" second "clippy::bool-comparison" \
    cargo lint
expect "the first still passes clippy" first "exit 0" sh -c 'cargo lint; echo exit $?'

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
