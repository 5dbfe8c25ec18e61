// Filters over sequences and mappings. Those that are generators in Python give an iterator, which
// is walked once; their work is done at once here.
#include <algorithm>
#include <optional>

#include "text/jinja_builtin.h"
#include "text/jinja_literal.h"
#include "text/jinja_runtime.h"
#include "text/jinja_text.h"
#include "text/jinja_unicode.h"

namespace yunqi::jinja {
namespace {

using Values = std::vector<Value>;

Result<Value> default_value(Runtime& runtime, const Call& call) {
  const bool replaces = call.self.is(Kind::kUndefined) || (truthy(call[1]) && !truthy(call.self));
  if (!replaces) return call.self;
  return call[0].given() ? call[0] : runtime.borrow("");
}

Result<Value> count(Runtime& runtime, const Call& call) {
  YQ_TRY(const int64_t size, length(runtime, call.self));
  return Value::of(size);
}

Result<Value> items(Runtime& runtime, const Call& call) {
  if (call.self.is(Kind::kUndefined)) return runtime.iterator({});
  if (!call.self.is(Kind::kDict)) return template_error("can only get item pairs from a mapping");
  YQ_TRY(Values pairs, iterate(runtime, runtime.view(*call.self.dict, DictView::Part::kItems)));
  return runtime.iterator(std::move(pairs));
}

Result<Value> to_list(Runtime& runtime, const Call& call) {
  YQ_TRY(Values all, iterate(runtime, call.self));
  return runtime.list(std::move(all));
}

Result<Value> first(Runtime& runtime, const Call& call) {
  if (call.self.is_sequence()) {
    const auto& all = call.self.list->items;
    return all.empty() ? runtime.undefined("the first item of an empty sequence") : all.front();
  }
  YQ_TRY(const Values all, iterate(runtime, call.self));
  return all.empty() ? runtime.undefined("the first item of an empty sequence") : all.front();
}

Result<Value> last(Runtime& runtime, const Call& call) {
  if (call.self.is(Kind::kIterator)) return template_error("'generator' object is not reversible");
  YQ_TRY(const Values all, iterate(runtime, call.self));
  return all.empty() ? runtime.undefined("the last item of an empty sequence") : all.back();
}

Result<Value> reverse(Runtime& runtime, const Call& call) {
  YQ_TRY(Values all, iterate(runtime, call.self));
  std::reverse(all.begin(), all.end());
  if (call.self.is_string()) {
    TextBuilder out;
    YQ_RETURN_IF_ERROR(runtime.charge_text(call.self.str->text.size()));
    for (const Value& item : all) out.append(*item.str);
    return runtime.add(std::move(out), call.self.str->markup);
  }
  return call.self.is(Kind::kIterator) ? runtime.list(std::move(all))
                                       : runtime.iterator(std::move(all));
}

// What a value is compared by: its attribute, in lower case unless `case_sensitive`.
Result<Value> sort_key(Runtime& runtime, const Value& item, const Value& attribute,
                       bool case_sensitive) {
  Value key = item;
  if (attribute.given() && !attribute.is(Kind::kNone)) {
    YQ_TRY(key, item_path(runtime, item, attribute));
  }
  if (!case_sensitive && key.is_string()) return map_case(runtime, *key.str, CaseMap::kLower);
  return key;
}

struct Keyed {
  Values keys;
  Value value;
};

// Stable, with errors: std::stable_sort can't stop, so it runs over a verdict that sticks.
Status sort_keyed(Runtime& runtime, std::vector<Keyed>& all, bool descending) {
  Status failure;
  const auto below = [&](const Keyed& a, const Keyed& b) {
    for (size_t i = 0; i < a.keys.size() && failure.is_ok(); ++i) {
      const auto same = equal(runtime, a.keys[i], b.keys[i]);
      const auto smaller = less(runtime, a.keys[i], b.keys[i]);
      if (!same.is_ok()) failure = same.status();
      // Python compares two keys that are equal too when they are not inside a tuple.
      const bool must_order = a.keys.size() == 1 || (same.is_ok() && !*same);
      if (!smaller.is_ok() && must_order) failure = smaller.status();
      if (!failure.is_ok()) return false;
      if (!*same) return *smaller;
    }
    return false;
  };
  if (descending) {
    std::stable_sort(all.begin(), all.end(),
                     [&](const Keyed& a, const Keyed& b) { return below(b, a); });
  } else {
    std::stable_sort(all.begin(), all.end(), below);
  }
  return failure;
}

Result<Value> sort(Runtime& runtime, const Call& call) {
  YQ_TRY(const Values all, iterate(runtime, call.self));
  // "a,b" sorts by several attributes.
  Values attributes;
  if (call[2].is_string() && call[2].str->text.find(',') != std::string_view::npos) {
    size_t at = 0;
    const Str& names = *call[2].str;
    while (at <= names.text.size()) {
      const size_t comma = std::min(names.text.find(',', at), names.text.size());
      attributes.push_back(runtime.substring(names, at, comma - at));
      at = comma + 1;
    }
  } else {
    attributes.push_back(call[2]);
  }
  std::vector<Keyed> keyed;
  for (const Value& item : all) {
    Keyed entry{{}, item};
    for (const Value& attribute : attributes) {
      YQ_TRY(const Value key, sort_key(runtime, item, attribute, truthy(call[1])));
      entry.keys.push_back(key);
    }
    keyed.push_back(std::move(entry));
  }
  YQ_RETURN_IF_ERROR(sort_keyed(runtime, keyed, truthy(call[0])));
  Values out;
  for (const Keyed& entry : keyed) out.push_back(entry.value);
  return runtime.list(std::move(out));
}

Result<Value> dictsort(Runtime& runtime, const Call& call) {
  if (!call.self.is(Kind::kDict)) return template_error("dictsort wants a mapping");
  size_t position = 0;
  if (call[1].given()) {
    const bool is_text = call[1].is_string();
    if (is_text && call[1].str->text == "value") {
      position = 1;
    } else if (!is_text || call[1].str->text != "key") {
      return template_error("you can only sort by either \"key\" or \"value\"");
    }
  }
  std::vector<Keyed> keyed;
  YQ_RETURN_IF_ERROR(runtime.charge_items(call.self.dict->items.size() * kStepsPerObject));
  for (const auto& [key, value] : call.self.dict->items) {
    YQ_TRY(const Value by,
           sort_key(runtime, position == 0 ? key : value, Value(), truthy(call[0])));
    keyed.push_back({{by}, runtime.pair(key, value)});
  }
  YQ_RETURN_IF_ERROR(sort_keyed(runtime, keyed, truthy(call[2])));
  Values out;
  for (const Keyed& entry : keyed) out.push_back(entry.value);
  return runtime.list(std::move(out));
}

Result<Value> unique(Runtime& runtime, const Call& call) {
  YQ_TRY(const Values all, iterate(runtime, call.self));
  Values seen, out;
  for (const Value& item : all) {
    YQ_TRY(const Value key, sort_key(runtime, item, call[1], truthy(call[0])));
    YQ_RETURN_IF_ERROR(check_hashable(key));
    bool known = false;
    for (size_t i = 0; i < seen.size() && !known; ++i) {
      YQ_TRY(known, equal(runtime, seen[i], key));
    }
    if (known) continue;
    seen.push_back(key);
    out.push_back(item);
  }
  return runtime.iterator(std::move(out));
}

Result<Value> extreme(Runtime& runtime, const Call& call, bool largest) {
  YQ_TRY(const Values all, iterate(runtime, call.self));
  if (all.empty()) return runtime.undefined("No aggregated item, sequence was empty.");
  Value best = all[0];
  YQ_TRY(Value best_key, sort_key(runtime, best, call[1], truthy(call[0])));
  for (size_t i = 1; i < all.size(); ++i) {
    YQ_TRY(const Value key, sort_key(runtime, all[i], call[1], truthy(call[0])));
    YQ_TRY(const bool better, less(runtime, largest ? best_key : key, largest ? key : best_key));
    if (!better) continue;
    best = all[i];
    best_key = key;
  }
  return best;
}
Result<Value> min(Runtime& runtime, const Call& call) { return extreme(runtime, call, false); }
Result<Value> max(Runtime& runtime, const Call& call) { return extreme(runtime, call, true); }

Result<Value> sum(Runtime& runtime, const Call& call) {
  YQ_TRY(const Values all, iterate(runtime, call.self));
  Value total = call[1].given() ? call[1] : Value::of(int64_t{0});
  if (total.is_string()) return template_error("sum() can't sum strings");
  for (Value item : all) {
    if (call[0].given() && !call[0].is(Kind::kNone)) {
      YQ_TRY(item, item_path(runtime, item, call[0]));
    }
    YQ_TRY(total, arithmetic(runtime, Arithmetic::kAdd, total, item));
  }
  return total;
}

// The filter or test that `call` names as argument number `at`, with the arguments after it.
Result<const Builtin*> named_builtin(const Call& call, size_t at, bool is_filter,
                                     Arguments& arguments) {
  const Value& name = call.all.positional[at];
  if (!name.is_string()) return template_error("want a filter's or test's name");
  const Builtin* found = is_filter ? find_filter(name.str->text) : find_predicate(name.str->text);
  if (found == nullptr) {
    return template_error("no {} named '{}'", is_filter ? "filter" : "test", name.str->text);
  }
  arguments.positional.assign(call.all.positional.begin() + static_cast<std::ptrdiff_t>(at) + 1,
                              call.all.positional.end());
  arguments.named = call.all.named;
  return found;
}

Result<Value> map_attribute(Runtime& runtime, const Call& call, Values all) {
  Value attribute, fallback;
  for (const auto& [name, value] : call.all.named) {
    if (name == "attribute") {
      attribute = value;
    } else if (name == "default") {
      fallback = value;
    } else {
      return template_error("unexpected keyword argument '{}'", name);
    }
  }
  if (!attribute.given()) return template_error("map requires a filter argument");
  for (Value& item : all) {
    YQ_TRY(item, item_path(runtime, item, attribute));
    if (item.is(Kind::kUndefined) && fallback.given()) item = fallback;
  }
  return runtime.iterator(std::move(all));
}

Result<Value> map(Runtime& runtime, const Call& call) {
  if (!truthy(call.self)) return runtime.iterator({});
  YQ_TRY(Values all, iterate(runtime, call.self));
  if (call.all.positional.empty()) return map_attribute(runtime, call, std::move(all));
  Arguments arguments;
  YQ_TRY(const Builtin* filter, named_builtin(call, 0, true, arguments));
  for (Value& item : all) {
    YQ_TRY(item, call_builtin(runtime, *filter, item, arguments));
  }
  return runtime.iterator(std::move(all));
}

// select, reject and, `by_attribute`, selectattr and rejectattr.
Result<Value> choose(Runtime& runtime, const Call& call, bool wanted, bool by_attribute) {
  if (!truthy(call.self)) return runtime.iterator({});
  YQ_TRY(const Values all, iterate(runtime, call.self));
  const size_t test_at = by_attribute ? 1 : 0;
  if (call.all.positional.size() < test_at) return template_error("missing attribute name");
  Arguments arguments;
  const Builtin* test = nullptr;
  if (call.all.positional.size() > test_at) {
    YQ_TRY(test, named_builtin(call, test_at, false, arguments));
  }
  Values out;
  for (const Value& item : all) {
    Value subject = item;
    if (by_attribute) {
      YQ_TRY(subject, item_path(runtime, item, call.all.positional[0]));
    }
    if (test != nullptr) {
      YQ_TRY(subject, call_builtin(runtime, *test, subject, arguments));
    }
    if (truthy(subject) == wanted) out.push_back(item);
  }
  return runtime.iterator(std::move(out));
}
Result<Value> select(Runtime& runtime, const Call& call) {
  return choose(runtime, call, true, false);
}
Result<Value> reject(Runtime& runtime, const Call& call) {
  return choose(runtime, call, false, false);
}
Result<Value> selectattr(Runtime& runtime, const Call& call) {
  return choose(runtime, call, true, true);
}
Result<Value> rejectattr(Runtime& runtime, const Call& call) {
  return choose(runtime, call, false, true);
}

Result<Value> batch(Runtime& runtime, const Call& call) {
  if (!call[0].is_integral() || call[0].as_integer() < 1) {
    return template_error("batch wants a positive count");
  }
  const auto size = static_cast<uint64_t>(call[0].as_integer());
  YQ_TRY(const Values all, iterate(runtime, call.self));
  YQ_RETURN_IF_ERROR(runtime.charge_items(all.size()));
  Values out, group;
  for (const Value& item : all) {
    if (group.size() == size) out.push_back(runtime.list(std::exchange(group, {})));
    group.push_back(item);
  }
  if (!group.empty()) {
    if (call[1].given() && !call[1].is(Kind::kNone)) {
      YQ_RETURN_IF_ERROR(runtime.charge_items(std::min<uint64_t>(size, UINT64_MAX - 64)));
      group.resize(static_cast<size_t>(size), call[1]);
    }
    out.push_back(runtime.list(std::move(group)));
  }
  return runtime.iterator(std::move(out));
}

Result<Value> slice(Runtime& runtime, const Call& call) {
  if (!call[0].is_integral() || call[0].as_integer() < 1) {
    return template_error("slice wants a positive count");
  }
  const auto slices = static_cast<uint64_t>(call[0].as_integer());
  YQ_TRY(const Values all, iterate(runtime, call.self));
  YQ_RETURN_IF_ERROR(runtime.charge(std::min(slices, UINT64_MAX / 64) * kStepsPerObject));
  const uint64_t each = all.size() / slices, longer = all.size() % slices;
  Values out;
  size_t at = 0;
  for (uint64_t i = 0; i < slices; ++i) {
    const size_t size = static_cast<size_t>(each + (i < longer ? 1 : 0));
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(at);
    Values part(begin, begin + static_cast<std::ptrdiff_t>(size));
    if (call[1].given() && !call[1].is(Kind::kNone) && i >= longer) part.push_back(call[1]);
    out.push_back(runtime.list(std::move(part)));
    at += size;
  }
  return runtime.iterator(std::move(out));
}

Result<Value> attribute(Runtime& runtime, const Call& call) {
  YQ_TRY(const Str* name, to_str(runtime, call[0]));
  if (call.self.is(Kind::kUndefined)) return undefined_error(call.self);
  // Only true attributes: a mapping's members are none.
  if (call.self.is(Kind::kDict)) {
    YQ_TRY(const Value found, get_attribute(runtime, runtime.dict({}), *name));
    const Builtin* method = find_method(call.self, name->text);
    return method != nullptr ? runtime.method(call.self, *method) : found;
  }
  return get_attribute(runtime, call.self, *name);
}

constexpr Builtin kFilters[] = {
    {"default", "default_value,boolean", default_value},
    {"d", "default_value,boolean", default_value},
    {"length", "", count},
    {"count", "", count},
    {"items", "", items},
    {"list", "", to_list},
    {"first", "", first},
    {"last", "", last},
    {"reverse", "", reverse},
    {"sort", "reverse,case_sensitive,attribute", sort},
    {"dictsort", "case_sensitive,by,reverse", dictsort},
    {"unique", "case_sensitive,attribute", unique},
    {"min", "case_sensitive,attribute", min},
    {"max", "case_sensitive,attribute", max},
    {"sum", "attribute,start", sum},
    {"map", "*", map},
    {"select", "*", select},
    {"reject", "*", reject},
    {"selectattr", "*", selectattr},
    {"rejectattr", "*", rejectattr},
    {"batch", "!linecount,fill_with", batch},
    {"slice", "!slices,fill_with", slice},
    {"attr", "!name", attribute},
};

}  // namespace

std::span<const Builtin> sequence_filters() { return kFilters; }

Result<Value> item_path(Runtime& runtime, const Value& item, const Value& attribute) {
  if (!attribute.is_string()) return get_item(runtime, item, attribute);
  Value at = item;
  const Str& path = *attribute.str;
  for (size_t begin = 0; begin <= path.text.size();) {
    const size_t end = std::min(path.text.find('.', begin), path.text.size());
    const std::string_view part = path.text.substr(begin, end - begin);
    const bool digits = !part.empty() && part.find_first_not_of("0123456789") == part.npos;
    const auto number = digits ? parse_python_int(part, 10) : std::nullopt;
    const Value key = number ? Value::of(*number) : runtime.substring(path, begin, end - begin);
    YQ_TRY(at, get_item(runtime, at, key));
    begin = end + 1;
  }
  return at;
}

}  // namespace yunqi::jinja
