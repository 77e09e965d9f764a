#!/usr/bin/env python3
"""The client tests that run with the embedded identity, once more with a real Keystone. The last line is `N passed, N failed`.

usage: FOGGARA_BIN=... $(scripts/setup-keystone.sh)/python tests/keystone/test_same_suite.py [part of a name ...]
"""
import importlib
import os
import sys
import time
import traceback

from test_keystone import place

from server import Server  # of tests/clients, which test_keystone has put on the path

MODULES = ("test_sahara", "test_sahara_v2", "test_clusters", "test_heat")


class External(Server):
    """What the tests see of a server, with its users in Keystone."""

    def __init__(self, made):
        self.binary = os.path.abspath(os.environ["FOGGARA_BIN"])
        self.home, self.data, self.url = made.program.home, made.program.data, made.program.url
        self.process = made.program.process
        # The embedded identity's first user is member and admin of its project too.
        user = made.keystone.user("grace", made.demo, "member", "admin")
        self.credentials = dict(auth_url=made.keystone.url, username=user.name, password=user.password,
                                project_name=made.demo.name, user_domain_id="default", project_domain_id="default")
        self.cloud = {"auth": self.credentials, "region_name": "RegionOne"}


def main():
    wanted = sys.argv[1:]
    passed = failed = 0
    # Nothing is revoked here, so that tokens may be remembered as long as they are by default.
    with place(cache_seconds=60) as made:
        server = External(made)
        for module_name in MODULES:
            module = importlib.import_module(module_name)
            tests = [(key, value) for key, value in vars(module).items() if key.startswith("test_") and callable(value)]
            for key, test in tests:
                label = "%s.%s" % (module_name, key)
                if wanted and not any(part in label for part in wanted):
                    continue
                began = time.monotonic()
                try:
                    test(server)
                    passed += 1
                    word = "ok"
                except Exception:
                    failed += 1
                    word = "FAILED"
                    traceback.print_exc(file=sys.stdout)
                print("%-6s %s (%.1f s)" % (word, label, time.monotonic() - began), flush=True)
        server._remove_executions()
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
