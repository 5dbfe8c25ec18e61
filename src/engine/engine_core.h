// The engine without its thread: takes submitted requests, plans and runs one step at a time,
// chooses tokens and ends requests. Engine wraps it in a thread; tests call step() themselves.
// engine_core.cc has the queue and the step, engine_tokens.cc what becomes of a step's logits,
// disk_traffic.cc the pages that go to the disk and come back.
// submit(), stop_admission(), stats() and trace() are thread-safe; everything else is one thread's.
#pragma once

#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "engine/disk_cache.h"
#include "engine/engine.h"
#include "engine/engine_metrics.h"
#include "engine/job.h"
#include "engine/scheduler.h"
#include "engine/step_cost.h"
#include "engine/step_trace.h"

namespace yunqi {

class EngineCore {
 public:
  // `disk` stands in for the one that options.cache_dir would open.
  EngineCore(std::unique_ptr<Executor> executor, const EngineOptions& options, const Clock& clock,
             MetricsRegistry* metrics, std::unique_ptr<DiskCache> disk = nullptr);
  ~EngineCore();  // ends what is left with kShutdown

  // As Engine::submit.
  Result<std::shared_ptr<TokenStream>> submit(EngineRequest request);
  // From now on submit() says kUnavailable.
  void stop_admission();
  EngineStats stats() const;
  const StepTrace& trace() const { return trace_; }
  const ExecutorLimits& limits() const { return executor_->limits(); }

  // One step: takes arrivals, ends cancelled and late requests, runs a plan. False when no row
  // could run (nothing to do, or all readers are slow): wait for the doorbell, at most until
  // next_deadline_ns().
  bool step();
  // Ends every request, also those not taken yet, in this state.
  void end_all(FinishReason reason, const Status& status);
  bool idle() const;                 // no request anywhere
  int64_t next_deadline_ns() const;  // earliest deadline of a request, or 0
  Doorbell& doorbell() { return *doorbell_; }
  const Scheduler& scheduler() const { return scheduler_; }  // for invariants

 private:
  // Requests that have not run yet, for the limits of the queue.
  struct Queued {
    size_t all = 0;
    std::unordered_map<uint64_t, size_t> by_flow;
  };

  // engine_core.cc
  std::unique_ptr<Job> make_job(EngineRequest request) const;
  Status check_queue(uint64_t flow) const;  // needs mutex_
  void take_arrivals();
  void end_cancelled_and_late(int64_t now);
  void prepare(Job& job);
  void propose_drafts();
  int32_t row_budget() const;
  void note_started(int64_t now);
  void record_step();
  void close_ended();
  void publish();

  // disk_traffic.cc
  void open_disk();
  void store_pages();
  void take_loaded();
  void fetch_pages(int64_t now);
  void fetch(Job& job, int64_t now);

  // engine_tokens.cc
  Job& job_of(uint64_t sequence);
  void use_logits(Matrix<float> logits, int64_t now);
  void use_drafted(Job& job, const PlannedRun& run, Matrix<float> logits, int64_t now);
  void score_prompt(Job& job, int32_t index, std::span<float> logits);
  void choose_token(Job& job, std::span<float> logits, int64_t now);
  void emit(Job& job, SampledToken token, int64_t now);
  void emit_forced(Job& job, int64_t now);
  void settle(Job& job, FinishReason reason, int32_t stop_id, Status status);

  const std::unique_ptr<Executor> executor_;
  const EngineOptions options_;
  const int32_t vocab_;
  const Clock& clock_;
  const std::shared_ptr<Doorbell> doorbell_ = std::make_shared<Doorbell>();
  EngineMetrics metrics_;

  // One thread's.
  Scheduler scheduler_;
  std::unique_ptr<DiskCache> disk_;   // null: none
  std::vector<PrefixKey> from_disk_;  // asked for there
  StepCost cost_;
  StepPlan plan_;
  std::vector<std::unique_ptr<Job>> jobs_;      // in order of arrival
  std::vector<std::unique_ptr<Job>> arrivals_;  // scratch of take_arrivals
  std::vector<uint64_t> left_queue_;            // flows of requests that ran or ended; publish()
  EngineStats totals_;                          // published as stats_
  StepRecord record_;                           // of the step that runs
  PrefixCacheStats traced_;                     // as of the last record
  uint64_t traced_preemptions_ = 0;             // likewise
  StepTrace trace_;

  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Job>> inbox_;  // guarded by mutex_
  Queued queued_;                            // guarded by mutex_
  EngineStats stats_;                        // guarded by mutex_
  uint64_t next_id_ = 1;                     // guarded by mutex_
  bool admitting_ = true;                    // guarded by mutex_
};

}  // namespace yunqi
