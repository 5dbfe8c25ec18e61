# The short front door. Everything real is in CMakePresets.json, tools/setup and tests/.
#   make run        set up, build, pull the default model, serve it on http://127.0.0.1:8080
#   make test       set up, build, run the quick test suite (no network after set-up)
#   make test-real  the checks that need a real model, transformers and real clients
#   make test-ui    the web page in Debian's Chromium (apt-get install chromium)
SHELL := /bin/bash
JOBS ?= $(shell nproc)
VENV := build/venv
PYTHON := $(VENV)/bin/python
.DEFAULT_GOAL := help

.PHONY: help setup setup-test setup-checks build run test test-real test-ui test-asan test-tsan fuzz bench goldens \
        format format-check tidy clean

help:
	@sed -n '2,5s/^# *//p' Makefile
	@echo "also: test-asan test-tsan fuzz bench goldens format format-check tidy clean"

setup:
	@tools/setup build

setup-test:
	@tools/setup test

setup-checks:
	@tools/setup checks

build/release/build.ninja:
	@cmake --preset release -DYUNQI_TESTS=ON > build/configure.log 2>&1 || { cat build/configure.log; exit 1; }

build: setup
	@mkdir -p build
	@cmake --preset release -DYUNQI_TESTS=OFF > build/configure.log 2>&1 || { cat build/configure.log; exit 1; }
	@cmake --build build/release -j $(JOBS) --target yunqi

run: build
	@build/release/yunqi serve

test: setup-test
	@mkdir -p build
	@cmake --preset release -DYUNQI_TESTS=ON > build/configure.log 2>&1 || { cat build/configure.log; exit 1; }
	@cmake --build build/release -j $(JOBS)
	@ctest --test-dir build/release --output-on-failure -j $(JOBS)

# The oracles: transformers, tokenizers, jinja2, the openai SDK. Reinstalled when the list changes.
$(VENV)/ready: tools/requirements.txt
	@tools/setup venv
	@touch $@

test-real: setup-test $(VENV)/ready
	@mkdir -p build
	@cmake --preset release -DYUNQI_TESTS=ON > build/configure.log 2>&1 || { cat build/configure.log; exit 1; }
	@cmake --build build/release -j $(JOBS)
	@$(PYTHON) -m pytest tests/real -q --durations=10

test-ui: build
	@tests/ui/run

test-asan: setup-test
	@cmake --workflow --preset asan

test-tsan: setup-test
	@cmake --workflow --preset tsan

# Each libFuzzer program for FUZZ_SECONDS over its corpus.
FUZZ_SECONDS ?= 60
fuzz: setup-checks
	@cmake --workflow --preset fuzz
	@tools/run_fuzzers build/fuzz $(FUZZ_SECONDS)

bench: build
	@build/release/yunqi bench --users 1,8,32 --json

goldens: $(VENV)/ready
	@$(PYTHON) tools/make_golden.py

format: setup-checks
	@git ls-files '*.cc' '*.h' '*.inl' | xargs clang-format-14 -i

format-check: setup-checks
	@git ls-files '*.cc' '*.h' '*.inl' | xargs clang-format-14 --dry-run -Werror

tidy: setup-checks
	@python3 tests/tidy/tidy.py
	@cmake --workflow --preset tidy

clean:
	@rm -rf build
