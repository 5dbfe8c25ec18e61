// See bench_serve_report.h.
#include "app/bench_serve_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace yunqi {
namespace {

constexpr size_t kMaxErrorKinds = 16;

double ms(int64_t ns) { return static_cast<double>(ns) / 1e6; }
double seconds(int64_t ns) { return static_cast<double>(ns) / 1e9; }

// What one whole answer contributes.
struct Latencies {
  double ttft = 0, tpot = 0, e2el = 0;
};

Latencies latencies_of(const LoadRecord& record) {
  Latencies out;
  out.e2el = ms(record.end_ns - record.start_ns);
  const int64_t first = record.chunk_ns.empty() ? record.end_ns : record.chunk_ns.front();
  const int64_t last = record.chunk_ns.empty() ? record.end_ns : record.chunk_ns.back();
  out.ttft = ms(first - record.start_ns);
  if (record.output_tokens > 1) {
    out.tpot = ms(last - first) / static_cast<double>(record.output_tokens - 1);
  }
  return out;
}

void add_statistics(Json& out, const std::string& name, std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const double count = static_cast<double>(std::max<size_t>(values.size(), 1));
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  out.set("mean_" + name, Json(mean));
  out.set("median_" + name, Json(percentile(values, 50)));
  out.set("std_" + name, Json(std::sqrt(squares / count)));
  for (const int percent : {90, 95, 99}) {
    out.set(fmt::format("p{}_{}", percent, name), Json(percentile(values, percent)));
  }
}

// Tokens a second while `streams` answers were between their first and last token at once; 0 when
// they never were.
double full_batch_rate(const std::vector<const LoadRecord*>& records, int64_t streams) {
  struct Change {
    int64_t at;
    int kind;  // +1 begins, -1 ends, 0 is tokens
    double tokens;
    // At one time, tokens come before an end, and an end before a begin.
    bool operator<(const Change& other) const {
      const auto rank = [](int of) { return of == 0 ? 0 : of < 0 ? 1 : 2; };
      return at != other.at ? at < other.at : rank(kind) < rank(other.kind);
    }
  };
  std::vector<Change> changes;
  for (const LoadRecord* record : records) {
    if (record->chunk_ns.size() < 2) continue;
    const double each =
        static_cast<double>(record->output_tokens) / static_cast<double>(record->chunk_ns.size());
    changes.push_back({record->chunk_ns.front(), 1, 0});
    for (size_t i = 1; i < record->chunk_ns.size(); ++i) {
      changes.push_back({record->chunk_ns[i], 0, each});
    }
    changes.push_back({record->chunk_ns.back(), -1, 0});
  }
  std::stable_sort(changes.begin(), changes.end());
  int64_t running = 0, full_ns = 0, since = 0;
  double tokens = 0;
  for (const Change& change : changes) {
    if (running >= streams) {
      full_ns += change.at - since;
      tokens += change.tokens;
    }
    since = change.at;
    running += change.kind;
  }
  return full_ns > 0 ? tokens / seconds(full_ns) : 0;
}

int64_t most_at_once(const std::vector<LoadRecord>& records) {
  std::vector<std::pair<int64_t, int>> changes;
  for (const LoadRecord& record : records) {
    changes.emplace_back(record.start_ns, 1);
    changes.emplace_back(record.end_ns, -1);
  }
  std::sort(changes.begin(), changes.end());
  int64_t now = 0, most = 0;
  for (const auto& [at, change] : changes) most = std::max(most, now += change);
  return most;
}

Json errors_of(const std::vector<LoadRecord>& records) {
  std::map<std::string, int64_t> counts;
  for (const LoadRecord& record : records) {
    if (record.failure.empty()) continue;
    const bool known = counts.contains(record.failure);
    ++counts[known || counts.size() < kMaxErrorKinds ? record.failure : "other"];
  }
  Json out = Json::object();
  for (const auto& [message, count] : counts) out.set(message, Json(count));
  return out;
}

bool keeps(const LoadTargets& targets, const Latencies& found) {
  const auto within = [](double target, double value) { return target <= 0 || value <= target; };
  return within(targets.ttft_ms, found.ttft) && within(targets.tpot_ms, found.tpot) &&
         within(targets.e2el_ms, found.e2el);
}

struct Totals {
  int64_t begin_ns = 0, end_ns = 0, input = 0, cached = 0, output = 0, good = 0, failed = 0;
  std::vector<const LoadRecord*> completed;
  std::vector<double> ttft, tpot, itl, e2el, rejections;
};

Totals totals_of(const LoadSummary& summary) {
  Totals out;
  for (const LoadRecord& record : summary.records) {
    if (out.begin_ns == 0 || record.start_ns < out.begin_ns) out.begin_ns = record.start_ns;
    out.end_ns = std::max(out.end_ns, record.end_ns);
    if (!record.failure.empty()) {
      ++out.failed;
      if (record.rejected()) out.rejections.push_back(ms(record.end_ns - record.start_ns));
      continue;
    }
    out.completed.push_back(&record);
    out.input += record.prompt_tokens;
    out.cached += record.cached_tokens;
    out.output += record.output_tokens;
    const Latencies found = latencies_of(record);
    out.ttft.push_back(found.ttft);
    out.e2el.push_back(found.e2el);
    if (record.output_tokens > 1) out.tpot.push_back(found.tpot);
    for (size_t i = 1; i < record.chunk_ns.size(); ++i) {
      out.itl.push_back(ms(record.chunk_ns[i] - record.chunk_ns[i - 1]));
    }
    out.good += keeps(summary.targets, found) ? 1 : 0;
  }
  return out;
}

}  // namespace

double percentile(const std::vector<double>& sorted, double percent) {
  if (sorted.empty()) return 0;
  const double at = percent / 100.0 * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<size_t>(at);
  const size_t high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (sorted[high] - sorted[low]) * (at - static_cast<double>(low));
}

Json load_report(const LoadSummary& summary) {
  Totals totals = totals_of(summary);
  const double duration = std::max(seconds(totals.end_ns - totals.begin_ns), 1e-9);
  const auto completed = static_cast<int64_t>(totals.completed.size());
  const auto rate = [&](int64_t count) { return Json(static_cast<double>(count) / duration); };
  Json out = Json::object();
  out.set("duration", Json(duration));
  out.set("completed", Json(completed));
  out.set("failed", Json(totals.failed));
  out.set("total_input_tokens", Json(totals.input));
  out.set("total_output_tokens", Json(totals.output));
  out.set("request_throughput", rate(completed));
  out.set("request_goodput", summary.targets.any() ? rate(totals.good) : Json());
  out.set("output_throughput", rate(totals.output));
  out.set("total_token_throughput", rate(totals.input + totals.output));
  out.set("max_concurrent_requests", Json(most_at_once(summary.records)));
  add_statistics(out, "ttft_ms", std::move(totals.ttft));
  add_statistics(out, "tpot_ms", std::move(totals.tpot));
  add_statistics(out, "itl_ms", std::move(totals.itl));
  add_statistics(out, "e2el_ms", std::move(totals.e2el));
  out.set("cached_input_tokens", Json(totals.cached));
  out.set("full_batch_output_throughput",
          Json(full_batch_rate(totals.completed, summary.concurrency)));
  out.set("rejected", Json(static_cast<int64_t>(totals.rejections.size())));
  std::sort(totals.rejections.begin(), totals.rejections.end());
  out.set("p99_reject_ms", Json(percentile(totals.rejections, 99)));
  out.set("client_cpu_seconds", Json(summary.client_cpu_s));
  out.set("errors", errors_of(summary.records));
  return out;
}

std::string load_table(const Json& report) {
  const auto number = [&](const std::string& name) {
    const Json* value = report.find(name);
    return value != nullptr && value->is_number() ? value->as_double() : 0.0;
  };
  std::string out = fmt::format(
      "{:.0f} requests in {:.2f} s, {:.0f} failed ({:.0f} rejected)\n"
      "{:.2f} requests/s, {:.1f} output tokens/s, {:.1f} tokens/s in all",
      number("completed"), number("duration"), number("failed"), number("rejected"),
      number("request_throughput"), number("output_throughput"), number("total_token_throughput"));
  if (number("full_batch_output_throughput") > 0) {
    out += fmt::format(", {:.1f} while all streams ran", number("full_batch_output_throughput"));
  }
  if (!report.find("request_goodput")->is_null()) {
    out += fmt::format(", goodput {:.2f} requests/s", number("request_goodput"));
  }
  out += fmt::format("\nprompt tokens {:.0f}, of them cached {:.0f}; output tokens {:.0f}\n",
                     number("total_input_tokens"), number("cached_input_tokens"),
                     number("total_output_tokens"));
  out += fmt::format("{:>10}{:>12}{:>12}{:>12}{:>12}\n", "ms", "mean", "median", "p95", "p99");
  for (const char* name : {"ttft", "tpot", "itl", "e2el"}) {
    const std::string key = fmt::format("_{}_ms", name);
    out += fmt::format("{:>10}{:>12.2f}{:>12.2f}{:>12.2f}{:>12.2f}\n", name, number("mean" + key),
                       number("median" + key), number("p95" + key), number("p99" + key));
  }
  for (const auto& [message, count] : report.find("errors")->as_object()) {
    out += fmt::format("{} x {}\n", count.dump(), message);
  }
  return out;
}

}  // namespace yunqi
