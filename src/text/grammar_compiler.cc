// One door for all kinds of grammars, with a cache of the latest; see grammar.h.
#include <algorithm>

#include "text/grammar.h"
#include "text/grammar_builder.h"
#include "text/grammar_ebnf.h"
#include "text/grammar_leaves.h"
#include "text/json_schema.h"
#include "text/regex.h"

namespace yunqi {
namespace {

constexpr int kMaxTagNesting = 1;  // a tag's content is no tags
constexpr size_t kMaxTriggers = 16;

Status empty_grammar(std::string_view what) {
  return error(Code::kInvalidArgument, "{}: nothing matches it", what).at(std::string(what));
}

// Drops what can never end: rules that only call themselves, and the ways into them.
bool prune(GrammarProgram& program) {
  const size_t count = program.rules.size();
  std::vector<uint8_t> ends(count, 0);
  const auto usable = [&](const GrammarEdge& edge) {
    return edge.kind != GrammarEdge::Kind::kRule || ends[edge.index];
  };
  // Which states of a rule reach an accepting one over usable edges.
  const auto alive_states = [&](const GrammarRule& rule) {
    std::vector<uint8_t> alive(rule.states.size(), 0);
    for (bool changed = true; changed;) {
      changed = false;
      for (size_t s = 0; s < rule.states.size(); ++s) {
        if (alive[s]) continue;
        const GrammarState& state = rule.states[s];
        alive[s] = state.accepts || std::any_of(state.edges.begin(), state.edges.end(),
                                                [&](const GrammarEdge& edge) {
                                                  return alive[edge.to] && usable(edge);
                                                });
        changed = changed || alive[s];
      }
    }
    return alive;
  };
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t r = 0; r < count; ++r) {
      if (ends[r] || program.rules[r].states.empty() || !alive_states(program.rules[r])[0])
        continue;
      ends[r] = 1;
      changed = true;
    }
  }
  for (GrammarRule& rule : program.rules) {
    const std::vector<uint8_t> alive = alive_states(rule);
    for (GrammarState& state : rule.states) {
      std::erase_if(state.edges,
                    [&](const GrammarEdge& edge) { return !alive[edge.to] || !usable(edge); });
    }
  }
  return ends[program.root] != 0;
}

class SpecCompiler {
 public:
  explicit SpecCompiler(LeafFactory& leaves) : builder_(leaves) {}

  Result<GrammarProgram> run(const GrammarSpec& spec) {
    YQ_TRY(builder_.program().root, rule_of(spec, 0));
    if (builder_.program().rules.size() > kMaxGrammarRules) {
      return error(Code::kInvalidArgument, "the grammar needs more than {} rules",
                   kMaxGrammarRules);
    }
    if (!prune(builder_.program())) return empty_grammar("grammar");
    return std::move(builder_.program());
  }

 private:
  Result<uint32_t> rule_of(const GrammarSpec& spec, int nesting) {
    switch (spec.kind) {
      case GrammarSpec::Kind::kJsonObject:
      case GrammarSpec::Kind::kJsonSchema:
        return json_rule(builder_, spec);
      case GrammarSpec::Kind::kRegex: {
        Result<Dfa> dfa = compile_regex(spec.text, Anchoring::kFull);
        if (!dfa.is_ok()) return dfa.status().with_context("regex").at("regex");
        return text_rule(*std::move(dfa), "regex");
      }
      case GrammarSpec::Kind::kChoice:
        return choice_rule(spec);
      case GrammarSpec::Kind::kEbnf: {
        Result<uint32_t> rule = ebnf_rule(spec.text);
        if (!rule.is_ok()) return rule.status().at("grammar");
        return rule;
      }
      case GrammarSpec::Kind::kTags:
        if (nesting >= kMaxTagNesting) {
          return error(Code::kUnsupported, "tags: a tag's content can't be tags").at("tags");
        }
        return tags_rule(spec, nesting);
    }
    return error(Code::kInternal, "a grammar of an unknown kind");
  }

  // A rule of one automaton, which may match the empty text too.
  Result<uint32_t> text_rule(Dfa dfa, std::string_view what) {
    if (dfa.is_empty()) return empty_grammar(what);
    const bool empty_text = dfa.accepts[dfa.start] != 0;
    dfa = without_empty(dfa);
    uint32_t rule = 0;
    if (dfa.is_empty()) {
      YQ_TRY(rule, builder_.literal_rule(""));
    } else {
      rule = builder_.leaf_rule(builder_.leaves().plain(std::move(dfa), true));
      builder_.program().rules[rule].states[0].accepts = empty_text;
    }
    return rule;
  }

  Result<uint32_t> choice_rule(const GrammarSpec& spec) {
    if (spec.choices.empty() || spec.choices.size() > kMaxGrammarChoices) {
      return error(Code::kInvalidArgument, "choice: want 1 to {} choices, found {}",
                   kMaxGrammarChoices, spec.choices.size())
          .at("choice");
    }
    size_t bytes = 0;
    for (const std::string& choice : spec.choices) bytes += choice.size();
    if (bytes > kMaxGrammarBytes) {
      return error(Code::kInvalidArgument, "choice: more than {} bytes", kMaxGrammarBytes)
          .at("choice");
    }
    Result<Dfa> dfa = dfa_of_strings(spec.choices);
    if (!dfa.is_ok()) return dfa.status().with_context("choice").at("choice");
    return text_rule(*std::move(dfa), "choice");
  }

  Result<uint32_t> ebnf_rule(std::string_view text) {
    YQ_TRY(const EbnfGrammar grammar, parse_ebnf(text));
    YQ_TRY(const std::vector<uint32_t> rules, builder_.tree_rules(grammar.rules, grammar.names));
    return rules[grammar.root];
  }

  // Text without any trigger, up to and with the trigger number `which`: Aho and Corasick's
  // automaton with one trigger accepting and the others dead.
  static Dfa text_until(const std::vector<std::string>& triggers, size_t which) {
    DfaBuilder builder;
    const uint32_t root = builder.add_state();
    std::vector<std::array<uint32_t, 256>> next(2);
    std::vector<int> ends = {-1, -1};
    for (size_t t = 0; t < triggers.size(); ++t) {
      uint32_t state = root;
      for (const char c : triggers[t]) {
        const auto byte = static_cast<uint8_t>(c);
        if (next[state][byte] == 0) {
          const uint32_t added = builder.add_state();
          next.push_back({});
          ends.push_back(-1);
          next[state][byte] = added;
        }
        state = next[state][byte];
      }
      ends[state] = static_cast<int>(t);
    }
    // Breadth first, missing edges are those of the longest suffix.
    std::vector<uint32_t> fail(next.size(), root), order = {root};
    for (size_t i = 0; i < order.size(); ++i) {
      const uint32_t state = order[i];
      for (size_t b = 0; b < 256; ++b) {
        const uint32_t to = next[state][b];
        const uint32_t other = state == root ? root : next[fail[state]][b];
        if (to == 0) {
          next[state][b] = other == 0 ? root : other;
        } else {
          fail[to] = other == 0 || other == to ? root : other;
          if (ends[to] < 0) ends[to] = ends[fail[to]];
          order.push_back(to);
        }
      }
    }
    for (const uint32_t state : order) {
      if (ends[state] >= 0) {
        if (ends[state] == static_cast<int>(which)) builder.set_accepting(state);
        continue;
      }
      for (size_t b = 0; b < 256; ++b) {
        builder.add_edge(state, static_cast<uint8_t>(b), next[state][b]);
      }
    }
    return builder.finish(root);
  }

  Status check_tags(const GrammarSpec& spec) {
    if (spec.tags.empty() || spec.tags.size() > kMaxGrammarTags) {
      return error(Code::kInvalidArgument, "tags: want 1 to {} tags, found {}", kMaxGrammarTags,
                   spec.tags.size())
          .at("tags");
    }
    for (size_t i = 0; i < spec.tags.size(); ++i) {
      const GrammarTag& tag = spec.tags[i];
      const std::string path = "tags[" + std::to_string(i) + "]";
      if (tag.begin.empty() || tag.begin.size() > 4096 || tag.end.size() > 4096) {
        return error(Code::kInvalidArgument, "{}: begin and end want 1 (0) to 4096 bytes", path)
            .at(path);
      }
      if (!tag.begin.starts_with(tag.trigger)) {
        return error(Code::kInvalidArgument, "{}: begin does not start with its trigger", path)
            .at(path);
      }
    }
    return Status::ok();
  }

  void connect(uint32_t rule, uint32_t from, GrammarEdge::Kind kind, uint32_t index, uint32_t to) {
    builder_.program().rules[rule].states[from].edges.push_back({kind, index, to, 0});
  }

  // begin (without what was read of it), content, end.
  Result<uint32_t> tag_rule(const GrammarTag& tag, size_t already, int nesting) {
    YQ_TRY(const uint32_t begin,
           builder_.literal_rule(std::string_view(tag.begin).substr(already)));
    YQ_TRY(const uint32_t content, rule_of(tag.content, nesting + 1));
    YQ_TRY(const uint32_t end, builder_.literal_rule(tag.end));
    const uint32_t rule = builder_.add_rule();
    builder_.program().rules[rule].states.resize(4);
    connect(rule, 0, GrammarEdge::Kind::kRule, begin, 1);
    connect(rule, 1, GrammarEdge::Kind::kRule, content, 2);
    connect(rule, 2, GrammarEdge::Kind::kRule, end, 3);
    builder_.program().rules[rule].states[3].accepts = true;
    return rule;
  }

  Result<uint32_t> tags_rule(const GrammarSpec& spec, int nesting) {
    YQ_RETURN_IF_ERROR(check_tags(spec));
    std::vector<std::string> triggers;
    std::vector<size_t> trigger_of;
    for (const GrammarTag& tag : spec.tags) {
      const std::string& trigger = tag.trigger.empty() ? tag.begin : tag.trigger;
      const auto at = std::find(triggers.begin(), triggers.end(), trigger);
      trigger_of.push_back(static_cast<size_t>(at - triggers.begin()));
      if (at == triggers.end()) triggers.push_back(trigger);
    }
    if (spec.free_text && triggers.size() > kMaxTriggers) {
      return error(Code::kInvalidArgument, "tags: more than {} different triggers", kMaxTriggers)
          .at("tags");
    }
    const uint32_t root = builder_.add_rule();
    // 0: before the first tag, 1: after one, then one state per trigger or separator.
    auto& rules = builder_.program().rules;
    rules[root].states.resize(2);
    rules[root].states[0].accepts = spec.min_tags == 0;
    rules[root].states[1].accepts = true;
    std::vector<uint32_t> after_trigger;
    for (size_t t = 0; t < triggers.size() && spec.free_text; ++t) {
      const auto state = static_cast<uint32_t>(rules[root].states.size());
      after_trigger.push_back(state);
      rules[root].states.emplace_back();
      const Dfa until = text_until(triggers, t);
      if (until.is_empty()) {
        return error(Code::kInvalidArgument, "tags: a trigger contains another one").at("tags");
      }
      for (const uint32_t from : {0u, 1u}) {
        if (from == 1 && !spec.many_tags) break;
        const bool may_end = from == 1 || spec.min_tags == 0;
        const uint32_t leaf = builder_.add_leaf(builder_.leaves().plain(until, true, may_end));
        connect(root, from, GrammarEdge::Kind::kLeaf, leaf, state);
      }
    }
    uint32_t next_tag = 0;
    if (!spec.free_text && spec.many_tags) {
      next_tag = static_cast<uint32_t>(rules[root].states.size());
      rules[root].states.emplace_back();
      YQ_TRY(const uint32_t separator, builder_.literal_rule(spec.separator));
      connect(root, 1, GrammarEdge::Kind::kRule, separator, next_tag);
    }
    for (size_t i = 0; i < spec.tags.size(); ++i) {
      const size_t already = spec.free_text ? triggers[trigger_of[i]].size() : 0;
      Result<uint32_t> tag = tag_rule(spec.tags[i], already, nesting);
      if (!tag.is_ok()) {
        const std::string path = "tags[" + std::to_string(i) + "]";
        const std::string& field = tag.status().field();
        return tag.status().with_context(path).at(field.empty() ? path : path + "." + field);
      }
      if (spec.free_text) {
        connect(root, after_trigger[trigger_of[i]], GrammarEdge::Kind::kRule, *tag, 1);
        continue;
      }
      connect(root, 0, GrammarEdge::Kind::kRule, *tag, 1);
      if (spec.many_tags) connect(root, next_tag, GrammarEdge::Kind::kRule, *tag, 1);
    }
    return root;
  }

  GrammarBuilder builder_;
};

// Everything that tells one spec from another, in one text.
void append_key(std::string& key, const GrammarSpec& spec) {
  const auto text = [&](std::string_view part) {
    key += std::to_string(part.size());
    key += ':';
    key += part;
  };
  text(std::to_string(static_cast<int>(spec.kind)) + (spec.assert_formats ? "f" : "-") +
       (spec.space == JsonSpace::kCompact ? "c" : "-") + (spec.free_text ? "t" : "-") +
       (spec.many_tags ? "m" : "-") + std::to_string(spec.min_tags));
  if (spec.kind == GrammarSpec::Kind::kJsonSchema) text(spec.schema.dump());
  text(spec.text);
  text(spec.separator);
  for (const std::string& choice : spec.choices) text(choice);
  for (const auto& [uri, json] : spec.documents) {
    text(uri);
    text(json.dump());
  }
  for (const GrammarTag& tag : spec.tags) {
    text(tag.begin);
    text(tag.trigger);
    text(tag.end);
    append_key(key, tag.content);
  }
}

}  // namespace

GrammarCompiler::GrammarCompiler(std::shared_ptr<const GrammarVocabulary> vocabulary)
    : vocabulary_(std::move(vocabulary)), leaves_(std::make_shared<LeafFactory>(vocabulary_)) {}

GrammarCompiler::~GrammarCompiler() = default;

Result<std::shared_ptr<const CompiledGrammar>> GrammarCompiler::compile(const GrammarSpec& spec) {
  std::string key;
  append_key(key, spec);
  {
    const std::lock_guard lock(mutex_);
    if (const auto at = by_key_.find(key); at != by_key_.end()) {
      recent_.splice(recent_.begin(), recent_, at->second);
      return recent_.front().second;
    }
  }
  YQ_TRY(GrammarProgram program, SpecCompiler(*leaves_).run(spec));
  auto grammar = std::make_shared<const CompiledGrammar>(vocabulary_, std::move(program));
  const std::lock_guard lock(mutex_);
  if (!by_key_.contains(key)) {
    recent_.emplace_front(key, grammar);
    by_key_[key] = recent_.begin();
    if (recent_.size() > kMaxCachedGrammars) {
      by_key_.erase(recent_.back().first);
      recent_.pop_back();
    }
  }
  return grammar;
}

}  // namespace yunqi
