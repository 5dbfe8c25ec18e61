// Attributes, items and slices as jinja2's sandbox gives them: a missing one is undefined, one
// that Python has but the sandbox forbids is undefined and says so when used.
#include <algorithm>

#include "text/jinja_builtin.h"
#include "text/jinja_runtime.h"
#include "text/jinja_unicode.h"

namespace yunqi::jinja {
namespace {

// The method `name` of `value`; missing when there is none.
Value find_member(Runtime& runtime, const Value& value, std::string_view name) {
  if (is_forbidden_method(value, name)) return runtime.undefined(name, type_name(value), true);
  if (value.is(Kind::kCycler) && name == "current") {
    return value.cycler->items[value.cycler->position];
  }
  const Builtin* builtin = find_method(value, name);
  return builtin == nullptr ? Value() : runtime.method(value, *builtin);
}

// Item number `index` of a sequence of `size`; negative counts from the end. -1: out of range.
int64_t resolve_index(int64_t index, int64_t size) {
  if (index < 0) index += size;
  return index >= 0 && index < size ? index : -1;
}

Result<Value> item_at(Runtime& runtime, const Value& value, int64_t index) {
  YQ_TRY(const int64_t size, length(runtime, value));
  const int64_t at = resolve_index(index, size);
  if (at < 0) return Value();
  if (value.is_sequence()) return value.list->items[static_cast<size_t>(at)];
  if (value.is(Kind::kRange)) return Value::of(value.range->start + at * value.range->step);
  const Str& str = *value.str;
  const size_t begin = char_offset(str.text, static_cast<size_t>(at));
  return runtime.substring(str, begin, char_length(str.text.substr(begin)));
}

bool is_indexable(const Value& value) {
  return value.is_string() || value.is_sequence() || value.is(Kind::kRange);
}

Result<int64_t> slice_bound(const Value& bound, int64_t fallback) {
  if (!bound.given() || bound.is(Kind::kNone)) return fallback;
  if (bound.is_integral()) return bound.as_integer();
  return template_error("slice indices must be integers or None, not {}", type_name(bound));
}

struct Slice {
  int64_t start, stop, step, count;
};

// Python's slice.indices().
Result<Slice> resolve_slice(const SliceBounds& bounds, int64_t size) {
  YQ_TRY(const int64_t step, slice_bound(bounds.step, 1));
  if (step == 0) return template_error("slice step cannot be zero");
  const int64_t low = step > 0 ? 0 : -1;
  const int64_t high = step > 0 ? size : size - 1;
  const auto clamp = [&](int64_t index) {
    if (index < 0) index = index < -size ? -1 : index + size;
    return std::clamp(index, low, high);
  };
  YQ_TRY(int64_t start, slice_bound(bounds.start, INT64_MIN));
  YQ_TRY(int64_t stop, slice_bound(bounds.stop, INT64_MIN));
  const auto is_absent = [](const Value& bound) { return !bound.given() || bound.is(Kind::kNone); };
  start = is_absent(bounds.start) ? (step > 0 ? low : high) : clamp(start);
  stop = is_absent(bounds.stop) ? (step > 0 ? high : low) : clamp(stop);
  return Slice{start, stop, step, RangeObject{start, stop, step}.length()};
}

Result<Value> slice_string(Runtime& runtime, const Str& str, const Slice& slice) {
  const auto count = static_cast<size_t>(slice.count);
  if (slice.step == 1 || count == 0) {
    const size_t begin =
        char_offset(str.text, static_cast<size_t>(std::max<int64_t>(slice.start, 0)));
    const size_t bytes = char_offset(str.text.substr(begin), count);
    return runtime.substring(str, begin, count == 0 ? 0 : bytes);
  }
  std::vector<size_t> offsets;
  YQ_RETURN_IF_ERROR(runtime.charge_items(str.text.size()));
  for (size_t at = 0; at < str.text.size(); at += char_length(str.text.substr(at))) {
    offsets.push_back(at);
  }
  TextBuilder out;
  for (size_t i = 0; i < count; ++i) {
    const size_t at =
        offsets[static_cast<size_t>(slice.start + static_cast<int64_t>(i) * slice.step)];
    out.append(sub_str(str, at, char_length(str.text.substr(at))));
  }
  return runtime.add(std::move(out), str.markup);
}

}  // namespace

Result<Value> get_attribute(Runtime& runtime, const Value& value, const Str& name) {
  YQ_RETURN_IF_ERROR(runtime.charge(1));
  switch (value.kind) {
    case Kind::kMissing:
    case Kind::kUndefined:
      return undefined_error(value);
    case Kind::kNamespace: {
      const Value* found = dict_find(*value.dict, name.text);
      return found != nullptr ? *found : runtime.undefined(name.text, type_name(value));
    }
    default:
      break;
  }
  const Value member = find_member(runtime, value, name.text);
  if (member.given()) return member;
  if (value.is(Kind::kDict)) {
    const Value* found = dict_find(*value.dict, name.text);
    if (found != nullptr) return *found;
  }
  return runtime.undefined(name.text, type_name(value));
}

Result<Value> get_item(Runtime& runtime, const Value& value, const Value& key) {
  YQ_RETURN_IF_ERROR(runtime.charge(1));
  if (value.is(Kind::kUndefined) || !value.given()) return undefined_error(value);
  if (value.is(Kind::kDict) && check_hashable(key).is_ok()) {
    YQ_TRY(const Value* found, dict_find(runtime, *value.dict, key));
    if (found != nullptr) return *found;
  } else if (is_indexable(value) && key.is_integral()) {
    YQ_TRY(const Value found, item_at(runtime, value, key.as_integer()));
    if (found.given()) return found;
  }
  if (key.is_string()) {
    if (value.is(Kind::kNamespace)) return get_attribute(runtime, value, *key.str);
    const Value member = find_member(runtime, value, key.str->text);
    if (member.given()) return member;
    return runtime.undefined(key.str->text, type_name(value));
  }
  TextBuilder name;
  YQ_RETURN_IF_ERROR(append_repr(runtime, name, key));
  return runtime.undefined(runtime.add(std::move(name)).str->text, type_name(value));
}

Result<Value> get_slice(Runtime& runtime, const Value& value, const SliceBounds& bounds) {
  if (value.is(Kind::kUndefined) || !value.given()) return undefined_error(value);
  if (!is_indexable(value)) return runtime.undefined("slice", type_name(value));
  YQ_TRY(const int64_t size, length(runtime, value));
  YQ_TRY(const Slice slice, resolve_slice(bounds, size));
  if (value.is_string()) {
    YQ_RETURN_IF_ERROR(runtime.charge(value.str->text.size() / 16));
    return slice_string(runtime, *value.str, slice);
  }
  if (value.is(Kind::kRange)) {
    const RangeObject& range = *value.range;
    const int64_t start = range.start + slice.start * range.step;
    // With two items or more the products lie within the range, whose ends are small.
    const int64_t step = slice.count > 1 ? range.step * slice.step : 1;
    const int64_t stop =
        slice.count > 1 ? range.start + slice.stop * range.step : start + slice.count;
    return runtime.range({start, stop, step});
  }
  YQ_RETURN_IF_ERROR(runtime.charge_items(static_cast<uint64_t>(slice.count)));
  std::vector<Value> items;
  for (int64_t i = 0; i < slice.count; ++i) {
    items.push_back(value.list->items[static_cast<size_t>(slice.start + i * slice.step)]);
  }
  return runtime.list(std::move(items), value.kind);
}

}  // namespace yunqi::jinja
