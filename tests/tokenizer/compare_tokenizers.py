#!/usr/bin/env python3
"""Compares our tokenizer's ids with those of the `tokenizers` wheel over generated strings.

    compare_tokenizers.py --binary encode_lines [--count N] [--seed S] TOKENIZER...

A TOKENIZER is a tokenizer.json, a .gguf file (its vocabulary is given to the wheel through the
`gguf` package) or a .tiktoken file (compared with `tiktoken`). Each is compared twice: with added
tokens taken from the text and without. A tokenizer.json followed by "+qwen35" is compared under the
other pre-tokeniser. Exits 1 on the first differing batch and shows the shortest cases.
"""

import argparse
import json
import random
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tokenizers import Tokenizer, normalizers

QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|"
         r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN35 = QWEN2.replace(r"\p{L}+", r"[\p{L}\p{M}]+").replace(r"[^\s\p{L}\p{N}]", r"[^\s\p{L}\p{M}\p{N}]")
BATCH = 50_000

SPACES = [chr(c) for c in (9, 10, 11, 12, 13, 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B),
                           0x2028, 0x2029, 0x202F, 0x205F, 0x3000)]
SPACE_LIKE = SPACES + [chr(c) for c in (0, 0x1C, 0x1F, 0x180E, 0x200B, 0x200D, 0x2060, 0xFEFF)]
APOSTROPHES = ["'s", "'S", "'t", "'T", "'re", "'RE", "'Re", "'ve", "'vE", "'m", "'ll", "'lL", "'d",
               "'\u017f", "'\u017fs", "\u2019s", "''s", "'", "'l", "'r", "'v", "'x"]
CODE = ["def f(x):\n\treturn x**2\n", "if (a[i] != b[j]) {\n    ++i;\n  }\n", "#include <vector>\r\n",
        "std::vector<int> v{1, 2, 3};", "SELECT * FROM t WHERE a = 'b';", "{\"key\": [1.5e-3, null]}",
        "<div class=\"x\">\n\t\t<p>&nbsp;</p>\n</div>", "x = lambda *a, **k: (a, k)  # ok\n", "\n\n\n",
        "    ", "\t\t", "=> {", "});\n", "//", "/*", "0xFF", "3.14159", "snake_case_name", "CamelCase"]
EMOJI = ["\U0001F600", "\U0001F468\u200d\U0001F469\u200d\U0001F467", "\U0001F44D\U0001F3FD", "\u2764\ufe0f",
         "\U0001F1E8\U0001F1F3", "1\ufe0f\u20e3", "\U0001F3F4\U000E0067\U000E0062\U000E007F"]
ENGLISH = ("the of and to in is that for it was on are with they be this have from one had word but "
           "not what all were when your can said there use each which she how their will other "
           "tokenizer internationalization Yunqi running unbelievable antidisestablishment").split()
CHINESE = (
    "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说"
    "产种面而方后多定行学法所民得经十三之进着等部度家电力里如水化高自二理起小物现实加量都两体制机当使"
    "点从业本去把性好应开它合还因由其些然前外天政四日那社义事平形相全表间样与关各重新线内数正心反你明"
    "看原又么利比或但质气第向道命此变条只没结解问意建月公无系军很情者最立代想已通并提直题党程展五果料"
    "象员革位入常文总次品式活设及管特件长求老头基资边流路级少图山统接知较将组见计别她手角期根论运农指"
    "几九区强放决西被干做必战先回则任取据处队南给色光门即保治北造百规热领七海口东导器压志世金增争济阶"
    "油思术极交受联什认六共权收证改清己美再采转更单风切打白教速花带安场身车例真务具万每目至达走积示议"
    "声报斗完类八离华名确才科张信马节话米整空元况今集温传土许步群广石记需段研界拉林律叫且究观越织装影"
    "算低持音众书布复容儿须际商非验连断深难近矿千周委素技备半办青省列习响约支般史感劳便团往酸历市克何"
    "除消构府称太准精值号率族维划选标写存候毛亲快效斯院查江型眼王按格养易置派层片始却专状育厂京识适属"
    "圆包火住调满县局照参红细引听该铁价严")


class Maker:
    """Strings of one seeded stream, from pieces of many kinds."""

    def __init__(self, seed, added, vocabulary):
        self.random = random.Random(seed)
        self.added = added
        self.vocabulary = vocabulary
        self.kinds = [self.any_char, self.block, self.marks, self.hangul, self.chinese, self.english,
                      self.code, self.emoji, self.spaces, self.digits, self.special, self.apostrophe,
                      self.tokens, self.run, self.ascii]

    def scalar(self, low=0, high=0x10FFFF):
        c = self.random.randint(low, high)
        return chr(c if not 0xD800 <= c < 0xE000 else c - 0x800)

    def some(self, make, most):
        return "".join(make() for _ in range(self.random.randint(1, most)))

    def any_char(self):
        return self.some(self.scalar, 6)

    def block(self):
        start = self.random.randrange(0, 0x32000 if self.random.random() < 0.5 else 0x3000, 64)
        return self.some(lambda: self.scalar(start, start + 63), 12)

    def marks(self):
        base = self.random.choice("aeiouAcnsy\u0915\u09c7\u0b92\u1100\u05d0\u0627")
        return base + self.some(lambda: self.random.choice(
            [self.scalar(0x300, 0x36F), self.scalar(0x591, 0x5C7), self.scalar(0x900, 0xD7F),
             self.scalar(0x1AB0, 0x1AFF), self.scalar(0x3099, 0x309A), self.scalar(0x610, 0x65F),
             self.scalar(0x1D165, 0x1D1AD)]), 6)

    def hangul(self):
        return self.some(lambda: self.random.choice(
            [self.scalar(0x1100, 0x11FF), self.scalar(0xAC00, 0xD7A3), self.scalar(0x1161, 0x11C3)]), 6)

    def chinese(self):
        text = self.some(lambda: self.random.choice(CHINESE), 30)
        return text + self.random.choice(["", "\uff0c", "\u3002", "\u3001", "\n", "\uff1f"])

    def english(self):
        words = [self.random.choice(ENGLISH) for _ in range(self.random.randint(1, 8))]
        case = self.random.choice([str, str.capitalize, str.upper])
        return " ".join(map(case, words)) + self.random.choice(["", ". ", ", ", " ", "?\n"])

    def code(self):
        return self.some(lambda: self.random.choice(CODE), 3)

    def emoji(self):
        return self.some(lambda: self.random.choice(EMOJI), 4)

    def spaces(self):
        return self.some(lambda: self.random.choice(SPACE_LIKE if self.random.random() < 0.4
                                                    else " \n\t\r"), 8)

    def digits(self):
        zero = self.random.choice([0x30, 0x660, 0x966, 0xFF10, 0x1D7CE, 0xB2, 0x2160, 0x2460, 0x3220])
        return self.some(lambda: chr(zero + self.random.randrange(10)), 8)

    def special(self):
        token = self.random.choice(self.added)
        cut = self.random.random()
        if cut < 0.2:
            token = token[:self.random.randrange(len(token) + 1)]
        elif cut < 0.3:
            token = token[self.random.randrange(len(token)):]
        return self.random.choice(["", " ", "\n", "<"]) + token + self.random.choice(["", " ", "\u0301", ">"])

    def apostrophe(self):
        return self.random.choice(ENGLISH + ["x", ""]) + self.random.choice(APOSTROPHES) + \
            self.random.choice(["", "x", " ", "'s"])

    def tokens(self):
        """Vocabulary entries side by side: what merging across them must get right."""
        raw = b"".join(self.random.choice(self.vocabulary) for _ in range(self.random.randint(1, 8)))
        text = raw.decode("utf-8", "ignore")
        return text.replace(" ", "") if self.random.random() < 0.3 else text

    def run(self):
        char = self.random.choice(["a", " ", "\n", "=", "-", "\u4e00", "\u0301", "9", "\t", "ab", "\u00e9", "."])
        return char * self.random.choice([1, 2, 3, 7, 16, 33, 64, 200, 500])

    def ascii(self):
        return self.some(lambda: chr(self.random.randrange(128)), 16)

    def text(self):
        return "".join(self.random.choice(self.kinds)() for _ in range(self.random.randint(1, 5)))


def byte_alphabet():
    """Letter -> byte of the GPT-2 alphabet."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [b for b in range(256) if b not in plain]
    return {**{chr(b): b for b in plain}, **{chr(256 + i): b for i, b in enumerate(rest)}}


def gguf_as_json(path):
    """The tokenizer.json that stands for a GGUF file's vocabulary."""
    from gguf import GGUFReader
    fields = GGUFReader(path).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    types = fields["tokenizer.ggml.token_type"].contents()
    regex = {"qwen2": QWEN2, "qwen35": QWEN35}[fields["tokenizer.ggml.pre"].contents()]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    return {
        "version": "1.0", "truncation": None, "padding": None, "normalizer": {"type": "NFC"},
        "added_tokens": [{"id": i, "content": t, "special": k == 3, "single_word": False, "lstrip": False,
                          "rstrip": False, "normalized": False}
                         for i, (t, k) in enumerate(zip(tokens, types)) if k in (3, 4)],
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}, level]},
        "post_processor": level, "decoder": level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
                  "end_of_word_suffix": "", "fuse_unk": False, "byte_fallback": False,
                  "vocab": {t: i for i, (t, k) in enumerate(zip(tokens, types)) if k == 1},
                  "merges": fields["tokenizer.ggml.merges"].contents()},
    }


class Wheel:
    """The reference: encode(texts, added) -> lists of ids."""

    def __init__(self, spec):
        self.with_added = Tokenizer.from_str(json.dumps(spec))
        self.without = Tokenizer.from_str(json.dumps({**spec, "added_tokens": []}))
        self.added = [t["content"] for t in spec["added_tokens"]] or ["<|none|>"]
        letters = byte_alphabet()
        self.vocabulary = [bytes(letters[c] for c in name) for name in spec["model"]["vocab"]]

    def encode(self, texts, added):
        tokenizer = self.with_added if added else self.without
        return [e.ids for e in tokenizer.encode_batch(texts, add_special_tokens=False)]


class Tiktoken:
    def __init__(self, path):
        import base64
        import tiktoken
        ranks = {base64.b64decode(token): int(rank)
                 for token, rank in (line.split() for line in Path(path).read_bytes().splitlines() if line)}
        self.encoding = tiktoken.Encoding("test", pat_str=QWEN35 if "3_" in Path(path).name else QWEN2,
                                          mergeable_ranks=ranks, special_tokens={})
        self.added = ["<|endoftext|>"]
        self.vocabulary = list(ranks)

    def encode(self, texts, added):
        nfc = normalizers.NFC().normalize_str
        return [self.encoding.encode_ordinary(nfc(t)) for t in texts]


def ours(binary, path, texts, added, pre):
    data = b"".join(struct.pack("<I", len(b)) + b for b in (t.encode() for t in texts))
    command = [binary, str(path)] + (["--added"] if added else []) + (["--pre", pre] if pre else [])
    answer = subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout
    values = struct.unpack(f"<{len(answer) // 4}i", answer)
    out, at = [], 0
    for _ in texts:
        out.append(list(values[at + 1:at + 1 + values[at]]))
        at += 1 + values[at]
    return out


def compare(binary, path, reference, pre, count, seed):
    maker = Maker(seed, reference.added, reference.vocabulary)
    done = total_bytes = 0
    start = time.monotonic()
    while done < count:
        # Every special token as text is in the first batch, alone and inside text.
        texts = [f(t) for t in reference.added for f in (str, lambda t: f"a{t}b", lambda t: f" {t}\n{t} ")] \
            if done == 0 else []
        texts += [maker.text() for _ in range(min(BATCH, count - done) - len(texts))]
        for added in ((True, False) if isinstance(reference, Wheel) else (False,)):
            want = reference.encode(texts, added)
            got = ours(binary, path, texts, added, pre)
            wrong = sorted(((t, w, g) for t, w, g in zip(texts, want, got) if w != g), key=lambda x: len(x[0]))
            if wrong:
                print(f"{path}: {len(wrong)} of {len(texts)} differ (added tokens {added})")
                for text, w, g in wrong[:5]:
                    print(f"  text {text!a}\n  want {w}\n  got  {g}")
                return False
        done += len(texts)
        total_bytes += sum(len(t.encode()) for t in texts)
    print(f"{path}: {done} strings ({total_bytes / 1e6:.0f} MB) equal, {time.monotonic() - start:.0f} s",
          flush=True)
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", required=True, help="the encode_lines program")
    parser.add_argument("--count", type=int, default=1_000_000, help="strings per tokenizer")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("tokenizers", nargs="+", metavar="TOKENIZER")
    args = parser.parse_args()
    good = True
    for name in args.tokenizers:
        path, _, other_pre = name.partition("+")
        with tempfile.TemporaryDirectory() as folder:
            pre, ours_path = None, path
            if path.endswith(".tiktoken"):
                reference = Tiktoken(path)
                pre = "qwen35" if "3_" in Path(path).name else "qwen2"
            else:
                spec = gguf_as_json(path) if path.endswith(".gguf") else json.loads(Path(path).read_text())
                if other_pre:
                    regex = {"qwen2": QWEN2, "qwen35": QWEN35}[other_pre]
                    spec["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = regex
                    ours_path = Path(folder) / "tokenizer.json"
                    ours_path.write_text(json.dumps(spec))
                reference = Wheel(spec)
            good = compare(args.binary, ours_path, reference, pre, args.count, args.seed) and good
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
