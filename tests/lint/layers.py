# SPDX-License-Identifier: BSD-3-Clause
"""The layer law: who may include whom.

A file of dataplane/ sees its own folder, lower layers and include/millrace; folders of the same layer
are strangers. pipeline.c, manager.*, main.c and api/ see everything. control/ and dataplane/ never meet,
control/daemon and control/cli neither; include/millrace stands alone and without DPDK.
"""
import re
import sys

import lint

LAYERS = {
    "base": 0, "core": 1, "net": 2, "lb": 3, "kv": 3, "proto": 3, "tcp": 3, "route": 4, "serve": 5,
    "api": 5,
}
SEE_ALL = ("dataplane/pipeline.c", "dataplane/manager.c", "dataplane/manager.h", "dataplane/main.c")
CONTROL = {"lib": ("lib",), "daemon": ("lib", "daemon"), "cli": ("lib", "cli")}
DPDK = re.compile(r"(rte_\w+|cmdline\w*|generic/rte_\w+)\.h$")


def _dataplane(name, folder, target):
    if name in SEE_ALL or folder == "api":
        return None if target in LAYERS or target == "" else \
            ("include of unknown folder '%s'" % target, "one of %s" % ", ".join(LAYERS))
    if folder == "":
        return None if target == "" or target in LAYERS and LAYERS[target] <= 1 else \
            ("a header of the top sees '%s'" % target, "it may use base/ and core/ only")
    if folder not in LAYERS:
        return ("folder '%s' has no layer" % folder, "give it one in DESIGN and in tests/lint/layers.py")
    if target == folder:
        return None
    if target not in LAYERS:
        return ("include of unknown folder '%s'" % target, "include lower layers only")
    if LAYERS[target] < LAYERS[folder]:
        return None
    relation = "of the same layer" if LAYERS[target] == LAYERS[folder] else "above"
    return ("%s/ includes %s/, which is %s" % (folder, target, relation),
            "include lower layers only; let the caller introduce the two")


def _control(folder, target):
    if folder not in CONTROL:
        return ("folder '%s' is unknown" % folder, "add it to tests/lint/layers.py")
    if target in CONTROL[folder]:
        return None
    return ("control/%s includes '%s'" % (folder, target), "it may see %s and include/millrace"
            % ", ".join("%s/" % f for f in CONTROL[folder]))


def _judge(name, path, is_quoted):
    parts = name.split("/")
    top, folder = parts[0], parts[1] if len(parts) > 2 else ""
    target = path.split("/")[0] if "/" in path else ""
    if top == "include":
        if DPDK.match(path):
            return ("public header includes DPDK's %s" % path, "include/millrace has no DPDK")
        if is_quoted and target != "millrace":
            return ("public header includes \"%s\"" % path, "it may include \"millrace/…\" and libc")
        return None
    if top == "control" and DPDK.match(path):
        return ("control plane includes DPDK's %s" % path, "only the dataplane uses DPDK")
    if target == "millrace" or not is_quoted:
        return None
    if target == "" and folder not in ("", "api"):
        return ("include of \"%s\" without its folder" % path,
                "path from the component's root, such as \"%s/%s\"" % (folder, path))
    if ".." in path.split("/"):
        return ("path with '..'", "path from the component's root")
    return _dataplane(name, folder, target) if top == "dataplane" else _control(folder, target)


def check(root):
    findings = []
    for name in lint.files(root, ".c", ".h"):
        if name.split("/")[0] not in ("dataplane", "control", "include"):
            continue
        for line, path, is_quoted in lint.includes(lint.read(root, name)):
            fault = _judge(name, path, is_quoted)
            if fault:
                findings.append(lint.Finding(name, line, *fault))
    return findings


if __name__ == "__main__":
    lint.run(check, sys.argv[1])
