// The methods of Python's str that search, cut and join. Results keep the marks of the bytes they
// are made of.
#include <algorithm>

#include "text/jinja_builtin.h"
#include "text/jinja_runtime.h"
#include "text/jinja_unicode.h"

namespace yunqi::jinja {
namespace {

constexpr size_t kNotFound = std::string_view::npos;

Result<const Str*> want_string(const Value& value, std::string_view what) {
  if (value.is_string()) return value.str;
  if (value.is(Kind::kUndefined)) return undefined_error(value);
  return template_error("{} must be str, not {}", what, type_name(value));
}

Result<int64_t> want_integer(const Value& value, int64_t fallback) {
  if (!value.given()) return fallback;
  if (value.is_integral()) return value.as_integer();
  return template_error("'{}' object cannot be interpreted as an integer", type_name(value));
}

bool is_absent(const Value& value) { return !value.given() || value.is(Kind::kNone); }

// `text` less leading and trailing characters that are in `chars`, or white space without it.
Result<Value> strip_sides(Runtime& runtime, const Call& call, bool left, bool right) {
  const Str& self = *call.self.str;
  YQ_RETURN_IF_ERROR(runtime.charge(self.text.size() / 16));
  std::string_view rest = self.text;
  if (is_absent(call[0])) {
    if (left) rest = strip_left(rest);
    if (right) rest = strip_right(rest);
  } else {
    YQ_TRY(const Str* chars, want_string(call[0], "strip arg"));
    YQ_RETURN_IF_ERROR(runtime.charge(self.text.size() * chars->text.size() / 64));
    const auto is_stripped = [&](std::string_view c) { return chars->text.find(c) != kNotFound; };
    while (left && !rest.empty()) {
      const size_t length = char_length(rest);
      if (!is_stripped(rest.substr(0, length))) break;
      rest.remove_prefix(length);
    }
    while (right && !rest.empty()) {
      size_t last = rest.size() - 1;
      while (last > 0 && (static_cast<unsigned char>(rest[last]) & 0xC0) == 0x80) --last;
      if (!is_stripped(rest.substr(last))) break;
      rest = rest.substr(0, last);
    }
  }
  return runtime.substring(self, static_cast<size_t>(rest.data() - self.text.data()), rest.size());
}

Result<Value> strip_method(Runtime& runtime, const Call& call) {
  return strip_sides(runtime, call, true, true);
}
Result<Value> lstrip(Runtime& runtime, const Call& call) {
  return strip_sides(runtime, call, true, false);
}
Result<Value> rstrip(Runtime& runtime, const Call& call) {
  return strip_sides(runtime, call, false, true);
}

struct Part {
  size_t position, length;
};

// Splits at runs of white space, at most `limit` times, from the left.
std::vector<Part> split_words(std::string_view text, int64_t limit) {
  std::vector<Part> out;
  size_t at = text.size() - strip_left(text).size();
  while (at < text.size()) {
    if (limit == 0) {
      out.push_back({at, text.size() - at});
      break;
    }
    size_t end = at;
    while (end < text.size() && space_length(text.substr(end)) == 0) {
      end += char_length(text.substr(end));
    }
    out.push_back({at, end - at});
    at = end + (text.size() - end - strip_left(text.substr(end)).size());
    if (limit > 0) --limit;
  }
  return out;
}

// As above from the right.
std::vector<Part> rsplit_words(std::string_view text, int64_t limit) {
  std::vector<Part> out;
  size_t end = strip_right(text).size();
  while (end > 0) {
    if (limit == 0) {
      out.push_back({0, end});
      break;
    }
    size_t begin = end;
    while (begin > 0) {
      size_t last = begin - 1;
      while (last > 0 && (static_cast<unsigned char>(text[last]) & 0xC0) == 0x80) --last;
      if (space_length(text.substr(last)) > 0) break;
      begin = last;
    }
    out.push_back({begin, end - begin});
    end = strip_right(text.substr(0, begin)).size();
    if (limit > 0) --limit;
  }
  std::reverse(out.begin(), out.end());
  return out;
}

std::vector<Part> split_at(std::string_view text, std::string_view separator, int64_t limit) {
  std::vector<Part> out;
  size_t at = 0;
  while (limit != 0) {
    const size_t found = text.find(separator, at);
    if (found == kNotFound) break;
    out.push_back({at, found - at});
    at = found + separator.size();
    if (limit > 0) --limit;
  }
  out.push_back({at, text.size() - at});
  return out;
}

std::vector<Part> rsplit_at(std::string_view text, std::string_view separator, int64_t limit) {
  std::vector<Part> out;
  size_t end = text.size();
  while (limit != 0 && end >= separator.size()) {
    const size_t found = text.rfind(separator, end - separator.size());
    if (found == kNotFound) break;
    out.push_back({found + separator.size(), end - found - separator.size()});
    end = found;
    if (limit > 0) --limit;
  }
  out.push_back({0, end});
  std::reverse(out.begin(), out.end());
  return out;
}

Result<Value> split_any(Runtime& runtime, const Call& call, bool from_right) {
  const Str& self = *call.self.str;
  YQ_TRY(const int64_t limit, want_integer(call[1], -1));
  // A part may be one byte long, and is an object of its own.
  YQ_RETURN_IF_ERROR(runtime.charge(1 + self.text.size() / kBytesPerStep));
  std::vector<Part> parts;
  if (is_absent(call[0])) {
    parts = from_right ? rsplit_words(self.text, limit) : split_words(self.text, limit);
  } else {
    YQ_TRY(const Str* separator, want_string(call[0], "separator"));
    if (separator->text.empty()) return template_error("empty separator");
    parts = from_right ? rsplit_at(self.text, separator->text, limit)
                       : split_at(self.text, separator->text, limit);
  }
  YQ_RETURN_IF_ERROR(runtime.charge_items(parts.size() * (1 + kStepsPerObject)));
  std::vector<Value> items;
  items.reserve(parts.size());
  for (const Part& part : parts) {
    items.push_back(runtime.substring(self, part.position, part.length));
  }
  return runtime.list(std::move(items));
}

Result<Value> split(Runtime& runtime, const Call& call) { return split_any(runtime, call, false); }
Result<Value> rsplit(Runtime& runtime, const Call& call) { return split_any(runtime, call, true); }

Result<Value> splitlines(Runtime& runtime, const Call& call) {
  const Str& self = *call.self.str;
  const bool keep_ends = truthy(call[0]);
  YQ_RETURN_IF_ERROR(runtime.charge(1 + self.text.size()));
  std::vector<Value> items;
  size_t begin = 0;
  for (size_t at = 0; at < self.text.size();) {
    const size_t end = line_end_length(self.text.substr(at));
    if (end == 0) {
      at += char_length(self.text.substr(at));
      continue;
    }
    items.push_back(runtime.substring(self, begin, at - begin + (keep_ends ? end : 0)));
    at += end;
    begin = at;
  }
  if (begin < self.text.size()) {
    items.push_back(runtime.substring(self, begin, self.text.size() - begin));
  }
  return runtime.list(std::move(items));
}

// The bytes of self[start:end], as find(), count() and startswith() take them; false when start
// is past the end, where nothing is found, not even "".
Result<bool> window(const Call& call, size_t& begin, size_t& end) {
  const std::string_view text = call.self.str->text;
  begin = 0;
  end = text.size();
  const bool has_start = !is_absent(call[1]), has_end = !is_absent(call[2]);
  if (!has_start && !has_end) return true;
  const auto size = static_cast<int64_t>(count_chars(text));
  YQ_TRY(int64_t start, want_integer(has_start ? call[1] : Value(), 0));
  YQ_TRY(int64_t stop, want_integer(has_end ? call[2] : Value(), size));
  if (start < 0) start = std::max<int64_t>(start + size, 0);
  if (stop < 0) stop = std::max<int64_t>(stop + size, 0);
  stop = std::min(stop, size);
  if (start > stop) return false;
  begin = char_offset(text, static_cast<size_t>(start));
  end = char_offset(text, static_cast<size_t>(stop));
  return true;
}

// Where `what` is in self[start:end], in characters; -1 when it is not.
Result<int64_t> find_position(Runtime& runtime, const Call& call, bool last) {
  YQ_TRY(const Str* what, want_string(call[0], "argument"));
  const std::string_view text = call.self.str->text;
  YQ_RETURN_IF_ERROR(runtime.charge(1 + text.size() / kBytesPerStep));
  size_t begin = 0, end = 0;
  YQ_TRY(const bool valid, window(call, begin, end));
  if (!valid) return int64_t{-1};
  const std::string_view view = text.substr(begin, end - begin);
  const size_t found = last ? view.rfind(what->text) : view.find(what->text);
  if (found == kNotFound) return int64_t{-1};
  return static_cast<int64_t>(count_chars(text.substr(0, begin + found)));
}

Result<Value> find_method_impl(Runtime& runtime, const Call& call, bool last, bool must_exist) {
  YQ_TRY(const int64_t at, find_position(runtime, call, last));
  if (at < 0 && must_exist) return template_error("substring not found");
  return Value::of(at);
}
Result<Value> find_left(Runtime& runtime, const Call& call) {
  return find_method_impl(runtime, call, false, false);
}
Result<Value> find_right(Runtime& runtime, const Call& call) {
  return find_method_impl(runtime, call, true, false);
}
Result<Value> index_left(Runtime& runtime, const Call& call) {
  return find_method_impl(runtime, call, false, true);
}
Result<Value> index_right(Runtime& runtime, const Call& call) {
  return find_method_impl(runtime, call, true, true);
}

Result<Value> count(Runtime& runtime, const Call& call) {
  YQ_TRY(const Str* what, want_string(call[0], "argument"));
  YQ_RETURN_IF_ERROR(runtime.charge(1 + call.self.str->text.size() / kBytesPerStep));
  size_t begin = 0, end = 0;
  YQ_TRY(const bool valid, window(call, begin, end));
  if (!valid) return Value::of(int64_t{0});
  const std::string_view view = call.self.str->text.substr(begin, end - begin);
  if (what->text.empty()) return Value::of(static_cast<int64_t>(count_chars(view)) + 1);
  int64_t found = 0;
  for (size_t at = view.find(what->text); at != kNotFound;
       at = view.find(what->text, at + what->text.size())) {
    ++found;
  }
  return Value::of(found);
}

Result<Value> match_end(Runtime& runtime, const Call& call, bool at_start) {
  size_t begin = 0, end = 0;
  YQ_TRY(const bool valid, window(call, begin, end));
  const std::string_view view = valid ? call.self.str->text.substr(begin, end - begin) : "";
  const auto matches = [&](const Str& affix) {
    return valid && (at_start ? view.starts_with(affix.text) : view.ends_with(affix.text));
  };
  if (!call[0].is(Kind::kTuple)) {
    YQ_TRY(const Str* affix,
           want_string(call[0], at_start ? "startswith first arg" : "endswith first arg"));
    return Value::of(matches(*affix));
  }
  for (const Value& item : call[0].list->items) {
    YQ_RETURN_IF_ERROR(runtime.charge(1));
    YQ_TRY(const Str* affix, want_string(item, "tuple item"));
    if (matches(*affix)) return Value::of(true);
  }
  return Value::of(false);
}
Result<Value> startswith(Runtime& runtime, const Call& call) {
  return match_end(runtime, call, true);
}
Result<Value> endswith(Runtime& runtime, const Call& call) {
  return match_end(runtime, call, false);
}

Result<Value> replace(Runtime& runtime, const Call& call) {
  YQ_TRY(const Str* from, want_string(call[0], "replace() argument 1"));
  YQ_TRY(const Str* to, want_string(call[1], "replace() argument 2"));
  YQ_TRY(const int64_t times, want_integer(call[2], -1));
  return replace_text(runtime, *call.self.str, *from, *to, times);
}

Result<Value> join(Runtime& runtime, const Call& call) {
  if (!is_iterable(call[0])) return template_error("can only join an iterable");
  YQ_TRY(const std::vector<Value> items, iterate(runtime, call[0]));
  TextBuilder out;
  for (size_t i = 0; i < items.size(); ++i) {
    YQ_TRY(const Str* item, want_string(items[i], fmt::format("sequence item {}", i)));
    YQ_RETURN_IF_ERROR(runtime.charge_text(item->text.size() + call.self.str->text.size()));
    if (i > 0) out.append(*call.self.str);
    out.append(*item);
  }
  return runtime.add(std::move(out), call.self.str->markup);
}

Result<Value> partition_at(Runtime& runtime, const Call& call, bool last) {
  const Str& self = *call.self.str;
  YQ_TRY(const Str* separator, want_string(call[0], "separator"));
  if (separator->text.empty()) return template_error("empty separator");
  YQ_RETURN_IF_ERROR(runtime.charge(1 + self.text.size() / kBytesPerStep));
  const size_t at = last ? self.text.rfind(separator->text) : self.text.find(separator->text);
  const Value whole = runtime.add(self), empty = runtime.substring(self, 0, 0);
  if (at == kNotFound) {
    return runtime.tuple(last ? std::vector<Value>{empty, empty, whole}
                              : std::vector<Value>{whole, empty, empty});
  }
  const size_t after = at + separator->text.size();
  return runtime.tuple({runtime.substring(self, 0, at),
                        runtime.substring(self, at, separator->text.size()),
                        runtime.substring(self, after, self.text.size() - after)});
}
Result<Value> partition(Runtime& runtime, const Call& call) {
  return partition_at(runtime, call, false);
}
Result<Value> rpartition(Runtime& runtime, const Call& call) {
  return partition_at(runtime, call, true);
}

Result<Value> removeprefix(Runtime& runtime, const Call& call) {
  const Str& self = *call.self.str;
  YQ_TRY(const Str* prefix, want_string(call[0], "removeprefix() argument"));
  const size_t cut = self.text.starts_with(prefix->text) ? prefix->text.size() : 0;
  return runtime.substring(self, cut, self.text.size() - cut);
}

Result<Value> removesuffix(Runtime& runtime, const Call& call) {
  const Str& self = *call.self.str;
  YQ_TRY(const Str* suffix, want_string(call[0], "removesuffix() argument"));
  const size_t cut = self.text.ends_with(suffix->text) ? suffix->text.size() : 0;
  return runtime.substring(self, 0, self.text.size() - cut);
}

Result<Value> format(Runtime& runtime, const Call& call) {
  return brace_format(runtime, *call.self.str, call.all);
}

constexpr Builtin kMethods[] = {
    {"split", "sep,maxsplit", split},
    {"rsplit", "sep,maxsplit", rsplit},
    {"strip", "/chars", strip_method},
    {"lstrip", "/chars", lstrip},
    {"rstrip", "/chars", rstrip},
    {"splitlines", "keepends", splitlines},
    {"find", "!/sub,/start,/end", find_left},
    {"rfind", "!/sub,/start,/end", find_right},
    {"index", "!/sub,/start,/end", index_left},
    {"rindex", "!/sub,/start,/end", index_right},
    {"count", "!/sub,/start,/end", count},
    {"startswith", "!/prefix,/start,/end", startswith},
    {"endswith", "!/suffix,/start,/end", endswith},
    {"replace", "!/old,!/new,/count", replace},
    {"join", "!/iterable", join},
    {"partition", "!/sep", partition},
    {"rpartition", "!/sep", rpartition},
    {"removeprefix", "!/prefix", removeprefix},
    {"removesuffix", "!/suffix", removesuffix},
    {"format", "*", format},
};

}  // namespace

std::span<const Builtin> string_methods() { return kMethods; }

}  // namespace yunqi::jinja
