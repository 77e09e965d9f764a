"""The real program with a real Keystone and a real Swift: as whom job binaries are fetched, by a caller's token, a trust, and by user
and password for the project of the record.

FOGGARA_BIN names the program; scripts/setup-swift.sh makes the environment that this runs in, scripts/setup-keystone.sh that of
Keystone.
"""
import os
import pathlib
import sys
import tempfile

import swiftclient

import real
from run import check

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "keystone"))
import keystone as identity  # noqa: E402
import test_keystone as program  # noqa: E402

SCRIPT = b"#!/bin/sh\necho from swift\n"

FILTERS = """[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
www_authenticate_uri = {url}
auth_url = {url}
auth_type = password
username = swift
password = {password}
project_name = service
user_domain_name = Default
project_domain_name = Default
delay_auth_decision = True
[filter:keystoneauth]
use = egg:swift#keystoneauth
operator_roles = member
"""


def main():
    # Three real servers on a busy machine take their time.
    os.environ.setdefault("FOGGARA_KEYSTONE_EXTRA", "timeout_seconds = 60\n[limits]\nrequest_seconds = 120")
    with tempfile.TemporaryDirectory(prefix="foggara-swift-") as home:
        folder = pathlib.Path(home)
        with identity.RealKeystone(str(folder / "keystone")) as keystone:
            service = keystone.project("service")
            own = keystone.user("foggara", service, "service")
            of_swift = keystone.user("swift", service, "service")
            ada = keystone.user("ada", keystone.project("demo"), "member")
            # Swift's middleware looks for the address inside of the cloud, and the bootstrap gave another.
            keystone.service("identity", keystone.url, name="inside")
            filters = FILTERS.format(url=keystone.url, password=of_swift.password)
            with real.RealSwift(folder / "swift", "authtoken keystoneauth", filters) as swift:
                keystone.service("object-store", swift.url + "/v1/AUTH_%(project_id)s")
                home = folder / "program"
                home.mkdir()
                try:
                    with program.Program(str(home), keystone, own.password, 1) as server:
                        run(keystone, swift, ada, server)
                except BaseException:
                    sys.stderr.write(swift.log())
                    raise


def run(keystone, swift, ada, server):
    session = ada.session()
    storage = "%s/v1/AUTH_%s" % (swift.url, ada.project.id)
    swiftclient.put_container(storage, session.get_token(), "jobs")
    swiftclient.put_object(storage, session.get_token(), "jobs", "main.sh", SCRIPT)
    client = program.sahara.Client("1.1", session=session, sahara_url="%s/v1.1/%s" % (server.url, ada.project.id))
    extra = {"user": ada.name, "password": ada.password}
    main_ = client.job_binaries.create("main.sh", "swift://jobs.sahara/main.sh", extra=extra)
    template = client.jobs.create("from-swift", "Shell", mains=[main_.id])

    def works(name):
        check("a download " + name, client.job_binaries.get_file(main_.id), SCRIPT)
        execution = program.execute(client, template)
        program.wait_for(client, execution.id, "SUCCEEDED")
        check("a job " + name, program.output(client, execution.id), "from swift\n")

    works("by user and password without a project")
    client.job_binaries.update(main_.id, {"extra": {}})
    works("without credentials, in the name of the caller")
    copied = "%s/v2/%s/clusters/%s/job-executions" % (
        server.url, ada.project.id, client.clusters.find_unique(name="local").id)
    body = {"job_name": "copy", "job_type": "DistCp", "arguments": ["swift://jobs/main.sh", "swift://jobs/copies/main.sh"]}
    answer = session.post(copied, json=body).json()
    program.wait_for(client, answer["job_submit_result"]["job_id"], "SUCCEEDED")
    seen = swiftclient.get_object(storage, session.get_token(), "jobs", "copies/main.sh")[1]
    check("a copy without credentials, in the name of the caller", seen, SCRIPT)
    program.until("all trusts are given back", lambda: not keystone.trusts())
    print("ok  all trusts are given back")
    text = server.log()
    check("no password is in the log", ada.password in text, False)


if __name__ == "__main__":
    main()
