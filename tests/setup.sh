#!/bin/sh
# Installs missing packages that building and testing need, besides Rust: a C compiler (for SQLite and AWS-LC), Python with
# venv (for the IAM emulator), and the tools that the tests compare with. `setup.sh packages` also installs what builds and
# checks packages, `setup.sh TRIPLE` what builds for another architecture, such as aarch64-unknown-linux-gnu.
set -eu

command -v cargo >/dev/null 2>&1 || { echo "setup: cargo is missing: install Rust first (rustup.rs)" >&2; exit 1; }

missing=""
need() { # command, Debian package
    command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need cc build-essential
need python3 python3
need sqlite3 sqlite3
need setpriv util-linux
need nm binutils
need openssl openssl
need strace strace
need valgrind valgrind
need groff groff-base
if [ "$(id -u)" = 0 ]; then
    need mmdebstrap mmdebstrap             # tests/trees.sh
    need systemd-nspawn systemd-container # boots what that made
    need mkfs.ext4 e2fsprogs              # tests/guest.sh
    need ssh openssh-client
    need ip iproute2                      # tests/src/fleet.rs
fi
if [ "${1:-}" = packages ]; then
    need dh debhelper
    need lintian lintian
    need cpio cpio
    need rpmbuild rpm
    need rpmlint rpmlint
    need zsh zsh   # they try the completions
    need fish fish
fi
case ${1:-} in *-linux-gnu)
    cpu=${1%%-*}
    need cpio cpio # tests/trees.sh
    need "$cpu-linux-gnu-gcc" "gcc-$cpu-linux-gnu libc6-dev-$([ "$cpu" = aarch64 ] && echo arm64 || echo i386)-cross"
    if ! [ -d "$(rustc --print target-libdir --target "$1")" ]; then
        command -v rustup >/dev/null 2>&1 || {
            echo "setup: this Rust has no standard library for $1, and rustup, which would add it, is missing" >&2
            echo "hint: install it from where this Rust came from, or install rustup (rustup.rs)" >&2
            exit 1
        }
        echo "setup: rustup target add $1"
        rustup --quiet target add "$1"
    fi ;;
esac
python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || missing="$missing python3-venv"

[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "setup: missing:$missing" >&2
    echo "hint: as root: apt-get install$missing" >&2
    exit 1
fi
echo "setup: installing$missing"
apt-get update -qq
# shellcheck disable=SC2086 # a list of words
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
