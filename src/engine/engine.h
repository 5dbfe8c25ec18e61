// One loaded model's engine: a bounded queue in, one thread that schedules, runs steps and samples,
// a bounded token channel per request out. Every request ends in exactly one place.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/file.h"
#include "base/metrics.h"
#include "base/result.h"
#include "engine/request.h"
#include "engine/step_plan.h"
#include "engine/step_trace.h"

namespace yunqi {

// Grants steps to engines that share a device; EngineOptions::gate.
class StepGate {
 public:
  virtual ~StepGate() = default;
  // Before and after a step's execute(), on the engine's thread. enter() waits for its turn.
  virtual void enter() = 0;
  virtual void leave() = 0;
};

// EngineOptions::speculation.
inline constexpr int32_t kSpeculationOff = 0, kSpeculationAuto = -1;

struct EngineOptions {
  size_t queue_limit = 512;     // waiting requests; one more is kUnavailable
  int32_t max_sequences = 64;   // running at once
  int32_t prefill_chunk = 256;  // prompt rows of one sequence in one step
  int32_t vocabulary = 0;       // ids from here on are padding, never chosen; 0: limits().vocab
  std::string model_name = {};  // label of the metrics
  size_t flow_queue_limit = 0;  // waiting requests of one flow; one more is kRateLimited; 0: any
  // Prompt chunks shrink so that a step which others wait for takes no longer; 0: no target.
  int32_t itl_target_ms = 100;
  bool prefix_cache = true;
  // Names everything that the numbers in a page depend on: model, formats, kernels.
  std::string cache_identity = {};
  // Drafts by prompt lookup: off, as many as pay, or up to so many. No output depends on it.
  int32_t speculation = kSpeculationAuto;
  // The prefix cache's second tier: a folder that outlives the process, and its limit. Empty: none.
  Path cache_dir = {};
  uint64_t cache_dir_bytes = uint64_t{16} << 30;
  int32_t checkpoint_tokens = 512;      // recurrent state is kept every so many tokens of a prompt
  std::shared_ptr<StepGate> gate = {};  // null: the device is this engine's alone
};

struct EngineStats {
  int64_t waiting = 0, running = 0;
  int32_t pages_total = 0, pages_free = 0;
  uint64_t steps = 0, prompt_tokens = 0, output_tokens = 0, finished = 0, cancelled = 0;
  uint64_t preemptions = 0;
  int64_t last_step_ns = 0;  // clock time of the last finished step
  bool healthy = true;
  uint64_t cached_tokens = 0;  // of prompt_tokens: found in the prefix cache
  int32_t cache_pages = 0;     // pages that can be found again; they count as free when unused
  uint64_t cache_evictions = 0;
  uint64_t disk_pages = 0, disk_bytes = 0;  // found in the disk tier; its size
  uint64_t draft_tokens = 0, accepted_draft_tokens = 0;
};

class Engine {
 public:
  // The executor is owned; `clock` and `metrics` must outlive the engine.
  static std::unique_ptr<Engine> create(std::unique_ptr<Executor> executor,
                                        const EngineOptions& options, const Clock& clock,
                                        MetricsRegistry* metrics);
  virtual ~Engine() = default;  // stops now: running requests end with kShutdown

  // Queues a request. kInvalidArgument (prompt empty, ids out of range, too long for the context,
  // sampling values out of range), kRateLimited (the flow's own queue is full), kUnavailable (the
  // engine's queue is full, draining, unhealthy). Thread-safe;
  // never waits. A request past its deadline ends with kError and kUnavailable.
  virtual Result<std::shared_ptr<TokenStream>> submit(EngineRequest request) = 0;

  // No new requests; returns when the running ones have ended or `timeout_ms` is over (then they
  // end with kShutdown). Thread-safe.
  virtual void drain(int64_t timeout_ms) = 0;
  virtual EngineStats stats() const = 0;
  virtual const ExecutorLimits& limits() const = 0;
  // The last steps, oldest first. Thread-safe.
  virtual std::vector<StepRecord> trace() const { return {}; }
};

}  // namespace yunqi
