"""Checks with a real small Qwen model: `make test-real`.

YUNQI_BINARY      the program (default build/release/yunqi)
YUNQI_BUILD_DIR   where encode_lines and render_lines were built (default: the program's folder)
YUNQI_TEST_MODEL  a model file; without it the default small model is pulled, once

Everything stays on loopback. Only processes that a test started are stopped.
"""

import os
import pathlib
import subprocess

import pytest

from serving import Server

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
MODEL_NAME = "qwen2.5-coder:0.5b"
PULL_TIMEOUT_S = 1_800


@pytest.fixture(scope="session")
def binary():
    path = pathlib.Path(os.environ.get("YUNQI_BINARY", REPOSITORY / "build/release/yunqi"))
    assert path.is_file(), f"{path} is missing: run make test-real, or name it in YUNQI_BINARY"
    return path.resolve()


@pytest.fixture(scope="session")
def build_dir(binary):
    return pathlib.Path(os.environ.get("YUNQI_BUILD_DIR", binary.parent))


@pytest.fixture(scope="session")
def model(binary):
    """Path of the weight file."""
    if named := os.environ.get("YUNQI_TEST_MODEL"):
        return pathlib.Path(named)
    pulled = subprocess.run([binary, "pull", MODEL_NAME], stdout=subprocess.PIPE, text=True,
                            timeout=PULL_TIMEOUT_S)
    assert pulled.returncode == 0, f"yunqi pull {MODEL_NAME} failed"
    path = pathlib.Path(pulled.stdout.strip().splitlines()[-1])
    return next(path.glob("*.gguf")) if path.is_dir() else path


@pytest.fixture(scope="session")
def start_server(binary, model, tmp_path_factory):
    """start_server(*flags) -> a running Server, stopped at the session's end at the latest."""
    started = []

    def start(*flags):
        log = tmp_path_factory.mktemp("serve") / "serve.log"
        server = Server([binary, "serve", model, "--port", "0", *flags], log)
        started.append(server)
        server.wait_ready()
        return server

    yield start
    for server in started:
        server.kill()


@pytest.fixture(scope="session")
def server(start_server):
    """One server for all tests that leave it as they found it; SIGTERM must end it well."""
    running = start_server()
    yield running
    assert running.stop() == 0, running.log_text()


@pytest.fixture(scope="session")
def client(server):
    import openai

    return openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0, timeout=120)


@pytest.fixture(scope="session")
def yunqi(binary):
    """yunqi("run", ..., stdin=bytes) -> CompletedProcess with bytes."""

    def run(*arguments, stdin=b"", timeout=180):
        return subprocess.run([binary, *map(str, arguments)], input=stdin, capture_output=True,
                              timeout=timeout)

    return run
