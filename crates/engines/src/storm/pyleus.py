"""Gives the topology in a jar of Pyleus a name, and goes on as the client that submits it.

Pyleus takes the name from a file in its jar and from nowhere else.
"""
import json
import os
import re
import sys
import zipfile

SPEC = "resources/pyleus_topology.yaml"


def main():
    """Words: the jar, the jar to be made, the name, the client's words."""
    source, target, name = sys.argv[1:4]
    try:
        with zipfile.ZipFile(source) as jar, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as made:
            if SPEC not in jar.namelist():
                sys.exit("%s was not built by Pyleus: there is no %s in it" % (os.path.basename(source), SPEC))
            for entry in jar.infolist():
                data = jar.read(entry)
                if entry.filename == SPEC:
                    line = "name: " + json.dumps(name)
                    text, found = re.subn(r"(?m)^name\s*:.*$", lambda _: line, data.decode("utf-8"), count=1)
                    data = (text if found else line + "\n" + text).encode("utf-8")
                made.writestr(entry, data)
    except zipfile.BadZipFile:
        sys.exit("%s is no jar" % os.path.basename(source))
    os.execv(sys.argv[4], sys.argv[4:])


if __name__ == "__main__":
    main()
