"""A hub on this machine's loopback for tests: the protocol of the Hugging Face hub, and what can go
wrong with it.

It has two servers on two ports. The hub itself answers /api/models/ID/revision/REV (and
/tree/REV), and /ID/resolve/REV/FILE: small files with their content, files in large-file storage
with a redirect to the second server, the storage host. Every request is recorded.
"""

import email.utils
import hashlib
import http.server
import json
import re
import ssl
import sys
import threading
import time
import urllib.parse

BLOCK = 1 << 16


def git_sha1(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def is_lfs(name):
    return name.endswith((".safetensors", ".gguf", ".bin"))


class Repository:
    """Commits of files, and the branches and tags that point to them."""

    def __init__(self, files):
        self.commits = {}
        self.refs = {}
        self.token = None     # who may read it; None: everybody
        self.gated = False    # with a token that may not read it: 403 instead of 401
        self.moved_to = None  # the new id of a renamed repository
        self.extra_names = []  # entries of the listing that are not there, or no names at all
        self.commit("main", files)

    def commit(self, ref, files):
        text = json.dumps(sorted((n, sha256(c)) for n, c in files.items())) + ref
        commit = hashlib.sha1(text.encode()).hexdigest()
        self.commits[commit] = dict(files)
        self.refs[ref] = commit
        return commit

    def find(self, revision):
        return revision if revision in self.commits else self.refs.get(revision)


class Request:
    def __init__(self, server, method, path, headers):
        self.server, self.method, self.path, self.headers = server, method, path, headers

    def __repr__(self):
        return f"{self.server} {self.method} {self.path} {self.headers.get('Range', '')}"


class Fault:
    """Something that goes wrong `times` times with requests of a server whose path matches; with
    `every` one of so many."""

    def __init__(self, server, pattern, times=1, methods=("GET", "HEAD"), every=1, **effects):
        self.server, self.pattern, self.times, self.methods = server, re.compile(pattern), times, methods
        self.every = self.until_next = every
        self.effects = effects  # status, headers, cut, stall, flip, body, etag, no_ranges, pace


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def answer(self):
        hub, name = self.server.hub, self.server.name
        effects = hub.record(name, self)
        try:
            if "stall" in effects and "cut" not in effects:
                hub.stopping.wait(effects["stall"])
            if "status" in effects:
                self.send(effects["status"], effects.get("body", b"no"), effects.get("headers", {}))
            elif name == "hub":
                self.answer_hub(hub, effects)
            else:
                self.answer_storage(hub, effects)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    # --- the hub ---

    def answer_hub(self, hub, effects):
        path = urllib.parse.urlsplit(self.path).path
        listing = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(revision|tree)/([^/]+)", path)
        file = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        if not listing and not file:
            return self.refuse(404, "EntryNotFound")
        identity = urllib.parse.unquote((listing or file)[1])
        repository = hub.repositories.get(identity)
        if repository is None:
            # So that nobody can find out what exists: as for a repository that is private.
            return self.refuse(404, "RepoNotFound") if hub.frank else self.refuse(401, "RepoNotFound")
        if repository.moved_to:
            return self.send(307, b"", {"Location": self.path.replace(identity, repository.moved_to)})
        if repository.token is not None:
            sent = self.headers.get("Authorization")
            if sent != f"Bearer {repository.token}":
                if sent is None or not repository.gated:
                    return self.refuse(401, "GatedRepo" if repository.gated else "RepoNotFound")
                return self.refuse(403, "GatedRepo")
        revision = urllib.parse.unquote((listing[3] if listing else file[2]))
        commit = repository.find(revision)
        if commit is None:
            return self.refuse(404, "RevisionNotFound")
        if listing and listing[2] == "revision":
            return self.send_listing(identity, repository, commit)
        if listing:
            return self.send_tree(repository.commits[commit])
        name = urllib.parse.unquote(file[3])
        content = repository.commits[commit].get(name)
        if content is None:
            return self.refuse(404, "EntryNotFound", {"X-Repo-Commit": commit})
        return self.send_file(hub, effects, commit, name, content)

    def send_listing(self, identity, repository, commit):
        names = sorted(repository.commits[commit]) + repository.extra_names
        body = {"id": identity, "modelId": identity, "sha": commit, "private": False,
                "tags": [], "siblings": [{"rfilename": name} for name in names]}
        self.send(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def send_tree(self, files):
        body = []
        for name, content in sorted(files.items()):
            entry = {"type": "file", "path": name, "size": len(content), "oid": git_sha1(content)}
            if is_lfs(name):
                entry["lfs"] = {"oid": sha256(content), "size": len(content), "pointerSize": 134}
            body.append(entry)
        self.send(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def send_file(self, hub, effects, commit, name, content):
        headers = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if is_lfs(name):
            etag = effects.get("etag", sha256(content))
            hub.stored[sha256(content)] = content
            headers.update({"X-Linked-Etag": f'"{etag}"', "X-Linked-Size": str(len(content)),
                            "Location": f"{hub.storage}/blob/{sha256(content)}?signature=secret"})
            return self.send(302, b"Found. Redirecting", headers)
        headers["ETag"] = f'"{effects.get("etag", git_sha1(content))}"'
        return self.send_content(content, headers, effects)

    def refuse(self, status, code, headers=None):
        self.send(status, json.dumps({"error": code}).encode(),
                  {"X-Error-Code": code, "X-Error-Message": code, **(headers or {})})

    # --- the storage host ---

    def answer_storage(self, hub, effects):
        url = urllib.parse.urlsplit(self.path)
        content = hub.stored.get(url.path.removeprefix("/blob/"))
        if content is None or url.query != "signature=secret":
            return self.send(403, b"<Error>AccessDenied</Error>", {})
        return self.send_content(content, {"ETag": '"of the storage host"'}, effects)

    # --- both ---

    def send_content(self, content, headers, effects):
        if "flip" in effects:  # a byte that is not as it was
            at = effects["flip"]
            content = content[:at] + bytes([content[at] ^ 1]) + content[at + 1:]
        if "content" in effects:
            content = effects["content"]
        status = 200
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if span and not effects.get("no_ranges"):
            begin = int(span[1])
            end = min(int(span[2]) + 1 if span[2] else len(content), len(content))
            if begin >= end:
                return self.send(416, b"", {"Content-Range": f"bytes */{len(content)}"})
            headers["Content-Range"] = f"bytes {begin}-{end - 1}/{len(content)}"
            content, status = content[begin:end], 206
        return self.send(status, content, headers, effects)

    def send(self, status, body, headers, effects=None):
        effects = effects or {}
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        limit = effects.get("cut", len(body))
        for begin in range(0, min(limit, len(body)), BLOCK):
            self.wfile.write(body[begin:min(begin + BLOCK, limit)])
            if "pace" in effects:
                time.sleep(effects["pace"])
        if "cut" in effects:
            self.wfile.flush()
            self.server.hub.stopping.wait(effects.get("stall", 0))
            self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # clients break off: that is what is tested


class Hub:
    """Use as a context; `endpoint` is what HF_ENDPOINT is to say."""

    def __init__(self, certificate=None):
        self.repositories = {}
        self.stored = {}
        self.faults = []
        self.requests = []
        self.frank = False
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.servers = []
        urls = []
        for name in ("hub", "storage"):
            server = Server(("127.0.0.1", 0), Handler)
            server.hub, server.name = self, name
            scheme = "http"
            if certificate:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(certificate)
                server.socket = context.wrap_socket(server.socket, server_side=True)
                scheme = "https"
            urls.append(f"{scheme}://127.0.0.1:{server.server_address[1]}")
            self.servers.append(server)
        self.endpoint, self.storage = urls

    def __enter__(self):
        for server in self.servers:
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *unused):
        self.stopping.set()
        for server in self.servers:
            server.shutdown()
            server.server_close()

    def record(self, server, handler):
        with self.lock:
            self.requests.append(Request(server, handler.command, handler.path, handler.headers))
            for fault in self.faults:
                if (fault.server == server and fault.times > 0 and handler.command in fault.methods
                        and fault.pattern.search(handler.path)):
                    fault.until_next -= 1
                    if fault.until_next > 0:
                        continue
                    fault.until_next = fault.every
                    fault.times -= 1
                    return fault.effects
            return {}

    def fault(self, server, pattern, times=1, **effects):
        self.faults.append(Fault(server, pattern, times, **effects))

    def asked(self, server=None, method=None, pattern=""):
        with self.lock:
            return [r for r in self.requests
                    if server in (None, r.server) and method in (None, r.method)
                    and re.search(pattern, r.path)]

    def forget(self):
        with self.lock:
            self.requests.clear()
            self.faults.clear()


def http_date(seconds_from_now):
    return email.utils.formatdate(time.time() + seconds_from_now, usegmt=True)


def serve():
    """A hub with the repository org/noise, for tests in other languages: prints its address, ends
    with its standard input. Every fifth request for content breaks off."""
    files = {f"part-{i}.json": b"%d" % i * (1000 + i) for i in range(20)}
    files["model-Q8_0.gguf"] = hashlib.shake_128(b"noise").digest(3_000_000)
    with Hub() as hub:
        hub.repositories["org/noise"] = Repository(files)
        hub.repositories["org/wrong"] = Repository(files)
        hub.fault("hub", "/org/wrong/resolve/.*part-7", times=1 << 30, methods=("GET",), flip=5)
        hub.fault("hub", "/resolve/", times=1 << 30, methods=("GET",), every=5, cut=100)
        hub.fault("storage", "/blob/", times=1 << 30, every=5, cut=20_000)
        print(hub.endpoint, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    serve()
