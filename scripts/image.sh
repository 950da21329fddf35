#!/usr/bin/env bash
# Builds the container image.
#
# Usage: scripts/image.sh                from source
#        scripts/image.sh --prebuilt     from the programs built before, in target/debug
#
# RINGKV_IMAGE names the image (ringkv:latest). The base images are pulled, or made locally where
# no registry can be reached.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly IMAGE=${RINGKV_IMAGE:-ringkv:latest}
readonly BUILT=${CARGO_TARGET_DIR:-target}/debug
readonly PROGRAMS=(ringkv ringkv-placement ringkv-storage-node ringkv-gateway)

fail() { printf 'image: %s\n' "$*" >&2; exit 1; }

# The stages need BuildKit. A docker client from 23 on has it only with the buildx plugin; an older
# one, of which a Debian machine may have a second, has it built in.
client() {
    local docker major
    while read -r docker; do
        major=$("$docker" version --format '{{.Client.Version}}' 2>/dev/null | cut -d. -f1)
        if [ "${major:-99}" -lt 23 ] || "$docker" buildx version >/dev/null 2>&1; then
            echo "$docker"
            return
        fi
    done < <(type -ap docker)
    fail "no docker client here can use BuildKit: install docker-buildx"
}

docker=$(client)
export DOCKER_BUILDKIT=1
case ${1:-} in
"")
    scripts/base-images.sh debian rust
    exec "$docker" build --network host --target runtime --tag "$IMAGE" .
    ;;
--prebuilt)
    scripts/base-images.sh debian
    context=$(mktemp -d)
    trap 'rm -rf "$context"' EXIT
    for program in "${PROGRAMS[@]}"; do
        cp "$BUILT/$program" "$context/" || fail "not built yet: cargo --config .cargo/optimized.toml build --workspace --bins"
    done
    "$docker" build --quiet --target prebuilt --tag "$IMAGE" --file Dockerfile "$context"
    ;;
*) fail "unknown argument $1" ;;
esac
