// Filters, tests, functions and methods a template may call: tables of plain functions, looked up
// by name when a template is parsed.
#pragma once

#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "text/jinja_value.h"

namespace yunqi::jinja {

class Runtime;

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string_view, Value>> named;
};

struct Call {
  Value self;                    // what the filter, test or method is applied to
  std::span<const Value> bound;  // by the builtin's parameters; kMissing where not given
  const Arguments& all;
  const Value& operator[](size_t i) const { return bound[i]; }
};

struct Builtin {
  std::string_view name;
  // Parameter names separated by commas, `!` before those that must be given, `/` before those that
  // can't be named in a call; "*" takes whatever comes and reads Call::all.
  std::string_view parameters;
  Result<Value> (*function)(Runtime& runtime, const Call& call);
};

inline constexpr size_t kMaxBuiltinParameters = 8;

// Null when there is none of that name.
const Builtin* find_filter(std::string_view name);
const Builtin* find_predicate(std::string_view name);
const Builtin* find_function(std::string_view name);
const Builtin* find_method(const Value& self, std::string_view name);
// A method that Python has and the sandbox forbids (list.append, dict.pop).
bool is_forbidden_method(const Value& self, std::string_view name);

// Binds the arguments to the builtin's parameters and calls it.
Result<Value> call_builtin(Runtime& runtime, const Builtin& builtin, const Value& self,
                           const Arguments& arguments);

// The tables, one per source file.
std::span<const Builtin> text_filters();
std::span<const Builtin> sequence_filters();
std::span<const Builtin> predicates();
std::span<const Builtin> functions();
std::span<const Builtin> string_methods();
std::span<const Builtin> string_case_methods();
std::span<const Builtin> container_methods(Kind kind);

}  // namespace yunqi::jinja
