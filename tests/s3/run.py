"""Copies of the real program against an S3 server of other people (moto), looked at with their client (boto3).

FOGGARA_BIN names the program; scripts/setup-s3.sh makes the environment that this runs in.
"""
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

import boto3
import botocore.config
import botocore.exceptions

PROGRAM = os.environ["FOGGARA_BIN"]
BLOCK = 5 << 20
ACCESS, SECRET = "AKIDTEST", "a-very-secret-key"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start(port):
    """The server; it is up when it lists its buckets."""
    server = pathlib.Path(sys.executable).parent / "moto_server"
    process = subprocess.Popen([server, "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    client = boto3.client(
        "s3",
        endpoint_url="http://127.0.0.1:%d" % port,
        region_name="us-east-1",
        aws_access_key_id=ACCESS,
        aws_secret_access_key=SECRET,
        config=botocore.config.Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
    )
    deadline = time.monotonic() + 60
    while True:
        try:
            client.list_buckets()
            return process, client
        except botocore.exceptions.EndpointConnectionError:
            assert process.poll() is None, "moto_server ended"
            assert time.monotonic() < deadline, "moto_server is not up within 60 s"
            time.sleep(0.1)


class Place:
    def __init__(self, folder, port):
        self.folder = pathlib.Path(folder)
        self.root = self.folder / "root"
        self.root.mkdir()
        self.endpoint = "http://127.0.0.1:%d" % port

    def start(self, source, destination, **options):
        """Starts a copy; large files go in blocks of the least that S3 takes."""
        fault, task = self.folder / "fault", self.folder / "task.json"
        fault.unlink(missing_ok=True)
        chosen = {"update": False, "overwrite": False, "delete": False, "ignore_failures": False, "skip_check": False, "at_once": 4}
        chosen.update(options)
        keys = {"fs.s3a.access.key": ACCESS, "fs.s3a.secret.key": SECRET, "fs.s3a.endpoint": self.endpoint}
        plan = {"kind": "dist_cp", "sources": [source], "destination": destination, "options": chosen, "settings": keys, "project": ""}
        stores = {"roots": [str(self.root)], "allow": ["127.0.0.1"], "block": BLOCK}
        task.write_text(json.dumps({"plan": plan, "stores": stores, "fault": str(fault), "progress": str(self.folder / "progress")}))
        return subprocess.Popen([PROGRAM, "distcp", "--task", str(task)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={})

    def copy(self, source, destination, **options):
        """Runs a copy; gives exit code, output and fault."""
        running = self.start(source, destination, **options)
        output = running.communicate()[0].decode()
        assert SECRET not in output, output
        fault = self.folder / "fault"
        return running.returncode, output, fault.read_text() if fault.exists() else None


def check(name, seen, wanted):
    if seen != wanted:
        sys.exit("%s: %r, wanted %r" % (name, seen, wanted))
    print("ok  " + name)


def main():
    port = free_port()
    process, client = start(port)
    try:
        with tempfile.TemporaryDirectory() as folder:
            run(Place(folder, port), client)
    finally:
        process.terminate()
        process.wait()


def run(place, client):
    client.create_bucket(Bucket="data")
    large = bytes(range(256)) * 80_000
    tree = {"large": large, "empty": b"", ".hidden": b"h", "a b/ü #%25?+&": b"odd", "deep/er/x": b"x"}
    for name, content in tree.items():
        path = place.root / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    code, output, fault = place.copy(str(place.root / "src"), "s3a://data/in")
    check("files go up", (code, fault), (0, None))
    there = {entry["Key"]: entry["Size"] for entry in client.list_objects_v2(Bucket="data")["Contents"]}
    check("boto3 sees all of them", there, {"in/" + name: len(content) for name, content in tree.items()})
    for name, content in tree.items():
        seen = client.get_object(Bucket="data", Key="in/" + name)["Body"].read()
        check("boto3 reads %s" % name, seen == content, True)
    check("no upload is left open", "Uploads" in client.list_multipart_uploads(Bucket="data"), False)
    for number in range(1100):
        client.put_object(Bucket="data", Key="many/%04d" % number, Body=b"%d" % number)
    code, output, fault = place.copy("s3a://data/many", str(place.root / "many"))
    check("more than a page comes down", (code, fault, len(list((place.root / "many").iterdir()))), (0, None, 1100))
    check("each with its content", all((place.root / "many" / ("%04d" % n)).read_bytes() == b"%d" % n for n in range(1100)), True)
    code, output, fault = place.copy("s3a://data/in", str(place.root / "back"))
    seen = {str(path.relative_to(place.root / "back")): path.read_bytes() for path in (place.root / "back").rglob("*") if path.is_file()}
    check("what went up comes down", (code, fault, seen == tree), (0, None, True))
    code, output, fault = place.copy("s3a://data/in", str(place.root / "back"), update=True)
    check("an update copies nothing twice", (code, "Files Skipped=5" in output), (0, True))
    (place.root / "src/deep/er/x").unlink()
    code, output, fault = place.copy(str(place.root / "src"), "s3a://data/in", update=True, delete=True)
    there = sorted(entry["Key"] for entry in client.list_objects_v2(Bucket="data", Prefix="in/")["Contents"])
    check("a surplus object is removed", (code, there), (0, sorted("in/" + name for name in tree if name != "deep/er/x")))
    code, output, fault = place.copy("s3a://no-such-bucket/in", str(place.root / "x"))
    check("a missing bucket is named", (code, "bucket 'no-such-bucket' does not exist" in (fault or "")), (1, True))
    code, output, fault = place.copy("s3a://data/none", str(place.root / "x"))
    check("a missing object is named", (code, "s3a://data/none" in (fault or "")), (1, True))
    killed(place, client)


def killed(place, client):
    """A copy of a large file is killed in the middle, and the next one goes on."""
    content = b"".join(number.to_bytes(8, "big") for number in range(20 * BLOCK // 8))
    (place.root / "huge").write_bytes(content)
    running = place.start(str(place.root / "huge"), "s3a://data/huge", at_once=1)
    deadline = time.monotonic() + 60
    while True:
        uploads = client.list_multipart_uploads(Bucket="data").get("Uploads", [])
        parts = [client.list_parts(Bucket="data", Key=up["Key"], UploadId=up["UploadId"]).get("Parts", []) for up in uploads]
        if parts and len(parts[0]) >= 3:
            break
        assert running.poll() is None and time.monotonic() < deadline, "the copy was not seen in the middle"
    running.kill()
    running.communicate()
    code, output, fault = place.copy(str(place.root / "huge"), "s3a://data/huge")
    check("a killed copy goes on", (code, fault, "goes on with s3a://data/huge" in output), (0, None, True))
    check("all of it is there", client.get_object(Bucket="data", Key="huge")["Body"].read() == content, True)
    left = [entry["Key"] for entry in client.list_objects_v2(Bucket="data")["Contents"] if "foggara-part" in entry["Key"]]
    check("nothing of it is left", (left, "Uploads" in client.list_multipart_uploads(Bucket="data")), ([], False))
    code, output, fault = place.copy("s3a://data/huge", str(place.root / "huge-back"))
    check("it comes down in blocks", (code, fault, (place.root / "huge-back").read_bytes() == content), (0, None, True))


if __name__ == "__main__":
    main()
