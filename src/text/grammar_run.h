// The stepping of a matcher: what one byte does to its threads, and which threads follow when a
// leaf ends. Internal to grammar_matcher.cc; holds no state of its own between calls.
#pragma once

#include <vector>

#include "text/grammar.h"

namespace yunqi {

inline constexpr size_t kMaxGrammarThreads = 512;
inline constexpr size_t kMaxClosureSteps = 20'000;  // structure entered between two bytes
inline constexpr uint32_t kMaxFeasibleSteps = 2'000;

class GrammarRun {
 public:
  using Matcher = GrammarMatcher;
  using Thread = GrammarMatcher::Thread;
  using State = GrammarMatcher::State;
  explicit GrammarRun(Matcher& matcher) : m_(matcher), program_(matcher.grammar_->program()) {}

  void begin(Matcher::State& out);
  // `byte` must already be the last of the matcher's history.
  void step(const Matcher::State& in, uint8_t byte, Matcher::State& out);
  // What follows when the leaf of `thread` ends here.
  void finish_leaf(const Matcher::Thread& thread, Matcher::State& out);
  // The bytes that keep `thread` alive; stops counting at two.
  int next_bytes(const Matcher::Thread& thread, int& byte) const;

  // Whether what `counts` and `used` still lack can be had. `budget` is counted down; at 0 the
  // answer is no.
  static bool object_feasible(const ObjectShape& shape, std::vector<uint64_t>& used,
                              std::vector<uint32_t>& counts, uint32_t& budget);
  static bool array_feasible(const ArrayShape& shape, uint32_t index, std::vector<uint32_t>& counts,
                             uint32_t& budget);

 private:
  using Frame = Matcher::Frame;
  using Phase = Matcher::Phase;
  struct Work {
    bool enters = false;  // a rule's state, else: the child of a frame ended
    uint32_t rule = 0, state = 0, frame = 0, reg = 0;
  };

  void run(Matcher::State& out);
  void enter(const Work& work, Matcher::State& out);
  void enter_shape(const GrammarEdge& edge, uint32_t parent, Matcher::State& out);
  void finish(uint32_t frame, uint32_t reg, Matcher::State& out);
  void finish_array(Frame frame, uint32_t reg, Matcher::State& out);
  void finish_object(Frame frame, uint32_t reg, Matcher::State& out);
  void offer_items(const Frame& frame);
  void offer_keys(const Frame& frame, Matcher::State& out);
  void offer_values(const Frame& frame, uint32_t reg);
  void add_thread(uint32_t leaf, uint32_t frame, Matcher::State& out);
  void add_unique(const Matcher::Thread& thread, Matcher::State& out);
  uint32_t push(Frame frame);
  uint32_t nesting_of(uint32_t frame) const;
  bool is_key_free(const Matcher::Thread& thread) const;
  bool same_stack(uint32_t a, uint32_t b) const;
  bool same_frame(const Frame& a, const Frame& b) const;
  bool same_used(uint32_t a, uint32_t b) const;

  // Arrays: words are [used items, index, counters...]; objects: [used keys, bits..., counters...].
  const ArrayShape& array_of(const Frame& frame) const { return program_.arrays[frame.node]; }
  const ObjectShape& object_of(const Frame& frame) const { return program_.objects[frame.node]; }
  size_t counters_at(const Frame& frame) const;
  size_t words_of(const Frame& frame) const;
  uint32_t copy_words(const Frame& frame);
  bool key_is_used(const Frame& frame, uint32_t key) const;
  bool may_close(const Frame& frame) const;
  bool may_go_on(const Frame& frame);
  // Whether `option` may be taken now and the shape can still be completed after it; `key` is the
  // named key it is for, or kOpenKey.
  bool is_possible(const Frame& frame, const ShapeOption& option, uint32_t key);
  static constexpr uint32_t kOpenKey = UINT32_MAX;

  Matcher& m_;
  const GrammarProgram& program_;
  std::vector<Work> work_;
};

}  // namespace yunqi
