// The tests a template may put after `is`.
#include "text/jinja_builtin.h"
#include "text/jinja_runtime.h"
#include "text/jinja_unicode.h"

namespace yunqi::jinja {
namespace {

template <Kind... kinds>
Result<Value> is_kind(Runtime&, const Call& call) {
  return Value::of((call.self.is(kinds) || ...));
}

Result<Value> is_defined(Runtime&, const Call& call) {
  return Value::of(!call.self.is(Kind::kUndefined));
}

template <bool wanted>
Result<Value> is_boolean(Runtime&, const Call& call) {
  return Value::of(call.self.is(Kind::kBool) && call.self.boolean == wanted);
}

Result<Value> iterable(Runtime&, const Call& call) { return Value::of(is_iterable(call.self)); }

// Python asks for len() and an item; an undefined value answers both.
Result<Value> sequence(Runtime&, const Call& call) {
  switch (call.self.kind) {
    case Kind::kUndefined:
    case Kind::kString:
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kDict:
    case Kind::kRange:
      return Value::of(true);
    default:
      return Value::of(false);
  }
}

Result<Value> remainder_is(Runtime& runtime, const Call& call, int64_t divisor, int64_t wanted) {
  YQ_TRY(const Value rest, arithmetic(runtime, Arithmetic::kModulo, call.self, Value::of(divisor)));
  YQ_TRY(const bool same, equal(runtime, rest, Value::of(wanted)));
  return Value::of(same);
}
Result<Value> odd(Runtime& runtime, const Call& call) { return remainder_is(runtime, call, 2, 1); }
Result<Value> even(Runtime& runtime, const Call& call) { return remainder_is(runtime, call, 2, 0); }

Result<Value> divisible_by(Runtime& runtime, const Call& call) {
  YQ_TRY(const Value rest, arithmetic(runtime, Arithmetic::kModulo, call.self, call[0]));
  YQ_TRY(const bool same, equal(runtime, rest, Value::of(int64_t{0})));
  return Value::of(same);
}

Result<Value> equal_to(Runtime& runtime, const Call& call) {
  YQ_TRY(const bool same, equal(runtime, call.self, call[0]));
  return Value::of(same);
}
Result<Value> not_equal_to(Runtime& runtime, const Call& call) {
  YQ_TRY(const bool same, equal(runtime, call.self, call[0]));
  return Value::of(!same);
}
Result<Value> less_than(Runtime& runtime, const Call& call) {
  YQ_TRY(const bool below, less(runtime, call.self, call[0]));
  return Value::of(below);
}
Result<Value> greater_than(Runtime& runtime, const Call& call) {
  YQ_TRY(const bool below, less(runtime, call[0], call.self));
  return Value::of(below);
}
Result<Value> less_or_equal(Runtime& runtime, const Call& call) {
  YQ_TRY(const Value below, less_than(runtime, call));
  return below.boolean ? below : equal_to(runtime, call);
}
Result<Value> greater_or_equal(Runtime& runtime, const Call& call) {
  YQ_TRY(const Value above, greater_than(runtime, call));
  return above.boolean ? above : equal_to(runtime, call);
}

Result<Value> inside(Runtime& runtime, const Call& call) {
  YQ_TRY(const bool found, contains(runtime, call[0], call.self));
  return Value::of(found);
}

// Identity: small values by value, objects by where they are.
Result<Value> same_as(Runtime&, const Call& call) {
  const Value &a = call.self, &b = call[0];
  if (a.kind != b.kind) return Value::of(false);
  if (a.is_string()) return Value::of(a.str->text == b.str->text);
  if (a.is(Kind::kNone)) return Value::of(true);
  if (a.is(Kind::kBool)) return Value::of(a.boolean == b.boolean);
  return Value::of(a.integer == b.integer);
}

// str(value).islower() or isupper(): some cased character, and all of them of this case.
Result<Value> has_case(Runtime& runtime, const Call& call, CaseMap map) {
  YQ_TRY(const Str* text, to_str(runtime, call.self));
  YQ_RETURN_IF_ERROR(runtime.charge(text->text.size()));
  return Value::of(is_cased(text->text, map));
}
Result<Value> lower(Runtime& runtime, const Call& call) {
  return has_case(runtime, call, CaseMap::kLower);
}
Result<Value> upper(Runtime& runtime, const Call& call) {
  return has_case(runtime, call, CaseMap::kUpper);
}

Result<Value> callable(Runtime&, const Call& call) {
  switch (call.self.kind) {
    case Kind::kUndefined:  // Python's has a __call__, which raises
    case Kind::kMacro:
    case Kind::kFunction:
    case Kind::kMethod:
    case Kind::kJoiner:
    case Kind::kLoop:
      return Value::of(true);
    default:
      return Value::of(false);
  }
}

Result<Value> escaped(Runtime&, const Call& call) {
  return Value::of(call.self.is_string() && call.self.str->markup);
}

Result<Value> is_filter(Runtime&, const Call& call) {
  return Value::of(call.self.is_string() && find_filter(call.self.str->text) != nullptr);
}
Result<Value> is_test(Runtime&, const Call& call) {
  return Value::of(call.self.is_string() && find_predicate(call.self.str->text) != nullptr);
}

constexpr auto kIsInteger = is_kind<Kind::kInt, Kind::kBigInt>;
constexpr auto kIsNumber = is_kind<Kind::kInt, Kind::kBigInt, Kind::kFloat, Kind::kBool>;

constexpr Builtin kPredicates[] = {
    {"defined", "", is_defined},
    {"undefined", "", is_kind<Kind::kUndefined>},
    {"none", "", is_kind<Kind::kNone>},
    {"boolean", "", is_kind<Kind::kBool>},
    {"true", "", is_boolean<true>},
    {"false", "", is_boolean<false>},
    {"integer", "", kIsInteger},
    {"float", "", is_kind<Kind::kFloat>},
    {"number", "", kIsNumber},
    {"string", "", is_kind<Kind::kString>},
    {"mapping", "", is_kind<Kind::kDict>},
    {"iterable", "", iterable},
    {"sequence", "", sequence},
    {"callable", "", callable},
    {"escaped", "", escaped},
    {"odd", "", odd},
    {"even", "", even},
    {"divisibleby", "!num", divisible_by},
    {"equalto", "!other", equal_to},
    {"eq", "!other", equal_to},
    {"==", "!other", equal_to},
    {"ne", "!other", not_equal_to},
    {"!=", "!other", not_equal_to},
    {"lt", "!other", less_than},
    {"lessthan", "!other", less_than},
    {"<", "!other", less_than},
    {"le", "!other", less_or_equal},
    {"<=", "!other", less_or_equal},
    {"gt", "!other", greater_than},
    {"greaterthan", "!other", greater_than},
    {">", "!other", greater_than},
    {"ge", "!other", greater_or_equal},
    {">=", "!other", greater_or_equal},
    {"in", "!seq", inside},
    {"sameas", "!other", same_as},
    {"lower", "", lower},
    {"upper", "", upper},
    {"filter", "", is_filter},
    {"test", "", is_test},
};

}  // namespace

std::span<const Builtin> predicates() { return kPredicates; }

}  // namespace yunqi::jinja
