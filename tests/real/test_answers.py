"""Answers of the command line: sane, repeatable, machine-readable, with the promised exit codes."""

import ast
import json
import re
import signal
import subprocess
import time

import pytest

TEXT = """The town lies where two rivers meet. In spring the water rises and the lower streets are
closed for a week or two; nobody minds much. Children fish from the steps of the library, and the
baker delivers bread by boat. When the water falls, people sweep the mud out of their houses, open
the windows and talk about who had the deepest water this year.
"""


def answer(yunqi, model, prompt, *flags, stdin=b""):
    done = yunqi("run", model, *([prompt] if prompt else []), "--json", *flags, stdin=stdin)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def test_adds_two_numbers(yunqi, model):
    done = yunqi("run", model, "What is 2+2? Answer with the number only.", "--temperature", "0",
                 "--max-tokens", "16")
    assert done.returncode == 0
    assert done.stdout.decode().strip().rstrip(".") == "4"


def test_writes_python_that_runs(yunqi, model):
    got = answer(yunqi, model, "Write a Python function is_even(n). Only the code, no explanation.",
                 "--temperature", "0", "--max-tokens", "96")
    code = re.search(r"```(?:python)?\n(.*?)(?:```|\Z)", got["text"], re.S)
    source = code[1] if code else got["text"]
    assert "is_even" in {f.name for f in ast.walk(ast.parse(source))
                         if isinstance(f, ast.FunctionDef)}
    scope = {}
    exec(compile(source, "answer", "exec"), scope)  # a few lines of arithmetic
    assert [bool(scope["is_even"](n)) for n in (0, 1, 2, 7)] == [True, False, True, False]


def test_json_tells_all(yunqi, model):
    got = answer(yunqi, model, "Say hello.", "--max-tokens", "5", "--temperature", "0")
    assert set(got) >= {"text", "token_ids", "prompt_token_ids", "usage", "timings", "seed",
                        "finish_reason"}
    usage = got["usage"]
    assert usage["prompt_tokens"] == len(got["prompt_token_ids"]) > 5
    assert usage["completion_tokens"] == len(got["token_ids"]) == 5
    assert got["finish_reason"] == "length"
    assert got["timings"]["prefill_ms"] > 0 and got["timings"]["decode_ms"] > 0
    back = yunqi("tokenize", model, "--decode", stdin=" ".join(map(str, got["token_ids"])).encode())
    assert back.stdout.decode() == got["text"]


def test_same_seed_same_text(yunqi, model):
    flags = ("--temperature", "1.2", "--max-tokens", "24", "--seed")
    first, again, other = (answer(yunqi, model, "Tell me a story.", *flags, seed)
                           for seed in ("7", "7", "8"))
    assert first["text"] == again["text"] and first["token_ids"] == again["token_ids"]
    assert first["seed"] == 7
    assert other["token_ids"] != first["token_ids"]


def test_a_drawn_seed_replays(yunqi, model):
    flags = ("--temperature", "1.2", "--max-tokens", "12")
    first = answer(yunqi, model, "Tell me a story.", *flags)
    again = answer(yunqi, model, "Tell me a story.", *flags, "--seed", str(first["seed"]))
    assert again["token_ids"] == first["token_ids"]


def test_threads_change_nothing(yunqi, model):
    flags = ("--temperature", "0.8", "--seed", "3", "--max-tokens", "16", "--threads")
    one, two = (answer(yunqi, model, "Name three colours.", *flags, n) for n in ("1", "2"))
    assert one["token_ids"] == two["token_ids"]


def test_prompt_from_stdin(yunqi, model):
    flags = ("--temperature", "0", "--max-tokens", "8")
    assert (answer(yunqi, model, None, *flags, stdin=b"Count to three.")["token_ids"]
            == answer(yunqi, model, "Count to three.", *flags)["token_ids"])


def test_system_raw_and_stop(yunqi, model):
    flags = ("--temperature", "0", "--max-tokens", "8")
    system = answer(yunqi, model, "Hi", "--system", "You are a pirate.", *flags)
    assert system["prompt_token_ids"] != answer(yunqi, model, "Hi", *flags)["prompt_token_ids"]
    raw = answer(yunqi, model, "1, 2, 3, 4,", "--raw", *flags)
    assert raw["text"].startswith(" 5, 6")
    stopped = answer(yunqi, model, "1, 2, 3, 4,", "--raw", "--stop", " 6", *flags)
    assert stopped["text"] == " 5," and stopped["finish_reason"] == "stop"


@pytest.mark.parametrize("case, code", [("missing", 3), ("garbage", 4), ("cut", 4), ("flag", 2),
                                        ("value", 2), ("help", 0)])
def test_exit_codes(yunqi, model, tmp_path, case, code):
    garbage = tmp_path / "garbage.gguf"
    garbage.write_bytes(b"not a model" * 100)
    cut = tmp_path / "cut.gguf"
    with open(model, "rb") as whole:
        cut.write_bytes(whole.read(1 << 20))
    arguments = {"missing": ("run", tmp_path / "none.gguf", "hi"),
                 "garbage": ("run", garbage, "hi"),
                 "cut": ("run", cut, "hi"),
                 "flag": ("run", model, "hi", "--no-such-flag"),
                 "value": ("run", model, "hi", "--temperature", "-1"),
                 "help": ("run", "--help")}[case]
    done = yunqi(*arguments)
    error = done.stderr.decode()
    assert done.returncode == code, error
    if code != 0:
        assert error.count("\n") == 1 and error.startswith("yunqi: "), "want one line, no more"
        assert done.stdout == b""


@pytest.mark.parametrize("text", ["hello world", "", " lead and trail \n\n", "def f(x):\n\treturn x",
                                  "Zürich 北京 🏔👩‍👩‍👧 \u200d", "<|im_start|>user<|im_end|>", "\r\n\t\x00"])
def test_tokenize_round_trip(yunqi, model, text):
    ids = yunqi("tokenize", model, "--ids", stdin=text.encode())
    assert ids.returncode == 0, ids.stderr.decode()
    back = yunqi("tokenize", model, "--decode", stdin=ids.stdout)
    assert back.stdout == text.encode()


def test_control_tokens_only_when_asked(yunqi, model):
    plain = yunqi("tokenize", model, "<|im_end|>", "--ids").stdout.split()
    special = yunqi("tokenize", model, "<|im_end|>", "--ids", "--special").stdout.split()
    assert len(plain) > 1 and special == [b"151645"]


@pytest.fixture(scope="module")
def reader(model):
    import gguf

    return gguf.GGUFReader(str(model))


def test_render_equals_jinja2(yunqi, model, reader, tmp_path):
    import jinja2.sandbox

    field = reader.fields["tokenizer.chat_template"]
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True,
                                                               lstrip_blocks=True)
    environment.filters["tojson"] = lambda value, **_: json.dumps(value, ensure_ascii=False)
    template = environment.from_string(field.contents())
    tool = {"type": "function", "function": {"name": "now", "description": "The time",
                                             "parameters": {"type": "object", "properties": {}}}}
    conversations = [
        {"messages": [{"role": "user", "content": "Hi"}]},
        {"messages": [{"role": "system", "content": "Short."}, {"role": "user", "content": "a\n b"},
                      {"role": "assistant", "content": "é"}, {"role": "user", "content": ""}]},
        {"messages": [{"role": "user", "content": "Time?"}], "tools": [tool]},
        {"messages": [{"role": "user", "content": "x"}], "add_generation_prompt": False},
    ]
    for number, conversation in enumerate(conversations):
        file = tmp_path / f"{number}.json"
        file.write_text(json.dumps(conversation))
        done = yunqi("render", model, file)
        assert done.returncode == 0, done.stderr.decode()
        assert done.stdout.decode() == template.render(
            **{"add_generation_prompt": True, **conversation})


def test_inspect_verifies(yunqi, model, reader):
    done = yunqi("inspect", model, "--verify")
    assert done.returncode == 0 and b"every value is finite" in done.stdout
    told = json.loads(yunqi("inspect", model, "--json").stdout)
    assert len(told["tensors"]) == len(reader.tensors)


def test_perplexity_is_sane(yunqi, model, tmp_path):
    good, bad = tmp_path / "good.txt", tmp_path / "bad.txt"
    good.write_text(TEXT)
    bad.write_text(" ".join(reversed(TEXT.split())))
    values = {}
    for file in (good, bad):
        done = yunqi("score", model, file, "--json")
        assert done.returncode == 0, done.stderr.decode()
        values[file] = json.loads(done.stdout)
    # transformers in float32 says 101.0 of this text with this file.
    assert 92 < values[good]["perplexity"] < 111
    assert values[bad]["perplexity"] > 5 * values[good]["perplexity"]


def test_ctrl_c_ends_a_run(binary, model):
    process = subprocess.Popen(
        [binary, "run", model, "Write a very long story.", "--max-tokens", "4000"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    try:
        assert process.stdout.read(20), process.stderr.read().decode()
        begin = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=20)
        assert time.monotonic() - begin < 10
        assert process.returncode == 1 and error == b"yunqi: interrupted\n"
    finally:
        process.kill()
