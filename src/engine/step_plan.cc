// See step_plan.h.
#include "engine/step_plan.h"

namespace yunqi {

void StepPlan::clear() {
  commits.clear();
  copies.clear();
  tokens.clear();
  positions.clear();
  runs.clear();
  logit_rows.clear();
}

Status Executor::read_page(int32_t page, std::span<std::byte>) {
  return error(Code::kUnsupported, "page {}: this executor does not give pages away", page);
}

Status Executor::write_page(int32_t page, std::span<const std::byte>) {
  return error(Code::kUnsupported, "page {}: this executor takes no pages", page);
}

}  // namespace yunqi
