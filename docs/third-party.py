#!/usr/bin/env python3
"""Prints THIRD-PARTY: what the shipped programs contain beside our own code, and under which licenses.

Their texts ask for it, wherever copies go. Reads what cargo knows; a crate without a license's text names its license.
"""

import hashlib
import json
import pathlib
import subprocess
import sys

SHIPPED = {"nss-iam", "keys-cmd", "forward-only", "cache-refresher", "nss-iamctl"}
TEXTS = ("license", "licence", "copying", "notice", "copyright")


def linked(metadata):
    """The packages that the shipped programs link: normal dependencies, without macros, which only run at build time."""
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    macro = {id for id, package in packages.items() if any("proc-macro" in t["kind"] for t in package["targets"])}
    todo = [id for id, package in packages.items() if package["name"] in SHIPPED and package["source"] is None]
    seen = set()
    while todo:
        id = todo.pop()
        if id in seen or id in macro:
            continue
        seen.add(id)
        todo += [dep["pkg"] for dep in nodes[id]["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"])]
    return sorted((packages[id] for id in seen if packages[id]["source"]), key=lambda p: (p["name"], p["version"]))


def texts(package):
    directory = pathlib.Path(package["manifest_path"]).parent
    # The C library in a -sys crate has a license of its own.
    for path in sorted([*directory.iterdir(), *directory.glob("*/*")]):
        if path.is_file() and path.name.lower().startswith(TEXTS):
            yield path.read_text(errors="replace").strip()


def main():
    line = ["cargo", "metadata", "--format-version=1", "--locked", f"--filter-platform={sys.argv[1]}"]
    metadata = json.loads(subprocess.run(line, check=True, stdout=subprocess.PIPE).stdout)
    packages, known = linked(metadata), {}
    for package in packages:
        for text in texts(package):
            known.setdefault(hashlib.sha256(text.encode()).digest(), (text, []))[1].append(package["name"])
    print("What the programs of nss-iam contain beside their own code.\n")
    for package in packages:
        print(f"{package['name']} {package['version']}: {package['license'] or 'see below'}")
    for text, names in known.values():
        print(f"\n{'=' * 78}\n{', '.join(dict.fromkeys(names))}\n{'=' * 78}\n{text}")


main()
