// The figures of a load test, under the names that `vllm bench serve` gives them. Pure functions
// over what was measured.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"

namespace yunqi {

// One request as its client saw it. Times are on one monotonic clock.
struct LoadRecord {
  int64_t start_ns = 0, end_ns = 0;
  std::vector<int64_t> chunk_ns;  // when each piece of text came; the first is the first token
  int64_t prompt_tokens = 0, output_tokens = 0, cached_tokens = 0;
  int http_status = 0;  // 0: no answer
  std::string failure;  // "" when the answer is whole
  bool rejected() const { return http_status == 429 || http_status == 503; }
};

// Upper bounds in milliseconds that a request must keep to count for goodput; 0: none.
struct LoadTargets {
  double ttft_ms = 0, tpot_ms = 0, e2el_ms = 0;
  bool any() const { return ttft_ms > 0 || tpot_ms > 0 || e2el_ms > 0; }
};

struct LoadSummary {
  std::vector<LoadRecord> records;
  LoadTargets targets;
  int64_t concurrency = 0;
  double client_cpu_s = 0;
};

// Linear between the two nearest, as numpy's default; 0 for no values. `sorted` ascending.
double percentile(const std::vector<double>& sorted, double percent);

// duration, completed, failed, total_input_tokens, total_output_tokens, request_throughput,
// request_goodput, output_throughput, total_token_throughput, and mean_, median_, std_, p90_, p95_,
// p99_ of ttft_ms, tpot_ms, itl_ms and e2el_ms; beyond vLLM's: cached_input_tokens, rejected with
// its p99_reject_ms, full_batch_output_throughput (while `concurrency` streams decode at once),
// client_cpu_seconds, errors by message.
Json load_report(const LoadSummary& summary);
// The same for people.
std::string load_table(const Json& report);

}  // namespace yunqi
