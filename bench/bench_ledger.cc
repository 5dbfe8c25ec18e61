// How many requests a second the ledger reserves and settles durably, and how long a reservation
// takes. bench_ledger DATABASE [CALLERS [SECONDS]]: DATABASE is a file for SQLite, or a PostgreSQL
// address that holds a '='. Prints one JSON line.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "store/ledger.h"
#include "store/ledger_audit.h"

namespace yunqi {
namespace {

using std::chrono::steady_clock;

struct Totals {
  std::mutex mutex;
  std::vector<double> reserve_ms;  // guarded by mutex
  std::atomic<int64_t> settled{0}, failed{0};
};

double ms_since(steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(steady_clock::now() - start).count();
}

// Each request counts against two quotas, reports progress once and is settled.
void call(Ledger& ledger, int caller, steady_clock::time_point end, Totals& totals) {
  std::vector<double> latencies;
  for (int64_t n = 0; steady_clock::now() < end; ++n) {
    ReserveRequest request{.request = fmt::format("bench-{}-{}", caller, n),
                           .org = "org_bench",
                           .team = "team_bench",
                           .api_key = "key_bench",
                           .model = "model",
                           .price_version = 1,
                           .currency = "EUR",
                           .most = {.input = 100, .output = 100},
                           .most_cost = 200'000};
    request.holds = {{"quota_a", 60, QuotaMetric::kRequests, 1, INT64_MAX / 2},
                     {"quota_b", 60, QuotaMetric::kTotalTokens, 200, INT64_MAX / 2}};
    const auto start = steady_clock::now();
    const auto reply = ledger.reserve(request);
    latencies.push_back(ms_since(start));
    if (!reply.is_ok()) {
      ++totals.failed;
      continue;
    }
    ledger.progress(reply->reservation, {.input = 100, .output = 5},
                    {.input = 100'000, .output = 5'000});
    const auto settled = ledger.settle(reply->reservation, {.input = 100, .output = 10},
                                       {.input = 100'000, .output = 10'000}, SettleReason::kDone);
    (settled.is_ok() ? totals.settled : totals.failed)++;
  }
  std::lock_guard held(totals.mutex);
  totals.reserve_ms.insert(totals.reserve_ms.end(), latencies.begin(), latencies.end());
}

int run(const std::string& database, int callers, int seconds) {
  StoreOptions options;
  const bool is_postgres = database.find('=') != std::string::npos;
  if (is_postgres) {
    options.postgres = {.address = Secret(database), .schema = "yunqi_bench"};
  } else {
    options.sqlite_path = database;
  }
  auto store = Store::open(options);
  auto ledger = store.is_ok() ? Ledger::open(**store, system_clock())
                              : Result<std::unique_ptr<Ledger>>(store.status());
  if (!ledger.is_ok()) {
    fmt::print(stderr, "bench_ledger: {}\n", ledger.status().message());
    return 1;
  }
  Totals totals;
  const auto start = steady_clock::now();
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < callers; ++i) {
      threads.emplace_back(
          [&, i] { call(**ledger, i, start + std::chrono::seconds(seconds), totals); });
    }
  }
  const double elapsed_s = ms_since(start) / 1000;
  std::sort(totals.reserve_ms.begin(), totals.reserve_ms.end());
  const auto percentile = [&](double part) {
    const auto last = static_cast<double>(totals.reserve_ms.size() - 1);
    return totals.reserve_ms.empty() ? 0 : totals.reserve_ms[static_cast<size_t>(part * last)];
  };
  const auto report = audit_ledger(**store);
  fmt::print(
      "{{\"bench\":\"ledger\",\"backend\":\"{}\",\"callers\":{},\"settled_per_s\":{:.0f},"
      "\"reserve_p50_ms\":{:.2f},\"reserve_p99_ms\":{:.2f},\"failed\":{},"
      "\"audit_clean\":{}}}\n",
      is_postgres ? "postgresql" : "sqlite", callers,
      static_cast<double>(totals.settled) / elapsed_s, percentile(0.5), percentile(0.99),
      totals.failed.load(), report.is_ok() && report->is_clean());
  return 0;
}

}  // namespace
}  // namespace yunqi

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: bench_ledger DATABASE [CALLERS [SECONDS]]\n");
    return 2;
  }
  return yunqi::run(argv[1], argc > 2 ? std::atoi(argv[2]) : 256,
                    argc > 3 ? std::atoi(argv[3]) : 5);
}
