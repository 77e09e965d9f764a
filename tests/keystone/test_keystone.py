#!/usr/bin/env python3
"""The program with a real Keystone as its identity. The last line is `N passed, N failed`.

usage: FOGGARA_BIN=... $(scripts/setup-keystone.sh)/python tests/keystone/test_keystone.py [part of a name ...]

FOGGARA_KEYSTONE_EXTRA may hold more lines for the section [keystone] of the program's file. With FOGGARA_KEYSTONE_TRUSTS=1
jobs must have trusts; without it there only must be none left.
"""
import contextlib
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

import requests
from keystoneauth1 import session
from keystoneauth1.identity import v3

from keystone import DOMAIN, LONG, ROOT, RealKeystone

sys.path.insert(0, os.path.join(ROOT, "tests", "clients"))
from saharaclient import client as sahara  # noqa: E402
from server import ENDED, execute, name, output, status, template, until, wait_for  # noqa: E402

READY_WITHIN = 60
STOPPED_WITHIN = 30
CACHE_SECONDS = 1
# From the moment of a revocation: the cache, and what a slow machine adds.
REFUSED_WITHIN = CACHE_SECONDS + 1


class Program:
    """`foggara serve` with the section [keystone], from `with` to the end of the block."""

    def __init__(self, home, keystone, password, cache_seconds):
        self.home = home
        self.data = os.path.join(home, "data")
        self.config = os.path.join(home, "foggara.toml")
        secret = os.path.join(home, "service-password")
        with open(secret, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(password + "\n")
        lines = [
            "[keystone]", 'auth_url = "%s"' % keystone.url, 'username = "foggara"', 'password_file = "%s"' % secret,
            'user_domain = "%s"' % DOMAIN, 'project = "service"', 'project_domain = "%s"' % DOMAIN,
            "cache_seconds = %d" % cache_seconds, os.environ.get("FOGGARA_KEYSTONE_EXTRA", ""), ""]
        with open(self.config, "w") as file:
            file.write("\n".join(lines))

    def __enter__(self):
        binary = os.environ.get("FOGGARA_BIN")
        assert binary and os.access(binary, os.X_OK), "FOGGARA_BIN names no program: %r" % binary
        self._log = open(os.path.join(self.home, "stderr"), "w")
        environment = dict(os.environ, XDG_STATE_HOME=os.path.join(self.home, "state"))
        self.process = subprocess.Popen(
            [os.path.abspath(binary), "serve", "--config", self.config, "--listen", "127.0.0.1:0", "--data-dir", self.data],
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
                assert line is not None, "the program ended: " + self.log()
        except BaseException as error:
            self.process.kill()
            self.process.wait()
            self._log.close()
            if isinstance(error, queue.Empty):
                raise AssertionError("the program is not ready in time: " + self.log()) from None
            raise
        self.url = line.strip()[len(begin):]
        return self

    def __exit__(self, kind, value, trace):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("SIGTERM did not stop the program in %d s" % STOPPED_WITHIN) from None
        finally:
            self._log.close()

    def log(self):
        text = ""
        for path in (os.path.join(self.home, "stderr"), os.path.join(self.data, "server.log")):
            if os.path.exists(path):
                with open(path, errors="replace") as file:
                    text += file.read()
        return text


class Place:
    """Keystone, the program, and a user with the role `member` on the project `demo`."""

    def __init__(self, keystone, program, demo, ada):
        self.keystone = keystone
        self.program = program
        self.demo = demo
        self.ada = ada

    def list(self, token, project=None, timeout=LONG):
        """GET of the executions of a project with a token."""
        url = "%s/v1.1/%s/job-executions" % (self.program.url, (project or self.demo).id)
        headers = {} if token is None else {"X-Auth-Token": token}
        return requests.get(url, headers=headers, timeout=timeout)

    def status(self, token, project=None, timeout=LONG):
        return self.list(token, project, timeout).status_code

    def client(self, user=None, plugin=None):
        """saharaclient, which finds the program in Keystone's catalogue."""
        its = session.Session(auth=plugin, timeout=LONG) if plugin else (user or self.ada).session()
        return sahara.Client("1.1", session=its)


@contextlib.contextmanager
def place(cache_seconds=CACHE_SECONDS):
    with contextlib.ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory(prefix="foggara-keystone-"))
        keystone = stack.enter_context(RealKeystone(os.path.join(home, "keystone")))
        service = keystone.user("foggara", keystone.project("service"), "service")
        demo = keystone.project("demo")
        ada = keystone.user("ada", demo, "member")
        program = stack.enter_context(Program(home, keystone, service.password, cache_seconds))
        keystone.service("data-processing", program.url + "/v1.1/$(project_id)s", "sahara")
        made = Place(keystone, program, demo, ada)
        try:
            yield made
        finally:
            # Jobs outlive the program, so what a failed test left is removed, if that can be.
            with contextlib.suppress(Exception):
                client = made.client()
                for execution in client.job_executions.list():
                    client.job_executions.delete(execution.id)
                until("no execution is left", lambda: not client.job_executions.list())


def test_a_token_of_keystone_lists_executions(place):
    answer = place.list(place.ada.token())
    assert answer.status_code == 200, answer.text
    assert answer.json()["job_executions"] == [], answer.text
    assert "local" in [cluster.name for cluster in place.client().clusters.list()]


def test_wrong_tokens_are_refused(place):
    good = place.ada.token()
    damaged = good[:40] + ("A" if good[40] != "A" else "B") + good[41:]
    for token in (None, "", "wrong", "x" * 255, damaged):
        assert place.status(token) == 401, (token or "")[:10]
    # Twice the same, from what is remembered.
    assert place.status("wrong") == 401
    assert place.status(good) == 200


def test_a_token_without_a_project_or_for_another_one_sees_nothing(place):
    other = place.keystone.project(name("other"))
    assert place.status(place.ada.token(project_name=None)) == 503
    answer = place.list(place.ada.token(), project=other)
    assert answer.status_code not in (200, 201), answer.text


def test_a_revoked_token_is_refused_within_the_cache_time(place):
    token = place.ada.token()
    assert place.status(token) == 200
    place.keystone.revoke(token)
    began = time.monotonic()
    until("401", lambda: place.status(token) == 401, REFUSED_WITHIN)
    print("       refused %.2f s after its revocation" % (time.monotonic() - began))
    for _ in range(5):
        assert place.status(token) == 401
        time.sleep(CACHE_SECONDS / 2)


def test_a_disabled_user_is_refused_within_the_cache_time(place):
    eve = place.keystone.user(name("eve"), place.demo, "member")
    token = eve.token()
    assert place.status(token) == 200
    place.keystone.client().users.update(eve.id, enabled=False)
    until("401", lambda: place.status(token) == 401, REFUSED_WITHIN)


def test_application_credentials(place):
    id, secret = place.ada.application_credential(name("ci"))
    assert place.status(place.ada.token_by_application_credential(id, secret)) == 200
    plugin = v3.ApplicationCredential(auth_url=place.keystone.url, application_credential_id=id,
                                      application_credential_secret=secret)
    client = place.client(plugin=plugin)
    # Such a token may give no trust; a job runs with it nevertheless.
    job = template(client, "by-credential", "echo done by $(basename credential)\n")
    execution = execute(client, job)
    wait_for(client, execution.id, "SUCCEEDED")
    client.job_executions.delete(execution.id)


def test_a_reader_reads_and_a_member_writes(place):
    reader = place.keystone.user(name("reader"), place.demo, "reader")
    token = reader.token()
    assert place.status(token) == 200
    url = "%s/v1.1/%s/data-sources" % (place.program.url, place.demo.id)
    for user, wanted in ((reader, 403), (place.ada, 202)):
        body = {"name": name("source"), "type": "hdfs", "url": "hdfs://host/in"}
        answer = requests.post(url, json=body, headers={"X-Auth-Token": user.token()}, timeout=LONG)
        assert answer.status_code == wanted, answer.text


def test_a_job_runs(place):
    client = place.client()
    job = template(client, "hello", "echo hello from foggara\n")
    execution = execute(client, job)
    wait_for(client, execution.id, "SUCCEEDED")
    assert "hello from foggara" in output(client, execution.id)
    client.job_executions.delete(execution.id)


def test_no_trust_is_left_after_a_job(place):
    trusted = os.environ.get("FOGGARA_KEYSTONE_TRUSTS") == "1"
    before = set(place.keystone.trusts())
    client = place.client()
    job = template(client, "trusting", "sleep 3\n")
    execution = execute(client, job)
    wait_for(client, execution.id, "RUNNING")
    if trusted:
        until("a trust", lambda: set(place.keystone.trusts()) - before)
    wait_for(client, execution.id, "SUCCEEDED")
    until("no trust is left", lambda: not set(place.keystone.trusts()) - before)
    # And after one that was cancelled.
    execution = execute(client, template(client, "cancelled", "sleep 600\n"))
    wait_for(client, execution.id, "RUNNING")
    url = "%s/v1.1/%s/job-executions/%s/cancel" % (place.program.url, place.demo.id, execution.id)
    requests.get(url, headers={"X-Auth-Token": place.ada.token()}, timeout=LONG).raise_for_status()
    until("the job has ended", lambda: status(client, execution.id) in ENDED)
    until("no trust is left", lambda: not set(place.keystone.trusts()) - before)


def test_an_absent_keystone_is_503_and_never_401(place):
    good, unknown = place.ada.token(), "unknown-while-away"
    assert place.status(good) == 200
    place.keystone.stop()
    try:
        time.sleep(CACHE_SECONDS + 0.2)
        for _ in range(3):
            for token in (good, unknown):
                answer = place.list(token)
                assert answer.status_code == 503, (answer.status_code, answer.text)
        assert requests.get(place.program.url + "/healthz", timeout=LONG).status_code == 200
        assert requests.get(place.program.url + "/readyz", timeout=LONG).status_code == 503
    finally:
        place.keystone.start()
    assert place.status(good) == 200
    assert place.status(unknown) == 401
    assert requests.get(place.program.url + "/readyz", timeout=LONG).status_code == 200


def test_a_silent_keystone_is_503_in_time(place):
    good = place.ada.token()
    assert place.status(good) == 200
    place.keystone.freeze()
    try:
        time.sleep(CACHE_SECONDS + 0.2)
        began = time.monotonic()
        assert place.status(good) == 503
        assert time.monotonic() - began < 10, time.monotonic() - began
    finally:
        place.keystone.freeze(False)
    until("200", lambda: place.status(good) == 200)


def test_a_job_goes_on_while_keystone_is_away(place):
    client = place.client()
    job = template(client, "steady", "sleep 2\necho steady\n")
    execution = execute(client, job)
    wait_for(client, execution.id, "RUNNING")
    place.keystone.stop()
    try:
        time.sleep(3)
    finally:
        place.keystone.start()
    wait_for(client, execution.id, "SUCCEEDED")
    client.job_executions.delete(execution.id)


def test_rotated_keys(place):
    token = place.ada.token()
    assert place.status(token) == 200
    place.keystone.rotate_keys()
    time.sleep(CACHE_SECONDS + 0.2)
    assert place.status(token) == 200
    assert place.status(place.ada.token()) == 200
    # Now the key of the program's own token is gone as well: it logs in again, unnoticed.
    place.keystone.rotate_keys()
    time.sleep(CACHE_SECONDS + 0.2)
    assert place.status(place.ada.token()) == 200
    assert place.status(token) == 401


def test_no_secret_is_in_the_log(place):
    token = place.ada.token()
    assert place.status(token) == 200
    with open(os.path.join(place.program.home, "service-password")) as file:
        password = file.read().strip()
    log = place.program.log()
    for secret in (token, password, place.ada.password):
        assert secret not in log


def main():
    wanted = sys.argv[1:]
    tests = [(key, value) for key, value in globals().items() if key.startswith("test_") and callable(value)]
    tests = [test for test in tests if not wanted or any(part in test[0] for part in wanted)]
    passed = failed = 0
    began = time.monotonic()
    try:
        with place() as made:
            print("       Keystone and the program are up (%.1f s)" % (time.monotonic() - began), flush=True)
            for key, test in tests:
                began = time.monotonic()
                try:
                    test(made)
                    passed += 1
                    word = "ok"
                except Exception:
                    failed += 1
                    word = "FAILED"
                    traceback.print_exc(file=sys.stdout)
                print("%-6s %s (%.1f s)" % (word, key, time.monotonic() - began), flush=True)
            if failed:
                print("the program's log ends with\n" + made.program.log()[-3000:])
    except Exception:
        # One of the two did not start or did not stop.
        failed += 1
        traceback.print_exc(file=sys.stdout)
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
