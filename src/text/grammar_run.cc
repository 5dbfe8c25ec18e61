// How threads move through rules, arrays and objects; see grammar_run.h.
#include "text/grammar_run.h"

#include <algorithm>

namespace yunqi {

using Thread = GrammarRun::Thread;
using State = GrammarRun::State;

void GrammarRun::begin(State& out) {
  out = {};
  work_.push_back({true, program_.root, 0, Matcher::kNone, 0});
  run(out);
}

void GrammarRun::step(const State& in, uint8_t byte, State& out) {
  out.threads.clear();
  out.complete = false;
  for (const Thread& before : in.threads) {
    const GrammarLeaf& leaf = *program_.leaves[before.leaf];
    Thread thread = before;
    if (leaf.kind == GrammarLeaf::Kind::kCounted) {
      if (!step_counted(*leaf.string, thread.state, thread.reg, byte, leaf.min, leaf.max)) continue;
    } else {
      thread.state = leaf.dfa.step(thread.state, byte);
      if (thread.state == Dfa::kDead) continue;
      if (leaf.kind == GrammarLeaf::Kind::kKey) {
        if (before.state == leaf.dfa.start) {
          thread.reg = static_cast<uint32_t>(m_.history_.size());  // after the opening quote
        } else if (thread.state == leaf.quoted && before.state != leaf.quoted) {
          if (!is_key_free(thread)) continue;
          const Frame& frame = m_.frames_[thread.frame];
          const auto end = static_cast<uint32_t>(m_.history_.size() - 1);
          m_.used_.push_back(
              {thread.reg, end - thread.reg, static_cast<uint32_t>(m_.words_[frame.data])});
          thread.reg = static_cast<uint32_t>(m_.used_.size() - 1);
        }
      }
    }
    if (leaf.continues[thread.state]) add_unique(thread, out);
    if (leaf.open_end && leaf.continues[thread.state]) out.complete = true;
    if (leaf.accepts[thread.state]) {
      work_.push_back({false, 0, 0, thread.frame, thread.reg});
      run(out);
    }
  }
}

void GrammarRun::finish_leaf(const Thread& thread, State& out) {
  out.threads.clear();
  out.complete = false;
  const bool is_key = program_.leaves[thread.leaf]->kind == GrammarLeaf::Kind::kKey;
  work_.push_back({false, 0, 0, thread.frame, is_key ? Matcher::kNone : thread.reg});
  run(out);
}

int GrammarRun::next_bytes(const Thread& thread, int& byte) const {
  const GrammarLeaf& leaf = *program_.leaves[thread.leaf];
  const Dfa& dfa = leaf.automaton();
  int found = 0;
  for (int b = 0; b < 256 && found < 2; ++b) {
    uint32_t state = thread.state, count = thread.reg;
    const bool lives = leaf.string ? step_counted(*leaf.string, state, count,
                                                  static_cast<uint8_t>(b), leaf.min, leaf.max)
                                   : dfa.step(thread.state, static_cast<uint8_t>(b)) != Dfa::kDead;
    if (lives) {
      byte = b;
      ++found;
    }
  }
  return found;
}

void GrammarRun::run(State& out) {
  for (size_t steps = 0; !work_.empty(); ++steps) {
    if (steps > kMaxClosureSteps) {  // fewer readings than there are; never a wrong one
      work_.clear();
      return;
    }
    const Work work = work_.back();
    work_.pop_back();
    if (work.enters) {
      enter(work, out);
    } else {
      finish(work.frame, work.reg, out);
    }
  }
}

void GrammarRun::enter(const Work& work, State& out) {
  const GrammarRule& rule = program_.rules[work.rule];
  const GrammarState& state = rule.states[work.state];
  for (const GrammarEdge& edge : state.edges) {
    const GrammarState& target = rule.states[edge.to];
    uint32_t parent = work.frame;
    if (!target.accepts || !target.edges.empty()) {
      Frame frame;
      frame.parent = work.frame;
      frame.node = work.rule;
      frame.choice = edge.to;
      frame.nesting = static_cast<uint16_t>(nesting_of(work.frame));
      parent = push(frame);
    }
    switch (edge.kind) {
      case GrammarEdge::Kind::kLeaf:
        add_thread(edge.index, parent, out);
        break;
      case GrammarEdge::Kind::kRule:
        work_.push_back({true, edge.index, 0, parent, 0});
        break;
      default:
        enter_shape(edge, parent, out);
    }
  }
  if (state.accepts) work_.push_back({false, 0, 0, work.frame, 0});
}

void GrammarRun::enter_shape(const GrammarEdge& edge, uint32_t parent, State& out) {
  const uint32_t nesting = nesting_of(parent);
  if (nesting + edge.nesting > kMaxJsonNesting) return;
  Frame frame;
  frame.parent = parent;
  frame.node = edge.index;
  frame.nesting = static_cast<uint16_t>(nesting + 1);
  frame.kind = edge.kind == GrammarEdge::Kind::kArray ? Matcher::FrameKind::kArray
                                                      : Matcher::FrameKind::kObject;
  frame.data = static_cast<uint32_t>(m_.words_.size());
  m_.words_.resize(m_.words_.size() + words_of(frame), 0);
  const bool is_array = frame.kind == Matcher::FrameKind::kArray;
  m_.words_[frame.data] = Matcher::kNone;
  add_thread(is_array ? program_.marks.array_open : program_.marks.object_open, push(frame), out);
}

void GrammarRun::finish(uint32_t frame_index, uint32_t reg, State& out) {
  if (frame_index == Matcher::kNone) {
    out.complete = true;
    return;
  }
  const Frame frame = m_.frames_[frame_index];
  switch (frame.kind) {
    case Matcher::FrameKind::kRule:
      work_.push_back({true, frame.node, frame.choice, frame.parent, 0});
      break;
    case Matcher::FrameKind::kArray:
      finish_array(frame, reg, out);
      break;
    case Matcher::FrameKind::kObject:
      finish_object(frame, reg, out);
      break;
  }
}

void GrammarRun::finish_array(Frame frame, uint32_t reg, State& out) {
  const ArrayShape& shape = array_of(frame);
  switch (frame.phase) {
    case Phase::kOpen:
      offer_items(frame);
      if (may_close(frame)) {
        frame.phase = Phase::kClose;
        add_thread(program_.marks.array_end, push(frame), out);
      }
      return;
    case Phase::kComma:
      offer_items(frame);
      return;
    case Phase::kValue: {
      const uint64_t index = m_.words_[frame.data + 1];
      const auto& options = shape.positions[std::min<size_t>(index, shape.positions.size() - 1)];
      const ShapeOption& option = options[frame.option];
      frame.data = copy_words(frame);
      if (option.is_unique) m_.words_[frame.data] = reg;
      ++m_.words_[frame.data + 1];
      for (const uint32_t counter : option.bumps) ++m_.words_[frame.data + 2 + counter];
      if (may_go_on(frame)) {
        frame.phase = Phase::kComma;
        add_thread(program_.marks.comma, push(frame), out);
      }
      if (may_close(frame)) {
        frame.phase = Phase::kClose;
        add_thread(program_.marks.array_close, push(frame), out);
      }
      return;
    }
    default:
      work_.push_back({false, 0, 0, frame.parent, 0});
  }
}

void GrammarRun::finish_object(Frame frame, uint32_t reg, State& out) {
  const ObjectShape& shape = object_of(frame);
  switch (frame.phase) {
    case Phase::kOpen:
      offer_keys(frame, out);
      if (may_close(frame)) {
        frame.phase = Phase::kClose;
        add_thread(program_.marks.object_end, push(frame), out);
      }
      return;
    case Phase::kComma:
      offer_keys(frame, out);
      return;
    case Phase::kKey:
      offer_values(frame, reg);
      return;
    case Phase::kValue: {
      const bool named = frame.choice < shape.keys.size();
      const ShapeOption& option =
          named ? shape.keys[frame.choice].options[frame.option]
                : shape.open[frame.choice - shape.keys.size()].options[frame.option];
      Frame next = frame;
      if (!option.bumps.empty()) {
        // The value may end here and again later on (a number): its frame stays as it is.
        next.data = copy_words(frame);
        const size_t counters = counters_at(frame);
        for (const uint32_t counter : option.bumps) ++m_.words_[next.data + counters + counter];
      }
      if (may_go_on(next)) {
        next.phase = Phase::kComma;
        next.choice = next.option = 0;
        add_thread(program_.marks.comma, push(next), out);
      }
      if (may_close(next)) {
        next.phase = Phase::kClose;
        next.choice = next.option = 0;
        add_thread(program_.marks.object_close, push(next), out);
      }
      return;
    }
    case Phase::kClose:
      work_.push_back({false, 0, 0, frame.parent, 0});
  }
}

void GrammarRun::offer_items(const Frame& frame) {
  const ArrayShape& shape = array_of(frame);
  const uint64_t index = m_.words_[frame.data + 1];
  if (index >= shape.max_items) return;
  const auto& options = shape.positions[std::min<size_t>(index, shape.positions.size() - 1)];
  for (uint32_t i = 0; i < options.size(); ++i) {
    if (!is_possible(frame, options[i], kOpenKey)) continue;
    Frame item = frame;
    item.phase = Phase::kValue;
    item.option = i;
    work_.push_back({true, options[i].rule, 0, push(item), 0});
  }
}

void GrammarRun::offer_keys(const Frame& frame, State& out) {
  const ObjectShape& shape = object_of(frame);
  const auto offer = [&](uint32_t choice, uint32_t leaf, const auto& options, uint32_t key) {
    const bool any = std::any_of(options.begin(), options.end(), [&](const ShapeOption& option) {
      return is_possible(frame, option, key);
    });
    if (!any) return;
    Frame next = frame;
    next.phase = Phase::kKey;
    next.choice = choice;
    add_thread(leaf, push(next), out);
  };
  for (uint32_t k = 0; k < shape.keys.size(); ++k) {
    if (!key_is_used(frame, k)) offer(k, shape.keys[k].leaf, shape.keys[k].options, k);
  }
  for (uint32_t k = 0; k < shape.open.size(); ++k) {
    const auto choice = static_cast<uint32_t>(shape.keys.size() + k);
    offer(choice, shape.open[k].leaf, shape.open[k].options, kOpenKey);
  }
}

void GrammarRun::offer_values(const Frame& frame, uint32_t reg) {
  const ObjectShape& shape = object_of(frame);
  const bool named = frame.choice < shape.keys.size();
  const auto& options = named ? shape.keys[frame.choice].options
                              : shape.open[frame.choice - shape.keys.size()].options;
  for (uint32_t i = 0; i < options.size(); ++i) {
    if (!is_possible(frame, options[i], named ? frame.choice : kOpenKey)) continue;
    Frame next = frame;
    next.phase = Phase::kValue;
    next.option = i;
    next.data = copy_words(frame);
    if (named) {
      m_.words_[next.data + 1 + frame.choice / 64] |= uint64_t{1} << (frame.choice % 64);
    } else if (reg != Matcher::kNone) {
      m_.words_[next.data] = reg;
    }
    work_.push_back({true, options[i].rule, 0, push(next), 0});
  }
}

void GrammarRun::add_thread(uint32_t leaf_index, uint32_t frame, State& out) {
  const GrammarLeaf& leaf = *program_.leaves[leaf_index];
  Thread thread;
  thread.leaf = leaf_index;
  thread.state = leaf.automaton().start;
  thread.frame = frame;
  if (leaf.open_end) out.complete = true;
  add_unique(thread, out);
  if (leaf.accepts[thread.state]) work_.push_back({false, 0, 0, frame, 0});
}

void GrammarRun::add_unique(const Thread& thread, State& out) {
  if (out.threads.size() >= kMaxGrammarThreads) return;
  for (const Thread& other : out.threads) {
    if (other.leaf != thread.leaf || other.state != thread.state) continue;
    const bool is_key = program_.leaves[thread.leaf]->kind == GrammarLeaf::Kind::kKey;
    if (other.reg != thread.reg && !is_key) continue;
    if (same_stack(other.frame, thread.frame)) return;
  }
  out.threads.push_back(thread);
}

uint32_t GrammarRun::push(Frame frame) {
  m_.frames_.push_back(frame);
  return static_cast<uint32_t>(m_.frames_.size() - 1);
}

uint32_t GrammarRun::nesting_of(uint32_t frame) const {
  return frame == Matcher::kNone ? 0 : m_.frames_[frame].nesting;
}

// Whether the key that just ended differs from the named ones and from those used before.
bool GrammarRun::is_key_free(const Thread& thread) const {
  const Frame& frame = m_.frames_[thread.frame];
  const std::string_view key =
      std::string_view(m_.history_).substr(thread.reg, m_.history_.size() - 1 - thread.reg);
  if (frame.kind == Matcher::FrameKind::kObject) {
    for (const ObjectShape::Key& named : object_of(frame).keys) {
      if (named.name == key) return false;
    }
  }
  for (auto at = static_cast<uint32_t>(m_.words_[frame.data]); at != Matcher::kNone;
       at = m_.used_[at].before) {
    const GrammarMatcher::UsedKey& used = m_.used_[at];
    if (std::string_view(m_.history_).substr(used.start, used.length) == key) return false;
  }
  return true;
}

bool GrammarRun::same_used(uint32_t a, uint32_t b) const {
  for (; a != b; a = m_.used_[a].before, b = m_.used_[b].before) {
    if (a == Matcher::kNone || b == Matcher::kNone) return false;
    if (m_.used_[a].start != m_.used_[b].start || m_.used_[a].length != m_.used_[b].length) {
      return false;
    }
  }
  return true;
}

bool GrammarRun::same_frame(const Frame& a, const Frame& b) const {
  if (a.kind != b.kind || a.node != b.node || a.choice != b.choice || a.phase != b.phase ||
      a.option != b.option || a.nesting != b.nesting) {
    return false;
  }
  if (a.kind == Matcher::FrameKind::kRule || a.data == b.data) return true;
  const size_t count = words_of(a);
  if (!same_used(static_cast<uint32_t>(m_.words_[a.data]),
                 static_cast<uint32_t>(m_.words_[b.data]))) {
    return false;
  }
  for (size_t i = 1; i < count; ++i) {
    if (m_.words_[a.data + i] != m_.words_[b.data + i]) return false;
  }
  return true;
}

bool GrammarRun::same_stack(uint32_t a, uint32_t b) const {
  while (a != b) {
    if (a == Matcher::kNone || b == Matcher::kNone) return false;
    if (!same_frame(m_.frames_[a], m_.frames_[b])) return false;
    a = m_.frames_[a].parent;
    b = m_.frames_[b].parent;
  }
  return true;
}

size_t GrammarRun::counters_at(const Frame& frame) const {
  if (frame.kind == Matcher::FrameKind::kArray) return 2;
  return 1 + object_of(frame).required.size();
}

size_t GrammarRun::words_of(const Frame& frame) const {
  return counters_at(frame) + (frame.kind == Matcher::FrameKind::kArray
                                   ? array_of(frame).counters.size()
                                   : object_of(frame).counters.size());
}

uint32_t GrammarRun::copy_words(const Frame& frame) {
  const auto to = static_cast<uint32_t>(m_.words_.size());
  const size_t count = words_of(frame);
  for (size_t i = 0; i < count; ++i) m_.words_.push_back(m_.words_[frame.data + i]);
  return to;
}

bool GrammarRun::key_is_used(const Frame& frame, uint32_t key) const {
  return (m_.words_[frame.data + 1 + key / 64] >> (key % 64) & 1) != 0;
}

bool GrammarRun::may_close(const Frame& frame) const {
  const size_t at = frame.data + counters_at(frame);
  const bool is_array = frame.kind == Matcher::FrameKind::kArray;
  const auto& counters = is_array ? array_of(frame).counters : object_of(frame).counters;
  for (size_t i = 0; i < counters.size(); ++i) {
    if (m_.words_[at + i] < counters[i].low || m_.words_[at + i] > counters[i].high) return false;
  }
  if (is_array) return m_.words_[frame.data + 1] >= array_of(frame).min_items;
  const auto& required = object_of(frame).required;
  for (size_t i = 0; i < required.size(); ++i) {
    if ((required[i] & ~m_.words_[frame.data + 1 + i]) != 0) return false;
  }
  return true;
}

bool GrammarRun::may_go_on(const Frame& frame) {
  if (frame.kind == Matcher::FrameKind::kArray) {
    const ArrayShape& shape = array_of(frame);
    const uint64_t index = m_.words_[frame.data + 1];
    if (index >= shape.max_items) return false;
    const auto& options = shape.positions[std::min<size_t>(index, shape.positions.size() - 1)];
    return std::any_of(options.begin(), options.end(), [&](const ShapeOption& option) {
      return is_possible(frame, option, kOpenKey);
    });
  }
  const ObjectShape& shape = object_of(frame);
  const auto any = [&](const auto& options, uint32_t key) {
    return std::any_of(options.begin(), options.end(),
                       [&](const ShapeOption& option) { return is_possible(frame, option, key); });
  };
  for (const ObjectShape::OpenKeys& open : shape.open) {
    if (any(open.options, kOpenKey)) return true;
  }
  for (uint32_t k = 0; k < shape.keys.size(); ++k) {
    if (!key_is_used(frame, k) && any(shape.keys[k].options, k)) return true;
  }
  return false;
}

bool GrammarRun::is_possible(const Frame& frame, const ShapeOption& option, uint32_t key) {
  if (frame.nesting + option.nesting > kMaxJsonNesting) return false;
  const bool is_array = frame.kind == Matcher::FrameKind::kArray;
  const auto& counters = is_array ? array_of(frame).counters : object_of(frame).counters;
  if (counters.empty()) return true;
  const size_t at = frame.data + counters_at(frame);
  std::vector<uint32_t> counts(counters.size());
  for (size_t i = 0; i < counts.size(); ++i) counts[i] = static_cast<uint32_t>(m_.words_[at + i]);
  for (const uint32_t counter : option.bumps) {
    if (++counts[counter] > counters[counter].high) return false;
  }
  uint32_t budget = kMaxFeasibleSteps;
  if (is_array) {
    return array_feasible(array_of(frame), static_cast<uint32_t>(m_.words_[frame.data + 1]) + 1,
                          counts, budget);
  }
  const ObjectShape& shape = object_of(frame);
  std::vector<uint64_t> used(shape.required.size());
  for (size_t i = 0; i < used.size(); ++i) used[i] = m_.words_[frame.data + 1 + i];
  if (key != kOpenKey) used[key / 64] |= uint64_t{1} << (key % 64);
  return object_feasible(shape, used, counts, budget);
}

// Depth-first: satisfies what is still missing, one member at a time.
bool GrammarRun::object_feasible(const ObjectShape& shape, std::vector<uint64_t>& used,
                                 std::vector<uint32_t>& counts, uint32_t& budget) {
  if (budget == 0) return false;
  --budget;
  const auto attempt = [&](const ShapeOption& option, uint32_t key) {
    for (const uint32_t counter : option.bumps) {
      if (counts[counter] >= shape.counters[counter].high) return false;
    }
    for (const uint32_t counter : option.bumps) ++counts[counter];
    if (key != kOpenKey) used[key / 64] |= uint64_t{1} << (key % 64);
    const bool good = object_feasible(shape, used, counts, budget);
    for (const uint32_t counter : option.bumps) --counts[counter];
    if (key != kOpenKey) used[key / 64] &= ~(uint64_t{1} << (key % 64));
    return good;
  };
  for (uint32_t k = 0; k < shape.keys.size(); ++k) {
    if (((shape.required[k / 64] & ~used[k / 64]) >> (k % 64) & 1) == 0) continue;
    const auto& options = shape.keys[k].options;
    return std::any_of(options.begin(), options.end(),
                       [&](const ShapeOption& option) { return attempt(option, k); });
  }
  for (uint32_t c = 0; c < counts.size(); ++c) {
    if (counts[c] >= shape.counters[c].low) continue;
    const auto helps = [c](const ShapeOption& option) {
      return std::find(option.bumps.begin(), option.bumps.end(), c) != option.bumps.end();
    };
    for (const ObjectShape::OpenKeys& open : shape.open) {
      for (const ShapeOption& option : open.options) {
        if (helps(option) && attempt(option, kOpenKey)) return true;
      }
    }
    for (uint32_t k = 0; k < shape.keys.size(); ++k) {
      if ((used[k / 64] >> (k % 64) & 1) != 0) continue;
      for (const ShapeOption& option : shape.keys[k].options) {
        if (helps(option) && attempt(option, k)) return true;
      }
    }
    return false;
  }
  return true;
}

bool GrammarRun::array_feasible(const ArrayShape& shape, uint32_t index,
                                std::vector<uint32_t>& counts, uint32_t& budget) {
  if (budget == 0) return false;
  --budget;
  bool done = index >= shape.min_items;
  for (size_t c = 0; c < counts.size() && done; ++c) done = counts[c] >= shape.counters[c].low;
  if (done) return true;
  if (index >= shape.max_items) return false;
  const bool in_tail = index + 1 >= shape.positions.size() && index >= shape.min_items;
  const auto& options = shape.positions[std::min<size_t>(index, shape.positions.size() - 1)];
  for (const bool helping : {true, false}) {
    if (!helping && in_tail) return false;  // the tail never changes: nothing is gained by waiting
    for (const ShapeOption& option : options) {
      const bool helps = std::any_of(option.bumps.begin(), option.bumps.end(),
                                     [&](uint32_t c) { return counts[c] < shape.counters[c].low; });
      if (helps != helping) continue;
      if (std::any_of(option.bumps.begin(), option.bumps.end(),
                      [&](uint32_t c) { return counts[c] >= shape.counters[c].high; })) {
        continue;
      }
      for (const uint32_t counter : option.bumps) ++counts[counter];
      const bool good = array_feasible(shape, index + 1, counts, budget);
      for (const uint32_t counter : option.bumps) --counts[counter];
      if (good) return true;
    }
  }
  return false;
}

}  // namespace yunqi
