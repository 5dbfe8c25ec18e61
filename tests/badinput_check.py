#!/usr/bin/env python3
"""Checks tests/badinput.tsv: every known id once, and every test or file that it names exists.

badinput_check.py ROOT   ROOT is the repository. Prints one line per finding; exits 1 if any.
The last column holds tests ("Suite.Name") and files, separated by ", ", or
"later: <issue topic>: <why>" for inputs that no code can meet yet.
"""

import os
import re
import sys

GROUPS = {"G": 26, "S": 9, "T": 10, "H": 12, "P": 19, "E": 13, "M": 10, "C": 6, "A": 15, "U": 4}
TOPICS = ("CPU speed", "runtime", "API and thinking", "model service", "page", "vision",
          "hardening")
HEADER = ["id", "what", "right behaviour", "test"]
TEST = re.compile(r"^\s*TEST(?:_F|_P)?\(\s*(\w+)\s*,\s*(\w+)\s*\)", re.MULTILINE)
LATER = re.compile(r"^later: ([^:]+): \S")


def tests_of(root):
    found = set()
    for top in ("src", "tests"):
        for folder, _, names in os.walk(os.path.join(root, top)):
            for name in names:
                if name.endswith(".cc"):
                    with open(os.path.join(folder, name), encoding="utf-8") as file:
                        found.update(".".join(match) for match in TEST.findall(file.read()))
    return found


def check_cover(cover, tests, root):
    later = LATER.match(cover)
    if later:
        if later[1] not in TOPICS:
            return f"unknown topic `{later[1]}`; want one of {', '.join(TOPICS)}"
        return None
    for name in cover.split(", "):
        if name not in tests and not os.path.isfile(os.path.join(root, name)):
            return f"no such test or file: {name!r}; name one that exists, or `later: TOPIC: why`"
    return None


def check(lines, tests, root):
    findings = []
    rows = [line.rstrip("\n").split("\t") for line in lines]
    if not rows or rows[0] != HEADER:
        findings.append((1, "want the columns " + ", ".join(HEADER) + ", separated by tabs"))
    wanted = [f"{group}{i}" for group, count in GROUPS.items() for i in range(1, count + 1)]
    seen = set()
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(HEADER) or not all(row):
            findings.append((number, f"want {len(HEADER)} columns, none empty, found {row}"))
            continue
        if row[0] not in wanted:
            findings.append((number, f"unknown id {row[0]}"))
        if row[0] in seen:
            findings.append((number, f"{row[0]} is listed twice"))
        seen.add(row[0])
        problem = check_cover(row[3], tests, root)
        if problem:
            findings.append((number, f"{row[0]}: {problem}"))
    findings += [(len(rows), f"{name} is missing") for name in wanted if name not in seen]
    return findings


def main():
    root = sys.argv[1]
    path = os.path.join(root, "tests", "badinput.tsv")
    with open(path, encoding="utf-8") as file:
        findings = check(file.readlines(), tests_of(root), root)
    for line, text in findings:
        print(f"tests/badinput.tsv:{line}: {text}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
