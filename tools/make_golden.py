"""Makes tests/golden/tiny/: tiny random checkpoints of each dense architecture, as a Hugging Face
folder and as a GGUF file with the same values, and the logits that transformers computes for them.
Needs torch, transformers, tokenizers, safetensors, gguf and numpy. Run from the repository root:
python tools/make_golden.py [case...]

A case's folder holds the checkpoint (config.json, *.safetensors, tokenizer.json ...), model.gguf,
golden.json (tokens, greedy continuation, generator versions) and golden.bin (float32 logits
[tokens, vocab], little-endian; row i follows token i).
"""

import dataclasses
import importlib.metadata
import json
import pathlib
import shutil
import sys

import gguf
import numpy as np
import tokenizers
import torch
import transformers
from transformers import AutoModelForCausalLM, Qwen2Config, Qwen3Config

OUT = pathlib.Path("tests/golden/tiny")
VOCAB = 320  # rows; the tokenizer's ids end before, as in real checkpoints
PROMPT = 40
STEPS = 12
MIN_GAP = 2e-3  # of the largest logit: top-1 of every row is clear of rounding
MAX_BYTES = 1_000_000

TEXT = """The river keeps no record of the stones it has moved. A model reads one word and then
another, and each time it asks what may come next: the answer is a number for every word it knows.
Small numbers in, small numbers out; the sum of many is a sentence. for (int i = 0; i < n; ++i)
{ total += weights[i] * inputs[i]; } return total; Measure twice, cut once, and write down why.
"""

CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclasses.dataclass
class Case:
    name: str
    config: transformers.PreTrainedConfig
    dtype: torch.dtype  # of the safetensors
    gguf_types: dict  # last part of a GGUF tensor name -> type; "" is the default; {}: no GGUF
    shard_bytes: str = "10MB"
    old_config: bool = False  # rope_theta and rope_scaling, as transformers 4 wrote them
    seed: int = 1


def shape(**more):
    base = dict(vocab_size=VOCAB, hidden_size=64, intermediate_size=96, num_hidden_layers=3,
                num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256,
                rms_norm_eps=1e-6, bos_token_id=None, eos_token_id=None, pad_token_id=None)
    return base | more


F32, F16 = gguf.GGMLQuantizationType.F32, gguf.GGMLQuantizationType.F16
Q8_0 = gguf.GGMLQuantizationType.Q8_0
CASES = [
    Case("qwen2-tied", Qwen2Config(**shape(hidden_size=128, intermediate_size=160,
         num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
         tie_word_embeddings=True, rms_norm_eps=1e-5,
         rope_parameters={"rope_type": "default", "rope_theta": 1000000.0})),
         torch.bfloat16, {"": F16}, old_config=True),
    Case("qwen2-mha", Qwen2Config(**shape(num_key_value_heads=4, rope_parameters={
         "rope_type": "default", "rope_theta": 10000.0})),
         torch.float32, {"": Q8_0}),
    Case("qwen2-yarn", Qwen2Config(**shape(num_hidden_layers=2, num_attention_heads=2,
         num_key_value_heads=1, max_position_embeddings=32, rope_parameters={
             "rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0,
             "original_max_position_embeddings": 32})),
         torch.float16, {"": F16, "token_embd": F32}, shard_bytes="60KB", old_config=True),
    Case("qwen3", Qwen3Config(**shape(head_dim=32, rope_parameters={
         "rope_type": "default", "rope_theta": 1000000.0})),
         torch.float32, {"": Q8_0, "attn_q": F16, "attn_k": F32, "token_embd": F16}),
    Case("qwen3-tied-yarn", Qwen3Config(**shape(num_hidden_layers=2, head_dim=64,
         tie_word_embeddings=True, attention_bias=False, max_position_embeddings=40,
         rope_parameters={"rope_type": "yarn", "rope_theta": 5000000.0, "factor": 2.0,
                          "original_max_position_embeddings": 32})),
         torch.bfloat16, {"": F16}, shard_bytes="150KB"),
    # GGUF has no biases for this architecture.
    Case("qwen3-bias", Qwen3Config(**shape(num_hidden_layers=1, head_dim=32, attention_bias=True,
         rope_parameters={"rope_type": "default", "rope_theta": 1000000.0})),
         torch.bfloat16, {}),
]


def make_tokenizer():
    tok = tokenizers.Tokenizer(tokenizers.models.BPE(byte_fallback=False))
    tok.normalizer = tokenizers.normalizers.NFC()
    tok.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([
        tokenizers.pre_tokenizers.Split(tokenizers.Regex(PATTERN), "isolated"),
        tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tok.decoder = tokenizers.decoders.ByteLevel()
    tok.post_processor = tokenizers.processors.ByteLevel(trim_offsets=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300, show_progress=False,
        initial_alphabet=sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()))
    tok.train_from_iterator([TEXT], trainer)
    tok.add_special_tokens([tokenizers.AddedToken(s, special=True, normalized=False)
                            for s in SPECIALS])
    return tok


def gguf_name(name):
    tables = {"model.embed_tokens": "token_embd", "model.norm": "output_norm",
              "lm_head": "output"}
    stem, kind = name.rsplit(".", 1)
    if stem in tables:
        return f"{tables[stem]}.{kind}"
    _, _, layer, part = stem.split(".", 3)
    parts = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
             "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
             "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
             "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
             "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
    return f"blk.{layer}.{parts[part]}.{kind}"


def gguf_type(case, name, array):
    if array.ndim == 1:
        return F32
    return case.gguf_types.get(name.split(".")[-2], case.gguf_types.get("", F32))


def random_values(case, name, array_shape, rng):
    """Scaled so that activations stay near 1 and logits spread over several units."""
    if len(array_shape) == 1:
        if name.endswith("norm.weight") or "layernorm" in name:
            return 1 + 0.2 * rng.standard_normal(array_shape)
        return 0.3 * rng.standard_normal(array_shape)  # biases
    gain = 2.5 if name in ("model.embed_tokens.weight", "lm_head.weight") else 1.2
    return gain / np.sqrt(array_shape[1]) * rng.standard_normal(array_shape)


def make_weights(case, model):
    """Name -> (float32 values, GGUF type, GGUF bytes), exact in both file kinds."""
    rng = np.random.default_rng(case.seed)
    weights = {}
    for name, value in model.state_dict().items():
        if name == "lm_head.weight" and model.config.tie_word_embeddings:
            continue
        values = random_values(case, name, tuple(value.shape), rng).astype(np.float32)
        kind = gguf_type(case, gguf_name(name), values)
        # What both files can hold: the safetensors' type first, then no 16-bit subnormals.
        values = torch.from_numpy(values).to(case.dtype).to(torch.float32).numpy()
        values = np.where(np.abs(values) < 2.0**-10, np.float32(0), values)
        data = gguf.quantize(values, kind)
        values = gguf.dequantize(data, kind).reshape(values.shape).astype(np.float32)
        assert (torch.from_numpy(values).to(case.dtype).to(torch.float32).numpy() == values).all()
        weights[name] = (values, kind, data)
    return weights


def use_old_config(folder):
    """The same meaning in the keys of transformers 4."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = None
    if rope["rope_type"] != "default":
        rope["type"] = rope.pop("rope_type")
        config["rope_scaling"] = rope
    config["torch_dtype"] = config.pop("dtype")
    config["use_sliding_window"] = False
    config.pop("layer_types", None)
    path.write_text(json.dumps(config, indent=2) + "\n")


def write_folder(case, model, weights, tok, folder):
    model.load_state_dict({k: torch.from_numpy(v[0]) for k, v in weights.items()}, strict=False)
    model.tie_weights()
    model.to(case.dtype).save_pretrained(folder, max_shard_size=case.shard_bytes)
    tok.save(str(folder / "tokenizer.json"))
    end = [tok.token_to_id("<|im_end|>"), tok.token_to_id("<|endoftext|>")]
    (folder / "generation_config.json").write_text(json.dumps(
        {"eos_token_id": end, "pad_token_id": end[1], "temperature": 0.7, "top_p": 0.8,
         "top_k": 20}, indent=2) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"chat_template": CHAT_TEMPLATE, "eos_token": "<|im_end|>",
         "tokenizer_class": "Qwen2Tokenizer"}, indent=2) + "\n")
    if case.old_config:
        use_old_config(folder)


def write_gguf(case, config, weights, tok, path):
    arch = config.model_type
    w = gguf.GGUFWriter(path, arch)
    w.add_name(f"tiny {case.name}")
    w.add_block_count(config.num_hidden_layers)
    w.add_context_length(config.max_position_embeddings)
    w.add_embedding_length(config.hidden_size)
    w.add_feed_forward_length(config.intermediate_size)
    w.add_head_count(config.num_attention_heads)
    w.add_head_count_kv(config.num_key_value_heads)
    w.add_layer_norm_rms_eps(config.rms_norm_eps)
    rope = config.rope_parameters
    w.add_rope_freq_base(rope["rope_theta"])
    if rope["rope_type"] == "yarn":
        w.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        w.add_rope_scaling_factor(rope["factor"])
        w.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    if arch == "qwen3":
        w.add_key_length(config.head_dim)
        w.add_value_length(config.head_dim)
    vocab = {i: t for t, i in tok.get_vocab(with_added_tokens=True).items()}
    tokens = [vocab.get(i, f"[PAD{i}]") for i in range(VOCAB)]
    types = [gguf.TokenType.UNUSED if i not in vocab else
             gguf.TokenType.CONTROL if vocab[i] in SPECIALS else gguf.TokenType.NORMAL
             for i in range(VOCAB)]
    merges = [" ".join(m) for m in json.loads(tok.to_str())["model"]["merges"]]
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("qwen2")
    w.add_token_list(tokens)
    w.add_token_types(types)
    w.add_token_merges(merges)
    w.add_eos_token_id(tok.token_to_id("<|im_end|>"))
    w.add_pad_token_id(tok.token_to_id("<|endoftext|>"))
    w.add_add_bos_token(False)
    w.add_chat_template(CHAT_TEMPLATE)
    for name, (values, kind, data) in weights.items():
        w.add_tensor(gguf_name(name), data, raw_dtype=kind)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def run_golden(folder, tokens):
    """Logits of prompt and greedy continuation; whole and step by step must agree."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32,
                                                 attn_implementation="eager")
    model.eval()
    tokens = list(tokens)
    with torch.no_grad():
        step = model(torch.tensor([tokens]), use_cache=True)
        stepwise = list(step.logits[0])
        for _ in range(STEPS):
            tokens.append(int(stepwise[-1].argmax()))
            step = model(torch.tensor([tokens[-1:]]), past_key_values=step.past_key_values,
                         use_cache=True)
            stepwise.append(step.logits[0, -1])
        whole = model(torch.tensor([tokens])).logits[0]
    difference = (torch.stack(stepwise) - whole).abs().max() / whole.abs().max()
    assert difference < 1e-5, f"transformers' own prefill and decode differ by {difference}"
    return tokens, whole.numpy()


def top_gap(logits):
    ordered = np.sort(logits, axis=1)
    return float((ordered[:, -1] - ordered[:, -2]).min() / np.abs(logits).max())


def make_case(case, tok, prompt):
    folder = OUT / case.name
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        model = AutoModelForCausalLM.from_config(case.config)
        weights = make_weights(case, model)
        write_folder(case, model, weights, tok, folder)
        tokens, logits = run_golden(folder, prompt)
        if top_gap(logits) > MIN_GAP and len(set(tokens[PROMPT:])) > 2:
            break
        case.seed += 1
    if case.gguf_types:
        write_gguf(case, case.config, weights, tok, folder / "model.gguf")
    logits.astype("<f4").tofile(folder / "golden.bin")
    (folder / "golden.json").write_text(json.dumps({
        "generator": {"transformers": transformers.__version__, "torch": torch.__version__,
                      "gguf": importlib.metadata.version("gguf"), "tokenizers": tokenizers.__version__, "seed": case.seed},
        "tokens": tokens, "prompt_tokens": PROMPT, "vocab": VOCAB,
        "greedy": tokens[PROMPT:]}) + "\n")
    for path in folder.iterdir():
        path.chmod(0o644)
    for kind in ("*.safetensors", "*.gguf"):
        total = sum(p.stat().st_size for p in folder.glob(kind))
        assert total < MAX_BYTES, f"{folder}: {total} bytes of {kind}"
    print(f"{case.name}: seed {case.seed}, gap {top_gap(logits):.4f}, "
          f"max {np.abs(logits).max():.2f}, greedy {tokens[PROMPT:]}")


def main():
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    tok = make_tokenizer()
    rng = np.random.default_rng(7)
    text = tok.encode(TEXT).ids[: PROMPT - 8]
    prompt = text + [int(i) for i in rng.integers(0, tok.get_vocab_size(), PROMPT - len(text))]
    for case in CASES:
        if len(sys.argv) < 2 or case.name in sys.argv[1:]:
            make_case(case, tok, prompt)


if __name__ == "__main__":
    main()
