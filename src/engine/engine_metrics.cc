// See engine_metrics.h.
#include "engine/engine_metrics.h"

#include <string_view>
#include <utility>

namespace yunqi {
namespace {

// Seconds, for whole requests and for waits.
const std::vector<double> kRequestBounds = {0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1,   2,
                                            5,    10,   20,   50,  100, 200, 500, 1000};
// Seconds, for steps and tokens.
const std::vector<double> kTokenBounds = {0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05,
                                          0.075, 0.1,   0.15,  0.2,  0.3,   0.5,  1,    2,    5};
const std::vector<double> kRowBounds = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048};

constexpr std::pair<FinishReason, const char*> kReasons[] = {
    {FinishReason::kNone, "none"},     {FinishReason::kStop, "stop"},
    {FinishReason::kLength, "length"}, {FinishReason::kCancelled, "abort"},
    {FinishReason::kError, "error"},   {FinishReason::kShutdown, "shutdown"}};

constexpr std::pair<const char*, const char*> kAliases[] = {
    {"yunqi_requests_running", "vllm:num_requests_running"},
    {"yunqi_requests_waiting", "vllm:num_requests_waiting"},
    {"yunqi_kv_usage_ratio", "vllm:kv_cache_usage_perc"},
    {"yunqi_preemptions_total", "vllm:num_preemptions_total"},
    {"yunqi_prompt_tokens_total", "vllm:prompt_tokens_total"},
    {"yunqi_cached_tokens_total", "vllm:prefix_cache_hits_total"},
    {"yunqi_draft_tokens_total", "vllm:spec_decode_num_draft_tokens_total"},
    {"yunqi_accepted_draft_tokens_total", "vllm:spec_decode_num_accepted_tokens_total"},
    {"yunqi_generation_tokens_total", "vllm:generation_tokens_total"},
    {"yunqi_requests_finished_total", "vllm:request_success_total"},
    {"yunqi_queue_seconds", "vllm:request_queue_time_seconds"},
    {"yunqi_time_to_first_token_seconds", "vllm:time_to_first_token_seconds"},
    {"yunqi_inter_token_latency_seconds", "vllm:inter_token_latency_seconds"},
    {"yunqi_request_seconds", "vllm:e2e_request_latency_seconds"},
    {"yunqi_step_rows", "vllm:iteration_tokens_total"}};

}  // namespace

EngineMetrics::EngineMetrics(MetricsRegistry* registry, const std::string& model_name)
    : registry_(registry != nullptr ? *registry : own_),
      labels_({{"model_name", model_name}}),
      running(registry_.gauge("yunqi_requests_running", "Requests in the running batch.", labels_)),
      waiting(registry_.gauge("yunqi_requests_waiting", "Requests waiting to run.", labels_)),
      kv_usage(
          registry_.gauge("yunqi_kv_usage_ratio", "Share of KV pages in use, 0 to 1.", labels_)),
      cache_pages(
          registry_.gauge("yunqi_cache_pages", "KV pages that can be found again.", labels_)),
      preemptions(registry_.counter("yunqi_preemptions_total",
                                    "Sequences that lost their pages to others.", labels_)),
      cached_tokens(registry_.counter("yunqi_cached_tokens_total",
                                      "Prompt tokens that were found in the prefix cache.",
                                      labels_)),
      cache_evictions(registry_.counter("yunqi_cache_evictions_total",
                                        "Cached KV pages given up for others.", labels_)),
      disk_pages(registry_.counter("yunqi_disk_cache_hit_pages_total",
                                   "KV pages read back from the disk tier.", labels_)),
      disk_bytes(registry_.gauge("yunqi_disk_cache_bytes", "Size of the disk tier.", labels_)),
      draft_tokens(registry_.counter("yunqi_draft_tokens_total", "Guessed tokens that were tried.",
                                     labels_)),
      accepted_tokens(registry_.counter("yunqi_accepted_draft_tokens_total",
                                        "Guessed tokens that came true.", labels_)),
      prompt_tokens(registry_.counter("yunqi_prompt_tokens_total",
                                      "Prompt tokens of requests whose first token came.",
                                      labels_)),
      output_tokens(
          registry_.counter("yunqi_generation_tokens_total", "Tokens generated.", labels_)),
      queue_seconds(registry_.histogram("yunqi_queue_seconds", "From submission to the first step.",
                                        kRequestBounds, labels_)),
      first_token_seconds(registry_.histogram("yunqi_time_to_first_token_seconds",
                                              "From submission to the first token.", kRequestBounds,
                                              labels_)),
      inter_token_seconds(registry_.histogram("yunqi_inter_token_latency_seconds",
                                              "Between tokens of one request.", kTokenBounds,
                                              labels_)),
      request_seconds(registry_.histogram("yunqi_request_seconds", "From submission to the end.",
                                          kRequestBounds, labels_)),
      step_seconds(registry_.histogram("yunqi_step_seconds", "One step of the engine.",
                                       kTokenBounds, labels_)),
      step_rows(registry_.histogram("yunqi_step_rows", "Rows of one step.", kRowBounds, labels_)) {
  for (const auto& [reason, name] : kReasons) {
    MetricLabels with_reason = labels_;
    with_reason.emplace_back("finished_reason", name);
    finished_.push_back(reason == FinishReason::kNone
                            ? nullptr
                            : &registry_.counter("yunqi_requests_finished_total",
                                                 "Requests by the way they ended.", with_reason));
  }
  for (const auto& [name, alias] : kAliases) registry_.alias(name, alias);
}

void EngineMetrics::count_finish(FinishReason reason) {
  if (Counter* counter = finished_[static_cast<size_t>(reason)]) counter->add();
}

}  // namespace yunqi
