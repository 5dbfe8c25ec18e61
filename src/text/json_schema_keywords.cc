// The keywords of one schema that speak of the value itself: type, enum, numbers, strings, items,
// members. See json_schema_values.h.
#include <algorithm>

#include "text/json_schema_values.h"
#include "text/regex.h"

namespace yunqi {
namespace {

Status wrong(const std::string& path, std::string_view keyword, std::string_view what,
             Code code = Code::kInvalidArgument) {
  const std::string where = path + "." + std::string(keyword);
  return error(code, "{}: {}", where, what).at(where);
}

// A count: a whole number that is not negative ("2.0" is one too), at most 2^31.
Result<uint32_t> count_of(const Json& json, const std::string& path, std::string_view keyword) {
  constexpr double kMost = 2147483648.0;
  if (!json.is_number() || json.as_double() < 0 ||
      json.as_double() !=
          static_cast<double>(static_cast<uint64_t>(std::min(json.as_double(), 1e18)))) {
    return wrong(path, keyword, "want a whole number that is not negative");
  }
  return static_cast<uint32_t>(std::min(json.as_double(), kMost));
}

Status add_count(std::vector<MemberCount>& counts, MemberCount added) {
  for (MemberCount& count : counts) {
    if (count.value != added.value || !(count.keys == added.keys)) continue;
    count.low = std::max(count.low, added.low);
    count.high = std::min(count.high, added.high);
    return Status::ok();
  }
  counts.push_back(std::move(added));
  return Status::ok();
}

}  // namespace

Status SchemaValues::number_keywords(const Json& json, const std::string& path, ValueSet& set) {
  NumberAtom atom;
  for (const std::string_view keyword :
       {"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf"}) {
    const Json* bound = json.find(keyword);
    if (bound == nullptr) continue;
    if (!bound->is_number()) return wrong(path, keyword, "want a number");
    const Decimal value = Decimal::of(*bound);
    if (keyword == "multipleOf") {
      if (value.negative || value.is_zero()) return wrong(path, keyword, "want more than zero");
      atom.multiples.push_back(value);
      NumberAtom probe;
      probe.multiples = {value};
      const Status status = number_dfa(probe).status();
      if (!status.is_ok()) return wrong(path, keyword, status.message(), status.code());
      continue;
    }
    NumberAtom other;
    const bool open = keyword.starts_with("exclusive");
    if (keyword == "minimum" || keyword == "exclusiveMinimum") {
      other.low = value;
      other.low_open = open;
    } else {
      other.high = value;
      other.high_open = open;
    }
    NumberSet narrowed = intersect_numbers({atom}, {other});
    if (narrowed.empty()) {
      set.numbers.clear();
      return Status::ok();
    }
    atom = std::move(narrowed[0]);
  }
  set.numbers = intersect_numbers(set.numbers, {atom});
  return Status::ok();
}

Result<std::shared_ptr<const Dfa>> SchemaValues::pattern(const std::string& text) {
  std::shared_ptr<const Dfa>& known = patterns_[text];
  if (!known) {
    YQ_TRY(Dfa dfa, compile_regex(text, Anchoring::kSearch));
    known = std::make_shared<const Dfa>(std::move(dfa));
  }
  return known;
}

Status SchemaValues::string_keywords(const Json& json, const std::string& path, ValueSet& set) {
  StringAtom atom;
  if (const Json* min = json.find("minLength")) {
    YQ_TRY(atom.min, count_of(*min, path, "minLength"));
  }
  if (const Json* max = json.find("maxLength")) {
    YQ_TRY(atom.max, count_of(*max, path, "maxLength"));
  }
  if (const Json* text = json.find("pattern")) {
    if (!text->is_string()) return wrong(path, "pattern", "want a string");
    auto dfa = pattern(text->as_string());
    if (!dfa.is_ok()) return wrong(path, "pattern", dfa.status().message(), dfa.status().code());
    atom.dfa = *dfa;
  }
  if (const Json* format = json.find("format"); format && assert_formats_) {
    if (!format->is_string()) return wrong(path, "format", "want a string");
    if (const std::shared_ptr<const Dfa> dfa = format_dfa(format->as_string())) {
      formats_.insert(dfa);
      if (atom.dfa) {
        Result<Dfa> both = combine(*atom.dfa, *dfa, DfaOperation::kIntersect);
        if (!both.is_ok()) return wrong(path, "format", both.status().message());
        atom.dfa = std::make_shared<const Dfa>(*std::move(both));
      } else {
        atom.dfa = dfa;
      }
    }
  }
  set.strings.clear();
  if (atom.min <= atom.max && !(atom.dfa && atom.dfa->is_empty())) {
    set.strings.push_back(std::move(atom));
  }
  return Status::ok();
}

Status SchemaValues::contains_keyword(Place place, Case& out) {
  const Json& json = *document_.node(place.schema).json;
  const std::string path = document_.node(place.schema).path;
  const Json* contains = json.find("contains");
  if (contains == nullptr) return Status::ok();
  ItemCount count;
  count.low = 1;
  YQ_TRY(count.value, sub(place, *contains, "contains"));
  if (const Json* min = json.find("minContains")) {
    YQ_TRY(count.low, count_of(*min, path, "minContains"));
    if (count.low > kMaxSchemaCount) return wrong(path, "minContains", "more than 10000");
  }
  if (const Json* max = json.find("maxContains")) {
    YQ_TRY(count.high, count_of(*max, path, "maxContains"));
  }
  if (count.low > count.high) {
    out.set.arrays.clear();
  } else if (count.low > 0 || count.high != kNoLimit) {
    for (ArrayPart& part : out.set.arrays) part.counts.push_back(count);
  }
  out.contains.push_back(count.value);
  return Status::ok();
}

Status SchemaValues::array_keywords(Place place, Case& out) {
  const Json& json = *document_.node(place.schema).json;
  const std::string path = document_.node(place.schema).path;
  ArrayPart& part = out.set.arrays[0];
  if (const Json* prefix = json.find("prefixItems")) {
    if (!prefix->is_array()) return wrong(path, "prefixItems", "want an array");
    if (prefix->as_array().size() > 256) return wrong(path, "prefixItems", "more than 256");
    for (const Json& item : prefix->as_array()) {
      YQ_TRY(const ValueId value, sub(place, item, "prefixItems"));
      if (value != kAnyValue) {
        part.counts.push_back({out.items, out.items, opposite(value), 0, 0});
      }
      ++out.items;
    }
  }
  if (const Json* items = json.find("items")) {
    if (items->is_array()) {
      return wrong(path, "items", "a list is draft 7: write prefixItems", Code::kUnsupported);
    }
    YQ_TRY(const ValueId value, sub(place, *items, "items"));
    if (value != kAnyValue) part.counts.push_back({out.items, kNoLimit, opposite(value), 0, 0});
    out.all_items = true;
  }
  ItemCount length;
  if (const Json* min = json.find("minItems")) {
    YQ_TRY(length.low, count_of(*min, path, "minItems"));
    if (length.low > kMaxSchemaCount) return wrong(path, "minItems", "more than 10000");
  }
  if (const Json* max = json.find("maxItems")) {
    YQ_TRY(length.high, count_of(*max, path, "maxItems"));
  }
  if (const Json* unique = json.find("uniqueItems")) {
    if (!unique->is_bool()) return wrong(path, "uniqueItems", "want true or false");
    part.unique = unique->as_bool();
  }
  if (length.low > length.high) {
    out.set.arrays.clear();
  } else if (length.low > 0 || length.high != kNoLimit) {
    part.counts.push_back(length);
  }
  return contains_keyword(place, out);
}

Status SchemaValues::name_keywords(Place place, ObjectPart& part) {
  const Json& json = *document_.node(place.schema).json;
  const std::string path = document_.node(place.schema).path;
  if (const Json* required = json.find("required")) {
    if (!required->is_array()) return wrong(path, "required", "want an array of strings");
    for (const Json& name : required->as_array()) {
      if (!name.is_string()) return wrong(path, "required", "want an array of strings");
      YQ_RETURN_IF_ERROR(
          add_count(part.counts, {KeySet::of(name.as_string()), kAnyValue, 1, kNoLimit}));
    }
  }
  MemberCount size = {KeySet::all(), kAnyValue, 0, kNoLimit};
  if (const Json* min = json.find("minProperties")) {
    YQ_TRY(size.low, count_of(*min, path, "minProperties"));
    if (size.low > kMaxMinProperties) return wrong(path, "minProperties", "more than 256");
  }
  if (const Json* max = json.find("maxProperties")) {
    YQ_TRY(size.high, count_of(*max, path, "maxProperties"));
  }
  if (size.low > 0 || size.high != kNoLimit) part.counts.push_back(size);
  const Json* names = json.find("propertyNames");
  if (names == nullptr) return Status::ok();
  YQ_TRY(const ValueId value, sub(place, *names, "propertyNames"));
  YQ_TRY(const ValueSet* set, set_of(value));
  KeySet others;
  others.negated = true;
  for (const StringAtom& atom : set->strings) {
    if (atom.is_all()) return Status::ok();
    std::shared_ptr<const Dfa> dfa = atom.dfa;
    if (atom.min > 0 || atom.max != kNoLimit) {
      Result<Dfa> lengths = dfa_of_lengths(atom.min, atom.max);
      if (lengths.is_ok() && dfa) lengths = combine(*dfa, *lengths, DfaOperation::kIntersect);
      if (!lengths.is_ok()) return wrong(path, "propertyNames", lengths.status().message());
      dfa = std::make_shared<const Dfa>(*std::move(lengths));
    }
    others.patterns.push_back(dfa);
  }
  return add_count(part.counts, {std::move(others), kAnyValue, 0, 0});
}

Status SchemaValues::object_keywords(Place place, Case& out) {
  const Json& json = *document_.node(place.schema).json;
  const std::string path = document_.node(place.schema).path;
  ObjectPart& part = out.set.objects[0];
  KeySet named;
  if (const Json* properties = json.find("properties")) {
    if (!properties->is_object()) return wrong(path, "properties", "want an object");
    for (const auto& [name, schema] : properties->as_object()) {
      YQ_TRY(const ValueId value, sub(place, schema, "properties." + name));
      named.add(KeySet::of(name));
      if (value == kAnyValue) continue;
      YQ_RETURN_IF_ERROR(add_count(part.counts, {KeySet::of(name), opposite(value), 0, 0}));
    }
  }
  if (const Json* patterns = json.find("patternProperties")) {
    if (!patterns->is_object()) return wrong(path, "patternProperties", "want an object");
    for (const auto& [text, schema] : patterns->as_object()) {
      YQ_TRY(const ValueId value, sub(place, schema, "patternProperties." + text));
      auto dfa = pattern(text);
      if (!dfa.is_ok()) {
        return wrong(path, "patternProperties", dfa.status().message(), dfa.status().code());
      }
      const KeySet keys = {false, {}, {*dfa}};
      named.add(keys);
      if (value == kAnyValue) continue;
      YQ_RETURN_IF_ERROR(add_count(part.counts, {keys, opposite(value), 0, 0}));
    }
  }
  out.keys.add(named);
  if (const Json* others = json.find("additionalProperties")) {
    YQ_TRY(const ValueId value, sub(place, *others, "additionalProperties"));
    KeySet keys = named;
    keys.negated = true;
    if (value != kAnyValue) {
      YQ_RETURN_IF_ERROR(add_count(part.counts, {keys, opposite(value), 0, 0}));
    }
    out.keys = KeySet::all();
  }
  return name_keywords(place, part);
}

Status SchemaValues::type_keywords(const Json& json, const std::string& path, ValueSet& set) {
  const Json* type = json.find("type");
  if (type == nullptr) return Status::ok();
  std::vector<std::string> names;
  if (type->is_string()) names.push_back(type->as_string());
  if (type->is_array()) {
    for (const Json& name : type->as_array()) {
      if (name.is_string()) names.push_back(name.as_string());
    }
    if (names.size() != type->as_array().size()) names.clear();
  }
  if (names.empty()) return wrong(path, "type", "want a type's name or a list of them");
  ValueSet kept;
  bool whole = false;
  for (const std::string& name : names) {
    if (name == "null") {
      kept.null_value = set.null_value;
    } else if (name == "boolean") {
      kept.true_value = set.true_value;
      kept.false_value = set.false_value;
    } else if (name == "number") {
      kept.numbers = set.numbers;
    } else if (name == "integer") {
      whole = true;
    } else if (name == "string") {
      kept.strings = set.strings;
    } else if (name == "array") {
      kept.arrays = set.arrays;
    } else if (name == "object") {
      kept.objects = set.objects;
    } else {
      return wrong(path, "type", "there is no type " + name);
    }
  }
  if (whole && kept.numbers.empty()) {
    NumberAtom atom;
    atom.whole = NumberAtom::Whole::kWhole;
    kept.numbers = intersect_numbers(set.numbers, {atom});
  }
  set = std::move(kept);
  return Status::ok();
}

Status SchemaValues::own_keywords(Place place, Case& out) {
  const Json& json = *document_.node(place.schema).json;
  const std::string path = document_.node(place.schema).path;
  YQ_RETURN_IF_ERROR(number_keywords(json, path, out.set));
  YQ_RETURN_IF_ERROR(string_keywords(json, path, out.set));
  YQ_RETURN_IF_ERROR(array_keywords(place, out));
  YQ_RETURN_IF_ERROR(object_keywords(place, out));
  YQ_RETURN_IF_ERROR(type_keywords(json, path, out.set));
  if (const Json* list = json.find("enum")) {
    if (!list->is_array()) return wrong(path, "enum", "want an array");
    ValueSet any;
    std::vector<std::string> strings;
    for (const Json& item : list->as_array()) {
      if (item.is_string()) {
        strings.push_back(item.as_string());
        continue;
      }
      YQ_TRY(any, unite_sets(any, constant_set(item)));
    }
    if (!strings.empty()) {
      Result<Dfa> dfa = dfa_of_strings(strings);
      if (!dfa.is_ok()) return wrong(path, "enum", dfa.status().message());
      any.strings = {{std::make_shared<const Dfa>(*std::move(dfa)), 0, kNoLimit}};
    }
    YQ_TRY(out.set, intersect_sets(out.set, any, *this));
  }
  if (const Json* constant = json.find("const")) {
    YQ_TRY(out.set, intersect_sets(out.set, constant_set(*constant), *this));
  }
  return Status::ok();
}

}  // namespace yunqi
