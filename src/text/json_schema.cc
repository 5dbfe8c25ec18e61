// From sets of JSON values to rules and shapes; see json_schema.h. First every value that can be
// reached gets a plan; then it is found out which plans anything satisfies, and how deep the
// shallowest instance is; last, what remains becomes the program.
#include "text/json_schema.h"

#include <algorithm>
#include <map>
#include <set>

#include "text/grammar_run.h"
#include "text/json_schema_values.h"

namespace yunqi {
namespace {

struct PlanOption {
  ValueId value = kAnyValue;
  bool is_unique = false;
  std::vector<uint32_t> bumps;
};

struct PlanKey {
  std::string name;                 // named keys
  std::shared_ptr<const Dfa> keys;  // open keys; null means any
  bool required = false;
  std::vector<PlanOption> options;
};

struct PlanObject {
  std::vector<PlanKey> keys, open;
  std::vector<CounterBounds> counters;
};

struct PlanArray {
  std::vector<std::vector<PlanOption>> positions;
  std::vector<CounterBounds> counters;
  uint32_t min_items = 0, max_items = kNoLimit;
};

struct Plan {
  std::vector<LeafPtr> leaves;
  std::vector<PlanArray> arrays;
  std::vector<PlanObject> objects;
  std::vector<uint32_t> array_nesting, object_nesting;  // kNoLimit: nothing satisfies it (yet)
  uint32_t nesting = kNoLimit;
  uint32_t rule = UINT32_MAX;
};

// A demand on one key or position, for listing the ways to meet or miss it.
struct Demand {
  ValueId value = kAnyValue;
  uint32_t low = 0, high = kNoLimit;
  uint32_t counter = UINT32_MAX;
  bool only_here = false;  // nothing else can raise its count
};

class Planner {
 public:
  Planner(GrammarBuilder& builder, SchemaValues& values, JsonSpace space)
      : builder_(builder), values_(values), space_(space) {}

  Result<uint32_t> run(ValueId root) {
    add_marks();
    want(root);
    while (!todo_.empty()) {
      const ValueId value = todo_.back();
      todo_.pop_back();
      const Status status = plan(value);
      if (!status.is_ok()) {
        if (!status.field().empty()) return status;
        const std::string path = values_.path_of(value);
        return status.with_context(path).at(path);
      }
      if (values_.is_full()) {
        return error(Code::kUnsupported, "schema: its combinations need more than {} sets",
                     kMaxSchemaValues)
            .at("schema");
      }
    }
    find_nesting();
    if (plans_.at(root).nesting > kMaxJsonNesting) {
      return error(Code::kInvalidArgument, "schema: no value satisfies it").at("schema");
    }
    for (auto& [value, plan] : plans_) {
      if (plan.nesting != kNoLimit) plan.rule = builder_.add_rule();
    }
    for (auto& [value, plan] : plans_) {
      if (plan.nesting != kNoLimit) YQ_RETURN_IF_ERROR(emit(plan));
    }
    return plans_.at(root).rule;
  }

 private:
  void want(ValueId value) {
    if (plans_.try_emplace(value).second) todo_.push_back(value);
  }

  void add_marks() {
    JsonMarks& marks = builder_.program().marks;
    const std::string space(space_pattern(space_));
    const auto leaf = [&](const std::string& pattern, bool before_json = false) {
      return builder_.add_leaf(builder_.leaves().fixed(pattern, before_json));
    };
    marks.array_open = leaf("\\[" + space, true);
    marks.array_end = leaf("\\]");
    marks.array_close = leaf(space + "\\]");
    marks.object_open = leaf("\\{" + space, true);
    marks.object_end = leaf("\\}");
    marks.object_close = leaf(space + "\\}");
    marks.comma = leaf("," + space, true);
  }

  Status plan(ValueId value) {
    YQ_TRY(const ValueSet* set, values_.set_of(value));
    Plan plan;
    YQ_RETURN_IF_ERROR(plan_scalars(*set, plan.leaves));
    for (const ArrayPart& part : set->arrays) {
      YQ_TRY(PlanArray array, plan_array(part));
      plan.arrays.push_back(std::move(array));
    }
    for (const ObjectPart& part : set->objects) {
      YQ_TRY(PlanObject object, plan_object(part));
      plan.objects.push_back(std::move(object));
    }
    plans_[value] = std::move(plan);
    return Status::ok();
  }

  // ---- scalars ----

  Status plan_scalars(const ValueSet& set, std::vector<LeafPtr>& out) {
    std::string words;
    for (const auto& [present, word] :
         {std::pair{set.null_value, "null"}, std::pair{set.true_value, "true"},
          std::pair{set.false_value, "false"}}) {
      if (present) words += (words.empty() ? "" : "|") + std::string(word);
    }
    if (!words.empty()) out.push_back(builder_.leaves().fixed(words));
    YQ_RETURN_IF_ERROR(plan_numbers(set.numbers, out));
    for (const StringAtom& atom : set.strings) {
      if (!atom.dfa) {
        out.push_back(builder_.leaves().counted(atom.min, atom.max));
        continue;
      }
      if (atom.min == 0 && atom.max == kNoLimit && values_.is_format(atom.dfa)) {
        YQ_TRY(LeafPtr leaf, builder_.leaves().shared_string(atom.dfa));
        out.push_back(std::move(leaf));
        continue;
      }
      YQ_TRY(const Dfa content, content_of(atom));
      if (content.is_empty()) continue;
      YQ_TRY(const Dfa nothing, build_dfa(GrammarNode()));
      YQ_TRY(Dfa dfa, json_string_dfa(content, nothing, nullptr));
      out.push_back(builder_.leaves().plain(std::move(dfa)));
    }
    return Status::ok();
  }

  static Result<Dfa> content_of(const StringAtom& atom) {
    if (atom.dfa && atom.min == 0 && atom.max == kNoLimit) return *atom.dfa;
    // A pattern that itself bounds the length needs no huge bound besides.
    uint32_t max = atom.max;
    if (atom.dfa && max != kNoLimit) {
      const std::optional<size_t> longest = longest_bytes(*atom.dfa);
      if (longest && *longest <= max) max = kNoLimit;
    }
    if (atom.dfa && atom.min == 0 && max == kNoLimit) return *atom.dfa;
    Result<Dfa> lengths = dfa_of_lengths(atom.min, max);
    if (!lengths.is_ok()) {
      return error(Code::kUnsupported, "minLength, maxLength: too long to combine with a pattern");
    }
    if (!atom.dfa) return lengths;
    return combine(*atom.dfa, *lengths, DfaOperation::kIntersect);
  }

  Status plan_numbers(const NumberSet& set, std::vector<LeafPtr>& out) {
    std::vector<std::string> points;
    Dfa all;
    for (const NumberAtom& atom : set) {
      if (atom.is_all()) {
        out.push_back(builder_.leaves().fixed(any_number_pattern()));
        return Status::ok();
      }
      NumberAtom whole;
      whole.whole = NumberAtom::Whole::kWhole;
      const bool is_plain_whole = atom.whole == whole.whole && !atom.low && !atom.high &&
                                  atom.multiples.empty() && atom.not_multiples.empty();
      if (is_plain_whole && set.size() == 1) {
        out.push_back(builder_.leaves().fixed("0|-?[1-9][0-9]{0,19}"));
        return Status::ok();
      }
      if (atom.low && atom.high && *atom.low == *atom.high && atom.multiples.empty() &&
          atom.not_multiples.empty()) {
        const std::string text = atom.low->text();
        if (!text.empty()) points.push_back(text);
        continue;
      }
      YQ_TRY(const Dfa dfa, number_dfa(atom));
      YQ_TRY(all, combine(all, dfa, DfaOperation::kUnite));
    }
    if (!points.empty()) {
      YQ_TRY(const Dfa dfa, dfa_of_strings(points));
      YQ_TRY(all, combine(all, dfa, DfaOperation::kUnite));
    }
    if (!all.is_empty()) out.push_back(builder_.leaves().plain(std::move(all)));
    return Status::ok();
  }

  // ---- options ----

  // Every way to meet some of the demands and miss the others, as far as it matters.
  Status list_options(const std::vector<Demand>& demands, size_t at, const PlanOption& so_far,
                      std::vector<PlanOption>& out) {
    if (so_far.value != kAnyValue && values_.is_impossible(so_far.value)) return Status::ok();
    if (at == demands.size()) {
      if (out.size() >= kMaxShapeOptions) {
        return error(Code::kUnsupported,
                     "contains, minContains, oneOf or not: one place has more than {} cases",
                     kMaxShapeOptions);
      }
      out.push_back(so_far);
      want(so_far.value);
      return Status::ok();
    }
    const Demand& demand = demands[at];
    PlanOption met = so_far, missed = so_far;
    if (demand.high > 0) {
      met.value = values_.both(so_far.value, demand.value);
      if (demand.counter != UINT32_MAX) met.bumps.push_back(demand.counter);
      YQ_RETURN_IF_ERROR(list_options(demands, at + 1, met, out));
    }
    if (demand.value == kAnyValue || (demand.only_here && demand.low > 0)) return Status::ok();
    // Without an upper limit it does no harm to miss what in fact was met.
    if (demand.high != kNoLimit) {
      missed.value = values_.both(so_far.value, values_.opposite(demand.value));
    }
    return list_options(demands, at + 1, missed, out);
  }

  // ---- arrays ----

  Result<PlanArray> plan_array(ArrayPart part) {
    PlanArray out;
    std::vector<ItemCount> counts;
    for (const ItemCount& count : part.counts) {
      if (count.first == 0 && count.last == kNoLimit && count.value == kAnyValue) {
        out.min_items = std::max(out.min_items, count.low);
        out.max_items = std::min(out.max_items, count.high);
      } else if (count.low > 0 || count.high != kNoLimit) {
        counts.push_back(count);
      }
    }
    std::set<uint32_t> cuts = {0};
    const auto cut_at = [&](const ItemCount& count) {
      cuts.insert(count.first);
      if (count.last != kNoLimit) cuts.insert(count.last + 1);
    };
    for (const ItemCount& count : counts) cut_at(count);
    bool strings_differ = false;
    if (part.unique && out.max_items > 1) {
      YQ_TRY(strings_differ, expand_unique(cuts, counts));
    }
    if (*cuts.rbegin() > 512) {
      return error(Code::kUnsupported, "prefixItems: more than 512 positions differ");
    }
    std::vector<uint32_t> counters(counts.size(), UINT32_MAX);
    for (size_t i = 0; i < counts.size(); ++i) {
      if (counts[i].high == 0) continue;
      counters[i] = static_cast<uint32_t>(out.counters.size());
      out.counters.push_back({counts[i].low, counts[i].high});
    }
    for (uint32_t at = 0; at <= *cuts.rbegin(); ++at) {
      std::vector<Demand> demands;
      for (size_t i = 0; i < counts.size(); ++i) {
        const ItemCount& count = counts[i];
        if (count.first > at || at > count.last) continue;
        demands.push_back(
            {count.value, count.low, count.high, counters[i], count.first == count.last});
      }
      PlanOption start;
      start.is_unique = strings_differ;
      YQ_RETURN_IF_ERROR(list_options(demands, 0, start, out.positions.emplace_back()));
      if (out.positions.back().empty() && at < out.max_items) out.max_items = at;
    }
    return out;
  }

  // uniqueItems: each of a few values at most once, or strings that are compared as they come.
  // True for the latter.
  Result<bool> expand_unique(const std::set<uint32_t>& cuts, std::vector<ItemCount>& counts) {
    std::map<std::string, Json> listed;
    bool all_listed = true, all_strings = true;
    for (const uint32_t at : cuts) {
      ValueId value = kAnyValue;
      for (const ItemCount& count : counts) {
        if (count.high == 0 && count.first <= at && at <= count.last) {
          value = values_.both(value, values_.opposite(count.value));
        }
      }
      YQ_TRY(const ValueSet* set, values_.set_of(value));
      all_listed = all_listed && list_values(*set, listed);
      all_strings = all_strings && set->arrays.empty() && set->objects.empty() &&
                    set->numbers.empty() && !set->null_value && !set->true_value &&
                    !set->false_value;
    }
    if (all_listed) {
      for (const auto& [key, json] : listed) {
        counts.push_back({0, kNoLimit, values_.constant(json), 0, 1});
      }
      return false;
    }
    if (all_strings) return true;
    return error(Code::kUnsupported,
                 "uniqueItems: items must be strings, or one of at most {} listed values",
                 kMaxUniqueValues);
  }

  static bool list_values(const ValueSet& set, std::map<std::string, Json>& out) {
    if (!set.arrays.empty() || !set.objects.empty()) return false;
    const auto add = [&](Json json) { out.emplace(canonical_json(json), std::move(json)); };
    if (set.null_value) add(Json());
    if (set.true_value) add(Json(true));
    if (set.false_value) add(Json(false));
    for (const NumberAtom& atom : set.numbers) {
      if (!atom.low || !atom.high || !(*atom.low == *atom.high)) return false;
      Result<Json> json = parse_json(atom.low->text());
      if (!json.is_ok()) return false;
      add(*std::move(json));
    }
    for (const StringAtom& atom : set.strings) {
      Result<Dfa> content = content_of(atom);
      if (!content.is_ok()) return false;
      const auto strings = finite_strings(*content, kMaxUniqueValues);
      if (!strings) return false;
      for (const std::string& text : *strings) add(Json(text));
    }
    return out.size() <= kMaxUniqueValues;
  }

  // ---- objects ----

  Result<PlanObject> plan_object(const ObjectPart& part) {
    PlanObject out;
    std::set<std::string> names;
    std::vector<std::shared_ptr<const Dfa>> patterns;
    std::vector<uint32_t> counters(part.counts.size(), UINT32_MAX);
    for (size_t i = 0; i < part.counts.size(); ++i) {
      const MemberCount& count = part.counts[i];
      names.insert(count.keys.names.begin(), count.keys.names.end());
      for (const auto& pattern : count.keys.patterns) {
        if (std::find(patterns.begin(), patterns.end(), pattern) == patterns.end()) {
          patterns.push_back(pattern);
        }
      }
      const bool is_required = count.keys.is_one() && count.value == kAnyValue && count.low == 1;
      if (count.high == 0 || is_required || (count.low == 0 && count.high == kNoLimit)) continue;
      if (count.keys.is_one() && count.low == 0) continue;  // a key comes only once
      counters[i] = static_cast<uint32_t>(out.counters.size());
      out.counters.push_back({count.low, count.high});
    }
    if (patterns.size() > kMaxKeyPatterns) {
      return error(Code::kUnsupported, "patternProperties, propertyNames: more than {} patterns",
                   kMaxKeyPatterns);
    }
    YQ_RETURN_IF_ERROR(plan_open_keys(part, counters, patterns, names, out));
    if (names.size() > kMaxObjectNames) {
      return error(Code::kInvalidArgument, "properties: more than {} names", kMaxObjectNames);
    }
    planned_keys_ += names.size();
    if (planned_keys_ > kMaxPlannedKeys) {
      return error(Code::kUnsupported, "properties: all combinations need more than {} members",
                   kMaxPlannedKeys);
    }
    for (const std::string& name : names) {
      PlanKey key;
      key.name = name;
      std::vector<Demand> demands;
      for (size_t i = 0; i < part.counts.size(); ++i) {
        const MemberCount& count = part.counts[i];
        if (!count.keys.has(name)) continue;
        if (count.keys.is_one() && count.value == kAnyValue && count.low == 1) key.required = true;
        demands.push_back({count.value, count.low, count.high, counters[i], count.keys.is_one()});
      }
      YQ_RETURN_IF_ERROR(list_options(demands, 0, {}, key.options));
      out.keys.push_back(std::move(key));
    }
    return out;
  }

  // Keys without a name of their own, by which patterns match them. Classes of few keys become
  // named ones.
  Status plan_open_keys(const ObjectPart& part, const std::vector<uint32_t>& counters,
                        const std::vector<std::shared_ptr<const Dfa>>& patterns,
                        std::set<std::string>& names, PlanObject& out) {
    for (uint32_t choice = 0; choice < (1u << patterns.size()); ++choice) {
      std::vector<Demand> demands;
      for (size_t i = 0; i < part.counts.size(); ++i) {
        const MemberCount& count = part.counts[i];
        bool covered = false;
        for (size_t p = 0; p < patterns.size(); ++p) {
          const auto& own = count.keys.patterns;
          covered = covered || ((choice >> p & 1) != 0 &&
                                std::find(own.begin(), own.end(), patterns[p]) != own.end());
        }
        if (covered == count.keys.negated) continue;
        demands.push_back({count.value, count.low, count.high, counters[i], false});
      }
      PlanKey key;
      YQ_RETURN_IF_ERROR(list_options(demands, 0, {}, key.options));
      if (key.options.empty()) continue;
      if (!patterns.empty()) {
        YQ_TRY(Dfa keys, keys_of(patterns, choice));
        if (keys.is_empty()) continue;
        if (const auto few = finite_strings(keys, kMaxObjectNames)) {
          names.insert(few->begin(), few->end());
          continue;
        }
        key.keys = std::make_shared<const Dfa>(std::move(keys));
      }
      out.open.push_back(std::move(key));
    }
    return Status::ok();
  }

  static Result<Dfa> keys_of(const std::vector<std::shared_ptr<const Dfa>>& patterns,
                             uint32_t choice) {
    YQ_TRY(Dfa keys, dfa_of_lengths(0, GrammarNode::kUnbounded));
    for (size_t p = 0; p < patterns.size(); ++p) {
      const bool inside = (choice >> p & 1) != 0;
      YQ_TRY(keys, combine(keys, *patterns[p],
                           inside ? DfaOperation::kIntersect : DfaOperation::kSubtract));
    }
    return keys;
  }

  // ---- what can be satisfied ----

  // Round by round: a shape is satisfiable when it can be completed with values found so before.
  void find_nesting() {
    for (auto& [value, plan] : plans_) {
      plan.array_nesting.assign(plan.arrays.size(), kNoLimit);
      plan.object_nesting.assign(plan.objects.size(), kNoLimit);
      if (!plan.leaves.empty()) plan.nesting = 0;
    }
    bool changed = true;
    for (uint32_t round = 1; changed && round <= kMaxJsonNesting; ++round) {
      changed = false;
      std::vector<std::pair<uint32_t*, uint32_t*>> found;  // shape's and plan's nesting
      for (auto& [value, plan] : plans_) {
        for (size_t i = 0; i < plan.arrays.size(); ++i) {
          if (plan.array_nesting[i] != kNoLimit || !can_fill(plan.arrays[i])) continue;
          found.emplace_back(&plan.array_nesting[i], &plan.nesting);
        }
        for (size_t i = 0; i < plan.objects.size(); ++i) {
          if (plan.object_nesting[i] != kNoLimit || !can_fill(plan.objects[i])) continue;
          found.emplace_back(&plan.object_nesting[i], &plan.nesting);
        }
      }
      for (const auto& [shape, plan] : found) {
        *shape = round;
        *plan = std::min(*plan, round);
        changed = true;
      }
    }
  }

  std::vector<ShapeOption> usable(const std::vector<PlanOption>& options) {
    std::vector<ShapeOption> out;
    for (const PlanOption& option : options) {
      const Plan& plan = plans_.at(option.value);
      if (plan.nesting == kNoLimit) continue;
      ShapeOption usable;
      usable.rule = plan.rule;
      usable.nesting = plan.nesting;
      usable.is_unique = option.is_unique;
      usable.bumps = option.bumps;
      out.push_back(std::move(usable));
    }
    return out;
  }

  ArrayShape shape_of(const PlanArray& plan) {
    ArrayShape shape;
    shape.counters = plan.counters;
    shape.min_items = plan.min_items;
    shape.max_items = plan.max_items;
    for (size_t i = 0; i < plan.positions.size(); ++i) {
      shape.positions.push_back(usable(plan.positions[i]));
      if (shape.positions.back().empty()) {
        shape.max_items = std::min(shape.max_items, static_cast<uint32_t>(i));
      }
    }
    return shape;
  }

  ObjectShape shape_of(const PlanObject& plan) {
    ObjectShape shape;
    shape.counters = plan.counters;
    shape.required.assign(plan.keys.size() / 64 + 1, 0);
    for (size_t k = 0; k < plan.keys.size(); ++k) {
      shape.keys.push_back({json_spelling(plan.keys[k].name), 0, usable(plan.keys[k].options)});
      if (plan.keys[k].required) shape.required[k / 64] |= uint64_t{1} << (k % 64);
    }
    for (const PlanKey& open : plan.open) shape.open.push_back({0, usable(open.options)});
    return shape;
  }

  bool can_fill(const PlanArray& plan) {
    const ArrayShape shape = shape_of(plan);
    if (shape.min_items > shape.max_items) return false;
    if (shape.counters.empty()) return true;
    std::vector<uint32_t> counts(shape.counters.size(), 0);
    uint32_t budget = kMaxFeasibleSteps;
    return GrammarRun::array_feasible(shape, 0, counts, budget);
  }

  bool can_fill(const PlanObject& plan) {
    const ObjectShape shape = shape_of(plan);
    for (size_t k = 0; k < shape.keys.size(); ++k) {
      const bool required = (shape.required[k / 64] >> (k % 64) & 1) != 0;
      if (required && shape.keys[k].options.empty()) return false;
    }
    if (shape.counters.empty()) return true;
    std::vector<uint64_t> used(shape.required.size(), 0);
    std::vector<uint32_t> counts(shape.counters.size(), 0);
    uint32_t budget = kMaxFeasibleSteps;
    return GrammarRun::object_feasible(shape, used, counts, budget);
  }

  // ---- the program ----

  Status emit(Plan& plan) {
    GrammarRule rule;
    rule.states.resize(2);
    rule.states[1].accepts = true;
    GrammarProgram& program = builder_.program();
    const auto add = [&](GrammarEdge::Kind kind, size_t index, uint32_t nesting) {
      rule.states[0].edges.push_back({kind, static_cast<uint32_t>(index), 1, nesting});
    };
    for (const LeafPtr& leaf : plan.leaves) {
      add(GrammarEdge::Kind::kLeaf, builder_.add_leaf(leaf), 0);
    }
    for (size_t i = 0; i < plan.arrays.size(); ++i) {
      if (plan.array_nesting[i] == kNoLimit) continue;
      ArrayShape shape = shape_of(plan.arrays[i]);
      YQ_RETURN_IF_ERROR(emit_unique(plan.arrays[i], shape));
      add(GrammarEdge::Kind::kArray, program.arrays.size(), plan.array_nesting[i]);
      program.arrays.push_back(std::move(shape));
    }
    for (size_t i = 0; i < plan.objects.size(); ++i) {
      if (plan.object_nesting[i] == kNoLimit) continue;
      const PlanObject& from = plan.objects[i];
      ObjectShape shape = shape_of(from);
      for (size_t k = 0; k < from.keys.size(); ++k) {
        if (shape.keys[k].options.empty()) continue;
        LeafPtr& leaf = key_leaves_[from.keys[k].name];
        if (!leaf) leaf = builder_.leaves().named_key(from.keys[k].name, space_);
        shape.keys[k].leaf = builder_.add_leaf(leaf);
      }
      for (size_t k = 0; k < from.open.size(); ++k) {
        LeafPtr leaf = from.open[k].keys ? nullptr : builder_.leaves().any_key(space_);
        if (!leaf) {
          YQ_TRY(leaf, builder_.leaves().key_of(*from.open[k].keys, space_));
        }
        shape.open[k].leaf = builder_.add_leaf(leaf);
      }
      add(GrammarEdge::Kind::kObject, program.objects.size(), plan.object_nesting[i]);
      program.objects.push_back(std::move(shape));
    }
    program.rules[plan.rule] = std::move(rule);
    return Status::ok();
  }

  // Items that must differ get rules of their own, whose strings are compared.
  Status emit_unique(const PlanArray& plan, ArrayShape& shape) {
    for (size_t at = 0; at < plan.positions.size(); ++at) {
      if (shape.positions[at].empty() || !shape.positions[at][0].is_unique) continue;
      size_t kept = 0;
      for (const PlanOption& option : plan.positions[at]) {
        if (plans_.at(option.value).nesting == kNoLimit) continue;
        uint32_t& rule = unique_rules_.try_emplace(option.value, UINT32_MAX).first->second;
        if (rule == UINT32_MAX) {
          YQ_TRY(rule, unique_rule(option.value));
        }
        shape.positions[at][kept++].rule = rule;
      }
    }
    return Status::ok();
  }

  Result<uint32_t> unique_rule(ValueId value) {
    YQ_TRY(const ValueSet* set, values_.set_of(value));
    Dfa all;
    for (const StringAtom& atom : set->strings) {
      YQ_TRY(const Dfa content, content_of(atom));
      YQ_TRY(all, combine(all, content, DfaOperation::kUnite));
    }
    YQ_TRY(const LeafPtr leaf, builder_.leaves().unique_string(all));
    return builder_.leaf_rule(leaf);
  }

  GrammarBuilder& builder_;
  SchemaValues& values_;
  JsonSpace space_;
  std::map<ValueId, Plan> plans_;
  std::vector<ValueId> todo_;
  std::map<ValueId, uint32_t> unique_rules_;
  std::map<std::string, LeafPtr> key_leaves_;
  size_t planned_keys_ = 0;
};

// Schemas of other drafts mean other things by the same words.
Status check_draft(const Json& schema) {
  const Json* draft = schema.find("$schema");
  if (draft == nullptr) return Status::ok();
  const std::string name = draft->is_string() ? draft->as_string() : "";
  for (const std::string_view known :
       {"https://json-schema.org/draft/2020-12/schema",
        "https://json-schema.org/draft/2019-09/schema", "http://json-schema.org/draft-07/schema",
        "http://json-schema.org/draft-06/schema"}) {
    if (name == known || name == std::string(known) + "#") return Status::ok();
  }
  return error(Code::kUnsupported, "schema.$schema: want draft 2020-12, found {}", draft->dump())
      .at("schema.$schema");
}

}  // namespace

Result<uint32_t> json_rule(GrammarBuilder& builder, const GrammarSpec& spec) {
  const Json any_object = Json::object({{"type", "object"}});
  const Json& schema = spec.kind == GrammarSpec::Kind::kJsonObject ? any_object : spec.schema;
  if (schema.is_object()) YQ_RETURN_IF_ERROR(check_draft(schema));
  if (!schema.is_object() && !schema.is_bool()) {
    return error(Code::kInvalidArgument, "schema: want an object or a boolean, found {}",
                 schema.type_name())
        .at("schema");
  }
  if (schema.dump().size() > kMaxGrammarBytes) {
    return error(Code::kInvalidArgument, "schema: more than {} bytes", kMaxGrammarBytes)
        .at("schema");
  }
  YQ_TRY(SchemaDocument document, SchemaDocument::read(schema, spec.documents));
  SchemaValues values(document, spec.assert_formats);
  return Planner(builder, values, spec.space).run(values.root());
}

}  // namespace yunqi
