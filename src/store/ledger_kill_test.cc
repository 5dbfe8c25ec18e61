// A server that is killed with SIGKILL while it serves, again and again: the bill is never above
// what the client saw, and nothing that was acknowledged is lost. The server is this program, run
// once more for the test below that is off by default. YUNQI_KILLS sets how often (default 10).
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <random>
#include <sstream>
#include <thread>

#include "base/log.h"
#include "base/process.h"
#include "store/fake_backend.h"
#include "store/ledger.h"
#include "store/ledger_audit.h"

namespace yunqi {
namespace {

constexpr int kThreads = 4;
constexpr int64_t kPerToken = 10;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// What one client notes, in a file that outlives the server: R(eserved), D(elivered), S(ettled).
void serve_one(Ledger& ledger, std::ofstream& notes, std::mt19937_64& random, int64_t number) {
  const auto reply = ledger.reserve({.request = "r" + std::to_string(number),
                                     .org = "org",
                                     .team = "team",
                                     .api_key = "key",
                                     .model = "m",
                                     .currency = "EUR",
                                     .most = {.output = 20},
                                     .most_cost = 20 * kPerToken});
  if (!reply.is_ok()) return;
  notes << "R " << reply->reservation << " 0" << std::endl;
  int64_t delivered = 0;
  for (auto left = random() % 20; left > 0; --left) {
    // The client has the token before the ledger is told.
    notes << "D " << reply->reservation << " " << ++delivered << std::endl;
    ledger.progress(reply->reservation, {.output = delivered}, {.output = delivered * kPerToken});
  }
  const auto settled = ledger.settle(reply->reservation, {.output = delivered},
                                     {.output = delivered * kPerToken}, SettleReason::kDone);
  if (settled.is_ok()) {
    notes << "S " << reply->reservation << " " << settled->amount << std::endl;
  }
}

TEST(LedgerServer, DISABLED_UntilKilled) {
  StoreOptions options{.sqlite_path = environment("YUNQI_KILL_SQLITE")};
  if (!environment("YUNQI_KILL_POSTGRES").empty()) {
    options.postgres = {.address = Secret(environment("YUNQI_KILL_POSTGRES")),
                        .schema = environment("YUNQI_KILL_SCHEMA")};
  }
  auto store = Store::open(options);
  ASSERT_TRUE(store.is_ok()) << store.status().to_string();
  auto ledger = Ledger::open(**store, system_clock());
  ASSERT_TRUE(ledger.is_ok()) << ledger.status().to_string();
  std::vector<std::jthread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      std::ofstream notes(environment("YUNQI_KILL_NOTES") + std::to_string(i));
      std::mt19937_64 random(std::random_device{}());
      for (int64_t n = i; n < 1'000'000; n += kThreads) serve_one(**ledger, notes, random, n);
    });
  }
}

struct Known {
  int64_t delivered = 0;
  int64_t settled = -1;
};

class LedgerKilled : public StoreTest {
 protected:
  std::map<int64_t, Known> read_notes() const {
    std::map<int64_t, Known> out;
    for (int i = 0; i < kThreads; ++i) {
      std::ifstream file(notes() + std::to_string(i));
      std::string line;
      while (std::getline(file, line)) {
        std::istringstream fields(line);
        char kind = 0;
        int64_t id = 0, value = 0;
        fields >> kind >> id >> value;
        if (fields.fail()) continue;  // the last line may be cut
        Known& known = out[id];
        if (kind == 'D') known.delivered = value;
        if (kind == 'S') known.settled = value;
      }
      std::filesystem::remove(notes() + std::to_string(i));
    }
    return out;
  }
  std::string notes() const { return (folder_ / "notes").string(); }

  ChildProcess start_server() const {
    const bool is_postgres = GetParam() == Backend::kPostgres;
    auto child = ChildProcess::start(
        {.arguments = {"/proc/self/exe", "--gtest_also_run_disabled_tests",
                       "--gtest_filter=LedgerServer.DISABLED_UntilKilled"},
         .environment = {{"YUNQI_KILL_SQLITE", options().sqlite_path.string()},
                         {"YUNQI_KILL_POSTGRES",
                          is_postgres ? FakePostgres::shared().address() : std::string()},
                         {"YUNQI_KILL_SCHEMA", schema_},
                         {"YUNQI_KILL_NOTES", notes()}}});
    EXPECT_TRUE(child.is_ok()) << child.status().to_string();
    return std::move(child).value();
  }

  // Opens what the dead server left, and compares it with what the clients saw.
  void check(int64_t& requests, int64_t& unsettled) {
    auto store = open_store();
    if (store->is_postgres()) {
      ASSERT_TRUE(
          store->write([](Sql& sql) { return sql.execute("DELETE FROM instances"); }).is_ok());
    }
    auto ledger = Ledger::open(*store, system_clock());
    ASSERT_TRUE(ledger.is_ok()) << ledger.status().to_string();
    EXPECT_EQ(*(*ledger)->open_reservations(), 0) << "stuck";
    for (const auto& [id, known] : read_notes()) {
      const auto bill = (*ledger)->settle(id, {}, {}, SettleReason::kDone);
      ASSERT_TRUE(bill.is_ok()) << "reservation " << id << " is lost";
      EXPECT_TRUE(bill->is_repeat);
      EXPECT_LE(bill->amount, known.delivered * kPerToken) << "over-billed";
      if (known.settled >= 0) {
        EXPECT_EQ(bill->amount, known.settled);
      } else {
        ++unsettled;
      }
      ++requests;
    }
    const auto report = audit_ledger(*store);
    ASSERT_TRUE(report.is_ok());
    EXPECT_TRUE(report->is_clean()) << report->findings.front();
  }
};
INSTANTIATE_TEST_SUITE_P(On, LedgerKilled, testing::ValuesIn(backends_to_test()), backend_name);

TEST_P(LedgerKilled, NeverOverbillsNorLosesNorSticks) {
  set_log_level(LogLevel::kOff);
  const std::string chosen = environment("YUNQI_KILLS");
  const int kills = chosen.empty() ? 10 : std::atoi(chosen.c_str());
  std::mt19937_64 random(1);
  int64_t requests = 0, unsettled = 0;
  for (int i = 0; i < kills && !HasFailure(); ++i) {
    ChildProcess server = start_server();
    // Until it serves, then a little longer.
    for (int wait = 0; wait < 300 && !std::filesystem::exists(notes() + "0"); ++wait) {
      ASSERT_FALSE(server.wait(20)) << server.exit().output;
    }
    server.wait(static_cast<int64_t>(50 + random() % 200));
    server.stop(true);
    ASSERT_TRUE(server.wait(10'000));
    check(requests, unsettled);
  }
  set_log_level(LogLevel::kInfo);
  EXPECT_GT(requests, kills);
  EXPECT_GT(unsettled, 0) << "no kill met a request that ran";
}

}  // namespace
}  // namespace yunqi
