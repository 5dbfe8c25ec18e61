// Look-up of builtins by name, and the binding of arguments to their parameters.
#include "text/jinja_builtin.h"

#include <algorithm>
#include <array>

#include "text/jinja_runtime.h"

namespace yunqi::jinja {
namespace {

const Builtin* find_in(std::span<const Builtin> table, std::string_view name) {
  for (const Builtin& builtin : table) {
    if (builtin.name == name) return &builtin;
  }
  return nullptr;
}

// The parameter list's next name, without its `!`, which sets `required`.
std::string_view next_parameter(std::string_view& parameters, bool& required) {
  const size_t comma = parameters.find(',');
  std::string_view name = parameters.substr(0, comma);
  parameters.remove_prefix(comma == std::string_view::npos ? parameters.size() : comma + 1);
  required = name.starts_with('!');
  if (required) name.remove_prefix(1);
  return name;
}

}  // namespace

const Builtin* find_filter(std::string_view name) {
  const Builtin* found = find_in(text_filters(), name);
  return found != nullptr ? found : find_in(sequence_filters(), name);
}

const Builtin* find_predicate(std::string_view name) { return find_in(predicates(), name); }

const Builtin* find_function(std::string_view name) { return find_in(functions(), name); }

const Builtin* find_method(const Value& self, std::string_view name) {
  if (!self.is_string()) return find_in(container_methods(self.kind), name);
  const Builtin* found = find_in(string_methods(), name);
  return found != nullptr ? found : find_in(string_case_methods(), name);
}

bool is_forbidden_method(const Value& self, std::string_view name) {
  static constexpr std::string_view kList[] = {"append", "clear",  "extend",  "insert",
                                               "pop",    "remove", "reverse", "sort"};
  static constexpr std::string_view kDict[] = {"clear", "pop", "popitem", "setdefault", "update"};
  if (name.starts_with("__")) return !self.is(Kind::kUndefined);
  const auto is_one_of = [name](const auto& names) {
    return std::find(std::begin(names), std::end(names), name) != std::end(names);
  };
  if (self.is(Kind::kList)) return is_one_of(kList);
  return self.is(Kind::kDict) && is_one_of(kDict);
}

Result<Value> call_builtin(Runtime& runtime, const Builtin& builtin, const Value& self,
                           const Arguments& arguments) {
  YQ_RETURN_IF_ERROR(runtime.charge(1 + arguments.positional.size() + arguments.named.size()));
  if (builtin.parameters == "*") return builtin.function(runtime, {self, {}, arguments});
  std::array<Value, kMaxBuiltinParameters> bound;
  size_t count = 0, named = 0;
  std::string_view rest = builtin.parameters;
  while (!rest.empty() && count < bound.size()) {
    bool required = false;
    const std::string_view name = next_parameter(rest, required);
    Value& slot = bound[count];
    if (count < arguments.positional.size()) slot = arguments.positional[count];
    for (const auto& [given, value] : arguments.named) {
      if (given != name) continue;
      if (slot.given()) {
        return template_error("{}() got multiple values for '{}'", builtin.name, name);
      }
      slot = value;
      ++named;
    }
    if (required && !slot.given()) {
      return template_error("{}() misses its argument '{}'", builtin.name, name);
    }
    ++count;
  }
  if (arguments.positional.size() > count) {
    return template_error("{}() takes at most {} arguments, found {}", builtin.name, count,
                          arguments.positional.size());
  }
  if (named < arguments.named.size()) {
    return template_error("{}() got an argument it does not know", builtin.name);
  }
  return builtin.function(runtime, {self, std::span(bound).first(count), arguments});
}

}  // namespace yunqi::jinja
