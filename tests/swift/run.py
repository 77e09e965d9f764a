"""Copies and job binaries of the real program against a real OpenStack Swift, looked at with python-swiftclient.

FOGGARA_BIN names the program; scripts/setup-swift.sh makes the environment that this runs in.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import swiftclient
from swiftclient.exceptions import ClientException

import real

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "clients"))
import server as program  # noqa: E402

PROGRAM = os.environ["FOGGARA_BIN"]
MIB = 1 << 20
SEGMENT = 5 * MIB


class Place:
    def __init__(self, folder, swift):
        self.folder = pathlib.Path(folder)
        self.root = self.folder / "root"
        self.root.mkdir()
        self.swift = swift
        self.client = swiftclient.Connection(authurl=swift.auth_url, user=real.USER, key=real.PASSWORD, retries=2)

    def start(self, source, destination, user=real.USER, password=real.PASSWORD, segment=None, block=64 * MIB, **options):
        fault, task = self.folder / "fault", self.folder / "task.json"
        fault.unlink(missing_ok=True)
        chosen = {"update": False, "overwrite": False, "delete": False, "ignore_failures": False, "skip_check": False, "at_once": 4}
        chosen.update(options)
        login = {"fs.swift.service.sahara.username": user, "fs.swift.service.sahara.password": password}
        plan = {"kind": "dist_cp", "sources": [source], "destination": destination, "options": chosen, "settings": login, "project": ""}
        words = {"auth_url": self.swift.auth_url}
        if segment:
            words["segment"] = str(segment)
        stores = {"roots": [str(self.root)], "s3": {}, "swift": words, "block": block}
        task.write_text(json.dumps({"plan": plan, "stores": stores, "fault": str(fault), "progress": str(self.folder / "progress")}))
        return subprocess.Popen([PROGRAM, "distcp", "--task", str(task)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={})

    def copy(self, source, destination, password=real.PASSWORD, **options):
        """Runs a copy; gives exit code, output and fault."""
        running = self.start(source, destination, password=password, **options)
        output = running.communicate()[0].decode()
        assert password not in output, output
        fault = self.folder / "fault"
        return running.returncode, output, fault.read_text() if fault.exists() else None

    def names(self, container):
        """Sizes of the objects in a container."""
        try:
            return {entry["name"]: entry["bytes"] for entry in self.client.get_container(container, full_listing=True)[1]}
        except ClientException as error:
            if error.http_status == 404:
                return {}
            raise

    def read(self, container, name):
        return self.client.get_object(container, name)[1]


def check(name, seen, wanted):
    if seen != wanted:
        sys.exit("%s: %r, wanted %r" % (name, seen, wanted))
    print("ok  " + name)


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def main():
    with tempfile.TemporaryDirectory() as folder, real.RealSwift(pathlib.Path(folder) / "swift") as swift:
        try:
            place = Place(folder, swift)
            place.client.put_container("data")
            trees(place)
            large(place)
            killed(place)
            tokens(place)
            refusals(place)
            job(place)
        except BaseException:
            sys.stderr.write(swift.log())
            raise


def trees(place):
    tree = {"large": bytes(range(256)) * 80_000, "empty": b"", ".hidden": b"h", "a b/ü #%25?+&": b"odd", "deep/er/x": b"x"}
    for name, content in tree.items():
        path = place.root / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    code, output, fault = place.copy(str(place.root / "src"), "swift://data.sahara/in")
    check("files go up", (code, fault), (0, None))
    check("swiftclient sees all of them", place.names("data"), {"in/" + name: len(content) for name, content in tree.items()})
    for name, content in tree.items():
        check("swiftclient reads %s" % name, place.read("data", "in/" + name) == content, True)
    place.client.put_object("data", "in/deep", b"", content_type="application/directory")
    code, output, fault = place.copy("swift://data/in", str(place.root / "back"))
    check("what went up comes down, without signs for folders", (code, fault, files(place.root / "back") == tree), (0, None, True))
    code, output, fault = place.copy("swift://data/in", str(place.root / "back"), update=True)
    check("an update copies nothing twice", (code, "Files Skipped=5" in output), (0, True))
    (place.root / "src/deep/er/x").unlink()
    code, output, fault = place.copy(str(place.root / "src"), "swift://data/in", update=True, delete=True)
    left = {"in/" + name for name in tree if name != "deep/er/x"} | {"in/deep"}
    check("a surplus object is removed", (code, set(place.names("data"))), (0, left))
    place.client.put_container("many")
    for number in range(250):
        place.client.put_object("many", "%04d" % number, b"%d" % number)
    code, output, fault = place.copy("swift://many", str(place.root / "many"))
    wanted = {"%04d" % number: b"%d" % number for number in range(250)}
    check("a container of many pages comes down", (code, fault, files(place.root / "many") == wanted), (0, None, True))


def large(place):
    content = os.urandom(23 * MIB)
    (place.root / "large").write_bytes(content)
    code, output, fault = place.copy(str(place.root / "large"), "swift://data/lärge", segment=SEGMENT)
    check("a large file goes up", (code, fault), (0, None))
    sizes = sorted(place.names("data_segments").values())
    check("in segments", sizes, [3 * MIB] + [SEGMENT] * 4)
    headers = place.client.head_object("data", "lärge")
    check("under a manifest", (headers.get("x-static-large-object"), int(headers["content-length"])), ("True", 23 * MIB))
    check("swiftclient reads it", place.read("data", "lärge") == content, True)
    code, output, fault = place.copy("swift://data/lärge", str(place.root / "large-back"))
    check("it comes down", (code, fault, (place.root / "large-back").read_bytes() == content), (0, None, True))
    code, output, fault = place.copy(str(place.root / "large"), "swift://data/lärge", segment=SEGMENT, overwrite=True)
    check("written once more its old segments go", (code, len(place.names("data_segments"))), (0, 5))
    (place.root / "small").write_bytes(b"small")
    code, output, fault = place.copy(str(place.root / "small"), "swift://data/lärge", overwrite=True)
    check("a small file in its place needs none", (code, place.read("data", "lärge"), place.names("data_segments")), (0, b"small", {}))
    # The manifest lies below a folder whose surplus is removed.
    code, output, fault = place.copy(str(place.root / "large"), "swift://data/gone/large", segment=SEGMENT)
    check("a large file in a folder", (code, len(place.names("data_segments"))), (0, 5))
    (place.root / "none").mkdir()
    code, output, fault = place.copy(str(place.root / "none"), "swift://data/gone", update=True, delete=True)
    left = [name for name in place.names("data") if name.startswith("gone")]
    check("removed with its segments", (code, left, place.names("data_segments")), (0, [], {}))
    # What others put together.
    place.client.put_container("parts")
    for number, begin in enumerate(range(0, len(content), 8 * MIB)):
        place.client.put_object("parts", "d/%04d" % number, content[begin:begin + 8 * MIB])
    place.client.put_object("data", "dlo/dynamic", b"", headers={"X-Object-Manifest": "parts/d/"})
    code, output, fault = place.copy("swift://data/dlo", str(place.root / "dlo"))
    seen = (place.root / "dlo/dynamic").read_bytes() == content
    check("a dynamic large object comes down from a folder", (code, fault, seen, "Bytes Expected=%d" % len(content) in output), (0, None, True, True))


def killed(place):
    """A copy of a large file is killed in the middle, and the next one goes on."""
    content = b"".join(number.to_bytes(8, "big") for number in range(20 * SEGMENT // 8))
    (place.root / "huge").write_bytes(content)
    running = place.start(str(place.root / "huge"), "swift://data/huge", block=SEGMENT, at_once=1)
    program.until("some segments are there", lambda: len([n for n in place.names("data_segments") if n.startswith("huge/")]) >= 3)
    assert running.poll() is None, "the copy was not seen in the middle"
    running.kill()
    running.communicate()
    code, output, fault = place.copy(str(place.root / "huge"), "swift://data/huge", block=SEGMENT)
    check("a killed copy goes on", (code, fault, "goes on with swift://data/huge" in output), (0, None, True))
    check("all of it is there", place.read("data", "huge") == content, True)
    segments = [name for name in place.names("data_segments") if name.startswith("huge/")]
    notes = [name for name in place.names("data") if "foggara-part" in name]
    check("nothing else is left of it", (len(segments), notes), (20, []))
    code, output, fault = place.copy("swift://data/huge", str(place.root / "huge-back"), block=SEGMENT)
    check("it comes down in blocks", (code, fault, (place.root / "huge-back").read_bytes() == content), (0, None, True))


def tokens(place):
    """All tokens are dropped again and again while files are copied."""
    place.swift.forget(7)
    up = place.copy(str(place.root / "many"), "swift://data/many", at_once=1)
    in_segments = place.copy(str(place.root / "large"), "swift://data/large", segment=MIB)
    down = place.copy("swift://data/many", str(place.root / "many-back"), at_once=1)
    count = place.swift.forget(0)
    check("copies go on with new tokens", [(code, fault) for code, _, fault in (up, in_segments, down)], [(0, None)] * 3)
    check("all of it is there", files(place.root / "many-back") == files(place.root / "many"), True)
    check("the large one, too", place.read("data", "large") == (place.root / "large").read_bytes(), True)
    check("tokens were dropped in the middle (%d times)" % count, count > 50, True)


def refusals(place):
    for name, source, words, options in [
        ("a missing container is named", "swift://no-such/in", "container 'no-such' does not exist", {}),
        ("a missing object is named", "swift://data/none", "swift://data/none", {}),
        ("a wrong password is told", "swift://data/in", "does not let the user 'demo:ada' in (401)", {"password": "a-wrong-one"}),
        ("who may not is told", "swift://data/in", "does not allow the user 'demo:bob' this (403)", {"user": "demo:bob"}),
    ]:
        code, output, fault = place.copy(source, str(place.root / "x"), **options)
        check(name, (code, words in (fault or "")) if words in (fault or "") else (code, fault), (1, True))


def job(place):
    """A Shell job whose script and library lie in Swift, the library as a large object."""
    script = b'#!/bin/sh\necho "$1"; wc -c <large\n'
    place.client.put_container("jobs")
    place.client.put_object("jobs", "bin/main.sh", script)
    extra = {"user": real.USER, "password": real.PASSWORD}
    with program.Server(lambda home: {"FOGGARA__STORES__SWIFT__AUTH_URL": place.swift.auth_url}) as server:
        client = server.client()
        main = client.job_binaries.create("main.sh", "swift://jobs.sahara/bin/main.sh", extra=extra)
        check("the bytes of a job binary come from Swift", client.job_binaries.get_file(main.id), script)
        lib = client.job_binaries.create("large", "swift://data/large", extra=extra)
        template = client.jobs.create("from-swift", "Shell", mains=[main.id], libs=[lib.id])
        execution = program.execute(client, template, configs={"args": ["hello"]})
        program.wait_for(client, execution.id, "SUCCEEDED")
        check("a job runs with them", program.output(client, execution.id).split(), ["hello", str(23 * MIB)])
        wrong = client.job_binaries.create("wrong.sh", "swift://jobs/none", extra=extra)
        refused = program.refused(client.job_binaries.get_file, wrong.id)
        check("what is missing is told", (refused.error_code, "does not exist" in refused.error_message), (400, True))
        check("no password is in the server's log", real.PASSWORD in server.log(), False)


if __name__ == "__main__":
    main()
