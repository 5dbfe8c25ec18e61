// Thompson construction, subset construction and products, all within budgets.
#include "text/regex_automaton.h"

#include <algorithm>
#include <map>
#include <optional>
#include <unordered_map>

namespace yunqi {
namespace {

constexpr uint32_t kNone = UINT32_MAX;

Status too_many_states() {
  return error(Code::kInvalidArgument,
               "the pattern needs too many states: shorten its repeats or classes");
}

struct ByteEdge {
  uint8_t first, last;
  uint32_t to;
};

struct NfaState {
  std::vector<uint32_t> empty;        // taken without reading
  std::vector<uint32_t> start_empty;  // only at the start of the text
  std::vector<uint32_t> end_empty;    // only at its end
  std::vector<ByteEdge> edges;
};

struct Nfa {
  std::vector<NfaState> states;
  uint32_t start = 0, final = 0;
};

// The UTF-8 byte ranges of a range of code points: each row is one sequence of byte ranges.
struct Utf8Range {
  uint8_t first[4], last[4];
  int length;
};

void split_utf8(char32_t first, char32_t last, std::vector<Utf8Range>& out) {
  static constexpr char32_t kEnds[] = {0x7F, 0x7FF, 0xFFFF, 0x10FFFF};
  std::vector<CodeRange> work = {{first, last}};
  while (!work.empty()) {
    CodeRange range = work.back();
    work.pop_back();
    bool split = false;
    for (const char32_t end : kEnds) {
      if (range.first <= end && end < range.last) {
        work.push_back({end + 1, range.last});
        work.push_back({range.first, end});
        split = true;
        break;
      }
    }
    if (split) continue;
    const int length = range.last <= 0x7F     ? 1
                       : range.last <= 0x7FF  ? 2
                       : range.last <= 0xFFFF ? 3
                                              : 4;
    for (int i = 1; i < length && !split; ++i) {
      const char32_t mask = (char32_t{1} << (6 * i)) - 1;
      if ((range.first & ~mask) == (range.last & ~mask)) continue;
      if ((range.first & mask) != 0) {
        work.push_back({(range.first | mask) + 1, range.last});
        work.push_back({range.first, range.first | mask});
        split = true;
      } else if ((range.last & mask) != mask) {
        work.push_back({range.last & ~mask, range.last});
        work.push_back({range.first, (range.last & ~mask) - 1});
        split = true;
      }
    }
    if (split) continue;
    Utf8Range row{};
    row.length = length;
    static constexpr uint8_t kLead[] = {0, 0x00, 0xC0, 0xE0, 0xF0};
    for (int i = 0; i < length; ++i) {
      const int shift = 6 * (length - 1 - i);
      const uint8_t lead = i == 0 ? kLead[length] : 0x80;
      const char32_t bits = i == 0 ? 0x7F : 0x3F;
      row.first[i] = static_cast<uint8_t>(lead | ((range.first >> shift) & bits));
      row.last[i] = static_cast<uint8_t>(lead | ((range.last >> shift) & bits));
    }
    out.push_back(row);
  }
}

class NfaBuilder {
 public:
  Result<Nfa> build(const GrammarNode& node, Anchoring anchoring) {
    nfa_.start = add();
    nfa_.final = add();
    YQ_TRY(const uint32_t entry, emit(node, nfa_.final));
    nfa_.states[nfa_.start].empty.push_back(entry);
    if (anchoring == Anchoring::kSearch) {
      const GrammarNode any = GrammarNode::code_class({{0, 0xD7FF}, {0xE000, 0x10FFFF}});
      // Before the match: any text, and then the match can't be at the start any more.
      const uint32_t loop = add();
      YQ_TRY(const uint32_t before, emit(any, loop));
      nfa_.states[loop].empty.push_back(before);
      nfa_.states[loop].empty.push_back(entry);
      nfa_.states[nfa_.start].empty.push_back(before);
      YQ_TRY(const uint32_t after, emit(any, nfa_.final));
      nfa_.states[nfa_.final].empty.push_back(after);
    }
    if (full()) return too_many_states();
    return std::move(nfa_);
  }

 private:
  static constexpr size_t kMaxVisits = size_t{4} * kMaxNfaStates;  // empty parts cost time too

  bool full() const { return nfa_.states.size() > kMaxNfaStates; }

  uint32_t add() {
    nfa_.states.emplace_back();
    return static_cast<uint32_t>(nfa_.states.size() - 1);
  }

  // The entry of a machine that matches `node` and then goes on at `to`.
  Result<uint32_t> emit(const GrammarNode& node, uint32_t to) {
    if (full() || ++visits_ > kMaxVisits) return too_many_states();
    switch (node.kind) {
      case GrammarNode::Kind::kSequence: {
        for (size_t i = node.children.size(); i-- > 0;) {
          YQ_TRY(to, emit(node.children[i], to));
        }
        return to;
      }
      case GrammarNode::Kind::kAlternative: {
        const uint32_t fork = add();
        for (const GrammarNode& child : node.children) {
          YQ_TRY(const uint32_t entry, emit(child, to));
          nfa_.states[fork].empty.push_back(entry);
        }
        return fork;
      }
      case GrammarNode::Kind::kRepeat:
        return emit_repeat(node, to);
      case GrammarNode::Kind::kClass:
        return emit_class(node.ranges, to);
      case GrammarNode::Kind::kLiteral: {
        for (size_t i = node.bytes.size(); i-- > 0;) {
          const auto byte = static_cast<uint8_t>(node.bytes[i]);
          const uint32_t state = add();
          nfa_.states[state].edges.push_back({byte, byte, to});
          to = state;
        }
        return to;
      }
      case GrammarNode::Kind::kStart: {
        const uint32_t state = add();
        nfa_.states[state].start_empty.push_back(to);
        return state;
      }
      case GrammarNode::Kind::kEnd: {
        const uint32_t state = add();
        nfa_.states[state].end_empty.push_back(to);
        return state;
      }
      case GrammarNode::Kind::kRule:
        break;
    }
    return error(Code::kInternal, "a rule reference reached the automaton builder");
  }

  Result<uint32_t> emit_repeat(const GrammarNode& node, uint32_t to) {
    const GrammarNode& child = node.children[0];
    if (node.max == GrammarNode::kUnbounded) {
      const uint32_t loop = add();
      YQ_TRY(const uint32_t body, emit(child, loop));
      nfa_.states[loop].empty = {body, to};
      to = loop;
    } else {
      const uint32_t done = to;
      for (uint32_t i = node.min; i < node.max; ++i) {
        YQ_TRY(const uint32_t body, emit(child, to));
        const uint32_t fork = add();
        nfa_.states[fork].empty = {body, done};
        to = fork;
      }
    }
    for (uint32_t i = 0; i < node.min; ++i) {
      YQ_TRY(to, emit(child, to));
      if (child.kind == GrammarNode::Kind::kSequence && child.children.empty()) break;
    }
    return to;
  }

  Result<uint32_t> emit_class(const std::vector<CodeRange>& ranges, uint32_t to) {
    std::vector<Utf8Range> rows;
    for (const CodeRange& range : ranges) split_utf8(range.first, range.last, rows);
    const uint32_t entry = add();
    std::map<std::pair<uint32_t, uint32_t>, uint32_t> tails;  // (bytes, next) -> shared state
    for (const Utf8Range& row : rows) {
      uint32_t next = to;
      for (int i = row.length - 1; i > 0; --i) {
        const auto key = std::pair{uint32_t{row.first[i]} << 8 | row.last[i], next};
        auto [at, is_new] = tails.try_emplace(key, kNone);
        if (is_new) {
          at->second = add();
          nfa_.states[at->second].edges.push_back({row.first[i], row.last[i], next});
        }
        next = at->second;
      }
      nfa_.states[entry].edges.push_back({row.first[0], row.last[0], next});
    }
    if (full()) return too_many_states();
    return entry;
  }

  Nfa nfa_;
  size_t visits_ = 0;
};

struct VectorHash {
  size_t operator()(const std::vector<uint32_t>& values) const {
    uint64_t hash = 0x9E3779B97F4A7C15u;
    for (const uint32_t value : values) hash = (hash ^ value) * 0x100000001B3u ^ (hash >> 29);
    return hash;
  }
};

// Keeps the states that are reached from `start` and reach acceptance.
Dfa trimmed(const Dfa& in, std::vector<uint32_t>* renumbered) {
  const uint32_t count = in.states();
  std::vector<std::vector<uint32_t>> sources(count);
  std::vector<uint8_t> reached(count, 0), alive(count, 0);
  std::vector<uint32_t> work = {in.start};
  reached[in.start] = 1;
  while (!work.empty()) {
    const uint32_t state = work.back();
    work.pop_back();
    for (uint32_t c = 0; c < in.class_count; ++c) {
      const uint32_t to = in.next[size_t{state} * in.class_count + c];
      if (to == Dfa::kDead) continue;
      sources[to].push_back(state);
      if (!reached[to]) {
        reached[to] = 1;
        work.push_back(to);
      }
    }
  }
  for (uint32_t state = 1; state < count; ++state) {
    if (reached[state] && in.accepts[state]) {
      alive[state] = 1;
      work.push_back(state);
    }
  }
  while (!work.empty()) {
    const uint32_t state = work.back();
    work.pop_back();
    for (const uint32_t from : sources[state]) {
      if (!alive[from]) {
        alive[from] = 1;
        work.push_back(from);
      }
    }
  }
  Dfa out;
  out.byte_class = in.byte_class;
  out.class_count = in.class_count;
  std::vector<uint32_t> number(count, Dfa::kDead);
  uint32_t kept = 1;
  for (uint32_t state = 1; state < count; ++state) {
    if (alive[state]) number[state] = kept++;
  }
  out.next.assign(size_t{kept} * in.class_count, Dfa::kDead);
  out.accepts.assign(kept, 0);
  for (uint32_t state = 1; state < count; ++state) {
    if (!alive[state]) continue;
    out.accepts[number[state]] = in.accepts[state];
    for (uint32_t c = 0; c < in.class_count; ++c) {
      out.next[size_t{number[state]} * in.class_count + c] =
          number[in.next[size_t{state} * in.class_count + c]];
    }
  }
  out.start = number[in.start];
  if (renumbered) *renumbered = std::move(number);
  return out;
}

// Moore's refinement; states that behave alike become one.
Dfa minimal(const Dfa& in) {
  constexpr uint32_t kMost = 400;  // beyond, the quadratic worst case is not worth it
  const uint32_t count = in.states();
  if (count > kMost) return in;
  std::vector<uint32_t> part(count);
  for (uint32_t s = 0; s < count; ++s) part[s] = in.accepts[s];
  size_t parts = 0;
  std::vector<uint32_t> row(in.class_count + 1);
  for (;;) {
    std::unordered_map<std::vector<uint32_t>, uint32_t, VectorHash> numbers;
    std::vector<uint32_t> refined(count);
    for (uint32_t s = 0; s < count; ++s) {
      row[0] = part[s];
      for (uint32_t c = 0; c < in.class_count; ++c) {
        row[c + 1] = part[in.next[size_t{s} * in.class_count + c]];
      }
      refined[s] = numbers.try_emplace(row, static_cast<uint32_t>(numbers.size())).first->second;
    }
    part = std::move(refined);
    if (numbers.size() == parts) break;
    parts = numbers.size();
  }
  // The dead state was numbered first, so it is 0 again.
  Dfa out;
  out.byte_class = in.byte_class;
  out.class_count = in.class_count;
  out.next.assign(parts * in.class_count, Dfa::kDead);
  out.accepts.assign(parts, 0);
  for (uint32_t s = 0; s < count; ++s) {
    out.accepts[part[s]] = in.accepts[s];
    for (uint32_t c = 0; c < in.class_count; ++c) {
      out.next[size_t{part[s]} * in.class_count + c] =
          part[in.next[size_t{s} * in.class_count + c]];
    }
  }
  out.start = part[in.start];
  return out;
}

class SubsetConstruction {
 public:
  explicit SubsetConstruction(const Nfa& nfa) : nfa_(nfa), mark_(nfa.states.size(), 0) {}

  Result<Dfa> run() {
    find_classes();
    std::vector<uint32_t> first = {nfa_.start};
    close(first, /*at_start=*/true, /*at_end=*/false);
    // At the start of the text ^ holds too, so whether "" matches is asked apart.
    std::vector<uint32_t> empty_text = {nfa_.start};
    close(empty_text, true, true);
    YQ_TRY(dfa_.start, number_of(std::move(first)));
    const bool matches_empty =
        std::find(empty_text.begin(), empty_text.end(), nfa_.final) != empty_text.end();
    for (size_t at = 1; at < sets_.size(); ++at) {
      for (uint32_t c = 0; c < dfa_.class_count; ++c) {
        const uint8_t byte = sample_[c];
        std::vector<uint32_t> to;
        for (const uint32_t state : *sets_[at]) {
          for (const ByteEdge& edge : nfa_.states[state].edges) {
            if (edge.first <= byte && byte <= edge.last) to.push_back(edge.to);
          }
        }
        work_ += sets_[at]->size() + to.size() + 1;
        close(to, false, false);
        if (work_ > kMaxDfaWork) return too_many_states();
        if (to.empty()) continue;
        YQ_TRY(const uint32_t number, number_of(std::move(to)));
        dfa_.next[at * dfa_.class_count + c] = number;
      }
    }
    split_start(matches_empty);
    return minimal(trimmed(dfa_, nullptr));
  }

 private:
  // Bytes that no edge tells apart share a class.
  void find_classes() {
    std::array<bool, 257> cut{};
    for (const NfaState& state : nfa_.states) {
      for (const ByteEdge& edge : state.edges) cut[edge.first] = cut[edge.last + size_t{1}] = true;
    }
    uint32_t number = 0;
    for (size_t byte = 0; byte < 256; ++byte) {
      if (byte > 0 && cut[byte]) ++number;
      dfa_.byte_class[byte] = static_cast<uint8_t>(number);
      if (sample_.size() <= number) sample_.push_back(static_cast<uint8_t>(byte));
    }
    dfa_.class_count = number + 1;
    dfa_.next.assign(dfa_.class_count, Dfa::kDead);
  }

  void close(std::vector<uint32_t>& set, bool at_start, bool at_end) {
    ++stamp_;
    std::vector<uint32_t> all;
    const auto visit = [&](uint32_t state) {
      if (mark_[state] == stamp_) return;
      mark_[state] = stamp_;
      all.push_back(state);
    };
    for (const uint32_t state : set) visit(state);
    for (size_t i = 0; i < all.size(); ++i) {
      const NfaState& state = nfa_.states[all[i]];
      for (const uint32_t to : state.empty) visit(to);
      if (at_start) {
        for (const uint32_t to : state.start_empty) visit(to);
      }
      if (at_end) {
        for (const uint32_t to : state.end_empty) visit(to);
      }
    }
    work_ += all.size();
    std::sort(all.begin(), all.end());
    set = std::move(all);
  }

  Result<uint32_t> number_of(std::vector<uint32_t> set) {
    auto [at, is_new] = numbers_.try_emplace(std::move(set), dfa_.states());
    if (!is_new) return at->second;
    if (dfa_.states() >= kMaxDfaStates ||
        size_t{dfa_.states()} * dfa_.class_count >= kMaxDfaCells) {
      return too_many_states();
    }
    if (sets_.empty()) sets_.push_back(nullptr);
    sets_.push_back(&at->first);
    dfa_.next.resize(dfa_.next.size() + dfa_.class_count, Dfa::kDead);
    std::vector<uint32_t> ended = at->first;
    close(ended, false, true);
    dfa_.accepts.push_back(std::find(ended.begin(), ended.end(), nfa_.final) != ended.end());
    return at->second;
  }

  // The start gets a state of its own when the empty text is judged differently from the same
  // set of states later on.
  void split_start(bool matches_empty) {
    if (dfa_.accepts[dfa_.start] == static_cast<uint8_t>(matches_empty)) return;
    const uint32_t copy = dfa_.states();
    dfa_.accepts.push_back(matches_empty);
    for (uint32_t c = 0; c < dfa_.class_count; ++c) {
      dfa_.next.push_back(dfa_.next[size_t{dfa_.start} * dfa_.class_count + c]);
    }
    dfa_.start = copy;
  }

  const Nfa& nfa_;
  Dfa dfa_;
  std::vector<uint8_t> sample_;
  std::unordered_map<std::vector<uint32_t>, uint32_t, VectorHash> numbers_;
  std::vector<const std::vector<uint32_t>*> sets_;
  std::vector<uint32_t> mark_;
  uint32_t stamp_ = 0;
  size_t work_ = 0;
};

}  // namespace

std::vector<CodeRange> normal_ranges(std::vector<CodeRange> ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const CodeRange& a, const CodeRange& b) { return a.first < b.first; });
  std::vector<CodeRange> merged;
  for (const CodeRange& range : ranges) {
    if (range.first > range.last || range.first > 0x10FFFF) continue;
    if (!merged.empty() && range.first <= merged.back().last + 1) {
      merged.back().last = std::max(merged.back().last, range.last);
    } else {
      merged.push_back(range);
    }
  }
  std::vector<CodeRange> out;
  for (CodeRange range : merged) {
    range.last = std::min<char32_t>(range.last, 0x10FFFF);
    if (range.first < 0xD800 && range.last >= 0xD800) out.push_back({range.first, 0xD7FF});
    if (range.last < 0xD800 || range.first > 0xDFFF) {
      out.push_back(range);
    } else if (range.last > 0xDFFF) {
      out.push_back({0xE000, range.last});
    }
  }
  return out;
}

std::vector<CodeRange> inverse_ranges(const std::vector<CodeRange>& ranges) {
  std::vector<CodeRange> out;
  char32_t next = 0;
  for (const CodeRange& range : ranges) {
    if (range.first > next) out.push_back({next, range.first - 1});
    next = range.last + 1;
  }
  if (next <= 0x10FFFF) out.push_back({next, 0x10FFFF});
  return normal_ranges(std::move(out));
}

bool Dfa::has_exit(uint32_t state) const {
  const auto row = next.begin() + static_cast<ptrdiff_t>(size_t{state} * class_count);
  return std::any_of(row, row + class_count, [](uint32_t to) { return to != kDead; });
}

bool Dfa::matches(std::string_view text) const {
  uint32_t state = start;
  for (const char c : text) state = step(state, static_cast<uint8_t>(c));
  return accepts[state] != 0;
}

Result<Dfa> build_dfa(const GrammarNode& node, Anchoring anchoring) {
  YQ_TRY(const Nfa nfa, NfaBuilder().build(node, anchoring));
  return SubsetConstruction(nfa).run();
}

Result<Dfa> combine(const Dfa& a, const Dfa& b, DfaOperation operation) {
  Dfa out;
  std::map<std::pair<uint8_t, uint8_t>, uint8_t> classes;
  std::vector<uint8_t> sample;
  for (size_t byte = 0; byte < 256; ++byte) {
    const auto [at, is_new] = classes.try_emplace(std::pair{a.byte_class[byte], b.byte_class[byte]},
                                                  static_cast<uint8_t>(classes.size()));
    if (is_new) sample.push_back(static_cast<uint8_t>(byte));
    out.byte_class[byte] = at->second;
  }
  out.class_count = static_cast<uint32_t>(classes.size());
  out.next.assign(out.class_count, Dfa::kDead);
  std::unordered_map<uint64_t, uint32_t> numbers;
  std::vector<std::pair<uint32_t, uint32_t>> pairs = {{Dfa::kDead, Dfa::kDead}};
  const auto number_of = [&](uint32_t x, uint32_t y) -> uint32_t {
    const bool dead = operation == DfaOperation::kUnite       ? x == Dfa::kDead && y == Dfa::kDead
                      : operation == DfaOperation::kIntersect ? x == Dfa::kDead || y == Dfa::kDead
                                                              : x == Dfa::kDead;
    if (dead) return Dfa::kDead;
    const auto [at, is_new] =
        numbers.try_emplace(uint64_t{x} << 32 | y, static_cast<uint32_t>(pairs.size()));
    if (is_new) {
      pairs.emplace_back(x, y);
      const bool in_a = a.accepts[x] != 0, in_b = b.accepts[y] != 0;
      out.accepts.push_back(operation == DfaOperation::kUnite       ? in_a || in_b
                            : operation == DfaOperation::kIntersect ? in_a && in_b
                                                                    : in_a && !in_b);
      out.next.resize(out.next.size() + out.class_count, Dfa::kDead);
    }
    return at->second;
  };
  out.start = number_of(a.start, b.start);
  for (size_t at = 1; at < pairs.size(); ++at) {
    if (pairs.size() > kMaxDfaStates || pairs.size() * out.class_count > kMaxDfaCells) {
      return too_many_states();
    }
    const auto [x, y] = pairs[at];
    for (uint32_t c = 0; c < out.class_count; ++c) {
      const uint32_t to = number_of(a.step(x, sample[c]), b.step(y, sample[c]));
      out.next[at * out.class_count + c] = to;
    }
  }
  return minimal(trimmed(out, nullptr));
}

Result<Dfa> complement_text(const Dfa& a) {
  YQ_TRY(const Dfa all, dfa_of_lengths(0, GrammarNode::kUnbounded));
  return combine(all, a, DfaOperation::kSubtract);
}

Result<Dfa> dfa_of_strings(std::span<const std::string> strings) {
  DfaBuilder builder;
  std::vector<std::map<uint8_t, uint32_t>> edges(2);
  const uint32_t start = builder.add_state();
  for (const std::string& text : strings) {
    uint32_t state = start;
    for (const char c : text) {
      const auto byte = static_cast<uint8_t>(c);
      const auto [at, is_new] = edges[state].try_emplace(byte, 0);
      if (is_new) {
        if (builder.size() >= kMaxDfaStates) return too_many_states();
        at->second = builder.add_state();
        builder.add_edge(state, byte, at->second);
        const uint32_t to = at->second;
        edges.emplace_back();
        state = to;
      } else {
        state = at->second;
      }
    }
    builder.set_accepting(state);
  }
  return builder.finish(start);
}

Result<Dfa> dfa_of_lengths(uint32_t min, uint32_t max) {
  // One group of states for each number of characters; without a maximum the last one loops.
  constexpr uint32_t kGroup = 8;
  const uint32_t last = max == GrammarNode::kUnbounded ? min : max;
  if (last >= kMaxDfaStates / kGroup) return too_many_states();
  if (min > max) return Dfa();
  DfaBuilder builder;
  std::vector<uint32_t> bodies;
  for (uint32_t n = 0; n <= last; ++n) {
    bodies.push_back(builder.add_state(n >= min));
    for (uint32_t i = 1; i < kGroup; ++i) builder.add_state();
  }
  for (uint32_t n = 0; n <= last; ++n) {
    if (n == last && max != GrammarNode::kUnbounded) break;
    const uint32_t body = bodies[n], next = bodies[std::min(n + 1, last)];
    const uint32_t tail1 = body + 1, tail2 = body + 2, tail3 = body + 3;
    builder.add_edges(body, 0x00, 0x7F, next);
    builder.add_edges(body, 0xC2, 0xDF, tail1);
    builder.add_edges(body, 0xE1, 0xEF, tail2);
    builder.add_edge(body, 0xE0, body + 4);
    builder.add_edge(body, 0xED, body + 5);
    builder.add_edges(body, 0xF1, 0xF3, tail3);
    builder.add_edge(body, 0xF0, body + 6);
    builder.add_edge(body, 0xF4, body + 7);
    builder.add_edges(tail1, 0x80, 0xBF, next);
    builder.add_edges(tail2, 0x80, 0xBF, tail1);
    builder.add_edges(tail3, 0x80, 0xBF, tail2);
    builder.add_edges(body + 4, 0xA0, 0xBF, tail1);
    builder.add_edges(body + 5, 0x80, 0x9F, tail1);
    builder.add_edges(body + 6, 0x90, 0xBF, tail2);
    builder.add_edges(body + 7, 0x80, 0x8F, tail2);
  }
  return builder.finish(bodies[0]);
}

std::optional<std::vector<std::string>> finite_strings(const Dfa& dfa, size_t most) {
  std::vector<std::string> found;
  struct Place {
    uint32_t state;
    int next_byte;
  };
  std::vector<Place> path = {{dfa.start, 0}};
  std::vector<uint8_t> on_path(dfa.states(), 0);
  std::string text;
  if (dfa.is_empty()) return found;
  on_path[dfa.start] = 1;
  if (dfa.accepts[dfa.start]) found.emplace_back();
  while (!path.empty()) {
    Place& place = path.back();
    if (place.next_byte == 256) {
      on_path[place.state] = 0;
      path.pop_back();
      if (!text.empty()) text.pop_back();
      continue;
    }
    const auto byte = static_cast<uint8_t>(place.next_byte++);
    const uint32_t to = dfa.step(place.state, byte);
    if (to == Dfa::kDead) continue;
    if (on_path[to]) return std::nullopt;  // a loop: endlessly many
    text.push_back(static_cast<char>(byte));
    on_path[to] = 1;
    path.push_back({to, 0});
    if (dfa.accepts[to]) {
      if (found.size() == most) return std::nullopt;
      found.push_back(text);
    }
  }
  return found;
}

std::optional<size_t> longest_bytes(const Dfa& dfa) {
  // Depth first; a state's value is known when all its successors' are.
  enum : uint8_t { kNew, kOpen, kDone };
  std::vector<uint8_t> mark(dfa.states(), kNew);
  std::vector<size_t> longest(dfa.states(), 0);
  std::vector<std::pair<uint32_t, uint32_t>> path = {{dfa.start, 0}};
  if (dfa.is_empty()) return 0;
  mark[dfa.start] = kOpen;
  while (!path.empty()) {
    auto& [state, next_class] = path.back();
    if (next_class == dfa.class_count) {
      mark[state] = kDone;
      const size_t value = longest[state];
      path.pop_back();
      if (!path.empty()) {
        size_t& above = longest[path.back().first];
        above = std::max(above, value + 1);
      }
      continue;
    }
    const uint32_t to = dfa.next[size_t{state} * dfa.class_count + next_class++];
    if (to == Dfa::kDead) continue;
    if (mark[to] == kOpen) return std::nullopt;
    if (mark[to] == kDone) {
      longest[state] = std::max(longest[state], longest[to] + 1);
      continue;
    }
    mark[to] = kOpen;
    path.emplace_back(to, 0);
  }
  return longest[dfa.start];
}

Dfa DfaBuilder::finish(uint32_t start, std::vector<uint32_t>* renumbered) const {
  Dfa dfa;
  std::array<bool, 257> cut{};
  for (const Edge& edge : edges_) cut[edge.first] = cut[edge.last + size_t{1}] = true;
  uint32_t number = 0;
  for (size_t byte = 0; byte < 256; ++byte) {
    if (byte > 0 && cut[byte]) ++number;
    dfa.byte_class[byte] = static_cast<uint8_t>(number);
  }
  dfa.class_count = number + 1;
  dfa.accepts = accepts_;
  dfa.next.assign(size_t{size()} * dfa.class_count, Dfa::kDead);
  for (const Edge& edge : edges_) {
    uint32_t* const row = &dfa.next[size_t{edge.from} * dfa.class_count];
    std::fill(row + dfa.byte_class[edge.first], row + dfa.byte_class[edge.last] + 1, edge.to);
  }
  dfa.start = start;
  return trimmed(dfa, renumbered);
}

}  // namespace yunqi
