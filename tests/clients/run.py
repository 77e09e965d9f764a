#!/usr/bin/env python3
"""Runs every test of unmodified client programs against the real program. The last line is `N passed, N failed`.

usage: FOGGARA_BIN=... SPARK_HOME=... $(scripts/setup-clients.sh)/python tests/clients/run.py [part of a name ...]
"""
import importlib
import sys
import time
import traceback

from server import Server

MODULES = ("test_sahara", "test_sahara_v2", "test_clusters", "test_heat", "test_cli", "test_identity",
           "test_huawei_signing", "test_spark")


def main():
    wanted = sys.argv[1:]
    passed = failed = 0

    def report(label, began, error):
        nonlocal passed, failed
        if error is None:
            passed += 1
        else:
            failed += 1
            traceback.print_exception(error, file=sys.stdout)
        print("%-6s %s (%.1f s)" % ("ok" if error is None else "FAILED", label, time.monotonic() - began), flush=True)

    for name in MODULES:
        began = time.monotonic()
        try:
            module = importlib.import_module(name)
            tests = [(key, value) for key, value in vars(module).items() if key.startswith("test_") and callable(value)]
            assert tests, "no test in it"
            tests = [test for test in tests if not wanted or any(part in name + "." + test[0] for part in wanted)]
            if not tests:
                continue
            with Server() as server:
                for key, test in tests:
                    error, began = None, time.monotonic()
                    try:
                        test(server)
                    except Exception as caught:
                        error = caught
                    report("%s.%s" % (name, key), began, error)
                began = time.monotonic()
        except Exception as error:
            # The server did not start or did not stop, or the module is broken.
            report(name, began, error)
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
