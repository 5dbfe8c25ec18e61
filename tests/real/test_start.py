"""From starting `serve` to the first token of an answer, with the file in the page cache.

A time is a benchmark, so it is printed and recorded as a JSON line in YUNQI_RESULTS (a file; default
beside the program: start.jsonl); only a loose bound is asserted. The bar is 1.5 s.
"""

import json
import os
import pathlib
import time

from serving import chat, delta_text, sse_events

LOOSE_BOUND_S = 10
STARTS = 3


def seconds_to_first_token(start_server):
    server = start_server()
    ready = time.monotonic()
    connection, response = server.open_stream(chat("Hi", max_tokens=4, temperature=0))
    assert response.status == 200
    for event in sse_events(response):
        if delta_text(event):
            break
    else:
        raise AssertionError("no token came")
    first = time.monotonic()
    connection.close()
    assert server.stop() == 0
    return ready - server.started_at, first - server.started_at


def test_start_to_first_token(start_server, binary, model):
    with open(model, "rb") as file:  # into the page cache
        while file.read(1 << 24):
            pass
    times = [seconds_to_first_token(start_server) for _ in range(STARTS)]
    ready, first = min(times, key=lambda pair: pair[1])
    result = {"bench": "serve_start_to_first_token", "model": model.name, "starts": STARTS,
              "ready_s": round(ready, 3), "first_token_s": round(first, 3),
              "all_first_token_s": [round(pair[1], 3) for pair in times],
              "cpus": len(os.sched_getaffinity(0)), "unix_seconds": int(time.time())}
    line = json.dumps(result)
    print(line)
    out = pathlib.Path(os.environ.get("YUNQI_RESULTS", binary.parent / "start.jsonl"))
    with open(out, "a") as results:
        results.write(line + "\n")
    assert first < LOOSE_BOUND_S
