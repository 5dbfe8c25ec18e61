"""A model on demand: loaded by the first request, seen loading, gone when idle, back with the same
bytes; its memory goes with it."""

import concurrent.futures
import time

from serving import chat

DEADLINE_S = 120


def status(server):
    return server.json("GET", "/v1/models")[1]["data"][0]["status"]


def wait_for(server, state):
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        found = status(server)
        if found["state"] == state:
            return found
        time.sleep(0.02)
    raise AssertionError(f"want {state}, found {found}")


def test_a_model_comes_on_demand_and_goes_when_idle(start_server):
    server = start_server("--on-demand", "--keep-alive", "1", "--context", "2048")
    assert status(server)["state"] == "unloaded"
    assert server.json("GET", "/health")[1]["status"] == "ok"
    before = server.anonymous_bytes()
    body = chat("Name a fruit.", seed=7, temperature=1.0, max_tokens=12)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(server.json, "POST", "/v1/chat/completions", body) for _ in range(8)]
        loading = wait_for(server, "loading") if status(server)["state"] != "ready" else None
        assert loading is None or 0 <= loading["progress"] <= 1
        replies = [one.result() for one in asked]
    texts = {reply["choices"][0]["message"]["content"] for code, reply in replies if code == 200}
    assert [code for code, _ in replies] == [200] * 8 and len(texts) == 1
    loaded = server.anonymous_bytes()

    wait_for(server, "unloaded")
    assert server.anonymous_bytes() - before < (loaded - before) / 4
    code, reply = server.json("POST", "/v1/chat/completions", body)
    assert code == 200 and {reply["choices"][0]["message"]["content"]} == texts
    metrics = server.metrics()
    assert metrics["yunqi_model_loads_total"] == 3  # two loads, one unload
    assert server.stop() == 0


def test_a_wait_for_a_model_has_a_limit(start_server, tmp_path):
    server = start_server("--on-demand", "--load-timeout", "1", "--context", "2048")
    began = time.monotonic()
    code, headers, _ = server.request("POST", "/v1/chat/completions", chat("Hi", max_tokens=1))
    # A fast machine loads within the limit.
    assert code == 200 or (code == 503 and headers["Retry-After"])
    assert time.monotonic() - began < DEADLINE_S
    assert server.stop() == 0
