"""Huawei's SDK for MRS: jobs, SQL and clusters by both of its clients, with access keys and with a token."""
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkmrs import v1, v2

from huawei import (Ways, client, cluster, key, plays, refused, settings, show, submit,  # noqa: F401 (settings: for run.py)
                    wait_for)
from server import execute, name, template, until, wait_for as ends

# "show tables;" in the form of V1.1.
HQL = "gc2hvdyB0YWLsZXM7"
V2_TYPES = (
    ("MapReduce", ["/a.jar", "wordcount", "/in", "/out"]),
    ("SparkSubmit", ["--master", "yarn-cluster", "--class", "org.App", "s3a://b/a.jar", "x"]),
    ("SparkPython", ["--master", "yarn-cluster", "/a.py", "x"]),
    ("HiveScript", ["/a.sql"]),
    ("HiveSql", ["show tables; select '1, 2'"]),
    ("DistCp", ["s3a://b/in", "/out"]),
    ("SparkScript", ["--hiveconf", "a=b", "/a.sql"]),
    ("SparkSql", ["select \"1\";"]),
    ("Flink", ["run", "-d", "-ynm", "n", "-m", "yarn-cluster", "/a.jar"]),
)
V1_TYPES = (
    (1, {"jar_path": "s3a://b/a.jar", "arguments": "wordcount", "input": "s3a://b/in/", "output": "s3a://b/out/",
         "job_log": "s3a://b/log/"}),
    (2, {"jar_path": "/a.jar", "arguments": "org.App 100", "input": "", "output": ""}),
    (3, {"hive_script_path": "/a.sql"}),
    (4, {"hql": HQL}),
    (5, {"file_action": "import", "input": "s3a://b/in", "output": "/out"}),
    (5, {"file_action": "export", "input": "/in", "output": "s3a://b/out"}),
    (6, {"hive_script_path": "s3a://b/a.sql"}),
    (7, {"hql": HQL}),
)


def test_v2_takes_every_type(server):
    for how, first, second in Ways(server):
        sim = cluster(first, "sim")
        for type, arguments in V2_TYPES:
            id = submit(second, sim, name("sdk"), type, arguments,
                        properties={"fs.obs.endpoint": "h", "fs.obs.secret.key": "hidden-7f3a"})
            job = wait_for(second, sim, id, "FINISHED")
            assert job.job_type == ("SparkSubmit" if type == "SparkPython" else type), (how, job)
            assert job.arguments == "[%s]" % ", ".join(arguments), (how, job)
            assert job.properties == "{fs.obs.endpoint=h, fs.obs.secret.key=*}", (how, job)
            assert (job.job_result, job.user, job.queue) == ("SUCCEEDED", "admin", "default"), (how, job)
            assert job.job_progress == 100.0 and job.finished_time >= job.submitted_time > 10 ** 12, (how, job)


def test_v1_takes_every_type(server):
    for how, first, second in Ways(server):
        sim = cluster(first, "sim")
        for type, members in V1_TYPES:
            body = v1.SubmitJobReqV11(job_name=name("sdk"), cluster_id=sim, job_type=type, **members)
            made = first.create_and_execute_job(v1.CreateAndExecuteJobRequest(body=body))
            assert made.id and (made.job_id, made.job_type, made.job_final_status) == ("", type, 0), (how, made)
            assert made.start_time < 10 ** 10 and made.job_name == body.job_name, (how, made)
            wait_for(second, sim, made.id, "FINISHED")
            job = first.show_job_exes(v1.ShowJobExesRequest(job_exe_id=made.id)).job_execution
            assert (job.job_type, job.job_state, job.job_final_status, job.cluster_id) == (type, 3, 2, sim), (how, job)
            for member, value in members.items():
                assert getattr(job, member) == value, (how, member, job)
            assert job.end_time >= job.create_at > 10 ** 12 and job.spend_time >= 0, (how, job)


def test_lists_with_filters_and_pages(server):
    for how, first, second in Ways(server):
        sim, named = cluster(first, "sim"), name("listed")
        ids = [submit(second, sim, named, type, ["x"]) for type in ("HiveSql", "SparkSql", "HiveSql")]
        for id in ids:
            wait_for(second, sim, id, "FINISHED")

        def listed(**more):
            request = v2.ShowJobExeListNewRequest(cluster_id=sim, job_name=named, **more)
            answer = second.show_job_exe_list_new(request)
            return answer.total_record, [job.job_id for job in answer.job_list or []]

        times = [show(second, sim, id).submitted_time for id in ids]
        assert listed() == (3, ids[::-1]), how
        assert listed(sort_by="asc") == (3, ids), how
        assert listed(limit="1", offset="2", sort_by="asc") == (3, ids[1:2]), how
        assert listed(limit="2", offset="4") == (3, []), how
        assert listed(job_id=ids[1]) == (1, ids[1:2]), how
        assert listed(job_type="HiveSql", sort_by="asc") == (2, [ids[0], ids[2]]), how
        assert listed(job_state="FINISHED", job_result="SUCCEEDED", user="admin", queue="default")[0] == 3, how
        for nothing in ({"job_state": "RUNNING"}, {"job_result": "FAILED"}, {"user": "nobody"}, {"queue": "other"},
                        {"submitted_time_begin": times[2] + 60_000}, {"submitted_time_end": times[0] - 60_000}):
            assert listed(**nothing) == (0, []), (how, nothing)
        assert listed(submitted_time_begin=times[0], submitted_time_end=times[2] + 1)[0] == 3, how

        def exes(**more):
            answer = first.list_execute_job(v1.ListExecuteJobRequest(cluster_id=sim, job_name=named, **more))
            return answer.total_record, [job.id for job in answer.job_executions or []]

        assert exes() == (3, ids[::-1]), how
        assert exes(page_size="2", current_page="2") == (3, ids[:1]), how
        assert exes(page_size="2", current_page="3") == (3, []), how
        assert exes(id=ids[0], state="3") == (1, ids[:1]), how
        assert exes(state="4") == (0, []), how


def test_kill_and_delete(server):
    for how, first, second in Ways(server):
        sim = cluster(first, "sim")
        with plays(server, run="RUNNING"):
            ids = [submit(second, sim, name("killed"), "SparkSql", ["x"]) for _ in range(3)]
            for id in ids:
                wait_for(second, sim, id, "RUNNING")
        job = show(second, sim, ids[0])
        assert (job.finished_time, job.job_result) == (0, "UNDEFINED") and job.started_time > 0, (how, job)
        request = v2.ShowSqlResultWithJobRequest(cluster_id=sim, job_execution_id=ids[0])
        refused(500, "0183", second.show_sql_result_with_job, request)
        for _ in range(2):
            second.stop_job(v2.StopJobRequest(cluster_id=sim, job_execution_id=ids[0]))
        assert wait_for(second, sim, ids[0], "KILLED").job_result == "KILLED", how
        exe = first.show_job_exes(v1.ShowJobExesRequest(job_exe_id=ids[0])).job_execution
        assert (exe.job_state, exe.job_final_status) == (-1, 3), (how, exe)
        refused(500, "0172", second.show_sql_result_with_job, request)
        # Also those that run, and ids that are none.
        body = v2.JobBatchDelete(job_id_list=ids[:2] + ["no-such-id"])
        second.batch_delete_jobs(v2.BatchDeleteJobsRequest(cluster_id=sim, body=body))
        for id in ids[:2]:
            refused(404, "0176", second.show_single_job_exe,
                    v2.ShowSingleJobExeRequest(cluster_id=sim, job_execution_id=id))
        first.delete_job_execution(v1.DeleteJobExecutionRequest(job_execution_id=ids[2]))
        refused(404, "12000009", first.show_job_exes, v1.ShowJobExesRequest(job_exe_id=ids[2]))


def test_refusals(server):
    for how, first, second in Ways(server):
        sim, idle = cluster(first, "sim"), cluster(first, "sim-idle")

        def submitted(cluster_id, type="MapReduce", **more):
            body = v2.JobExecution(**dict({"job_type": type, "job_name": "j", "arguments": ["/a.jar"]}, **more))
            return v2.CreateExecuteJobRequest(cluster_id=cluster_id, body=body)

        def sent(**more):
            body = v1.SubmitJobReqV11(**dict({"job_name": "j", "cluster_id": sim, "job_type": 1}, **more))
            return v1.CreateAndExecuteJobRequest(body=body)

        for status, code, request in (
                (400, "12000003", submitted("no-such-cluster")), (500, "0056", submitted(idle)),
                (400, "12000009", submitted(sim, "Pig")), (400, "12000009", submitted(sim, job_name="a b")),
                (400, "12000009", submitted(sim, arguments=["/a.jar", "a;b"]))):
            refused(status, code, second.create_execute_job, request)
        for code, request in (
                ("12000081", sent()), ("12000114", sent(job_type=3)), ("12000009", sent(jar_path="relative.jar")),
                ("12000003", sent(cluster_id="none", jar_path="/a.jar")),
                ("12000062", sent(cluster_id=idle, jar_path="/a.jar"))):
            refused(400, code, first.create_and_execute_job, request)
        refused(400, "12000003", first.list_execute_job, v1.ListExecuteJobRequest(cluster_id="none"))
        refused(500, "0178", second.batch_delete_jobs,
                v2.BatchDeleteJobsRequest(cluster_id=sim, body=v2.JobBatchDelete(job_id_list=[])))
        for call, kind in ((second.stop_job, v2.StopJobRequest), (second.show_sql_result_with_job,
                                                                  v2.ShowSqlResultWithJobRequest)):
            refused(404, "0176", call, kind(cluster_id=sim, job_execution_id="none"))
        error = refused(400, "12000009", second.show_job_exe_list_new,
                        v2.ShowJobExeListNewRequest(cluster_id=sim, limit="many"))
        assert "limit" in error.error_msg, error
    made = key(server)
    forged = client(v1, server, BasicCredentials(made["access"], "another", made["project_id"]))
    refused(401, "APIGW.0301", forged.list_execute_job, v1.ListExecuteJobRequest(cluster_id="any"))
    for _, first, second in Ways(server):
        first.preset_headers = second.preset_headers = {"X-Auth-Token": "nonsense", "Authorization": ""}
        refused(401, "12000001", first.list_clusters, v1.ListClustersRequest())
        refused(401, "12000001", second.show_job_exe_list_new, v2.ShowJobExeListNewRequest(cluster_id=sim))


def test_sql(server):
    for how, first, second in Ways(server):
        local = cluster(first, "local")

        def run(statement, **more):
            body = v2.SqlExecutionReq(sql_type="presto", sql_content=statement, **more)
            return second.execute_sql(v2.ExecuteSqlRequest(cluster_id=local, body=body))

        made = run("select 1 as a, 'x' as b union all select 2, 'y' order by 1", database="default")
        assert (made.status, made.content) == ("QUEUED", []) and made.id, (how, made)
        request = v2.ShowSqlResultRequest(cluster_id=local, sql_id=made.id)

        def ended(request):
            return until("it has ended", lambda: next(
                (one for one in [second.show_sql_result(request)] if one.status in ("FINISHED", "FAILED")), None))

        done = ended(request)
        assert (done.status, done.content) == ("FINISHED", [["1", "x"], ["2", "y"]]), (how, done)
        assert second.cancel_sql(v2.CancelSqlRequest(cluster_id=local, sql_id=made.id)).status == "SUCCEED", how
        wrong = ended(v2.ShowSqlResultRequest(cluster_id=local, sql_id=run("select nothing").id))
        assert wrong.status == "FAILED" and "nothing" in wrong.message, (how, wrong)
        for body in (v2.SqlExecutionReq(sql_type="hive", sql_content="x"),
                     v2.SqlExecutionReq(sql_type="presto", sql_content="select 1; select 2")):
            refused(500, "MRS.0011", second.execute_sql, v2.ExecuteSqlRequest(cluster_id=local, body=body))
        none = {"cluster_id": local, "sql_id": "none"}
        refused(404, "0176", second.show_sql_result, v2.ShowSqlResultRequest(**none))
        refused(404, "0176", second.cancel_sql, v2.CancelSqlRequest(**none))


def test_clusters_and_tags(server):
    for how, first, second in Ways(server):
        named = name("sdk")
        groups = [v2.NodeGroupV2(group_name="master_node_default_group", node_num=1, node_size="c3.large"),
                  v2.NodeGroupV2(group_name="core_node_analysis_group", node_num=2, node_size="c3.large")]
        body = v2.CreateClusterReqV2(
            cluster_version="MRS 3.1.0", cluster_name=named, cluster_type="ANALYSIS", region="r", vpc_name="v",
            subnet_name="s", components="Hadoop,Spark,Hive", availability_zone="az", safe_mode="SIMPLE",
            manager_admin_password="Pass-word-1", login_mode="PASSWORD", node_root_password="Pass-word-2",
            tags=[v2.Tag(key="team", value="blue")], node_groups=groups)
        id = second.create_cluster(v2.CreateClusterRequest(body=body)).cluster_id

        def shown():
            return first.show_cluster_details(v1.ShowClusterDetailsRequest(cluster_id=id)).cluster

        until("it runs", lambda: shown().cluster_state == "running")
        one = shown()
        assert (one.cluster_name, one.cluster_version, one.tags) == (named, "MRS 3.1.0", "team=blue"), (how, one)
        assert (one.total_node_num, one.master_node_num, one.core_node_num) == ("3", "1", "2"), (how, one)
        assert [group.node_num for group in one.node_groups] == [1, 2] and one.component_list, (how, one)
        assert "Pass-word" not in str(one), how

        def names(**more):
            found = first.list_clusters(v1.ListClustersRequest(**more))
            assert found.cluster_total >= len(found.clusters or []), found
            return [one.cluster_name for one in found.clusters or []]

        assert named in names() and names(cluster_name=named, cluster_state="running") == [named], how
        assert names(tags="team*blue") == [named] and names(cluster_name=named, cluster_state="failed") == [], how
        assert len(names(page_size="1")) == 1 and names(page_size="1", current_page="99") == [], how
        assert first.list_hosts(v1.ListHostsRequest(cluster_id=id)).total >= 0, how
        first.create_cluster_tag(v1.CreateClusterTagRequest(
            cluster_id=id, body=v1.CreateTagReq(tag=v1.Tag(key="env", value="test"))))
        first.batch_create_cluster_tags(v1.BatchCreateClusterTagsRequest(cluster_id=id, body=v1.BatchCreateClusterTagsReq(
            action="create", tags=[v1.Tag(key="team", value="red")])))
        first.delete_cluster_tag(v1.DeleteClusterTagRequest(cluster_id=id, key="env"))
        tags = first.list_cluster_tags(v1.ListClusterTagsRequest(cluster_id=id)).tags
        assert [(tag.key, tag.value) for tag in tags] == [("team", "red")], (how, tags)
        refused(400, "12000002", second.create_cluster, v2.CreateClusterRequest(body=body))
        first.delete_cluster(v1.DeleteClusterRequest(cluster_id=id))
        until("it is gone", lambda: names(cluster_name=named) == [])
        refused(400, "12000003", first.show_cluster_details, v1.ShowClusterDetailsRequest(cluster_id=id))


def test_a_cluster_with_a_job(server):
    for how, first, second in Ways(server):
        job = v1.AddJobsReqV11(job_type=7, job_name="first", hql=HQL, shutdown_cluster=True,
                               submit_job_once_cluster_run=True)
        body = v1.CreateClusterReqV11(
            cluster_version="MRS 1.9.2", cluster_name=name("flow"), master_node_num=1, core_node_num=2, billing_type=12,
            data_center="r", vpc="v", master_node_size="c3.large", core_node_size="c3.large",
            component_list=[v1.ComponentAmbV11(component_name="Hive")], available_zone_id="az", vpc_id="v",
            subnet_id="s", subnet_name="s", safe_mode=0, cluster_type=0, node_public_cert_name="key", add_jobs=[job])
        made = first.create_cluster(v1.CreateClusterRequest(body=body))
        assert made.result is True and made.msg == "" and made.cluster_id, (how, made)
        request = v1.ListExecuteJobRequest(cluster_id=made.cluster_id)
        (exe,) = first.list_execute_job(request).job_executions
        ended = until("its job has ended", lambda: next(
            (one for one in first.list_execute_job(request).job_executions if one.job_final_status), None))
        assert (ended.id, ended.job_final_status, ended.job_state) == (exe.id, 2, 3), (how, ended)

        def gone():
            return not first.list_clusters(v1.ListClustersRequest(cluster_name=body.cluster_name)).clusters

        until("the cluster is gone", gone)
        step = v2.StepConfig(job_execution=v2.JobExecution(job_type="HiveSql", job_name="s", arguments=["show tables"]))
        body = v2.RunJobFlowCommand(
            cluster_version="MRS 3.1.0", cluster_name=name("flow"), cluster_type="ANALYSIS", region="r", vpc_name="v",
            subnet_name="s", components="Hive", availability_zone="az", safe_mode="SIMPLE", login_mode="PASSWORD",
            manager_admin_password="Pass-word-1", node_groups=[], delete_when_no_steps=False, steps=[step])
        id = second.run_job_flow(v2.RunJobFlowRequest(body=body)).cluster_id

        def jobs():
            return second.show_job_exe_list_new(v2.ShowJobExeListNewRequest(cluster_id=id)).job_list

        (job,) = until("it has ended", lambda: [one for one in jobs() if one.job_result != "UNDEFINED"])
        assert (job.job_name, job.job_result) == ("s", "SUCCEEDED"), (how, job)
        first.delete_cluster(v1.DeleteClusterRequest(cluster_id=id))


def test_jobs_of_sahara_are_read_without_a_crash(server):
    """Members that are not text crash the SDK when they are empty texts (clients.md section 8)."""
    sahara = server.client()
    id = execute(sahara, template(sahara, "of-sahara", "#!/bin/sh\nexit 0\n")).id
    ends(sahara, id, "SUCCEEDED")
    for how, first, second in Ways(server):
        local = cluster(first, "local")
        exe = first.show_job_exes(v1.ShowJobExesRequest(job_exe_id=id)).job_execution
        # A type that MRS does not have has no number.
        assert (exe.job_type, exe.job_state, exe.id) == (None, 3, id), (how, exe)
        job = show(second, local, id)
        assert (job.job_type, job.job_state, job.arguments) == ("Shell", "FINISHED", "[]"), (how, job)
        listed = second.show_job_exe_list_new(v2.ShowJobExeListNewRequest(cluster_id=local, job_id=id)).job_list
        assert [one.job_id for one in listed] == [id], (how, listed)
        assert first.list_execute_job(v1.ListExecuteJobRequest(cluster_id=local, id=id)).total_record == 1, how
