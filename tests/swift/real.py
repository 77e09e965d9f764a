"""A real OpenStack Swift of its own for tests: proxy, account, container and object server with one device below a fresh folder, on
free ports. Nobody needs to be root for it: the device is a folder, of a file system with extended attributes.
"""
import getpass
import os
import pathlib
import socket
import subprocess
import sys
import time

import requests

READY_WITHIN = 60
PROGRAMS = pathlib.Path(sys.executable).parent
HERE = pathlib.Path(__file__).resolve().parent
USER, PASSWORD = "demo:ada", "a-very-secret-password"

SERVER = """[DEFAULT]
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
fallocate_reserve = 0
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
log_level = WARNING
log_custom_handlers = memory.log_to_file
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""

PROXY = """[DEFAULT]
swift_dir = {folder}
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
log_level = WARNING
log_custom_handlers = memory.log_to_file
[pipeline:main]
pipeline = catch_errors gatekeeper memory listing_formats {auth} copy slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true
[filter:memory]
paste.filter_factory = memory:filter_factory
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
{filters}
"""

TEMPAUTH = """[filter:tempauth]
use = egg:swift#tempauth
user_demo_ada = {password} .admin
user_demo_bob = {password}
"""


def free_ports(count):
    """Ports that nobody has now; all are held until the last is found."""
    listeners = [socket.socket() for _ in range(count)]
    for listener in listeners:
        listener.bind(("127.0.0.1", 0))
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


class RealSwift:
    """From `with RealSwift(folder) as swift` to the end of the block. `auth` and `filters` let in others than the users here."""

    def __init__(self, folder, auth="tempauth", filters=TEMPAUTH.format(password=PASSWORD)):
        self.folder = pathlib.Path(folder)
        self.auth, self.filters = auth, filters
        self.processes = []

    def __enter__(self):
        (self.folder / "devices" / "d1").mkdir(parents=True)
        (self.folder / "swift.conf").write_text(
            "[swift-hash]\nswift_hash_path_suffix = of-a-test\n[storage-policy:0]\nname = one\ndefault = yes\n"
            # Small pages, so that listings have several.
            "[swift-constraints]\ncontainer_listing_limit = 100\n")
        self.port, *ports = free_ports(4)
        for kind, port in zip(("account", "container", "object"), ports):
            builder = str(self.folder / ("%s.builder" % kind))
            for words in (["create", "4", "1", "0"], ["add", "r1z1-127.0.0.1:%d/d1" % port, "1"], ["rebalance"]):
                done = subprocess.run([PROGRAMS / "swift-ring-builder", builder, *words], stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True)
                # 1 is a warning: with one device every copy lies on the same one.
                assert done.returncode in (0, 1), done.stdout
        try:
            for kind, port in zip(("account", "container", "object"), ports):
                self.start(kind, SERVER, port=port)
            self.start("proxy", PROXY, port=self.port, auth=self.auth, filters=self.filters)
            for port in [*ports, self.port]:
                self.wait_for(port)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind, value, trace):
        self.stop()

    def start(self, kind, text, **values):
        config = self.folder / ("%s-server.conf" % kind)
        config.write_text(text.format(folder=self.folder, user=getpass.getuser(), kind=kind, **values))
        log = open(self.folder / ("%s.log" % kind), "w")
        environment = dict(os.environ, PYTHONPATH=str(HERE))
        self.processes.append(subprocess.Popen([PROGRAMS / ("swift-%s-server" % kind), config], stdin=subprocess.DEVNULL,
                                               stdout=log, stderr=log, env=environment))

    def wait_for(self, port):
        deadline = time.monotonic() + READY_WITHIN
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            for process in self.processes:
                assert process.poll() is None, "a server of Swift ended:\n" + self.log()
            assert time.monotonic() < deadline, "Swift is not up within %d s:\n%s" % (READY_WITHIN, self.log())
            time.sleep(0.1)

    def stop(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait()

    def log(self):
        return "".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))

    @property
    def url(self):
        return "http://127.0.0.1:%d" % self.port

    @property
    def auth_url(self):
        """The log-in of a Swift alone."""
        return self.url + "/auth/v1.0"

    def forget(self, every):
        """From now on every so manieth request with a token finds that no token counts any more; gives how often it was so."""
        return int(requests.post("%s/forget/%d" % (self.url, every), timeout=30).text)
