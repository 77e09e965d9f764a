"""python-saharaclient, API 1.1 and 1.0: clusters, templates of both kinds, images and plugins, each manager's every method."""
import functools
import json
import uuid

from saharaclient import client as sahara

from server import execute, name, output, refused, template, until, wait_for

ENDS = ("Active", "Error")


def of_version(server, version="1.1"):
    """saharaclient of a version; 1.0 has no name in the catalogue, so its URL is given."""
    if version == "1.0":
        return sahara.Client("1.0", session=server.session(), sahara_url=server.url + "/v1.0/" + project(server))
    return sahara.Client(version, session=server.session())


@functools.lru_cache(maxsize=None)
def project(server):
    return server.session().get_project_id()


def settled(client, id):
    """Waits until a cluster is Active; another end fails at once."""
    def check():
        cluster = client.clusters.get(id)
        assert cluster.status != "Deleting", cluster.to_dict()
        return cluster if cluster.status in ENDS else None

    cluster = until("%s is Active" % id, check)
    assert cluster.status == "Active", cluster.status_description
    return cluster


def gone(client, id):
    """Waits until a deleted cluster is not there. Meanwhile each answer is the cluster."""
    def check():
        answer = client.clusters.api.get("/clusters/" + id)
        assert answer.status_code in (200, 404), answer.text
        if answer.status_code == 200:
            assert answer.json()["cluster"]["status"] == "Deleting", answer.text
        return answer.status_code == 404

    until("%s is gone" % id, check)
    error = refused(client.clusters.get, id)
    assert (error.error_code, error.error_name) == (404, "NOT_FOUND")


def delete(client, id):
    client.clusters.delete(id)
    gone(client, id)


def group(count=1, begin="workers", **more):
    return dict({"name": begin, "count": count, "flavor_id": "2", "node_processes": ["local"]}, **more)


def registered(client, tags=("local", "1.0")):
    """A registered image with tags; gives its id."""
    id = str(uuid.uuid4())
    client.images.update_image(id, "ubuntu", "of a test")
    client.images.update_tags(id, list(tags))
    return id


def counts(cluster):
    return {one["name"]: (one["count"], len(one["instances"])) for one in cluster.node_groups}


def verified(client, id):
    """Starts a verification and waits for what it says."""
    started = client.clusters.verification_update(id, "START").cluster
    assert started["verification"]["status"] == "CHECKING" and started["verification"]["checks"] == []

    def check():
        found = client.clusters.get(id).verification
        return found if found["status"] != "CHECKING" else None

    verification = until("it is verified", check)
    assert verification["status"] == "GREEN" and verification["cluster_id"] == id, verification
    assert verification["checks"], "a verification without a check"
    for check in verification["checks"]:
        assert check["name"] and check["status"] == "GREEN" and check["verification_id"] == verification["id"], check
        assert check["description"] and check["id"]
    return verification


def test_a_cluster_runs_a_job(server):
    client = of_version(server)
    image = registered(client)
    made = client.clusters.create(
        name("own"), "local", "1.0", default_image_id=image, description="of a test", is_transient=False,
        cluster_configs={}, node_groups=[group(2, node_configs={"local": {"slots": 2}})], user_keypair_id="a-key",
        anti_affinity=[], use_autoconfig=True, is_public=False, is_protected=False)
    assert made.plugin_name == "local" and made.hadoop_version == "1.0" and made.description == "of a test"
    assert made.default_image_id == image and made.user_keypair_id == "a-key" and made.tenant_id
    assert made.status not in ENDS or made.status == "Active", made.status
    assert [(one["name"], one["count"]) for one in made.node_groups] == [("workers", 2)]
    cluster = settled(client, made.id)
    assert counts(cluster) == {"workers": (2, 2)} and cluster.info["Local"]["Slots"] == 4
    for node in cluster.node_groups[0]["instances"]:
        assert node["id"] and node["instance_id"] and node["instance_name"].startswith(cluster.name + "-workers-"), node
    job = template(client, "on-own", "#!/bin/sh\necho here\n")
    started = client.job_executions.create(job.id, made.id)
    ended = wait_for(client, started.id, "SUCCEEDED")
    assert ended.cluster_id == made.id and output(client, started.id) == "here\n"
    # The steps, with and without their events.
    steps = client.clusters.get(made.id, show_progress=True).provision_progress
    assert steps and all(step["successful"] is True and step["events"] == [] for step in steps), steps
    for step in steps:
        assert step["step_name"] and step["step_type"] and type(step["total"]) is int and step["cluster_id"] == made.id
    assert all("events" not in step for step in client.clusters.get(made.id).provision_progress)
    client.job_executions.delete(started.id)
    until("no execution", lambda: not client.job_executions.list(search_opts={"job.name": job.name}))
    delete(client, made.id)
    assert made.id not in [one.id for one in client.clusters.list()]


def test_several_of_one_request(server):
    client = of_version(server)
    begin = name("several")
    made = client.clusters.create(begin, "local", "1.0", node_groups=[group()], count=3)
    assert len(made.clusters) == 3 and all(type(id) is str for id in made.clusters), made.to_dict()
    clusters = [settled(client, id) for id in made.clusters]
    assert sorted(one.name for one in clusters) == [begin + "-1", begin + "-2", begin + "-3"]
    # The library sends a count of one as none.
    alone = client.clusters.create(begin, "local", "1.0", node_groups=[group()], count=1)
    assert alone.name == begin
    error = refused(client.clusters.create, begin, "local", "1.0", node_groups=[group()], count=2)
    assert (error.error_code, error.error_name) == (400, "NAME_ALREADY_EXISTS")
    settled(client, alone.id)
    for id in [*made.clusters, alone.id]:
        delete(client, id)


def test_a_cluster_is_scaled(server):
    client = of_version(server)
    its = name("scaled")
    kind = client.node_group_templates.create(name("more"), "local", "1.0", "2", node_processes=["local"])
    id = client.clusters.create(its, "local", "1.0", node_groups=[group(1)]).id
    settled(client, id)
    scaled = client.clusters.scale(id, {"resize_node_groups": [{"name": "workers", "count": 3}]}).cluster
    assert scaled["id"] == id and scaled["status"] not in ENDS or scaled["status"] == "Active"
    assert counts(settled(client, id)) == {"workers": (3, 3)}
    client.clusters.scale(id, {
        "resize_node_groups": [{"name": "workers", "count": 1}],
        "add_node_groups": [{"name": "more", "count": 2, "node_group_template_id": kind.id}, group(1, "other")]})
    cluster = settled(client, id)
    assert counts(cluster) == {"workers": (1, 1), "more": (2, 2), "other": (1, 1)}
    assert cluster.info["Local"]["Slots"] == 4
    of = {one["name"]: one["node_group_template_id"] for one in cluster.node_groups}
    assert of == {"workers": None, "more": kind.id, "other": None}
    client.clusters.scale(id, {"resize_node_groups": [{"name": "more", "count": 0}]})
    assert counts(settled(client, id))["more"] == (0, 0)
    for bad in ({}, {"resize_node_groups": [{"name": "nothing", "count": 1}]}, {"add_node_groups": [group(1)]},
                {"resize_node_groups": [{"name": "workers", "count": 1}] * 2}):
        assert refused(client.clusters.scale, id, bad).error_code == 400, bad
    assert refused(client.clusters.scale, str(uuid.uuid4()), {"add_node_groups": [group()]}).error_code == 404
    error = refused(client.node_group_templates.delete, kind.id)
    assert (error.error_code, error.error_name) == (400, "INVALID_REFERENCE")
    delete(client, id)
    client.node_group_templates.delete(kind.id)


def test_a_cluster_is_updated_and_verified(server):
    client = of_version(server)
    share = {"id": str(uuid.uuid4()), "path": "/mnt/share", "access_level": "ro"}
    id = client.clusters.create(name("updated"), "local", "1.0", node_groups=[group()]).id
    settled(client, id)
    new = name("renamed")
    told = client.clusters.update(id, name=new, description="told", is_public=True, is_protected=True, shares=[share]).cluster
    shown = client.clusters.get(id)
    for one in (told, shown.to_dict()):
        assert (one["name"], one["description"], one["is_public"], one["is_protected"]) == (new, "told", True, True)
        assert one["shares"] == [share]
    assert refused(client.clusters.delete, id).error_name == "DELETION_FAILED"
    assert refused(client.clusters.update, id, name=name("again")).error_name == "UPDATE_FAILED"
    client.clusters.update(id, is_public=False, is_protected=False)
    client.clusters.update(id, description=None)
    assert client.clusters.get(id).description is None
    first = verified(client, id)
    assert verified(client, id)["id"] != first["id"]
    assert refused(client.clusters.verification_update, id, "STOP").error_code == 400
    error = refused(client.clusters.verification_update, str(uuid.uuid4()), "START")
    assert error.error_code in (400, 404)
    delete(client, id)
    assert refused(client.clusters.update, id, name="x").error_code == 404
    assert refused(client.clusters.delete, id).error_code == 404


def test_clusters_are_listed_and_found(server):
    client = of_version(server)
    first, second = (client.clusters.create(name("listed"), "local", "1.0", node_groups=[group()]) for _ in range(2))
    for one in (first, second):
        settled(client, one.id)
    assert {first.id, second.id} <= {one.id for one in client.clusters.list()}
    assert client.clusters.find_unique(name=first.name).id == first.id
    assert client.clusters.list(search_opts={"name": second.name})[0].id == second.id
    assert client.clusters.list(search_opts={"plugin_name": "spark"}) == []
    found = client.clusters.list(search_opts={"plugin_name": "local", "hadoop_version": "1.0"})
    assert {first.id, second.id} <= {one.id for one in found}
    page = client.clusters.list(limit=1, sort_by="name", reverse=True)
    assert len(page) == 1 and page.next, "the first of several pages"
    after = client.clusters.list(limit=1, marker=page.next, sort_by="name", reverse=True)
    assert len(after) == 1 and after[0].id != page[0].id
    # What both lists and dashboards read of each.
    for one in client.clusters.list():
        assert one.status and one.name and type(one.node_groups) is list and hasattr(one, "default_image_id")
    for one in (first, second):
        delete(client, one.id)


def test_a_cluster_that_cannot_be(server):
    client = of_version(server)
    free = {"node_groups": [group()]}
    for kind, args, more in [
        ("INVALID_REFERENCE", ["no-such-plugin", "1.0"], free),
        ("INVALID_REFERENCE", ["local", "9.9"], free),
        ("NOT_FOUND", ["local", "1.0"], {"cluster_template_id": str(uuid.uuid4())}),
        ("VALIDATION_ERROR", ["local", "1.0"], {"node_groups": [{"name": "x", "count": 1}]}),
    ]:
        error = refused(client.clusters.create, name("bad"), *args, **more)
        assert (error.error_code, error.error_name) == (400, kind), (args, more, error.error_name, str(error))
    assert refused(client.clusters.create, "not a host name", "local", "1.0", **free).error_code == 400
    # What the plugin does not take stays as a cluster in Error.
    its = name("refused")
    error = refused(client.clusters.create, its, "local", "1.0", node_groups=[group(0)])
    assert error.error_code == 400, str(error)
    found = client.clusters.find_unique(name=its)
    assert found.status == "Error" and found.status_description
    job = template(client, "on-error", "#!/bin/sh\ntrue\n")
    # A job waits there until the cluster is Active, which it will not be.
    waiting = client.job_executions.create(job.id, found.id)
    assert client.job_executions.get(waiting.id).info["status"] == "PENDING"
    assert refused(client.clusters.scale, found.id, {"add_node_groups": [group(1, "x")]}).error_name == "INVALID_REFERENCE"
    assert refused(client.clusters.verification_update, found.id, "START").error_name == "CANNOT_VERIFY"
    assert client.job_executions.get(waiting.id).info["status"] == "PENDING"
    client.job_executions.delete(waiting.id)
    until("404", lambda: client.job_executions.api.get("/job-executions/" + waiting.id).status_code == 404)
    delete(client, found.id)


def test_node_group_templates(server):
    client = of_version(server)
    manager, its = client.node_group_templates, name("kind")
    made = manager.create(
        its, "local", "1.0", "2", description="of a test", volumes_per_node=2, volumes_size=10, node_processes=["local"],
        node_configs={"local": {"slots": 2}}, floating_ip_pool="a-pool", security_groups=["one"], auto_security_group=True,
        availability_zone="here", volumes_availability_zone="there", volume_type="fast", image_id=registered(client),
        is_proxy_gateway=False, volume_local_to_instance=True, use_autoconfig=False, shares=[], is_public=True,
        is_protected=False, volume_mount_prefix="/mnt/disk")
    shown = manager.get(made.id)
    for one in (made, shown):
        assert (one.name, one.flavor_id, one.plugin_name, one.hadoop_version) == (its, "2", "local", "1.0")
        assert one.node_processes == ["local"] and one.node_configs == {"local": {"slots": 2}}
        assert (one.volumes_per_node, one.volumes_size, one.volume_mount_prefix) == (2, 10, "/mnt/disk")
        assert one.is_public is True and one.use_autoconfig is False and one.security_groups == ["one"]
    new = name("kind")
    told = manager.update(made.id, name=new, description=None, volumes_per_node=0, node_configs={}, flavor_id="3",
                          is_public=False)
    assert (told.name, told.description, told.flavor_id, told.is_public) == (new, None, "3", False)
    assert told.to_dict() == manager.get(made.id).to_dict()
    assert refused(manager.update, made.id, plugin_name="spark").error_name == "INVALID_REFERENCE"
    manager.update(made.id, is_protected=True)
    assert refused(manager.delete, made.id).error_name == "DELETION_FAILED"
    manager.update(made.id, is_protected=False)
    assert [one.id for one in manager.find(name=new)] == [made.id]
    assert made.id in [one.id for one in manager.list(search_opts={"plugin_name": "local", "hadoop_version": "1.0"})]
    assert made.id not in [one.id for one in manager.list(search_opts={"plugin_name": "spark"})]
    exported = manager.export(made.id).node_group_template
    assert exported["name"] == new and exported["node_processes"] == ["local"]
    hidden = {"id", "created_at", "updated_at", "tenant_id", "is_default"}
    assert not hidden & set(exported), sorted(hidden & set(exported))
    for key in ("flavor_id", "image_id", "floating_ip_pool"):
        assert exported[key] == "{%s}" % key, (key, exported[key])
    boot = [key for key in exported if key.startswith("boot_")]
    assert not boot, "the library's create of this version has no such parameters: %s" % boot
    # What `import` does: the file, with what it leaves open.
    again = dict(exported, name=name("kind"), flavor_id="4", image_id=None, floating_ip_pool=None, security_groups=None)
    copy = manager.create(**again)
    assert copy.flavor_id == "4"
    error = refused(manager.create, new, "local", "1.0", "2", node_processes=["local"])
    assert (error.error_code, error.error_name) == (400, "NAME_ALREADY_EXISTS")
    assert refused(manager.create, name("x"), "local", "1.0", "2", node_processes=[]).error_code == 400
    assert refused(manager.create, name("x"), "local", "1.0", "2", node_processes=["namenode"]).error_code == 400
    for one in (made, copy):
        manager.delete(one.id)
        assert refused(manager.get, one.id).error_code == 404
        assert refused(manager.delete, one.id).error_code == 404
    assert refused(manager.export, made.id).error_code == 404


def test_cluster_templates(server):
    client = of_version(server)
    manager, its, image = client.cluster_templates, name("plan"), registered(client)
    kind = client.node_group_templates.create(name("of-plan"), "local", "1.0", "2", node_processes=["local"])
    groups = [{"name": "one", "count": 2, "node_group_template_id": kind.id}, group(1, "two")]
    made = manager.create(its, "local", "1.0", description="of a test", cluster_configs={}, node_groups=groups,
                          anti_affinity=[], default_image_id=image, use_autoconfig=True, shares=[], is_public=False,
                          is_protected=False, domain_name="example.org.")
    for one in (made, manager.get(made.id)):
        assert (one.name, one.plugin_name, one.hadoop_version) == (its, "local", "1.0")
        assert one.default_image_id == image and one.domain_name == "example.org."
        assert [(part["name"], part["count"]) for part in one.node_groups] == [("one", 2), ("two", 1)]
        assert one.node_groups[0]["node_group_template_id"] == kind.id
    new = name("plan")
    told = manager.update(made.id, name=new, description="told", domain_name=None)
    assert (told.name, told.description) == (new, "told") and len(told.node_groups) == 2
    assert refused(manager.update, made.id, plugin_name="spark").error_name == "INVALID_REFERENCE"
    exported = manager.export(made.id).cluster_template
    assert exported["name"] == new and exported["default_image_id"] == "{default_image_id}"
    assert not {"id", "created_at", "updated_at", "tenant_id", "is_default"} & set(exported)
    json.dumps(exported)
    assert manager.find_unique(name=new).id == made.id
    assert made.id in [one.id for one in manager.list(search_opts={"plugin_name": "local", "hadoop_version": "1.0"})]
    assert len(manager.list(limit=1)) == 1
    # A cluster of it: what it does not say itself, the template says.
    cluster = client.clusters.create(name("of-plan"), "local", "1.0", cluster_template_id=made.id)
    shown = settled(client, cluster.id)
    assert shown.cluster_template_id == made.id and shown.default_image_id == image
    assert counts(shown) == {"one": (2, 2), "two": (1, 1)}
    for error in (refused(manager.delete, made.id), refused(client.node_group_templates.delete, kind.id)):
        assert (error.error_code, error.error_name) == (400, "INVALID_REFERENCE"), str(error)
    error = refused(manager.update, made.id, description="another")
    assert (error.error_code, error.error_name) == (400, "UPDATE_FAILED"), str(error)
    delete(client, cluster.id)
    manager.update(made.id, node_groups=[group(1, "two")])
    assert [part["name"] for part in manager.get(made.id).node_groups] == ["two"]
    client.node_group_templates.delete(kind.id)
    error = refused(manager.create, new, "local", "1.0")
    assert (error.error_code, error.error_name) == (400, "NAME_ALREADY_EXISTS")
    assert refused(manager.create, name("x"), "no-such-plugin", "1.0").error_code == 400
    manager.delete(made.id)
    for call in (manager.get, manager.delete, manager.export):
        assert refused(call, made.id).error_code == 404


def test_images(server):
    client = of_version(server)
    id, tag = str(uuid.uuid4()), "t" + uuid.uuid4().hex[:8]
    error = refused(client.images.get, id)
    assert (error.error_code, error.error_name) == (400, "IMAGE_NOT_REGISTERED")
    told = client.images.update_image(id, "ubuntu").image
    assert (told["id"], told["username"], told["tags"]) == (id, "ubuntu", [])
    assert sorted(client.images.update_tags(id, ["local", tag]).tags) == sorted(["local", tag])
    assert client.images.update_tags(id, [tag]).tags == [tag], "what is not named goes"
    assert client.images.update_tags(id, [tag]).tags == [tag], "nothing to do"
    shown = client.images.update_image(id, "centos", "told").image
    assert (shown["username"], shown["description"], shown["tags"]) == ("centos", "told", [tag])
    image = client.images.get(id)
    assert image.status == "ACTIVE" and image.name and image.description == "told"
    assert [one.id for one in client.images.list(search_opts={"tags": [tag]})] == [id]
    assert client.images.list(search_opts={"tags": [tag, "no-such-tag"]}) == []
    assert [one.id for one in client.images.list(search_opts={"name": image.name})] == [id]
    assert client.images.find_unique(id=id).username == "centos"
    assert refused(client.images.update_tags, id, ["not a tag"]).error_code == 400
    client.images.unregister_image(id)
    assert id not in [one.id for one in client.images.list()]
    assert refused(client.images.get, id).error_name == "IMAGE_NOT_REGISTERED"


def test_plugins(server):
    client = of_version(server)
    names = [one.name for one in client.plugins.list()]
    assert {"local", "spark"} <= set(names)
    for its in names:
        plugin = client.plugins.get(its)
        assert plugin.id == plugin.name == its and plugin.title and plugin.description and plugin.versions
        assert {"enabled", "hidden"} <= set(plugin.plugin_labels)
        assert set(plugin.version_labels) == set(plugin.versions)
        for version in plugin.versions:
            details = client.plugins.get_version_details(its, version)
            # What runs elsewhere has no nodes here.
            assert type(details.node_processes) is dict and type(details.required_image_tags) is list
            for item in details.configs:
                assert item["name"] and item["applicable_target"] and item["scope"] in ("cluster", "node"), item
                assert item["config_type"] in ("string", "bool", "int", "enum") and item["priority"] in (1, 2), item
    told = client.plugins.update("local", {"plugin_labels": {"hidden": {"status": True}},
                                           "version_labels": {"1.0": {"enabled": {"status": True}}}})
    assert told.plugin_labels["hidden"]["status"] is True
    assert client.plugins.get("local").plugin_labels["hidden"]["status"] is True
    client.plugins.update("local", {"plugin_labels": {"hidden": {"status": False}, "enabled": {"status": False}}})
    error = refused(client.clusters.create, name("disabled"), "local", "1.0", node_groups=[group()])
    assert (error.error_code, error.error_name) == (400, "INVALID_REFERENCE"), str(error)
    client.plugins.update("local", {"plugin_labels": {"enabled": {"status": True}}})
    error = refused(client.plugins.update, "local", {"plugin_labels": {"stable": {"status": False}}})
    assert (error.error_code, error.error_name) == (400, "INVALID_DATA")
    for call, args in [(client.plugins.get, ["nothing"]), (client.plugins.get_version_details, ["local", "9.9"])]:
        assert refused(call, *args).error_code == 404
    # No plugin converts a file to a template; the library says so in its own words.
    try:
        client.plugins.convert_to_cluster_template("local", "1.0", "converted", "a file")
    except RuntimeError as error:
        assert "local" in str(error)
    else:
        raise AssertionError("a file became a template")


def test_version_1_0(server):
    """The older version has the same clusters, templates, images and plugins, and no jobs."""
    client, newer = of_version(server, "1.0"), of_version(server)
    image = registered(client)
    kind = client.node_group_templates.create(name("old"), "local", "1.0", "2", node_processes=["local"])
    plan = client.cluster_templates.create(name("old"), "local", "1.0", default_image_id=image, node_groups=[
        {"name": "workers", "count": 1, "node_group_template_id": kind.id}])
    begin = name("old")
    made = client.clusters.create(begin, "local", "1.0", cluster_template_id=plan.id, count=2)
    for id in made.clusters:
        assert settled(client, id).cluster_template_id == plan.id
        assert newer.clusters.get(id).to_dict() == client.clusters.get(id).to_dict(), "one cluster in both versions"
    first, second = made.clusters
    client.clusters.scale(first, {"resize_node_groups": [{"name": "workers", "count": 2}]})
    assert counts(settled(client, first)) == {"workers": (2, 2)}
    client.clusters.update(first, description="told")
    verified(client, first)
    assert client.clusters.get(first, show_progress=True).provision_progress
    client.cluster_templates.export(plan.id)
    client.node_group_templates.export(kind.id)
    # A job of the newer one runs on it.
    job = template(newer, "on-old", "#!/bin/sh\ntrue\n")
    wait_for(newer, newer.job_executions.create(job.id, first).id, "SUCCEEDED")
    wait_for(newer, execute(newer, job).id, "SUCCEEDED")
    assert {one.name for one in client.plugins.list()} == {one.name for one in newer.plugins.list()}
    assert client.plugins.get_version_details("local", "1.0").configs
    assert [one.id for one in client.images.list(search_opts={"tags": ["local"]}) if one.id == image] == [image]
    for execution in newer.job_executions.list(search_opts={"job.name": job.name}):
        newer.job_executions.delete(execution.id)
    until("no execution", lambda: not newer.job_executions.list(search_opts={"job.name": job.name}))
    delete(client, first)
    delete(client, second)
    client.cluster_templates.delete(plan.id)
    client.node_group_templates.delete(kind.id)
    client.images.unregister_image(image)
