#!/usr/bin/env python3
"""Kills the plain program with SIGKILL at random moments while jobs are submitted, cancelled and deleted, and looks at the
outcome: every answered wish holds, no job ran twice, nothing runs that nobody knows.

usage: kill9.py FOGGARA_BINARY [KILLS]   (standard library only)
"""
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

BINARY = os.path.abspath(sys.argv[1])
KILLS = int(sys.argv[2]) if len(sys.argv) > 2 else 20
SEED = int(os.environ.get("SEED", random.randrange(10 ** 6)))
random.seed(SEED)


class Server:
    def __init__(self, data):
        self.data, self.process, self.url, self.token, self.project = data, None, None, None, None

    def start(self):
        log = open(os.path.join(self.data, "server.log"), "a")
        self.process = subprocess.Popen([BINARY, "serve", "--listen", "127.0.0.1:0", "--data-dir", self.data],
                                        stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.process.stdout.readline()
        assert "listening on " in line, "it did not start: %r" % line
        self.url = line.strip().split("listening on ")[1]
        if self.token is None:
            password = re.search(r"OS_PASSWORD='(.*)'", open(os.path.join(self.data, "openrc.sh")).read())[1]
            domain = {"id": "default"}
            body = {"auth": {"identity": {"methods": ["password"], "password": {"user": {
                "name": "admin", "domain": domain, "password": password}}},
                "scope": {"project": {"name": "demo", "domain": domain}}}}
            request = urllib.request.Request(self.url + "/v3/auth/tokens", json.dumps(body).encode(),
                                             {"Content-Type": "application/json"})
            with urllib.request.urlopen(request) as answer:
                self.token = answer.headers["X-Subject-Token"]
                self.project = json.load(answer)["token"]["project"]["id"]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def call(self, method, path, body=None, raw=None, key=None):
        """-> (status, JSON), or nothing when the server died meanwhile"""
        data = raw if raw is not None else json.dumps(body).encode() if body is not None else None
        headers = {"X-Auth-Token": self.token, "Content-Type": "application/json"}
        if key:
            headers["Idempotency-Key"] = key
        request = urllib.request.Request("%s/v1.1/%s%s" % (self.url, self.project, path), data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")
        except (urllib.error.URLError, ConnectionError, TimeoutError, OSError):
            return None


def tagged():
    """execution id -> pids of living processes"""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            environment = open("/proc/%s/environ" % pid, "rb").read()
        except OSError:
            continue
        match = re.search(rb"FOGGARA_TAG=fg-[a-z]+-([0-9a-f-]{36})-\d+", environment)
        if match:
            found.setdefault(match[1].decode(), []).append(int(pid))
    return found


def main():
    with tempfile.TemporaryDirectory() as data:
        with open(os.path.join(data, "foggara.toml"), "w") as file:
            file.write("[local]\nmax_running = 3\n[jobs]\nkill_grace = 1\n")
        server = Server(data)
        server.start()
        ran = os.path.join(data, "ran")
        os.mkdir(ran)
        script = "echo x >> %s/$NAME; sleep $SECONDS_TO_SLEEP; echo end of $NAME" % ran
        internal = server.call("PUT", "/job-binary-internals/s.sh", raw=script.encode())[1]["job_binary_internal"]["id"]
        binary = server.call("POST", "/job-binaries", {"name": "s.sh", "url": "internal-db://" + internal})[1]["job_binary"]["id"]
        job = server.call("POST", "/jobs", {"name": "s", "type": "Shell", "mains": [binary]})[1]["job"]["id"]
        clusters = server.call("GET", "/clusters")[1]["clusters"]
        cluster = [c["id"] for c in clusters if c["name"] == "local"][0]
        wishes = {}   # name -> what was answered
        for kill in range(KILLS):
            until = time.monotonic() + random.uniform(0.02, 0.6)
            killer = subprocess.Popen([sys.executable, "-c", "import os, signal, time; time.sleep(%f); os.kill(%d, signal.SIGKILL)"
                                       % (max(until - time.monotonic(), 0), server.process.pid)])
            number = 0
            while server.process.poll() is None:
                number += 1
                name = "j%d-%d" % (kill, number)
                body = {"cluster_id": cluster, "job_configs": {"params": {
                    "NAME": name, "SECONDS_TO_SLEEP": random.choice(["0", "0.05", "0.2", "30"])}}}
                answer = server.call("POST", "/jobs/%s/execute" % job, body, key=name)
                if answer is None:
                    wishes[name] = {"body": body, "id": None, "wish": "run"}
                    break
                assert answer[0] == 202, answer
                wish = wishes[name] = {"body": body, "id": answer[1]["job_execution"]["id"], "wish": "run"}
                slow = body["job_configs"]["params"]["SECONDS_TO_SLEEP"] == "30"
                if slow or random.random() < 0.4:
                    time.sleep(random.choice([0, 0.005, 0.03]))
                    kind = random.choice(["cancel", "delete"])
                    path = "/job-executions/" + wish["id"]
                    answer = server.call("DELETE", path) if kind == "delete" else server.call("GET", path + "/cancel")
                    wish["wish"] = kind if answer is not None else kind + "?"
            killer.wait()
            server.process.wait()
            server.start()
        # A client that had no answer repeats with the same key; what was perhaps wished is wished again.
        for name, wish in wishes.items():
            if wish["id"] is None:
                answer = server.call("POST", "/jobs/%s/execute" % job, wish["body"], key=name)
                assert answer and answer[0] == 202, (name, answer)
                wish["id"] = answer[1]["job_execution"]["id"]
                if wish["body"]["job_configs"]["params"]["SECONDS_TO_SLEEP"] == "30":
                    wish["wish"] = "delete"
                    assert server.call("DELETE", "/job-executions/" + wish["id"])[0] in (204, 404)
            elif wish["wish"].endswith("?"):
                wish["wish"] = "delete"
                assert server.call("DELETE", "/job-executions/" + wish["id"])[0] in (204, 404)
        deadline = time.monotonic() + 120
        while True:
            open_ones = [name for name, wish in wishes.items() if not settled(server, name, wish)]
            living = tagged()
            mine = {wish["id"] for wish in wishes.values()}
            strays = [execution for execution in living if execution in mine]
            if not open_ones and not strays:
                break
            assert time.monotonic() < deadline, "not settled: %s, alive: %s, seed %d" % (open_ones[:5], strays[:5], SEED)
            time.sleep(0.1)
        for name in os.listdir(ran):
            times = len(open(os.path.join(ran, name)).read().split())
            assert times == 1, "%s ran %d times, seed %d" % (name, times, SEED)
        rows = server.call("GET", "/job-executions")[1]["job_executions"]
        kept = {wish["id"] for wish in wishes.values() if wish["wish"] in ("run", "cancel")}
        assert {row["id"] for row in rows} == kept, "the list is not what was wished, seed %d" % SEED
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=10) == 0
        counts = {}
        for wish in wishes.values():
            counts[wish["wish"]] = counts.get(wish["wish"], 0) + 1
        print("kill9: %d kills, %d wishes held %s, seed %d" % (KILLS, len(wishes), counts, SEED))


def settled(server, name, wish):
    answer = server.call("GET", "/job-executions/" + wish["id"])
    assert answer is not None, "the server died"
    if wish["wish"] == "delete":
        assert answer[0] == 404, "%s is deleted and answers %s, seed %d" % (name, answer, SEED)
        return True
    assert answer[0] == 200, (name, wish, answer, SEED)
    row = answer[1]["job_execution"]
    status = row["info"]["status"]
    if status not in ("SUCCEEDED", "FAILED", "KILLED"):
        return False
    if wish["wish"] == "run":
        assert status == "SUCCEEDED", "%s ended as %s (%s), seed %d" % (name, status, row["info"].get("reason"), SEED)
    else:
        assert status in ("KILLED", "SUCCEEDED"), (name, row, SEED)
    return True


if __name__ == "__main__":
    main()
