"""Jobs of Spark by Huawei's SDK, on a real Spark."""
import os

from huaweicloudsdkmrs import v1

from huawei import Ways, cluster, submit, wait_for
from server import name, output
from test_spark import QUICK

PYTHON = """import sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
print("RESULT", spark.sparkContext.parallelize(range(10), 2).sum(), *sys.argv[1:], sep="|", flush=True)
spark.stop()
"""


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
