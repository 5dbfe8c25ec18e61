// Calendar arithmetic and names.
#include "tenancy/quota_window.h"

#include <fmt/format.h>

#include <array>

#include "tenancy/timestamp.h"

namespace yunqi {
namespace {

constexpr std::array<std::pair<QuotaMetric, std::string_view>, 7> kMetricNames = {{
    {QuotaMetric::kRequests, "requests"},
    {QuotaMetric::kInputTokens, "input_tokens"},
    {QuotaMetric::kOutputTokens, "output_tokens"},
    {QuotaMetric::kThinkingTokens, "thinking_tokens"},
    {QuotaMetric::kTotalTokens, "total_tokens"},
    {QuotaMetric::kCost, "cost"},
    {QuotaMetric::kConcurrency, "concurrency"},
}};
constexpr std::array<std::pair<QuotaSpan, std::string_view>, 5> kSpanNames = {{
    {QuotaSpan::kNone, "total"},
    {QuotaSpan::kMinute, "minute"},
    {QuotaSpan::kHour, "hour"},
    {QuotaSpan::kDay, "day"},
    {QuotaSpan::kMonth, "month"},
}};

template <typename Table, typename Value>
std::string_view name_in(const Table& table, Value value) {
  for (const auto& [entry, name] : table) {
    if (entry == value) return name;
  }
  return "unknown";
}

// "1h2m3s", as OpenAI writes durations; "0s" for none.
std::string duration_text(int64_t seconds) {
  std::string out;
  if (seconds >= 3600) out += fmt::format("{}h", seconds / 3600);
  if (seconds >= 60) out += fmt::format("{}m", seconds / 60 % 60);
  return out + fmt::format("{}s", seconds % 60);
}

bool counts_tokens(QuotaMetric metric) {
  return metric == QuotaMetric::kInputTokens || metric == QuotaMetric::kOutputTokens ||
         metric == QuotaMetric::kThinkingTokens || metric == QuotaMetric::kTotalTokens;
}

// Nearer its end: a smaller share is left. Compared as products, so that nothing is rounded.
bool is_tighter(const RateLimit& a, const RateLimit& b) {
  return static_cast<__int128>(a.remaining()) * b.rule.ceiling <
         static_cast<__int128>(b.remaining()) * a.rule.ceiling;
}

}  // namespace

int64_t window_start(QuotaSpan span, int64_t now) {
  if (span == QuotaSpan::kNone) return 0;
  if (span == QuotaSpan::kMonth) return month_start(now);
  const auto seconds = static_cast<int64_t>(span);
  return now - now % seconds;
}

int64_t window_end(QuotaSpan span, int64_t now) {
  if (span == QuotaSpan::kNone) return 0;
  if (span == QuotaSpan::kMonth) return next_month_start(now);
  return window_start(span, now) + static_cast<int64_t>(span);
}

std::vector<std::pair<std::string, std::string>> rate_limit_headers(
    const std::vector<RateLimit>& limits) {
  const RateLimit* requests = nullptr;
  const RateLimit* tokens = nullptr;
  for (const RateLimit& limit : limits) {
    if (limit.rule.span == QuotaSpan::kNone) continue;
    const bool is_requests = limit.rule.metric == QuotaMetric::kRequests;
    if (!is_requests && !counts_tokens(limit.rule.metric)) continue;
    const RateLimit*& chosen = is_requests ? requests : tokens;
    if (chosen == nullptr || is_tighter(limit, *chosen)) chosen = &limit;
  }
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& [limit, kind] : {std::pair(requests, "requests"), std::pair(tokens, "tokens")}) {
    if (limit == nullptr) continue;
    out.emplace_back(fmt::format("x-ratelimit-limit-{}", kind),
                     std::to_string(limit->rule.ceiling));
    out.emplace_back(fmt::format("x-ratelimit-remaining-{}", kind),
                     std::to_string(limit->remaining()));
    out.emplace_back(fmt::format("x-ratelimit-reset-{}", kind), duration_text(limit->resets_in));
  }
  return out;
}

std::string_view metric_name(QuotaMetric metric) { return name_in(kMetricNames, metric); }

std::string_view span_name(QuotaSpan span) { return name_in(kSpanNames, span); }

Result<QuotaMetric> parse_metric(std::string_view name) {
  for (const auto& [metric, known] : kMetricNames) {
    if (known == name) return metric;
  }
  return error(Code::kInvalidArgument, "unknown metric \"{}\"", name.substr(0, 64));
}

Result<QuotaSpan> parse_span(std::string_view name) {
  for (const auto& [span, known] : kSpanNames) {
    if (known == name) return span;
  }
  return error(Code::kInvalidArgument, "unknown window \"{}\"", name.substr(0, 64));
}

}  // namespace yunqi
