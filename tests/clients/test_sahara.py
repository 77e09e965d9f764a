"""python-saharaclient, API 1.1: a whole round trip, the ends of a job, the other resources, errors."""
import uuid

from keystoneauth1 import token_endpoint
from saharaclient import client as sahara

from server import binary, execute, name, output, refused, status, tagged, template, until, wait_for

# Two sleepers, one of them in a session of its own.
SLEEPER = "#!/bin/sh\nsetsid sleep 300 &\necho asleep\nsleep 300\n"


def asleep(client, begin):
    """Starts the sleeper and waits until it sleeps; gives the id of the execution."""
    id = execute(client, template(client, begin, SLEEPER)).id
    wait_for(client, id, "RUNNING")
    until("it sleeps", lambda: output(client, id) == "asleep\n")
    until("its shell and both sleepers", lambda: len(tagged(id)) >= 3)
    return id


def test_a_shell_job_from_upload_to_log(server):
    client = server.client()
    script = '#!/bin/sh\necho "$1|$2|$NAME|$(cat words.txt)"\necho oops >&2\n'
    script_name, job_name = name("main") + ".sh", name("round-trip")
    internal = client.job_binary_internals.create(script_name, script)
    assert internal.datasize == len(script) and internal.name == script_name
    main = client.job_binaries.create(script_name, "internal-db://" + internal.id, description="of a test")
    assert client.job_binaries.get_file(main.id) == script.encode()
    lib = binary(client, "words.txt", "from a library")
    job = client.jobs.create(job_name, "Shell", mains=[main.id], libs=[lib.id])
    shown = client.jobs.get(job.id)
    assert [one["id"] for one in shown.mains] == [main.id] and [one["name"] for one in shown.libs] == ["words.txt"]
    clusters = [cluster for cluster in client.clusters.list() if cluster.name == "local"]
    assert len(clusters) == 1 and clusters[0].status == "Active"
    configs = {"args": ["one", "two words"], "params": {"NAME": "a value"}}
    started = client.job_executions.create(job.id, clusters[0].id, configs=configs)
    assert started.job_id == job.id and started.cluster_id == clusters[0].id
    ended = wait_for(client, started.id, "SUCCEEDED")
    assert ended.return_code == "0" and ended.start_time and ended.end_time
    assert ended.engine_job_id == ended.oozie_job_id
    assert ended.job_configs["args"] == configs["args"] and ended.job_configs["params"] == configs["params"]
    assert output(client, started.id) == "one|two words|a value|from a library\n"
    assert output(client, started.id, "stderr") == "oops\n"
    assert started.id in [execution.id for execution in client.job_executions.list()]
    # What is used cannot be deleted; the other way round all of it can.
    assert refused(client.jobs.delete, job.id).error_name == "DELETION_FAILED"
    assert refused(client.job_binaries.delete, main.id).error_name == "DELETION_FAILED"
    client.job_executions.delete(started.id)
    until("404", lambda: started.id not in [execution.id for execution in client.job_executions.list()])
    client.jobs.delete(job.id)
    for one in (main, lib):
        client.job_binaries.delete(one.id)
        client.job_binary_internals.delete(one.url.split("://")[1])
    for manager, id in [(client.job_executions, started.id), (client.jobs, job.id), (client.job_binaries, main.id),
                        (client.job_binary_internals, internal.id)]:
        assert refused(manager.get, id).error_code == 404


def test_a_job_that_fails_tells_its_exit_code(server):
    client = server.client()
    id = execute(client, template(client, "three", "#!/bin/sh\nexit 3\n")).id
    ended = wait_for(client, id, "FAILED")
    assert ended.return_code == "3" and ended.end_time


def test_values_of_an_interface_reach_the_job(server):
    client = server.client()
    main = binary(client, name("interface") + ".sh", '#!/bin/sh\necho "$1|$2|$COLOUR"\n')
    job = client.jobs.create(name("interface"), "Shell", mains=[main.id], interface=[
        {"name": "first", "mapping_type": "args", "location": "0", "required": True, "value_type": "string"},
        {"name": "colour", "mapping_type": "params", "location": "COLOUR", "required": False, "value_type": "string",
         "default": "blue"}])
    assert [item["name"] for item in client.jobs.get(job.id).interface] == ["first", "colour"]
    id = execute(client, job, interface={"first": "given"}, configs={"args": ["own"]}).id
    wait_for(client, id, "SUCCEEDED")
    assert output(client, id) == "given|own|blue\n"
    assert refused(execute, client, job, interface={}).error_code == 400


def test_a_cancelled_job_is_killed(server):
    client = server.client()
    id = asleep(client, "cancelled")
    # saharaclient has no call for it.
    answer = client.job_executions.api.get("/job-executions/%s/cancel" % id)
    assert answer.status_code == 200 and answer.json()["job_execution"]["id"] == id
    ended = wait_for(client, id, "KILLED")
    assert ended.end_time
    until("none of its processes", lambda: not tagged(id))
    assert status(client, id) == "KILLED"
    answer = client.job_executions.api.get("/job-executions/%s/refresh-status" % id)
    assert answer.json()["job_execution"]["info"]["status"] == "KILLED"


def test_a_deleted_job_that_ran_is_gone(server):
    client = server.client()
    id = asleep(client, "deleted")
    client.job_executions.delete(id)

    def unknown():
        return client.job_executions.api.get("/job-executions/" + id).status_code == 404

    until("404", unknown)
    error = refused(client.job_executions.get, id)
    assert error.error_code == 404 and error.error_name == "NOT_FOUND"
    until("none of its processes", lambda: not tagged(id))
    assert id not in [execution.id for execution in client.job_executions.list()]
    assert refused(client.job_executions.delete, id).error_code == 404


def test_executions_are_updated_and_filtered(server):
    client = server.client()
    job = template(client, "filtered", "#!/bin/sh\ntrue\n")
    ids = [execute(client, job).id for _ in range(3)]
    for id in ids:
        wait_for(client, id, "SUCCEEDED")
    found = client.job_executions.list(search_opts={"job.name": job.name, "status": "SUCCEEDED"})
    assert sorted(execution.id for execution in found) == sorted(ids)
    assert client.job_executions.list(search_opts={"job.name": job.name, "status": "FAILED"}) == []
    client.job_executions.update(ids[0], is_protected=True)
    assert client.job_executions.get(ids[0]).is_protected is True
    assert refused(client.job_executions.delete, ids[0]).error_name == "DELETION_FAILED"
    client.job_executions.update(ids[0], is_protected=False)
    for id in ids:
        client.job_executions.delete(id)
    until("all are gone", lambda: not client.job_executions.list(search_opts={"job.name": job.name}))


def test_lists_go_page_by_page(server):
    client = server.client()
    wanted = {binary(client, name("page") + ".sh", "true").name for _ in range(5)}
    seen, marker = [], None
    while True:
        page = client.job_binaries.list(limit=2, marker=marker, sort_by="name", reverse=True)
        assert len(page) <= 2
        seen += [one.name for one in page]
        marker = page.next
        if not marker:
            break
        assert len(seen) <= 1000, "the pages have no end"
    assert len(seen) == len(set(seen)) and wanted <= set(seen) and seen == sorted(seen, reverse=True)
    assert seen == [one.name for one in client.job_binaries.list(sort_by="name", reverse=True)]


def test_data_sources(server):
    client = server.client()
    first = name("input")
    made = client.data_sources.create(first, "of a test", "swift", "swift://box/in", credential_user="me",
                                      credential_pass="a-very-secret-word")
    assert (made.type, made.url, made.description) == ("swift", "swift://box/in", "of a test")
    second = client.data_sources.create(name("bucket"), "", "s3", "s3://bucket/out", s3_credentials={
        "accesskey": "key", "secretkey": "a-very-secret-word", "endpoint": "s3.example.org", "ssl": True,
        "bucket_in_path": False})
    third = client.data_sources.create(name("files"), "", "hdfs", "hdfs://node/path")
    known = {source.id: source for source in client.data_sources.list()}
    assert {made.id, second.id, third.id} <= set(known)
    for source in [made, second, client.data_sources.get(made.id), *known.values()]:
        assert "a-very-secret-word" not in str(source.to_dict()) and not hasattr(source, "credentials")
    client.data_sources.update(third.id, {"description": "another", "url": "hdfs://node/else"})
    shown = client.data_sources.get(third.id)
    assert (shown.description, shown.url) == ("another", "hdfs://node/else")
    error = refused(client.data_sources.create, first, "", "hdfs", "hdfs://node/path")
    assert (error.error_code, error.error_name) == (400, "NAME_ALREADY_EXISTS")
    assert refused(client.data_sources.create, name("bad"), "", "swift", "http://box/in").error_code == 400
    for source in (made, second, third):
        client.data_sources.delete(source.id)
        assert refused(client.data_sources.get, source.id).error_code == 404


def test_everything_is_found_by_name(server):
    client = server.client()
    job = template(client, "found", "#!/bin/sh\ntrue\n")
    source = client.data_sources.create(name("found"), "", "hdfs", "hdfs://node/path")
    local = client.clusters.find_unique(name="local")
    assert client.clusters.get(local.id).name == "local"
    assert client.jobs.find_unique(name=job.name).id == job.id
    assert [one.id for one in client.data_sources.find(name=source.name)] == [source.id]
    main = client.job_binaries.find_unique(name=job.name + ".sh")
    assert client.job_binary_internals.find_unique(name=job.name + ".sh").id == main.url.split("://")[1]
    assert client.jobs.find(name="nothing-of-this-name") == []
    assert refused(client.jobs.find_unique, name="nothing-of-this-name").error_code == 404
    # A name where an id belongs is not there; clients that try it first then go through the list.
    for manager, text in [(client.jobs, job.name), (client.data_sources, source.name), (client.clusters, "local"),
                          (client.job_binaries, main.name), (client.job_executions, job.name)]:
        assert refused(manager.get, text).error_code == 404
    client.data_sources.delete(source.id)


def test_templates_and_binaries_are_updated(server):
    client = server.client()
    job = template(client, "updated", "#!/bin/sh\ntrue\n")
    new = name("renamed")
    client.jobs.update(job.id, name=new, description="told")
    shown = client.jobs.get(job.id)
    assert (shown.name, shown.description, shown.type) == (new, "told", "Shell")
    main = client.job_binaries.find_unique(name=job.name + ".sh")
    assert client.job_binaries.update(main.id, {"name": new, "description": "told"}).description == "told"
    internal = main.url.split("://")[1]
    client.job_binary_internals.update(internal, name=new)
    assert client.job_binary_internals.get(internal).name == new


def test_plugins_types_and_hints(server):
    client = server.client()
    plugins = client.plugins.list()
    local = client.clusters.find_unique(name="local")
    plugin = client.plugins.get(local.plugin_name)
    assert plugin.name in [one.name for one in plugins] and local.hadoop_version in plugin.versions
    assert client.plugins.get_version_details(plugin.name, local.hadoop_version).node_processes is not None
    types = {one.name: one for one in client.job_types.list()}
    assert {"Shell", "Spark", "Java"} <= set(types)
    assert any(one["name"] == plugin.name for one in types["Shell"].plugins)
    assert set(client.jobs.get_configs("Shell").job_config) == {"configs", "params", "args"}


def test_errors_have_numbers(server):
    client = server.client()
    job = template(client, "errors", "#!/bin/sh\ntrue\n")
    main = client.job_binaries.find_unique(name=job.name + ".sh")
    local = client.clusters.find_unique(name="local").id
    nobody = str(uuid.uuid4())
    for code, kind, call, args, options in [
        (404, "NOT_FOUND", client.jobs.get, [nobody], {}),
        (404, "NOT_FOUND", client.jobs.delete, [nobody], {}),
        (404, "NOT_FOUND", client.jobs.update, [nobody], {"name": "x"}),
        (404, "NOT_FOUND", client.clusters.get, [nobody], {}),
        (404, "NOT_FOUND", client.plugins.get, ["no-such-plugin"], {}),
        (404, "NOT_FOUND", client.jobs.get_configs, ["NoSuchType"], {}),
        (404, "NOT_FOUND", client.jobs.list, [], {"marker": nobody}),
        (404, "NOT_FOUND", client.job_executions.create, [nobody, local], {}),
        (400, "DB_DUPLICATE_ENTRY", client.jobs.create, [job.name, "Shell"], {"mains": [main.id]}),
        (400, "DB_DUPLICATE_ENTRY", client.job_binaries.create, [main.name, main.url], {}),
        (400, "DB_DUPLICATE_ENTRY", client.job_binary_internals.create, [main.name, "again"], {}),
        (400, "BAD_JOB_BINARY", client.job_binary_internals.create, [name("empty"), ""], {}),
        (400, "INVALID_DATA", client.jobs.create, [name("no-main"), "Shell"], {}),
        (400, "VALIDATION_ERROR", client.jobs.create, [name("type"), "NoSuchType"], {}),
        (400, "VALIDATION_ERROR", client.jobs.create, ["not a name", "Shell"], {"mains": [main.id]}),
        (400, "NOT_FOUND", client.jobs.create, [name("main"), "Shell"], {"mains": [nobody]}),
        (400, "INVALID_REFERENCE", client.job_executions.create, [job.id, nobody], {}),
        (400, "VALIDATION_ERROR", client.job_executions.create, [job.id, local], {"configs": {"unknown": 1}}),
        (400, 400, client.jobs.list, [], {"limit": -1}),
        (400, 400, client.jobs.list, [], {"sort_by": "no_such_field"}),
    ]:
        error = refused(call, *args, **options)
        told = "%s%s: %s %s" % (call.__qualname__, args, error.error_code, error.error_name)
        assert (error.error_code, error.error_name) == (code, kind), told
    # Routes that are none, and a token that is none.
    api = client.jobs.api
    for answer, code in [(api.get("/no-such-thing"), 404), (api.put("/jobs", json={}), 405)]:
        assert answer.status_code == code and answer.json()["error_code"] == code, answer.text
    endpoint = api.get_endpoint()
    stranger = sahara.Client("1.1", session=server.session(token_endpoint.Token(endpoint, "no-token")))
    assert refused(stranger.jobs.list).error_code == 401
