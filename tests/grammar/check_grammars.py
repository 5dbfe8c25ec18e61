#!/usr/bin/env python3
"""Checks the grammar engine against independent judges, on a real vocabulary.

    check_grammars.py --binary grammar_lines TOKENIZER suite [--sdist FILE]
    check_grammars.py --binary grammar_lines TOKENIZER generate [--count N]
    check_grammars.py --binary grammar_lines TOKENIZER regex [--count N]

suite     the JSON Schema test suite (draft 2020-12, required groups), taken from the source
          distribution of the `jsonschema` package (fetched with pip when not given): every verdict,
          by bytes and through token masks, with members in several orders.
generate  random generations over our own schemas (schemas.py), judged by `jsonschema`.
regex     random regular expressions and texts, judged by `re`.
Prints one line of JSON with the figures; exits 1 when anything is wrong.
"""

import argparse
import glob
import json
import os
import random
import re
import subprocess
import sys
import tarfile
import tempfile

SUITE = "json/tests/draft2020-12"


class Engine:
    """Talks to grammar_lines, one request and reply at a time."""

    def __init__(self, binary, tokenizer):
        self.process = subprocess.Popen([binary, tokenizer], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, encoding="utf-8")

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request, ensure_ascii=False) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"grammar_lines died on {request}"[:2000])
        return json.loads(line)


def percentile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else 0


# ---- instances as texts -----------------------------------------------------------------------

def number_text(value):
    """As JSON.stringify writes it: whole numbers without a point."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return json.dumps(value)


def to_text(value, order, spaced):
    """JSON text of `value`; `order` reorders the members of every object."""
    if isinstance(value, dict):
        members = [json.dumps(k, ensure_ascii=False) + (": " if spaced else ":") + to_text(v, order, spaced)
                   for k, v in order(list(value.items()))]
        return "{" + (", " if spaced else ",").join(members) + "}"
    if isinstance(value, list):
        return "[" + (", " if spaced else ",").join(to_text(v, order, spaced) for v in value) + "]"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return number_text(value)
    return json.dumps(value, ensure_ascii=False)


def texts_of(value, generator):
    def shuffled(items):
        items = list(items)
        generator.shuffle(items)
        return items
    return list(dict.fromkeys([to_text(value, list, False), to_text(value, lambda m: m[::-1], True),
                               to_text(value, shuffled, False), json.dumps(value, ensure_ascii=False, indent=2)
                               if number_free(value) else to_text(value, list, True)]))


def number_free(value):
    if isinstance(value, dict):
        return all(map(number_free, value.values()))
    if isinstance(value, list):
        return all(map(number_free, value))
    return not isinstance(value, float)


# ---- the suite --------------------------------------------------------------------------------

def suite_folder(sdist):
    folder = tempfile.mkdtemp(prefix="yunqi-schema-suite-")
    if not sdist:
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:",
                        "--dest", folder, "jsonschema==4.26.0"], check=True)
        sdist = glob.glob(folder + "/jsonschema-*.tar.gz")[0]
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    return glob.glob(folder + "/jsonschema-*/")[0]


def remote_documents(folder):
    documents = {}
    base = folder + "json/remotes/"
    for path in glob.glob(base + "**/*.json", recursive=True):
        name = os.path.relpath(path, base)
        if name.startswith(("draft2019", "draft-next", "draft3", "draft4", "draft6", "draft7")):
            continue
        with open(path, encoding="utf-8") as file:
            documents["http://localhost:1234/" + name] = json.load(file)
    return documents


def metaschemas():
    from jsonschema_specifications import REGISTRY
    return {uri: REGISTRY.contents(uri) for uri in REGISTRY if "2020-12" in uri}


def needed(schema, documents):
    """The documents that `schema` may name: those whose text or folder it mentions, and theirs."""
    text, found = json.dumps(schema), {}
    if "localhost:1234" in text:
        found.update({u: d for u, d in documents.items() if "localhost" in u})
    if '"https://json-schema.org/draft/2020-12' in json.dumps(
            {k: v for k, v in schema.items() if k != "$schema"} if isinstance(schema, dict) else schema):
        found.update({u: d for u, d in documents.items() if "json-schema.org" in u})
    return found


def run_suite(engine, args):
    folder = suite_folder(args.sdist)
    documents = {**remote_documents(folder), **metaschemas()}
    generator = random.Random(args.seed)
    groups = compiled = nothing = tests = wrong = orders = 0
    refused, compile_us, slowest = [], [], (0, "")
    files = sorted(glob.glob(folder + SUITE + "/*.json"))
    if args.formats:
        files = sorted(glob.glob(folder + SUITE + "/optional/format/*.json"))
    for path in files:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        for group in data:
            groups += 1
            schema = group["schema"]
            cases = [(test, text) for test in group["tests"] for text in texts_of(test["data"], generator)]
            reply = engine.ask(spec={"kind": "schema", "schema": schema, "formats": args.formats,
                                     "documents": needed(schema, documents)},
                               instances=[text for _, text in cases], seed=args.seed)
            label = f"{os.path.basename(path)[:-5]}: {group['description']}"
            if reply["status"] != "ok":
                unsatisfiable = reply.get("message", "").endswith("no value satisfies it")
                if unsatisfiable and not any(test["valid"] for test in group["tests"]):
                    nothing += 1     # refused, and rightly: no instance is valid
                    compiled += 1
                    tests += len(group["tests"])
                    continue
                refused.append((label, reply["status"], reply.get("message", "?")))
                if unsatisfiable:
                    wrong += 1
                    print(f"WRONG {label}: called unsatisfiable")
                continue
            compiled += 1
            compile_us.append(reply["compile_us"])
            slowest = max(slowest, (reply["compile_us"], label))
            tests += len(group["tests"])
            orders += len(cases)
            for (test, text), by_bytes, by_tokens in zip(cases, reply["bytes"], reply["tokens"]):
                if by_bytes != test["valid"] or by_tokens != test["valid"]:
                    wrong += 1
                    print(f"WRONG {label} / {test['description']}: want {test['valid']}, bytes {by_bytes}, "
                          f"tokens {by_tokens}: {text[:200]}")
    for label, status, message in refused:
        print(f"refused {label}: {status}: {message[:200]}")
    print(json.dumps({"groups": groups, "compiled": compiled, "of_them_unsatisfiable": nothing,
                      "share": round(compiled / groups, 4), "tests": tests, "texts": orders, "wrong": wrong,
                      "compile_p50_us": percentile(compile_us, 0.5),
                      "compile_p95_us": percentile(compile_us, 0.95),
                      "compile_max_us": max(compile_us), "slowest": slowest[1]}))
    return wrong == 0 and (args.formats or compiled >= 0.9 * groups)


# ---- random generations -----------------------------------------------------------------------

def unique_keys(pairs):
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise ValueError("a key comes twice")
    return dict(pairs)


def required_names(schema):
    if isinstance(schema, dict):
        own = schema.get("required", [])
        return (list(own) if isinstance(own, list) else []) + [n for v in schema.values() for n in required_names(v)]
    return [n for v in schema for n in required_names(v)] if isinstance(schema, list) else []


def run_generate(engine, args):
    import jsonschema
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    from schemas import SCHEMAS
    each = max(1, -(-args.count // len(SCHEMAS)))
    done = bad = 0
    masks, compiles, slow = [], [], []
    for number, schema in enumerate(SCHEMAS):
        jsonschema.Draft202012Validator.check_schema(schema)
        judge = jsonschema.Draft202012Validator(
            schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
        reply = engine.ask(spec={"kind": "schema", "schema": schema}, generate=each, seed=args.seed + number,
                           hint="".join(required_names(schema))[:40])
        if reply["status"] != "ok":
            bad += 1
            print(f"REFUSED {number}: {reply['message']}")
            continue
        compiles.append(reply["compile_us"])
        times = [t / 10 for t in reply["mask_tenth_us"]]
        masks += times
        slow.append((percentile(times, 0.99), number))
        for text in reply["texts"]:
            done += 1
            try:
                if isinstance(text, str):
                    raise ValueError(text)
                judge.validate(json.loads(text[0], object_pairs_hook=unique_keys))
            except (ValueError, jsonschema.ValidationError) as error:
                bad += 1
                print(f"INVALID {number} {str(error)[:300]!r}: {str(text)[:600]}")
    print("slowest schemas (p99 us, number):", sorted(slow, reverse=True)[:5])
    print(json.dumps({"schemas": len(SCHEMAS), "generations": done, "invalid": bad, "tokens": len(masks),
                      "mask_p50_us": percentile(masks, 0.5), "mask_p99_us": percentile(masks, 0.99),
                      "mask_max_us": max(masks), "compile_p50_us": percentile(compiles, 0.5),
                      "compile_p95_us": percentile(compiles, 0.95), "compile_max_us": max(compiles)}))
    return bad == 0


# ---- regular expressions ----------------------------------------------------------------------

def random_regex(generator, depth):
    parts = []
    for _ in range(generator.randint(1, 3)):
        kind = generator.randrange(8 if depth else 5)
        atom = (["a", "b", "[ab]", "[^a]", "中"][kind] if kind < 5 else
                "(" + "|".join(random_regex(generator, depth - 1) for _ in range(generator.randint(1, 3))) + ")")
        parts.append(atom + generator.choice(["", "", "", "*", "+", "?", "{2}", "{1,2}", "{0,1}"]))
    return "".join(parts)


def run_regex(engine, args):
    generator = random.Random(args.seed)
    wrong = generated = verdicts = 0
    for _ in range(args.count):
        pattern = random_regex(generator, 2)
        texts = ["".join(generator.choice("abc中é") for _ in range(generator.randint(0, 6))) for _ in range(12)]
        reply = engine.ask(spec={"kind": "regex", "text": pattern}, instances=texts, generate=3,
                           most_tokens=100, seed=generator.randrange(1 << 30))
        if reply["status"] != "ok":
            wrong += 1
            print(f"REFUSED {pattern}: {reply['message']}")
            continue
        compiled = re.compile(pattern)
        for text, by_bytes, by_tokens in zip(texts, reply["bytes"], reply["tokens"]):
            verdicts += 1
            want = compiled.fullmatch(text) is not None
            if by_bytes != want or by_tokens != want:
                wrong += 1
                print(f"WRONG {pattern} {text!r}: want {want}, bytes {by_bytes}, tokens {by_tokens}")
        for text in reply["texts"]:
            if text == "too long":  # a walk that never came to an end is not wrong
                continue
            generated += 1
            if isinstance(text, str) or not compiled.fullmatch(text[0]):
                wrong += 1
                print(f"WRONG {pattern} generated {text!r}"[:300])
    print(json.dumps({"patterns": args.count, "verdicts": verdicts, "generated": generated, "wrong": wrong}))
    return wrong == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--sdist", help="jsonschema's source distribution")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--formats", action="store_true", help="suite: the optional format groups, asserted")
    parser.add_argument("tokenizer")
    parser.add_argument("what", choices=["suite", "generate", "regex"])
    args = parser.parse_args()
    engine = Engine(args.binary, args.tokenizer)
    good = {"suite": run_suite, "generate": run_generate, "regex": run_regex}[args.what](engine, args)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
