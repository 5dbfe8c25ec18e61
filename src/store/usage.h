// What a request used and what that costs, part by part. The five parts never overlap: a token is
// counted in exactly one, and the cost of a request is the sum of its parts.
#pragma once

#include <cstdint>
#include <optional>

#include "base/checked_math.h"

namespace yunqi {

template <typename Unit>
struct PerPart {
  int64_t input = 0;           // prompt tokens computed for this request
  int64_t cached_input = 0;    // prompt tokens found in the prefix cache
  int64_t cache_creation = 0;  // prompt tokens computed and kept under an explicit cache mark
  int64_t output = 0;          // tokens of the answer
  int64_t thinking = 0;        // tokens of the thinking before it

  bool operator==(const PerPart&) const = default;

  bool has_negative() const {
    return input < 0 || cached_input < 0 || cache_creation < 0 || output < 0 || thinking < 0;
  }
  // nullopt when it does not fit 64 bits.
  std::optional<int64_t> sum() const {
    std::optional<int64_t> total = input;
    for (const int64_t part : {cached_input, cache_creation, output, thinking}) {
      if (total) total = checked_add(*total, part);
    }
    return total;
  }
};

using Usage = PerPart<struct Tokens>;
using Cost = PerPart<struct NanoUnits>;  // 10^-9 of the price book's currency

inline constexpr int64_t kMaxUsageTokens = int64_t{1} << 40;  // of one part of one request

}  // namespace yunqi
