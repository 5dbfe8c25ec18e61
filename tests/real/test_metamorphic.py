"""A request with a seed has one answer: ids, text, logprobs and receipt are equal whatever the
server's threads, chunk size, parallel load or cache, streamed or not, and after a restart. Random
pairs of configurations over random requests; a failure prints its seed.

YUNQI_METAMORPHIC_PAIRS  request pairs to compare (default 60)
YUNQI_METAMORPHIC_SEED   the first seed (default 1)
"""

import concurrent.futures
import json
import os
import random

import pytest

from serving import sse_events

PAIRS = int(os.environ.get("YUNQI_METAMORPHIC_PAIRS", "60"))
FIRST_SEED = int(os.environ.get("YUNQI_METAMORPHIC_SEED", "1"))
REQUESTS = 10  # of one pair of configurations
MOST_TOKENS = 32

OPENINGS = ["1, 2, 3,", "def add(a, b):", "Once upon a time", "Zürich is", "SELECT * FROM", "你好，",
            "The capital of France", "import numpy as np\n", "\n\n\n", "a b c d e f g"]
# Long enough for several pages and chunks, and shared: what a cache would hold.
SHARED = "You are a careful assistant. Answer in one sentence. " * 12


def random_flags(chance, folder):
    flags = ["--threads", chance.choice([1, 2]), "--max-sequences", chance.choice([1, 3, 16]),
             "--prefill-chunk", chance.choice([7, 32, 100, 256])]
    if chance.random() < 0.5:
        flags.append("--no-prefix-cache")
    if chance.random() < 0.5:
        flags.append("--no-speculation")
    if chance.random() < 0.3:
        flags += ["--cache-dir", folder]
    return flags


def random_request(chance):
    text = (SHARED if chance.random() < 0.5 else "") + chance.choice(OPENINGS)
    text += "".join(chance.choice(OPENINGS) for _ in range(chance.randrange(4)))
    body = {"max_tokens": chance.randint(1, MOST_TOKENS), "seed": chance.randrange(1 << 40),
            "temperature": chance.choice([0, 0, 0.7, 1.0, 1.9]), "top_p": chance.choice([1, 0.9]),
            "top_k": chance.choice([0, 40]), "n": chance.choice([1, 1, 2]),
            "repetition_penalty": chance.choice([1, 1.1]), "return_token_ids": True,
            "x_receipt": True}
    if chance.random() < 0.3:
        body["stop"] = chance.choice([".", "\n", " a"])
    if chance.random() < 0.5:
        body["ignore_eos"] = True
    if chance.random() < 0.5:
        return "/v1/completions", {**body, "prompt": text, "logprobs": chance.choice([0, 3])}
    messages = [{"role": "user", "content": text}]
    return "/v1/chat/completions", {**body, "messages": messages, "logprobs": True,
                                    "top_logprobs": chance.choice([0, 3])}


def whole(server, path, body):
    status, reply = server.json("POST", path, body)
    assert status == 200, reply
    choices = {}
    for choice in reply["choices"]:
        text = choice["text"] if "text" in choice else choice["message"]["content"]
        choices[choice["index"]] = [text, choice["token_ids"], logprobs_of(choice),
                                    choice["finish_reason"]]
    return choices, reply["x_receipt"]


def logprobs_of(choice):
    found = choice["logprobs"]
    if not found:
        return []
    if "content" in found:
        return [(token["logprob"], [top["logprob"] for top in token["top_logprobs"]])
                for token in found["content"]]
    return [(value, list(top.values()))
            for value, top in zip(found["token_logprobs"], found["top_logprobs"])]


def streamed(server, path, body):
    connection = server.connect()
    try:
        connection.request("POST", path, json.dumps({**body, "stream": True}))
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        choices, receipt = {}, None
        for event in sse_events(answer):
            assert "error" not in event, event
            receipt = event.get("x_receipt", receipt)
            for choice in event["choices"]:
                into = choices.setdefault(choice["index"], ["", [], [], None])
                into[0] += choice.get("text") or choice.get("delta", {}).get("content") or ""
                into[1] += choice["token_ids"]
                into[2] += logprobs_of(choice)
                into[3] = choice["finish_reason"] or into[3]
        return choices, receipt
    finally:
        connection.close()


def answers(server, requests, chance):
    """All answers, asked for at random in turn or at once, streamed or not."""
    ask = [streamed if chance.random() < 0.5 else whole for _ in requests]
    order = list(range(len(requests)))
    chance.shuffle(order)
    with concurrent.futures.ThreadPoolExecutor(chance.choice([1, 4, 10])) as pool:
        found = {i: pool.submit(ask[i], server, *requests[i]) for i in order}
        return [found[i].result() for i in range(len(requests))]


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + -(-PAIRS // REQUESTS)))
def test_two_configurations_give_the_same_bytes(start_server, tmp_path, seed):
    chance = random.Random(seed)
    requests = [random_request(chance) for _ in range(REQUESTS)]
    results = []
    for _ in range(2):
        server = start_server(*random_flags(chance, tmp_path), "--context", "1024")
        results.append(answers(server, requests, chance))
        assert server.stop() == 0
    for request, first, second in zip(requests, *results):
        assert first == second, f"seed {seed}: {request}"
