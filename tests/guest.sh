#!/bin/sh
# Turns a system that tests/trees.sh made into the disk of a virtual machine: `guest.sh DIRECTORY` makes DIRECTORY.ext4 and
# DIRECTORY.key, with which root can log in through ssh.
set -eu
root=$1

rm -f "$root.ext4" "$root.key" "$root.key.pub"
ssh-keygen -q -t ed25519 -N '' -C root -f "$root.key"
mkdir -p -m 0700 "$root/root/.ssh"
cp "$root.key.pub" "$root/root/.ssh/authorized_keys"

basename "$root" >"$root/etc/hostname"
echo '/dev/vda / ext4 defaults 0 1' >"$root/etc/fstab"
# The address that qemu's own network forwards to (qemu(1), -netdev user).
printf '[Match]\nType=ether\n[Network]\nAddress=10.0.2.15/24\n' >"$root/etc/systemd/network/vm.network"
chroot "$root" systemctl --quiet enable systemd-networkd.service
# Each costs seconds of a boot, or runs while a test does.
chroot "$root" systemctl --quiet mask systemd-networkd-wait-online.service
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer \
    nfs-blkmap.service nfs-server.service rpcbind.service rpcbind.socket; do
    chroot "$root" systemctl --quiet disable "$unit"
done

# The labels of a host where SELinux was switched on; without it, nothing looks at them.
sed -i 's/^SELINUX=.*/SELINUX=enforcing/' "$root/etc/selinux/config"
unshare --mount sh -eu -c 'mount -t proc proc "$1/proc"
    chroot "$1" setfiles -F -q /etc/selinux/default/contexts/files/file_contexts /' sh "$root"
mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 -d "$root" "$root.ext4" 2G
