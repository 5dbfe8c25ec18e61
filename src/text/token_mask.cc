// Walks of the token tree over automata; see token_mask.h.
#include "text/token_mask.h"

#include <algorithm>
#include <bit>
#include <map>

namespace yunqi {
namespace {

constexpr size_t kFewTokens = 600;  // up to here a list is smaller and quicker than bits

// Collects what is left of tokens after an automaton's end, then lays it out as a tree.
class RestCollector {
 public:
  explicit RestCollector(const GrammarVocabulary& vocabulary) : vocabulary_(vocabulary) {}

  // All tokens below tree node `node` (itself excluded) have a rest that starts after it.
  void add_subtree(const TokenTree& tree, uint32_t node, uint16_t mark,
                   const Dfa* follow = nullptr) {
    const uint32_t cut = tree.nodes[node].depth;
    states_.resize(tree.max_depth + size_t{1});
    if (follow) states_[cut] = follow->start;
    for (uint32_t i = node + 1; i < tree.nodes[node].end;) {
      const TokenTree::Node& below = tree.nodes[i];
      if (follow) {
        // An accepting state says that anything may come from there on.
        uint32_t& state = states_[below.depth];
        const uint32_t before = states_[below.depth - size_t{1}];
        state = follow->accepts[before] ? before : follow->step(before, below.byte);
        if (state == Dfa::kDead) {
          i = below.end;
          continue;
        }
      }
      if (below.token >= 0) {
        found_.push_back({vocabulary_.text(below.token).substr(cut), below.token, mark});
      }
      ++i;
    }
  }
  void add_ending(TokenId id, uint16_t mark) { found_.push_back({{}, id, mark}); }

  void lay_out(LocalMask& out, bool with_marks) {
    std::sort(found_.begin(), found_.end(), [](const Found& a, const Found& b) {
      return a.rest != b.rest ? a.rest < b.rest : a.id < b.id;
    });
    std::vector<uint32_t> path;  // open nodes, by depth
    std::string_view before;
    for (const Found& found : found_) {
      size_t same = 0;
      while (same < before.size() && same < found.rest.size() && before[same] == found.rest[same]) {
        ++same;
      }
      const bool is_new = out.rests.empty() || found.rest != before || path.empty();
      if (is_new) {
        while (path.size() > same + 1) {
          out.rests[path.back()].end = static_cast<uint32_t>(out.rests.size());
          path.pop_back();
        }
        if (path.empty()) path.push_back(push(out, 0, 0));
        for (size_t i = same; i < found.rest.size(); ++i) {
          path.push_back(push(out, static_cast<uint8_t>(found.rest[i]), i + 1));
        }
        before = found.rest;
      }
      out.tokens.push_back(found.id);
      if (with_marks) out.marks.push_back(found.mark);
      LocalMask::Rest& node = out.rests[path.back()];
      if (node.first_token == node.last_token) {
        node.first_token = static_cast<uint32_t>(out.tokens.size() - 1);
      }
      node.last_token = static_cast<uint32_t>(out.tokens.size());
    }
    for (const uint32_t node : path) out.rests[node].end = static_cast<uint32_t>(out.rests.size());
  }

 private:
  struct Found {
    std::string_view rest;
    TokenId id;
    uint16_t mark;
  };
  static uint32_t push(LocalMask& out, uint8_t byte, size_t depth) {
    LocalMask::Rest rest;
    rest.byte = byte;
    rest.depth = static_cast<uint16_t>(depth);
    out.rests.push_back(rest);
    return static_cast<uint32_t>(out.rests.size() - 1);
  }

  const GrammarVocabulary& vocabulary_;
  std::vector<Found> found_;
  std::vector<uint32_t> states_;
};

void store(LocalMask& out, std::vector<TokenId> found, int32_t size) {
  if (found.size() <= kFewTokens) {
    out.few = std::move(found);
    return;
  }
  out.is_dense = true;
  out.dense = TokenMask(size);
  for (const TokenId id : found) out.dense.set(id);
}

}  // namespace

size_t TokenMask::count() const {
  size_t count = 0;
  for (const uint64_t word : words_) count += static_cast<size_t>(std::popcount(word));
  return count;
}

TokenTree TokenTree::of(std::vector<std::pair<std::string_view, TokenId>> tokens) {
  std::sort(tokens.begin(), tokens.end());
  TokenTree tree;
  std::vector<uint32_t> path;
  std::string_view before;
  for (const auto& [text, id] : tokens) {
    size_t same = 0;
    while (same < before.size() && same < text.size() && before[same] == text[same]) ++same;
    while (path.size() > same) {
      tree.nodes[path.back()].end = static_cast<uint32_t>(tree.nodes.size());
      path.pop_back();
    }
    for (size_t i = same; i < text.size(); ++i) {
      Node node;
      node.byte = static_cast<uint8_t>(text[i]);
      node.depth = static_cast<uint16_t>(i + 1);
      path.push_back(static_cast<uint32_t>(tree.nodes.size()));
      tree.nodes.push_back(node);
    }
    tree.nodes[path.back()].token = id;
    tree.max_depth = std::max(tree.max_depth, static_cast<uint32_t>(text.size()));
    before = text;
  }
  for (const uint32_t node : path) tree.nodes[node].end = static_cast<uint32_t>(tree.nodes.size());
  return tree;
}

std::pair<uint32_t, uint32_t> TokenTree::below(std::string_view text) const {
  uint32_t at = 0, end = static_cast<uint32_t>(nodes.size());
  for (size_t i = 0; i < text.size(); ++i) {
    while (at < end && nodes[at].byte != static_cast<uint8_t>(text[i])) at = nodes[at].end;
    if (at >= end) return {0, 0};
    end = nodes[at].end;
    if (i + 1 < text.size()) ++at;
  }
  return {at, end};
}

Result<std::shared_ptr<const GrammarVocabulary>> GrammarVocabulary::create(
    const Tokenizer& tokenizer, std::vector<TokenId> stop) {
  if (tokenizer.size() > kMaxMaskedTokens) {
    return error(Code::kUnsupported, "a vocabulary of {} tokens: masks are made for at most {}",
                 tokenizer.size(), kMaxMaskedTokens);
  }
  std::shared_ptr<GrammarVocabulary> out(std::make_shared<GrammarVocabulary>(GrammarVocabulary()));
  out->texts_.resize(static_cast<size_t>(tokenizer.size()));
  out->stop_ = std::move(stop);
  std::sort(out->stop_.begin(), out->stop_.end());
  for (const TokenId id : out->stop_) {
    if (id < 0 || id >= tokenizer.size()) {
      return error(Code::kInvalidArgument, "stop id {} is not in the vocabulary", id);
    }
  }
  std::vector<std::pair<std::string_view, TokenId>> plain, added;
  for (TokenId id = 0; id < tokenizer.size(); ++id) {
    const std::string_view text = tokenizer.token_bytes(id);
    if (text.empty() || text.size() > kMaxMaskedTokenBytes || tokenizer.is_special(id) ||
        out->is_stop(id)) {
      continue;
    }
    out->texts_[static_cast<size_t>(id)] = text;
    (tokenizer.is_added(id) ? added : plain).emplace_back(text, id);
    if (tokenizer.is_added(id)) out->added_.push_back(id);
  }
  out->tree_ = TokenTree::of(std::move(plain));
  out->added_tree_ = TokenTree::of(std::move(added));
  return std::shared_ptr<const GrammarVocabulary>(std::move(out));
}

bool GrammarVocabulary::is_stop(TokenId id) const {
  return std::binary_search(stop_.begin(), stop_.end(), id);
}

bool GrammarVocabulary::is_added(TokenId id) const {
  return std::binary_search(added_.begin(), added_.end(), id);
}

size_t LocalMask::bytes() const {
  return sizeof(*this) + dense.words().size() * 8 + few.size() * sizeof(TokenId) +
         rests.size() * sizeof(Rest) + tokens.size() * sizeof(TokenId) + marks.size() * 2;
}

LocalMask local_mask(const GrammarVocabulary& vocabulary, const Dfa& dfa, uint32_t state,
                     bool with_added, const Dfa* follow) {
  LocalMask out;
  RestCollector rests(vocabulary);
  std::vector<TokenId> found;
  std::vector<uint32_t> states(
      std::max(vocabulary.tree().max_depth, vocabulary.added_tree().max_depth) + 1, state);
  const auto walk = [&](const TokenTree& tree, bool whole_only) {
    const uint32_t count = static_cast<uint32_t>(tree.nodes.size());
    for (uint32_t i = 0; i < count;) {
      const TokenTree::Node& node = tree.nodes[i];
      const uint32_t to = dfa.step(states[node.depth - 1], node.byte);
      if (to == Dfa::kDead) {
        i = node.end;
        continue;
      }
      states[node.depth] = to;
      if (node.token >= 0) found.push_back(node.token);
      if (dfa.accepts[to] && !whole_only && node.end > i + 1) {
        rests.add_subtree(tree, i, 0, follow);
      }
      ++i;
    }
  };
  walk(vocabulary.tree(), false);
  if (with_added) walk(vocabulary.added_tree(), true);
  store(out, std::move(found), vocabulary.size());
  rests.lay_out(out, false);
  return out;
}

LocalMask counted_mask(const GrammarVocabulary& vocabulary, const CountedString& string,
                       uint32_t state, uint32_t count, uint32_t min, uint32_t max) {
  LocalMask out;
  RestCollector rests(vocabulary);
  std::vector<TokenId> found;
  struct Place {
    uint32_t state, count;
  };
  const TokenTree& tree = vocabulary.tree();
  std::vector<Place> places(tree.max_depth + 1, {state, count});
  for (uint32_t i = 0; i < tree.nodes.size();) {
    const TokenTree::Node& node = tree.nodes[i];
    Place place = places[node.depth - 1];
    if (!step_counted(string, place.state, place.count, node.byte, min, max)) {
      i = node.end;
      continue;
    }
    places[node.depth] = place;
    if (node.token >= 0) found.push_back(node.token);
    if (string.dfa.accepts[place.state]) {
      rests.add_subtree(tree, i, 0);
      i = node.end;
    } else {
      ++i;
    }
  }
  store(out, std::move(found), vocabulary.size());
  rests.lay_out(out, false);
  return out;
}

StringTables::StringTables(const GrammarVocabulary& vocabulary, const CountedString& string)
    : all_(vocabulary.size()) {
  RestCollector rests(vocabulary);
  std::vector<std::vector<TokenId>> by_count;
  struct Place {
    uint32_t state, count;
  };
  const TokenTree& tree = vocabulary.tree();
  std::vector<Place> places(tree.max_depth + 1, {string.body, 0});
  for (uint32_t i = 0; i < tree.nodes.size();) {
    const TokenTree::Node& node = tree.nodes[i];
    Place place = places[node.depth - 1];
    if (!step_counted(string, place.state, place.count, node.byte, 0, UINT32_MAX)) {
      i = node.end;
      continue;
    }
    places[node.depth] = place;
    const auto mark = static_cast<uint16_t>(place.count);
    if (string.dfa.accepts[place.state]) {
      if (node.token >= 0) rests.add_ending(node.token, mark);
      rests.add_subtree(tree, i, mark);
      i = node.end;
      continue;
    }
    if (node.token >= 0) {
      const uint32_t begun = place.count + (place.state == string.body ? 0 : 1);
      if (by_count.size() <= begun) by_count.resize(begun + 1);
      by_count[begun].push_back(node.token);
      all_.set(node.token);
    }
    ++i;
  }
  TokenMask so_far(vocabulary.size());
  for (uint32_t n = 0; n < kDirect; ++n) {
    if (n < by_count.size()) {
      for (const TokenId id : by_count[n]) so_far.set(id);
    }
    at_most_.push_back(so_far);
  }
  for (size_t n = by_count.size(); n-- > kDirect;) {
    for (const TokenId id : by_count[n]) long_.emplace_back(static_cast<uint16_t>(n), id);
  }
  rests.lay_out(ends_, true);
}

void StringTables::add_to(TokenMask& mask, uint32_t left) const {
  if (left < kDirect) {
    mask.add(at_most_[left]);
    return;
  }
  if (long_.empty() || left >= long_[0].first) {
    mask.add(all_);
    return;
  }
  TokenMask some = all_;
  for (const auto& [count, id] : long_) {
    if (count <= left) break;
    some.reset(id);
  }
  mask.add(some);
}

}  // namespace yunqi
