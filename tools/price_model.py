#!/usr/bin/env python3
"""An independent model of the prices, in decimals: the oracle of src/tenancy/price_book.cc.

price_model.py            prints cases as JSON lines: a price, a usage, and what it costs
price_model.py --check F  exits 1 when F is not what it prints

The rule: a part costs tokens / 1,000,000 * rate * factor, cut to 9 decimals; the rates are those of
the first tier whose `up_to_input` covers the whole input; the bill is the sum of the parts.
"""

import decimal
import json
import random
import sys
from decimal import Decimal

PARTS = ("input", "cached_input", "cache_creation", "output", "thinking")
NANO = Decimal("0.000000001")
CASES = 600


def cost(price, usage, is_batch):
    tiers = price.get("tiers", [price])
    total_input = sum(usage[part] for part in PARTS[:3])
    tier = next(t for t in tiers if total_input <= t.get("up_to_input", total_input))
    fallback = {"cached_input": "input", "cache_creation": "input", "thinking": "output"}
    factor = Decimal(price.get("batch_factor", "1")) if is_batch else Decimal(1)
    parts = {}
    for part in PARTS:
        rate = Decimal(tier.get(part, tier.get(fallback.get(part, part))))
        exact = Decimal(usage[part]) / Decimal(1_000_000) * rate * factor
        parts[part] = int(exact.quantize(NANO, rounding=decimal.ROUND_DOWN) / NANO)
    return parts


def random_rates(rng, least):
    rates = {}
    for part in PARTS:
        if part in ("cached_input", "cache_creation", "thinking") and rng.random() < 0.3:
            continue
        digits = rng.choice([0, 1, 2, 4, 9])
        amount = Decimal(rng.randrange(10 ** rng.randrange(1, digits + 4))).scaleb(-digits)
        rates[part] = amount
    full = {part: rates.get(part, rates["input" if "cache" in part else "output"]) for part in PARTS}
    # Later tiers are never cheaper: each starts from the one before.
    return {part: full[part] + least.get(part, Decimal(0)) for part in PARTS}


def random_price(rng):
    count = rng.choice([0, 0, 1, 2, 3])
    price = {}
    if rng.random() < 0.7:
        price["batch_factor"] = rng.choice(["0.5", "0.333333", "1", "0.000001", "1.25"])
    if count == 0:
        rates = random_rates(rng, {})
        if rng.random() < 0.5:
            del rates["cached_input"], rates["thinking"]
        price.update({part: str(rate) for part, rate in rates.items()})
        return price
    price["tiers"], least, end = [], {}, 0
    for index in range(count):
        least = random_rates(rng, least)
        tier = {part: str(rate) for part, rate in least.items()}
        if index + 1 < count:
            end += rng.randrange(1, 200_000)
            tier["up_to_input"] = end
        price["tiers"].append(tier)
    return price


def random_usage(rng, price):
    usage = {part: rng.choice([0, 1, rng.randrange(1000), rng.randrange(10 ** 6),
                               rng.randrange(10 ** 9)]) for part in PARTS}
    ends = [tier["up_to_input"] for tier in price.get("tiers", []) if "up_to_input" in tier]
    if ends and rng.random() < 0.5:
        # At the edge of a tier and one over it.
        usage["cached_input"] = usage["cache_creation"] = 0
        usage["input"] = rng.choice(ends) + rng.choice([0, 1])
    return usage


def cases():
    decimal.getcontext().prec = 80
    rng = random.Random(20261122)
    for _ in range(CASES):
        price = random_price(rng)
        usage = random_usage(rng, price)
        is_batch = rng.random() < 0.5
        yield json.dumps({"price": price, "usage": usage, "batch": is_batch,
                          "cost": cost(price, usage, is_batch)}, separators=(",", ":"))


def main():
    text = "".join(line + "\n" for line in cases())
    if sys.argv[1:2] != ["--check"]:
        sys.stdout.write(text)
        return 0
    with open(sys.argv[2], encoding="utf-8") as file:
        if file.read() == text:
            return 0
    print(f"{sys.argv[2]} is not what tools/price_model.py prints; write it anew", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
