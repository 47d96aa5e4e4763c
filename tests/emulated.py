#!/usr/bin/env python3
"""Runs a command as root where programs for aarch64 run, too, through qemu-user: emulated.py QEMU COMMAND...

The kernel starts QEMU for them only in a user namespace that this makes: nothing is registered for anybody else on the machine
(binfmt_misc is one of a user namespace since Linux 6.7).
"""

import ctypes
import os
import re
import subprocess
import sys

NEWNS, NEWUSER, NEWPID = 0x20000, 0x10000000, 0x20000000
# elf(5): 64 bits, little-endian, a program or a library, for aarch64. Then the bits of each byte that count.
MAGIC = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
# The program is opened now, so that it is found in a chroot, and gives rights as the one that it runs has them.
FLAGS = "OCF"


def status(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 255


def inside(qemu, command):
    """The first process of the namespaces, with all ids of the machine."""
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    misc = "/proc/sys/fs/binfmt_misc"
    for line in (["--make-rprivate", "/"], ["-t", "proc", "proc", "/proc"], ["-t", "binfmt_misc", "binfmt_misc", misc]):
        subprocess.run(["mount", *line], check=True)
    with open(f"{misc}/register", "w") as register:
        register.write(f":qemu-aarch64:M::{MAGIC}:{MASK}:{qemu}:{FLAGS}")
    os.execvp(command[0], command)


def refuse_old_kernel(release):
    """Before Linux 6.7, binfmt_misc is one for the whole machine, and the mount below fails with a message that says nothing."""
    version = re.match(r"(\d+)\.(\d+)", release)
    if version and tuple(map(int, version.groups())) < (6, 7):
        sys.exit(
            f"emulated: this kernel is Linux {release}: a user namespace has its own binfmt_misc since Linux 6.7\n"
            "hint: build and test for aarch64 on a newer kernel, or on an aarch64 machine"
        )


def main():
    refuse_old_kernel(os.uname().release)
    qemu, *command = sys.argv[1:]
    unshared, mapped = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        if ctypes.CDLL(None, use_errno=True).unshare(NEWUSER | NEWNS | NEWPID) != 0:
            sys.exit(f"emulated: unshare: {os.strerror(ctypes.get_errno())}")
        os.write(unshared[1], b"x")
        os.read(mapped[0], 1)
        first = os.fork()
        if first == 0:
            inside(os.path.abspath(qemu), command)
        sys.exit(status(first))
    os.close(unshared[1])
    os.read(unshared[0], 1)
    for ids in ("uid_map", "gid_map"):
        with open(f"/proc/{child}/{ids}", "w") as file:
            file.write("0 0 4294967295\n")
    os.write(mapped[1], b"x")
    sys.exit(status(child))


main()
