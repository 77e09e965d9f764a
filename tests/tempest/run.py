#!/usr/bin/env python3
"""Runs OpenStack's tempest with Sahara's plugin for it, both unmodified, against the real program: by its own REST client
(api), by the openstack command (cli) and by saharaclient (clients), once for v1.1 and once for v2. The last line is
`N passed, N failed, N skipped`. Fails too when not as many tests passed, or not those were skipped, as asserted here.

usage: FOGGARA_BIN=... $(scripts/setup-tempest.sh)/python tests/tempest/run.py [--keep DIR] [1.1 | 2] [part of a name ...]
"""
import argparse
import contextlib
import io
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

import subunit
import testtools

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "clients"))
from cloud import IMAGE_NAME, NETWORK, REGION, Cloud  # noqa: E402
from server import Server  # noqa: E402

PLUGIN = "sahara_tempest_plugin.tests."
WORKERS = 4
RUN_WITHIN = 1200

# Tests that pass, by version and group.
PASSED = {
    "1.1": {"api": 54, "cli": 7, "clients": 10},
    "2": {"api": 44, "cli": 6, "clients": 8},
}
# Skipped by the plugin itself, whatever its configuration: the two that make a cluster and run a job name bugs of Sahara that
# were never closed, and neither would run any more (they call helpers that do not exist).
ALWAYS_SKIPPED = {
    "cli.test_scenario.Scenario.test_cluster_cli": "bugs/1629295",
    "clients.test_job_executions.JobExecutionTest.test_job_executions": "bugs/1430252",
}
# Skipped for one version. A class whose set-up says that it does not apply counts once.
SKIPPED = {
    "1.1": {
        # Job templates bear this name in v2 only.
        "setUpClass api.test_job_templates.JobTemplatesTest": "These tests require API v2",
    },
    "2": {
        # v2 has no uploads into the database, and calls jobs what v1.1 calls executions.
        "setUpClass api.test_job_binary_internals.JobBinaryInternalTest": "only with API v1.1",
        "setUpClass api.test_jobs.JobTest": "These tests require API v1.1",
        "api.test_job_binaries.JobBinaryTest.test_internal_db_job_binary_create": "only with API v1.1",
        "api.test_job_binaries.JobBinaryTest.test_internal_db_job_binary_delete": "only with API v1.1",
        "api.test_job_binaries.JobBinaryTest.test_internal_db_job_binary_get": "only with API v1.1",
        "api.test_job_binaries.JobBinaryTest.test_internal_db_job_binary_list": "only with API v1.1",
        "api.test_job_binaries.JobBinaryTest.test_job_binary_get_data": "only with API v1.1",
        "cli.test_scenario.Scenario.test_job_binary_cli": "requires API v1.1",
        "setUpClass clients.test_job_binary_internals.JobBinaryInternalsTest": "only with API v1.1",
        "clients.test_job_binaries.JobBinariesTest.test_internal_job_binaries": "only with API v1.1",
    },
}


def configuration(folder, cloud, version):
    """tempest.conf. No service but Sahara takes part, except that Glance has to be named for the tests with saharaclient."""
    off = "nova neutron cinder swift horizon"
    sections = {
        "DEFAULT": {"log_file": str(folder / "tempest.log"), "use_stderr": False},
        "oslo_concurrency": {"lock_path": str(folder / "locks")},
        # Accounts that exist already: tempest then asks Keystone for nothing but tokens.
        "auth": {"use_dynamic_credentials": False, "test_accounts_file": str(folder / "accounts.yaml"),
                 "create_isolated_networks": False},
        "identity": {"auth_version": "v3", "uri_v3": cloud.auth_url, "uri": cloud.auth_url, "region": REGION,
                     "v3_endpoint_type": "public"},
        "identity-feature-enabled": {"api_v2": False, "api_v3": True},
        "image-feature-enabled": {"api_v1": False, "api_v2": True},
        "network": {"public_network_id": NETWORK},
        "service_available": dict({name: False for name in off.split()}, glance=True, sahara=True),
        "data-processing": {
            "use_api_v2": version == "2", "api_version_saharaclient": version, "endpoint_type": "public",
            "test_image_name": IMAGE_NAME, "cluster_timeout": 60, "request_timeout": 1,
            # Changes the labels of the plugin `fake`, which is part of Sahara's own tests.
            "plugin_update_support": False,
        },
        "data-processing-feature-enabled": {"plugins": "spark", "s3": True},
    }
    text = "".join("[%s]\n%s\n" % (name, "".join("%s = %s\n" % pair for pair in options.items()))
                   for name, options in sections.items())
    (folder / "tempest.conf").write_text(text)


def accounts(folder, server):
    """Makes a project for each worker with an administrator and a member in it, and lists them for tempest."""
    listed = []
    for number in range(WORKERS):
        project = "tempest-%d" % number
        run_program(server, "project", "add", project)
        for role in ("admin", "member"):
            user, password = "%s-%s" % (project, role), "secret-of-%s-%d" % (role, number)
            run_program(server, "user", "add", user, "--project", project, "--role", role, "--password-stdin", stdin=password)
            listed.append({"username": user, "password": password, "project_name": project, "domain_name": "Default",
                           "roles": [role]})
    # JSON is YAML.
    (folder / "accounts.yaml").write_text(json.dumps(listed))


def run_program(server, *arguments, stdin=None):
    command = [server.binary, *arguments, "--data-dir", server.data]
    done = subprocess.run(command, input=stdin, text=True, capture_output=True, timeout=60)
    assert done.returncode == 0, "%s: %s" % (" ".join(arguments), done.stdout + done.stderr)


def run_tempest(folder, version, names):
    """Runs the plugin's tests; gives one dictionary for each test: id, status, reason, details."""
    programs = os.path.dirname(os.path.abspath(sys.executable))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
    environment.update(PATH=programs + os.pathsep + environment["PATH"], HOME=str(folder), PYTHON=sys.executable,
                       OS_SAHARA_TESTS_DIR=programs, OS_TEST_TIMEOUT="600", PYTHONWARNINGS="ignore")
    pattern = "^" + PLUGIN.replace(".", r"\.") + ("(%s)" % "|".join(".*" + name for name in names) if names else "")
    command = [os.path.join(programs, "tempest"), "run", "--config-file", str(folder / "tempest.conf"), "--subunit",
               "--concurrency", str(WORKERS), "--regex", pattern]
    with open(folder / "tempest.out", "wb") as out, open(folder / "tempest.err", "wb") as err:
        # The folder is where the openstack commands leave their files.
        process = subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                   start_new_session=True)
        try:
            status = process.wait(timeout=RUN_WITHIN)
        finally:
            # Its workers too, when it did not end by itself.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    tests = []

    def note(test):
        text = {name: detail.as_text() for name, detail in test["details"].items() if detail.content_type.type == "text"}
        tests.append({"id": test["id"], "status": test["status"], "reason": text.pop("reason", ""), "details": text})

    stream = testtools.StreamToDict(note)
    stream.startTestRun()
    subunit.ByteStreamToStreamResult(io.BytesIO((folder / "tempest.out").read_bytes()), non_subunit_name="stdout").run(stream)
    stream.stopTestRun()
    tests = [test for test in tests if test["status"] != "exists"]
    said = [(folder / name).read_text("ascii", "ignore")[-2000:] for name in ("tempest.err", "tempest.out")]
    # With --subunit the status does not tell of failed tests.
    assert tests and status in (0, 1), "tempest ended with %d: %s" % (status, "\n".join(said))
    return tests


def short(test):
    """`api.test_plugins.PluginsTest.test_plugin_get` or `setUpClass api.test_jobs.JobTest`."""
    name = test["id"].split("[")[0].replace(PLUGIN, "")
    return re.sub(r"^(setUpClass|tearDownClass) \((.*)\)$", r"\1 \2", name)


def judge(version, tests, names):
    """Prints what happened; gives the numbers of passed, failed and skipped tests and what is not as asserted."""
    passed, skipped, failed, wrong = {"api": 0, "cli": 0, "clients": 0}, {}, [], []
    for test in sorted(tests, key=short):
        name = short(test)
        if test["status"] == "success":
            passed[name.split(".")[0]] += 1
        elif test["status"] == "skip":
            skipped[name] = test["reason"]
        else:
            failed.append(name)
            print("FAILED %s %s (%s)" % (version, name, test["status"]))
            for detail in test["details"].values():
                print("    " + "\n    ".join(detail.rstrip().splitlines()))
    expected = dict(ALWAYS_SKIPPED, **SKIPPED[version])
    if not names:
        for name in sorted(expected.keys() - skipped.keys()):
            wrong.append("%s: not skipped: %s" % (version, name))
        if passed != PASSED[version]:
            wrong.append("%s: passed %s instead of %s" % (version, passed, PASSED[version]))
    for name, reason in sorted(skipped.items()):
        if name not in expected or expected[name] not in reason:
            wrong.append("%s: skipped: %s: %s" % (version, name, reason))
    print("%s: %d passed (%s), %d failed, %d skipped" % (
        version, sum(passed.values()), ", ".join("%s %d" % pair for pair in passed.items()), len(failed), len(skipped)))
    return sum(passed.values()), len(failed), len(skipped), wrong


def main():
    assert sys.version_info < (3, 12), "the plugin calls assertDictContainsSubset, which Python 3.12 no longer has"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", help="folder for the output of tempest, instead of a temporary one")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    versions = [name for name in arguments.names if name in PASSED] or list(PASSED)
    names = [name for name in arguments.names if name not in PASSED]
    totals, wrong = [0, 0, 0], []
    with contextlib.ExitStack() as stack:
        place = arguments.keep or stack.enter_context(tempfile.TemporaryDirectory(prefix="foggara-tempest-"))
        for version in versions:
            began = time.monotonic()
            folder = pathlib.Path(place).resolve() / ("v" + version)
            folder.mkdir(parents=True)
            with Server() as server, Cloud(server.url) as cloud:
                configuration(folder, cloud, version)
                accounts(folder, server)
                tests = run_tempest(folder, version, names)
                *counts, unlike = judge(version, tests, names)
                print("%s: %.0f s" % (version, time.monotonic() - began), flush=True)
            if cloud.unknown:
                unlike.append("%s: asked of the rest of the cloud: %s" % (version, ", ".join(sorted(set(cloud.unknown)))))
            totals = [total + count for total, count in zip(totals, counts)]
            wrong += unlike
    for line in wrong:
        print("NOT AS ASSERTED " + line)
    print("%d passed, %d failed, %d skipped" % tuple(totals))
    return 1 if wrong or totals[1] or not totals[0] else 0


if __name__ == "__main__":
    sys.exit(main())
