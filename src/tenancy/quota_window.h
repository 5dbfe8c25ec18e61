// Quotas in time: where a window begins and ends, what is left of it, and the reply headers that
// say so. Pure; windows are aligned to UTC so that all replicas and the bill agree.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "store/settings.h"

namespace yunqi {

// 0 for spans without a window.
int64_t window_start(QuotaSpan span, int64_t now);
int64_t window_end(QuotaSpan span, int64_t now);

// One quota as it stands after a request was admitted or refused.
struct RateLimit {
  QuotaRule rule;
  int64_t used = 0;       // this request included when it was admitted
  int64_t resets_in = 0;  // seconds to the window's end; 0 when there is none

  int64_t remaining() const { return rule.ceiling > used ? rule.ceiling - used : 0; }
};

// x-ratelimit-{limit,remaining,reset}-{requests,tokens}, of the quota that is nearest its end.
std::vector<std::pair<std::string, std::string>> rate_limit_headers(
    const std::vector<RateLimit>& limits);

// Names used in APIs, configuration and error messages.
std::string_view metric_name(QuotaMetric metric);  // "requests", "input_tokens", ...
std::string_view span_name(QuotaSpan span);        // "minute", "hour", "day", "month", "total"
Result<QuotaMetric> parse_metric(std::string_view name);
Result<QuotaSpan> parse_span(std::string_view name);

}  // namespace yunqi
