// Values by number, their sets on demand; see json_schema_values.h. The keywords are read in
// json_schema_keywords.cc, combinations in json_schema_branches.cc.
#include "text/json_schema_values.h"

#include <algorithm>

namespace yunqi {

std::string canonical_json(const Json& json) {
  if (json.is_number()) {
    const Decimal d = Decimal::of(json);
    return (d.negative ? "-" : "+") + d.digits + "e" + std::to_string(d.exponent);
  }
  if (json.is_array()) {
    std::string out = "[";
    for (const Json& item : json.as_array()) out += canonical_json(item) + ",";
    return out + "]";
  }
  if (json.is_object()) {
    std::map<std::string, std::string> members;
    for (const auto& [key, value] : json.as_object()) members[key] = canonical_json(value);
    std::string out = "{";
    for (const auto& [key, value] : members) {
      append_json_string(out, key);
      out += ":" + value + ",";
    }
    return out + "}";
  }
  return json.dump();
}

SchemaValues::SchemaValues(SchemaDocument& document, bool assert_formats)
    : document_(document), assert_formats_(assert_formats) {
  values_.resize(2);
  values_[kNoValue].kind = Value::Kind::kNothing;
  scopes_.emplace_back();
}

ValueId SchemaValues::root() {
  return schema_value(document_.root(), entered(0, document_.root()));
}

uint32_t SchemaValues::entered(uint32_t scope, SchemaId schema) {
  if (!document_.has_dynamic_anchors()) return 0;
  const uint32_t resource = document_.node(schema).resource;
  std::vector<uint32_t> next = scopes_[scope];
  if (std::find(next.begin(), next.end(), resource) != next.end()) return scope;
  next.push_back(resource);
  const auto at = std::find(scopes_.begin(), scopes_.end(), next);
  if (at != scopes_.end()) return static_cast<uint32_t>(at - scopes_.begin());
  scopes_.push_back(std::move(next));
  return static_cast<uint32_t>(scopes_.size() - 1);
}

ValueId SchemaValues::intern(std::string key, Value value) {
  if (values_.size() >= kMaxSchemaValues) {
    is_full_ = true;
    return kAnyValue;
  }
  const auto [at, is_new] =
      by_key_.try_emplace(std::move(key), static_cast<ValueId>(values_.size()));
  if (is_new) values_.push_back(std::move(value));
  return at->second;
}

ValueId SchemaValues::schema_value(SchemaId schema, uint32_t scope) {
  const Json& json = *document_.node(schema).json;
  if (json.is_bool()) return json.as_bool() ? kAnyValue : kNoValue;
  if (json.is_object() && json.as_object().empty()) return kAnyValue;
  Value value;
  value.kind = Value::Kind::kSchema;
  value.schema = schema;
  value.scope = scope;
  return intern("s" + std::to_string(schema) + "," + std::to_string(scope), std::move(value));
}

ValueId SchemaValues::constant(const Json& json) {
  Value value;
  value.kind = Value::Kind::kConstant;
  value.constant = json;
  return intern("c" + canonical_json(json), std::move(value));
}

ValueId SchemaValues::opposite(ValueId id) {
  if (id == kNoValue) return kAnyValue;
  if (id == kAnyValue) return kNoValue;
  if (values_[id].kind == Value::Kind::kNot) return values_[id].parts[0];
  Value value;
  value.kind = Value::Kind::kNot;
  value.parts = {id};
  return intern("!" + std::to_string(id), std::move(value));
}

ValueId SchemaValues::both(ValueId a, ValueId b) {
  if (a == kAnyValue || a == b) return b;
  if (b == kAnyValue) return a;
  if (a == kNoValue || b == kNoValue) return kNoValue;
  Value value;
  value.kind = Value::Kind::kAnd;
  for (const ValueId id : {a, b}) {
    if (values_[id].kind == Value::Kind::kAnd) {
      value.parts.insert(value.parts.end(), values_[id].parts.begin(), values_[id].parts.end());
    } else {
      value.parts.push_back(id);
    }
  }
  std::sort(value.parts.begin(), value.parts.end());
  value.parts.erase(std::unique(value.parts.begin(), value.parts.end()), value.parts.end());
  std::string key = "&";
  ValueId one_constant = kAnyValue;
  for (const ValueId id : value.parts) {
    key += std::to_string(id) + ",";
    if (values_[id].kind == Value::Kind::kNot &&
        std::binary_search(value.parts.begin(), value.parts.end(), values_[id].parts[0])) {
      return kNoValue;
    }
    if (values_[id].kind == Value::Kind::kConstant) {
      if (one_constant != kAnyValue) return kNoValue;  // constants are interned: these differ
      one_constant = id;
    }
  }
  if (value.parts.size() == 1) return value.parts[0];
  return intern(std::move(key), std::move(value));
}

bool SchemaValues::is_impossible(ValueId id) {
  constexpr int kMostGuesses = 3;
  if (id == kNoValue) return true;
  if (id == kAnyValue || guesses_ >= kMostGuesses || is_full_) return false;
  if (const auto at = impossible_.find(id); at != impossible_.end()) return at->second;
  if (values_[id].progress == Value::Progress::kBusy) return false;
  ++guesses_;
  const Result<const ValueSet*> set = set_of(id);
  --guesses_;
  if (!set.is_ok()) return false;  // an error, if it is one, comes back when the set is needed
  return impossible_[id] = (*set)->is_nothing();
}

Status SchemaValues::spend(size_t work) {
  work_ += work;
  if (work_ <= kMaxSchemaWork) return Status::ok();
  return error(Code::kUnsupported,
               "the schema's combinations (anyOf, oneOf, not, if) are too many to work out");
}

std::string SchemaValues::path_of(ValueId id) const {
  const Value& value = values_[id];
  if (value.kind == Value::Kind::kSchema) return document_.node(value.schema).path;
  if (value.parts.empty()) return "schema";
  return path_of(value.parts[0]);
}

Result<const ValueSet*> SchemaValues::set_of(ValueId id) {
  if (values_[id].progress == Value::Progress::kDone) return values_[id].set.get();
  if (values_[id].progress == Value::Progress::kBusy) {
    const std::string path = path_of(id);
    return error(Code::kInvalidArgument, "{}: $ref: the schema refers to itself without end", path)
        .at(path);
  }
  if (depth_ >= kMaxSchemaNesting) {
    const std::string path = path_of(id);
    return error(Code::kUnsupported, "{}: more than {} schemas apply to one place", path,
                 kMaxSchemaNesting)
        .at(path);
  }
  values_[id].progress = Value::Progress::kBusy;
  ++depth_;
  const Value value = values_[id];  // a copy: computing adds values
  Result<ValueSet> set = compute(value);
  --depth_;
  if (!set.is_ok()) {
    values_[id].progress = Value::Progress::kNone;
    if (!set.status().field().empty()) return set.status();
    const std::string path = path_of(id);
    return set.status().with_context(path).at(path);
  }
  values_[id].set = std::make_shared<const ValueSet>(*std::move(set));
  values_[id].progress = Value::Progress::kDone;
  return values_[id].set.get();
}

Result<ValueSet> SchemaValues::compute(const Value& value) {
  switch (value.kind) {
    case Value::Kind::kNothing:
      return ValueSet();
    case Value::Kind::kAny:
      return ValueSet::all();
    case Value::Kind::kConstant:
      return constant_set(value.constant);
    case Value::Kind::kSchema:
      return schema_set({value.schema, value.scope});
    case Value::Kind::kNot: {
      YQ_TRY(const ValueSet* inner, set_of(value.parts[0]));
      return complement_set(*inner, *this);
    }
    case Value::Kind::kAnd: {
      ValueSet out = ValueSet::all();
      for (const ValueId part : value.parts) {
        YQ_TRY(const ValueSet* inner, set_of(part));
        YQ_TRY(out, intersect_sets(out, *inner, *this));
      }
      return out;
    }
  }
  return error(Code::kInternal, "a value of an unknown kind");
}

ValueSet SchemaValues::constant_set(const Json& json) {
  ValueSet out;
  if (json.is_null()) {
    out.null_value = true;
  } else if (json.is_bool()) {
    (json.as_bool() ? out.true_value : out.false_value) = true;
  } else if (json.is_number()) {
    NumberAtom& atom = out.numbers.emplace_back();
    atom.low = atom.high = Decimal::of(json);
  } else if (json.is_string()) {
    const std::vector<std::string> one = {json.as_string()};
    Result<Dfa> dfa = dfa_of_strings(one);
    if (dfa.is_ok()) {
      out.strings.push_back({std::make_shared<const Dfa>(*std::move(dfa)), 0, kNoLimit});
    } else {
      is_full_ = true;  // a text of more characters than an automaton may have states
    }
  } else if (json.is_array()) {
    ArrayPart& part = out.arrays.emplace_back();
    const auto size = static_cast<uint32_t>(json.as_array().size());
    part.counts.push_back({0, kNoLimit, kAnyValue, size, size});
    for (uint32_t i = 0; i < size; ++i) {
      part.counts.push_back({i, i, opposite(constant(json.as_array()[i])), 0, 0});
    }
  } else {
    ObjectPart& part = out.objects.emplace_back();
    KeySet others = KeySet::all();
    for (const auto& [key, value] : json.as_object()) {
      part.counts.push_back({KeySet::of(key), kAnyValue, 1, kNoLimit});
      part.counts.push_back({KeySet::of(key), opposite(constant(value)), 0, 0});
      others.names.push_back(key);
    }
    std::sort(others.names.begin(), others.names.end());
    part.counts.push_back({std::move(others), kAnyValue, 0, 0});
  }
  return out;
}

Result<std::vector<SchemaValues::Place>> SchemaValues::references(Place place) {
  const Json& json = *document_.node(place.schema).json;
  const std::string path = document_.node(place.schema).path;
  std::vector<Place> out;
  for (const std::string_view keyword : {"$ref", "$dynamicRef"}) {
    const Json* reference = json.find(keyword);
    if (reference == nullptr) continue;
    if (!reference->is_string()) {
      return error(Code::kInvalidArgument, "{}.{}: want a string, found {}", path, keyword,
                   reference->type_name())
          .at(path + "." + std::string(keyword));
    }
    Result<SchemaId> target =
        keyword == "$ref"
            ? document_.resolve(place.schema, reference->as_string())
            : document_.resolve_dynamic(place.schema, reference->as_string(), scopes_[place.scope]);
    if (!target.is_ok()) return target.status().with_context(target.status().field());
    out.push_back({*target, entered(place.scope, *target)});
  }
  return out;
}

Result<SchemaValues::Place> SchemaValues::place_of(Place from, const Json& json,
                                                   std::string_view path) {
  if (!json.is_object() && !json.is_bool()) {
    const std::string where = document_.node(from.schema).path + "." + std::string(path);
    return error(Code::kInvalidArgument, "{}: want a schema (an object or a boolean), found {}",
                 where, json.type_name())
        .at(where);
  }
  YQ_TRY(const SchemaId id, document_.child(from.schema, json, path));
  return Place{id, entered(from.scope, id)};
}

Result<ValueId> SchemaValues::sub(Place place, const Json& json, std::string_view path) {
  YQ_TRY(const Place inner, place_of(place, json, path));
  return schema_value(inner.schema, inner.scope);
}

Result<ValueId> SchemaValues::sub(Place place, std::string_view keyword) {
  const Json* json = document_.node(place.schema).json->find(keyword);
  if (json == nullptr) return kAnyValue;
  return sub(place, *json, keyword);
}

}  // namespace yunqi
