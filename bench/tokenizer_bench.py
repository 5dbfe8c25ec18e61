#!/usr/bin/env python3
"""Tokenizer speed, ours against the `tokenizers` wheel, in one run on one core.

    tokenizer_bench.py --binary encode_lines --tokenizer tokenizer.json [--megabytes 5]

Text is generated from a seed: English-like prose, Chinese and code, no sentence twice, so caches
start cold and stay honest. One `encode` call per document of about 8 KB on both sides. Times are
CPU seconds of the process, so that neighbours on the machine count for neither side; the best of
three runs, each with a new tokenizer. Prints one JSON line per language.
"""

import argparse
import json
import os
import random
import struct
import subprocess
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

from tokenizers import Tokenizer  # noqa: E402  the environment is read at import

DOCUMENT_BYTES = 8192
RUNS = 3
SYLLABLES = ("ba con der est fi gra hu in jo ka lo mer ni or pre qui ra sti tor ul ven wi xan yo "
             "zed ing tion able ness").split()


class Words:
    """Entries of the vocabulary, drawn as words are in prose: the r-th with weight 1 / (r + 2)."""

    def __init__(self, rng, words):
        self.rng = rng
        self.words = words
        total, self.cumulative = 0.0, []
        for rank in range(len(words)):
            total += 1 / (rank + 2)
            self.cumulative.append(total)

    def take(self, count):
        return self.rng.choices(self.words, cum_weights=self.cumulative, k=count)


def english(rng, words):
    while True:
        sentence = words.take(rng.randint(5, 24))
        if rng.random() < 0.6:  # a name or a rare word, in pieces
            sentence[rng.randrange(len(sentence))] = "".join(rng.choices(SYLLABLES, k=rng.randint(2, 5)))
        if rng.random() < 0.2:
            sentence.append(str(rng.randrange(10000)))
        text = sentence[0].capitalize() + " " + " ".join(sentence[1:])
        if rng.random() < 0.3:
            text = text.replace(" ", ", ", 2)
        yield text + rng.choice([". ", ". ", "? ", ".\n\n", "'s. "])


def chinese(rng, words):
    while True:
        clauses = ["".join(words.take(rng.randint(3, 9))) for _ in range(rng.randint(1, 4))]
        yield "\uff0c".join(clauses) + rng.choice(["\u3002", "\u3002", "\uff1f", "\u3002\n", "\uff01"])


def code(rng, words):
    name = lambda: rng.choice(["{}_{}", "{}{}", "get_{}_{}", "{}.{}"]).format(*words.take(2))
    while True:
        depth = "    " * rng.randint(0, 3)
        yield depth + rng.choice([
            lambda: f"def {name()}({name()}, {name()}={rng.randrange(100)}):\n{depth}    return {name()}\n",
            lambda: f"if ({name()}[{name()}] != {name()}({rng.random():.4f})) {{\n",
            lambda: f"for (int i = 0; i < {name()}.size(); ++i) {{ {name()} += {name()}[i]; }}\n",
            lambda: f"// {' '.join(words.take(8))}\n",
            lambda: f"const auto& {name()} = {name()}->{name()}(\"{' '.join(words.take(2))}\");\n",
            lambda: "}\n\n",
        ])()


def documents(kind, vocabulary, size):
    rng = random.Random(kind)
    ascii_words = [w for w in vocabulary if w.isascii() and w.isalpha() and len(w) > 1]
    cjk_words = [w for w in vocabulary if all("\u4e00" <= c <= "\u9fff" for c in w)]
    source = {"english": lambda: english(rng, Words(rng, [w.lower() for w in ascii_words])),
              "chinese": lambda: chinese(rng, Words(rng, cjk_words)),
              "code": lambda: code(rng, Words(rng, ascii_words))}[kind]()
    out, seen, total = [], set(), 0
    while total < size:
        parts, length = [], 0
        while length < DOCUMENT_BYTES:
            sentence = next(source)
            if sentence in seen and len(sentence) > 20:
                continue
            seen.add(sentence)
            parts.append(sentence)
            length += len(sentence.encode())
        out.append("".join(parts))
        total += length
    return out


def wheel_seconds(path, texts):
    tokenizer = Tokenizer.from_file(path)
    start, ids = time.process_time(), 0
    for text in texts:
        ids += len(tokenizer.encode(text, add_special_tokens=False).ids)
    return time.process_time() - start, ids


def our_seconds(binary, path, texts):
    data = b"".join(struct.pack("<I", len(b)) + b for b in (t.encode() for t in texts))
    answer = subprocess.run([binary, path, "--added", "--time"], input=data, stderr=subprocess.PIPE,
                            check=True).stderr
    figures = json.loads(answer)
    return figures["encode_cpu_s"], figures["ids"], figures["load_s"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", required=True, help="tests/tokenizer's encode_lines")
    parser.add_argument("--tokenizer", required=True, help="a tokenizer.json")
    parser.add_argument("--megabytes", type=float, default=5)
    args = parser.parse_args()
    reader = Tokenizer.from_file(args.tokenizer)
    vocabulary = [w for w in (reader.decode([i]).strip() for i in range(reader.get_vocab_size())) if w]
    for kind in ("english", "chinese", "code"):
        texts = documents(kind, vocabulary, args.megabytes * 1e6)
        size = sum(len(t.encode()) for t in texts)
        theirs = min(wheel_seconds(args.tokenizer, texts) for _ in range(RUNS))
        ours = min(our_seconds(args.binary, args.tokenizer, texts) for _ in range(RUNS))
        print(json.dumps({
            "text": kind, "bytes": size, "documents": len(texts), "tokens": ours[1],
            "same_count": ours[1] == theirs[1], "ours_mb_per_s": round(size / ours[0] / 1e6, 1),
            "tokenizers_mb_per_s": round(size / theirs[0] / 1e6, 2),
            "times_faster": round(theirs[0] / ours[0], 1), "load_s": round(ours[2], 3)}), flush=True)


if __name__ == "__main__":
    main()
