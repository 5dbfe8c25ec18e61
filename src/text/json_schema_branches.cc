// The keywords that combine schemas: $ref, allOf, anyOf, oneOf, not, if, dependent..., and what
// they leave to unevaluated... See json_schema_values.h.
#include <algorithm>

#include "text/json_schema_values.h"

namespace yunqi {
namespace {

Status wrong(const std::string& path, std::string_view keyword, std::string_view what) {
  const std::string where = path + "." + std::string(keyword);
  return error(Code::kInvalidArgument, "{}: {}", where, what).at(where);
}

// An unlocated error happened while this keyword was combined.
Status located(const Status& status, const std::string& path, std::string_view keyword) {
  if (!status.field().empty()) return status;
  const std::string where = path + "." + std::string(keyword);
  return status.with_context(where).at(where);
}

// Objects that have the member `name`; with `or_other`, all values but objects without it.
ValueSet with_member(const std::string& name, bool present, bool other_types) {
  ValueSet out = other_types ? ValueSet::all() : ValueSet();
  out.objects.assign(1, {});
  MemberCount count = {KeySet::of(name), kAnyValue, 0, kNoLimit};
  (present ? count.low : count.high) = present ? 1 : 0;
  out.objects[0].counts.push_back(std::move(count));
  return out;
}

}  // namespace

Result<ValueSet> SchemaValues::schema_set(Place place) {
  const SchemaNode node = document_.node(place.schema);
  if (!node.json->is_object()) {
    if (node.json->is_bool()) return node.json->as_bool() ? ValueSet::all() : ValueSet();
    return error(Code::kInvalidArgument, "{}: want a schema (an object or a boolean), found {}",
                 node.path, node.json->type_name())
        .at(node.path);
  }
  if (node.json->find("unevaluatedProperties") || node.json->find("unevaluatedItems")) {
    YQ_TRY(const Cases all, cases(place));
    ValueSet out;
    for (const Case& one : all) {
      YQ_TRY(out, unite_sets(out, one.set));
    }
    return out;
  }
  Case own;
  YQ_RETURN_IF_ERROR(own_keywords(place, own));
  return apply(place, std::move(own.set));
}

Result<ValueSet> SchemaValues::apply(Place place, ValueSet set) {
  const Json& json = *document_.node(place.schema).json;
  const std::string path = document_.node(place.schema).path;
  const auto narrow = [&](const ValueSet& by, std::string_view keyword) -> Status {
    Result<ValueSet> both = intersect_sets(set, by, *this);
    if (!both.is_ok()) return located(both.status(), path, keyword);
    set = *std::move(both);
    return Status::ok();
  };
  const auto narrow_to = [&](ValueId value, std::string_view keyword) -> Status {
    YQ_TRY(const ValueSet* by, set_of(value));
    return narrow(*by, keyword);
  };
  YQ_TRY(const std::vector<Place> targets, references(place));
  for (const Place& target : targets) {
    YQ_RETURN_IF_ERROR(narrow_to(schema_value(target.schema, target.scope), "$ref"));
  }
  for (const std::string_view keyword : {"allOf", "anyOf", "oneOf"}) {
    const Json* list = json.find(keyword);
    if (list == nullptr) continue;
    if (!list->is_array() || list->as_array().empty()) {
      return wrong(path, keyword, "want an array of schemas");
    }
    if (keyword == "oneOf") {
      YQ_TRY(const ValueSet one, one_of(place, *list));
      YQ_RETURN_IF_ERROR(narrow(one, keyword));
      continue;
    }
    ValueSet any;
    for (const Json& schema : list->as_array()) {
      YQ_TRY(const ValueId value, sub(place, schema, keyword));
      if (keyword == "allOf") {
        YQ_RETURN_IF_ERROR(narrow_to(value, keyword));
      } else {
        YQ_TRY(const ValueSet* branch, set_of(value));
        YQ_TRY(any, unite_sets(any, *branch));
      }
    }
    if (keyword == "anyOf") YQ_RETURN_IF_ERROR(narrow(any, keyword));
  }
  if (json.find("not")) {
    YQ_TRY(const ValueId value, sub(place, "not"));
    YQ_RETURN_IF_ERROR(narrow_to(opposite(value), "not"));
  }
  if (json.find("if") && (json.find("then") || json.find("else"))) {
    YQ_TRY(const ValueId condition, sub(place, "if"));
    YQ_TRY(const ValueId then_value, sub(place, "then"));
    YQ_TRY(const ValueId else_value, sub(place, "else"));
    YQ_TRY(const ValueSet* met, set_of(both(condition, then_value)));
    YQ_TRY(const ValueSet* unmet, set_of(both(opposite(condition), else_value)));
    YQ_TRY(const ValueSet any, unite_sets(*met, *unmet));
    YQ_RETURN_IF_ERROR(narrow(any, "if"));
  }
  if (json.find("dependentRequired") || json.find("dependentSchemas")) {
    YQ_TRY(const ValueSet met, dependencies(place));
    YQ_RETURN_IF_ERROR(narrow(met, "dependentSchemas"));
  }
  return set;
}

// dependentRequired and dependentSchemas: a member is missing, or what it asks for is there.
Result<ValueSet> SchemaValues::dependencies(Place place) {
  const Json& json = *document_.node(place.schema).json;
  const std::string path = document_.node(place.schema).path;
  ValueSet set = ValueSet::all();
  for (const std::string_view keyword : {"dependentRequired", "dependentSchemas"}) {
    const Json* map = json.find(keyword);
    if (map == nullptr) continue;
    if (!map->is_object()) return wrong(path, keyword, "want an object");
    for (const auto& [name, needs] : map->as_object()) {
      ValueSet met = with_member(name, /*present=*/true, /*other_types=*/false);
      if (keyword == "dependentSchemas") {
        YQ_TRY(const ValueId value, sub(place, needs, "dependentSchemas." + name));
        YQ_TRY(const ValueSet* by, set_of(value));
        YQ_TRY(met, intersect_sets(met, *by, *this));
      } else {
        if (!needs.is_array()) return wrong(path, keyword, "want arrays of strings");
        for (const Json& need : needs.as_array()) {
          if (!need.is_string()) return wrong(path, keyword, "want arrays of strings");
          YQ_TRY(met, intersect_sets(met, with_member(need.as_string(), true, false), *this));
        }
      }
      YQ_TRY(const ValueSet any, unite_sets(with_member(name, false, true), met));
      YQ_TRY(set, intersect_sets(set, any, *this));
    }
  }
  return set;
}

// Each branch without what the others have too; branches that exclude each other need no work.
Result<ValueSet> SchemaValues::one_of(Place place, const Json& list) {
  const std::string path = document_.node(place.schema).path;
  std::vector<ValueId> values;
  for (const Json& schema : list.as_array()) {
    YQ_TRY(const ValueId value, sub(place, schema, "oneOf"));
    values.push_back(value);
  }
  ValueSet any;
  for (size_t i = 0; i < values.size(); ++i) {
    YQ_TRY(const ValueSet* branch, set_of(values[i]));
    ValueSet own = *branch;
    for (size_t k = 0; k < values.size() && !own.is_nothing(); ++k) {
      if (k == i || excludes(values[i], values[k])) continue;
      YQ_TRY(const ValueSet* other, set_of(opposite(values[k])));
      Result<ValueSet> rest = intersect_sets(own, *other, *this);
      if (!rest.is_ok()) return located(rest.status(), path, "oneOf");
      own = *std::move(rest);
    }
    YQ_TRY(any, unite_sets(any, own));
  }
  return any;
}

Result<SchemaValues::Cases> SchemaValues::join(const Cases& a, const Cases& b) {
  Cases out;
  for (const Case& x : a) {
    for (const Case& y : b) {
      Case both = x;
      YQ_TRY(both.set, intersect_sets(x.set, y.set, *this));
      if (both.set.is_nothing()) continue;
      both.keys.add(y.keys);
      both.items = std::max(x.items, y.items);
      both.all_items = x.all_items || y.all_items;
      both.contains.insert(both.contains.end(), y.contains.begin(), y.contains.end());
      out.push_back(std::move(both));
      if (out.size() > kMaxSchemaCases) {
        return error(Code::kUnsupported, "unevaluated...: more than {} cases", kMaxSchemaCases);
      }
    }
  }
  return out;
}

Result<SchemaValues::Cases> SchemaValues::join_not(const Cases& a, ValueId value) {
  YQ_TRY(const ValueSet* set, set_of(opposite(value)));
  Case one;
  one.set = *set;
  return join(a, {one});
}

Result<SchemaValues::Cases> SchemaValues::cases(Place place) {
  const SchemaNode node = document_.node(place.schema);
  if (!node.json->is_object()) {
    Cases out(1);
    if (node.json->is_bool() && !node.json->as_bool()) out.clear();
    return out;
  }
  if (depth_ >= kMaxSchemaNesting) {
    return error(Code::kUnsupported, "{}: more than {} schemas apply to one place", node.path,
                 kMaxSchemaNesting)
        .at(node.path);
  }
  ++depth_;
  Cases out(1);
  Status status = own_keywords(place, out[0]);
  if (status.is_ok()) {
    Result<Cases> all = with_branches(place, std::move(out));
    status = all.status();
    if (all.is_ok()) {
      out = *std::move(all);
      status = unevaluated(place, out);
    }
  }
  --depth_;
  if (!status.is_ok()) return located(status, node.path, "unevaluatedProperties");
  return out;
}

Result<SchemaValues::Cases> SchemaValues::with_branches(Place place, Cases out) {
  const Json& json = *document_.node(place.schema).json;
  YQ_TRY(const std::vector<Place> targets, references(place));
  for (const Place& target : targets) {
    YQ_TRY(const Cases inner, cases(target));
    YQ_TRY(out, join(out, inner));
  }
  for (const std::string_view keyword : {"allOf", "anyOf", "oneOf"}) {
    YQ_TRY(out, with_list(place, std::move(out), keyword));
  }
  if (json.find("not")) {
    YQ_TRY(const ValueId value, sub(place, "not"));
    YQ_TRY(out, join_not(out, value));
  }
  if (const Json* condition = json.find("if")) {
    YQ_TRY(const Place if_place, place_of(place, *condition, "if"));
    YQ_TRY(const Cases met_condition, cases(if_place));
    YQ_TRY(Cases met, join(out, met_condition));
    YQ_TRY(Cases unmet, join_not(out, schema_value(if_place.schema, if_place.scope)));
    for (const bool is_then : {true, false}) {
      const std::string_view keyword = is_then ? "then" : "else";
      const Json* branch = json.find(keyword);
      if (branch == nullptr) continue;
      YQ_TRY(const Place branch_place, place_of(place, *branch, keyword));
      YQ_TRY(const Cases inner, cases(branch_place));
      Cases& side = is_then ? met : unmet;
      YQ_TRY(side, join(side, inner));
    }
    out = std::move(met);
    out.insert(out.end(), unmet.begin(), unmet.end());
  }
  for (const std::string_view keyword : {"dependentRequired", "dependentSchemas"}) {
    const Json* map = json.find(keyword);
    if (map == nullptr || !map->is_object()) continue;
    for (const auto& [name, needs] : map->as_object()) {
      Cases met(1), unmet(1);
      met[0].set = with_member(name, true, false);
      unmet[0].set = with_member(name, false, true);
      if (keyword == "dependentSchemas") {
        YQ_TRY(const Place inner_place, place_of(place, needs, "dependentSchemas." + name));
        YQ_TRY(const Cases inner, cases(inner_place));
        YQ_TRY(met, join(met, inner));
      } else if (needs.is_array()) {
        for (const Json& need : needs.as_array()) {
          if (!need.is_string()) continue;
          Cases one(1);
          one[0].set = with_member(need.as_string(), true, false);
          YQ_TRY(met, join(met, one));
        }
      }
      met.insert(met.end(), unmet.begin(), unmet.end());
      YQ_TRY(out, join(out, met));
    }
  }
  return out;
}

// allOf, anyOf, oneOf: which branches hold is told apart, since only those evaluate something.
Result<SchemaValues::Cases> SchemaValues::with_list(Place place, Cases out,
                                                    std::string_view keyword) {
  const Json* list = document_.node(place.schema).json->find(keyword);
  if (list == nullptr) return out;
  if (!list->is_array() || list->as_array().empty()) {
    return wrong(document_.node(place.schema).path, keyword, "want an array of schemas");
  }
  Cases none = std::move(out), some;
  for (const Json& schema : list->as_array()) {
    YQ_TRY(const Place branch, place_of(place, schema, keyword));
    YQ_TRY(const Cases inner, cases(branch));
    if (keyword == "allOf") {
      YQ_TRY(none, join(none, inner));
      continue;
    }
    const ValueId value = schema_value(branch.schema, branch.scope);
    YQ_TRY(Cases first, join(none, inner));
    YQ_TRY(Cases still, join_not(some, value));
    if (keyword == "anyOf") {
      YQ_TRY(const Cases more, join(some, inner));
      still.insert(still.end(), more.begin(), more.end());
    }
    still.insert(still.end(), first.begin(), first.end());
    if (still.size() > kMaxSchemaCases) {
      return error(Code::kUnsupported, "{}: more than {} cases", keyword, kMaxSchemaCases);
    }
    some = std::move(still);
    YQ_TRY(none, join_not(none, value));
  }
  return keyword == "allOf" ? none : some;
}

Status SchemaValues::unevaluated(Place place, Cases& all) {
  const Json& json = *document_.node(place.schema).json;
  Cases out;
  for (Case& one : all) {
    if (json.find("unevaluatedProperties")) {
      YQ_TRY(const ValueId value, sub(place, "unevaluatedProperties"));
      if (value != kAnyValue && !one.keys.is_all()) {
        ValueSet narrow = ValueSet::all();
        KeySet others = one.keys;
        others.negated = true;
        narrow.objects[0].counts.push_back({std::move(others), opposite(value), 0, 0});
        YQ_TRY(one.set, intersect_sets(one.set, narrow, *this));
      }
      one.keys = KeySet::all();
    }
    if (json.find("unevaluatedItems")) {
      YQ_TRY(const ValueId value, sub(place, "unevaluatedItems"));
      if (value != kAnyValue && !one.all_items) {
        ValueId forbidden = opposite(value);
        for (const ValueId contains : one.contains) forbidden = both(forbidden, opposite(contains));
        ValueSet narrow = ValueSet::all();
        narrow.arrays[0].counts.push_back({one.items, kNoLimit, forbidden, 0, 0});
        YQ_TRY(one.set, intersect_sets(one.set, narrow, *this));
      }
      one.all_items = true;
    }
    if (!one.set.is_nothing()) out.push_back(std::move(one));
  }
  all = std::move(out);
  return Status::ok();
}

}  // namespace yunqi
