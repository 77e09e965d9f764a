"""Huawei's own SDK (huaweicloudsdkcore, huaweicloudsdkmrs) with access keys: it signs, finds its project by a region, reads errors."""
import json
import subprocess

import requests
from huaweicloudsdkcore.auth.credentials import BasicCredentials, GlobalCredentials
from huaweicloudsdkcore.exceptions import exceptions
from huaweicloudsdkcore.http.http_config import HttpConfig
from huaweicloudsdkcore.region.region import Region
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkcore.signer.signer import Signer
from huaweicloudsdkmrs.v1 import DeleteJobExecutionRequest, MrsClient

from server import LONG, execute, name, refused, template, until, wait_for


def foggara(server, *words):
    """Runs a command of the program on the server's data; gives what it printed."""
    done = subprocess.run([server.binary, *words, "--data-dir", server.data], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=LONG)
    assert done.returncode == 0, "foggara %s: %d\n%s" % (" ".join(words), done.returncode, done.stderr)
    return done.stdout


def key(server, *words):
    return json.loads(foggara(server, "credential", "create", "--output", "json", *words))


def mrs(server, credentials, region=None):
    builder = MrsClient.new_builder().with_credentials(credentials).with_http_config(HttpConfig.get_default_config())
    if region:
        return builder.with_region(Region(region, server.url)).build()
    return builder.with_endpoint(server.url).build()


def by_key(server, made):
    return mrs(server, BasicCredentials(made["access"], made["secret"], made["project_id"]))


def call(client, method, path, **kwargs):
    """A call that the SDK signs and sends; gives the JSON."""
    headers = {"Content-Type": "application/json;charset=UTF-8"}
    return json.loads(client.do_http_request(
        method, path, header_params=headers, response_type="DeleteJobExecutionResponse", **kwargs).raw_content)


def raises(call, *args, **kwargs):
    """The error that the SDK makes of a refusal."""
    try:
        call(*args, **kwargs)
    except exceptions.ClientRequestException as error:
        return error
    raise AssertionError("it was not refused")


def test_a_signed_delete_of_a_job(server):
    client, sahara = by_key(server, key(server)), server.client()
    id = execute(sahara, template(sahara, "signed", "#!/bin/sh\nsleep 300\n")).id
    wait_for(sahara, id, "RUNNING")
    client.delete_job_execution(DeleteJobExecutionRequest(job_execution_id=id))
    assert refused(sahara.job_executions.get, id).error_code == 404
    error = raises(client.delete_job_execution, DeleteJobExecutionRequest(job_execution_id=id))
    assert error.status_code == 404, error


def test_bodies_and_queries_that_need_encoding(server):
    made = key(server)
    client = by_key(server, made)
    sources = "/v1.1/%s/data-sources" % made["project_id"]
    named = name("signed")
    text = "Größe 作业 +/=&~ 100%"
    body = {"name": named, "type": "hdfs", "url": "/p", "description": text}
    source = call(client, "POST", sources, body=body)["data_source"]
    assert source["description"] == text and source["tenant_id"] == made["project_id"], source
    # A filter is a pattern, in which a plus sign has a meaning of its own.
    pattern = text.replace("+", "\\+")
    for query in ([("description", pattern)], [("name", named), ("description", pattern), ("limit", 5)]):
        found = call(client, "GET", sources, query_params=query)["data_sources"]
        assert [one["id"] for one in found] == [source["id"]], (query, found)
    assert call(client, "GET", sources, query_params=[("description", "other")])["data_sources"] == []
    client.do_http_request("DELETE", "%s/%s" % (sources, source["id"]), header_params={},
                           response_type="DeleteJobExecutionResponse")
    assert call(client, "GET", sources, query_params=[("name", named)])["data_sources"] == []


def test_a_region_is_enough(server):
    foggara(server, "project", "add", "sdk")
    foggara(server, "user", "add", "sdk-user", "--password", "a-pass-word", "--project", "sdk", "--role", "member")
    made = key(server, "--user", "sdk-user")
    for region in (server.cloud["region_name"], "sdk"):
        credentials = BasicCredentials(made["access"], made["secret"]).with_iam_endpoint(server.url)
        client = mrs(server, credentials, region)
        assert client.get_credentials().project_id == made["project_id"], region
        path = "/v1.1/%s/job-executions" % made["project_id"]
        assert call(client, "GET", path)["job_executions"] == []
    credentials = BasicCredentials(made["access"], made["secret"]).with_iam_endpoint(server.url)
    try:
        mrs(server, credentials, "no-such-region")
    except exceptions.SdkException as error:
        assert "Failed to get project id of region 'no-such-region'" in str(error), str(error)
    else:
        raise AssertionError("a project of a region that is none")
    of_domain = GlobalCredentials(made["access"], made["secret"]).with_iam_endpoint(server.url)
    http = mrs(server, BasicCredentials(made["access"], made["secret"], made["project_id"])).get_http_client()
    assert of_domain.process_auth_params(http, server.cloud["region_name"]).domain_id == "default"


def test_errors_as_the_sdk_reads_them(server):
    made = key(server)
    path = "/v1.1/%s/job-executions" % made["project_id"]
    client = by_key(server, dict(made, secret="another"))
    for _ in range(5):
        error = raises(call, client, "GET", path)
        assert (error.status_code, error.error_code) == (401, "APIGW.0301"), error
        assert error.error_msg == "Incorrect IAM authentication information: verify aksk signature fail", error
        assert len(error.request_id) == 32, error
    assert "failed to reach the limit" in raises(call, client, "GET", path).error_msg
    unknown = raises(call, by_key(server, dict(made, access="NOSUCHKEY")), "GET", path)
    assert "ak:NOSUCHKEY,err:ak not exist" in unknown.error_msg, unknown
    second = key(server)
    foggara(server, "credential", "delete", second["access"])
    assert "ak not exist" in raises(call, by_key(server, second), "GET", path).error_msg


def test_a_token_instead_of_a_signature(server):
    client = mrs(server, BasicCredentials("any", "any", server.session().get_project_id()))
    token = server.session().get_token()
    # The SDK sends an empty Authorization then.
    client.preset_headers = {"X-Auth-Token": token, "Authorization": ""}
    path = "/v1.1/%s/clusters" % server.session().get_project_id()
    assert "local" in [cluster["name"] for cluster in call(client, "GET", path)["clusters"]]


def test_an_upload_that_is_not_json_is_sent_unsigned(server):
    made, host = key(server), server.url[len("http://"):]
    bytes = b"#!/bin/sh\n" + b"# x\n" * 600_000
    upload = name("signed") + ".sh"
    request = SdkRequest(method="PUT", schema="http", host=host, query_params=[], body=bytes,
                         resource_path="/v1.1/%s/job-binary-internals/%s" % (made["project_id"], upload),
                         header_params={"Content-Type": "application/octet-stream"})
    signed = Signer(BasicCredentials(made["access"], made["secret"])).sign(request)
    assert signed.header_params["X-Sdk-Content-Sha256"] == "UNSIGNED-PAYLOAD"
    answer = requests.put(server.url + signed.uri, data=bytes, headers=signed.header_params, timeout=LONG)
    assert answer.status_code == 202, answer.text
    assert answer.json()["job_binary_internal"]["datasize"] == len(bytes)
    until("it is there", lambda: upload in [one.name for one in server.client().job_binary_internals.list()])
