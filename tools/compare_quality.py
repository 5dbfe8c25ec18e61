"""How near is an engine's output to float32 arithmetic on the same weights? Mean KL divergence and
top-1 agreement per position of a text, with 95 % bootstrap intervals.

  python tools/compare_quality.py reference MODEL.gguf TEXT REFERENCE.logits
      transformers in float32 on the file's dequantised weights (dense Qwen2 and Qwen3)
  yunqi score MODEL.gguf TEXT --save-logits OURS.logits
  llama_logits MODEL.gguf REFERENCE.logits PEER.logits      (tools/llama_logits.cc)
  python tools/compare_quality.py compare REFERENCE.logits yunqi=OURS.logits llama.cpp=PEER.logits

A logits file is "YQLG", then uint32 version (1), rows, vocab; int32 token ids [rows]; float32
logits [rows, vocab], little-endian; row i follows token i. The first engine named is judged
against each of the others: positions are paired. Needs numpy, torch, transformers, tokenizers and
gguf.
"""

import argparse
import pathlib
import struct
import sys

import numpy as np

MAGIC, VERSION = b"YQLG", 1
HEAD = struct.Struct("<4sIII")
RESAMPLES = 2_000
CHUNK = 512  # rows of one reference step, to bound memory


def read_logits(path):
    raw = np.memmap(path, dtype=np.uint8, mode="r")
    magic, version, rows, vocab = HEAD.unpack(raw[: HEAD.size].tobytes())
    if magic != MAGIC or version != VERSION:
        sys.exit(f"{path}: want a {MAGIC} file of version {VERSION}, found {magic} {version}")
    tokens = raw[HEAD.size : HEAD.size + 4 * rows].view("<i4")
    logits = raw[HEAD.size + 4 * rows :].view("<f4").reshape(rows, vocab)
    return np.array(tokens), logits


def gguf_strings(field):
    return [bytes(field.parts[i]).decode("utf-8") for i in field.data]


def tokenize(reader, text):
    """The file's own byte-level BPE through the public tokenizers package."""
    import tokenizers

    tokens = gguf_strings(reader.fields["tokenizer.ggml.tokens"])
    merges = [tuple(m.split(" ")) for m in gguf_strings(reader.fields["tokenizer.ggml.merges"])]
    tok = tokenizers.Tokenizer(
        tokenizers.models.BPE({t: i for i, t in enumerate(tokens)}, merges))
    pattern = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
               r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
    tok.normalizer = tokenizers.normalizers.NFC()
    tok.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([
        tokenizers.pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated"),
        tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    return tok.encode(text, add_special_tokens=False).ids


def number(reader, key, default=None):
    field = reader.fields.get(key)
    if field is None:
        if default is None:
            sys.exit(f"the file has no {key}")
        return default
    return field.parts[field.data[0]][0].item()


HF_PARTS = {
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
HF_TOP = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def hf_name(name):
    stem, kind = name.rsplit(".", 1)
    if stem in HF_TOP:
        return f"{HF_TOP[stem]}.{kind}"
    _, layer, part = stem.split(".")
    return f"model.layers.{layer}.{HF_PARTS[part]}.{kind}"


def load_reference(reader):
    import gguf
    import torch
    from transformers import AutoModelForCausalLM, Qwen2Config, Qwen3Config

    arch = bytes(reader.fields["general.architecture"].parts[-1]).decode()
    if arch not in ("qwen2", "qwen3"):
        sys.exit(f"architecture {arch}: want qwen2 or qwen3")
    tensors = {hf_name(t.name): t for t in reader.tensors}
    hidden = number(reader, f"{arch}.embedding_length")
    heads = number(reader, f"{arch}.attention.head_count")
    more = {}
    if arch == "qwen3":
        more["head_dim"] = number(reader, f"{arch}.attention.key_length", hidden // heads)
    config = (Qwen3Config if arch == "qwen3" else Qwen2Config)(
        vocab_size=int(tensors["model.embed_tokens.weight"].shape[1]), hidden_size=hidden,
        intermediate_size=number(reader, f"{arch}.feed_forward_length"),
        num_hidden_layers=number(reader, f"{arch}.block_count"), num_attention_heads=heads,
        num_key_value_heads=number(reader, f"{arch}.attention.head_count_kv"),
        max_position_embeddings=number(reader, f"{arch}.context_length"),
        rms_norm_eps=number(reader, f"{arch}.attention.layer_norm_rms_epsilon"),
        tie_word_embeddings="lm_head.weight" not in tensors,
        rope_parameters={"rope_type": "default",
                         "rope_theta": number(reader, f"{arch}.rope.freq_base", 10000.0)},
        **more)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
    weights = {}
    for name, tensor in tensors.items():
        values = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        weights[name] = torch.from_numpy(values.reshape([int(n) for n in tensor.shape[::-1]]))
    missing, unexpected = model.load_state_dict(weights, strict=False, assign=True)
    model.tie_weights()
    missing = [m for m in missing if m != "lm_head.weight" or not config.tie_word_embeddings]
    if missing or unexpected:
        sys.exit(f"missing {missing}, unexpected {unexpected}")
    # Buffers that from_config left without values.
    model.model.rotary_emb = type(model.model.rotary_emb)(config)
    return model.eval()


def write_reference(arguments):
    import gguf
    import torch

    reader = gguf.GGUFReader(arguments.model)
    ids = tokenize(reader, pathlib.Path(arguments.text).read_text(encoding="utf-8"))
    model = load_reference(reader)
    with open(arguments.out, "wb") as out, torch.no_grad():
        out.write(HEAD.pack(MAGIC, VERSION, len(ids), model.config.vocab_size))
        out.write(np.array(ids, dtype="<i4").tobytes())
        past = None
        for begin in range(0, len(ids), CHUNK):
            step = model(torch.tensor([ids[begin : begin + CHUNK]]), past_key_values=past,
                         use_cache=True)
            past = step.past_key_values
            out.write(step.logits[0].numpy().astype("<f4").tobytes())
    print(f"{arguments.out}: {len(ids)} positions")


def log_softmax(row):
    row = row.astype(np.float64)
    row -= row.max()
    return row - np.log(np.exp(row).sum())


def judge(reference, candidate):
    """Per position: KL(reference || candidate) in nats, and whether the top token is the same."""
    shared = min(reference.shape[1], candidate.shape[1])  # engines may leave padding rows out
    kl, same = [], []
    for a, b in zip(reference, candidate):
        p, q = log_softmax(a[:shared]), log_softmax(b[:shared])
        kl.append(float((np.exp(p) * (p - q)).sum()))
        same.append(float(p.argmax() == q.argmax()))
    return np.array(kl), np.array(same)


def interval(values):
    """Mean and 95 % bootstrap interval."""
    rng = np.random.default_rng(1)
    picks = rng.integers(0, len(values), (RESAMPLES, len(values)))
    means = values[picks].mean(axis=1)
    return values.mean(), *np.quantile(means, [0.025, 0.975])


def perplexity(tokens, logits):
    losses = [-log_softmax(row)[token] for row, token in zip(logits[:-1], tokens[1:])]
    return float(np.exp(np.mean(losses)))


def compare(arguments):
    tokens, reference = read_logits(arguments.reference)
    print(f"{len(tokens)} positions; reference perplexity {perplexity(tokens, reference):.4f}")
    results = {}
    for candidate in arguments.candidates:
        name, _, path = candidate.partition("=")
        ids, logits = read_logits(path)
        if len(ids) != len(tokens) or (ids != tokens).any():
            sys.exit(f"{path}: other tokens than {arguments.reference}: score the same text")
        results[name] = judge(reference, logits)
        kl, same = (interval(values) for values in results[name])
        print(f"{name:24} mean KL {kl[0]:.6f} [{kl[1]:.6f}, {kl[2]:.6f}]   "
              f"top-1 {100 * same[0]:.2f} % [{100 * same[1]:.2f}, {100 * same[2]:.2f}]   "
              f"perplexity {perplexity(tokens, logits):.4f}")
    first, *others = results
    worse = False
    for other in others:
        kl = interval(results[first][0] - results[other][0])
        same = interval(results[first][1] - results[other][1])
        # Worse means that the whole interval of the paired difference lies on the wrong side.
        worse |= kl[1] > 0 or same[2] < 0
        print(f"{first} - {other}: mean KL {kl[0]:+.6f} [{kl[1]:+.6f}, {kl[2]:+.6f}], "
              f"top-1 {100 * same[0]:+.2f} [{100 * same[1]:+.2f}, {100 * same[2]:+.2f}] points")
    return 1 if worse else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    make = commands.add_parser("reference")
    make.add_argument("model")
    make.add_argument("text")
    make.add_argument("out")
    make.set_defaults(run=write_reference)
    both = commands.add_parser("compare")
    both.add_argument("reference")
    both.add_argument("candidates", nargs="+", metavar="NAME=FILE")
    both.set_defaults(run=compare)
    arguments = parser.parse_args()
    sys.exit(arguments.run(arguments))


if __name__ == "__main__":
    main()
