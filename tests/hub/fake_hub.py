"""A model hub on loopback that misbehaves on request (standard library only).

fake_hub.py PORTS_FILE    writes "PORT_A PORT_B" to the file and serves until it is killed.

Both ports serve the same. POST /_set {"repos": {"owner/name": {"file": {"size": 10, "seed": 1,
"text": "..."}}}, "faults": {...}} replaces the state and empties the log; GET /_log is the list of
requests since; GET /_sha256/owner/name/file is the true hash. Faults, each optional:
  cut: n            the next n data answers end at a random byte
  wrong_range: n    the next n range answers name and send another range
  short_range: n    the next n range answers hold half of what was asked
  status: [code, n, retry_after]   the next n data answers are this error
  list_status: [code, n, retry_after]   the same for listings
  ignore_ranges_after: n   from the n-th data request on the whole file is sent
  new_version_after: n     from the n-th data request on the files have other bytes and ETags
  no_validator: true       neither ETag nor Last-Modified
  bad_hash: true           listings name a wrong sha256;   no_hash: true   they name none
  redirect: "same" | "other"   data moves to /cdn on this port or the other
  gated: "token"    everything wants this bearer token, but /cdn
  slow: bytes a second;   stall: n   the next n data answers stop after some bytes
  no_length: true   the whole file is sent without Content-Length
  page_size: n      listings come in pages;   page_host: "other"   the next page is elsewhere
"""

import hashlib
import json
import os
import random
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

STATE = {"repos": {}, "faults": {}, "log": [], "data_requests": 0, "contents": {}}
LOCK = threading.Lock()
RANDOM = random.Random(20)
PORTS = []


def content(repo, name, version):
    key = (repo, name, version)
    with LOCK:
        if key not in STATE["contents"]:
            spec = STATE["repos"][repo][name]
            if "text" in spec:
                data = spec["text"].encode()
            else:
                data = random.Random(spec.get("seed", 1) + 1000 * version).randbytes(spec["size"])
            STATE["contents"][key] = data
        return STATE["contents"][key]


def take(fault):
    """Uses up one of a counted fault."""
    with LOCK:
        left = STATE["faults"].get(fault, 0)
        if left <= 0:
            return False
        STATE["faults"][fault] = left - 1
        return True


def take_status(fault):
    with LOCK:
        spec = STATE["faults"].get(fault)
        if not spec or spec[1] <= 0:
            return None
        spec[1] -= 1
        return spec


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer_json(self, value, headers=()):
        self.answer(200, json.dumps(value).encode(), [("Content-Type", "application/json")] + list(headers))

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/_set":
            with LOCK:
                STATE.update(json.loads(body), log=[], data_requests=0, contents={})
            self.answer_json({"ok": True})
        elif self.path == "/_echo":
            self.answer_json({"method": "POST", "body": body.decode()})
        elif self.path == "/_redirect303":
            self.answer(303, b"moved", [("Location", "/_echo")])
        else:
            self.answer(404)

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("Content-Length", "12345")
        self.end_headers()

    def do_GET(self):
        url = urlsplit(self.path)
        path = unquote(url.path)
        query = parse_qs(url.query)
        port = self.server.server_address[1]
        if path == "/_log":
            with LOCK:
                log = list(STATE["log"])
            return self.answer_json(log)
        with LOCK:
            STATE["log"].append({
                "port": port, "path": path, "range": self.headers.get("Range", ""),
                "if_range": self.headers.get("If-Range", ""),
                "auth": self.headers.get("Authorization", ""),
                "cookie": self.headers.get("Cookie", "")})
            gate = STATE["faults"].get("gated")
        if path.startswith("/_"):
            return self.client_routes(path, query)
        if gate and not path.startswith("/cdn/") and self.headers.get("Authorization") != "Bearer " + gate:
            return self.answer(401, b"gated")
        for pattern, handler in ROUTES:
            match = re.fullmatch(pattern, path)
            if match:
                if match.group(1) not in STATE["repos"]:
                    return self.answer(404, b"no such repository")
                return handler(self, match, query)
        return self.answer(404)

    # Simple answers for the HTTP client's own tests.
    def client_routes(self, path, query):
        if path == "/_echo":
            return self.answer_json({"method": "GET", "headers": {k.lower(): v for k, v in self.headers.items()}})
        if path == "/_redirect":
            return self.answer(302, b"a page about the redirect", [("Location", query["to"][0])])
        if path == "/_loop":
            return self.answer(302, b"", [("Location", "/_loop")])
        if path == "/_status":
            return self.answer(int(query["code"][0]), b"status body")
        if path == "/_bytes":
            return self.answer(200, b"x" * int(query["n"][0]))
        if path == "/_headers":
            return self.answer(200, b"", [("X-Many", "v" * 10)] * int(query["n"][0]))
        if path == "/_truncated":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"y" * 10)
            self.close_connection = True
            return None
        if path == "/_stall":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"z" * 10)
            self.wfile.flush()
            time.sleep(float(query.get("s", ["20"])[0]))
            self.close_connection = True
            return None
        match = re.fullmatch(r"/_sha256/([^/]+/[^/]+)/(.+)", path)
        if match:
            version = int(query.get("version", ["0"])[0])
            return self.answer(200, hashlib.sha256(content(match.group(1), match.group(2), version)).hexdigest().encode())
        return self.answer(404)

    def listing_fault(self):
        spec = take_status("list_status")
        if spec:
            self.answer(spec[0], b"no list", [("Retry-After", str(spec[2]))] if spec[2] else [])
        return spec is not None

    def version(self):
        limit = STATE["faults"].get("new_version_after")
        return 1 if limit is not None and STATE["data_requests"] >= limit else 0

    def list_hf(self, match, query):
        if self.listing_fault():
            return None
        repo, faults = match.group(1), STATE["faults"]
        items = []
        for name in STATE["repos"][repo]:
            data = content(repo, name, self.version())
            item = {"type": "file", "path": name, "size": len(data), "oid": "0" * 40}
            if not faults.get("no_hash") and not name.endswith((".json", ".txt")):
                digest = hashlib.sha256(data).hexdigest()
                if faults.get("bad_hash"):
                    digest = hashlib.sha256(b"another file").hexdigest()
                item["lfs"] = {"oid": digest, "size": len(data), "pointerSize": 100}
            items.append(item)
        items.append({"type": "directory", "path": "folder", "size": 0, "oid": "1" * 40})
        items.append({"type": "file", "path": "../../escape.gguf", "size": 5, "oid": "2" * 40})
        page_size = faults.get("page_size")
        if not page_size:
            return self.answer_json(items)
        start = int(query.get("cursor", ["0"])[0])
        headers = []
        if start + page_size < len(items):
            port = PORTS[1] if faults.get("page_host") == "other" else PORTS[0]
            next_url = f"http://127.0.0.1:{port}{urlsplit(self.path).path}?recursive=true&cursor={start + page_size}"
            headers = [("Link", f'<{next_url}>; rel="next"')]
        return self.answer_json(items[start:start + page_size], headers)

    def list_ms(self, match, _):
        if self.listing_fault():
            return None
        repo = match.group(1)
        files = []
        for name in STATE["repos"][repo]:
            data = content(repo, name, self.version())
            files.append({"Name": name, "Path": name, "Size": len(data), "Type": "blob",
                          "Sha256": hashlib.sha256(data).hexdigest()})
        files.append({"Name": "folder", "Path": "folder", "Size": 0, "Type": "tree", "Sha256": ""})
        return self.answer_json({"Code": 200, "Success": True, "Data": {"Files": files}})

    def resolve(self, match, query):
        redirect = STATE["faults"].get("redirect")
        if not redirect:
            return self.data(match, query)
        target = f"/cdn/{match.group(1)}/{match.group(2)}"
        if redirect == "other":
            other = PORTS[1] if self.server.server_address[1] == PORTS[0] else PORTS[0]
            target = f"http://127.0.0.1:{other}{target}"
        return self.answer(302, b"moved", [("Location", target)])

    def data(self, match, _):
        repo, name = match.group(1), match.group(2)
        if name not in STATE["repos"][repo]:
            return self.answer(404)
        faults = STATE["faults"]
        spec = take_status("status")
        if spec:
            return self.answer(spec[0], b"fault", [("Retry-After", str(spec[2]))] if spec[2] else [])
        with LOCK:
            version = self.version()
            number = STATE["data_requests"]
            STATE["data_requests"] += 1
        body = content(repo, name, version)
        etag = '"' + hashlib.md5(body).hexdigest() + '"'
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        limit = faults.get("ignore_ranges_after")
        whole = wanted is None or (limit is not None and number >= limit)
        if self.headers.get("If-Range", etag) != etag:
            whole = True
        headers = [] if faults.get("no_validator") else [("ETag", etag)]
        if whole:
            return self.send_body(200, body, headers)
        begin, end = int(wanted.group(1)), min(int(wanted.group(2)) + 1, len(body))
        if begin >= len(body):
            return self.answer(416, b"", [("Content-Range", f"bytes */{len(body)}")])
        if begin + 1 < end and take("wrong_range"):
            begin, end = begin + 1, end
        elif begin + 1 < end and take("short_range"):
            end = begin + (end - begin + 1) // 2
        headers.append(("Content-Range", f"bytes {begin}-{end - 1}/{len(body)}"))
        return self.send_body(206, body[begin:end], headers)

    def send_body(self, status, body, headers):
        faults = STATE["faults"]
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if status == 200 and faults.get("no_length"):
            self.send_header("Connection", "close")
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if len(body) > 1 and take("cut"):
            self.wfile.write(body[:RANDOM.randrange(len(body))])
            self.close_connection = True
            return
        if len(body) > 1 and take("stall"):
            self.wfile.write(body[:len(body) // 2])
            self.wfile.flush()
            time.sleep(20)
            self.close_connection = True
            return
        rate = faults.get("slow")
        step = 16384
        for at in range(0, len(body), step):
            if rate:
                time.sleep(step / rate)
            self.wfile.write(body[at:at + step])


ROUTES = [
    (r"/api/models/([^/]+/[^/]+)/tree/main", Handler.list_hf),
    (r"/api/v1/models/([^/]+/[^/]+)/repo/files", Handler.list_ms),
    (r"/models/([^/]+/[^/]+)/resolve/master/(.+)", Handler.resolve),
    (r"/cdn/([^/]+/[^/]+)/(.+)", Handler.data),
    (r"/([^/]+/[^/]+)/resolve/main/(.+)", Handler.resolve),
]


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_):
        pass  # clients that go away are the point


def main():
    servers = [Server(("127.0.0.1", 0), Handler) for _ in range(2)]
    PORTS.extend(server.server_address[1] for server in servers)
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    with open(sys.argv[1] + ".new", "w") as out:
        out.write(f"{PORTS[0]} {PORTS[1]}")
    os.rename(sys.argv[1] + ".new", sys.argv[1])
    time.sleep(300)  # a test that forgets us does not leave us behind for ever


if __name__ == "__main__":
    main()
