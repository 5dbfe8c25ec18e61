"""The public openai SDK against our server, as anybody would use it: no special cases."""

import asyncio
import math

import openai
import pytest

HELLO = [{"role": "user", "content": "Say hello to Anna in one short sentence."}]


@pytest.fixture(scope="module")
def name(client):
    return client.models.list().data[0].id


def text_of(reply):
    return reply.choices[0].message.content


def test_chat(client, name):
    reply = client.chat.completions.create(model=name, messages=HELLO, max_tokens=24, temperature=0)
    assert reply.object == "chat.completion" and reply.id.startswith("chatcmpl-")
    assert reply.model == name and reply.system_fingerprint
    choice = reply.choices[0]
    assert choice.index == 0 and choice.message.role == "assistant"
    assert "Anna" in choice.message.content and choice.finish_reason in ("stop", "length")
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert 0 < reply.usage.completion_tokens <= 24


def test_streaming_chat_equals_the_whole(client, name):
    request = dict(model=name, messages=HELLO, max_tokens=24, temperature=0)
    whole = client.chat.completions.create(**request)
    chunks = list(client.chat.completions.create(
        **request, stream=True, stream_options={"include_usage": True}))
    assert {c.object for c in chunks} == {"chat.completion.chunk"}
    assert len({c.id for c in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == text_of(whole)
    reasons = [c.choices[0].finish_reason for c in chunks if c.choices]
    assert reasons[-1] == whole.choices[0].finish_reason and set(reasons[:-1]) == {None}
    assert chunks[-1].choices == [] and chunks[-1].usage == whole.usage
    assert all(c.usage is None for c in chunks[:-1])


def test_streaming_without_usage_has_none(client, name):
    chunks = list(client.chat.completions.create(model=name, messages=HELLO, max_tokens=3,
                                                 stream=True))
    assert all(c.choices and c.usage is None for c in chunks)


def test_several_choices(client, name):
    request = dict(model=name, messages=HELLO, max_tokens=12, temperature=1.5, seed=5, n=2)
    reply = client.chat.completions.create(**request)
    assert [c.index for c in reply.choices] == [0, 1]
    texts = [c.message.content for c in reply.choices]
    assert texts[0] != texts[1]
    streamed = ["", ""]
    for chunk in client.chat.completions.create(**request, stream=True):
        for choice in chunk.choices:
            streamed[choice.index] += choice.delta.content or ""
    assert streamed == texts


def test_logprobs(client, name):
    reply = client.chat.completions.create(model=name, messages=HELLO, max_tokens=6, temperature=0,
                                           logprobs=True, top_logprobs=3)
    content = reply.choices[0].logprobs.content
    assert len(content) == reply.usage.completion_tokens
    assert "".join(t.token for t in content) == text_of(reply)
    for token in content:
        assert bytes(token.bytes).decode() == token.token
        assert len(token.top_logprobs) == 3
        best = token.top_logprobs[0]
        assert (best.token, best.logprob) == (token.token, token.logprob)  # greedy
        values = [t.logprob for t in token.top_logprobs]
        assert values == sorted(values, reverse=True) and values[0] <= 0
        assert sum(math.exp(v) for v in values) <= 1 + 1e-5


@pytest.mark.parametrize("stream", [False, True])
def test_stop_strings(client, name, stream):
    request = dict(model=name, messages=[{"role": "user", "content": "Count from 1 to 9 in digits, "
                                          "separated by commas."}], max_tokens=40, temperature=0)
    whole = text_of(client.chat.completions.create(**request))
    assert "5" in whole
    reply = client.chat.completions.create(**request, stop=["5", "nowhere"], stream=stream)
    if stream:
        chunks = [c.choices[0] for c in reply]
        text = "".join(c.delta.content or "" for c in chunks)
        reason = chunks[-1].finish_reason
    else:
        text, reason = text_of(reply), reply.choices[0].finish_reason
    assert text == whole[:whole.index("5")] and reason == "stop"


def test_seed_repeats(client, name):
    request = dict(model=name, messages=HELLO, max_tokens=16, temperature=1.3)
    texts = [text_of(client.chat.completions.create(**request, seed=seed)) for seed in (11, 11, 12)]
    assert texts[0] == texts[1] != texts[2]


def test_sampler_fields(client, name):
    reply = client.chat.completions.create(
        model=name, messages=HELLO, max_completion_tokens=4, temperature=0.7, top_p=0.9,
        presence_penalty=0.5, frequency_penalty=0.5, logit_bias={"9707": -100}, user="someone",
        extra_body={"top_k": 20, "min_p": 0.01, "repetition_penalty": 1.1, "ignore_eos": True})
    assert reply.usage.completion_tokens == 4 and reply.choices[0].finish_reason == "length"
    forced = client.chat.completions.create(model=name, messages=HELLO, max_tokens=3, temperature=0,
                                            logit_bias={"15": 100})
    assert text_of(forced) == "000"


def test_completion(client, name):
    request = dict(model=name, prompt="1, 2, 3, 4,", max_tokens=6, temperature=0)
    whole = client.completions.create(**request)
    assert whole.object == "text_completion" and whole.id.startswith("cmpl-")
    assert whole.choices[0].text.startswith(" 5, 6")
    chunks = list(client.completions.create(**request, stream=True,
                                            stream_options={"include_usage": True}))
    assert "".join(c.choices[0].text for c in chunks if c.choices) == whole.choices[0].text
    assert chunks[-1].usage == whole.usage


def test_completion_defaults_to_16_tokens(client, name):
    reply = client.completions.create(model=name, prompt="Once upon a time", temperature=0,
                                      extra_body={"ignore_eos": True})
    assert reply.usage.completion_tokens == 16


def test_echo_with_logprobs(client, name):
    prompt = "The capital of France is"
    reply = client.completions.create(model=name, prompt=prompt, max_tokens=2, temperature=0,
                                      echo=True, logprobs=2)
    choice = reply.choices[0]
    assert choice.text.startswith(prompt) and "Paris" in choice.text
    logprobs = choice.logprobs
    total = reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert len(logprobs.tokens) == len(logprobs.token_logprobs) == total
    assert len(logprobs.top_logprobs) == len(logprobs.text_offset) == total
    assert "".join(logprobs.tokens) == choice.text
    assert logprobs.token_logprobs[0] is None  # nothing stands before the first token
    assert all(value <= 0 for value in logprobs.token_logprobs[1:])
    assert [choice.text[at:at + len(token)] for at, token
            in zip(logprobs.text_offset, logprobs.tokens)] == logprobs.tokens


def test_scoring_without_generation(client, name):
    reply = client.completions.create(model=name, prompt="The capital of France is", max_tokens=0,
                                      echo=True, logprobs=1)
    assert reply.choices[0].text == "The capital of France is"
    assert len(reply.choices[0].logprobs.tokens) == reply.usage.prompt_tokens
    assert reply.usage.completion_tokens == 0


def test_fill_in_the_middle(client, name):
    reply = client.completions.create(model=name, prompt="def add(a, b):\n    return ",
                                      suffix="\n\nprint(add(1, 2))\n", max_tokens=8, temperature=0)
    assert reply.choices[0].text.strip().startswith("a + b")


def test_several_prompts(client, name):
    prompts = ["1, 2, 3,", "a, b, c,"]
    request = dict(model=name, max_tokens=4, temperature=0)
    together = client.completions.create(prompt=prompts, **request)
    alone = [client.completions.create(prompt=p, **request).choices[0].text for p in prompts]
    assert [c.index for c in together.choices] == [0, 1]
    assert [c.text for c in together.choices] == alone


def test_token_id_prompts(client, name, server):
    _, told = server.json("POST", "/tokenize", {"prompt": "1, 2, 3, 4,"})
    request = dict(model=name, max_tokens=4, temperature=0)
    text = client.completions.create(prompt="1, 2, 3, 4,", **request).choices[0].text
    one = client.completions.create(prompt=told["tokens"], **request)
    two = client.completions.create(prompt=[told["tokens"]] * 2, **request)
    assert [c.text for c in one.choices + two.choices] == [text] * 3


def test_models(client, name):
    assert client.models.list().object == "list"
    model = client.models.retrieve(name)
    assert model.id == name and model.object == "model" and model.created > 0
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no-such-model")


@pytest.mark.parametrize("endpoint", ["chat", "completions"])
def test_unknown_model(client, endpoint):
    with pytest.raises(openai.NotFoundError) as raised:
        if endpoint == "chat":
            client.chat.completions.create(model="no-such-model", messages=HELLO)
        else:
            client.completions.create(model="no-such-model", prompt="x")
    assert raised.value.code == "model_not_found" and raised.value.param == "model"
    assert "no-such-model" in raised.value.message


@pytest.mark.parametrize("change, param", [
    ({"temperature": -1}, "temperature"), ({"temperature": "hot"}, "temperature"),
    ({"top_p": 2}, "top_p"), ({"n": 9}, "n"), ({"n": 0}, "n"), ({"max_tokens": -1}, "max_tokens"),
    ({"messages": "hi"}, "messages"), ({"messages": []}, "messages"),
    ({"messages": [{"content": "no role"}]}, "messages[0].role"),
    ({"messages": HELLO + [{"role": "user", "content": 5}]}, "messages[1].content"),
    ({"stop": ["a", 5]}, "stop[1]"), ({"top_logprobs": 3}, "top_logprobs"),
    ({"logprobs": True, "top_logprobs": 1000}, "top_logprobs"),
    ({"stream_options": {"include_usage": True}}, "stream_options"),
    ({"logit_bias": {"x": 1}}, "logit_bias"), ({"seed": 1.5}, "seed"),
    ({"response_format": {"type": "xml"}}, "response_format.type"),
])
def test_bad_fields_are_named(client, name, change, param):
    request = {"messages": HELLO, "max_tokens": 2, **change}
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model=name, **request)
    assert raised.value.param == param
    assert raised.value.type == "invalid_request_error" and raised.value.code


@pytest.mark.parametrize("change, param", [
    ({"prompt": []}, "prompt"), ({"prompt": 5}, "prompt"), ({"prompt": [1, "a"]}, "prompt[1]"),
    ({"prompt": [10**6]}, "prompt[0]"), ({"logprobs": 99}, "logprobs"), ({"n": 9}, "n"),
    ({"best_of": 3}, "best_of"), ({"suffix": "b", "echo": True}, "echo")])
def test_bad_completion_fields_are_named(client, name, change, param):
    with pytest.raises(openai.BadRequestError) as raised:
        client.completions.create(**{"model": name, "prompt": "a", "max_tokens": 2, **change})
    assert raised.value.param == param


def test_a_prompt_beyond_the_context(start_server):
    small = start_server("--context", "64")
    client = openai.OpenAI(base_url=small.url + "/v1", api_key="none", max_retries=0)
    name = client.models.list().data[0].id
    long = [{"role": "user", "content": "word " * 200}]
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model=name, messages=long)
    assert "64" in raised.value.message
    # Without max_tokens an answer ends at the limit.
    reply = client.completions.create(model=name, prompt="one two three", max_tokens=None,
                                      extra_body={"ignore_eos": True, "max_tokens": 1000})
    assert reply.usage.total_tokens <= 64 and reply.choices[0].finish_reason == "length"
    assert small.stop() == 0


def test_eight_at_once(server, client, name):
    requests = [dict(model=name, messages=[{"role": "user", "content": f"What is {n} plus {n}?"}],
                     max_tokens=10, temperature=0.9, seed=n) for n in range(8)]
    alone = [text_of(client.chat.completions.create(**request)) for request in requests]

    async def all_at_once():
        async with openai.AsyncOpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0,
                                      timeout=120) as together:
            return await asyncio.gather(
                *(together.chat.completions.create(**request) for request in requests))

    assert [text_of(reply) for reply in asyncio.run(all_at_once())] == alone


def test_api_key(start_server):
    locked = start_server("--api-key", "secret-1", "--api-key", "secret-2")

    def client(key):
        return openai.OpenAI(base_url=locked.url + "/v1", api_key=key, max_retries=0)

    for wrong in ("none", "secret-", "secret-11"):
        with pytest.raises(openai.AuthenticationError) as raised:
            client(wrong).models.list()
        assert raised.value.code == "invalid_api_key"
    status, body = locked.json("GET", "/v1/models")
    assert status == 401 and body["error"]["message"]
    for right in ("secret-1", "secret-2"):
        name = client(right).models.list().data[0].id
        assert client(right).chat.completions.create(model=name, messages=HELLO, max_tokens=1)
    assert "secret" not in locked.log_text()
    assert locked.stop() == 0
