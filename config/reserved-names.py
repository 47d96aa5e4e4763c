#!/usr/bin/env python3
"""Prints reserved-names.txt from public lists of system users and groups and from reserved-names.in.

The arguments are the files of SOURCES, in that order. To use newer ones, change their versions in SOURCES too.
"""

import pathlib
import re
import sys
import tomllib


def columns(text):
    """The name, then spaces or ':': passwd(5), group(5), tables of ids, plain lists. VALID drops comments."""
    return [re.split(r"[\s:]", line)[0] for line in text.splitlines() if line.strip()]


def rpmlint(text):
    """rpmlint's StandardUsers and StandardGroups."""
    return [name for names in tomllib.loads(text).values() for name in names]


# Names that only Gentoo has, and that people or teams might use: these stay available.
FREE = set("""
    android automatic bedrock beep carbon clair clock croc cuse drone duende epam err fingerprint flows gauth http
    karma mgraph notary opm p2p reg registry resin ros rt sancp sandmann sandmann-ctrl sigh sms spectrum spire
    spread steve stg supervisor trickster trojan ultimaker unreal usb vinyl
""".split())


def gentoo(text):
    """Gentoo's table of ids, without FREE."""
    return [name for name in columns(text) if name not in FREE]


# For each section of the list: its title, the files it is made from, and the function that reads them.
SOURCES = [
    ("Debian: base-passwd 3.6.1", ["passwd.master", "group.master"], columns),
    ("Debian: user-setup 1.95", ["reserved-usernames"], columns),
    ("Fedora: setup d8d3b7078a0c (after 2.14.5)", ["uidgid"], columns),
    ("Fedora: rpmlint 938f5177a500, configs/Fedora", ["users-groups.toml"], rpmlint),
    ("openSUSE: rpmlint 2490edb3f69b (branch opensuse), configs/openSUSE", ["users-groups.toml"], rpmlint),
    # Debian has no list of the accounts that its packages create. Gentoo has one, and most of its names come from upstream.
    ("Gentoo: api-gentoo-org e59517ca90e5", ["uid-gid.txt"], gentoo),
]

# The names that nss-iam could give to a user or group at all: `Name` in policy/src/value.rs. Other names need no entry.
VALID = re.compile(r"[a-z0-9_][a-z0-9._@-]{0,31}")


def hand_written(text):
    """Yields the title and the names of each section. The file's header ends at the first empty line."""
    for section in text.split("\n\n")[1:]:
        title, *lines = section.strip().splitlines()
        yield title.removeprefix("# "), " ".join(lines).split()


def public(paths):
    """Yields the same from the public lists."""
    paths = iter(paths)
    for title, files, read in SOURCES:
        texts = [pathlib.Path(next(paths)).read_text(encoding="utf-8") for _ in files]
        yield title, [name for text in texts for name in read(text)]


def main():
    files = [name for _, names, _ in SOURCES for name in names]
    if len(sys.argv) != len(files) + 1:
        sys.exit("usage: reserved-names.py " + " ".join(files))
    own = pathlib.Path(__file__).with_suffix(".in").read_text(encoding="utf-8")

    print("""\
# Names that no IAM user or group gets, even if this host does not have them yet: packages take over an existing account or
# group with the name they want, and sudo, polkit and cloud-init grant privileges by name.
# One name per line, in lower case; a trailing * matches any suffix. Each name is in the first section that has it.
#
# Generated from reserved-names.in and from the public lists named below; do not edit. To regenerate it:""")
    print("#     config/reserved-names.py \\")
    for title, names, _ in SOURCES:
        end = "" if title == SOURCES[-1][0] else " \\"
        print(f"#         {' '.join(names)}{end}")
    print("# with the files from, in this order:")
    for title, _, _ in SOURCES:
        print(f"#     {title}")
    seen = set()
    for title, names in [*hand_written(own), *public(sys.argv[1:])]:
        names = {name.lower() for name in names}
        names = {name for name in names if VALID.fullmatch(name.removesuffix("*"))} - seen
        seen |= names
        if names:
            print("#", f"# {title}", *sorted(names), sep="\n")


if __name__ == "__main__":
    main()
