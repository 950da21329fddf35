#!/usr/bin/env bash
# Builds local stand-ins for the two base images of the Dockerfile, under the tags it names, on a
# machine that reaches Debian's packages but no image registry:
#
#   debian:bookworm-slim   a minimal Debian made by debootstrap
#   rust:1.95-bookworm     the same plus gcc, clang and this machine's own Rust toolchain
#
# This machine's bundle of certificate authorities goes into both, so that a build inside a
# container trusts the registries that the machine trusts. An image that is already there is kept;
# a real one that was pulled before is never replaced. DEBIAN_MIRROR, when set, is given to
# debootstrap in place of its own default.
#
# Usage: scripts/base-images.sh [debian] [rust]       (both when none is named)
#        scripts/base-images.sh --remove              (removes only the stand-ins made here)
set -euo pipefail

readonly DEBIAN_IMAGE=debian:bookworm-slim
readonly RUST_IMAGE=rust:1.95-bookworm
readonly LABEL=ringkv.stand-in
readonly CACHE=${RINGKV_CACHE:-$HOME/.cache/ringkv}/debs

say() { printf 'base-images: %s\n' "$*"; }
fail() { printf 'base-images: %s\n' "$*" >&2; exit 1; }

have_image() { docker image inspect "$1" >/dev/null 2>&1; }

is_stand_in() {
    [ "$(docker image inspect --format "{{index .Config.Labels \"$LABEL\"}}" "$1" 2>/dev/null)" = yes ]
}

# Asks the registry first: where one can be reached the real image is the better one.
pulled() {
    [ "${RINGKV_PULL:-yes}" = yes ] && timeout 60 docker pull --quiet "$1" >/dev/null 2>&1
}

# Prints the folder of a new root file system with the given extra packages.
make_root() {
    local root=$1 packages=$2
    [ "$(id -u)" = 0 ] || fail "debootstrap needs root: run this as root or with sudo"
    command -v debootstrap >/dev/null || fail "debootstrap is missing: run 'make setup'"
    mkdir -p "$CACHE"
    say "debootstrap bookworm (${packages:-no extra packages})"
    nice debootstrap --variant=minbase --cache-dir="$CACHE" ${packages:+--include="$packages"} \
        bookworm "$root" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >"$root.log" 2>&1 ||
        { tail -n 20 "$root.log" >&2; fail "debootstrap failed"; }
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* \
        "$root"/usr/share/doc/* "$root"/usr/share/man/* "$root"/usr/share/locale/*
    mkdir -p "$root/etc/ssl/certs"
    cp --dereference /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
}

import_root() {
    local root=$1 image=$2
    shift 2
    say "import $image"
    tar --create --numeric-owner --directory "$root" --exclude='./dev/*' --exclude='./proc/*' . |
        docker import --change "LABEL $LABEL=yes" "$@" - "$image" >/dev/null
}

make_debian() {
    have_image "$DEBIAN_IMAGE" && { say "$DEBIAN_IMAGE is there"; return; }
    pulled "$DEBIAN_IMAGE" && { say "$DEBIAN_IMAGE pulled"; return; }
    make_root "$work/debian" ""
    import_root "$work/debian" "$DEBIAN_IMAGE" --change 'CMD ["bash"]'
}

# The official image keeps cargo and rustup under /usr/local; so does this one. Documentation and
# other targets of the toolchain stay out.
make_rust() {
    have_image "$RUST_IMAGE" && { say "$RUST_IMAGE is there"; return; }
    pulled "$RUST_IMAGE" && { say "$RUST_IMAGE pulled"; return; }
    local sysroot root=$work/rust version
    sysroot=$(rustc --print sysroot) || fail "no Rust toolchain on this machine"
    version=$(rustc --version | cut -d' ' -f2)
    case $version in
    1.95.*) ;;
    *) fail "$RUST_IMAGE needs rustc 1.95, this machine has $version" ;;
    esac
    make_root "$root" ca-certificates,gcc,g++,libc6-dev,make,cmake,pkg-config,git,clang,libclang-dev
    mkdir -p "$root/usr/local/rust"
    tar --create --directory "$sysroot" --exclude=./share --exclude=./lib/rustlib/src . |
        tar --extract --directory "$root/usr/local/rust"
    # rust-toolchain.toml is read by rustup only; plain cargo ignores it, which is right here: this
    # image holds exactly the pinned toolchain.
    import_root "$root" "$RUST_IMAGE" \
        --change 'ENV PATH=/usr/local/cargo/bin:/usr/local/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
        --change 'ENV CARGO_HOME=/usr/local/cargo' \
        --change 'ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt' \
        --change 'ENV CARGO_HTTP_CAINFO=/etc/ssl/certs/ca-certificates.crt' \
        --change 'CMD ["bash"]'
}

remove() {
    local image
    for image in "$RUST_IMAGE" "$DEBIAN_IMAGE"; do
        is_stand_in "$image" && docker image rm "$image" >/dev/null && say "removed $image"
    done
    return 0
}

docker info >/dev/null 2>&1 || fail "no docker engine answers: install docker.io and start dockerd"
if [ "${1:-}" = --remove ]; then
    remove
    exit
fi

work=$(mktemp -d "${TMPDIR:-/var/tmp}/ringkv-base.XXXXXX")
trap 'rm -rf "$work"' EXIT
for name in ${@:-debian rust}; do
    case $name in
    debian) make_debian ;;
    rust) make_rust ;;
    *) fail "unknown base image $name: say debian or rust" ;;
    esac
done
