// Prices as data: what a million tokens of each kind cost, by model and length of input. Arithmetic
// is exact in integers; the one rounding is stated at price_usage(). Immutable once parsed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "store/usage.h"

namespace yunqi {

inline constexpr size_t kMaxPricedModels = 10'000;
inline constexpr size_t kMaxPriceTiers = 16;
inline constexpr int64_t kMaxRate = 1'000'000'000'000'000;  // a million units a million tokens
inline constexpr int64_t kMaxBatchPpm = 10'000'000;         // a factor of ten

using Rates = PerPart<struct NanoUnitsPerMillionTokens>;

struct PriceTier {
  int64_t up_to_input = 0;  // tokens of all three input parts, this many included
  Rates rates;
};

struct ModelPrice {
  std::vector<PriceTier> tiers;   // by up_to_input; the last has no end; rates never fall
  int64_t batch_ppm = 1'000'000;  // millionths of the price that a batch request costs
};

class PriceBook {
 public:
  // {"currency": "EUR", "valid_from": "2026-01-01T00:00:00Z" | seconds, "models": {NAME: PRICE}}
  // PRICE: {"input", "cached_input", "cache_creation", "output", "thinking", "batch_factor",
  // "tiers": [{"up_to_input": N, rates...}, ...]}; amounts are units per million tokens, as a text
  // ("0.15", exact) or a number (its shortest decimal form). cached_input and cache_creation are
  // input's when absent, thinking output's. NAME "*" is for all models not named.
  // kInvalidArgument, with the field, for anything else: unknown keys, negative or absurd amounts,
  // tiers out of order or getting cheaper (a longer prompt would then cost less).
  static Result<PriceBook> parse(const Json& json);

  const std::string& currency() const { return currency_; }
  int64_t valid_from() const { return valid_from_; }  // seconds since 1970
  // The model's price, else that of "*", else null: it costs nothing.
  const ModelPrice* find(std::string_view model) const;

 private:
  std::string currency_;
  int64_t valid_from_ = 0;
  std::vector<std::pair<std::string, ModelPrice>> models_;  // sorted by name
};

// Each part is tokens * rate * factor, rounded down to a nano-unit, by itself; the total is the sum
// of the parts. The tier is that of the whole input. So a bill is never above the exact price, and
// below it by less than 5 nano-units. kInvalidArgument when it does not fit 64 bits.
Result<Cost> price_usage(const ModelPrice& price, const Usage& usage, bool is_batch);

// No usage within `most` costs more, however its tokens fall into parts: all input at the dearest
// input rate, all output at the dearer of answer and thinking.
Result<int64_t> most_cost(const ModelPrice& price, const Usage& most, bool is_batch);

// "0.15" or 1.5e-05 as billionths, exactly; kInvalidArgument when there are more than 9 decimals.
Result<int64_t> parse_nano(std::string_view decimal);
// 150000000 -> "0.15"
std::string format_nano(int64_t nano);

}  // namespace yunqi
