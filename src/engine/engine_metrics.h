// The engine's counters, gauges and histograms, under our names and vLLM's.
// Values are atomics; the engine thread writes, anyone reads.
#pragma once

#include <string>

#include "base/metrics.h"
#include "engine/request.h"

namespace yunqi {

struct EngineMetrics {
  // A null registry gives metrics that nobody reads.
  EngineMetrics(MetricsRegistry* registry, const std::string& model_name);

  void count_finish(FinishReason reason);

 private:
  MetricsRegistry own_;  // stands in for a null registry; made first
  MetricsRegistry& registry_;
  const MetricLabels labels_;

 public:
  Gauge& running;
  Gauge& waiting;
  Gauge& kv_usage;  // share of the pages that is taken, 0 to 1
  Gauge& cache_pages;
  Counter& preemptions;
  Counter& cached_tokens;
  Counter& cache_evictions;
  Counter& disk_pages;
  Gauge& disk_bytes;
  Counter& draft_tokens;
  Counter& accepted_tokens;
  Counter& prompt_tokens;
  Counter& output_tokens;
  Histogram& queue_seconds;
  Histogram& first_token_seconds;
  Histogram& inter_token_seconds;
  Histogram& request_seconds;
  Histogram& step_seconds;
  Histogram& step_rows;

 private:
  // By FinishReason; kNone's is unused.
  std::vector<Counter*> finished_;
};

}  // namespace yunqi
