#!/bin/sh
# Makes small Debian systems, `target/trees/NAME`, which tests use as the lower layer of an overlay, unless they exist with the
# same packages. So the tests see the same system on every developer's machine, and daemons that nobody wants on their own
# machine. `trees.sh login` makes only that one.
set -eu
wanted=" $* "
cd "$(dirname "$0")/.."
trees=${CARGO_TARGET_DIR:-target}/trees

tree() { # name, release of Debian, packages separated by commas, more words for mmdebstrap
    name=$1 release=$2 packages=$3
    shift 3
    case $wanted in "  " | *" $name "*) ;; *) return 0 ;; esac
    stamp="$release $packages"
    [ "$(cat "$trees/$name.stamp" 2>/dev/null)" != "$stamp" ] || return 0
    echo "trees: making $trees/$name"
    rm -rf "$trees/$name.stamp" "$trees/$name" "$trees/$name.new"
    # mmdebstrap uses the mirror that this host's apt is configured with.
    ${emulated:-} mmdebstrap --quiet --variant=apt --include="$packages" "$@" "$release" "$trees/$name.new"
    mv "$trees/$name.new" "$trees/$name"
    echo "$stamp" >"$trees/$name.stamp"
}

guest() { # name, release of Debian
    # shellcheck disable=SC2016 # mmdebstrap's shell expands it
    tree "$1" "$2" \
        acl,apparmor,apparmor-utils,at,auditd,ca-certificates,cron,curl,dbus,dbus-user-session,e2fsprogs,initramfs-tools,iproute2,kmod,libpam-systemd,linux-image-cloud-amd64,login,nfs-common,nfs-kernel-server,nftables,openssh-client,openssh-server,policycoreutils,procps,python3-minimal,quota,selinux-policy-default,selinux-utils,setools,sudo,systemd-sysv,udev,zstd \
        --setup-hook='mkdir -p "$1/etc/initramfs-tools/conf.d" &&
            printf "MODULES=list\nCOMPRESS=zstd\nBUSYBOX=n\n" >"$1/etc/initramfs-tools/conf.d/vm" &&
            printf "virtio_pci\nvirtio_blk\next4\ncrc32c_generic\n" >"$1/etc/initramfs-tools/modules"'
    case $wanted in "  " | *" $1 "*) ;; *) return 0 ;; esac
    stamp="$(cat "$trees/$1.stamp") $(cksum <tests/guest.sh)"
    [ "$(cat "$trees/$1.ext4.stamp" 2>/dev/null)" != "$stamp" ] || return 0
    echo "trees: making $trees/$1.ext4"
    rm -f "$trees/$1.ext4.stamp"
    tests/guest.sh "$trees/$1"
    echo "$stamp" >"$trees/$1.ext4.stamp"
}

if [ "$(id -u)" != 0 ]; then
    echo "trees: skipped: needs root, like the tests that use them"
    exit 0
fi
architecture=$(dpkg --print-architecture)
mkdir -p "$trees"
exec 9>"$trees/lock" # two `make test` at once
flock 9

# Has OpenSSH 9.2, the version that docs/reference/host.md was tested with.
tree login bookworm \
    btrfs-progs,ca-certificates,cron,iproute2,libnss-systemd,libpam-ssh-agent-auth,nftables,nscd,openssh-client,openssh-server,pamtester,procps,sudo

# Another directory beside nss-iam: sssd in front of a slapd, in NSS and PAM as Debian's packages set them up.
tree directory bookworm \
    ca-certificates,cron,ldap-utils,libnss-sss,libnss-systemd,libpam-runtime,libpam-sss,openssh-client,openssh-server,procps,slapd,sssd-ldap,sudo

# Whole systems, which are booted, and on which the packages are installed.
for release in 11:bullseye 12:bookworm 13:trixie; do
    # Does not replace sudo: it is sudo-rs, beside it.
    case $release in 13:*) more=,sudo-rs ;; *) more= ;; esac
    tree "debian${release%:*}" "${release#*:}" \
        ca-certificates,cron,dbus,iproute2,libpam-systemd,libpam-ssh-agent-auth,nftables,openssh-client,openssh-server,procps,sudo,systemd-sysv$more
done
# Runs 32-bit programs, too. Without updates: the same version of a package is not there for both architectures at once.
# shellcheck disable=SC2016 # mmdebstrap's shell expands it
[ "$architecture" != amd64 ] ||
    tree multiarch bookworm ca-certificates,dbus,libc6:i386,openssh-client,openssh-server,procps,systemd-sysv \
        --architectures=amd64,i386 --setup-hook='sed -i /security/d "$1/etc/apt/sources.list"'
# No rpm distribution is available here, only rpm, dnf and zypper.
tree rpm bookworm ca-certificates,dbus,dnf,openssh-client,openssh-server,procps,rpm,systemd-sysv,zypper
# Has an SELinux policy, to which the module of the .rpm is added.
tree selinux bookworm policycoreutils,selinux-policy-default,setools
# Checks rules for Prometheus, and reads metrics; nothing is installed, and the pages of the web interface are not needed.
# shellcheck disable=SC2016 # mmdebstrap's shell expands it
tree prometheus bookworm prometheus,prometheus-node-exporter --variant=extract --customize-hook='rm -rf "$1/usr/share"'
# qemu, in a version that emulates every processor and, for power cuts, logs the writes of a disk; with the tools of the file
# systems on it. Not bookworm: its qemu-storage-daemon is in a package that needs much of a desktop.
tree qemu trixie btrfs-progs,e2fsprogs,mount,qemu-system-x86,qemu-utils,seabios,xfsprogs

# Only for `make test-vm`: a virtual machine with SELinux and AppArmor.
case $wanted in *" vm12 "*) guest vm12 bookworm ;; esac
# Only for `make test-vm-next`: one with the next release.
case $wanted in *" vm13 "*) guest vm13 trixie ;; esac
# Only for `make test-arm`: qemu, a kernel for aarch64, and a system, also as an archive that the kernel unpacks into memory. The
# kernel is not installed there, because that would make a useless initramfs, slowly.
case $wanted in *" arm64 "*)
    tree qemu-arm bookworm qemu-system-arm,qemu-user-static
    tree arm64-kernel bookworm linux-image-cloud-arm64 --architectures=arm64 --variant=extract --skip=check/qemu
    [ "$architecture" = arm64 ] || emulated="tests/emulated.py $trees/qemu-arm/usr/bin/qemu-aarch64-static"
    tree arm64 bookworm ca-certificates,dbus,libpam-systemd,openssh-client,openssh-server,procps,systemd-sysv \
        --architectures=arm64 --mode=root --skip=check/qemu
    if [ "$trees/arm64.cpio" -ot "$trees/arm64.stamp" ] || ! [ -e "$trees/arm64.cpio" ]; then
        (cd "$trees/arm64" && find . -path ./usr/share/doc -prune -o -path ./usr/share/locale -prune -o -path ./var/cache -prune \
            -o -path ./var/lib/apt/lists -prune -o -print |
            cpio --quiet -o -H newc) >"$trees/arm64.cpio.new"
        mv "$trees/arm64.cpio.new" "$trees/arm64.cpio"
    fi ;;
esac

# Only for `make bench`: every peer, and the tools that count their instructions and system calls.
case $wanted in *" bench "*)
    tree bench bookworm libnss-cache,libnss-extrausers,sssd-common,strace,valgrind ;;
esac
