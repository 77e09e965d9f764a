"""python-saharaclient, API 2: every method of every manager, against clusters of plugin `local` that the client makes."""
import inspect
import json
import uuid

from saharaclient import client as sahara
from saharaclient.api import base

from server import ENDED, name, output, refused, tagged, until
from test_clusters import counts, delete, gone, group, registered, settled, verified

SLEEPER = "#!/bin/sh\nsetsid sleep 300 &\necho asleep\nsleep 300\n"
MANAGERS = ("clusters", "cluster_templates", "node_group_templates", "plugins", "images", "data_sources", "job_templates",
            "jobs", "job_binaries", "job_types")
# `manager.method` of each call that a test made.
_called = set()


class Watched:
    """A manager that notes which of its methods are called."""

    def __init__(self, manager, label):
        self._manager, self._label = manager, label

    def __getattr__(self, key):
        _called.add("%s.%s" % (self._label, key))
        return getattr(self._manager, key)


def v2(server):
    client = sahara.Client("2", session=server.session())
    for key in MANAGERS:
        setattr(client, key, Watched(getattr(client, key), key))
    return client


def main_binary(server, client, text):
    """Version 2 has no uploads, so the text goes in by 1.1 and its URL is used here."""
    its = name("main") + ".sh"
    internal = server.client().job_binary_internals.create(its, text)
    return client.job_binaries.create(its, "internal-db://" + internal.id)


def template(server, client, begin, text):
    main = main_binary(server, client, text)
    return client.job_templates.create(name(begin), "Shell", mains=[main.id])


def cluster_of(client, **more):
    made = client.clusters.create(name("two"), "local", "1.0", node_groups=[group(2)], **more)
    settled(client, made.id)
    return made


def wait_for(client, id, wanted):
    def check():
        job = client.jobs.refresh_status(id)
        now = job.info["status"]
        assert now == wanted or now not in ENDED, job.to_dict()
        return job if now == wanted else None

    return until("%s %s" % (id, wanted), check)


def text_of(server, id, stream="stdout"):
    return output(server.client(), id, stream)


def has(one, of_version_2, of_version_1):
    shown = one if isinstance(one, dict) else one.to_dict()
    assert of_version_2 in shown and of_version_1 not in shown, sorted(shown)
    return shown


def test_a_job_from_template_to_log(server):
    client = v2(server)
    cluster = cluster_of(client)
    job_template = template(server, client, "two", '#!/bin/sh\necho "$1|$NAME"\n')
    assert has(job_template, "project_id", "tenant_id")["mains"][0]["name"].endswith(".sh")
    configs = {"args": ["one"], "params": {"NAME": "a value"}}
    job = client.jobs.create(job_template.id, cluster.id, configs=configs, is_public=False, is_protected=False)
    shown = has(job, "job_template_id", "job_id")
    assert shown["job_template_id"] == job_template.id and shown["cluster_id"] == cluster.id and "oozie_job_id" not in shown
    assert has(job, "project_id", "tenant_id")["info"]["status"] == "PENDING"
    ended = wait_for(client, job.id, "SUCCEEDED")
    assert ended.end_time and ended.return_code == "0" and ended.engine_job_id
    assert client.jobs.get(job.id).to_dict() == ended.to_dict()
    assert text_of(server, job.id) == "one|a value\n"
    assert job.id in [one.id for one in client.jobs.list(search_opts={"status": "SUCCEEDED"})]
    assert job.id not in [one.id for one in client.jobs.list(search_opts={"status": "FAILED"})]
    assert client.jobs.find_unique(id=job.id).id == job.id
    client.jobs.update(job.id, is_public=True, is_protected=True)
    assert client.jobs.get(job.id).is_protected is True
    assert refused(client.jobs.delete, job.id).error_name == "DELETION_FAILED"
    client.jobs.update(job.id, is_public=False, is_protected=False)
    assert refused(client.job_templates.delete, job_template.id).error_name == "DELETION_FAILED"
    client.jobs.delete(job.id)
    until("404", lambda: client.jobs.api.get("/jobs/" + job.id).status_code == 404)
    client.job_templates.delete(job_template.id)
    for call in (client.jobs.get, client.jobs.refresh_status, client.jobs.delete):
        assert refused(call, job.id).error_code == 404
    delete(client, cluster.id)


def test_a_job_is_cancelled(server):
    """The library has no cancel: it is a PATCH through its session."""
    client = v2(server)
    cluster = cluster_of(client)
    job = client.jobs.create(template(server, client, "cancelled", SLEEPER).id, cluster.id)
    wait_for(client, job.id, "RUNNING")
    until("it sleeps", lambda: text_of(server, job.id) == "asleep\n")
    until("its shell and both sleepers", lambda: len(tagged(job.id)) >= 3)
    answer = client.jobs.api.patch("/jobs/" + job.id, json={"info": {"status": "cancel"}})
    assert answer.status_code == 202 and answer.json()["job"]["id"] == job.id, answer.text
    assert answer.headers["OpenStack-API-Version"] == "data-processing 2.0"
    ended = wait_for(client, job.id, "KILLED")
    assert ended.end_time and not tagged(job.id)
    client.jobs.delete(job.id)
    until("404", lambda: client.jobs.api.get("/jobs/" + job.id).status_code == 404)
    delete(client, cluster.id)


def test_a_running_job_is_deleted(server):
    client = v2(server)
    cluster = cluster_of(client)
    job = client.jobs.create(template(server, client, "deleted", SLEEPER).id, cluster.id)
    wait_for(client, job.id, "RUNNING")
    until("it sleeps", lambda: text_of(server, job.id) == "asleep\n")
    client.jobs.delete(job.id)
    until("404", lambda: client.jobs.api.get("/jobs/" + job.id).status_code == 404)
    until("none of its processes", lambda: not tagged(job.id))
    delete(client, cluster.id)


def test_the_jobs_of_a_deleted_cluster_end(server):
    client = v2(server)
    cluster = cluster_of(client)
    job = client.jobs.create(template(server, client, "homeless", SLEEPER).id, cluster.id)
    wait_for(client, job.id, "RUNNING")
    until("it sleeps", lambda: text_of(server, job.id) == "asleep\n")
    delete(client, cluster.id)
    assert not tagged(job.id), "a cluster is gone only when nothing of it runs"
    answer = client.jobs.api.get("/jobs/" + job.id)
    assert answer.status_code == 404 or answer.json()["job"]["info"]["status"] in ENDED, answer.text
    if answer.status_code == 200:
        client.jobs.delete(job.id)
        until("404", lambda: client.jobs.api.get("/jobs/" + job.id).status_code == 404)


def test_job_templates(server):
    client = v2(server)
    main, its = main_binary(server, client, "#!/bin/sh\ntrue\n"), name("plan")
    made = client.job_templates.create(its, "Shell", mains=[main.id], libs=[], description="of a test", interface=[
        {"name": "first", "mapping_type": "args", "location": "0", "required": False, "value_type": "string",
         "default": "x"}], is_public=False, is_protected=False)
    shown = has(client.job_templates.get(made.id), "project_id", "tenant_id")
    assert shown["interface"][0]["name"] == "first" and shown["mains"][0]["id"] == main.id
    has(shown["mains"][0], "project_id", "tenant_id")
    assert client.job_templates.find_unique(name=its).id == made.id
    assert [one.id for one in client.job_templates.list(search_opts={"name": its, "type": "Shell"})] == [made.id]
    assert len(client.job_templates.list(limit=1, sort_by="name", reverse=True)) == 1
    new = name("plan")
    told = client.job_templates.update(made.id, name=new, description="told", is_public=False, is_protected=False)
    assert (told.job_template["name"], told.job_template["description"]) == (new, "told")
    hints = client.job_templates.get_configs("Shell").to_dict()
    assert set(hints["job_config"]) == {"configs", "params", "args"}
    assert refused(client.job_templates.get_configs, "NoSuchType").error_code == 404
    assert refused(client.jobs.create, str(uuid.uuid4()), str(uuid.uuid4())).error_code == 400
    client.job_templates.delete(made.id)
    for call in (client.job_templates.get, client.job_templates.delete):
        assert refused(call, made.id).error_code == 404


def test_job_binaries_and_types(server):
    client = v2(server)
    text, secret = "#!/bin/sh\ntrue\n", "a-very-secret-word"
    main = main_binary(server, client, text)
    assert client.job_binaries.get_file(main.id) == text.encode()
    its = name("swift")
    made = client.job_binaries.create(its, "swift://box/it", description="of a test", is_public=False, is_protected=False,
                                      extra={"user": "me", "password": secret})
    for one in (made, client.job_binaries.get(made.id), client.job_binaries.find_unique(name=its)):
        assert secret not in json.dumps(has(one, "project_id", "tenant_id"))
    told = client.job_binaries.update(made.id, {"description": "told", "url": "swift://box/other"})
    assert (told.description, told.url) == ("told", "swift://box/other")
    assert [one.id for one in client.job_binaries.list(search_opts={"name": its})] == [made.id]
    for one in (made, main):
        client.job_binaries.delete(one.id)
        assert refused(client.job_binaries.get, one.id).error_code == 404
        assert refused(client.job_binaries.get_file, one.id).error_code == 404
    assert {"Shell", "Java", "Spark"} <= {one.name for one in client.job_types.list()}
    assert [one.name for one in client.job_types.list(search_opts={"type": "Shell"})] == ["Shell"]
    shell = client.job_types.find_unique(name="Shell")
    assert "local" in [plugin["name"] for plugin in shell.plugins]
    found = client.job_types.list(search_opts={"plugin_name": "local", "plugin_version": "1.0"})
    assert all([plugin["name"] for plugin in one.plugins] == ["local"] for one in found) and found


def test_data_sources(server):
    client, secret = v2(server), "a-very-secret-word"
    its = name("source")
    made = client.data_sources.create(its, "of a test", "swift", "swift://box/in", credential_user="me",
                                      credential_pass=secret, is_public=False, is_protected=False)
    other = client.data_sources.create(name("source"), "", "s3", "s3://bucket/in", s3_credentials={
        "accesskey": "key", "secretkey": secret, "endpoint": "s3.example.org", "ssl": True, "bucket_in_path": False})
    for one in [made, other, *client.data_sources.list(), client.data_sources.find_unique(name=its)]:
        assert secret not in json.dumps(has(one, "project_id", "tenant_id"))
    told = client.data_sources.update(made.id, {"description": "told", "url": "swift://box/else"})
    assert told.data_source["url"] == "swift://box/else"
    assert client.data_sources.get(made.id).description == "told"
    assert made.id in [one.id for one in client.data_sources.list(search_opts={"type": "swift"})]
    assert made.id not in [one.id for one in client.data_sources.list(search_opts={"type": "s3"})]
    assert len(client.data_sources.list(limit=1, sort_by="name")) == 1
    for one in (made, other):
        client.data_sources.delete(one.id)
        assert refused(client.data_sources.get, one.id).error_code == 404


def test_clusters(server):
    client = v2(server)
    image, its = registered(client), name("two")
    made = client.clusters.create(
        its, "local", "1.0", default_image_id=image, is_transient=False, description="of a test", cluster_configs={},
        node_groups=[group(3)], user_keypair_id="a-key", anti_affinity=[], use_autoconfig=True, shares=[],
        is_public=False, is_protected=False)
    has(has(made, "project_id", "tenant_id"), "plugin_version", "hadoop_version")
    cluster = settled(client, made.id)
    assert counts(cluster) == {"workers": (3, 3)}
    steps = client.clusters.get(made.id, show_progress=True).provision_progress
    assert steps and all(step["successful"] is True and step["events"] == [] for step in steps)
    for step in steps:
        has(step, "project_id", "tenant_id")
    found = client.clusters.list(search_opts={"plugin_name": "local", "plugin_version": "1.0", "name": its})
    assert [one.id for one in found] == [made.id] and client.clusters.find_unique(name=its).id == made.id
    # Which instance goes is said by its id or its name.
    victim = cluster.node_groups[0]["instances"][0]
    told = client.clusters.scale(made.id, {"resize_node_groups": [
        {"name": "workers", "count": 2, "instances": [victim["instance_id"]]}]}).cluster
    assert told["id"] == made.id
    after = settled(client, made.id)
    left = [one["instance_id"] for one in after.node_groups[0]["instances"]]
    assert len(left) == 2 and victim["instance_id"] not in left
    victim = after.node_groups[0]["instances"][1]
    client.clusters.scale(made.id, {
        "resize_node_groups": [{"name": "workers", "count": 1, "instances": [victim["instance_name"]]}],
        "add_node_groups": [group(1, "more")]})
    after = settled(client, made.id)
    assert counts(after) == {"workers": (1, 1), "more": (1, 1)}
    assert victim["instance_id"] not in [one["instance_id"] for part in after.node_groups for one in part["instances"]]
    new = name("two")
    told = client.clusters.update(made.id, name=new, description="told", is_public=True, is_protected=False).cluster
    assert (told["name"], told["description"], told["is_public"]) == (new, "told", True)
    assert client.clusters.update_keypair(made.id).cluster["id"] == made.id
    client.clusters.update(made.id, is_public=False)
    verified(client, made.id)
    client.clusters.update(made.id, is_protected=True)
    for call in (client.clusters.delete, client.clusters.force_delete):
        assert refused(call, made.id).error_name == "DELETION_FAILED"
    client.clusters.update(made.id, is_protected=False)
    delete(client, made.id)


def test_several_clusters_and_force_delete(server):
    client = v2(server)
    begin = name("several")
    made = client.clusters.create(begin, "local", "1.0", node_groups=[group()], count=2)
    several = [one["cluster"] for one in made.clusters]
    assert [one["name"] for one in several] == [begin + "-1", begin + "-2"]
    for one in several:
        has(one, "plugin_version", "hadoop_version")
        settled(client, one["id"])
    told = client.clusters.force_delete(several[0]["id"])
    assert set(told) == {"stack_name"}, told
    gone(client, several[0]["id"])
    delete(client, several[1]["id"])
    # A cluster in Error goes the same way.
    error = refused(client.clusters.create, begin, "local", "1.0", node_groups=[group(0)])
    assert error.error_code == 400
    id = client.clusters.find_unique(name=begin).id
    client.clusters.force_delete(id)
    gone(client, id)
    assert refused(client.clusters.force_delete, id).error_code == 404


def test_node_group_templates(server):
    client, its = v2(server), name("kind")
    manager = client.node_group_templates
    made = manager.create(its, "local", "1.0", "2", description="of a test", node_processes=["local"],
                          node_configs={"local": {"slots": 1}}, boot_from_volume=True, boot_volume_type="fast",
                          boot_volume_availability_zone="here", boot_volume_local_to_instance=False, shares=[])
    has(has(made, "plugin_version", "hadoop_version"), "project_id", "tenant_id")
    assert made.boot_from_volume is True and made.boot_volume_type == "fast"
    new = name("kind")
    told = manager.update(made.id, name=new, plugin_name="local", plugin_version="1.0", flavor_id="3",
                          boot_from_volume=False)
    assert (told.name, told.flavor_id, told.boot_from_volume) == (new, "3", False)
    assert manager.get(made.id).to_dict() == told.to_dict()
    assert made.id in [one.id for one in manager.list(search_opts={"plugin_name": "local", "plugin_version": "1.0"})]
    assert manager.find_unique(name=new).id == made.id
    exported = manager.export(made.id).node_group_template
    assert not {"id", "created_at", "updated_at", "project_id", "tenant_id", "is_default"} & set(exported), sorted(exported)
    assert exported["flavor_id"] == "{flavor_id}"
    again = dict(exported, name=name("kind"), flavor_id="4", image_id=None, floating_ip_pool=None, security_groups=None)
    copy = manager.create(**again)
    assert copy.plugin_version == "1.0"
    for one in (made, copy):
        manager.delete(one.id)
        assert refused(manager.get, one.id).error_code == 404


def test_cluster_templates(server):
    client, its = v2(server), name("plan")
    manager, image = client.cluster_templates, registered(client)
    kind = client.node_group_templates.create(name("kind"), "local", "1.0", "2", node_processes=["local"])
    made = manager.create(its, "local", "1.0", description="of a test", default_image_id=image, domain_name=None,
                          node_groups=[{"name": "workers", "count": 2, "node_group_template_id": kind.id}])
    has(has(made, "plugin_version", "hadoop_version"), "project_id", "tenant_id")
    new = name("plan")
    told = manager.update(made.id, name=new, plugin_name="local", plugin_version="1.0", description="told")
    assert (told.name, told.description) == (new, "told")
    assert manager.get(made.id).to_dict() == told.to_dict()
    assert made.id in [one.id for one in manager.list(search_opts={"plugin_name": "local", "plugin_version": "1.0"})]
    assert manager.find_unique(name=new).id == made.id
    exported = manager.export(made.id).cluster_template
    assert not {"id", "created_at", "updated_at", "project_id", "tenant_id", "is_default"} & set(exported), sorted(exported)
    assert exported["default_image_id"] == "{default_image_id}" and exported["plugin_version"] == "1.0"
    cluster = client.clusters.create(name("of-plan"), "local", "1.0", cluster_template_id=made.id)
    shown = settled(client, cluster.id)
    assert counts(shown) == {"workers": (2, 2)} and shown.default_image_id == image
    assert refused(manager.delete, made.id).error_name == "INVALID_REFERENCE"
    assert refused(manager.update, made.id, description="another").error_name == "UPDATE_FAILED"
    delete(client, cluster.id)
    manager.delete(made.id)
    client.node_group_templates.delete(kind.id)
    assert refused(manager.get, made.id).error_code == 404


def test_images_and_plugins(server):
    client, id, tag = v2(server), str(uuid.uuid4()), "t" + uuid.uuid4().hex[:8]
    assert client.images.update_image(id, "ubuntu", "told").image["username"] == "ubuntu"
    api = client.images.api
    # The library makes an object of the answer, which an array cannot be; it is read as it is.
    assert api.get("/images/%s/tags" % id).status_code == 200
    assert sorted(client.images.update_tags(id, ["local", tag]).image["tags"]) == sorted(["local", tag])
    assert client.images.update_tags(id, [tag]).image["tags"] == [tag]
    assert api.get("/images/%s/tags" % id).json() == [tag]
    assert [one.id for one in client.images.list(search_opts={"tags": [tag]})] == [id]
    client.images.delete_tags(id)
    # An empty set is an object; the library adds a description to it.
    assert api.get("/images/%s/tags" % id).json() == {} and client.images.get_tags(id).description == ""
    shown = client.images.get(id)
    assert (shown.username, shown.description, shown.tags) == ("ubuntu", "told", [])
    assert client.images.find_unique(id=id).id == id
    client.images.unregister_image(id)
    assert refused(client.images.get, id).error_name == "IMAGE_NOT_REGISTERED"
    assert {"local", "spark"} <= {one.name for one in client.plugins.list()}
    assert client.plugins.find_unique(name="local").versions == ["1.0"]
    assert client.plugins.get("local").id == "local"
    details = client.plugins.get_version_details("local", "1.0")
    assert details.node_processes and details.configs
    told = client.plugins.update("local", {"plugin_labels": {"hidden": {"status": True}}})
    assert told.plugin_labels["hidden"]["status"] is True
    client.plugins.update("local", {"plugin_labels": {"hidden": {"status": False}}})
    assert refused(client.plugins.update, "local", {"plugin_labels": {"stable": {"status": True}}}).error_code == 400
    assert refused(client.plugins.get_version_details, "local", "9.9").error_code == 404


def test_every_method_was_called(server):
    """The last of this file: what the library has and no test called."""
    client, missing = sahara.Client("2", session=server.session()), []
    managers = {key for key, value in vars(client).items() if isinstance(value, base.ResourceManager)}
    assert managers == set(MANAGERS), managers
    for key in MANAGERS:
        for method, _ in inspect.getmembers(getattr(client, key), inspect.ismethod):
            if not method.startswith("_") and "%s.%s" % (key, method) not in _called:
                missing.append("%s.%s" % (key, method))
    # They are of the base class and do the same for each manager.
    missing = [one for one in missing if not one.endswith((".find", ".find_unique"))]
    assert not missing, missing
