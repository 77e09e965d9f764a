"""`openstack mrs ...` and `openstack dataprocessing ...` of Open Telekom Cloud's plugin (otcextensions), each command once.

FOGGARA_OTC is the folder of programs that scripts/setup-mrs-clients.sh prints.
"""
import os

from server import name, refused, until
from shell import Shell

GROUP = "openstack.mrs.v1"


class Command(Shell):
    def __init__(self, server, begin):
        folder = os.environ.get("FOGGARA_OTC")
        python = os.path.join(folder or "", "python")
        assert folder and os.access(python, os.X_OK), "FOGGARA_OTC is no folder of programs: %r" % folder
        super().__init__(server, "otc-" + begin, GROUP, [begin], python)


def test_clusters(server):
    sahara = server.client()
    group = {"name": "workers", "count": 2, "flavor_id": "2", "node_processes": ["local"]}
    named = name("otc")
    made = sahara.clusters.create(named, "local", "1.0", node_groups=[group])
    until("it is Active", lambda: sahara.clusters.get(made.id).status == "Active")
    with Command(server, "mrs") as sh:
        listed = {row["name"]: row for row in sh.table("cluster", "list")}
        assert {"local", named} <= set(listed) and listed[named]["id"] == made.id, listed
        assert (listed[named]["status"], listed[named]["version"]) == ("running", "local 1.0"), listed
        assert named in [row["name"] for row in sh.table("cluster", "list", "--status", "running")]
        assert sh.table("cluster", "list", "--tag", "team=blue") == []
        (first,), (second,) = (sh.table("cluster", "list", "--limit", "1", "--marker", page) for page in "12")
        assert first["id"] != second["id"]
        assert sh.table("cluster", "list", "--limit", "1", "--marker", "99") == []
        # With and without tags; without a value too.
        for tags in ({}, {"team": "blue"}, {"team": "blue", "bare": ""}):
            for key, value in tags.items():
                answer = server.session().post("%s/v1.1/%s/clusters/%s/tags" % (
                    server.url, server.session().get_project_id(), made.id), json={"tag": {"key": key, "value": value}})
                assert answer.status_code == 204, answer.text
            for by in (made.id, named):
                shown = sh.table("cluster", "show", by)
                assert (shown["ID"], shown["name"], shown["status"]) == (made.id, named, "running"), shown
                assert shown["node_groups"][0]["groupName"] == "workers", shown
                told = "".join("key=%s, value=%s\n" % one for one in sorted(tags.items()))
                assert shown.get("tags", "") == told, shown
        assert [row["name"] for row in sh.table("cluster", "list", "--tag", "team=blue")] == [named]
        hosts = sh.table("cluster", "host", "list", made.id)
        assert len(hosts) == 2 and all(row["id"] and row["type"] == "Core" for row in hosts), hosts
        sh.fails("No ClusterInfo found for no-such-cluster", "cluster", "show", "no-such-cluster")
        # Clusters are scaled by Sahara's calls; the refusal says so.
        sh.fails("12000054", "cluster", "update", "--scale_type", "scale_out", "--instances", "1",
                 made.id)
        sh("cluster", "delete", made.id)
        until("it is gone", lambda: named not in [one.name for one in sahara.clusters.list()])
        sh.all_commands_were_run()


def test_objects_of_jobs(server):
    sahara = server.client()
    with Command(server, "dataprocessing") as sh:
        names = [name("otc") for _ in range(3)]
        ids = [sh.table("data", "source", "create", "--name", one, "--type", "obs", "--url", "s3a://b/" + one,
                        "--description", "d")["id"] for one in names]
        # A limit is a size of page: all pages are asked for.
        for limit in ("1", "2", "100"):
            listed = [row["id"] for row in sh.table("data", "source", "list", "--limit", limit)]
            assert sorted(one for one in listed if one in ids) == sorted(ids) and len(set(listed)) == len(listed), listed
        for by in (ids[0], names[0]):
            shown = sh.table("data", "source", "show", by)
            assert (shown["id"], shown["type"], shown["is_public"]) == (ids[0], "obs", False), shown
        changed = sh.table("data", "source", "update", names[0], "--name", names[0] + "-x", "--type", "hdfs",
                           "--url", "/other", "--description", "e")
        assert (changed["id"], changed["url"], changed["type"]) == (ids[0], "/other", "hdfs"), changed
        sh("data", "source", "delete", *ids)
        sh.fails("No ", "data", "source", "show", ids[0])

        jar = name("otc")
        binary = sh.table("job", "binary", "create", "--name", jar, "--url", "s3a://b/a.jar", "--description", "d")["id"]
        assert binary in [row["id"] for row in sh.table("job", "binary", "list", "--limit", "1")]
        assert sh.table("job", "binary", "show", jar)["id"] == binary
        changed = sh.table("job", "binary", "update", jar, "--name", jar + "-x", "--url", "/a.jar", "--description", "e")
        assert (changed["id"], changed["url"], changed["name"]) == (binary, "/a.jar", jar + "-x"), changed

        template = name("otc")
        job = sh.table("job", "create", template, "--type", "MapReduce", "--libs", binary, "--description", "d")["id"]
        scripted = sh.table("job", "create", name("otc"), "--type", "Hive", "--mains", binary)["id"]
        assert {job, scripted} <= {row["id"] for row in sh.table("job", "list", "--limit", "1")}
        shown = sh.table("job", "show", template)
        assert (shown["id"], shown["type"], shown["libs"][0]["id"]) == (job, "MapReduce", binary), shown
        changed = sh.table("job", "update", template, "--name", template + "-x", "--type", "MapReduce", "--description", "e")
        assert (changed["id"], changed["name"], changed["description"]) == (job, template + "-x", "e"), changed
        sh("job", "delete", job, scripted)
        assert refused(sahara.jobs.get, job).error_code == 404
        sh("job", "binary", "delete", binary)
        assert refused(sahara.job_binaries.get, binary).error_code == 404
        sh.all_commands_were_run()
