// One render's memory and limits, and Python's operations on values: what the interpreter and the
// builtins share. One thread; lives for one render.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/chat_template.h"
#include "text/jinja_value.h"

namespace yunqi::jinja {

// A step of fuel pays for this many copied bytes.
inline constexpr size_t kBytesPerStep = 8;
// What a new object costs, so that fuel bounds memory too.
inline constexpr uint64_t kStepsPerObject = 8;
// Longest range(), as jinja2's sandbox has it.
inline constexpr int64_t kMaxRange = 100'000;

class Runtime {
 public:
  Runtime(const TemplateLimits& limits, int64_t now_seconds)
      : limits_(limits), fuel_(limits.max_steps), now_seconds_(now_seconds) {}
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  Status charge(uint64_t steps) {
    if (steps > fuel_) return out_of_fuel();
    fuel_ -= steps;
    return Status::ok();
  }
  // Before `bytes` of text come into being: fuel and the longest string are checked.
  Status charge_text(uint64_t bytes);
  // Before `items` of a list or dictionary come into being.
  Status charge_items(uint64_t items);
  // Before walking a value's parts at this depth.
  Status check_depth(int depth) const;

  // Text that outlives the render (a literal, a variable's JSON).
  Value borrow(std::string_view text, bool user = false);
  Value add(const Str& str);
  Value add(std::string text, bool user = false);
  Value add(TextBuilder&& text, bool markup = false);
  Value substring(const Str& str, size_t position, size_t length);
  Value list(std::vector<Value> items, Kind kind = Kind::kList);
  Value tuple(std::vector<Value> items) { return list(std::move(items), Kind::kTuple); }
  Value pair(const Value& first, const Value& second) { return tuple({first, second}); }
  Value dict(std::vector<DictItem> items, Kind kind = Kind::kDict);
  Value view(const DictObject& dict, DictView::Part part);
  Value iterator(std::vector<Value> items);
  Value range(const RangeObject& range);
  Value method(const Value& self, const Builtin& builtin);
  Value cycler(std::vector<Value> items, Kind kind);
  Value undefined(std::string_view name, std::string_view owner = {}, bool forbidden = false);

  int64_t now_seconds() const { return now_seconds_; }
  const TemplateLimits& limits() const { return limits_; }

 private:
  Status out_of_fuel() const;
  // Takes what there is; the next charge() fails when that was not enough.
  void debit(uint64_t steps) { fuel_ -= steps < fuel_ ? steps : fuel_; }

  const TemplateLimits limits_;
  uint64_t fuel_;
  const int64_t now_seconds_;
  Heap heap_;
};

template <typename... Args>
Status template_error(fmt::format_string<Args...> format, Args&&... args) {
  return error(Code::kInvalidArgument, format, std::forward<Args>(args)...);
}
// "'x' is undefined", "'dict object' has no attribute 'x'".
Status undefined_error(const Value& value);

// str(value); strings are themselves.
Result<const Str*> to_str(Runtime& runtime, const Value& value);
// Appends str(value).
Status append_str(Runtime& runtime, TextBuilder& out, const Value& value);
// repr(value), and whether any of it came from the user.
Status append_repr(Runtime& runtime, TextBuilder& out, const Value& value);

Result<bool> equal(Runtime& runtime, const Value& a, const Value& b, int depth = 0);
// a < b; an error for types that Python does not order.
Result<bool> less(Runtime& runtime, const Value& a, const Value& b, int depth = 0);
// item in container
Result<bool> contains(Runtime& runtime, const Value& container, const Value& item);

// The value at a dictionary's key, or null. An error when the key is not hashable.
Result<const Value*> dict_find(Runtime& runtime, const DictObject& dict, const Value& key);
// As above for a string key; charges no fuel.
const Value* dict_find(const DictObject& dict, std::string_view key);
Status dict_set(Runtime& runtime, DictObject& dict, const Value& key, const Value& value);
Status check_hashable(const Value& key);

// len(value)
Result<int64_t> length(Runtime& runtime, const Value& value);
// What iterating over the value gives; an iterator is used up.
Result<std::vector<Value>> iterate(Runtime& runtime, const Value& value);
bool is_iterable(const Value& value);

// value.name and value[key], after jinja2's sandbox: what is not there is undefined.
Result<Value> get_attribute(Runtime& runtime, const Value& value, const Str& name);
Result<Value> get_item(Runtime& runtime, const Value& value, const Value& key);
// What the path `attribute` ("a.b.0", or an integer) leads to from `item`, as filters take it.
Result<Value> item_path(Runtime& runtime, const Value& item, const Value& attribute);
// value[start:stop:step]; none or missing bounds are the ends.
struct SliceBounds {
  Value start, stop, step;
};
Result<Value> get_slice(Runtime& runtime, const Value& value, const SliceBounds& bounds);

Result<Value> add_values(Runtime& runtime, const Value& a, const Value& b);
// Any arithmetic operator, by its symbol in `jinja_ast.h`.
enum class Arithmetic { kAdd, kSubtract, kMultiply, kDivide, kFloorDivide, kModulo, kPower };
Result<Value> arithmetic(Runtime& runtime, Arithmetic op, const Value& a, const Value& b);
Result<Value> negate(const Value& value, bool minus);

// Python's `format % values` and `format.format(...)`.
struct Arguments;
Result<Value> percent_format(Runtime& runtime, const Str& format, const Value& values);
Result<Value> brace_format(Runtime& runtime, const Str& format, const Arguments& arguments);
// A float as repr() writes it: 1.0, 1e+16, inf, nan.
std::string float_repr(double value);

struct JsonFormat {
  bool ensure_ascii = false;
  bool sort_keys = false;
  bool has_indent = false;
  std::string indent;
  std::string item_separator = ", ", key_separator = ": ";
};
// json.dumps(value). The result counts as the user's when any string in it is.
Result<Value> to_json(Runtime& runtime, const Value& value, const JsonFormat& format);

// & < > ' " as HTML entities.
Value escape_html(Runtime& runtime, const Str& text);
// `text` with every `from` replaced by `to`, at most `count` times (negative: all).
Result<Value> replace_text(Runtime& runtime, const Str& text, const Str& from, const Str& to,
                           int64_t count);

}  // namespace yunqi::jinja
