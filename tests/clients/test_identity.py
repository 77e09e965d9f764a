"""The embedded identity: the plugins of keystoneauth, and the `openstack` program."""
import json
import os
import subprocess
import sys

import requests
from keystoneauth1 import exceptions, session
from keystoneauth1.identity import generic, v3

from server import LONG, execute, refused, tagged, template, until, wait_for


def expect_401(call, *args, **kwargs):
    try:
        answer = call(*args, **kwargs)
    except exceptions.Unauthorized as error:
        assert error.http_status == 401
        return error
    raise AssertionError("no 401 but %r" % (answer,))


def works(server, plugin):
    """Logs in and lists clusters; gives the access information."""
    its = server.session(plugin)
    access = plugin.get_access(its)
    assert access.username == "admin" and access.project_name == "demo" and "admin" in access.role_names
    assert access.will_expire_soon() is False and access.has_service_catalog()
    base = its.get_endpoint(service_type="data-processing", interface="public", region_name="RegionOne")
    assert base == "%s/v1.1/%s" % (server.url, access.project_id), base
    answer = its.get("/clusters", endpoint_filter={"service_type": "data-processing"})
    assert "local" in [cluster["name"] for cluster in answer.json()["clusters"]]
    return access


def test_the_v3_password_plugin(server):
    access = works(server, server.plugin())
    assert access.version == "v3"
    # By ids, and with names of domains.
    ids = {"auth_url": server.url + "/v3", "password": server.credentials["password"]}
    works(server, v3.Password(user_id=access.user_id, project_id=access.project_id, **ids))
    works(server, v3.Password(username="admin", user_domain_name="Default", project_name="demo",
                              project_domain_name="Default", **ids))


def test_the_generic_password_plugin(server):
    for url in (server.url + "/v3", server.url + "/v3/", server.url, server.url + "/"):
        works(server, generic.Password(**dict(server.credentials, auth_url=url)))
    only_default = {"auth_url": server.url, "username": "admin", "password": server.credentials["password"],
                    "project_name": "demo", "default_domain_id": "default"}
    works(server, generic.Password(**only_default))


def test_the_catalogue(server):
    access = works(server, server.plugin())
    catalog = access.service_catalog
    for kind in ("identity", "data-processing"):
        for interface in ("public", "internal", "admin"):
            assert catalog.url_for(service_type=kind, interface=interface).startswith(server.url), (kind, interface)
    try:
        catalog.url_for(service_type="no-such-service")
    except exceptions.EndpointNotFound:
        return
    raise AssertionError("an endpoint of a service that is none")


def test_a_token_gets_another_scope(server):
    plugin = server.plugin(project_name=None, project_domain_id=None, unscoped=True)
    first = plugin.get_access(server.session(plugin))
    assert not first.scoped and first.project_id is None
    for kind in (v3.Token, generic.Token):
        again = kind(server.url + "/v3", first.auth_token, project_name="demo", project_domain_id="default")
        access = works(server, again)
        assert access.auth_token != first.auth_token and access.user_id == first.user_id
        assert access.expires == first.expires, "a new scope gives no more time"
        methods = access._data["token"]["methods"]
        assert set(methods) == {"token", "password"}, methods
    answer = server.session(plugin).get(server.url + "/v3/auth/projects")
    assert "demo" in [project["name"] for project in answer.json()["projects"]]
    expect_401(works, server, v3.Token(server.url + "/v3", first.auth_token, project_name="no-such-project",
                                       project_domain_id="default"))


def test_a_revoked_token_is_refused(server):
    plugin = server.plugin()
    its = server.session(plugin)
    token, project = plugin.get_token(its), plugin.get_access(its).project_id
    clusters = "%s/v1.1/%s/clusters" % (server.url, project)

    def status(url, header="X-Auth-Token"):
        answer = requests.get(url, headers={header: token}, timeout=LONG)
        assert isinstance(answer.json(), dict), answer.text
        return answer.status_code

    assert status(clusters) == 200 and status(server.url + "/v3/auth/catalog") == 200
    keeper = server.session()
    subject = {"X-Subject-Token": token}
    assert keeper.get(server.url + "/v3/auth/tokens", headers=subject).status_code == 200
    assert keeper.delete(server.url + "/v3/auth/tokens", headers=subject).status_code == 204
    for url in (clusters, server.url + "/v3/auth/catalog", server.url + "/api/v1/executions"):
        assert status(url) == 401, url
    expect_401(works, server, v3.Token(server.url + "/v3", token, project_name="demo", project_domain_id="default"))
    answer = keeper.get(server.url + "/v3/auth/tokens", headers=subject, raise_exc=False)
    assert answer.status_code == 404
    # The session with the password takes a new one on the 401.
    assert its.get(clusters).status_code == 200 and plugin.get_token(its) != token


def test_wrong_credentials_are_refused(server):
    texts = set()
    for changes in ({"password": "wrong"}, {"username": "nobody"}, {"project_name": "nothing"},
                    {"user_domain_id": "nowhere"}):
        for make in (v3.Password, generic.Password):
            plugin = make(**dict(server.credentials, **changes))
            texts.add(expect_401(plugin.get_token, session.Session(timeout=LONG)).message.split(" (Request-ID")[0])
    assert len(texts) == 1, "the texts tell which part was wrong: %s" % texts
    answer = requests.get(server.url + "/v1.1/clusters", timeout=LONG)
    assert answer.status_code == 401 and answer.json()["error_code"] == 401
    assert answer.headers["WWW-Authenticate"].startswith("Keystone uri=")


def openstack(server, *words):
    """Runs the `openstack` of this Python's environment with OS_* variables only; gives what it printed."""
    auth = server.credentials
    home = os.path.join(server.home, "home")
    os.makedirs(home, exist_ok=True)
    folder = os.path.dirname(os.path.abspath(sys.executable))
    environment = {
        "PATH": folder + os.pathsep + os.defpath, "HOME": home, "LANG": "C.UTF-8",
        "OS_AUTH_URL": auth["auth_url"], "OS_USERNAME": auth["username"], "OS_PASSWORD": auth["password"],
        "OS_PROJECT_NAME": auth["project_name"], "OS_USER_DOMAIN_ID": auth["user_domain_id"],
        "OS_PROJECT_DOMAIN_ID": auth["project_domain_id"], "OS_IDENTITY_API_VERSION": "3",
        "OS_REGION_NAME": server.cloud["region_name"]}
    done = subprocess.run([os.path.join(folder, "openstack"), *words], env=environment, cwd=home,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, "openstack %s: %d\n%s%s" % (" ".join(words), done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def openstack_json(server, *words):
    return json.loads(openstack(server, *words, "-f", "json"))


def test_openstack_token_and_catalogue(server):
    token = openstack_json(server, "token", "issue")
    answer = requests.get("%s/v1.1/%s/clusters" % (server.url, token["project_id"]),
                          headers={"X-Auth-Token": token["id"]}, timeout=LONG)
    assert answer.status_code == 200, answer.text
    catalogue = {service["Type"]: service for service in openstack_json(server, "catalog", "list")}
    assert {"identity", "data-processing"} <= set(catalogue)
    urls = {endpoint["interface"]: endpoint["url"] for endpoint in catalogue["data-processing"]["Endpoints"]}
    assert urls["public"] == "%s/v1.1/%s" % (server.url, token["project_id"])


def test_openstack_dataprocessing_clusters_and_plugins(server):
    local = server.client().clusters.find_unique(name="local")
    clusters = {cluster["Name"]: cluster for cluster in openstack_json(server, "dataprocessing", "cluster", "list")}
    assert clusters["local"]["Id"] == local.id and clusters["local"]["Status"] == "Active"
    shown = openstack_json(server, "dataprocessing", "cluster", "show", "local")
    assert shown["Id"] == local.id
    plugins = {plugin["Name"]: plugin for plugin in openstack_json(server, "dataprocessing", "plugin", "list")}
    assert local.hadoop_version in str(plugins[local.plugin_name]["Versions"])


def test_openstack_dataprocessing_jobs(server):
    client = server.client()
    job = template(client, "cli", "#!/bin/sh\nsleep 300\n")
    templates = openstack_json(server, "dataprocessing", "job", "template", "list")
    assert [one for one in templates if one["Name"] == job.name][0]["Id"] == job.id
    id = execute(client, job).id
    wait_for(client, id, "RUNNING")
    until("its processes", lambda: tagged(id))
    jobs = {one["Id"]: one for one in openstack_json(server, "dataprocessing", "job", "list")}
    assert jobs[id]["Status"] == "RUNNING" and jobs[id]["Job id"] == job.id
    running = openstack_json(server, "dataprocessing", "job", "list", "--status", "running")
    assert id in [one["Id"] for one in running]
    shown = openstack_json(server, "dataprocessing", "job", "show", id)
    assert shown["Id"] == id and shown["Status"] == "RUNNING" and shown["Cluster id"]
    printed = openstack(server, "dataprocessing", "job", "delete", "--wait", id)
    assert "removed successfully" in printed, printed
    assert refused(client.job_executions.get, id).error_code == 404
    until("none of its processes", lambda: not tagged(id))
    assert id not in [one["Id"] for one in openstack_json(server, "dataprocessing", "job", "list")]


def test_application_credentials(server):
    its = server.session()
    base = {"endpoint_override": server.url + "/v3", "raise_exc": False}
    path = "/users/%s/application_credentials" % its.get_user_id()

    def make(session, **wanted):
        return session.post(path, json={"application_credential": wanted}, **base)

    answer = make(its, name="ci", description="for the build", roles=[{"name": "member"}])
    assert answer.status_code == 201, answer.text
    made = answer.json()["application_credential"]
    assert made["unrestricted"] is False and [role["name"] for role in made["roles"]] == ["member"], made
    by_id = v3.ApplicationCredential(server.url + "/v3", application_credential_id=made["id"],
                                     application_credential_secret=made["secret"])
    by_name = v3.ApplicationCredential(server.url + "/v3", application_credential_name="ci", username="admin",
                                       user_domain_id="default", application_credential_secret=made["secret"])
    for plugin in (by_id, by_name):
        client = server.client(plugin)
        assert "local" in [cluster.name for cluster in client.clusters.list()]
        assert plugin.get_access(server.session(plugin)).role_names == ["member"]
    limited = server.session(by_id)
    assert make(limited, name="another").status_code == 403
    assert make(its, name="ci").status_code == 409
    assert make(its, name="x", roles=[{"name": "no-such-role"}]).status_code == 400
    assert its.get("/users/%s/application_credentials" % ("0" * 32), **base).status_code == 403
    shown = its.get(path, **base).json()["application_credentials"]
    assert [credential["name"] for credential in shown] == ["ci"] and "secret" not in shown[0]
    assert its.get(path + "/" + made["id"], **base).json()["application_credential"]["name"] == "ci"
    assert its.delete(path + "/" + made["id"], **base).status_code == 204
    assert its.get(path + "/" + made["id"], **base).status_code == 404
    url = server.url + "/v1.1/%s/clusters" % its.get_project_id()
    assert requests.get(url, headers={"X-Auth-Token": limited.get_token()}, timeout=LONG).status_code == 401
    expect_401(server.session(v3.ApplicationCredential(
        server.url + "/v3", application_credential_id=made["id"],
        application_credential_secret=made["secret"])).get_token)


def test_the_scope_of_the_system(server):
    plugin = server.plugin(project_name=None, project_domain_id=None, system_scope="all")
    access = plugin.get_access(server.session(plugin))
    assert access.system_scoped and access.role_names == ["admin"], access
    answer = requests.get(server.url + "/v1.1/clusters", headers={"X-Auth-Token": access.auth_token}, timeout=LONG)
    assert answer.status_code == 503, answer.text
