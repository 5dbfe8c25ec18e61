#!/usr/bin/env python3
"""Writes src/text/unicode_data.cc: the character classes and the NFC tables of the tokenizer.

The tables must agree with the `tokenizers` wheel, not with any one Unicode version: its regex
engine and its normaliser each carry their own. So every code point is put through the wheel and
what it answers is written down. Usage: make_unicode_tables.py [OUTPUT]
"""

import sys
import textwrap
import unicodedata
from pathlib import Path

import tokenizers
from tokenizers import Regex, normalizers

BLOCK = 128
OTHER, LETTER, NUMBER, MARK, SPACE, NEWLINE = range(6)
NFC_FLAG = 0x80  # not inert: composes, decomposes or reorders
HANGUL = range(0xAC00, 0xAC00 + 11172)
SCALARS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]

nfc = normalizers.NFC().normalize_str
nfd = normalizers.NFD().normalize_str


def matching(pattern):
    """The code points that a one-character regex matches, found by deleting them."""
    left = normalizers.Replace(Regex(pattern), "").normalize_str("".join(map(chr, SCALARS)))
    return set(SCALARS) - set(map(ord, left))


def check_contractions():
    """Fails unless (?i:'s) and the like match what the scanners assume."""
    expected = {"s": {"s", "S", "\u017f"}, "t": {"t", "T"}, "m": {"m", "M"}, "d": {"d", "D"}}
    for letter, want in expected.items():
        replace = normalizers.Replace(Regex(f"(?i:'{letter})"), "").normalize_str
        found = {chr(c) for c in SCALARS} - set(replace("".join("'" + chr(c) for c in SCALARS)))
        if found != want:
            raise SystemExit(f"(?i:'{letter}) matches {found}, the scanners assume {want}")
    for word in ("re", "ve", "ll"):
        replace = normalizers.Replace(Regex(f"(?i:'{word})"), "").normalize_str
        for place in (0, 1):
            tries = ["'" + word[:place] + chr(c) + word[place + 1:] for c in SCALARS if c]
            kept = replace("\0".join(tries)).split("\0")
            found = {t[1 + place] for t, k in zip(tries, kept) if not k}
            if found != {word[place], word[place].upper()}:
                raise SystemExit(f"(?i:'{word}) place {place} matches {found}")


def combining_classes():
    """Code point -> canonical combining class, from how the wheel reorders pairs.

    Only the order of classes can be seen from outside; it is pinned to the numbers by comparing
    with one well-known mark of each class.
    """
    swaps = lambda a, b: nfd(a + b) == nfd(b) + nfd(a) and nfd(a) != nfd(b)
    # U+0345 has the highest class, U+0334 the lowest: whatever is ordered swaps with one of them.
    ordered = [chr(c) for c in SCALARS if nfd(chr(c)) == chr(c)
               and (swaps("\u0345", chr(c)) or swaps(chr(c), "\u0334"))]
    known = {}
    for mark in ordered:
        if unicodedata.combining(mark):
            known.setdefault(unicodedata.combining(mark), mark)
    classes = {}
    for mark in ordered:
        for ccc, sample in sorted(known.items()):
            if not swaps(sample, mark) and not swaps(mark, sample):
                classes[ord(mark)] = ccc
                break
        else:
            raise SystemExit(f"U+{ord(mark):04X} is ordered, but like no known class")
    return classes


def compositions(decomposed):
    """(first, second) -> composite for every primary composite but Hangul."""
    pairs = {}
    for c, parts in decomposed.items():
        if len(parts) < 2 or nfc(chr(c)) != chr(c):
            continue
        first = nfc("".join(map(chr, parts[:-1])))
        if len(first) != 1 or nfc(first + chr(parts[-1])) != chr(c):
            raise SystemExit(f"U+{c:04X} is not made of a pair")
        pairs[ord(first), parts[-1]] = c
    return pairs


def rows(values, form="{}"):
    return textwrap.fill(" ".join(form.format(v).replace(" ", "\1") + "," for v in values), 98,
                         initial_indent="    ", subsequent_indent="    ").replace("\1", " ")


def main():
    check_contractions()
    newline = {0x0A, 0x0D}
    table = bytearray(0x110000)
    spaces = matching(r"\s")
    for kind, members in ((LETTER, matching(r"\p{L}")), (NUMBER, matching(r"\p{N}")),
                          (MARK, matching(r"\p{M}")), (SPACE, spaces), (NEWLINE, newline)):
        for c in members:
            if table[c] and not (kind == NEWLINE and table[c] == SPACE):
                raise SystemExit(f"U+{c:04X} is in two classes")
            table[c] = kind

    decomposed = {c: list(map(ord, nfd(chr(c)))) for c in SCALARS
                  if c not in HANGUL and nfd(chr(c)) != chr(c)}
    pairs = compositions(decomposed)
    ccc = combining_classes()
    jamo = set(range(0x1161, 0x1176)) | set(range(0x11A8, 0x11C3))
    changed = {c for c in SCALARS if nfc(chr(c)) != chr(c)}
    flagged = set(ccc) | {b for _, b in pairs} | jamo | changed
    for c in flagged:
        table[c] |= NFC_FLAG

    blocks, index = {}, []
    for start in range(0, 0x110000, BLOCK):
        index.append(blocks.setdefault(bytes(table[start:start + BLOCK]), len(blocks)))
    pool, entries = [], []
    for c, parts in sorted(decomposed.items()):
        entries.append((c, len(pool), len(parts)))
        pool += parts
    runs = []
    for c, value in sorted(ccc.items()):
        if runs and runs[-1][1] == c - 1 and runs[-1][2] == value:
            runs[-1][1] = c
        else:
            runs.append([c, c, value])

    out = Path(sys.argv[1] if len(sys.argv) > 1 else
               Path(__file__).parent.parent / "src/text/unicode_data.cc")
    out.write_text(f"""\
// Generated by tools/make_unicode_tables.py from the `tokenizers` wheel {tokenizers.__version__}: what its
// regex engine calls a letter, mark, number or space, and its NFC. Run the script, don't edit.
#include "text/unicode_data.h"

namespace yunqi::unicode_data {{

// clang-format off
const uint16_t kBlockIndex[{len(index)}] = {{
{rows(index)}
}};

const uint8_t kBlocks[{len(blocks)} * kBlockSize] = {{
{rows(b"".join(blocks))}
}};

const char32_t kDecompositionPool[{len(pool)}] = {{
{rows(pool, "0x{:X}")}
}};

const Decomposition kDecompositions[{len(entries)}] = {{
{rows(entries, "{{0x{0[0]:X}, {0[1]}, {0[2]}}}")}
}};
const size_t kDecompositionCount = {len(entries)};

const Composition kCompositions[{len(pairs)}] = {{
{rows(sorted((a, b, c) for (a, b), c in pairs.items()), "{{0x{0[0]:X}, 0x{0[1]:X}, 0x{0[2]:X}}}")}
}};
const size_t kCompositionCount = {len(pairs)};

const CombiningRun kCombiningRuns[{len(runs)}] = {{
{rows(runs, "{{0x{0[0]:X}, 0x{0[1]:X}, {0[2]}}}")}
}};
const size_t kCombiningRunCount = {len(runs)};
// clang-format on

}}  // namespace yunqi::unicode_data
""")
    print(f"{out}: {len(blocks)} blocks, {len(entries)} decompositions, {len(pairs)} compositions, "
          f"{len(ccc)} marks in {len(runs)} runs")


if __name__ == "__main__":
    main()
