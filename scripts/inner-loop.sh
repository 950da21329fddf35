#!/usr/bin/env bash
# Times the daily loop: an edit in one of four places to its result. Prints a Markdown table, which
# stands in CONTRIBUTING.md, and fails when a step takes longer than its limit (two cores, warm).
#
# Usage: scripts/inner-loop.sh [--rounds N] [step ...]      (3 rounds, all steps)
#   steps: machine, engine, simulation, gateway
#
# An edit is one statement that changes no behaviour, put into a function of the file; the file is
# put back after each round, and however the script ends. Measure on a machine that does nothing
# else.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly DEV_ADDRESS=127.0.0.1:18080
readonly READY_LIMIT_S=60
readonly PROGRAM=${CARGO_TARGET_DIR:-target}/debug/ringkv

fail() { printf 'inner-loop: %s\n' "$*" >&2; exit 1; }

# What each step edits, what it runs, its limit in seconds, and how the table calls it.
edited_file() {
    case $1 in
    machine) echo storage-node/core/src/machine/apply.rs ;;
    engine) echo crates/consensus/src/core/group.rs ;;
    simulation) echo tests/simulation/src/world.rs ;;
    gateway) echo gateway/src/service.rs ;;
    *) fail "unknown step $1: say machine, engine, simulation or gateway" ;;
    esac
}

limit_s() {
    case $1 in
    machine) echo 10 ;;
    engine | simulation) echo 15 ;;
    gateway) echo 30 ;;
    esac
}

title() {
    case $1 in
    machine) echo 'state machine → its tests | `make t P=ringkv-storage-core`' ;;
    engine) echo "engine's core → its tests | \`make t P=ringkv-consensus\`" ;;
    simulation) echo 'simulation → one seed | `cargo xtask simulate --seed 1`' ;;
    gateway) echo 'gateway → `ringkv dev` is ready | `make dev`' ;;
    esac
}

run_step() {
    case $1 in
    machine) cargo nextest run --locked --package ringkv-storage-core ;;
    engine) cargo nextest run --locked --package ringkv-consensus ;;
    simulation) cargo xtask simulate --seed 1 ;;
    gateway) dev_is_ready ;;
    esac
}

# Builds `ringkv`, starts a cluster in it, and returns once the gateway serves.
dev_is_ready() {
    local deadline status=0
    # The caller tests the result, so `set -e` is off here.
    cargo build --locked --package ringkv-cli || return 1
    "$PROGRAM" dev --listen "$DEV_ADDRESS" &
    dev=$!
    # From here on: the first build takes as long as it takes.
    deadline=$((SECONDS + READY_LIMIT_S))
    until "$PROGRAM" health "http://$DEV_ADDRESS/readyz"; do
        kill -0 "$dev" || { status=1; break; }
        [ $SECONDS -lt $deadline ] || { status=1; break; }
        sleep 0.05
    done
    return $status
}

stop_dev() {
    [ -n "$dev" ] || return 0
    kill "$dev" 2>/dev/null || true
    wait "$dev" 2>/dev/null || true
    dev=
}

# Puts a statement into the first function of the file whose head is on one line.
edit() {
    local file=$1 number=$2 line
    line=$(grep -nE '^ *(pub(\([a-z]+\))? )?fn [^;]*\{$' "$file" | head -n 1 | cut -d: -f1)
    [ -n "$line" ] || fail "no function to edit in $file"
    cp "$file" "$work/original"
    edited=$file
    sed -i "${line}a std::hint::black_box(${number}_u64);" "$file"
}

# With the time of now: cargo takes a file that is older than what it built for unchanged.
put_back() {
    [ -n "$edited" ] || return 0
    cat "$work/original" >"$edited"
    edited=
}

# Milliseconds from an edit to its result.
time_step() {
    local step=$1 number=$2 started ended
    edit "$(edited_file "$step")" "$number"
    started=$(date +%s%N)
    run_step "$step" >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "$step failed"; }
    ended=$(date +%s%N)
    stop_dev
    put_back
    took_ms=$(((ended - started) / 1000000))
}

seconds() { printf '%d.%d s' $(($1 / 1000)) $(($1 % 1000 / 100)); }

measure() {
    local step=$1 round all=() median limit
    # Once without an edit, so that what is measured is warm.
    run_step "$step" >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "$step failed"; }
    stop_dev
    for round in $(seq "$rounds"); do
        time_step "$step" "$((10#$(date +%N) + round))"
        all+=("$took_ms")
        printf 'inner-loop: %s, round %d: %s\n' "$step" "$round" "$(seconds "$took_ms")" >&2
    done
    median=$(printf '%s\n' "${all[@]}" | sort -n | sed -n "$(((rounds + 1) / 2))p")
    limit=$(limit_s "$step")
    rows+=("| $(title "$step") | $(seconds "$median") | ≤ $limit s |")
    [ "$median" -le $((limit * 1000)) ] || slow+=("$step")
}

rounds=3 dev='' edited='' took_ms=0 rows=() slow=()
if [ "${1:-}" = --rounds ]; then
    rounds=${2:?say how many rounds}
    shift 2
fi
[ $# -gt 0 ] || set -- machine engine simulation gateway
for step in "$@"; do
    file=$(edited_file "$step") || exit 1
    [ -f "$file" ] || fail "$step: $file is not there"
done
work=$(mktemp -d)
trap 'put_back; stop_dev; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

for step in "$@"; do
    measure "$step"
done
printf '| an edit in the → to | by | takes | limit |\n| --- | --- | --- | --- |\n'
printf '%s\n' "${rows[@]}"
[ ${#slow[@]} = 0 ] || fail "over the limit: ${slow[*]}"
