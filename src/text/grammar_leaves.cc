// The shared automata of JSON; see grammar_leaves.h.
#include "text/grammar_leaves.h"

#include "base/check.h"
#include "text/regex.h"

namespace yunqi {
namespace {

// All strings of JSON with every legal escape, counted: a surrogate pair is one character.
CountedString json_string() {
  DfaBuilder builder;
  const uint32_t start = builder.add_state(), body = builder.add_state();
  const uint32_t done = builder.add_state(true), escape = builder.add_state();
  builder.add_edge(start, '"', body);
  builder.add_edges(body, 0x20, 0x7F, body);
  builder.add_edge(body, '"', done);
  builder.add_edge(body, '\\', escape);
  // UTF-8, without overlong forms and surrogates.
  const uint32_t tail1 = builder.add_state(), tail2 = builder.add_state();
  const uint32_t tail3 = builder.add_state(), after_e0 = builder.add_state();
  const uint32_t after_ed = builder.add_state(), after_f0 = builder.add_state();
  const uint32_t after_f4 = builder.add_state();
  builder.add_edges(body, 0xC2, 0xDF, tail1);
  builder.add_edges(body, 0xE1, 0xEF, tail2);
  builder.add_edge(body, 0xE0, after_e0);
  builder.add_edge(body, 0xED, after_ed);
  builder.add_edges(body, 0xF1, 0xF3, tail3);
  builder.add_edge(body, 0xF0, after_f0);
  builder.add_edge(body, 0xF4, after_f4);
  builder.add_edges(tail1, 0x80, 0xBF, body);
  builder.add_edges(tail2, 0x80, 0xBF, tail1);
  builder.add_edges(tail3, 0x80, 0xBF, tail2);
  builder.add_edges(after_e0, 0xA0, 0xBF, tail1);
  builder.add_edges(after_ed, 0x80, 0x9F, tail1);
  builder.add_edges(after_f0, 0x90, 0xBF, tail2);
  builder.add_edges(after_f4, 0x80, 0x8F, tail2);
  for (const char c : std::string_view("\"\\/bfnrt")) {
    builder.add_edge(escape, static_cast<uint8_t>(c), body);
  }
  // \uXXXX: h1..h4 hexadecimal digits to go; after D8..DB a low surrogate must follow.
  const auto hex = [&](uint32_t from, uint32_t to) {
    builder.add_edges(from, '0', '9', to);
    builder.add_edges(from, 'a', 'f', to);
    builder.add_edges(from, 'A', 'F', to);
  };
  const uint32_t h4 = builder.add_state(), h3 = builder.add_state(), h2 = builder.add_state();
  const uint32_t h1 = builder.add_state(), after_d = builder.add_state();
  builder.add_edge(escape, 'u', h4);
  hex(h4, h3);
  hex(h3, h2);
  hex(h2, h1);
  hex(h1, body);
  const uint32_t p2 = builder.add_state(), p1 = builder.add_state(), slash = builder.add_state();
  const uint32_t u = builder.add_state(), low4 = builder.add_state(), low3 = builder.add_state();
  for (const char d : {'d', 'D'}) {
    builder.add_edge(h4, static_cast<uint8_t>(d), after_d);
    builder.add_edge(low4, static_cast<uint8_t>(d), low3);
  }
  builder.add_edges(after_d, '0', '7', h2);
  for (const char c : std::string_view("89abAB")) {
    builder.add_edge(after_d, static_cast<uint8_t>(c), p2);
  }
  hex(p2, p1);
  hex(p1, slash);
  builder.add_edge(slash, '\\', u);
  builder.add_edge(u, 'u', low4);
  for (const char c : std::string_view("cdefCDEF")) {
    builder.add_edge(low3, static_cast<uint8_t>(c), h2);
  }
  CountedString out;
  std::vector<uint32_t> renumbered;
  out.dfa = builder.finish(start, &renumbered);
  out.body = renumbered[body];
  return out;
}

LeafPtr finished(GrammarLeaf leaf, const std::shared_ptr<std::atomic<size_t>>& budget) {
  const Dfa& dfa = leaf.automaton();
  leaf.accepts = dfa.accepts;
  leaf.continues.resize(dfa.states());
  for (uint32_t s = 0; s < dfa.states(); ++s) leaf.continues[s] = dfa.has_exit(s);
  if (leaf.kind == GrammarLeaf::Kind::kKey) {
    leaf.past_key.assign(dfa.states(), 0);
    std::vector<uint32_t> work = {leaf.quoted};
    leaf.past_key[leaf.quoted] = 1;
    while (!work.empty()) {
      const uint32_t state = work.back();
      work.pop_back();
      for (uint32_t c = 0; c < dfa.class_count; ++c) {
        const uint32_t to = dfa.next[size_t{state} * dfa.class_count + c];
        if (to == Dfa::kDead || leaf.past_key[to]) continue;
        leaf.past_key[to] = 1;
        work.push_back(to);
      }
    }
  }
  leaf.masks = std::make_shared<LeafMasks>(budget);
  return std::make_shared<const GrammarLeaf>(std::move(leaf));
}

}  // namespace

std::string_view space_pattern(JsonSpace space) {
  static_assert(kMaxIndent == 64);
  return space == JsonSpace::kCompact ? "" : "( |\\r?\\n[ \\t]{0,64})?";
}

std::string json_spelling(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    static constexpr std::string_view kShort = "\"\"\\\\\bb\ff\nn\rr\tt";
    size_t at = kShort.size();
    for (size_t i = 0; i < kShort.size(); i += 2) {
      if (kShort[i] == c) at = i;
    }
    if (at < kShort.size()) {
      out += '\\';
      out += kShort[at + 1];
    } else if (byte < 0x20) {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  return out;
}

Result<Dfa> json_string_dfa(const Dfa& content, const Dfa& tail, uint32_t* quoted) {
  DfaBuilder builder;
  const uint32_t start = builder.add_state();
  const uint32_t base = builder.size();
  for (uint32_t s = 0; s < content.states(); ++s) builder.add_state();
  std::vector<uint32_t> after;  // of tail's states
  for (uint32_t s = 0; s < tail.states(); ++s) after.push_back(builder.add_state(tail.accepts[s]));
  builder.add_edge(start, '"', base + content.start);
  for (uint32_t s = 1; s < content.states(); ++s) {
    const uint32_t from = base + s;
    if (content.accepts[s]) builder.add_edge(from, '"', after[tail.start]);
    uint32_t escape = 0, zeros = 0, control[2] = {0, 0};
    for (size_t b = 0; b < 256; ++b) {
      const uint32_t to = content.step(s, static_cast<uint8_t>(b));
      if (to == Dfa::kDead) continue;
      const std::string spelled = json_spelling(std::string(1, static_cast<char>(b)));
      if (spelled.size() == 1) {
        builder.add_edge(from, static_cast<uint8_t>(b), base + to);
        if (b != '/') continue;
      }
      if (escape == 0) {
        escape = builder.add_state();
        builder.add_edge(from, '\\', escape);
      }
      if (spelled.size() <= 2) {
        builder.add_edge(escape, static_cast<uint8_t>(spelled.back()), base + to);
        continue;
      }
      if (zeros == 0) {
        const uint32_t first = builder.add_state();
        zeros = builder.add_state();
        const uint32_t second = builder.add_state();
        builder.add_edge(escape, 'u', first);
        builder.add_edge(first, '0', second);
        builder.add_edge(second, '0', zeros);
      }
      uint32_t& digit = control[b >> 4];
      if (digit == 0) {
        digit = builder.add_state();
        builder.add_edge(zeros, static_cast<uint8_t>('0' + (b >> 4)), digit);
      }
      builder.add_edge(digit, static_cast<uint8_t>(spelled.back()), base + to);
      if (spelled.back() >= 'a') {
        builder.add_edge(digit, static_cast<uint8_t>(spelled.back() - 32), base + to);
      }
    }
    if (builder.size() > kMaxDfaStates * 2) {
      return error(Code::kInvalidArgument, "the string pattern needs too many states");
    }
  }
  for (uint32_t s = 1; s < tail.states(); ++s) {
    for (size_t b = 0; b < 256; ++b) {
      const uint32_t to = tail.step(s, static_cast<uint8_t>(b));
      if (to != Dfa::kDead) builder.add_edge(after[s], static_cast<uint8_t>(b), after[to]);
    }
  }
  std::vector<uint32_t> renumbered;
  Dfa out = builder.finish(start, &renumbered);
  if (quoted) *quoted = renumbered[after[tail.start]];
  return out;
}

LeafFactory::LeafFactory(std::shared_ptr<const GrammarVocabulary> vocabulary)
    : vocabulary_(std::move(vocabulary)),
      cache_bytes_(std::make_shared<std::atomic<size_t>>(0)),
      string_(std::make_shared<const CountedString>(json_string())),
      tables_(std::make_shared<const StringTables>(*vocabulary_, *string_)),
      json_tokens_(std::make_shared<const Dfa>(
          compile_regex("[\"\\[\\]{}0-9-]|true|false|null", Anchoring::kFull).value())) {}

LeafPtr LeafFactory::plain(Dfa dfa, bool takes_added, bool open_end) const {
  GrammarLeaf leaf;
  leaf.dfa = std::move(dfa);
  leaf.takes_added = takes_added;
  leaf.open_end = open_end;
  return finished(std::move(leaf), cache_bytes_);
}

LeafPtr LeafFactory::fixed(std::string_view pattern, bool before_json) {
  const std::lock_guard lock(mutex_);
  if (const auto at = fixed_.find(pattern); at != fixed_.end()) return at->second;
  Result<Dfa> dfa = compile_regex(pattern, Anchoring::kFull);
  YQ_CHECK(dfa.is_ok(), "our own pattern {}: {}", pattern, dfa.status().to_string());
  GrammarLeaf leaf;
  leaf.dfa = *std::move(dfa);
  if (before_json) leaf.follow = json_tokens_;
  return fixed_.emplace(pattern, finished(std::move(leaf), cache_bytes_)).first->second;
}

Result<LeafPtr> LeafFactory::shared_string(const std::shared_ptr<const Dfa>& content) {
  const std::lock_guard lock(mutex_);
  LeafPtr& leaf = strings_[content];
  if (!leaf) {
    YQ_TRY(const Dfa nothing, build_dfa(GrammarNode()));
    YQ_TRY(Dfa dfa, json_string_dfa(*content, nothing, nullptr));
    leaf = plain(std::move(dfa));
  }
  return leaf;
}

LeafPtr LeafFactory::counted(uint32_t min, uint32_t max) const {
  GrammarLeaf leaf;
  leaf.kind = GrammarLeaf::Kind::kCounted;
  leaf.string = string_;
  leaf.tables = tables_;
  leaf.min = min;
  leaf.max = max;
  return finished(std::move(leaf), cache_bytes_);
}

Result<LeafPtr> LeafFactory::key_of(const Dfa& content, JsonSpace space) {
  YQ_TRY(const Dfa colon, compile_regex(":" + std::string(space_pattern(space)), Anchoring::kFull));
  GrammarLeaf leaf;
  leaf.kind = GrammarLeaf::Kind::kKey;
  leaf.follow = json_tokens_;
  YQ_TRY(leaf.dfa, json_string_dfa(content, colon, &leaf.quoted));
  return finished(std::move(leaf), cache_bytes_);
}

Result<LeafPtr> LeafFactory::unique_string(const Dfa& content) const {
  YQ_TRY(const Dfa nothing, build_dfa(GrammarNode()));
  GrammarLeaf leaf;
  leaf.kind = GrammarLeaf::Kind::kKey;
  YQ_TRY(leaf.dfa, json_string_dfa(content, nothing, &leaf.quoted));
  return finished(std::move(leaf), cache_bytes_);
}

LeafPtr LeafFactory::any_key(JsonSpace space) {
  const std::lock_guard lock(mutex_);
  LeafPtr& leaf = any_key_[static_cast<size_t>(space)];
  if (!leaf) {
    leaf = key_of(dfa_of_lengths(0, GrammarNode::kUnbounded).value(), space).value();
  }
  return leaf;
}

LeafPtr LeafFactory::named_key(std::string_view name, JsonSpace space) {
  // A chain of states, then the colon with its space.
  const std::string text = '"' + json_spelling(name) + "\":";
  DfaBuilder builder;
  uint32_t state = builder.add_state();
  const uint32_t start = state;
  for (const char c : text) {
    const uint32_t to = builder.add_state();
    builder.add_edge(state, static_cast<uint8_t>(c), to);
    state = to;
  }
  builder.set_accepting(state);
  if (space == JsonSpace::kFlexible) {
    const uint32_t blank = builder.add_state(true), line_feed = builder.add_state();
    builder.add_edge(state, ' ', blank);
    builder.add_edge(state, '\r', line_feed);
    uint32_t line = builder.add_state(true);
    builder.add_edge(state, '\n', line);
    builder.add_edge(line_feed, '\n', line);
    for (uint32_t i = 0; i < kMaxIndent; ++i) {
      const uint32_t to = builder.add_state(true);
      builder.add_edge(line, ' ', to);
      builder.add_edge(line, '\t', to);
      line = to;
    }
  }
  GrammarLeaf leaf;
  leaf.dfa = builder.finish(start);
  leaf.follow = json_tokens_;
  return finished(std::move(leaf), cache_bytes_);
}

}  // namespace yunqi
