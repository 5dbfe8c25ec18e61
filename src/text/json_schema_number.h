// Sets of JSON numbers as JSON Schema draws them, exact in decimal, and the automata of their
// texts. A number's text is the canonical one: digits, no exponent, whole numbers without a point.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "text/regex_automaton.h"

namespace yunqi {

inline constexpr uint32_t kMaxWholeDigits = 20;     // of a number without a bound
inline constexpr uint32_t kMaxFractionDigits = 17;  // whole and fraction together
inline constexpr uint64_t kMaxMultipleOf = 10'000;  // its digits as one number

// digits * 10^exponent; digits without zeros at either end, "" for zero.
struct Decimal {
  bool negative = false;
  std::string digits;
  int64_t exponent = 0;

  static Decimal of(const Json& number);
  // -1, 0, 1.
  static int compare(const Decimal& a, const Decimal& b);
  bool is_zero() const { return digits.empty(); }
  bool is_whole() const { return exponent >= 0 || is_zero(); }
  bool operator==(const Decimal& other) const { return compare(*this, other) == 0; }
  // "-12.5"; empty when that takes more than kMaxWholeDigits and kMaxFractionDigits.
  std::string text() const;
};

// A conjunction of demands on a number.
struct NumberAtom {
  enum class Whole : uint8_t { kAny, kWhole, kFraction };
  std::optional<Decimal> low, high;
  bool low_open = false, high_open = false;
  Whole whole = Whole::kAny;
  std::vector<Decimal> multiples, not_multiples;

  bool is_all() const {
    return !low && !high && whole == Whole::kAny && multiples.empty() && not_multiples.empty();
  }
};

using NumberSet = std::vector<NumberAtom>;  // a union

NumberSet all_numbers();
NumberSet intersect_numbers(const NumberSet& a, const NumberSet& b);
// kUnsupported when it would be too many atoms.
Result<NumberSet> complement_numbers(const NumberSet& a);
// The texts of an atom that is not is_all(). kUnsupported for multiples beyond the limit.
Result<Dfa> number_dfa(const NumberAtom& atom);
// The regular expression of any JSON number, bounded so that none overflows a double.
std::string_view any_number_pattern();

}  // namespace yunqi
