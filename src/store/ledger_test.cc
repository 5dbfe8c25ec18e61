// The ledger's promises: never over-billed, settled once, nothing stuck, whatever is killed when.
#include "store/ledger.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <random>
#include <thread>

#include "base/log.h"
#include "store/fake_backend.h"
#include "store/fake_disk.h"
#include "store/ledger_audit.h"

namespace yunqi {
namespace {

// One token of any part costs 10.
Cost cost_of(const Usage& usage) {
  return {usage.input * 10, usage.cached_input * 10, usage.cache_creation * 10, usage.output * 10,
          usage.thinking * 10};
}

ReserveRequest request_of(const std::string& id, int64_t most_output) {
  ReserveRequest out;
  out.request = id;
  out.org = "org_a";
  out.team = "team_a";
  out.api_key = "key_a";
  out.model = "m";
  out.price_version = 1;
  out.currency = "EUR";
  out.most = {.input = 100, .output = most_output};
  out.most_cost = (100 + most_output) * 10;
  return out;
}

std::unique_ptr<Ledger> open_ledger(Store& store, const Clock& clock = system_clock()) {
  auto ledger = Ledger::open(store, clock);
  EXPECT_TRUE(ledger.is_ok()) << ledger.status().to_string();
  return std::move(ledger).value();
}

void expect_clean(Store& store) {
  const auto report = audit_ledger(store);
  ASSERT_TRUE(report.is_ok()) << report.status().to_string();
  EXPECT_TRUE(report->is_clean()) << report->finding_count << ": " << report->findings.front();
}

Balance balance_of(Ledger& ledger, const std::string& org = "org_a") {
  const auto all = ledger.balances(org);
  EXPECT_TRUE(all.is_ok());
  return all.is_ok() && all->size() == 1 ? all->front() : Balance{};
}

class LedgerBackend : public StoreTest {};
INSTANTIATE_TEST_SUITE_P(On, LedgerBackend, testing::ValuesIn(backends_to_test()), backend_name);

TEST_P(LedgerBackend, ASettlementChargesWhatWasUsedAndFreesTheRest) {
  auto store = open_store();
  auto ledger = open_ledger(*store);
  const auto reserved = ledger->reserve(request_of("r1", 50));
  ASSERT_TRUE(reserved.is_ok()) << reserved.status().to_string();
  EXPECT_EQ(reserved->outcome, ReserveOutcome::kReserved);
  EXPECT_EQ(balance_of(*ledger).reserved, 1500);
  const Usage usage{.input = 100, .output = 7};
  const auto settled =
      ledger->settle(reserved->reservation, usage, cost_of(usage), SettleReason::kDone);
  ASSERT_TRUE(settled.is_ok()) << settled.status().to_string();
  EXPECT_EQ(settled->amount, 1070);
  EXPECT_EQ(balance_of(*ledger).reserved, 0);
  EXPECT_EQ(balance_of(*ledger).charged, 1070);
  EXPECT_EQ(*ledger->open_reservations(), 0);
  expect_clean(*store);
}

TEST_P(LedgerBackend, ASecondSettlementChangesNothingAndGivesTheFirst) {
  auto store = open_store();
  auto ledger = open_ledger(*store);
  const int64_t id = ledger->reserve(request_of("r1", 50))->reservation;
  const Usage first{.input = 100, .output = 7}, second{.input = 100, .output = 50};
  ASSERT_TRUE(ledger->settle(id, first, cost_of(first), SettleReason::kDone).is_ok());
  const auto again = ledger->settle(id, second, cost_of(second), SettleReason::kCancelled);
  ASSERT_TRUE(again.is_ok());
  EXPECT_TRUE(again->is_repeat);
  EXPECT_EQ(again->amount, 1070);
  EXPECT_EQ(again->usage, first);
  EXPECT_EQ(again->reason, SettleReason::kDone);
  EXPECT_EQ(balance_of(*ledger).charged, 1070);
  EXPECT_EQ(ledger->settle(999, first, cost_of(first), SettleReason::kDone).status().code(),
            Code::kNotFound);
  expect_clean(*store);
}

TEST_P(LedgerBackend, NoMoreIsChargedThanWasReserved) {
  auto store = open_store();
  auto ledger = open_ledger(*store);
  const int64_t id = ledger->reserve(request_of("r1", 5))->reservation;
  const Usage over{.input = 100, .output = 900};
  const auto settled = ledger->settle(id, over, cost_of(over), SettleReason::kDone);
  ASSERT_TRUE(settled.is_ok());
  EXPECT_EQ(settled->amount, 1050);
  EXPECT_EQ(settled->discount, 8950);
  expect_clean(*store);
}

TEST_P(LedgerBackend, NegativeCountsAndOverlongListsAreRefused) {
  auto store = open_store();
  auto ledger = open_ledger(*store);
  ReserveRequest request = request_of("r", 1);
  request.most.output = -1;
  EXPECT_EQ(ledger->reserve(request).status().code(), Code::kInvalidArgument);
  request = request_of("r", 1);
  request.idempotency = std::string(kMaxIdempotencyKey, 'k');
  request.holds.assign(kMaxHolds, {.quota = "q", .amount = 0, .ceiling = 1});
  EXPECT_TRUE(ledger->reserve(request).is_ok());
  request.holds.push_back({.quota = "q", .amount = 0, .ceiling = 1});
  EXPECT_EQ(ledger->reserve(request).status().code(), Code::kTooLarge);
  request.holds.clear();
  request.idempotency += 'k';
  EXPECT_EQ(ledger->reserve(request).status().code(), Code::kInvalidArgument);
  request = request_of("r", 1);
  request.most_cost = kMaxRequestCost + 1;
  EXPECT_EQ(ledger->reserve(request).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(ledger->credit("org_a", "EUR", kMaxCredit + 1, "x").code(), Code::kInvalidArgument);
  EXPECT_TRUE(ledger->credit("org_a", "EUR", kMaxCredit, "x").is_ok());

  const int64_t id = ledger->reserve(request_of("r2", 1))->reservation;
  const Usage usage{.output = 1};
  EXPECT_EQ(ledger->settle(id, usage, {.output = -10}, SettleReason::kDone).status().code(),
            Code::kInvalidArgument);
  EXPECT_TRUE(ledger->settle(id, usage, cost_of(usage), SettleReason::kDone).is_ok());
}

TEST_P(LedgerBackend, WhatACrashLeftOpenIsSettledAtTheLastDurableProgress) {
  int64_t with = 0, without = 0;
  {
    auto store = open_store();
    auto ledger = open_ledger(*store);
    with = ledger->reserve(request_of("r1", 50))->reservation;
    without = ledger->reserve(request_of("r2", 50))->reservation;
    ledger->progress(with, {.input = 100, .output = 9}, cost_of({.input = 100, .output = 9}));
    // An older report that comes late is no step back.
    ledger->progress(with, {.input = 100, .output = 9}, cost_of({.input = 100, .output = 9}));
    // The store closes with both open, as after a crash.
  }
  auto store = open_store();
  if (store->is_postgres()) {
    // The dead server's lease must run out first; a restart does not shorten it.
    ASSERT_TRUE(
        store->write([](Sql& sql) { return sql.execute("DELETE FROM instances"); }).is_ok());
  }
  auto ledger = open_ledger(*store);
  EXPECT_EQ(*ledger->open_reservations(), 0);
  const auto settled = ledger->settle(with, {}, {}, SettleReason::kDone);
  ASSERT_TRUE(settled.is_ok());
  EXPECT_TRUE(settled->is_repeat);
  EXPECT_EQ(settled->amount, 1090);
  EXPECT_EQ(settled->reason, SettleReason::kRecovered);
  EXPECT_EQ(ledger->settle(without, {}, {}, SettleReason::kDone)->amount, 0);
  EXPECT_EQ(balance_of(*ledger).reserved, 0);
  expect_clean(*store);
}

TEST_P(LedgerBackend, ALiveServersReservationsAreLeftAlone) {
  auto store = open_store();
  auto ledger = open_ledger(*store);
  const int64_t id = ledger->reserve(request_of("r1", 50))->reservation;
  EXPECT_EQ(*ledger->recover(), 0);
  if (store->is_postgres()) {
    auto other_store = open_store();
    auto other = open_ledger(*other_store);
    EXPECT_EQ(*other->recover(), 0);
  }
  const auto settled = ledger->settle(id, {.output = 1}, {.output = 10}, SettleReason::kDone);
  EXPECT_FALSE(settled->is_repeat);
  EXPECT_EQ(settled->amount, 10);
}

TEST_P(LedgerBackend, ARetryOfAnAnsweredRequestIsNotChargedAgain) {
  auto store = open_store();
  auto ledger = open_ledger(*store);
  ReserveRequest request = request_of("r1", 50);
  request.idempotency = "retry-me";
  request.fingerprint = "content";
  const int64_t id = ledger->reserve(request)->reservation;
  request.request = "r2";
  const auto running = ledger->reserve(request);
  EXPECT_EQ(running->outcome, ReserveOutcome::kRunning);
  EXPECT_EQ(running->reservation, id);
  const Usage usage{.input = 100, .output = 5};
  ASSERT_TRUE(ledger->settle(id, usage, cost_of(usage), SettleReason::kDone).is_ok());
  const auto answered = ledger->reserve(request);
  EXPECT_EQ(answered->outcome, ReserveOutcome::kAnswered);
  EXPECT_EQ(answered->settled.amount, 1050);
  request.fingerprint = "other content";
  EXPECT_EQ(ledger->reserve(request)->outcome, ReserveOutcome::kMismatch);
  request.org = "org_b";
  EXPECT_EQ(ledger->reserve(request)->outcome, ReserveOutcome::kReserved);
  EXPECT_EQ(balance_of(*ledger).charged, 1050);
}

TEST_P(LedgerBackend, ARetryOfACutShortRequestPaysOnlyTheDifference) {
  auto store = open_store();
  auto ledger = open_ledger(*store);
  ReserveRequest request = request_of("r1", 50);
  request.idempotency = "retry-me";
  const Usage part{.input = 100, .output = 20}, whole{.input = 100, .output = 50};
  int64_t id = ledger->reserve(request)->reservation;
  EXPECT_EQ(ledger->settle(id, part, cost_of(part), SettleReason::kCancelled)->amount, 1200);
  request.request = "r2";
  id = ledger->reserve(request)->reservation;
  EXPECT_EQ(ledger->settle(id, part, cost_of(part), SettleReason::kError)->amount, 0);
  request.request = "r3";
  id = ledger->reserve(request)->reservation;
  const auto last = ledger->settle(id, whole, cost_of(whole), SettleReason::kDone);
  EXPECT_EQ(last->amount, 300);
  EXPECT_EQ(last->discount, 1200);
  EXPECT_EQ(balance_of(*ledger).charged, 1500);
  expect_clean(*store);
}

TEST_P(LedgerBackend, APrepaidAccountCannotBeOverdrawnByConcurrentRequests) {
  auto store = open_store();
  auto ledger = open_ledger(*store);
  ASSERT_TRUE(ledger->credit("org_a", "EUR", 5'000, "payment 1").is_ok());
  ASSERT_TRUE(ledger->credit("org_a", "EUR", 5'000, "payment 1").is_ok());  // the same one
  std::atomic<int> admitted{0}, refused{0};
  std::vector<std::jthread> threads;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&, i] {
      ReserveRequest request = request_of("r" + std::to_string(i), 0);  // 1,000 each
      request.is_prepaid = true;
      const auto reply = ledger->reserve(request);
      (reply->outcome == ReserveOutcome::kReserved ? admitted : refused)++;
    });
  }
  threads.clear();
  EXPECT_EQ(admitted, 5);
  EXPECT_EQ(refused, 11);
}

TEST_P(LedgerBackend, SixtyFourRequestsAtOnceAgainstAQuotaForTen) {
  auto store = open_store();
  auto ledger = open_ledger(*store);
  // Two servers share the counter where the database allows it.
  auto second_store = store->is_postgres() ? open_store() : nullptr;
  auto second = second_store ? open_ledger(*second_store) : nullptr;
  std::atomic<int> admitted{0}, refused{0};
  std::vector<std::jthread> threads;
  for (int i = 0; i < 64; ++i) {
    threads.emplace_back([&, i] {
      ReserveRequest request = request_of("r" + std::to_string(i), 1);
      // The first quota has room for all: a refusal by the second must give it back.
      request.holds = {{"wide", 60, QuotaMetric::kRequests, 1, 1000},
                       {"ten", 60, QuotaMetric::kRequests, 1, 10}};
      Ledger& mine = second && i % 2 == 1 ? *second : *ledger;
      const auto reply = mine.reserve(request);
      ASSERT_TRUE(reply.is_ok()) << reply.status().to_string();
      if (reply->outcome == ReserveOutcome::kReserved) {
        ++admitted;
      } else {
        EXPECT_EQ(reply->outcome, ReserveOutcome::kQuotaRefused);
        EXPECT_EQ(reply->refused_hold, 1u);
        EXPECT_EQ(reply->used[1], 10);
        ++refused;
      }
    });
  }
  threads.clear();
  EXPECT_EQ(admitted, 10);
  EXPECT_EQ(refused, 54);
  ReserveRequest request = request_of("last", 1);
  request.holds = {{"wide", 60, QuotaMetric::kRequests, 1, 1000}};
  EXPECT_EQ(ledger->reserve(request)->used[0], 11);
}

TEST_P(LedgerBackend, CountersAreCorrectedToWhatWasUsed) {
  auto store = open_store();
  auto ledger = open_ledger(*store);
  ReserveRequest request = request_of("r1", 50);
  request.holds = {{"req", 60, QuotaMetric::kRequests, 1, 10},
                   {"in", 60, QuotaMetric::kInputTokens, 100, 1000},
                   {"out", 60, QuotaMetric::kOutputTokens, 50, 1000},
                   {"think", 60, QuotaMetric::kThinkingTokens, 50, 1000},
                   {"cost", 60, QuotaMetric::kCost, 1500, 10'000},
                   {"run", 0, QuotaMetric::kConcurrency, 1, 1}};
  const auto first = ledger->reserve(request);
  EXPECT_EQ(first->used, (std::vector<int64_t>{1, 100, 50, 50, 1500, 1}));
  const Usage usage{.input = 60, .cached_input = 40, .output = 5, .thinking = 3};
  ASSERT_TRUE(
      ledger->settle(first->reservation, usage, cost_of(usage), SettleReason::kDone).is_ok());
  request.request = "r2";
  const auto second = ledger->reserve(request);
  EXPECT_EQ(second->used, (std::vector<int64_t>{2, 200, 58, 53, 2580, 1}));
  // A hold above its ceiling is refused also where no counter exists yet.
  request.holds = {{"fresh", 60, QuotaMetric::kRequests, 11, 10}};
  const auto over = ledger->reserve(request);
  EXPECT_EQ(over->outcome, ReserveOutcome::kQuotaRefused);
  EXPECT_EQ(over->used[0], 0);
}

TEST_P(LedgerBackend, ManySettleOneReservationAtOnceAndItIsChargedOnce) {
  auto store = open_store();
  auto ledger = open_ledger(*store);
  const int64_t id = ledger->reserve(request_of("r1", 50))->reservation;
  std::atomic<int> first{0};
  std::vector<std::jthread> threads;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&, i] {
      const Usage usage{.output = i};
      const auto settled = ledger->settle(id, usage, cost_of(usage), SettleReason::kDone);
      ASSERT_TRUE(settled.is_ok());
      if (!settled->is_repeat) ++first;
    });
  }
  threads.clear();
  EXPECT_EQ(first, 1);
  expect_clean(*store);
}

TEST_P(LedgerBackend, TheAuditNamesEveryKindOfChange) {
  auto store = open_store();
  auto ledger = open_ledger(*store);
  const int64_t id = ledger->reserve(request_of("r1", 50))->reservation;
  const Usage usage{.input = 100, .output = 5};
  ASSERT_TRUE(ledger->settle(id, usage, cost_of(usage), SettleReason::kDone).is_ok());
  const int64_t open = ledger->reserve(request_of("r2", 50))->reservation;
  expect_clean(*store);
  const auto findings_after = [&](const std::string& change) {
    EXPECT_TRUE(store->write([&](Sql& sql) { return sql.script(change); }).is_ok()) << change;
    const auto report = audit_ledger(*store);
    EXPECT_TRUE(report.is_ok());
    return report->finding_count;
  };
  EXPECT_EQ(findings_after("UPDATE accounts SET charged = charged + 1"), 1);
  EXPECT_EQ(findings_after("UPDATE accounts SET charged = charged - 1"), 0);
  EXPECT_EQ(findings_after("UPDATE reservations SET held = held - 1"), 1);
  EXPECT_EQ(findings_after("DELETE FROM reservations WHERE id = " + std::to_string(open)), 1);
  if (store->is_postgres()) return;
  EXPECT_EQ(findings_after("DROP TRIGGER ledger_no_update; UPDATE ledger SET amount = amount - 1 "
                           "WHERE kind = 2"),
            4);  // the chain, the parts' sum, the account, and the reservation of before
  // Priced anew, the row does not cost what it says.
  const auto priced = audit_ledger(*store, [](const LedgerRow&) { return Result<Cost>(Cost{}); });
  EXPECT_EQ(priced->finding_count, 5);
}

// What the client knows of a request, and what the bill may therefore be.
struct Known {
  int64_t id = 0;
  int64_t most_delivered = 0;  // output tokens that reached the client: the bill's upper bound
  int64_t least_durable = 0;   // reported before a later acknowledged write: its lower bound
  int64_t settled = -1;        // what an acknowledged settlement said
};

class PowerCutRun {
 public:
  PowerCutRun(FakeDisk& disk, uint64_t seed) : disk_(disk), random_(seed) {}

  // One life of the server up to the cut, then the checks after the restart.
  void live_and_die(int life) {
    {
      disk_.cut_power_after(1 + static_cast<int64_t>(random_() % 120));
      auto store = Store::open(options());
      auto ledger = store.is_ok() ? Ledger::open(**store, system_clock())
                                  : Result<std::unique_ptr<Ledger>>(store.status());
      if (ledger.is_ok()) run(**ledger, life);
    }
    disk_.restore_power(random_);
    auto store = Store::open(options());
    ASSERT_TRUE(store.is_ok()) << store.status().to_string();
    auto ledger = open_ledger(**store);
    EXPECT_EQ(*ledger->open_reservations(), 0);
    check(*ledger);
    if (life % 10 == 0) expect_clean(**store);
  }

 private:
  StoreOptions options() const {
    return {.sqlite_path = "/db", .sqlite_vfs = disk_.name(), .commit_window_ms = 0};
  }

  void run(Ledger& ledger, int life) {
    std::vector<Known> open;
    for (int step = 0; step < 60 && !disk_.is_off(); ++step) {
      const auto pick = open.empty() ? 0 : random_() % open.size();
      switch (random_() % 4) {
        case 0: {
          const auto reply =
              ledger.reserve(request_of(std::to_string(life) + "." + std::to_string(step), 50));
          if (!reply.is_ok()) break;
          mark_durable(open);
          open.push_back({.id = reply->reservation});
          break;
        }
        case 1:
        case 2: {
          if (open.empty()) break;
          Known& known = open[pick];
          known.most_delivered =
              std::min<int64_t>(50, known.most_delivered + 1 + static_cast<int64_t>(random_() % 5));
          const Usage usage{.output = known.most_delivered};
          ledger.progress(known.id, usage, cost_of(usage));
          break;
        }
        default: {
          if (open.empty()) break;
          Known& known = open[pick];
          const Usage usage{.output = known.most_delivered};
          const auto reply = ledger.settle(known.id, usage, cost_of(usage), SettleReason::kDone);
          if (reply.is_ok()) known.settled = reply->amount;
          done_.push_back(known);
          open.erase(open.begin() + static_cast<std::ptrdiff_t>(pick));
          if (reply.is_ok()) mark_durable(open);
        }
      }
    }
    done_.insert(done_.end(), open.begin(), open.end());
  }
  // Progress is written in order, so an acknowledged later write proves it durable.
  static void mark_durable(std::vector<Known>& open) {
    for (Known& known : open) known.least_durable = known.most_delivered;
  }

  void check(Ledger& ledger) {
    for (const Known& known : done_) {
      const auto bill = ledger.settle(known.id, {}, {}, SettleReason::kDone);
      ASSERT_TRUE(bill.is_ok()) << "reservation " << known.id << " is lost";
      EXPECT_TRUE(bill->is_repeat) << "reservation " << known.id << " was stuck";
      EXPECT_LE(bill->amount, known.most_delivered * 10) << "over-billed";
      EXPECT_GE(bill->amount, known.least_durable * 10) << "lost more than a window";
      if (known.settled < 0) continue;
      EXPECT_EQ(bill->amount, known.settled);
    }
    done_.clear();
  }

  FakeDisk& disk_;
  std::mt19937_64 random_;
  std::vector<Known> done_;
};

TEST(LedgerPowerCut, AThousandCutsNeverOverbillNorLoseWhatWasAcknowledged) {
  set_log_level(LogLevel::kOff);  // every cut is an error line
  for (uint64_t seed = 0; seed < 20; ++seed) {
    FakeDisk disk("yunqi-power-" + std::to_string(seed));
    PowerCutRun run(disk, seed);
    for (int life = 0; life < 50; ++life) {
      run.live_and_die(life);
      ASSERT_FALSE(testing::Test::HasFailure()) << "seed " << seed << ", life " << life;
    }
  }
  set_log_level(LogLevel::kInfo);
}

}  // namespace
}  // namespace yunqi
