#!/usr/bin/env python3
"""Writes tests/golden/sampling.json: what transformers' logits processors make of random logits.

Each case has the parameters and, for one of the rows of logits, the tokens that are left with their
probabilities after repetition penalty, temperature, top-k, top-p and min-p, in generate()'s order.
Needs torch and transformers (tools/requirements.txt). Deterministic.
"""

import json
import pathlib

import torch
from transformers import (LogitsProcessorList, MinPLogitsWarper, RepetitionPenaltyLogitsProcessor,
                          TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper)

VOCAB = 97
HISTORY = [3, 14, 15, 92, 65, 35, 89, 79, 3]
OUT = pathlib.Path(__file__).resolve().parent.parent / "tests/golden/sampling.json"


def processors(case):
    """The list that generate() would build for these parameters."""
    out = LogitsProcessorList()
    if case["repetition_penalty"] != 1.0:
        out.append(RepetitionPenaltyLogitsProcessor(case["repetition_penalty"]))
    if case["temperature"] != 1.0:
        out.append(TemperatureLogitsWarper(case["temperature"]))
    if case["top_k"] > 0:
        out.append(TopKLogitsWarper(case["top_k"]))
    if case["top_p"] < 1.0:
        out.append(TopPLogitsWarper(case["top_p"]))
    if case["min_p"] > 0.0:
        out.append(MinPLogitsWarper(case["min_p"]))
    return out


def main():
    generator = torch.Generator().manual_seed(20261122)
    rows = [torch.randn(1, VOCAB, generator=generator) * spread for spread in (0.7, 3.0)]
    cases = []
    for row, logits in enumerate(rows):
        for temperature, top_k, top_p, min_p, penalty in [
                (1.0, 0, 1.0, 0.0, 1.0), (0.7, 20, 0.8, 0.0, 1.0), (0.6, 20, 0.95, 0.0, 1.1),
                (1.0, 0, 0.5, 0.0, 1.0), (1.3, 0, 0.9, 0.05, 1.0), (0.8, 0, 1.0, 0.1, 1.3),
                (1.0, 5, 1.0, 0.0, 0.8), (2.0, 50, 0.7, 0.3, 1.05), (0.2, 40, 0.99, 0.02, 1.0),
                (1.0, 1, 0.1, 0.9, 1.0), (0.7, 0, 0.01, 0.0, 1.0), (1.5, 3, 0.6, 0.2, 2.0)]:
            case = {"row": row, "temperature": temperature, "top_k": top_k, "top_p": top_p,
                    "min_p": min_p, "repetition_penalty": penalty}
            scores = processors(case)(torch.tensor([HISTORY]), logits.clone())
            probabilities = torch.softmax(scores.double(), dim=-1)[0]
            kept = torch.nonzero(scores[0] > -float("inf"))[:, 0].tolist()
            case["kept"] = kept
            case["probabilities"] = [round(probabilities[i].item(), 7) for i in kept]
            cases.append(case)
    golden = {"history": HISTORY, "logits": [[float(x) for x in row[0]] for row in rows],
              "cases": cases}
    text = json.dumps(golden)
    OUT.write_text(text.replace('{"row"', '\n{"row"') + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
