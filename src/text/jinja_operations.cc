// Python's equality, order, membership, dictionaries, len() and iteration.
#include <algorithm>

#include "text/jinja_runtime.h"
#include "text/jinja_unicode.h"

namespace yunqi::jinja {
namespace {

bool is_numeric(const Value& value) { return value.is_number() || value.is(Kind::kBigInt); }

bool equal_numbers(const Value& a, const Value& b) {
  if (a.is(Kind::kBigInt) && b.is(Kind::kBigInt)) return a.natural == b.natural;
  if (a.is_integral() && b.is_integral()) return a.as_integer() == b.as_integer();
  if (a.is(Kind::kBigInt) != b.is(Kind::kBigInt) && !a.is(Kind::kFloat) && !b.is(Kind::kFloat)) {
    return false;
  }
  return a.as_double() == b.as_double();
}

Result<bool> equal_items(Runtime& runtime, const std::vector<Value>& a, const std::vector<Value>& b,
                         int depth) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    YQ_TRY(const bool same, equal(runtime, a[i], b[i], depth + 1));
    if (!same) return false;
  }
  return true;
}

Result<bool> equal_dicts(Runtime& runtime, const DictObject& a, const DictObject& b, int depth) {
  if (a.items.size() != b.items.size()) return false;
  for (const auto& [key, value] : a.items) {
    YQ_TRY(const Value* other, dict_find(runtime, b, key));
    if (other == nullptr) return false;
    YQ_TRY(const bool same, equal(runtime, value, *other, depth + 1));
    if (!same) return false;
  }
  return true;
}

std::vector<Value> view_items(Runtime& runtime, const DictView& view) {
  std::vector<Value> out;
  out.reserve(view.dict->items.size());
  for (const auto& [key, value] : view.dict->items) {
    switch (view.part) {
      case DictView::Part::kKeys:
        out.push_back(key);
        break;
      case DictView::Part::kValues:
        out.push_back(value);
        break;
      case DictView::Part::kItems:
        out.push_back(runtime.pair(key, value));
        break;
    }
  }
  return out;
}

Status not_ordered(const Value& a, const Value& b) {
  return template_error("'<' not supported between instances of '{}' and '{}'", type_name(a),
                        type_name(b));
}

}  // namespace

Result<bool> equal(Runtime& runtime, const Value& a, const Value& b, int depth) {
  YQ_RETURN_IF_ERROR(runtime.charge(1));
  YQ_RETURN_IF_ERROR(runtime.check_depth(depth));
  if (is_numeric(a) && is_numeric(b)) return equal_numbers(a, b);
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case Kind::kMissing:
    case Kind::kUndefined:
    case Kind::kNone:
      return true;
    case Kind::kString:
      YQ_RETURN_IF_ERROR(runtime.charge(a.str->text.size() / 64));
      return a.str->text == b.str->text;
    case Kind::kList:
    case Kind::kTuple:
      return equal_items(runtime, a.list->items, b.list->items, depth);
    case Kind::kDict:
      return equal_dicts(runtime, *a.dict, *b.dict, depth);
    case Kind::kDictView:
      if (a.view->part != b.view->part || a.view->part == DictView::Part::kValues) {
        return a.view == b.view;
      }
      return equal_dicts(runtime, *a.view->dict, *b.view->dict, depth);
    case Kind::kRange: {
      const RangeObject &x = *a.range, &y = *b.range;
      const int64_t size = x.length();
      if (size != y.length()) return false;
      return size == 0 || (x.start == y.start && (size == 1 || x.step == y.step));
    }
    case Kind::kMethod:
      YQ_RETURN_IF_ERROR(runtime.charge(1));
      return a.method->builtin == b.method->builtin && a.method->self.kind == b.method->self.kind &&
             a.method->self.integer == b.method->self.integer;
    default:
      return a.integer == b.integer;  // The same object: the union holds a pointer.
  }
}

Result<bool> less(Runtime& runtime, const Value& a, const Value& b, int depth) {
  YQ_RETURN_IF_ERROR(runtime.charge(1));
  YQ_RETURN_IF_ERROR(runtime.check_depth(depth));
  if (is_numeric(a) && is_numeric(b)) {
    if (a.is_integral() && b.is_integral()) return a.as_integer() < b.as_integer();
    if (a.is(Kind::kBigInt) && b.is(Kind::kBigInt)) return a.natural < b.natural;
    return a.as_double() < b.as_double();
  }
  if (a.is(Kind::kUndefined)) return undefined_error(a);
  if (b.is(Kind::kUndefined)) return undefined_error(b);
  if (a.is_string() && b.is_string()) {
    YQ_RETURN_IF_ERROR(runtime.charge(a.str->text.size() / 64));
    // UTF-8 sorts as its code points do.
    return a.str->text < b.str->text;
  }
  if (!a.is_sequence() || a.kind != b.kind) return not_ordered(a, b);
  const auto &x = a.list->items, &y = b.list->items;
  for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
    YQ_TRY(const bool same, equal(runtime, x[i], y[i], depth + 1));
    if (!same) return less(runtime, x[i], y[i], depth + 1);
  }
  return x.size() < y.size();
}

Result<bool> contains(Runtime& runtime, const Value& container, const Value& item) {
  switch (container.kind) {
    case Kind::kString: {
      if (!item.is_string()) {
        return template_error("'in <string>' requires string as left operand, not {}",
                              type_name(item));
      }
      YQ_RETURN_IF_ERROR(runtime.charge(container.str->text.size() / 16));
      return container.str->text.find(item.str->text) != std::string_view::npos;
    }
    case Kind::kDict: {
      YQ_TRY(const Value* found, dict_find(runtime, *container.dict, item));
      return found != nullptr;
    }
    case Kind::kUndefined:
      return false;
    default:
      break;
  }
  if (!is_iterable(container)) {
    return template_error("argument of type '{}' is not iterable", type_name(container));
  }
  const bool direct = container.is_sequence();
  std::vector<Value> walked;
  if (!direct) {
    YQ_TRY(walked, iterate(runtime, container));
  }
  for (const Value& value : direct ? container.list->items : walked) {
    YQ_TRY(const bool same, equal(runtime, value, item));
    if (same) return true;
  }
  return false;
}

Status check_hashable(const Value& key) {
  switch (key.kind) {
    case Kind::kList:
    case Kind::kDict:
      return template_error("unhashable type: '{}'", type_name(key));
    case Kind::kTuple:
      for (const Value& item : key.list->items) {
        // A tuple of tuples is a key nobody needs; refusing it bounds this walk.
        if (item.is(Kind::kTuple)) return template_error("nested tuples can't be keys");
        YQ_RETURN_IF_ERROR(check_hashable(item));
      }
      return Status::ok();
    default:
      return Status::ok();
  }
}

const Value* dict_find(const DictObject& dict, std::string_view key) {
  for (const auto& [name, value] : dict.items) {
    if (name.is_string() && name.str->text == key) return &value;
  }
  return nullptr;
}

Result<const Value*> dict_find(Runtime& runtime, const DictObject& dict, const Value& key) {
  YQ_RETURN_IF_ERROR(runtime.charge(1 + dict.items.size() / 8));
  if (key.is_string()) return dict_find(dict, key.str->text);
  YQ_RETURN_IF_ERROR(check_hashable(key));
  for (const auto& [name, value] : dict.items) {
    YQ_TRY(const bool same, equal(runtime, name, key));
    if (same) return &value;
  }
  return static_cast<const Value*>(nullptr);
}

Status dict_set(Runtime& runtime, DictObject& dict, const Value& key, const Value& value) {
  YQ_TRY(const Value* found, dict_find(runtime, dict, key));
  YQ_RETURN_IF_ERROR(check_hashable(key));
  if (found != nullptr) {
    for (auto& item : dict.items) {
      if (&item.second == found) item.second = value;
    }
    return Status::ok();
  }
  YQ_RETURN_IF_ERROR(runtime.charge(2));
  dict.items.emplace_back(key, value);
  return Status::ok();
}

Result<int64_t> length(Runtime& runtime, const Value& value) {
  switch (value.kind) {
    case Kind::kUndefined:
      return int64_t{0};
    case Kind::kString:
      YQ_RETURN_IF_ERROR(runtime.charge(value.str->text.size() / 16));
      return static_cast<int64_t>(count_chars(value.str->text));
    case Kind::kList:
    case Kind::kTuple:
      return static_cast<int64_t>(value.list->items.size());
    case Kind::kDict:
      return static_cast<int64_t>(value.dict->items.size());
    case Kind::kDictView:
      return static_cast<int64_t>(value.view->dict->items.size());
    case Kind::kRange:
      return value.range->length();
    default:
      return template_error("object of type '{}' has no len()", type_name(value));
  }
}

bool is_iterable(const Value& value) {
  switch (value.kind) {
    case Kind::kUndefined:
    case Kind::kString:
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kDict:
    case Kind::kDictView:
    case Kind::kRange:
    case Kind::kIterator:
      return true;
    default:
      return false;
  }
}

Result<std::vector<Value>> iterate(Runtime& runtime, const Value& value) {
  if (value.is(Kind::kUndefined)) return std::vector<Value>{};
  if (value.is(Kind::kIterator)) {
    if (value.iterator->used) return std::vector<Value>{};
    value.iterator->used = true;
    YQ_RETURN_IF_ERROR(runtime.charge_items(value.iterator->items.size()));
    return value.iterator->items;
  }
  if (!is_iterable(value)) {
    return template_error("'{}' object is not iterable", type_name(value));
  }
  YQ_TRY(const int64_t size, length(runtime, value));
  YQ_RETURN_IF_ERROR(runtime.charge_items(static_cast<uint64_t>(size)));
  if (value.is_sequence()) return value.list->items;
  if (value.is(Kind::kDictView)) return view_items(runtime, *value.view);
  std::vector<Value> out;
  out.reserve(static_cast<size_t>(size));
  if (value.is(Kind::kDict)) {
    for (const auto& item : value.dict->items) out.push_back(item.first);
  } else if (value.is(Kind::kRange)) {
    for (int64_t i = 0; i < size; ++i) {
      out.push_back(Value::of(value.range->start + i * value.range->step));
    }
  } else {
    YQ_RETURN_IF_ERROR(runtime.charge(kStepsPerObject * static_cast<uint64_t>(size)));
    const Str& str = *value.str;
    for (size_t at = 0; at < str.text.size();) {
      const size_t bytes = char_length(str.text.substr(at));
      out.push_back(runtime.substring(str, at, bytes));
      at += bytes;
    }
  }
  return out;
}

}  // namespace yunqi::jinja
