// The values a chat template computes with: constructors, marks, truth and type names.
#include "text/jinja_value.h"

#include <algorithm>

namespace yunqi::jinja {

Value Value::none() {
  Value out;
  out.kind = Kind::kNone;
  return out;
}

Value Value::of(bool value) {
  Value out;
  out.kind = Kind::kBool;
  out.boolean = value;
  return out;
}

Value Value::of(int64_t value) {
  Value out;
  out.kind = Kind::kInt;
  out.integer = value;
  return out;
}

Value Value::of(uint64_t value) {
  if (value <= static_cast<uint64_t>(INT64_MAX)) return of(static_cast<int64_t>(value));
  Value out;
  out.kind = Kind::kBigInt;
  out.natural = value;
  return out;
}

Value Value::of(double value) {
  Value out;
  out.kind = Kind::kFloat;
  out.real = value;
  return out;
}

Value Value::of(const Str* value) {
  Value out;
  out.kind = Kind::kString;
  out.str = value;
  return out;
}

double Value::as_double() const {
  if (kind == Kind::kFloat) return real;
  if (kind == Kind::kBigInt) return static_cast<double>(natural);
  return static_cast<double>(as_integer());
}

int64_t RangeObject::length() const {
  // The distance fits 64 unsigned bits whatever the ends are.
  const auto distance = [](int64_t from, int64_t to, uint64_t by) {
    const uint64_t gap = static_cast<uint64_t>(to) - static_cast<uint64_t>(from);
    const uint64_t count = (gap - 1) / by + 1;
    return static_cast<int64_t>(std::min<uint64_t>(count, INT64_MAX));
  };
  if (step > 0) return start < stop ? distance(start, stop, static_cast<uint64_t>(step)) : 0;
  return start > stop ? distance(stop, start, uint64_t{0} - static_cast<uint64_t>(step)) : 0;
}

void TextBuilder::append(std::string_view text, bool user) {
  if (text.empty()) return;
  bytes_.append(text);
  if (!spans_.empty() && spans_.back().user == user) {
    spans_.back().end = bytes_.size();
  } else {
    spans_.push_back({bytes_.size(), user});
  }
}

void TextBuilder::append(const Str& str) {
  for_each_span(str, [this](std::string_view text, bool user) { append(text, user); });
}

void TextBuilder::append(TextBuilder&& other) {
  if (bytes_.empty()) {
    *this = std::move(other);
    return;
  }
  size_t at = 0;
  for (const TaintSpan& span : other.spans_) {
    append(std::string_view(other.bytes_).substr(at, span.end - at), span.user);
    at = span.end;
  }
}

Str sub_str(const Str& str, size_t position, size_t length) {
  Str out = str;
  out.text = str.text.substr(position, length);
  out.base = str.base + position;
  return out;
}

std::string_view type_name(const Value& value) {
  switch (value.kind) {
    case Kind::kMissing:
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "NoneType";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
    case Kind::kBigInt:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kString:
      return value.str->markup ? "Markup" : "str";
    case Kind::kList:
      return "list";
    case Kind::kTuple:
      return "tuple";
    case Kind::kDict:
      return "dict";
    case Kind::kDictView:
      return "dict view";
    case Kind::kRange:
      return "range";
    case Kind::kIterator:
      return "generator";
    case Kind::kNamespace:
      return "Namespace";
    case Kind::kMacro:
      return "Macro";
    case Kind::kFunction:
      return "function";
    case Kind::kMethod:
      return "method";
    case Kind::kLoop:
      return "LoopContext";
    case Kind::kCycler:
      return "Cycler";
    case Kind::kJoiner:
      return "Joiner";
  }
  return "object";
}

bool truthy(const Value& value) {
  switch (value.kind) {
    case Kind::kMissing:
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
      return value.boolean;
    case Kind::kInt:
      return value.integer != 0;
    case Kind::kFloat:
      return value.real != 0;
    case Kind::kString:
      return !value.str->text.empty();
    case Kind::kList:
    case Kind::kTuple:
      return !value.list->items.empty();
    case Kind::kDict:
      return !value.dict->items.empty();
    case Kind::kDictView:
      return !value.view->dict->items.empty();
    case Kind::kRange:
      return value.range->length() != 0;
    default:
      return true;
  }
}

}  // namespace yunqi::jinja
