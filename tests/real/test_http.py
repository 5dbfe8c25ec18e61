"""The server's HTTP face around the model: small routes, refusals, limits and the two SIGTERMs."""

import json
import signal
import socket
import threading
import time

import pytest

from serving import chat, delta_text, sse_events


def assert_openai_error(status, body, want):
    assert status == want, body
    error = json.loads(body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"] and error["type"] and error["code"]
    return error


def raw(server, data, timeout=20):
    """Whatever the server answers to these bytes until it closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=timeout) as peer:
        peer.sendall(data)
        answer = b""
        while piece := peer.recv(65536):
            answer += piece
    return answer


def test_health(server):
    status, body = server.json("GET", "/health")
    assert status == 200 and body["status"] == "ok" and set(body["models"].values()) == {"ok"}


def test_index_lists_routes(server):
    status, _, body = server.request("GET", "/")
    assert status == 200 and b"/v1/chat/completions" in body


def test_metrics_count_requests(server):
    before = server.metrics()
    status, reply = server.json("POST", "/v1/chat/completions",
                                chat("Hi", max_tokens=5, temperature=0, ignore_eos=True))
    assert status == 200, reply
    after = server.metrics()
    for name in ("yunqi_generation_tokens_total", "vllm:generation_tokens_total"):
        assert after[name] - before[name] == 5
    for name in ("yunqi_prompt_tokens_total", "vllm:prompt_tokens_total"):
        assert after[name] - before.get(name, 0) == reply["usage"]["prompt_tokens"]
    for name in ("yunqi_requests_finished_total", "vllm:request_success_total",
                 "yunqi_time_to_first_token_seconds_count", "vllm:e2e_request_latency_seconds_count"):
        assert after[name] - before.get(name, 0) == 1
    for name in ("yunqi_requests_running", "yunqi_requests_waiting", "yunqi_kv_usage_ratio",
                 "vllm:num_requests_running", "vllm:kv_cache_usage_perc"):
        assert after[name] == 0


def test_metrics_name_the_model(server):
    _, _, text = server.request("GET", "/metrics")
    name = server.json("GET", "/v1/models")[1]["data"][0]["id"]
    assert f'vllm:num_requests_running{{model_name="{name}"}} 0' in text.decode()


@pytest.mark.parametrize("text", ["hello world", "Zürich 北京 🏔\n\n\t", "<|im_end|>"])
def test_tokenize_and_back(server, yunqi, model, text):
    status, told = server.json("POST", "/tokenize", {"prompt": text})
    assert status == 200 and told["count"] == len(told["tokens"])
    # As in a completion's prompt, control tokens written out are control tokens.
    ids = yunqi("tokenize", model, "--ids", "--special", stdin=text.encode()).stdout.split()
    assert told["tokens"] == [int(i) for i in ids]
    status, back = server.json("POST", "/detokenize", {"tokens": told["tokens"]})
    assert status == 200 and back["prompt"] == text


def test_tokenize_messages_counts_the_prompt(server):
    messages = chat("Hello there")["messages"]
    _, told = server.json("POST", "/tokenize", {"messages": messages})
    _, reply = server.json("POST", "/v1/chat/completions", {"messages": messages, "max_tokens": 1})
    assert told["count"] == reply["usage"]["prompt_tokens"]


@pytest.mark.parametrize("ids", [[-1], [10**6], ["a"], [1.5], 7])
def test_detokenize_refuses(server, ids):
    status, _, body = server.request("POST", "/detokenize", {"tokens": ids})
    assert assert_openai_error(status, body, 400)["param"].startswith("tokens")


def test_foreign_host_and_origin_are_refused(server):
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"},
                    {"Origin": "null"}):
        status, _, body = server.request("GET", "/v1/models", headers=headers)
        assert_openai_error(status, body, 403)
    own = f"127.0.0.1:{server.port}"
    for headers in ({"Host": own}, {"Host": f"localhost:{server.port}"},
                    {"Host": own, "Origin": f"http://{own}"}):
        assert server.request("GET", "/v1/models", headers=headers)[0] == 200


@pytest.mark.parametrize("method, path, want", [
    ("GET", "/nowhere", 404), ("POST", "/v1/nowhere", 404), ("GET", "/v1/models/", 404),
    ("GET", "/v1/../etc/passwd", 400), ("GET", "/v1/chat/completions", 405),
    ("DELETE", "/v1/models", 405), ("PUT", "/health", 405)])
def test_unknown_routes_and_methods(server, method, path, want):
    status, headers, body = server.request(method, path)
    assert_openai_error(status, body, want)
    if want == 405:
        assert "POST" in headers["Allow"] or "GET" in headers["Allow"]


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b"null", b'{"messages": [], "messages": []}', b'{"temperature": NaN}',
    b'{"seed": 99999999999999999999999}', b'{"x": "\xff"}', b"[" * 100_000, b'{"a":' * 1000])
def test_bad_json(server, body):
    for path in ("/v1/chat/completions", "/v1/completions", "/tokenize"):
        status, _, answer = server.request("POST", path, body)
        assert_openai_error(status, answer, 400)


def test_body_too_large(server):
    head = (b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Length: %d\r\n\r\n")
    answer = raw(server, head % (1 << 40))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert_openai_error(413, answer.partition(b"\r\n\r\n")[2], 413)
    assert server.json("GET", "/health")[0] == 200


def test_prompt_too_long(server):
    status, _, body = server.request("POST", "/v1/chat/completions", chat("word " * 200_000))
    assert assert_openai_error(status, body, 400)["message"]


@pytest.mark.parametrize("data", [
    b"GARBAGE\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
    b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"])
def test_bad_requests_end_the_connection(server, data):
    try:
        answer = raw(server, data + b"\r\n")
    except ConnectionError:
        answer = b""  # closed while we were still writing
    assert answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 505")), answer[:80]
    assert server.json("GET", "/health")[0] == 200


def start_stream(server, tokens):
    """An open stream after its first token, and the response to read on."""
    connection, response = server.open_stream(
        chat("Tell a story.", max_tokens=tokens, temperature=0, ignore_eos=True))
    assert response.status == 200
    events = sse_events(response)
    while not delta_text(next(events)):
        pass
    return connection, events


def wait_for(server, name, value, timeout=10):
    """Gauges follow at the end of a step."""
    deadline = time.monotonic() + timeout
    while server.metrics()[name] != value:
        assert time.monotonic() < deadline, f"{name} is {server.metrics()[name]}, want {value}"
        time.sleep(0.02)


def test_a_lost_client_is_cancelled(server):
    finished = server.metrics().get("yunqi_requests_finished_total", 0)
    connection, _ = start_stream(server, 4000)
    try:
        wait_for(server, "yunqi_requests_running", 1)
    finally:
        connection.sock.shutdown(socket.SHUT_RDWR)
        connection.close()
    wait_for(server, "yunqi_requests_running", 0)
    after = server.metrics()
    assert after["yunqi_kv_usage_ratio"] == 0
    assert after["yunqi_requests_finished_total"] == finished + 1


def test_sigterm_drains(start_server):
    server = start_server()
    before = server.connect()  # open already: a listener that is gone can't answer 503
    before.connect()
    connection, events = start_stream(server, 120)
    pieces, reasons = [], []

    def read_on():
        for event in events:
            pieces.append(delta_text(event))
            reasons.extend(c["finish_reason"] for c in event["choices"])

    reader = threading.Thread(target=read_on)
    reader.start()
    server.terminate()
    deadline = time.monotonic() + 10
    while "draining" not in server.log_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    before.request("POST", "/v1/chat/completions", json.dumps(chat("Hi", max_tokens=1)))
    refused = before.getresponse()
    assert refused.headers["Retry-After"]
    assert_openai_error(refused.status, refused.read(), 503)
    assert reader.is_alive(), "the stream ended before the refusal: the test proved nothing"
    reader.join(60)
    assert reasons[-1] == "length" and len("".join(pieces)) > 100
    connection.close()
    before.close()
    assert server.wait() == 0


def test_second_sigterm_stops_now(start_server):
    server = start_server()
    connection, _ = start_stream(server, 20_000)
    server.terminate()
    time.sleep(0.3)
    assert server.process.poll() is None, "one SIGTERM must wait for the stream"
    begin = time.monotonic()
    server.terminate()
    assert server.wait(15) == 0
    assert time.monotonic() - begin < 5
    connection.close()


def test_ctrl_c_drains_too(start_server):
    server = start_server()
    server.process.send_signal(signal.SIGINT)
    assert server.wait(15) == 0
