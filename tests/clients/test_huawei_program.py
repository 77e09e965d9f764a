"""A program written with Huawei's SDK needs only another endpoint: it runs here, with real jobs on `local`."""
import json
import os
import subprocess
import sys

from huawei import foggara, key, settings  # noqa: F401 (settings: for run.py)

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "huawei_program.py")
SUCCEED = [{"result": "succeed"}]


def run(made, *words, **variables):
    environment = dict(os.environ, CLOUD_SDK_AK=made["access"], CLOUD_SDK_SK=made["secret"], **variables)
    done = subprocess.run([sys.executable, PROGRAM, *words], env=environment, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def ran(answer):
    assert (answer["hive"], answer["spark"]) == ("SUCCEEDED", "SUCCEEDED"), answer
    rows = [{"word": "a", "many": "1"}, {"word": "b", "many": "5"}]
    assert answer["rows"] == {"0": SUCCEED, "1": SUCCEED, "2": rows, "3": SUCCEED}, answer


def test_with_an_endpoint(server):
    made = key(server)
    ran(run(made, server.url, made["project_id"], "local"))


def test_with_a_region_of_the_sdk(server):
    """The SDK's own way to other addresses for a region; the project is the one that is called like the region."""
    region = "cn-north-4"
    foggara(server, "project", "add", region)
    foggara(server, "user", "add", "of-region", "--password", "a-pass-word", "--project", region, "--role", "member")
    made = key(server, "--user", "of-region")
    ran(run(made, "-", "-", "local", CLOUD_REGION=region, HUAWEICLOUD_SDK_REGION_MRS_CN_NORTH_4=server.url,
            HUAWEICLOUD_SDK_IAM_ENDPOINT=server.url))
