#!/usr/bin/env bash
# Runs every check and every test of the project, cheapest first, and stops at the first stage that
# fails. Closes with the test runner's summary and one line `N passed, N failed`, counted over
# all stages: a check (format, clippy, ...) counts as one, a stage of tests by its own numbers.
#
# Usage: scripts/test.sh [stage ...]          (all stages when none is named)
set -uo pipefail
cd "$(dirname "$0")/.."

readonly SEEDS=${RINGKV_SEEDS:-500}
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never} NEXTEST_HIDE_PROGRESS_BAR=1
# What is tested is what ships: our own crates optimized, in every stage.
readonly SHIPPED=(--config .cargo/optimized.toml)
readonly CARGO=(cargo "${SHIPPED[@]}")
readonly LOGS=target/test-logs
mkdir -p "$LOGS"

passed=0 failed=0 summary=

# One stage: shows its output, keeps it in a file, and adds the numbers of its closing line.
run() {
    local name=$1 log=$LOGS/$1.log started=$SECONDS status line
    shift
    printf '\n=== %s\n' "$name"
    "$@" 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
    line=$(grep -E '^ *[0-9]+ passed, [0-9]+ failed' "$log" | tail -n 1)
    if [ "$name" = tests ]; then
        summary=$(grep -E '^ *Summary \[' "$log" | tail -n 1)
        line=$(sed -E 's/.* ([0-9]+) passed.*/\1 passed,/' <<<"$summary")
        line="$line $(grep -oE '[0-9]+ (failed|timed out)' <<<"$summary" |
            awk '{n += $1} END {print n + 0}') failed"
    fi
    if [[ $line =~ ^\ *([0-9]+)\ passed,\ ([0-9]+)\ failed ]]; then
        passed=$((passed + BASH_REMATCH[1]))
        failed=$((failed + BASH_REMATCH[2]))
        # A stage with a bad exit status counts as failed, even if its numbers say otherwise.
        [ "$status" = 0 ] || [ "${BASH_REMATCH[2]}" -gt 0 ] || failed=$((failed + 1))
    elif [ "$status" = 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
    printf '=== %s: %s after %d s\n' "$name" "$([ "$status" = 0 ] && echo ok || echo FAILED)" \
        $((SECONDS - started))
    return "$status"
}

stage() {
    case $1 in
    format) run format cargo fmt --all --check ;;
    workflows) run workflows scripts/workflows.sh ;;
    deny) run deny scripts/deny.sh ;;
    checkouts) run checkouts scripts/two-checkouts.sh ;;
    build) run build "${CARGO[@]}" build --locked --workspace --all-targets ;;
    features) run features "${CARGO[@]}" xtask features ;;
    tidy) run tidy "${CARGO[@]}" xtask tidy ;;
    clippy) run clippy "${CARGO[@]}" lint --locked --workspace ;;
    doc) run doc env RUSTDOCFLAGS="-D warnings" \
        "${CARGO[@]}" doc --locked --workspace --no-deps --document-private-items ;;
    # The examples in doc comments, which nextest does not run.
    examples) run examples "${CARGO[@]}" test --doc --locked --workspace ;;
    # Cargo does not pass its own arguments on to nextest.
    tests) run tests cargo nextest run "${SHIPPED[@]}" --locked --workspace ;;
    hashes) run hashes env CARGO_FLAGS="${SHIPPED[*]}" scripts/hashes.sh ;;
    simulation) run simulation "${CARGO[@]}" xtask simulate --seeds "$SEEDS" ;;
    planted) run planted "${CARGO[@]}" xtask simulate --planted all ;;
    loadtests) run loadtests "${CARGO[@]}" xtask loadtests ;;
    dashboards) run dashboards "${CARGO[@]}" xtask dashboards live ;;
    containers) run containers "${CARGO[@]}" xtask containers ;;
    *)
        echo "unknown stage: $1" >&2
        failed=$((failed + 1))
        return 1
        ;;
    esac
}

[ $# -gt 0 ] || set -- format workflows deny checkouts build features tidy clippy doc examples \
    tests hashes simulation planted dashboards loadtests containers
for name in "$@"; do
    stage "$name" || break
done

printf '\n%s\n%d passed, %d failed\n' "$summary" "$passed" "$failed"
[ "$failed" = 0 ]
