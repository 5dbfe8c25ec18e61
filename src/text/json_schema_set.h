// Sets of JSON values as unions of simple parts per type, closed under and, or and not. An array or
// object part is a conjunction of counts: "of the members with these keys, low to high have values
// of that set". Values are named by number (ValueId), so that recursive schemas stay finite.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/json_schema_number.h"
#include "text/regex_automaton.h"

namespace yunqi {

inline constexpr size_t kMaxSetParts = 512;  // array or object parts of one set

using ValueId = uint32_t;  // of a ValueTable
inline constexpr ValueId kNoValue = 0, kAnyValue = 1;
inline constexpr uint32_t kNoLimit = UINT32_MAX;

// Strings of min to max characters that `dfa` matches (any, when null).
struct StringAtom {
  std::shared_ptr<const Dfa> dfa;
  uint32_t min = 0, max = kNoLimit;
  bool is_all() const { return !dfa && min == 0 && max == kNoLimit; }
};

// Keys: those in `names` or matched by one of `patterns`; all others when negated.
struct KeySet {
  bool negated = false;
  std::vector<std::string> names;  // sorted
  std::vector<std::shared_ptr<const Dfa>> patterns;

  static KeySet all() { return {true, {}, {}}; }
  static KeySet of(std::string name) { return {false, {std::move(name)}, {}}; }
  bool is_all() const { return negated && names.empty() && patterns.empty(); }
  bool is_one() const { return !negated && names.size() == 1 && patterns.empty(); }
  bool has(std::string_view key) const;
  void add(const KeySet& other);  // neither negated, or one of them all()
  bool operator==(const KeySet&) const = default;
};

struct MemberCount {
  KeySet keys;
  ValueId value = kAnyValue;
  uint32_t low = 0, high = kNoLimit;
};

struct ItemCount {
  uint32_t first = 0, last = kNoLimit;  // positions, both included
  ValueId value = kAnyValue;
  uint32_t low = 0, high = kNoLimit;
};

struct ObjectPart {
  std::vector<MemberCount> counts;  // all of them hold
};

struct ArrayPart {
  std::vector<ItemCount> counts;
  bool unique = false;
};

struct ValueSet {
  bool null_value = false, true_value = false, false_value = false;
  NumberSet numbers;
  std::vector<StringAtom> strings;
  std::vector<ArrayPart> arrays;
  std::vector<ObjectPart> objects;

  static ValueSet all();
  bool is_nothing() const {
    return !null_value && !true_value && !false_value && numbers.empty() && strings.empty() &&
           arrays.empty() && objects.empty();
  }
};

// Tells whether a value is certainly impossible, and which value is another's opposite.
class ValueOracle {
 public:
  virtual ~ValueOracle() = default;
  // True only when no JSON value belongs to both; a cheap, incomplete test.
  virtual bool excludes(ValueId a, ValueId b) = 0;
  virtual bool is_impossible(ValueId value) = 0;
  virtual ValueId opposite(ValueId value) = 0;
  // Counts work against the compilation's budget; an error when it is spent.
  virtual Status spend(size_t work) = 0;
};

// All three are kUnsupported when the result has too many parts. The oracle helps to drop parts
// that nothing satisfies, which keeps results small.
Result<ValueSet> intersect_sets(const ValueSet& a, const ValueSet& b, ValueOracle& oracle);
Result<ValueSet> unite_sets(const ValueSet& a, const ValueSet& b);
Result<ValueSet> complement_set(const ValueSet& a, ValueOracle& oracle);

}  // namespace yunqi
