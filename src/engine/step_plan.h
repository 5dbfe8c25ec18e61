// A step is a value: the scheduler makes a StepPlan, an Executor runs it, the sampler reads its
// logits. Plans are pure integers, so scheduling is tested with a fake executor.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "ops/ops.h"
#include "tensor/view.h"

namespace yunqi {

struct PlannedRun {
  uint64_t sequence = 0;
  SequenceRun run;                // rows, context and pages
  bool wants_logits = false;      // of its last row
  bool wants_all_logits = false;  // of every row (prompt scoring)
};

struct StepPlan {
  std::vector<int32_t> tokens;      // [rows]
  std::vector<Position> positions;  // [rows]
  std::vector<PlannedRun> runs;     // cover the rows in order
  std::vector<int32_t> logit_rows;  // ascending

  void clear();
  int32_t rows() const { return static_cast<int32_t>(tokens.size()); }
};

// Bounds that a plan must respect; sized once, never exceeded.
struct ExecutorLimits {
  int32_t max_rows = 512;       // rows of a step
  int32_t max_logit_rows = 64;  // rows with logits in one step
  int32_t vocab = 0;            // columns of the logits, padding included
  int64_t max_context = 0;      // tokens of one sequence
  int32_t pages = 0;            // size of the page pool
  int32_t page_tokens = 32;
};

class Executor {
 public:
  virtual ~Executor() = default;
  virtual const ExecutorLimits& limits() const = 0;
  // Runs the plan; the result is valid until the next call: [plan.logit_rows, vocab], scratch that
  // the sampler may change. Any error makes the engine unhealthy.
  virtual Result<Matrix<float>> execute(const StepPlan& plan) = 0;
};

}  // namespace yunqi
