// And, or and not on sets of JSON values; see json_schema_set.h.
#include "text/json_schema_set.h"

#include <algorithm>
#include <optional>

namespace yunqi {
namespace {

Status too_many_parts() {
  return error(Code::kUnsupported,
               "the combination of schemas (anyOf, oneOf, not, if) has more than {} cases",
               kMaxSetParts);
}

// Puts counts of the same things together; false when they contradict each other.
template <typename Count, typename Same>
bool merge(std::vector<Count>& counts, const Count& added, const Same& same) {
  for (Count& count : counts) {
    if (!same(count, added)) continue;
    count.low = std::max(count.low, added.low);
    count.high = std::min(count.high, added.high);
    return count.low <= count.high;
  }
  counts.push_back(added);
  return added.low <= added.high;
}

bool same_members(const MemberCount& a, const MemberCount& b) {
  return a.value == b.value && a.keys == b.keys;
}

bool same_items(const ItemCount& a, const ItemCount& b) {
  return a.value == b.value && a.first == b.first && a.last == b.last;
}

// For a key or position that must come: whether the values it may not have leave none.
template <typename Counts, typename Covers>
bool value_is_impossible(const Counts& counts, ValueId wanted, const Covers& covers,
                         ValueOracle& oracle) {
  std::vector<ValueId> demands;
  if (wanted != kAnyValue) demands.push_back(wanted);
  for (const auto& count : counts) {
    if (count.high != 0 || !covers(count)) continue;
    const ValueId allowed = oracle.opposite(count.value);
    if (oracle.is_impossible(allowed)) return true;
    demands.push_back(allowed);
  }
  for (size_t i = 0; i < demands.size(); ++i) {
    for (size_t k = i + 1; k < demands.size(); ++k) {
      if (oracle.excludes(demands[i], demands[k])) return true;
    }
  }
  return false;
}

bool is_impossible(const ObjectPart& part, ValueOracle& oracle) {
  for (const MemberCount& count : part.counts) {
    if (count.low == 0) continue;
    if (oracle.is_impossible(count.value)) return true;
    if (count.keys.is_one()) {
      if (count.low > 1) return true;
      const std::string& name = count.keys.names[0];
      const auto covers = [&](const MemberCount& other) { return other.keys.has(name); };
      if (value_is_impossible(part.counts, count.value, covers, oracle)) return true;
    } else {
      // Many keys: impossible at least when all of them are forbidden this value.
      const auto covers = [&](const MemberCount& other) {
        return other.keys.is_all() || other.keys == count.keys;
      };
      if (value_is_impossible(part.counts, count.value, covers, oracle)) return true;
    }
  }
  return false;
}

bool is_impossible(const ArrayPart& part, ValueOracle& oracle) {
  uint32_t length = 0, most = kNoLimit;
  for (const ItemCount& count : part.counts) {
    if (count.first != 0 || count.last != kNoLimit || count.value != kAnyValue) continue;
    length = std::max(length, count.low);
    most = std::min(most, count.high);
  }
  if (length > most) return true;
  for (const ItemCount& count : part.counts) {
    if (count.low == 0 || count.value == kAnyValue) continue;
    if (oracle.is_impossible(count.value) || count.first >= most) return true;
    const auto covers = [&](const ItemCount& other) {
      return other.first <= count.first && other.last >= count.last;
    };
    if (value_is_impossible(part.counts, count.value, covers, oracle)) return true;
  }
  for (uint32_t i = 0; i < std::min<uint32_t>(length, 8); ++i) {
    const auto covers = [&](const ItemCount& other) { return other.first <= i && i <= other.last; };
    if (value_is_impossible(part.counts, kAnyValue, covers, oracle)) return true;
  }
  return false;
}

template <typename Part, typename Same>
std::optional<Part> both_parts(const Part& a, const Part& b, const Same& same,
                               ValueOracle& oracle) {
  Part out = a;
  for (const auto& count : b.counts) {
    if (!merge(out.counts, count, same)) return std::nullopt;
  }
  if constexpr (requires { out.unique; }) out.unique = a.unique || b.unique;
  if (!b.counts.empty() && !a.counts.empty() && is_impossible(out, oracle)) return std::nullopt;
  return out;
}

template <typename Part, typename Same>
Result<std::vector<Part>> intersect_parts(const std::vector<Part>& a, const std::vector<Part>& b,
                                          const Same& same, ValueOracle& oracle) {
  std::vector<Part> out;
  for (const Part& x : a) {
    for (const Part& y : b) {
      YQ_RETURN_IF_ERROR(oracle.spend(1 + x.counts.size() * y.counts.size() / 8));
      if (auto both = both_parts(x, y, same, oracle)) out.push_back(*std::move(both));
      if (out.size() > kMaxSetParts) return too_many_parts();
    }
  }
  return out;
}

// Not(all counts hold) = one of them does not.
template <typename Part, typename Same>
Result<std::vector<Part>> complement_parts(const std::vector<Part>& parts, const Same& same,
                                           ValueOracle& oracle) {
  std::vector<Part> out(1);
  for (const Part& part : parts) {
    if constexpr (requires { part.unique; }) {
      if (part.unique) return error(Code::kUnsupported, "uniqueItems: under not or oneOf");
    }
    std::vector<Part> not_this;
    for (const auto& count : part.counts) {
      if (count.low > 0) {
        auto fewer = count;
        fewer.low = 0;
        fewer.high = count.low - 1;
        not_this.push_back({});
        not_this.back().counts = {fewer};
      }
      if (count.high != kNoLimit) {
        auto more = count;
        more.low = count.high + 1;
        more.high = kNoLimit;
        not_this.push_back({});
        not_this.back().counts = {more};
      }
    }
    YQ_TRY(out, intersect_parts(out, not_this, same, oracle));
  }
  return out;
}

Result<std::vector<StringAtom>> intersect_strings(const std::vector<StringAtom>& a,
                                                  const std::vector<StringAtom>& b) {
  std::vector<StringAtom> out;
  for (const StringAtom& x : a) {
    for (const StringAtom& y : b) {
      StringAtom both;
      both.min = std::max(x.min, y.min);
      both.max = std::min(x.max, y.max);
      if (both.min > both.max) continue;
      both.dfa = x.dfa ? x.dfa : y.dfa;
      if (x.dfa && y.dfa && x.dfa != y.dfa) {
        YQ_TRY(Dfa dfa, combine(*x.dfa, *y.dfa, DfaOperation::kIntersect));
        if (dfa.is_empty()) continue;
        both.dfa = std::make_shared<const Dfa>(std::move(dfa));
      }
      out.push_back(std::move(both));
      if (out.size() > kMaxSetParts) return too_many_parts();
    }
  }
  return out;
}

Result<std::vector<StringAtom>> complement_strings(const std::vector<StringAtom>& a) {
  std::vector<StringAtom> out(1);
  for (const StringAtom& atom : a) {
    std::vector<StringAtom> not_this;
    if (atom.min > 0) not_this.push_back({nullptr, 0, atom.min - 1});
    if (atom.max != kNoLimit) not_this.push_back({nullptr, atom.max + 1, kNoLimit});
    if (atom.dfa) {
      YQ_TRY(Dfa dfa, complement_text(*atom.dfa));
      if (!dfa.is_empty()) {
        not_this.push_back({std::make_shared<const Dfa>(std::move(dfa)), 0, kNoLimit});
      }
    }
    YQ_TRY(out, intersect_strings(out, not_this));
  }
  return out;
}

}  // namespace

bool KeySet::has(std::string_view key) const {
  const bool found = std::binary_search(names.begin(), names.end(), key) ||
                     std::any_of(patterns.begin(), patterns.end(),
                                 [&](const auto& dfa) { return dfa->matches(key); });
  return found != negated;
}

void KeySet::add(const KeySet& other) {
  if (negated || other.negated) {
    *this = all();
    return;
  }
  std::vector<std::string> merged;
  std::set_union(names.begin(), names.end(), other.names.begin(), other.names.end(),
                 std::back_inserter(merged));
  names = std::move(merged);
  for (const auto& pattern : other.patterns) {
    if (std::find(patterns.begin(), patterns.end(), pattern) == patterns.end()) {
      patterns.push_back(pattern);
    }
  }
}

ValueSet ValueSet::all() {
  ValueSet out;
  out.null_value = out.true_value = out.false_value = true;
  out.numbers = all_numbers();
  out.strings.resize(1);
  out.arrays.resize(1);
  out.objects.resize(1);
  return out;
}

Result<ValueSet> intersect_sets(const ValueSet& a, const ValueSet& b, ValueOracle& oracle) {
  ValueSet out;
  out.null_value = a.null_value && b.null_value;
  out.true_value = a.true_value && b.true_value;
  out.false_value = a.false_value && b.false_value;
  out.numbers = intersect_numbers(a.numbers, b.numbers);
  if (out.numbers.size() > 4 * kMaxSetParts) return too_many_parts();
  YQ_TRY(out.strings, intersect_strings(a.strings, b.strings));
  YQ_TRY(out.arrays, intersect_parts(a.arrays, b.arrays, same_items, oracle));
  YQ_TRY(out.objects, intersect_parts(a.objects, b.objects, same_members, oracle));
  return out;
}

Result<ValueSet> unite_sets(const ValueSet& a, const ValueSet& b) {
  ValueSet out = a;
  out.null_value = a.null_value || b.null_value;
  out.true_value = a.true_value || b.true_value;
  out.false_value = a.false_value || b.false_value;
  const auto append = [](auto& to, const auto& from) {
    to.insert(to.end(), from.begin(), from.end());
  };
  const auto has_all = [](const auto& atoms) {
    return std::any_of(atoms.begin(), atoms.end(), [](const auto& atom) { return atom.is_all(); });
  };
  if (!has_all(a.numbers)) append(out.numbers, b.numbers);
  if (has_all(b.numbers)) out.numbers = all_numbers();
  if (!has_all(a.strings)) append(out.strings, b.strings);
  if (has_all(b.strings)) out.strings.assign(1, {});
  append(out.arrays, b.arrays);
  append(out.objects, b.objects);
  if (out.arrays.size() > kMaxSetParts || out.objects.size() > kMaxSetParts) {
    return too_many_parts();
  }
  return out;
}

Result<ValueSet> complement_set(const ValueSet& a, ValueOracle& oracle) {
  ValueSet out;
  out.null_value = !a.null_value;
  out.true_value = !a.true_value;
  out.false_value = !a.false_value;
  YQ_TRY(out.numbers, complement_numbers(a.numbers));
  YQ_TRY(out.strings, complement_strings(a.strings));
  YQ_TRY(out.arrays, complement_parts(a.arrays, same_items, oracle));
  YQ_TRY(out.objects, complement_parts(a.objects, same_members, oracle));
  return out;
}

}  // namespace yunqi
