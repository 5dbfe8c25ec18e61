"""A serve process under test, and plain HTTP to it that can be cut off at any byte."""

import http.client
import json
import re
import signal
import subprocess
import time

READY = re.compile(r"ready on (http://[0-9.]+:(\d+))")
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 60


class Server:
    def __init__(self, command, log):
        self.log = log
        self.started_at = time.monotonic()
        with open(log, "wb") as out:
            self.process = subprocess.Popen([str(part) for part in command], stdout=out, stderr=out,
                                            stdin=subprocess.DEVNULL)
        self.url = self.port = None

    def log_text(self):
        return self.log.read_text(errors="replace")

    def wait_ready(self):
        deadline = self.started_at + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if found := READY.search(self.log_text()):
                self.url, self.port = found[1], int(found[2])
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        self.kill()
        raise AssertionError("the server did not start:\n" + self.log_text())

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def wait(self, timeout=STOP_TIMEOUT_S):
        return self.process.wait(timeout)

    def stop(self):
        """SIGTERM; returns the exit code."""
        if self.process.poll() is None:
            self.terminate()
        return self.wait()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def anonymous_bytes(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            for line in status:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) * 1024
        raise AssertionError("no RssAnon in /proc")

    def connect(self, timeout=120):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def request(self, method, path, body=None, headers=None):
        """(status, headers, body bytes) of one request on its own connection. A body that is no
        bytes goes out as JSON."""
        connection = self.connect()
        try:
            data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            connection.request(method, path, data, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def json(self, method, path, body=None, headers=None):
        status, _, data = self.request(method, path, body, headers)
        return status, json.loads(data)

    def open_stream(self, body):
        """(connection, response) of a streaming chat; read it with sse_events()."""
        connection = self.connect()
        connection.request("POST", "/v1/chat/completions", json.dumps({**body, "stream": True}))
        return connection, connection.getresponse()

    def metrics(self):
        """Sample name without labels -> sum of its values."""
        _, _, text = self.request("GET", "/metrics")
        return parse_metrics(text.decode())


def parse_metrics(text):
    values = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name = re.split(r"[{ ]", line, maxsplit=1)[0]
            values[name] = values.get(name, 0.0) + float(line.rsplit(" ", 1)[1])
    return values


def sse_events(response):
    """The JSON of each event; ends after [DONE]."""
    for line in response:
        line = line.strip()
        if line == b"data: [DONE]":
            return
        if line.startswith(b"data: "):
            yield json.loads(line[len(b"data: "):])


def chat(text, **more):
    return {"messages": [{"role": "user", "content": text}], **more}


def delta_text(event):
    return "".join(choice["delta"].get("content") or "" for choice in event["choices"])
