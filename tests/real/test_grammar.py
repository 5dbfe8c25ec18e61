"""The grammar engine against independent judges, with the model's own vocabulary.

YUNQI_GRAMMAR_GENERATIONS  structured generations (default 1,000; the bar is 10,000)
Random regular expressions are few: each has new automaton states, whose masks are made afresh.
"""

import json
import os
import subprocess
import sys

import pytest

from conftest import REPOSITORY

GENERATIONS = os.environ.get("YUNQI_GRAMMAR_GENERATIONS", "1000")
TIMEOUT_S = 600
LEAST_COMPILED = 0.90


def check(build_dir, model, *what):
    done = subprocess.run(
        [sys.executable, REPOSITORY / "tests/grammar/check_grammars.py",
         "--binary", build_dir / "tests/grammar/grammar_lines", model, *what],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=TIMEOUT_S)
    print(done.stdout)
    assert done.returncode == 0, done.stdout
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_json_schema_suite(build_dir, model):
    result = check(build_dir, model, "suite")
    assert result["compiled"] >= LEAST_COMPILED * result["groups"]


@pytest.mark.parametrize("what", [("generate", "--count", GENERATIONS), ("regex", "--count", "40")])
def test_against_judges(build_dir, model, what):
    check(build_dir, model, *what)
