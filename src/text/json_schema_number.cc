// Number sets and the automata of their texts; see json_schema_number.h.
#include "text/json_schema_number.h"

#include <algorithm>
#include <array>
#include <map>

namespace yunqi {
namespace {

// |bound| as digits before and after the point.
struct Magnitude {
  std::string whole, fraction;
  explicit Magnitude(const Decimal& d) {
    if (d.is_zero()) return;
    const auto count = static_cast<int64_t>(d.digits.size());
    const int64_t point = count + d.exponent;  // digits before the point
    if (point <= 0) {
      fraction = std::string(static_cast<size_t>(-point), '0') + d.digits;
    } else if (point >= count) {
      whole = d.digits + std::string(static_cast<size_t>(point - count), '0');
    } else {
      whole = d.digits.substr(0, static_cast<size_t>(point));
      fraction = d.digits.substr(static_cast<size_t>(point));
    }
  }
};

// One bound on the magnitude of a number of known sign.
struct Limit {
  Magnitude magnitude;
  bool at_least = false;  // else: at most
  bool open = false;
};

// multipleOf as p / 10^k.
struct Multiple {
  uint32_t p = 1, k = 0;
  bool wanted = true;
};

// Where a text stands: what an automaton's state must remember.
struct Place {
  enum Phase : uint8_t { kStart, kMinus, kZero, kWhole, kPoint, kFraction };
  uint8_t phase = kStart;
  bool negative = false, nonzero = false, fraction_nonzero = false;
  uint16_t whole = 0, fraction = 0;  // digits read
  std::array<int8_t, 2> compared{};  // with each limit: -1, 0, 1
  std::vector<uint32_t> remainders;
  auto operator<=>(const Place&) const = default;
};

class NumberText {
 public:
  explicit NumberText(const NumberAtom& atom) : atom_(atom) {}

  Result<Dfa> build() {
    for (const Decimal& m : atom_.multiples) YQ_RETURN_IF_ERROR(add_multiple(m, true));
    for (const Decimal& m : atom_.not_multiples) YQ_RETURN_IF_ERROR(add_multiple(m, false));
    for (const bool negative : {false, true}) {
      possible_[negative] = true;
      if (atom_.low) add_limit(*atom_.low, atom_.low_open, /*at_least=*/true, negative);
      if (atom_.high) add_limit(*atom_.high, atom_.high_open, /*at_least=*/false, negative);
      for (const Limit& limit : limits_[negative]) {
        most_whole_ = std::max(most_whole_, static_cast<uint32_t>(limit.magnitude.whole.size()));
      }
    }
    if (most_whole_ > 400) {
      return error(Code::kUnsupported, "bounds of more than 400 digits");
    }
    Place start;
    start.remainders.assign(multiples_.size(), 0);
    YQ_TRY(const uint32_t first, number_of(start));
    for (size_t at = 0; at < places_.size(); ++at) {
      for (const char c : std::string_view("-.0123456789")) {
        Place next = *places_[at];
        if (!advance(next, c)) continue;
        YQ_TRY(const uint32_t to, number_of(next));
        builder_.add_edge(states_[at], static_cast<uint8_t>(c), to);
      }
    }
    return builder_.finish(first);
  }

 private:
  Status add_multiple(const Decimal& m, bool wanted) {
    Multiple out;
    out.wanted = wanted;
    std::string digits = m.digits;
    if (m.exponent > 0 && m.exponent < 6)
      digits += std::string(static_cast<size_t>(m.exponent), '0');
    if (m.exponent < 0) out.k = static_cast<uint32_t>(std::min<int64_t>(-m.exponent, 1000));
    if (digits.size() > 5 || m.exponent >= 6 || out.k > kMaxFractionDigits ||
        std::stoul(digits) > kMaxMultipleOf) {
      return error(Code::kUnsupported, "multipleOf: more than four digits");
    }
    out.p = static_cast<uint32_t>(std::stoul(digits));
    multiples_.push_back(out);
    return Status::ok();
  }

  void add_limit(const Decimal& bound, bool open, bool at_least, bool negative) {
    if (negative) {
      if (!bound.negative) {
        if (at_least) possible_[true] = false;  // x < 0 <= bound
        return;
      }
      limits_[true].push_back({Magnitude(bound), !at_least, open});
    } else if (bound.negative) {
      if (!at_least) possible_[false] = false;
    } else {
      limits_[false].push_back({Magnitude(bound), at_least, open});
    }
  }

  Result<uint32_t> number_of(const Place& place) {
    const auto [at, is_new] = numbers_.try_emplace(place, 0);
    if (is_new) {
      if (builder_.size() >= kMaxDfaStates) {
        return error(Code::kUnsupported, "numbers: bounds and multipleOf need too many states");
      }
      at->second = builder_.add_state(accepts(place));
      places_.push_back(&at->first);
      states_.push_back(at->second);
    }
    return at->second;
  }

  bool advance(Place& place, char c) const {
    if (c == '-') {
      if (place.phase != Place::kStart || !possible_[true]) return false;
      place.phase = Place::kMinus;
      place.negative = true;
      return true;
    }
    if (c == '.') {
      if ((place.phase != Place::kZero && place.phase != Place::kWhole) ||
          atom_.whole == NumberAtom::Whole::kWhole || place.whole >= kMaxFractionDigits) {
        return false;
      }
      end_whole(place);
      place.phase = Place::kPoint;
      return true;
    }
    if (place.phase == Place::kStart && !possible_[false]) return false;
    const auto digit = static_cast<uint32_t>(c - '0');
    if (place.phase == Place::kZero) return false;
    if (place.phase < Place::kZero && digit == 0) {
      place.phase = Place::kZero;
      return true;
    }
    place.nonzero = place.nonzero || digit != 0;
    for (size_t i = 0; i < multiples_.size(); ++i) add_digit(place, i, digit);
    if (place.phase < Place::kPoint) {
      place.phase = Place::kWhole;
      const auto& limits = limits_[place.negative];
      for (size_t i = 0; i < limits.size(); ++i) {
        const std::string& whole = limits[i].magnitude.whole;
        if (place.compared[i] != 0 || place.whole >= whole.size()) continue;
        place.compared[i] = sign(c - whole[place.whole]);
      }
      return ++place.whole <= most_whole_;
    }
    place.phase = Place::kFraction;
    place.fraction_nonzero = place.fraction_nonzero || digit != 0;
    const auto& limits = limits_[place.negative];
    for (size_t i = 0; i < limits.size(); ++i) {
      const std::string& fraction = limits[i].magnitude.fraction;
      if (place.compared[i] != 0) continue;
      const char other = place.fraction < fraction.size() ? fraction[place.fraction] : '0';
      place.compared[i] = sign(c - other);
    }
    ++place.fraction;
    return place.whole + place.fraction <= static_cast<int>(kMaxFractionDigits);
  }

  static int8_t sign(int value) { return static_cast<int8_t>(value > 0 ? 1 : value < 0 ? -1 : 0); }

  // Only now it is known how many digits stand before the point.
  void end_whole(Place& place) const {
    const auto& limits = limits_[place.negative];
    for (size_t i = 0; i < limits.size(); ++i) {
      const size_t digits = limits[i].magnitude.whole.size();
      if (place.whole != digits) place.compared[i] = place.whole < digits ? -1 : 1;
    }
  }

  // Remainders of value * 10^k; digits beyond the k-th after the point must be zeros, which the
  // value p stands for.
  void add_digit(Place& place, size_t i, uint32_t digit) const {
    const Multiple& multiple = multiples_[i];
    uint32_t& remainder = place.remainders[i];
    if (remainder == multiple.p) return;
    const bool in_fraction = place.phase >= Place::kPoint;
    if (in_fraction && place.fraction >= multiple.k) {
      if (digit != 0) remainder = multiple.p;
      return;
    }
    remainder = (remainder * 10 + digit) % multiple.p;
  }

  bool accepts(Place place) const {
    if (place.phase != Place::kZero && place.phase != Place::kWhole &&
        place.phase != Place::kFraction) {
      return false;
    }
    if (place.negative && !place.nonzero) return false;  // no -0
    if (place.phase != Place::kFraction) end_whole(place);
    if (atom_.whole == NumberAtom::Whole::kFraction && !place.fraction_nonzero) return false;
    const auto& limits = limits_[place.negative];
    for (size_t i = 0; i < limits.size(); ++i) {
      int compared = place.compared[i];
      if (compared == 0 && place.fraction < limits[i].magnitude.fraction.size()) compared = -1;
      if (compared == 0 ? limits[i].open : (compared > 0) != limits[i].at_least) return false;
    }
    for (size_t i = 0; i < multiples_.size(); ++i) {
      const Multiple& multiple = multiples_[i];
      uint64_t remainder = place.remainders[i];
      bool divides = remainder != multiple.p;
      for (uint32_t f = place.fraction; f < multiple.k && divides; ++f) {
        remainder = remainder * 10 % multiple.p;
      }
      divides = divides && remainder == 0;
      if (divides != multiple.wanted) return false;
    }
    return true;
  }

  const NumberAtom& atom_;
  std::vector<Multiple> multiples_;
  std::vector<Limit> limits_[2];  // of numbers that are not, or are, negative
  bool possible_[2] = {true, true};
  uint32_t most_whole_ = kMaxWholeDigits;
  DfaBuilder builder_;
  std::map<Place, uint32_t> numbers_;
  std::vector<const Place*> places_;
  std::vector<uint32_t> states_;
};

std::optional<NumberAtom> intersect_atoms(NumberAtom a, const NumberAtom& b) {
  if (b.low) {
    const int order = a.low ? Decimal::compare(*b.low, *a.low) : 1;
    if (order > 0) a.low = b.low, a.low_open = b.low_open;
    if (order == 0) a.low_open = a.low_open || b.low_open;
  }
  if (b.high) {
    const int order = a.high ? Decimal::compare(*b.high, *a.high) : -1;
    if (order < 0) a.high = b.high, a.high_open = b.high_open;
    if (order == 0) a.high_open = a.high_open || b.high_open;
  }
  if (b.whole != NumberAtom::Whole::kAny) {
    if (a.whole != NumberAtom::Whole::kAny && a.whole != b.whole) return std::nullopt;
    a.whole = b.whole;
  }
  const auto add = [](std::vector<Decimal>& to, const std::vector<Decimal>& from) {
    for (const Decimal& d : from) {
      if (std::find(to.begin(), to.end(), d) == to.end()) to.push_back(d);
    }
  };
  add(a.multiples, b.multiples);
  add(a.not_multiples, b.not_multiples);
  for (const Decimal& d : a.multiples) {
    if (std::find(a.not_multiples.begin(), a.not_multiples.end(), d) != a.not_multiples.end()) {
      return std::nullopt;
    }
  }
  if (a.low && a.high) {
    const int order = Decimal::compare(*a.low, *a.high);
    if (order > 0 || (order == 0 && (a.low_open || a.high_open))) return std::nullopt;
    if (order == 0) {
      const bool whole = a.low->is_whole();
      if (a.whole != NumberAtom::Whole::kAny && whole != (a.whole == NumberAtom::Whole::kWhole)) {
        return std::nullopt;
      }
    }
  }
  return a;
}

}  // namespace

Decimal Decimal::of(const Json& number) {
  Decimal out;
  std::string text = number.is_int()    ? std::to_string(number.as_int())
                     : number.is_uint() ? std::to_string(number.as_uint())
                                        : format_double(number.as_double());
  size_t at = 0;
  if (text[0] == '-') out.negative = true, ++at;
  bool in_fraction = false;
  for (; at < text.size(); ++at) {
    if (text[at] == '.') {
      in_fraction = true;
    } else if (text[at] == 'e' || text[at] == 'E') {
      out.exponent += std::stoll(text.substr(at + 1));
      break;
    } else {
      out.digits += text[at];
      if (in_fraction) --out.exponent;
    }
  }
  out.digits.erase(0, out.digits.find_first_not_of('0'));
  while (!out.digits.empty() && out.digits.back() == '0') {
    out.digits.pop_back();
    ++out.exponent;
  }
  if (out.digits.empty()) out = Decimal();
  return out;
}

int Decimal::compare(const Decimal& a, const Decimal& b) {
  if (a.is_zero() || b.is_zero()) {
    if (a.is_zero() && b.is_zero()) return 0;
    return a.is_zero() ? (b.negative ? 1 : -1) : (a.negative ? -1 : 1);
  }
  if (a.negative != b.negative) return a.negative ? -1 : 1;
  const int flip = a.negative ? -1 : 1;
  const int64_t size_a = static_cast<int64_t>(a.digits.size()) + a.exponent;
  const int64_t size_b = static_cast<int64_t>(b.digits.size()) + b.exponent;
  if (size_a != size_b) return size_a < size_b ? -flip : flip;
  const int order = a.digits.compare(b.digits);  // same size: as if padded with zeros
  return order == 0 ? 0 : order < 0 ? -flip : flip;
}

std::string Decimal::text() const {
  if (is_zero()) return "0";
  const int64_t point = static_cast<int64_t>(digits.size()) + exponent;
  if (point > 400 || exponent < -400) return "";
  const Magnitude magnitude(*this);
  std::string out = negative ? "-" : "";
  out += magnitude.whole.empty() ? "0" : magnitude.whole;
  if (!magnitude.fraction.empty()) out += "." + magnitude.fraction;
  return out;
}

NumberSet all_numbers() { return {NumberAtom()}; }

NumberSet intersect_numbers(const NumberSet& a, const NumberSet& b) {
  NumberSet out;
  for (const NumberAtom& x : a) {
    for (const NumberAtom& y : b) {
      if (auto both = intersect_atoms(x, y)) out.push_back(*std::move(both));
    }
  }
  return out;
}

Result<NumberSet> complement_numbers(const NumberSet& a) {
  constexpr size_t kMostAtoms = 500;
  NumberSet out = all_numbers();
  for (const NumberAtom& atom : a) {
    NumberSet not_this;
    if (atom.low) {
      NumberAtom& below = not_this.emplace_back();
      below.high = atom.low;
      below.high_open = !atom.low_open;
    }
    if (atom.high) {
      NumberAtom& above = not_this.emplace_back();
      above.low = atom.high;
      above.low_open = !atom.high_open;
    }
    if (atom.whole != NumberAtom::Whole::kAny) {
      not_this.emplace_back().whole = atom.whole == NumberAtom::Whole::kWhole
                                          ? NumberAtom::Whole::kFraction
                                          : NumberAtom::Whole::kWhole;
    }
    for (const Decimal& d : atom.multiples) not_this.emplace_back().not_multiples = {d};
    for (const Decimal& d : atom.not_multiples) not_this.emplace_back().multiples = {d};
    out = intersect_numbers(out, not_this);
    if (out.size() > kMostAtoms) {
      return error(Code::kUnsupported, "too many different numbers are excluded");
    }
  }
  return out;
}

Result<Dfa> number_dfa(const NumberAtom& atom) { return NumberText(atom).build(); }

std::string_view any_number_pattern() {
  return "-?(0|[1-9][0-9]{0,19})(\\.[0-9]{1,20})?"
         "|-?[0-9](\\.[0-9]{1,20})?[eE]([+-]?([0-9]{1,2}|[12][0-9]{2}|30[0-7])|-308)"
         "|-?1(\\.[0-6][0-9]{0,19})?[eE]\\+?308";
}

}  // namespace yunqi
