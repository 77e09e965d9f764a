"""What the tests of Huawei's SDK share: its clients with a token and with access keys, and the refusals it raises."""
import contextlib
import json
import os
import subprocess

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions import exceptions
from huaweicloudsdkcore.http.http_config import HttpConfig
from huaweicloudsdkmrs import v1, v2

from server import LONG, until

ENDED = ("FINISHED", "FAILED", "KILLED")


def settings(home):
    """The simulated engine, which takes every type, and the SQL program for the real one, which finds no Spark."""
    program = os.environ.get("FOGGARA_SQL")
    assert program and os.access(program, os.X_OK), "FOGGARA_SQL names no program: %r" % program
    control = os.path.join(home, "control.json")
    with open(control, "w") as file:
        json.dump({"run": "SUCCEEDED"}, file)
    return {"FOGGARA__SIM__ENABLED": "true", "FOGGARA__SIM__CONTROL_FILE": control,
            "FOGGARA__SQL__PROGRAM": os.path.abspath(program), "SPARK_HOME": "/nothing/is/here"}


@contextlib.contextmanager
def plays(server, **control):
    """What simulated jobs do that start in the block."""
    path = os.path.join(server.home, "control.json")

    def write(what):
        with open(path + ".new", "w") as file:
            json.dump(what, file)
        os.replace(path + ".new", path)

    write(control)
    try:
        yield
    finally:
        write({"run": "SUCCEEDED"})


def foggara(server, *words):
    """Runs a command of the program on the server's data; gives what it printed."""
    done = subprocess.run([server.binary, *words, "--data-dir", server.data], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=LONG)
    assert done.returncode == 0, "foggara %s: %d\n%s" % (" ".join(words), done.returncode, done.stderr)
    return done.stdout


def key(server, *words):
    """A new pair of access keys: access, secret, project_id."""
    return json.loads(foggara(server, "credential", "create", "--output", "json", *words))


def client(module, server, credentials):
    builder = module.MrsClient.new_builder().with_http_config(HttpConfig.get_default_config())
    return builder.with_credentials(credentials).with_endpoint(server.url).build()


class Ways:
    """The clients of both versions: with access keys, and with a token."""

    def __init__(self, server):
        made = key(server)
        self.project = made["project_id"]
        token = server.session().get_token()
        self.all = []
        for how, credentials in (("AK/SK", BasicCredentials(made["access"], made["secret"], made["project_id"])),
                                 ("token", BasicCredentials("any", "any", made["project_id"]))):
            pair = [client(module, server, credentials) for module in (v1, v2)]
            if how == "token":
                for one in pair:
                    # An empty Authorization is sent then.
                    one.preset_headers = {"X-Auth-Token": token, "Authorization": ""}
            self.all.append((how, *pair))

    def __iter__(self):
        return iter(self.all)


def cluster(first, name):
    """The id of a cluster, as the SDK finds it."""
    found = first.list_clusters(v1.ListClustersRequest(cluster_name=name)).clusters
    assert [one.cluster_name for one in found] == [name], found
    return found[0].cluster_id


def submit(second, cluster_id, name, type, arguments, **more):
    """Submits by V2; gives the id."""
    body = v2.JobExecution(job_type=type, job_name=name, arguments=arguments, **more)
    result = second.create_execute_job(v2.CreateExecuteJobRequest(cluster_id=cluster_id, body=body)).job_submit_result
    assert result.state == "COMPLETE" and result.job_id, result
    return result.job_id


def show(second, cluster_id, id):
    request = v2.ShowSingleJobExeRequest(cluster_id=cluster_id, job_execution_id=id)
    return second.show_single_job_exe(request).job_detail


def wait_for(second, cluster_id, id, wanted, seconds=LONG):
    """Waits for a state; fails at once when the job ended in another one."""
    def check():
        job = show(second, cluster_id, id)
        assert job.job_state == wanted or job.job_state not in ENDED, "%s instead of %s" % (job, wanted)
        return job if job.job_state == wanted else None

    return until("%s %s" % (id, wanted), check, seconds)


def refused(status, code, call, request):
    """A call that ends with the SDK's exception of this status and code; gives it."""
    try:
        answer = call(request)
    except exceptions.ServiceResponseException as error:
        kind = exceptions.ClientRequestException if status < 500 else exceptions.ServerResponseException
        assert isinstance(error, kind), error
        assert (error.status_code, error.error_code) == (status, code), error
        assert error.error_msg and error.request_id, error
        return error
    raise AssertionError("no error but %s" % answer)
