"""Tool calls and bound answers through the openai SDK, with a real small model."""

import json

import openai
import pytest

TOOLS = [
    {"type": "function", "function": {
        "name": "get_weather", "description": "The weather in a city now.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}},
                       "required": ["city"]}}},
    {"type": "function", "function": {
        "name": "get_time", "description": "The local time in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}},
                       "required": ["city"]}}},
]
QUESTION = [{"role": "user", "content": "What is the weather in Paris right now?"}]
NAMED = {"type": "function", "function": {"name": "get_weather"}}


@pytest.fixture(scope="module")
def name(client):
    return client.models.list().data[0].id


def ask(client, name, **more):
    return client.chat.completions.create(**{
        "model": name, "messages": QUESTION, "tools": TOOLS, "temperature": 0, "max_tokens": 120,
        **more})


def assembled(chunks):
    """The calls and the content of a stream, and how it finished."""
    calls, content, reason = {}, "", None
    for chunk in chunks:
        for choice in chunk.choices:
            content += choice.delta.content or ""
            reason = choice.finish_reason or reason
            for delta in choice.delta.tool_calls or []:
                call = calls.setdefault(delta.index, {"id": None, "name": "", "arguments": ""})
                call["id"] = delta.id or call["id"]
                call["name"] += delta.function.name or ""
                call["arguments"] += delta.function.arguments or ""
    return [calls[index] for index in sorted(calls)], content, reason


def test_named_round_trip(client, name):
    reply = ask(client, name, tool_choice=NAMED)
    choice = reply.choices[0]
    assert choice.finish_reason == "tool_calls" and choice.message.content is None
    call = choice.message.tool_calls[0]
    assert call.type == "function" and call.id and call.function.name == "get_weather"
    assert "paris" in json.loads(call.function.arguments)["city"].lower()
    messages = QUESTION + [choice.message.model_dump(exclude_none=True),
                           {"role": "tool", "tool_call_id": call.id,
                            "content": '{"temperature_c": 31, "sky": "clear"}'}]
    answer = ask(client, name, messages=messages, tool_choice="none").choices[0]
    assert answer.finish_reason == "stop" and not answer.message.tool_calls
    assert "31" in answer.message.content


@pytest.mark.parametrize("choice", [NAMED, "required"])
def test_streamed_calls_are_the_whole_ones(client, name, choice):
    whole = ask(client, name, tool_choice=choice).choices[0]
    calls, content, reason = assembled(ask(client, name, tool_choice=choice, stream=True))
    assert reason == whole.finish_reason and content == (whole.message.content or "")
    assert [(c["name"], c["arguments"]) for c in calls] == [
        (c.function.name, c.function.arguments) for c in whole.message.tool_calls]
    assert all(c["id"] for c in calls)


def test_required_calls_one_of_the_tools(client, name):
    message = ask(client, name, tool_choice="required", messages=[
        {"role": "user", "content": "What time is it in Tokyo?"}]).choices[0].message
    assert message.tool_calls[0].function.name in {"get_weather", "get_time"}
    assert isinstance(json.loads(message.tool_calls[0].function.arguments), dict)


def test_none_calls_nothing(client, name):
    message = ask(client, name, tool_choice="none").choices[0].message
    assert not message.tool_calls and message.content


def test_auto_streamed_equals_whole(client, name):
    whole = ask(client, name).choices[0]
    calls, content, reason = assembled(ask(client, name, stream=True))
    assert reason == whole.finish_reason and content == (whole.message.content or "")
    assert len(calls) == len(whole.message.tool_calls or [])


def test_broken_arguments_in_the_history(client, name):
    messages = QUESTION + [
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "call_1", "type": "function",
             "function": {"name": "get_weather", "arguments": '{"city": "Par'}}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "bad arguments"}]
    assert ask(client, name, messages=messages, max_tokens=8).choices[0].message is not None


@pytest.mark.parametrize("change, param", [
    ({"tools": [{"type": "function"}]}, "tools[0].function"),
    ({"tools": [{"type": "magic"}]}, "tools[0].type"),
    ({"tool_choice": {"type": "function", "function": {"name": "nothing"}}},
     "tool_choice.function.name"),
    ({"tools": [], "tool_choice": "required"}, "tool_choice"),
    ({"extra_body": {"enable_thinking": True}}, "enable_thinking"),
])
def test_bad_tool_fields_are_named(client, name, change, param):
    with pytest.raises(openai.BadRequestError) as raised:
        ask(client, name, **change)
    assert raised.value.param == param


SCHEMA = {"type": "object", "additionalProperties": False, "required": ["city", "sunny", "degrees"],
          "properties": {"city": {"type": "string", "maxLength": 30}, "sunny": {"type": "boolean"},
                         "degrees": {"type": "integer", "minimum": -50, "maximum": 60}}}


@pytest.mark.parametrize("stream", [False, True])
def test_json_schema(client, name, stream):
    reply = client.chat.completions.create(
        model=name, max_tokens=100, temperature=1.2, seed=3, stream=stream,
        messages=[{"role": "user", "content": "Describe today's weather in Rome as JSON."}],
        response_format={"type": "json_schema", "json_schema": {
            "name": "weather", "strict": True, "schema": SCHEMA}})
    text = ("".join(c.choices[0].delta.content or "" for c in reply if c.choices) if stream
            else reply.choices[0].message.content)
    value = json.loads(text)
    assert set(value) == {"city", "sunny", "degrees"} and isinstance(value["sunny"], bool)
    assert isinstance(value["degrees"], int) and -50 <= value["degrees"] <= 60


def test_strict_tool_arguments(client, name):
    tool = {"type": "function", "function": {"name": "report", "strict": True,
                                             "parameters": SCHEMA}}
    message = ask(client, name, tools=[tool], tool_choice="required", temperature=1.2,
                  seed=4).choices[0].message
    assert set(json.loads(message.tool_calls[0].function.arguments)) == set(SCHEMA["required"])


def test_choice(client, name):
    reply = client.chat.completions.create(
        model=name, messages=[{"role": "user", "content": "Is the sky blue?"}], temperature=0,
        extra_body={"guided_choice": ["certainly", "never"]})
    assert reply.choices[0].message.content in {"certainly", "never"}
    assert reply.choices[0].finish_reason == "stop"
