"""A real Keystone of its own for tests: made in a fresh folder, started on a free port, filled with users and projects.

Needs the environment of scripts/setup-keystone.sh. Everything is done over HTTP with python-keystoneclient, apart from what
is done beside a server: making it and rotating its keys.
"""
import grp
import os
import pwd
import secrets
import signal
import socket
import subprocess
import sys
import time

import requests
from keystoneauth1 import session
from keystoneauth1.identity import v3
from keystoneclient.v3 import client as v3_client

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
READY_WITHIN = 60
STOPPED_WITHIN = 15
LONG = 60
DOMAIN = "Default"
REGION = "RegionOne"

# Keystone reads the command line of whatever process it is loaded into, so its own is emptied first.
SERVE = """
import sys
port = int(sys.argv.pop())
import waitress
from keystone.wsgi.api import application
waitress.serve(application, host="127.0.0.1", port=port, threads=8)
"""


class RealKeystone:
    """From `with RealKeystone(folder) as keystone` to the end of the block; `folder` must not hold one yet."""

    def __init__(self, folder):
        self.folder = os.path.abspath(folder)
        self.process = None
        self.port = None

    def __enter__(self):
        made = subprocess.run([os.path.join(ROOT, "scripts", "setup-keystone.sh"), self.folder], stdout=subprocess.PIPE,
                              text=True, check=True)
        self.programs = made.stdout.strip().splitlines()[-1]
        self.config = os.path.join(self.folder, "keystone.conf")
        with open(os.path.join(self.folder, "admin-password")) as file:
            self.password = file.read().strip()
        self.start()
        return self

    def __exit__(self, kind, value, trace):
        self.stop()

    # The process.

    def start(self):
        """Starts it and waits until it answers; the port stays the same from the first start on."""
        assert self.process is None, "it runs already"
        attempts = 1 if self.port else 5
        for attempt in range(attempts):
            # The free port may be taken by somebody else meanwhile.
            port = self.port or free_port()
            if self._start_on(port):
                self.port = port
                return
        raise AssertionError("Keystone does not start: " + self.log())

    def _start_on(self, port):
        self.url = "http://127.0.0.1:%d/v3" % port
        environment = {key: value for key, value in os.environ.items() if not key.startswith("OS_")}
        environment["OS_KEYSTONE_CONFIG_FILES"] = self.config
        with open(os.path.join(self.folder, "serve.log"), "a") as log:
            # -P: neither this folder nor the working directory may stand in for one of Keystone's modules.
            self.process = subprocess.Popen(
                [os.path.join(self.programs, "python"), "-P", "-c", SERVE, str(port)],
                cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_WITHIN
        while self.process.poll() is None:
            try:
                if requests.get(self.url, timeout=5).status_code == 200:
                    return True
            except requests.RequestException:
                pass
            if time.monotonic() > deadline:
                self.stop()
                raise AssertionError("Keystone is not ready in time: " + self.log())
            time.sleep(0.1)
        self.process = None
        return False

    def stop(self):
        """Ends the server; its data stays, so that it can be started again."""
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def freeze(self, frozen=True):
        """Lets it fall silent without closing its port, or go on."""
        self.process.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)

    def rotate_keys(self, times=1):
        """Rotates the Fernet keys. Three keys are kept: after one rotation tokens of before are still taken, after
        two not any more."""
        for _ in range(times):
            subprocess.run(self.rotate_command(), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                           cwd=self.folder)

    def rotate_command(self):
        """The words of the command that rotates the Fernet keys once."""
        return [os.path.join(self.programs, "keystone-manage"), "--config-file", self.config, "fernet_rotate",
                "--keystone-user", pwd.getpwuid(os.getuid()).pw_name,
                "--keystone-group", grp.getgrgid(os.getgid()).gr_name]

    def log(self):
        """The ends of its logs."""
        text = ""
        for name in ("setup.log", "serve.log", "keystone.log"):
            path = os.path.join(self.folder, name)
            if os.path.exists(path):
                with open(path, errors="replace") as file:
                    text += "\n--- %s\n%s" % (name, file.read()[-3000:])
        return text

    # Its contents.

    def session(self, **credentials):
        """A session of keystoneauth: with `username`, `password` and `project_name` in the default domain, or what else
        v3.Password takes."""
        credentials.setdefault("user_domain_name", DOMAIN)
        if "project_name" in credentials:
            credentials.setdefault("project_domain_name", DOMAIN)
        return session.Session(auth=v3.Password(auth_url=self.url, **credentials), timeout=LONG)

    def client(self, its=None):
        """python-keystoneclient with a session, by default the administrator's."""
        its = its or self.session(username="admin", password=self.password, project_name="admin")
        # The catalogue names the address that was given at the bootstrap; this one's is known since its start.
        return v3_client.Client(session=its, endpoint_override=self.url)

    def role(self, name):
        """A role by name; makes it when there is none."""
        roles = self.client().roles
        found = roles.list(name=name)
        return found[0] if found else roles.create(name)

    def project(self, name):
        """A new project in the default domain."""
        return self.client().projects.create(name, domain="default")

    def user(self, name, project, *roles, password=None):
        """A new user with roles on a project; gives `User`."""
        client = self.client()
        password = password or secrets.token_urlsafe(12)
        record = client.users.create(name, domain="default", password=password)
        for role in roles:
            client.roles.grant(self.role(role), user=record, project=project)
        return User(self, record, name, password, project)

    def service(self, service_type, url, name=None):
        """A service with one address for all three interfaces."""
        client = self.client()
        service = client.services.create(name or service_type, type=service_type)
        for interface in ("public", "internal", "admin"):
            client.endpoints.create(service, url, interface=interface, region=REGION)
        return service

    def revoke(self, token):
        """Revokes a token, as the administrator."""
        self.client().tokens.revoke_token(token)

    def trusts(self):
        """Ids of all trusts."""
        return [trust.id for trust in self.client().trusts.list()]


class User:
    """A user with roles on one project."""

    def __init__(self, keystone, record, name, password, project):
        self.keystone = keystone
        self.id = record.id
        self.name = name
        self.password = password
        self.project = project

    def session(self, **changes):
        credentials = dict(username=self.name, password=self.password, project_name=self.project.name)
        credentials.update(changes)
        return self.keystone.session(**{key: value for key, value in credentials.items() if value is not None})

    def token(self, **changes):
        """A new token for the project; with `project_name=None` one without a scope."""
        if changes.get("project_name", "") is None and "unscoped" not in changes:
            changes["unscoped"] = True
        return self.session(**changes).get_token()

    def application_credential(self, name, unrestricted=False):
        """Id and secret of a new application credential with all roles of the user."""
        client = self.keystone.client(self.session())
        made = client.application_credentials.create(name, user=self.id, unrestricted=unrestricted)
        return made.id, made.secret

    def token_by_application_credential(self, id, secret):
        plugin = v3.ApplicationCredential(auth_url=self.keystone.url, application_credential_id=id,
                                          application_credential_secret=secret)
        return session.Session(auth=plugin, timeout=LONG).get_token()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


if __name__ == "__main__":
    # Shows that it comes up: keystone.py FOLDER.
    began = time.monotonic()
    with RealKeystone(sys.argv[1]) as keystone:
        project = keystone.project("demo")
        ada = keystone.user("ada", project, "member")
        token = ada.token()
        seen = keystone.client().tokens.validate(token)
        print("%s, token of %s for %s, after %.1f s" % (keystone.url, seen.username, seen.project_name,
                                                        time.monotonic() - began))
