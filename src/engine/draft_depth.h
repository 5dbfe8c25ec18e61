// How many drafts to try: as many as make a token cheapest, by how often drafts came true and what
// rows cost. Arithmetic only. Owned by the engine thread.
#pragma once

#include <cstdint>

#include "engine/step_cost.h"

namespace yunqi {

inline constexpr int32_t kMaxDrafts = 16;  // of one sequence in one step

// How often a draft comes true if those before it did: a mean over the last few dozen.
class AcceptanceRate {
 public:
  double rate() const { return true_ / tried_; }
  // Of a run's drafts the first `accepted` came true; the one after them, if any, did not.
  void observe(int32_t drafts, int32_t accepted);
  // There was a draft and it was not worth trying: what is known fades, so that it is tried again.
  void fade();

 private:
  static constexpr double kPriorTried = 4, kPriorTrue = 2.4;
  double tried_ = kPriorTried, true_ = kPriorTrue;
};

// A step as planned so far: its rows, and how many tokens they are expected to give.
struct StepOutlook {
  int32_t rows = 0;
  double tokens = 0;
};

// The number of drafts, up to `most`, that gives most tokens per time when added to the step. Sizes
// that never ran count as if they cost nothing more: so they are tried, and then known.
int32_t choose_depth(double rate, const StepCost& cost, const StepOutlook& step, int32_t most);

// Tokens expected of so many drafts.
double expected_drafts(double rate, int32_t drafts);

}  // namespace yunqi
