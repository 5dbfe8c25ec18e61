"""Receipts of the real model: the same whole and streamed, replayed by the program as equal, and
told apart when changed."""

import json

from serving import chat, sse_events


def test_a_receipt_replays(server, yunqi, model, tmp_path):
    body = chat("Write a short poem about rain.", max_tokens=24, temperature=1.2, n=2,
                x_receipt=True)
    status, reply = server.json("POST", "/v1/chat/completions", body)
    assert status == 200
    receipt = reply["x_receipt"]
    assert receipt["system_fingerprint"] == reply["system_fingerprint"]
    assert len(receipt["outputs"]) == 2

    connection, answer = server.open_stream({**body, "seed": receipt["seed"]})
    assert list(sse_events(answer))[-1]["x_receipt"] == receipt
    connection.close()

    (tmp_path / "request.json").write_text(json.dumps(body))
    (tmp_path / "reply.json").write_text(json.dumps(reply))
    replay = ["replay", tmp_path / "reply.json", "--request", tmp_path / "request.json", "--model",
              model]
    equal = yunqi(*replay, "--threads", "1")
    assert equal.returncode == 0 and equal.stdout.startswith(b"equal"), equal

    receipt["outputs"][1]["output_sha256"] = "0" * 64
    (tmp_path / "reply.json").write_text(json.dumps(receipt))
    changed = yunqi(*replay)
    assert changed.returncode == 1 and b"choice 1: output ids" in changed.stdout, changed
