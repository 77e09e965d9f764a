#!/usr/bin/env python3
"""Checks the dependencies: who may import whom inside the workspace, where packages come from, and under which licences.

The same rules for licences and sources stand in deny.toml for cargo-deny, which scripts/test.sh runs too where it is
installed; this check needs only cargo and Python.
"""
import json
import re
import subprocess
import sys

# All arrows point down this list (docs/architecture.md). The program and the test kit stand outside of it.
MAY_IMPORT = {
    "foggara-api": {"foggara-app", "foggara-identity", "foggara-domain"},
    "foggara-app": {"foggara-identity", "foggara-stores", "foggara-engines", "foggara-db", "foggara-domain"},
    "foggara-stores": {"foggara-identity", "foggara-db", "foggara-domain"},
    "foggara-identity": {"foggara-db", "foggara-domain"},
    "foggara-engines": {"foggara-domain"},
    "foggara-sqljob": {"foggara-domain"},
    "foggara-db": {"foggara-domain"},
    "foggara-domain": set(),
    "foggara-testkit": set(),
}
# Crates that must not be reached from a room: each belongs to another one.
NEVER = {
    "foggara-domain": {"tokio", "sqlx", "axum", "reqwest"},
    "foggara-engines": {"sqlx", "axum"},
    "foggara-app": {"sqlx", "axum"},
    "foggara-api": {"sqlx", "reqwest"},
}
LICENCES = {
    "Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "ISC", "Zlib", "Unicode-3.0", "MPL-2.0", "CC0-1.0", "0BSD",
    "Unlicense", "BSL-1.0", "CDLA-Permissive-2.0", "Apache-2.0 WITH LLVM-exception",
}


def allowed(expression):
    """Whether an SPDX expression can be fulfilled with the allowed licences."""
    for group in re.split(r"\s+AND\s+", expression.replace("/", " OR ").replace("(", " ( ").replace(")", " ) ")):
        parts = [part.strip() for part in re.split(r"\s+OR\s+", group.replace("(", "").replace(")", ""))]
        if not any(part in LICENCES for part in parts):
            return False
    return True


def main():
    output = subprocess.run(["cargo", "metadata", "--format-version", "1", "--locked"], check=True, stdout=subprocess.PIPE)
    packages = json.loads(output.stdout)["packages"]
    faults = []
    for package in packages:
        name = package["name"]
        needs = {dep["name"] for dep in package["dependencies"] if dep["kind"] is None}
        if name in MAY_IMPORT:
            for dep in sorted(needs):
                if dep.startswith("foggara-") and dep not in MAY_IMPORT[name]:
                    faults.append("%s may not import %s" % (name, dep))
                if dep in NEVER.get(name, ()):
                    faults.append("%s may not use %s" % (name, dep))
        if package["source"] is None:
            if not name.startswith("foggara"):
                faults.append("%s comes from nowhere" % name)
            continue
        if not package["source"].startswith("registry+"):
            faults.append("%s comes from %s, not from a registry" % (name, package["source"]))
        if not package["license"] or not allowed(package["license"]):
            faults.append("%s %s: licence %s" % (name, package["version"], package["license"]))
    for fault in faults:
        print("dependencies: " + fault)
    print("dependencies: %d packages, %d faults" % (len(packages), len(faults)))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
