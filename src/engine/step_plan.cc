// See step_plan.h.
#include "engine/step_plan.h"

namespace yunqi {

void StepPlan::clear() {
  tokens.clear();
  positions.clear();
  runs.clear();
  logit_rows.clear();
}

}  // namespace yunqi
