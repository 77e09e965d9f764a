"""The rest of a cloud, as far as tempest's plugin for Sahara looks at it: one external network of Neutron, flavors of Nova, one
image of Glance, and a front of the server's Keystone that adds these three to the catalogue. Everything else of the identity
API is the server's own answer, and the data-processing entries of the catalogue still name the server itself."""
import http.client
import http.server
import json
import re
import threading
import urllib.parse

IMAGE_NAME = "tempest-image"
IMAGE = "5a4a9f0e-6f0c-4c40-9d2f-0f5f4f0a7d11"
NETWORK_NAME = "public"
NETWORK = "0b7c3f32-52f0-4d5e-8f59-7a6d4f8b1e21"
REGION = "RegionOne"
# Type, name and path.
SERVICES = (("compute", "nova", "/compute/v2.1"), ("network", "neutron", "/network"), ("image", "glance", "/image"))
# Not to be passed on from one connection to another.
HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "te", "trailer", "upgrade", "date", "server"}


class Cloud:
    """`with Cloud(url of the server) as cloud`: `cloud.auth_url` is what a client logs in at."""

    def __init__(self, server):
        self.server = server.rstrip("/")

    def __enter__(self):
        cloud = self
        # Requests that have no answer here: a test that needs one fails, and this says why.
        self.unknown = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                path = urllib.parse.urlsplit(self.path).path
                if path == "/v3" or path.startswith("/v3/"):
                    status, headers, text = cloud.identity(self.command, self.path, self.headers, body)
                else:
                    found = cloud.other(path) if self.command == "GET" else None
                    if found is None:
                        cloud.unknown.append("%s %s" % (self.command, self.path))
                    status = 404 if found is None else 200
                    headers = [("Content-Type", "application/json")]
                    text = json.dumps(found if found is not None else {"itemNotFound": {"code": 404, "message": "no"}}).encode()
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                if self.close_connection:
                    # Asked for by tempest, which would send its next request here if it were not told.
                    self.send_header("Connection", "close")
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(text)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer

            def log_message(self, *_):
                pass

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = "http://127.0.0.1:%d" % self._http.server_address[1]
        self.auth_url = self.url + "/v3"
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def identity(self, method, path, headers, body):
        """The server's answer, with its own identity address exchanged for this one and the catalogue of a token completed."""
        place = urllib.parse.urlsplit(self.server)
        connection = http.client.HTTPConnection(place.hostname, place.port, timeout=60)
        try:
            kept = {name: value for name, value in headers.items() if name.lower() not in HOP | {"accept-encoding"}}
            connection.request(method, path, body or None, kept)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        text = text.replace((self.server + "/v3").encode(), self.auth_url.encode())
        if text.startswith(b'{"token"'):
            told = json.loads(text)
            if "catalog" in told["token"]:
                told["token"]["catalog"] += self.services()
            text = json.dumps(told).encode()
        return answer.status, [(name, value) for name, value in answer.getheaders() if name.lower() not in HOP], text

    def services(self):
        """The entries of the catalogue."""
        entries = []
        for kind, name, path in SERVICES:
            endpoints = [{"id": "%s-%s" % (kind, interface), "interface": interface, "region": REGION, "region_id": REGION,
                          "url": self.url + path} for interface in ("public", "internal", "admin")]
            entries.append({"id": kind, "type": kind, "name": name, "endpoints": endpoints})
        return entries

    def other(self, path):
        """What a GET of Nova, Neutron or Glance is answered with; None where there is nothing."""
        path = path.rstrip("/")
        flavor = re.fullmatch(r"/compute/v2\.1/flavors/(\w+)", path)
        if flavor:
            return {"flavor": {"id": flavor[1], "name": "flavor-" + flavor[1], "ram": 512, "vcpus": 1, "disk": 4, "links": []}}
        return {
            "/compute/v2.1": {"version": {"id": "v2.1", "status": "CURRENT", "version": "2.90", "min_version": "2.1", "links": [
                {"rel": "self", "href": self.url + "/compute/v2.1"}]}},
            "/network": {"versions": [{"id": "v2.0", "status": "CURRENT", "links": [
                {"rel": "self", "href": self.url + "/network/v2.0"}]}]},
            "/network/v2.0/networks": {"networks": [{"id": NETWORK, "name": NETWORK_NAME, "status": "ACTIVE", "subnets": [],
                                                     "router:external": True, "shared": False, "admin_state_up": True}]},
            "/image/v2/images": {"images": [{"id": IMAGE, "name": IMAGE_NAME, "status": "active"}]},
        }.get(path)
