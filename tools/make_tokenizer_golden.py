#!/usr/bin/env python3
"""Writes tests/golden/tokenizer_tiny.json and tokenizer_tiny_ids.json with the `tokenizers` wheel.

The tokenizer is ours: a byte-level BPE of some 700 tokens trained on the text below, with the
normaliser, pre-tokeniser and kind of added tokens that the family's files have. The are what the wheel answers for some hundreds of strings, with and without added tokens, under both
pre-tokenisers; a list is left out when it equals the one it falls back to. Usage: make_tokenizer_golden.py
"""

import json
import sys
from pathlib import Path

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests/tokenizer"))
from compare_tokenizers import QWEN2, QWEN35, Maker, byte_alphabet  # noqa: E402

STRINGS = 400
TRAINING = """\
The scheduler takes the oldest request, plans a step and hands it to the engine; when a request
ends, its pages are free again. Don't count what you can't measure, we've learned; they're slow,
I'm sure it'll be fine, he'd say. In 2025 there were 151643 tokens and 128 pages of 16 rows each.
    for (int i = 0; i < rows; ++i) {\n        out[i] = in[i] * scale + 0.5f;\n    }\n\treturn out;\n
def encode(text):\n    return [token for token in split(text) if token != ""]\n\n\n
我们今天去看看新的模型，它能读中文，也能写代码。这是一个很小的词表，只有九百个词。今天天气很好。
Das Wörterbuch enthält größere Wörter; l'été est fini, où sont les élèves ? Ещё одно слово. 日本語の文章。
안녕하세요 세계. สวัสดี नमस्ते दुनिया \U0001F600\U0001F44D\U0001F3FD ¡Hola! ½ cup, 3 × 4 = 12 …
"""
ADDED = [("<|endoftext|>", True), ("<|im_start|>", True), ("<|im_end|>", True), ("<tool_call>", False),
         ("</tool_call>", False), ("<think>", False), ("</think>", False), ("<|im|>", True)]
BY_HAND = ["", " ", "  ", "\n", " \n ", "a", "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>",
           "<|im_start|", "<|im_start|><|im_start|>", "<|im_end|>\u0301e\u0301", "<|im|><|im_start|>x",
           "'s 'S '\u017f '\u017fa 're'vE 'll 'LLx 'm 'd't", "x's\u2019s", "\u00e9 e\u0301 \u1112\u1161\u11ab \uac00\u11a8",
           "a\u0315\u0300\u05ae\u0300b", "\u0958 \u0344 \u2126 \u212b \uf900", "\u0915\u094d\u0937 \u0e01\u0e33\u0e49",
           "a\u00a0b\u3000 c\u2028\u2028d\u0085\u0085e", "\x1c\x1d x\u180ey\u200bz\ufeff", "12\u0663\u0664\u2167\u00b2 34",
           "a  b   c\t\td \t e", "\r\n\r\nx\r y\n\n\nz   \n  w  ", "!!!\n\n???\r\n...", " !? #a", "\U0001F468\u200d\U0001F469\u200d\U0001F467",
           "\u0301\u0301a", "a" * 200, " " * 300, "ab" * 150, "\u4e2d" * 100, "\U0010ffff\ue000\u0378"]


def build(regex):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(regex), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def main():
    tokenizer = build(QWEN2)
    tokenizer.train_from_iterator([TRAINING] * 3, trainers.BpeTrainer(
        vocab_size=900, min_frequency=2, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    for text, special in ADDED:
        token = AddedToken(text, special=special, normalized=False)
        tokenizer.add_special_tokens([token]) if special else tokenizer.add_tokens([token])
    spec = json.loads(tokenizer.to_str())
    golden = ROOT / "tests/golden"
    (golden / "tokenizer_tiny.json").write_text(json.dumps(spec, ensure_ascii=False, indent=0) + "\n")

    letters = byte_alphabet()
    vocabulary = [bytes(letters[c] for c in name) for name in spec["model"]["vocab"]]
    maker = Maker(3, [text for text, _ in ADDED], vocabulary)
    cases = []
    strings = BY_HAND + [maker.text()[:160] for _ in range(STRINGS - len(BY_HAND))]
    tables = {}
    for name, regex in (("qwen2", QWEN2), ("qwen35", QWEN35)):
        spec["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = regex
        tables[name] = (Tokenizer.from_str(json.dumps(spec)),
                        Tokenizer.from_str(json.dumps({**spec, "added_tokens": []})))
    for text in strings:
        case = {"text": text}
        lists = {f"{name}_{mode}": tokenizer.encode(text).ids
                 for name, both in tables.items() for mode, tokenizer in zip(("added", "plain"), both)}
        for name, ids in lists.items():
            other = {"qwen2_plain": "qwen2_added", "qwen35_added": "qwen2_added",
                     "qwen35_plain": "qwen2_plain"}.get(name)
            if other is None or ids != lists[other]:
                case[name] = ids
        cases.append(case)
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    (golden / "tokenizer_tiny_ids.json").write_text(
        f'{{"made_by":"tools/make_tokenizer_golden.py, tokenizers {tokenizers.__version__}","cases":[\n{lines}\n]}}\n')
    print(len(spec["model"]["vocab"]), "tokens,", len(cases), "cases")


if __name__ == "__main__":
    main()
