// What the schemas of a document allow, as sets: reads keywords and turns combinations of schemas
// into combinations of sets. One per compilation, on one thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "text/json_schema_document.h"
#include "text/json_schema_set.h"

namespace yunqi {

inline constexpr size_t kMaxSchemaValues = 20'000;   // different sets in one compilation
inline constexpr size_t kMaxSchemaWork = 60'000;     // combinations of parts in one compilation
inline constexpr size_t kMaxSchemaCases = 256;       // of one schema with unevaluated...
inline constexpr int kMaxSchemaNesting = 200;        // schemas that apply to one place, by nesting
inline constexpr uint32_t kMaxSchemaCount = 10'000;  // minItems and the like
inline constexpr uint32_t kMaxMinProperties = 256;

class SchemaValues : public ValueOracle {
 public:
  SchemaValues(SchemaDocument& document, bool assert_formats);

  ValueId root();
  // Everything the value may be. Errors carry the path of the keyword at fault.
  Result<const ValueSet*> set_of(ValueId value);
  ValueId constant(const Json& json);
  ValueId both(ValueId a, ValueId b);
  ValueId opposite(ValueId value) override;
  bool excludes(ValueId a, ValueId b) override { return is_impossible(both(a, b)); }
  bool is_impossible(ValueId value) override;
  Status spend(size_t work) override;
  // The path of the schema that `value` comes from, as far as there is one.
  std::string path_of(ValueId value) const;
  bool is_full() const { return is_full_; }
  // Whether `dfa` is a format's own, and so lives for ever.
  bool is_format(const std::shared_ptr<const Dfa>& dfa) const { return formats_.contains(dfa); }

 private:
  struct Value {
    enum class Kind : uint8_t { kNothing, kAny, kSchema, kConstant, kNot, kAnd };
    Kind kind = Kind::kAny;
    SchemaId schema = 0;
    uint32_t scope = 0;
    Json constant;
    std::vector<ValueId> parts;
    enum class Progress : uint8_t { kNone, kBusy, kDone } progress = Progress::kNone;
    std::shared_ptr<const ValueSet> set;
  };
  // A way for an instance to be valid, with what was evaluated on it.
  struct Case {
    ValueSet set = ValueSet::all();
    KeySet keys;         // evaluated members
    uint32_t items = 0;  // evaluated items: so many at the start
    bool all_items = false;
    std::vector<ValueId> contains;  // and all that are one of these
  };
  using Cases = std::vector<Case>;
  struct Place {
    SchemaId schema = 0;
    uint32_t scope = 0;
  };

  ValueId intern(std::string key, Value value);
  ValueId schema_value(SchemaId schema, uint32_t scope);
  uint32_t entered(uint32_t scope, SchemaId schema);
  Result<ValueSet> compute(const Value& value);
  ValueSet constant_set(const Json& json);

  // One schema's keywords.
  Result<ValueSet> schema_set(Place place);
  Status own_keywords(Place place, Case& out);
  Status number_keywords(const Json& json, const std::string& path, ValueSet& set);
  Status string_keywords(const Json& json, const std::string& path, ValueSet& set);
  Status array_keywords(Place place, Case& out);
  Status contains_keyword(Place place, Case& out);
  Status object_keywords(Place place, Case& out);
  Status name_keywords(Place place, ObjectPart& part);
  Status type_keywords(const Json& json, const std::string& path, ValueSet& set);
  Result<ValueSet> apply(Place place, ValueSet set);
  Result<ValueSet> dependencies(Place place);
  Result<ValueSet> one_of(Place place, const Json& list);
  Result<Cases> cases(Place place);
  Result<Cases> with_branches(Place place, Cases cases);
  Result<Cases> with_list(Place place, Cases cases, std::string_view keyword);
  Status unevaluated(Place place, Cases& cases);
  Result<Cases> join(const Cases& a, const Cases& b);
  Result<Cases> join_not(const Cases& a, ValueId value);

  // The value of the subschema under `keyword`; nullopt-like kAnyValue when there is none.
  Result<ValueId> sub(Place place, std::string_view keyword);
  Result<ValueId> sub(Place place, const Json& json, std::string_view path);
  Result<Place> place_of(Place from, const Json& json, std::string_view path);
  // Targets of $ref and $dynamicRef.
  Result<std::vector<Place>> references(Place place);
  Result<std::shared_ptr<const Dfa>> pattern(const std::string& text);

  SchemaDocument& document_;
  bool assert_formats_;
  bool is_full_ = false;
  size_t work_ = 0;
  int depth_ = 0;    // of set_of
  int guesses_ = 0;  // of is_impossible
  std::vector<Value> values_;
  std::unordered_map<std::string, ValueId> by_key_;
  std::unordered_map<ValueId, bool> impossible_;
  std::vector<std::vector<uint32_t>> scopes_;
  std::map<std::string, std::shared_ptr<const Dfa>> patterns_;
  std::set<std::shared_ptr<const Dfa>> formats_;
};

// The automaton of a `format`, or null when it is not one of ours. Made once, lives for ever.
// Thread-safe.
std::shared_ptr<const Dfa> format_dfa(std::string_view name);

// The same value in one spelling: members sorted, numbers by value.
std::string canonical_json(const Json& json);

}  // namespace yunqi
