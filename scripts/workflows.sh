#!/usr/bin/env bash
# Checks the hosted-CI workflows with actionlint, which `make setup` installs.
set -euo pipefail
cd "$(dirname "$0")/.."

tool=${RINGKV_CACHE:-$HOME/.cache/ringkv}/actionlint
[ -x "$tool" ] || { echo "workflows: no $tool: run 'make setup'" >&2; exit 1; }
"$tool" -no-color .github/workflows/*.yml
