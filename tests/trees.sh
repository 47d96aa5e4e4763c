#!/bin/sh
# Makes the small systems that tests lay their private machines over, `target/trees/NAME`, as far as they are
# missing or their packages have changed since. A tree is the same on every developer's machine, and has a daemon or two
# that nobody wants on theirs. `trees.sh login` makes that one only.
set -eu
wanted=" $* "
cd "$(dirname "$0")/.."
trees=${CARGO_TARGET_DIR:-target}/trees

tree() { # name, release of Debian, packages separated by commas
    name=$1 release=$2 packages=$3
    case $wanted in "  " | *" $name "*) ;; *) return 0 ;; esac
    stamp="$release $packages"
    [ "$(cat "$trees/$name.stamp" 2>/dev/null)" != "$stamp" ] || return 0
    echo "trees: making $trees/$name"
    rm -rf "$trees/$name.stamp" "$trees/$name" "$trees/$name.new"
    # The mirror is mmdebstrap's own choice: the one that this host's apt is set up for.
    mmdebstrap --quiet --variant=apt --include="$packages" "$release" "$trees/$name.new"
    mv "$trees/$name.new" "$trees/$name"
    echo "$stamp" >"$trees/$name.stamp"
}

if [ "$(id -u)" != 0 ]; then
    echo "trees: skipped: needs root, like the tests that use them"
    exit 0
fi
mkdir -p "$trees"
exec 9>"$trees/lock" # two `make test` at once
flock 9

# OpenSSH 9.2, the version that docs/reference/host.md was tried with.
tree login bookworm \
    ca-certificates,cron,iproute2,libnss-systemd,libpam-ssh-agent-auth,nftables,nscd,openssh-client,openssh-server,pamtester,procps,sudo

# Whole systems, which boot, and which packages are installed on.
for release in 11:bullseye 12:bookworm 13:trixie; do
    tree "debian${release%:*}" "${release#*:}" \
        ca-certificates,cron,dbus,iproute2,libpam-systemd,libpam-ssh-agent-auth,nftables,openssh-client,openssh-server,procps,sudo,systemd-sysv
done
# Nothing of rpm's distributions is to be had here, but rpm itself.
tree rpm bookworm ca-certificates,dbus,openssh-client,openssh-server,procps,rpm,systemd-sysv
# A policy that the SELinux module of the .rpm is added to.
tree selinux bookworm policycoreutils,selinux-policy-default,setools

# Every peer of `make bench`, which alone asks for this one, and what counts their instructions and system calls.
case $wanted in *" bench "*)
    tree bench bookworm libnss-cache,libnss-extrausers,sssd-common,strace,valgrind ;;
esac
