"""Answers against the models of Huawei's SDK: each member is there, and of a kind that the SDK can read (clients.md sections 1 and 8).

The SDK turns numbers by int() and float(), so an empty text in the place of a number is an uncaught error in the user's program, and
a text in the place of an object too.
"""
import json
import re

from huaweicloudsdkmrs import v1, v2

from huawei import Ways, cluster, plays, settings, submit, wait_for  # noqa: F401 (settings: for run.py)
from server import execute, name, template, wait_for as ends

KINDS = {"str": str, "int": int, "float": (int, float), "bool": bool, "object": dict}


def wrong(module, kind, value, place):
    """What in an answer does not fit the SDK's kind; a list of sentences."""
    if value is None:
        return []
    if kind in KINDS:
        fits = isinstance(value, KINDS[kind]) and not (kind == "int" and isinstance(value, bool))
        return [] if fits else ["%s is no %s: %r" % (place, kind, value)]
    of_list = re.fullmatch(r"list\[(.+)\]", kind)
    if of_list:
        if not isinstance(value, list):
            return ["%s is no list: %r" % (place, value)]
        return [one for item in value for one in wrong(module, of_list[1], item, place + "[]")]
    if kind.startswith("dict("):
        return [] if isinstance(value, dict) else ["%s is no object: %r" % (place, value)]
    if not isinstance(value, dict):
        return ["%s is no object: %r" % (place, value)]
    model, found = getattr(module, kind), []
    for member, of in model.openapi_types.items():
        wire = model.attribute_map[member]
        if wire in value:
            found += wrong(module, of, value[wire], place + "." + wire)
        else:
            found.append("%s.%s is missing" % (place, wire))
    return found


def fits(module, client, call, request, response, but=()):
    """Sends a request by the SDK, and compares the raw answer with the SDK's model of it."""
    answer = getattr(client, call)(request)
    value = json.loads(answer.raw_content)
    found = [one for one in wrong(module, response, value, call) if not one.startswith(tuple(but))]
    assert not found, "\n".join(found) + "\n" + json.dumps(value)
    return answer


def test_answers_have_every_member_in_its_kind(server):
    how, first, second = next(iter(Ways(server)))
    sahara = server.client()
    sim, local = cluster(first, "sim"), cluster(first, "local")
    # Jobs of every origin and in every state: of Sahara, of V1.1, of V2, statements; waiting, running, killed, failed, done.
    of_sahara = execute(sahara, template(sahara, "shape", "#!/bin/sh\nexit 1\n")).id
    body = v1.SubmitJobReqV11(job_name=name("shape"), cluster_id=sim, job_type=2, jar_path="/a.jar")
    made = fits(v1, first, "create_and_execute_job", v1.CreateAndExecuteJobRequest(body=body),
                "CreateAndExecuteJobResponse")
    jobs = [(local, of_sahara), (sim, made.id)]
    with plays(server, run="RUNNING"):
        running = submit(second, sim, name("shape"), "SparkSql", ["x"])
        wait_for(second, sim, running, "RUNNING")
    with plays(server, run_error="it does not start"):
        failed = submit(second, sim, name("shape"), "MapReduce", ["/a.jar"])
        wait_for(second, sim, failed, "FAILED")
    jobs += [(sim, running), (sim, failed)]
    statement = v2.ExecuteSqlRequest(cluster_id=local, body=v2.SqlExecutionReq(sql_type="presto", sql_content="select 1"))
    sql = fits(v2, second, "execute_sql", statement, "ExecuteSqlResponse").id
    fits(v2, second, "show_sql_result", v2.ShowSqlResultRequest(cluster_id=local, sql_id=sql), "ShowSqlResultResponse")
    jobs.append((local, sql))
    for on, id in jobs:
        fits(v1, first, "show_job_exes", v1.ShowJobExesRequest(job_exe_id=id), "ShowJobExesResponse")
        request = v2.ShowSingleJobExeRequest(cluster_id=on, job_execution_id=id)
        fits(v2, second, "show_single_job_exe", request, "ShowSingleJobExeResponse")
    for on in (sim, local):
        fits(v1, first, "list_execute_job", v1.ListExecuteJobRequest(cluster_id=on), "ListExecuteJobResponse")
        fits(v2, second, "show_job_exe_list_new", v2.ShowJobExeListNewRequest(cluster_id=on), "ShowJobExeListNewResponse")
    second.stop_job(v2.StopJobRequest(cluster_id=sim, job_execution_id=running))
    fits(v1, first, "list_execute_job", v1.ListExecuteJobRequest(cluster_id=sim), "ListExecuteJobResponse")


def test_clusters_have_every_member_in_its_kind(server):
    _, first, second = next(iter(Ways(server)))
    sahara = server.client()
    group = {"name": "workers", "count": 1, "flavor_id": "2", "node_processes": ["local"]}
    made = sahara.clusters.create(name("shape"), "local", "1.0", node_groups=[group])
    body = v2.CreateClusterReqV2(
        cluster_version="MRS 3.1.0", cluster_name=name("shape"), cluster_type="ANALYSIS", region="r", vpc_name="v",
        subnet_name="s", components="Hive", availability_zone="az", safe_mode="SIMPLE", login_mode="PASSWORD",
        manager_admin_password="Pass-word-1", node_groups=[v2.NodeGroupV2(
            group_name="core", node_num=1, node_size="c", data_volume_count=1,
            root_volume=v2.Volume(type="SAS", size=100), data_volume=v2.Volume(type="SAS", size=200))])
    fits(v2, second, "create_cluster", v2.CreateClusterRequest(body=body), "CreateClusterResponse")
    fits(v1, first, "list_clusters", v1.ListClustersRequest(), "ListClustersResponse")
    fits(v1, first, "list_hosts", v1.ListHostsRequest(cluster_id=made.id), "ListHostsResponse")
    fits(v1, first, "list_cluster_tags", v1.ListClusterTagsRequest(cluster_id=made.id), "ListClusterTagsResponse")
