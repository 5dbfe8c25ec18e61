// How many requests a second the ledger reserves and settles durably, and how long a reservation
// takes. bench_ledger DATABASE [CALLERS [SECONDS]]: DATABASE is a file for SQLite, or a PostgreSQL
// address that holds a '='. Prints one JSON line.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "store/ledger.h"
#include "store/ledger_audit.h"

namespace yunqi {
namespace {

using std::chrono::steady_clock;

struct Totals {
  std::vector<double> reserve_ms;  // the writer thread's until all callers have ended
  int64_t settled = 0, failed = 0;
  std::atomic<int> running{0};
};

double ms_since(steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(steady_clock::now() - start).count();
}

// One caller: its next request begins when the one before is settled, on the ledger's own thread,
// so that no time goes to switching threads. Each counts against two quotas and reports progress.
class Caller {
 public:
  Caller(Ledger& ledger, int number, steady_clock::time_point end, Totals& totals)
      : ledger_(ledger), number_(number), end_(end), totals_(totals) {}

  void next() {
    if (steady_clock::now() >= end_) {
      --totals_.running;
      return;
    }
    ReserveRequest request{.request = fmt::format("bench-{}-{}", number_, count_++),
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
    start_ = steady_clock::now();
    ledger_.reserve(request, [this](Result<ReserveReply> reply) { reserved(std::move(reply)); });
  }

 private:
  void reserved(Result<ReserveReply> reply) {
    totals_.reserve_ms.push_back(ms_since(start_));
    if (!reply.is_ok()) {
      ++totals_.failed;
      return next();
    }
    ledger_.progress(reply->reservation, {.input = 100, .output = 5},
                     {.input = 100'000, .output = 5'000});
    ledger_.settle(reply->reservation, {.input = 100, .output = 10},
                   {.input = 100'000, .output = 10'000}, SettleReason::kDone,
                   [this](const Result<Settlement>& settled) {
                     ++(settled.is_ok() ? totals_.settled : totals_.failed);
                     next();
                   });
  }

  Ledger& ledger_;
  const int number_;
  const steady_clock::time_point end_;
  Totals& totals_;
  steady_clock::time_point start_;
  int64_t count_ = 0;
};

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
  totals.running = callers;
  std::vector<std::unique_ptr<Caller>> all;
  for (int i = 0; i < callers; ++i) {
    all.push_back(
        std::make_unique<Caller>(**ledger, i, start + std::chrono::seconds(seconds), totals));
    all.back()->next();
  }
  // Each write waits its turn behind the callers', so this neither spins nor sleeps.
  while (totals.running > 0) {
    if (!(*store)->write([](Sql&) { return Status::ok(); }).is_ok()) return 1;
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
      totals.failed, report.is_ok() && report->is_clean());
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
