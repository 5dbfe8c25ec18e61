// A step is a value: the scheduler makes a StepPlan, an Executor runs it, the sampler reads its
// logits. Plans are pure integers, so scheduling is tested with a fake executor.
#pragma once

#include <cstddef>
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
  int32_t slot = -1;              // of the sequence's recurrent state; -1: the model has none
  int32_t drafts = 0;             // so many last rows are guesses, and may turn out wrong
  bool wants_logits = false;      // of its last row
  bool wants_all_logits = false;  // of every row (prompt scoring, drafts)
};

// Of a slot's last run only the rows up to token `context` came true: its state becomes theirs.
struct StateCommit {
  int32_t slot = 0;
  int32_t context = 0;
};
struct StateCopy {
  int32_t from = 0, to = 0;
};

struct StepPlan {
  // Recurrent state, before any row: first the commits, then the copies, each in order.
  std::vector<StateCommit> commits;
  std::vector<StateCopy> copies;
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
  int32_t state_slots = 0;  // recurrent states, kept ones included; 0: the model has none
};

class Executor {
 public:
  virtual ~Executor() = default;
  virtual const ExecutorLimits& limits() const = 0;
  // Runs the plan; the result is valid until the next call: [plan.logit_rows, vocab], scratch that
  // the sampler may change. Any error makes the engine unhealthy.
  //
  // Recurrent state: a run whose context is 0 starts from the model's first state, whatever its
  // slot holds; any other continues what its slot holds, which is the state after exactly `context`
  // tokens once the plan's commits and copies are done. A run with drafts is followed by a commit
  // of its slot before anything else uses it.
  virtual Result<Matrix<float>> execute(const StepPlan& plan) = 0;

  // The bytes of one page over all layers, for keeping pages elsewhere; 0: not offered. Called
  // between steps.
  virtual uint64_t page_bytes() const { return 0; }
  virtual Status read_page(int32_t page, std::span<std::byte> bytes);
  virtual Status write_page(int32_t page, std::span<const std::byte> bytes);
};

}  // namespace yunqi
