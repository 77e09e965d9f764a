"""A program written with Huawei's SDK needs only another endpoint: it runs here, with real jobs on `local`."""
import json
import os
import subprocess
import sys

from huaweicloudsdkmrs import v1

from huawei import Ways, cluster, foggara, key, settings, submit, wait_for  # noqa: F401 (settings: for run.py)
from server import name, output
from test_spark import QUICK

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "huawei_program.py")
PYTHON = """import sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
print("RESULT", spark.sparkContext.parallelize(range(10), 2).sum(), *sys.argv[1:], sep="|", flush=True)
spark.stop()
"""
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


def test_spark_jobs_of_both_versions(server):
    home = os.environ.get("SPARK_HOME", "")
    assert os.access(os.path.join(home, "bin", "spark-submit"), os.X_OK), "SPARK_HOME names no Spark: %r" % home
    folder = os.path.join(server.data, "files")
    os.makedirs(folder, exist_ok=True)
    script = os.path.join(folder, "words.py")
    with open(script, "w") as file:
        file.write(PYTHON)
    sahara = server.client()
    _, first, second = next(iter(Ways(server)))
    local = cluster(first, "local")
    options = [word for pair in QUICK.items() for word in ("--conf", "%s=%s" % pair)]
    words = ["--master", "yarn-cluster", script, "one", "@p=hidden-word"]
    ids = [submit(second, local, name("spark"), "SparkPython", options + words)]
    body = v1.SubmitJobReqV11(job_name=name("spark"), cluster_id=local, job_type=2, jar_path=script,
                              arguments="one @p=hidden-word")
    ids.append(first.create_and_execute_job(v1.CreateAndExecuteJobRequest(body=body)).id)
    for id in ids:
        job = wait_for(second, local, id, "FINISHED", 240)
        assert job.job_result == "SUCCEEDED" and "@p=*" in job.arguments, job
        lines = [line for line in output(sahara, id).splitlines() if line.startswith("RESULT|")]
        # Logs hide what was marked as a secret.
        assert lines == ["RESULT|45|one|p=***********"], lines
