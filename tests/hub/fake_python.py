"""Stands in for python3 in tests of the Python-packages source: `-m pip download` copies a wheel
from $YUNQI_FAKE_WHEELS instead of asking an index, everything else runs the real Python.

A file in that folder named fault-NAME makes the download of NAME go wrong as its text says:
fail, nopip, nowheel or hang. Each download adds its requirement to the file "log" there.
"""

import os
import shutil
import sys
import time


def download(arguments):
    folder = os.environ["YUNQI_FAKE_WHEELS"]
    for flag in ("--no-deps", "--only-binary=:all:"):
        if flag not in arguments:
            sys.exit("want " + flag)
    target = arguments[arguments.index("-d") + 1]
    name, version = arguments[-1].split("==")
    with open(os.path.join(folder, "log"), "a") as log:
        log.write(arguments[-1] + "\n")
    fault = os.path.join(folder, "fault-" + name)
    if os.path.exists(fault):
        with open(fault) as text:
            kind = text.read()
        if kind == "nopip":
            sys.exit("/usr/bin/python3: No module named pip")
        if kind == "nowheel":
            return
        if kind == "hang":
            time.sleep(20)
        sys.exit("ERROR: No matching distribution found for " + arguments[-1])
    wheel = f"{name}-{version}-py3-none-any.whl"
    shutil.copy(os.path.join(folder, wheel), os.path.join(target, wheel))


if sys.argv[1:4] == ["-m", "pip", "download"]:
    download(sys.argv[4:])
else:
    os.execv(sys.executable, [sys.executable, "-S"] + sys.argv[1:])
