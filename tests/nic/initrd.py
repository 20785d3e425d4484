# SPDX-License-Identifier: BSD-3-Clause
"""initrd — the image a guest starts from: an init and kernel modules, in the order in which they are loaded.

usage: initrd.py KERNEL-ROOT OUT INIT MODULE…     a module that is not there is built in, or the guest says what it lacks
"""
import os
import re
import sys


def load_order(root, wanted):
    """Paths of the modules, each behind those that it depends on."""
    paths = {}
    for folder, _, files in os.walk(os.path.join(root, "lib/modules")):
        for f in files:
            if f.endswith(".ko"):
                paths[f[:-3].replace("-", "_")] = os.path.join(folder, f)
    order = []

    def need(name):
        path = paths.get(name.replace("-", "_"))
        if path is None or path in order:
            return
        with open(path, "rb") as f:
            depends = re.search(rb"\0depends=([^\0]*)\0", f.read())
        for d in depends.group(1).decode().split(",") if depends else []:
            if d:
                need(d)
        order.append(path)

    for name in wanted:
        need(name)
    return order


class Archive:
    """cpio, in the format that is called newc: a header of 110 bytes, name and data padded to 4 bytes each."""

    def __init__(self):
        self.parts = []

    def add(self, name, mode, data=b"", device=(0, 0)):
        raw = name.encode() + b"\0"
        fields = (len(self.parts) + 1, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(raw), 0)
        head = b"070701" + b"".join(b"%08X" % f for f in fields) + raw
        body = head + b"\0" * (-len(head) % 4) + data
        self.parts.append(body + b"\0" * (-len(body) % 4))

    def add_file(self, name, mode, path):
        with open(path, "rb") as f:
            self.add(name, mode, f.read())


def main():
    root, out, init, *wanted = sys.argv[1:]
    archive = Archive()
    for folder in ("dev", "proc", "root", "modules"):
        archive.add(folder, 0o40755)
    archive.add("dev/console", 0o20600, device=(5, 1))
    # their names say the order: init loads them sorted
    for i, path in enumerate(load_order(root, wanted)):
        archive.add_file(f"modules/{i:02}-{os.path.basename(path)}", 0o100644, path)
    archive.add_file("init", 0o100755, init)
    archive.add("TRAILER!!!", 0)
    with open(out, "wb") as f:
        f.write(b"".join(archive.parts))


main()
