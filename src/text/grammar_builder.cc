// From trees to networks of rules; see grammar_builder.h.
#include "text/grammar_builder.h"

#include <algorithm>
#include <optional>

#include "text/regex_automaton.h"

namespace yunqi {
namespace {

using Kind = GrammarNode::Kind;

// A rule while it is made: states with edges and with moves that read nothing.
struct Draft {
  struct State {
    std::vector<GrammarEdge> edges;
    std::vector<uint32_t> empty;
  };
  std::vector<State> states;

  Result<uint32_t> add() {
    if (states.size() >= kMaxRuleStates) {
      return error(Code::kInvalidArgument, "a rule of more than {} states", kMaxRuleStates);
    }
    states.emplace_back();
    return static_cast<uint32_t>(states.size() - 1);
  }
};

// What `draft` reads between states 0 and 1, without empty moves.
GrammarRule finished_rule(const Draft& draft) {
  const size_t count = draft.states.size();
  GrammarRule rule;
  std::vector<uint32_t> number(count, UINT32_MAX), order;
  const auto number_of = [&](uint32_t state) {
    if (number[state] == UINT32_MAX) {
      number[state] = static_cast<uint32_t>(order.size());
      order.push_back(state);
    }
    return number[state];
  };
  number_of(0);
  std::vector<uint32_t> seen(count, UINT32_MAX);
  for (size_t i = 0; i < order.size(); ++i) {
    std::vector<uint32_t> closure = {order[i]};
    seen[order[i]] = static_cast<uint32_t>(i);
    GrammarState state;
    for (size_t at = 0; at < closure.size(); ++at) {
      if (closure[at] == 1) state.accepts = true;
      for (const uint32_t to : draft.states[closure[at]].empty) {
        if (seen[to] == i) continue;
        seen[to] = static_cast<uint32_t>(i);
        closure.push_back(to);
      }
      for (GrammarEdge edge : draft.states[closure[at]].edges) {
        edge.to = number_of(edge.to);
        state.edges.push_back(edge);
      }
    }
    rule.states.push_back(std::move(state));
  }
  return rule;
}

class TreeRules {
 public:
  TreeRules(GrammarBuilder& builder, const std::vector<GrammarNode>& nodes,
            const std::vector<std::string>& names)
      : builder_(builder), nodes_(nodes), names_(names) {}

  Result<std::vector<uint32_t>> run() {
    find_inlinable();
    for (size_t i = 0; i < nodes_.size(); ++i) rules_.push_back(builder_.add_rule());
    for (size_t i = 0; i < nodes_.size(); ++i) {
      Draft draft;
      draft.states.resize(2);
      const Status status = connect(draft, nodes_[i], 0, 1);
      if (!status.is_ok()) return status.with_context("rule " + names_[i]);
      builder_.program().rules[rules_[i]] = finished_rule(draft);
    }
    YQ_RETURN_IF_ERROR(refuse_left_recursion());
    return rules_;
  }

 private:
  // Sizes with references filled in; a rule that reaches itself never gets one.
  void find_inlinable() {
    sizes_.assign(nodes_.size(), std::nullopt);
    for (bool changed = true; changed;) {
      changed = false;
      for (size_t i = 0; i < nodes_.size(); ++i) {
        if (sizes_[i]) continue;
        sizes_[i] = size_of(nodes_[i]);
        if (sizes_[i] && *sizes_[i] > kMaxInlinedNodes) sizes_[i].reset();
        changed = changed || sizes_[i].has_value();
      }
    }
  }

  std::optional<size_t> size_of(const GrammarNode& node) const {
    if (node.kind == Kind::kRule) return sizes_[node.rule];
    size_t size = 1;
    for (const GrammarNode& child : node.children) {
      const std::optional<size_t> inner = size_of(child);
      if (!inner) return std::nullopt;
      size += *inner;
    }
    return size;
  }

  GrammarNode inlined(const GrammarNode& node) const {
    if (node.kind == Kind::kRule) return inlined(nodes_[node.rule]);
    GrammarNode out = node;
    for (GrammarNode& child : out.children) child = inlined(child);
    return out;
  }

  Status connect(Draft& draft, const GrammarNode& node, uint32_t from, uint32_t to) {
    if (size_of(node)) return connect_leaf(draft, inlined(node), from, to);
    switch (node.kind) {
      case Kind::kRule:
        draft.states[from].edges.push_back({GrammarEdge::Kind::kRule, rules_[node.rule], to, 0});
        return Status::ok();
      case Kind::kAlternative:
        for (const GrammarNode& child : node.children) {
          YQ_RETURN_IF_ERROR(connect(draft, child, from, to));
        }
        return Status::ok();
      case Kind::kRepeat:
        return connect_repeat(draft, node, from, to);
      default:
        return connect_sequence(draft, node, from, to);
    }
  }

  Status connect_leaf(Draft& draft, const GrammarNode& node, uint32_t from, uint32_t to) {
    YQ_TRY(Dfa dfa, build_dfa(node));
    if (dfa.accepts[dfa.start]) {
      draft.states[from].empty.push_back(to);
      dfa = without_empty(dfa);
    }
    if (dfa.is_empty()) return Status::ok();
    const uint32_t leaf = builder_.add_leaf(builder_.leaves().plain(std::move(dfa), true));
    draft.states[from].edges.push_back({GrammarEdge::Kind::kLeaf, leaf, to, 0});
    return Status::ok();
  }

  // Neighbours that are regular become one leaf.
  Status connect_sequence(Draft& draft, const GrammarNode& node, uint32_t from, uint32_t to) {
    for (size_t i = 0; i < node.children.size();) {
      size_t end = i;
      while (end < node.children.size() && size_of(node.children[end])) ++end;
      GrammarNode part = node.children[i];
      if (end > i) {
        part = GrammarNode::sequence({node.children.begin() + static_cast<ptrdiff_t>(i),
                                      node.children.begin() + static_cast<ptrdiff_t>(end)});
      } else {
        end = i + 1;
      }
      uint32_t next = to;
      if (end < node.children.size()) {
        YQ_TRY(next, draft.add());
      }
      YQ_RETURN_IF_ERROR(connect(draft, part, from, next));
      from = next;
      i = end;
    }
    if (node.children.empty()) draft.states[from].empty.push_back(to);
    return Status::ok();
  }

  Status connect_repeat(Draft& draft, const GrammarNode& node, uint32_t from, uint32_t to) {
    const GrammarNode& child = node.children[0];
    for (uint32_t i = 0; i < node.min; ++i) {
      YQ_TRY(const uint32_t next, draft.add());
      YQ_RETURN_IF_ERROR(connect(draft, child, from, next));
      from = next;
    }
    if (node.max == GrammarNode::kUnbounded) {
      YQ_TRY(const uint32_t loop, draft.add());
      draft.states[from].empty.push_back(loop);
      YQ_RETURN_IF_ERROR(connect(draft, child, loop, loop));
      draft.states[loop].empty.push_back(to);
      return Status::ok();
    }
    for (uint32_t i = node.min; i < node.max; ++i) {
      draft.states[from].empty.push_back(to);
      YQ_TRY(const uint32_t next, draft.add());
      YQ_RETURN_IF_ERROR(connect(draft, child, from, next));
      from = next;
    }
    draft.states[from].empty.push_back(to);
    return Status::ok();
  }

  // Rules that `rule` can start with, and whether it can read nothing at all.
  bool starts_of(uint32_t rule, const std::vector<uint8_t>& nullable,
                 std::vector<uint32_t>* starts) const {
    const GrammarRule& network = builder_.program().rules[rule];
    std::vector<uint8_t> seen(network.states.size(), 0);
    std::vector<uint32_t> work = {0};
    seen[0] = 1;
    bool empty = false;
    while (!work.empty()) {
      const GrammarState& state = network.states[work.back()];
      work.pop_back();
      empty = empty || state.accepts;
      for (const GrammarEdge& edge : state.edges) {
        if (edge.kind != GrammarEdge::Kind::kRule) continue;
        if (starts) starts->push_back(edge.index);
        if (nullable[edge.index] && !seen[edge.to]) {
          seen[edge.to] = 1;
          work.push_back(edge.to);
        }
      }
    }
    return empty;
  }

  Status refuse_left_recursion() const {
    const size_t count = builder_.program().rules.size();
    std::vector<uint8_t> nullable(count, 0);
    for (bool changed = true; changed;) {
      changed = false;
      for (const uint32_t rule : rules_) {
        if (nullable[rule] || !starts_of(rule, nullable, nullptr)) continue;
        nullable[rule] = 1;
        changed = true;
      }
    }
    std::vector<std::vector<uint32_t>> starts(count);
    for (const uint32_t rule : rules_) starts_of(rule, nullable, &starts[rule]);
    enum : uint8_t { kNew, kOpen, kDone };
    std::vector<uint8_t> mark(count, kNew);
    for (const uint32_t root : rules_) {
      std::vector<std::pair<uint32_t, size_t>> path;
      if (mark[root] == kNew) path.emplace_back(root, 0);
      if (mark[root] == kNew) mark[root] = kOpen;
      while (!path.empty()) {
        auto& [rule, next] = path.back();
        if (next == starts[rule].size()) {
          mark[rule] = kDone;
          path.pop_back();
          continue;
        }
        const uint32_t to = starts[rule][next++];
        if (mark[to] == kOpen) {
          const auto at = std::find(rules_.begin(), rules_.end(), to) - rules_.begin();
          return error(Code::kInvalidArgument,
                       "rule {} calls itself before it reads anything: write the loop with * or "
                       "move the call to the end",
                       names_[static_cast<size_t>(at)]);
        }
        if (mark[to] == kNew) {
          mark[to] = kOpen;
          path.emplace_back(to, 0);
        }
      }
    }
    return Status::ok();
  }

  GrammarBuilder& builder_;
  const std::vector<GrammarNode>& nodes_;
  const std::vector<std::string>& names_;
  std::vector<std::optional<size_t>> sizes_;
  std::vector<uint32_t> rules_;
};

}  // namespace

Dfa without_empty(const Dfa& dfa) {
  if (!dfa.accepts[dfa.start]) return dfa;
  Dfa out = dfa;
  const uint32_t copy = out.states();
  out.accepts.push_back(0);
  for (uint32_t c = 0; c < out.class_count; ++c) {
    out.next.push_back(out.next[size_t{dfa.start} * out.class_count + c]);
  }
  out.start = copy;
  if (!out.has_exit(copy)) return Dfa();
  return out;
}

uint32_t GrammarBuilder::add_leaf(const LeafPtr& leaf) {
  const auto [at, is_new] =
      leaf_numbers_.try_emplace(leaf.get(), static_cast<uint32_t>(program_.leaves.size()));
  if (is_new) program_.leaves.push_back(leaf);
  return at->second;
}

uint32_t GrammarBuilder::leaf_rule(const LeafPtr& leaf) {
  const uint32_t rule = add_rule();
  GrammarRule network;
  network.states.resize(2);
  network.states[0].edges.push_back({GrammarEdge::Kind::kLeaf, add_leaf(leaf), 1, 0});
  network.states[1].accepts = true;
  program_.rules[rule] = std::move(network);
  return rule;
}

Result<uint32_t> GrammarBuilder::literal_rule(std::string_view text) {
  if (text.empty()) {
    const uint32_t rule = add_rule();
    program_.rules[rule].states.resize(1);
    program_.rules[rule].states[0].accepts = true;
    return rule;
  }
  YQ_TRY(Dfa dfa, dfa_of_strings(std::vector<std::string>{std::string(text)}));
  return leaf_rule(leaves_.plain(std::move(dfa), true));
}

Result<std::vector<uint32_t>> GrammarBuilder::tree_rules(const std::vector<GrammarNode>& nodes,
                                                         const std::vector<std::string>& names) {
  return TreeRules(*this, nodes, names).run();
}

}  // namespace yunqi
