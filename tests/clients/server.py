"""The real program as a server for the clients, and what their tests share."""
import contextlib
import glob
import itertools
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time

import yaml
from keystoneauth1 import session
from keystoneauth1.identity import v3
from saharaclient import client as sahara
from saharaclient.api.base import APIException

READY_WITHIN = 60
STOPPED_WITHIN = 30
LONG = 60
ENDED = ("SUCCEEDED", "FAILED", "KILLED", "DONEWITHERROR")
_numbers = itertools.count(1)


class Server:
    """`foggara serve` in a data directory of its own, from `with Server() as server` to the end of the block.

    `settings(home)` gives variables for it; `home` is a folder that lives as long as the server.
    """

    def __init__(self, settings=None):
        self._settings = settings

    def __enter__(self):
        binary = os.environ.get("FOGGARA_BIN")
        assert binary and os.access(binary, os.X_OK), "FOGGARA_BIN names no program: %r" % binary
        self.binary = os.path.abspath(binary)
        self._stack = contextlib.ExitStack()
        # On a failure below, what was made so far is taken down.
        with contextlib.ExitStack() as made:
            self.home = made.enter_context(tempfile.TemporaryDirectory(prefix="foggara-clients-"))
            self.data = os.path.join(self.home, "data")
            self._log = made.enter_context(open(os.path.join(self.home, "stderr"), "w+"))
            self._start()
            made.callback(self._stop)
            self._read_credentials()
            self._stack = made.pop_all()
        return self

    def __exit__(self, kind, value, trace):
        # Jobs outlive their server, so those of a test that failed are removed first.
        self._stack.callback(self._remove_executions)
        return self._stack.__exit__(kind, value, trace)

    def _start(self):
        environment = dict(os.environ, XDG_STATE_HOME=os.path.join(self.home, "state"))
        if self._settings:
            environment.update(self._settings(self.home))
        self.process = subprocess.Popen(
            [self.binary, "serve", "--listen", "127.0.0.1:0", "--data-dir", self.data],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._log, text=True, env=environment)
        lines = queue.Queue()

        def read():
            for line in self.process.stdout:
                lines.put(line)
            lines.put(None)

        threading.Thread(target=read, daemon=True).start()
        begin, line = "listening on ", ""
        deadline = time.monotonic() + READY_WITHIN
        try:
            while not line.startswith(begin + "http://"):
                line = lines.get(timeout=max(0, deadline - time.monotonic()))
                assert line is not None, "the server ended: " + self.log()
        except BaseException as error:
            self.process.kill()
            self.process.wait()
            if isinstance(error, queue.Empty):
                raise AssertionError("the server is not ready in time: " + self.log()) from None
            raise
        self.url = line.strip()[len(begin):]

    def _stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout=STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("SIGTERM did not stop the server in %d s" % STOPPED_WITHIN) from None
        assert status == 0, "the server ended with %d: %s" % (status, self.log())

    def _read_credentials(self):
        with open(os.path.join(self.data, "clouds.yaml")) as file:
            self.cloud = yaml.safe_load(file)["clouds"]["foggara"]
        self.credentials = self.cloud["auth"]
        assert self.credentials["auth_url"] == self.url + "/v3", self.credentials["auth_url"]

    def _remove_executions(self):
        client = self.client()
        for execution in client.job_executions.list():
            with contextlib.suppress(APIException):
                client.job_executions.delete(execution.id)
        until("no execution is left", lambda: not client.job_executions.list())

    def log(self):
        """What the server has written to its standard error and its log."""
        text = ""
        for path in [os.path.join(self.home, "stderr"), os.path.join(self.data, "server.log")]:
            if os.path.exists(path):
                with open(path, errors="replace") as file:
                    text += file.read()
        return text

    def plugin(self, **changes):
        """The v3 password plugin of keystoneauth with the credentials of clouds.yaml."""
        return v3.Password(**dict(self.credentials, **changes))

    def session(self, plugin=None):
        return session.Session(auth=plugin or self.plugin(), timeout=LONG)

    def client(self, plugin=None):
        """saharaclient, as its documentation has it."""
        return sahara.Client("1.1", session=self.session(plugin))


def until(what, check, seconds=LONG):
    """Waits for a true answer of `check` and gives it."""
    deadline = time.monotonic() + seconds
    while True:
        answer = check()
        if answer:
            return answer
        assert time.monotonic() < deadline, "not within %d s: %s" % (seconds, what)
        time.sleep(0.02)


def name(begin):
    """A name that no other test uses."""
    return "%s-%d" % (begin, next(_numbers))


def refused(call, *args, **kwargs):
    """The APIException that a call of saharaclient ends with; its code is a number."""
    try:
        answer = call(*args, **kwargs)
    except APIException as error:
        assert type(error.error_code) is int, repr(error.error_code)
        assert error.error_message, "an error without a text"
        return error
    raise AssertionError("no error but %r" % (answer,))


def binary(client, file_name, text):
    """Uploads a text; gives the job binary."""
    internal = client.job_binary_internals.create(file_name, text)
    return client.job_binaries.create(file_name, "internal-db://" + internal.id)


def template(client, begin, text, type="Shell", ending=".sh"):
    """A job template of one main file; gives it."""
    template_name = name(begin)
    main = binary(client, template_name + ending, text)
    return client.jobs.create(template_name, type, mains=[main.id])


def execute(client, job, **kwargs):
    """Starts a job template on `local`; gives the execution."""
    return client.job_executions.create(job.id, client.clusters.find_unique(name="local").id, **kwargs)


def status(client, id):
    return client.job_executions.get(id).info["status"]


def wait_for(client, id, wanted, seconds=LONG):
    """Waits for a status; fails at once if the execution has ended with another one."""
    def check():
        execution = client.job_executions.get(id)
        now = execution.info["status"]
        assert now == wanted or now not in ENDED, "%s instead of %s: %s\n%s" % (
            now, wanted, execution.to_dict(), output(client, id, "stderr"))
        return execution if now == wanted else None

    return until("%s %s" % (id, wanted), check, seconds)


def output(client, id, stream="stdout"):
    """A log, by the route of the server's own."""
    api = client.job_executions.api
    root = api.get_endpoint().split("/v1.1")[0]
    answer = api.session.get("%s/api/v1/executions/%s/logs/%s" % (root, id, stream))
    assert answer.status_code == 200, answer.text
    return answer.text


def tagged(id):
    """Living processes whose environment has a FOGGARA_TAG that holds the id of an execution."""
    found = []
    for path in glob.glob("/proc/[0-9]*/environ"):
        # A process may end meanwhile.
        with contextlib.suppress(OSError):
            with open(path, "rb") as file:
                variables = file.read().split(b"\0")
            if any(variable.startswith(b"FOGGARA_TAG=") and id.encode() in variable for variable in variables):
                found.append(int(path.split("/")[2]))
    return found


def on_a_command_line(text):
    """Processes with this text among their arguments."""
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            with open(path, "rb") as file:
                line = file.read()
            if text.encode() in line:
                found.append(line)
    return found
