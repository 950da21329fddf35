#!/usr/bin/env bash
# Compares the trace hashes of seeds 0 to 499 with tests/simulation/hashes.txt. A change that only
# moves or renames code leaves them equal; a change of what the cores or the simulation do shows
# here, and its commit brings the new list and says why.
#
# Usage: scripts/hashes.sh             (fails and names the seeds that differ)
#        scripts/hashes.sh --update    (writes the list)
# CARGO_FLAGS: flags for cargo itself, such as `--config .cargo/optimized.toml`.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly LIST=tests/simulation/hashes.txt
new=$(mktemp)
trap 'rm -f "$new"' EXIT

# shellcheck disable=SC2086
cargo ${CARGO_FLAGS:-} xtask simulate --hashes 0..500 >"$new"
if [ "${1:-}" = --update ]; then
    cp "$new" "$LIST"
    exit
fi
changed=$(comm -13 <(sort "$LIST") <(sort "$new") | cut -d' ' -f1 | sort -n)
if [ -n "$changed" ] || ! cmp -s "$LIST" "$new"; then
    printf 'hashes: %d of 500 seeds run another way than %s says: %s\n' \
        "$(wc -w <<<"$changed")" "$LIST" "$(head -n 10 <<<"$changed" | paste -sd' ')" >&2
    printf 'hashes: if that is meant, run scripts/hashes.sh --update and say why in the commit\n' >&2
    exit 1
fi
printf 'hashes: 500 seeds run as %s says\n' "$LIST"
