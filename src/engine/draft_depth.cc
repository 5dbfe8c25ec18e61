// See draft_depth.h.
#include "engine/draft_depth.h"

#include <algorithm>

namespace yunqi {
namespace {

constexpr double kMemory = 48;  // tries that the mean goes back
constexpr double kFade = 0.98;
// Steps vary from run to run; a gain smaller than this is none.
constexpr double kLeastGain = 1.03;

}  // namespace

void AcceptanceRate::observe(int32_t drafts, int32_t accepted) {
  tried_ += std::min(drafts, accepted + 1);
  true_ += accepted;
  if (tried_ > kMemory) {
    true_ *= kMemory / tried_;
    tried_ = kMemory;
  }
}

void AcceptanceRate::fade() {
  tried_ = kPriorTried + (tried_ - kPriorTried) * kFade;
  true_ = kPriorTrue + (true_ - kPriorTrue) * kFade;
}

double expected_drafts(double rate, int32_t drafts) {
  double sum = 0, all_true = 1;
  for (int32_t i = 0; i < drafts; ++i) sum += all_true *= rate;
  return sum;
}

int32_t choose_depth(double rate, const StepCost& cost, const StepOutlook& step, int32_t most) {
  const double base_ns = cost.ns(step.rows);
  if (base_ns <= 0) return 0;  // nothing is known yet
  const double base = step.tokens / base_ns;
  int32_t best = 0;
  double best_speed = base * kLeastGain;
  for (int32_t drafts = 1; drafts <= most; ++drafts) {
    const int32_t rows = step.rows + drafts;
    const double ns = cost.measured(rows) ? cost.ns(rows) : base_ns;
    const double speed = (step.tokens + expected_drafts(rate, drafts)) / ns;
    if (speed > best_speed) {
      best = drafts;
      best_speed = speed;
    }
  }
  return best;
}

}  // namespace yunqi
