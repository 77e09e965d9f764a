#!/usr/bin/env python3
"""Runs the tests of our Keystone client that need a real one (crates/identity/tests/keystone/real.rs).

usage: $(scripts/setup-keystone.sh)/python tests/keystone/client.py
"""
import os
import shlex
import subprocess
import sys
import tempfile

from keystone import DOMAIN, ROOT, RealKeystone


def main():
    with tempfile.TemporaryDirectory(prefix="foggara-keystone-") as home:
        with RealKeystone(os.path.join(home, "keystone")) as keystone:
            service = keystone.user("foggara", keystone.project("service"), "service")
            keystone.service("object-store", "http://127.0.0.1:1/v1/AUTH_$(project_id)s")
            ada = keystone.user("ada", keystone.project("demo"), "member")
            admin = dict(username="admin", password=keystone.password)
            given = {
                "URL": keystone.url,
                "PASSWORD": service.password,
                "TOKEN": ada.token(),
                "APPLICATION_TOKEN": ada.token_by_application_credential(*ada.application_credential("ci")),
                "UNSCOPED_TOKEN": ada.token(project_name=None),
                "SYSTEM_TOKEN": keystone.session(system_scope="all", **admin).get_token(),
                "ROTATE": shlex.join(keystone.rotate_command()),
            }
            client = keystone.client()
            client.roles.grant(keystone.role("admin"), user=client.users.find(name="admin"), domain="default")
            given["DOMAIN_TOKEN"] = keystone.session(domain_name=DOMAIN, **admin).get_token()
            variables = {"REAL_KEYSTONE_" + name: value for name, value in given.items()}
            # One after the other, in the order of their names: the last one rotates the keys and makes the tokens invalid.
            return subprocess.call(
                # With the features of the whole test run, so that nothing is built again.
                ["cargo", "test", "--workspace", "--exclude", "foggara-sqljob", "--features", "foggara/failpoints", "--locked",
                 "--test", "keystone", "real::", "--", "--ignored", "--test-threads=1"], cwd=ROOT, env=dict(os.environ, **variables))


if __name__ == "__main__":
    sys.exit(main())
