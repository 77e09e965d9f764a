"""A PySpark job through python-saharaclient, on the Spark that SPARK_HOME names."""
import hashlib
import json
import os
import secrets

from server import binary, execute, name, on_a_command_line, output, tagged, until, wait_for

START_WITHIN = 120
# As foggara_testkit::java has it.
ARCHIVE = os.path.join(os.environ.get("SPARK_HOME", ""), "classes.jsa")
JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xlog:disable" + (f" -XX:SharedArchiveFile={ARCHIVE}" if os.path.isfile(ARCHIVE) else "")
QUICK = {"spark.ui.enabled": "false", "spark.driver.extraJavaOptions": JAVA}
MAIN = """\
import hashlib, os, sys, time
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
context = spark.sparkContext
key = context.getConf().get("spark.hadoop.fs.s3a.secret.key") or ""
total = context.parallelize(range(100), 2).map(lambda n: 2 * n).sum()
print("RESULT", context.appName, total, hashlib.sha256(key.encode()).hexdigest()[:16], sys.argv[3], sep="|", flush=True)
open(sys.argv[1], "w").close()
while not os.path.exists(sys.argv[2]):
    time.sleep(0.05)
spark.stop()
"""


def pyspark_job(client):
    home = os.environ.get("SPARK_HOME", "")
    assert os.access(os.path.join(home, "bin", "spark-submit"), os.X_OK), "SPARK_HOME names no Spark: %r" % home
    main = binary(client, name("x") + ".py", MAIN)
    return client.jobs.create(name("pyspark"), "Spark", mains=[main.id])


def test_a_pyspark_job_gets_its_settings_and_nobody_sees_its_secret(server):
    client = server.client()
    job = pyspark_job(client)
    secret = "s-" + secrets.token_hex(16)
    up, go = os.path.join(server.home, "up"), os.path.join(server.home, "go")
    configs = dict(QUICK, **{"spark.app.name": "named by the client", "fs.s3a.secret.key": secret})
    started = execute(client, job, configs={"configs": configs, "args": [up, go, "two words"]})
    answers = [json.dumps(started.to_dict())]

    def at_work():
        shown = on_a_command_line(secret)
        assert not shown, "the secret is on a command line: %r" % shown
        answers.append(json.dumps(client.job_executions.get(started.id).to_dict()))
        now = json.loads(answers[-1])["info"]["status"]
        assert now not in ("FAILED", "KILLED", "SUCCEEDED"), output(client, started.id, "stderr")
        return os.path.exists(up)

    until("the job is at work", at_work, START_WITHIN)
    assert len(tagged(started.id)) >= 2, "a JVM and a Python driver"
    assert not on_a_command_line(secret)
    assert on_a_command_line(up), "the arguments of the job are there, so the look is not blind"
    assert client.job_executions.get(started.id).info["status"] == "RUNNING"
    open(go, "w").close()
    ended = wait_for(client, started.id, "SUCCEEDED")
    text = output(client, started.id)
    lines = [line for line in text.splitlines() if line.startswith("RESULT|")]
    digest = hashlib.sha256(secret.encode()).hexdigest()[:16]
    assert lines == ["RESULT|named by the client|9900|%s|two words" % digest], text
    # The answers.
    assert ended.job_configs["configs"]["fs.s3a.secret.key"] == ""
    assert ended.job_configs["configs"]["spark.app.name"] == "named by the client"
    api, session = client.jobs.api, client.jobs.api.session
    answers += [api.get(path).text for path in ("/job-executions", "/job-executions/" + started.id,
                                                "/job-executions/%s/refresh-status" % started.id, "/jobs/" + job.id)]
    own = server.url + "/api/v1/executions"
    answers += [session.get(own + path).text for path in ("", "/" + started.id, "/%s/events" % started.id,
                                                          "/%s/explain" % started.id)]
    answers += [text, output(client, started.id, "stderr"), server.log()]
    for answer in answers:
        assert secret not in answer, "the secret is told: %s" % answer


def test_a_deleted_pyspark_job_leaves_no_process(server):
    client = server.client()
    up = os.path.join(server.home, "up-to-delete")
    args = [up, os.path.join(server.home, "never"), "x"]
    id = execute(client, pyspark_job(client), configs={"configs": QUICK, "args": args}).id

    def at_work():
        now = client.job_executions.get(id).info["status"]
        assert now in ("PENDING", "READYTORUN", "PREP", "RUNNING"), output(client, id, "stderr")
        return os.path.exists(up)

    until("the job is at work", at_work, START_WITHIN)
    assert len(tagged(id)) >= 2, "a JVM and a Python driver"
    client.job_executions.delete(id)
    until("404", lambda: client.job_executions.api.get("/job-executions/" + id).status_code == 404)
    until("none of its processes", lambda: not tagged(id))
