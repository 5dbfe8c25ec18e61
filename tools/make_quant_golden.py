"""Writes tests/golden/quant/<type>.bin: random blocks of each GGUF type and what the public `gguf`
package decodes them to, so that our decoders can be compared bit by bit. Each file is N blocks of
raw bytes followed by N * block_elements float32 values, little-endian. Needs numpy and gguf (and
torch for the 8-bit float). Run from the repository root: python tools/make_quant_golden.py
"""

import pathlib

import gguf
import numpy as np

OUT = pathlib.Path("tests/golden/quant")
# Byte offsets of the 16-bit scales in a block; they must stay finite.
TYPES = {
    "Q4_0": [0],
    "Q4_1": [0, 2],
    "Q5_0": [0],
    "Q5_1": [0, 2],
    "Q8_0": [0],
    "Q2_K": [80, 82],
    "Q3_K": [108],
    "Q4_K": [0, 2],
    "Q5_K": [0, 2],
    "Q6_K": [208],
    "IQ4_NL": [0],
    "IQ4_XS": [0],
}


def make_blocks(rng, block_bytes, scale_offsets, count):
    blocks = rng.integers(0, 256, size=(count, block_bytes), dtype=np.uint8)
    for offset in scale_offsets:
        scales = (rng.standard_normal(count) * 10.0 ** rng.integers(-6, 4, count)).astype(np.float16)
        scales[0] = np.float16(6e-8)  # the smallest subnormal
        scales[1] = np.float16(-0.0)
        blocks[:, offset : offset + 2] = scales.view(np.uint8).reshape(count, 2)
    return blocks


def write(name, raw, values):
    path = OUT / f"{name.lower()}.bin"
    path.write_bytes(raw.tobytes() + values.astype("<f4").tobytes())
    print(path, path.stat().st_size)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(20261122)
    for name, scale_offsets in TYPES.items():
        kind = gguf.GGMLQuantizationType[name]
        elements, block_bytes = gguf.GGML_QUANT_SIZES[kind]
        blocks = make_blocks(rng, block_bytes, scale_offsets, 6 if elements == 256 else 24)
        write(name, blocks, gguf.dequantize(blocks, kind))

    import torch

    codes = np.arange(256, dtype=np.uint8)
    floats = torch.from_numpy(codes.copy()).view(torch.float8_e4m3fn).to(torch.float32).numpy()
    write("F8_E4M3", codes, floats)


if __name__ == "__main__":
    main()
