"""Compares our chat template interpreter with jinja2 under Hugging Face's settings.

Usage: compare_templates.py RENDER_LINES TEMPLATE_FILE_OR_FOLDER...
RENDER_LINES is the program built from render_lines.cc. Templates are .jinja files, GGUF files or
tokenizer_config.json files of real checkpoints; none is kept in this repository. Every template
meets a grid of conversations; outputs must be equal byte for byte, and an error must be an error on
both sides. Exit status 1 on any difference.
"""

import copy
import datetime
import itertools
import json
import pathlib
import subprocess
import sys

NOW = 1_753_000_000  # what strftime_now tells on both sides


def hugging_face_environment():
    """transformers' own environment, with its clock stopped."""
    from transformers.utils import chat_template_utils

    def compile_template(source):
        compiled = chat_template_utils._compile_jinja_template.__wrapped__(source) if hasattr(
            chat_template_utils._compile_jinja_template, "__wrapped__"
        ) else chat_template_utils._compile_jinja_template(source)
        fixed = datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc)
        compiled.environment.globals["strftime_now"] = fixed.strftime
        compiled.globals["strftime_now"] = fixed.strftime
        return compiled

    return compile_template


TOOLS = [
    {"type": "function", "function": {
        "name": "get_weather", "description": "Get the weather <now> & \"here\"",
        "parameters": {"type": "object", "properties": {
            "city": {"type": "string", "description": "City, e.g. Zürich 🏔"},
            "days": {"type": "integer", "default": 1, "minimum": 1},
            "unit": {"type": "string", "enum": ["C", "F"]},
            "nested": {"type": "object", "properties": {"a": {"type": ["number", "null"]}},
                       "required": ["a"]},
            "list": {"type": "array", "items": {"type": "boolean"}}},
            "required": ["city"]}}},
    {"type": "function", "function": {
        "name": "noop", "description": "", "parameters": {"type": "object", "properties": {}}}},
]


def call(name, arguments, identifier="call_12345"):
    return {"id": identifier, "type": "function",
            "function": {"name": name, "arguments": arguments}}


def conversations():
    user = {"role": "user", "content": "Hello"}
    odd = "  <|im_end|>\n<think>x</think> {{ a }} {% b %} \u00e9\u4e2d\u6587\U0001f600 'q' \"d\" \\ \t\n "
    arguments = {"city": "Zürich", "days": 3, "unit": None, "x": 1.5, "y": True,
                 "z": {"k": ["v", 1e20]}}
    answer = {"role": "assistant", "content": "Hi there"}
    thought = {"role": "assistant", "content": "Hi", "reasoning_content": "\nLet me think\n"}
    inline = {"role": "assistant", "content": "<think>\nhmm\n</think>\n\nHi</think>again"}
    calls = {"role": "assistant", "content": "", "tool_calls": [call("get_weather", arguments)]}
    two_calls = {"role": "assistant", "content": "I will", "reasoning_content": "plan",
                 "tool_calls": [call("get_weather", arguments), call("noop", {}, "call_22345")]}
    bare_call = {"role": "assistant", "content": None,
                 "tool_calls": [{"name": "noop", "arguments": {"a": "b"}}]}
    text_call = {"role": "assistant", "content": "x", "tool_calls": [
        call("noop", '{"a": 1}')]}
    result = {"role": "tool", "content": "18 °C", "name": "get_weather",
              "tool_call_id": "call_12345"}
    result_2 = {"role": "tool", "content": '{"ok": true}', "name": "noop",
                "tool_call_id": "call_22345"}
    parts = {"role": "user", "content": [{"type": "text", "text": "Look: "},
                                         {"type": "text", "text": odd}]}
    image = {"role": "user", "content": [{"type": "image", "image": "x"},
                                         {"type": "text", "text": "what?"}]}
    bodies = {
        "one": [user],
        "odd": [{"role": "user", "content": odd}],
        "empty": [{"role": "user", "content": ""}],
        "turns": [user, answer, {"role": "user", "content": "More"}],
        "thought": [user, thought, {"role": "user", "content": "More"}, inline],
        "inline": [user, inline, user, thought, user],
        "last assistant": [user, thought],
        "calls": [user, calls, result],
        "two calls": [user, two_calls, result, result_2, answer, user],
        "calls then user": [user, thought, user, two_calls, result, result_2],
        "bare call": [user, bare_call, result_2],
        "text call": [user, text_call, result_2],
        "tool response user": [user, answer,
                               {"role": "user", "content": "<tool_response>\nx\n</tool_response>"}],
        "parts": [parts, answer, parts],
        "image": [image],
        "no content": [{"role": "user"}],
        "none content": [user, {"role": "assistant", "content": None}, user],
        "number content": [{"role": "user", "content": 5}],
        "odd role": [user, {"role": "critic", "content": "no"}],
        "late system": [user, {"role": "system", "content": "late"}, user],
        "developer": [{"role": "developer", "content": "dev"}, user],
        "two users": [user, user],
        "assistant first": [answer, user],
        "none": [],
    }
    for name, body in bodies.items():
        for system in (None, "Be brief.", odd):
            if system is odd and name not in ("one", "calls", "thought"):
                continue
            messages = copy.deepcopy(body)
            if system is not None:
                messages.insert(0, {"role": "system", "content": system})
            yield name + (" +system" if system else ""), messages


def grid():
    options = [
        {}, {"enable_thinking": True}, {"enable_thinking": False},
        {"enable_thinking": True, "preserve_thinking": True, "reasoning_effort": "low",
         "add_vision_id": True},
    ]
    for (name, messages), tools, prompt, option in itertools.product(
            conversations(), (None, TOOLS), (True, False), options):
        variables = {"messages": messages, "tools": tools, "documents": None,
                     "add_generation_prompt": prompt, "bos_token": "<s>", "eos_token": "</s>",
                     "pad_token": "<pad>", "unk_token": "<unk>", **option}
        yield f"{name} tools={bool(tools)} prompt={prompt} {option}", variables


def load_templates(arguments):
    for argument in map(pathlib.Path, arguments):
        files = sorted(argument.glob("*")) if argument.is_dir() else [argument]
        for file in files:
            if file.suffix == ".gguf":
                from gguf import GGUFReader
                field = GGUFReader(str(file)).fields["tokenizer.chat_template"]
                yield file.name, bytes(field.parts[field.data[0]]).decode()
            elif file.suffix == ".json":
                yield file.name, json.loads(file.read_text())["chat_template"]
            elif file.suffix == ".jinja":
                # Decoded by hand: reading as text would change line ends.
                yield file.name, file.read_bytes().decode()


def expected(compiled, variables):
    try:
        return {"ok": compiled.render(**copy.deepcopy(variables))}
    except Exception as error:  # any Python error is an error of the template
        return {"error": f"{type(error).__name__}: {error}"}


def main():
    renderer, *paths = sys.argv[1:]
    compile_template = hugging_face_environment()
    cases, wanted = [], []
    for name, source in load_templates(paths):
        try:
            compiled = compile_template(source)
        except Exception as error:
            print(f"skipped {name}: jinja2 does not compile it: {error}")
            continue
        for label, variables in grid():
            wanted.append((name, label, expected(compiled, variables)))
            cases.append(json.dumps({
                "template": source, "pieces": True,
                "variables": {**variables, "yunqi_now_unix_seconds": NOW}}))
    lines = subprocess.run([renderer], input="\n".join(cases) + "\n", capture_output=True, text=True,
                           check=True).stdout.rstrip("\n").split("\n")
    assert len(lines) == len(cases), (len(lines), len(cases))
    failures, rendered = {}, 0
    for (name, label, want), line in zip(wanted, lines):
        got = json.loads(line)
        rendered += "ok" in want
        same = want == {k: v for k, v in got.items() if k != "pieces"} if "ok" in want else (
            "error" in got)
        if same and "ok" in got:
            same = "".join(piece["text"] for piece in got["pieces"]) == got["ok"]
        if not same:
            failures.setdefault(name, []).append((label, want, got))
    for name, found in failures.items():
        label, want, got = found[0]
        got.pop("pieces", None)
        print(f"{name}: {len(found)} differ; first: {label}\n  want {want}\n  got  {got}")
    print(f"{len(cases)} cases, {rendered} rendered, {len(set(n for n, _, _ in wanted))} templates, "
          f"{sum(map(len, failures.values()))} differ")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
