#!/usr/bin/env python3
"""Replays the recorded answers of Sahara against the real program, as one whole: no case skipped, none failed, and the only
texts that differ are those of tests/golden/wording-allowed.txt.

usage: run.py FOGGARA_BINARY   (Python with requests)
"""
import json
import os
import re
import signal
import subprocess
import sys
import tempfile

import requests

HERE = os.path.dirname(os.path.abspath(__file__))
RECORDED = [os.path.join(HERE, name) for name in ("sahara-v11.json", "sahara-v2.json")]
EXTRA = "error_msg,error_code,error_message,error_name,reason"


def token(url, user, password, project):
    domain = {"id": "default"}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": {
        "name": user, "domain": domain, "password": password}}},
        "scope": {"project": {"name": project, "domain": domain}}}}
    answer = requests.post(url + "/v3/auth/tokens", json=body, timeout=30)
    answer.raise_for_status()
    return answer.headers["X-Subject-Token"], answer.json()["token"]["project"]["id"]


def main():
    binary = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as data:
        control = os.path.join(data, "control.json")
        with open(os.path.join(data, "foggara.toml"), "w") as file:
            file.write('[server]\nlisten = "127.0.0.1:0"\n[limits]\ninternal_binary = 5242880\n'
                       '[sim]\nenabled = true\ncontrol_file = %s\n' % json.dumps(control))
        server = subprocess.Popen([binary, "serve", "--data-dir", data], stdout=subprocess.PIPE, text=True)
        try:
            line = server.stdout.readline()
            url = line.strip().split("listening on ", 1)[1]
            for project in ("one", "two"):
                subprocess.run([binary, "project", "add", project, "--data-dir", data], check=True, stdout=subprocess.DEVNULL)
                subprocess.run([binary, "user", "add", "user-" + project, "--password-stdin", "--project", project,
                                "--role", "member", "--data-dir", data], input="secret-" + project, text=True, check=True,
                               stdout=subprocess.DEVNULL)
            one, first = token(url, "user-one", "secret-one", "one")
            two, second = token(url, "user-two", "secret-two", "two")
            clusters = requests.get(url + "/v1.1/clusters", headers={"X-Auth-Token": one}, timeout=30).json()["clusters"]
            ids = {cluster["name"]: cluster["id"] for cluster in clusters}
            replay = subprocess.run(
                [sys.executable, os.path.join(HERE, "replay.py"), "--url", url, "--token", one, "--project", first,
                 "--alt-token", two, "--alt-project", second, "--var", "cluster=" + ids["sim"],
                 "--var", "idle_cluster=" + ids["sim-idle"], "--ctrl", control, "--allow-extra", EXTRA] + RECORDED,
                stdout=subprocess.PIPE, text=True)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=10)
    print(replay.stdout)
    whole = 0
    for name in RECORDED:
        with open(name) as file:
            whole += len(json.load(file)["cases"])
    faults = []
    if not re.search(r"^%d passed, 0 failed$" % whole, replay.stdout, re.M):
        faults.append("not every one of the %d cases passed" % whole)
    if not re.search(r"^0 skipped,", replay.stdout, re.M):
        faults.append("cases were skipped")
    worded = sorted(re.findall(r"^wording (.*)$", replay.stdout, re.M))
    with open(os.path.join(HERE, "wording-allowed.txt")) as file:
        allowed = sorted(line.strip() for line in file if line.strip() and not line.startswith("#"))
    for name in sorted(set(worded) ^ set(allowed)):
        faults.append("wording: %s %s" % (name, "differs" if name in worded else "no longer differs: take it off the list"))
    for fault in faults:
        print("golden: " + fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
