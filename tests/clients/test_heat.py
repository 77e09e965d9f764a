"""What Heat's OS::Sahara::* resources send and read: saharaclient 1.1, names before ids, numbers of errors, waits for ends."""
import uuid

from saharaclient import client as sahara
from saharaclient.api.base import APIException

from server import ENDED, binary, name, refused, status, until, wait_for


class NotFound(Exception):
    pass


def heat(server):
    """The client as Heat's plugin makes it."""
    return sahara.Client("1.1", endpoint_type="publicURL", service_type="data-processing", session=server.session(),
                         region_name=server.cloud["region_name"])


def is_not_found(error):
    return isinstance(error, APIException) and error.error_code == 404


def resolve(client, kind, value):
    """An id from an id or a name: the id is asked for first, and after any error the list is compared."""
    manager = getattr(client, kind)
    try:
        return manager.get(value).id
    except APIException:
        found = manager.find(name=value)
    if not found:
        raise NotFound(value)
    assert len(found) == 1, "an ambiguous name"
    return found[0].id


def has_no(client, kind, value):
    try:
        resolve(client, kind, value)
    except NotFound:
        return
    raise AssertionError("%s named %s" % (kind, value))


def validated(client, plugin, version, processes=()):
    """The checks of a template before anything is made."""
    assert version in client.plugins.get(plugin).versions
    known = client.plugins.get_version_details(plugin, version).node_processes
    assert set(processes) <= {process for some in known.values() for process in some}, known


def checked_delete(manager, id):
    """Deletes; what is not there any more is deleted already."""
    manager.delete(id)
    assert is_not_found(refused(manager.get, id))
    assert is_not_found(refused(manager.delete, id))


def created(client, id):
    """Polls until Active; Error fails."""
    def complete():
        found = client.clusters.get(id)
        assert found.status != "Error", found.status_description
        return found if found.status == "Active" else None

    return until("the cluster is Active", complete)


def deleted(client, id):
    """Polls until the client's exception says 404. Any other exception would end Heat's wait with a failure."""
    client.clusters.delete(id)

    def complete():
        try:
            assert client.clusters.get(id).status == "Deleting"
        except APIException as error:
            assert is_not_found(error), (error.error_code, error.error_name)
            return True
        return False

    until("the cluster is gone", complete)


def registered(client):
    id = str(uuid.uuid4())
    client.images.update_image(id, "ubuntu", "")
    client.images.update_tags(id, ["local", "1.0"])
    return id


def kind_of_node(client):
    return client.node_group_templates.create(
        name=name("kind"), plugin_name="local", hadoop_version="1.0", flavor_id="2", description="", volumes_per_node=None,
        volumes_size=None, volume_type=None, security_groups=None, auto_security_group=None, availability_zone=None,
        volumes_availability_zone=None, node_processes=["local"], floating_ip_pool=None, node_configs=None, image_id=None,
        is_proxy_gateway=None, volume_local_to_instance=None, use_autoconfig=None, shares=None)


def plan_of_cluster(client, kind, image):
    return client.cluster_templates.create(
        name=name("plan"), plugin_name="local", hadoop_version="1.0", description="", anti_affinity=None, net_id=None,
        cluster_configs=None, node_groups=[{"name": "workers", "count": 1, "node_group_template_id": kind.id}],
        default_image_id=image, use_autoconfig=None, shares=None)


def test_node_group_template(server):
    client = heat(server)
    validated(client, "local", "1.0", ["local"])
    made = kind_of_node(client)
    assert resolve(client, "node_group_templates", made.name) == resolve(client, "node_group_templates", made.id) == made.id
    # An update sends what changed, with null for what was taken out.
    new = name("kind")
    client.node_group_templates.update(made.id, name=new, flavor_id="3", description=None, node_configs=None)
    shown = client.node_group_templates.get(made.id)
    assert (shown.name, shown.flavor_id) == (new, "3")
    checked_delete(client.node_group_templates, made.id)
    has_no(client, "node_group_templates", new)


def test_cluster_template(server):
    client = heat(server)
    validated(client, "local", "1.0")
    kind = kind_of_node(client)
    made = plan_of_cluster(client, kind, None)
    assert made.default_image_id is None, "read before a cluster is made"
    assert resolve(client, "cluster_templates", made.name) == made.id
    image = registered(client)
    client.cluster_templates.update(made.id, description="told", default_image_id=image, net_id=None, anti_affinity=None)
    shown = client.cluster_templates.get(made.id)
    assert (shown.description, shown.default_image_id) == ("told", image)
    # Heat deletes in the order of use; the other way round is refused.
    assert refused(client.node_group_templates.delete, kind.id).error_code == 400
    checked_delete(client.cluster_templates, made.id)
    checked_delete(client.node_group_templates, kind.id)


def test_cluster(server):
    client = heat(server)
    image, kind = registered(client), kind_of_node(client)
    plan = plan_of_cluster(client, kind, image)
    validated(client, "local", "1.0")
    assert resolve(client, "images", image) == image
    made = client.clusters.create(name("stack"), "local", "1.0", cluster_template_id=plan.id, user_keypair_id=None,
                                  default_image_id=image, net_id=None, use_autoconfig=None)
    assert made.name and made.id
    cluster = created(client, made.id)
    assert resolve(client, "clusters", cluster.name) == made.id
    # The attributes of the resource.
    assert cluster.status == "Active" and type(cluster.info) is dict and cluster.info
    deleted(client, made.id)
    has_no(client, "clusters", cluster.name)
    checked_delete(client.cluster_templates, plan.id)
    checked_delete(client.node_group_templates, kind.id)
    client.images.unregister_image(image)


def test_a_cluster_in_error(server):
    """The request fails; what it left is found by its name, says Error and can be deleted."""
    client = heat(server)
    kind = kind_of_node(client)
    plan = client.cluster_templates.create(name("plan"), "local", "1.0", node_groups=[
        {"name": "workers", "count": 0, "node_group_template_id": kind.id}])
    its = name("stack")
    error = refused(client.clusters.create, its, "local", "1.0", cluster_template_id=plan.id)
    assert error.error_code == 400 and error.error_message
    id = resolve(client, "clusters", its)
    assert client.clusters.get(id).status == "Error"
    deleted(client, id)
    checked_delete(client.cluster_templates, plan.id)
    checked_delete(client.node_group_templates, kind.id)


def test_data_source(server):
    client = heat(server)
    made = client.data_sources.create(name=name("source"), description="", data_source_type="swift", url="swift://box/in",
                                      credential_user="me", credential_pass="a-very-secret-word")
    assert resolve(client, "data_sources", made.name) == made.id
    # An update sends all properties.
    client.data_sources.update(made.id, {"name": made.name, "type": "swift", "url": "swift://box/else", "description": "told",
                                         "credentials": {"user": "me", "password": "another-secret-word"}})
    shown = client.data_sources.get(made.id)
    assert (shown.url, shown.description) == ("swift://box/else", "told") and "secret" not in str(shown.to_dict())
    plain = client.data_sources.create(name=name("source"), description="", data_source_type="hdfs", url="hdfs://node/in",
                                       credential_user=None, credential_pass=None)
    for one in (made, plain):
        checked_delete(client.data_sources, one.id)
        has_no(client, "data_sources", one.name)


def test_job_binary(server):
    client = heat(server)
    internal = client.job_binary_internals.create(name("main") + ".sh", "#!/bin/sh\ntrue\n")
    # `extra` is always sent, also when it is empty.
    first = client.job_binaries.create(name=name("binary"), url="internal-db://" + internal.id, description="", extra={})
    second = client.job_binaries.create(name=name("binary"), url="swift://box/it", description="",
                                        extra={"user": "me", "password": "a-very-secret-word"})
    for one in (first, second):
        assert resolve(client, "job_binaries", one.name) == one.id
        assert "secret" not in str(client.job_binaries.get(one.id).to_dict())
    told = client.job_binaries.update(second.id, {"name": second.name, "url": "swift://box/else", "description": "told",
                                                  "extra": {"user": "me", "password": "another-secret-word"}})
    assert (told.url, told.description) == ("swift://box/else", "told")
    told = client.job_binaries.update(first.id, {"name": first.name, "url": first.url, "description": "told", "extra": {}})
    assert told.description == "told"
    for one in (first, second):
        checked_delete(client.job_binaries, one.id)


def test_image_registry(server):
    client, id = heat(server), str(uuid.uuid4())
    # The check of a property that names an image of the registry: by id, by name, unknown.
    error = refused(client.images.get, id)
    assert error.error_code == 400 and error.error_name == "IMAGE_NOT_REGISTERED"
    has_no(client, "images", id)
    client.images.update_image(id, "ubuntu", "")
    client.images.update_tags(id, ["local", "1.0"])
    assert resolve(client, "images", id) == resolve(client, "images", client.images.get(id).name) == id
    client.images.update_image(id, "centos", "told")
    client.images.update_tags(id, ["spark"])
    image = client.images.get(id)
    assert (image.username, image.description, image.tags) == ("centos", "told", ["spark"])
    client.images.unregister_image(id)
    assert is_not_found(refused(client.images.unregister_image, id)), "deleted already"


def test_a_job_and_its_signals(server):
    client = heat(server)
    kind = kind_of_node(client)
    plan = plan_of_cluster(client, kind, registered(client))
    cluster = client.clusters.create(name("stack"), "local", "1.0", cluster_template_id=plan.id)
    created(client, cluster.id)
    assert [one.name for one in client.job_types.find(name="Shell")] == ["Shell"]
    main = binary(client, name("main") + ".sh", '#!/bin/sh\necho "$#"\n')
    job = client.jobs.create(name=name("job"), type="Shell", mains=[main.id], libs=[], description=None, is_public=False,
                             is_protected=False)
    assert resolve(client, "jobs", job.name) == job.id
    new = name("job")
    client.jobs.update(job.id, name=new, description="told", is_public=False, is_protected=False)

    def signal(configs, **more):
        made = client.job_executions.create(job_id=job.id, cluster_id=cluster.id, configs=configs, is_protected=False, **more)
        wait_for(client, made.id, "SUCCEEDED")
        return made.id

    nothing = {"configs": None, "params": None, "args": None}
    empty = {"configs": {}, "params": {}, "args": []}
    ids = [
        # A signal with data: what the caller leaves out is null.
        signal(nothing, input_id=None, output_id=None, is_public=None, interface=None),
        signal(dict(nothing, args=["one"]), interface={}),
        signal(nothing, interface=[]),
        # One without: the defaults of the properties.
        signal(empty, input_id=None, output_id=None, is_public=False, interface={}),
        signal(empty, is_public=False, interface=[]),
    ]
    assert client.job_executions.get(ids[1]).job_configs["args"] == ["one"]
    # The resource's delete looks for executions whose own id is the job's, finds none, and is refused while there are some.
    assert client.job_executions.find(id=job.id) == []
    error = refused(client.jobs.delete, job.id)
    assert (error.error_code, error.error_name) == (400, "DELETION_FAILED")
    for id in ids:
        client.job_executions.delete(id)
    until("no execution", lambda: not client.job_executions.list(search_opts={"job.name": new}))
    checked_delete(client.jobs, job.id)
    deleted(client, cluster.id)


def test_a_stack_is_deleted_while_its_job_runs(server):
    client = heat(server)
    kind = kind_of_node(client)
    plan = plan_of_cluster(client, kind, registered(client))
    cluster = client.clusters.create(name("stack"), "local", "1.0", cluster_template_id=plan.id)
    created(client, cluster.id)
    main = binary(client, name("main") + ".sh", "#!/bin/sh\nsleep 300\n")
    job = client.jobs.create(name=name("job"), type="Shell", mains=[main.id], libs=[])
    id = client.job_executions.create(job.id, cluster.id, configs={"configs": None, "params": None, "args": None}).id
    wait_for(client, id, "RUNNING")
    deleted(client, cluster.id)
    until("it ended", lambda: status(client, id) in ENDED)
    client.job_executions.delete(id)
    until("404", lambda: client.job_executions.api.get("/job-executions/" + id).status_code == 404)
    checked_delete(client.jobs, job.id)
    checked_delete(client.cluster_templates, plan.id)


def test_numbers_of_errors(server):
    """Heat knows not found, conflict and over limit by the number of the client's exception."""
    client = heat(server)
    nobody = str(uuid.uuid4())
    for manager in (client.clusters, client.cluster_templates, client.node_group_templates, client.data_sources, client.jobs,
                    client.job_binaries, client.job_binary_internals, client.job_executions, client.plugins):
        for value in (nobody, "a-name", "a name of three words", "1"):
            error = refused(manager.get, value)
            assert error.error_code == 404, (type(manager).__name__, value, error.error_code, str(error))
    for kind in ("clusters", "cluster_templates", "node_group_templates", "data_sources", "job_binaries", "jobs", "images"):
        has_no(client, kind, "a-name")
    # Two of a kind: the library's own conflict.
    for _ in range(2):
        client.data_sources.create(name("twice"), "twice", "hdfs", "hdfs://node/in")
    assert refused(client.data_sources.find_unique, description="twice").error_code == 409
    main = binary(client, name("main") + ".sh", "#!/bin/sh\ntrue\n")
    job = client.jobs.create(name("job"), "Shell", mains=[main.id])
    local = resolve(client, "clusters", "local")
    error = refused(client.job_executions.create, job.id, local, configs={"args": ["x" * 1000] * 3000})
    assert error.error_code == 413, (error.error_code, str(error))
    # An upload that is too large has the number that Sahara gives it.
    error = refused(client.job_binary_internals.create, name("large"), "x" * ((64 << 20) + 1))
    assert (error.error_code, error.error_name) == (400, "DATA_TOO_BIG"), (error.error_code, error.error_name)
