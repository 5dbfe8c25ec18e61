// Reports and exports: sums equal to what was settled, filters and buckets, and a chain that the
// documented layout reproduces from the exported fields.
#include "store/ledger_report.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/json.h"
#include "base/sha256.h"
#include "store/fake_backend.h"

namespace yunqi {
namespace {

class ReportBackend : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    if (IsSkipped()) return;
    store_ = open_store();
    ledger_ = std::move(Ledger::open(*store_, clock_)).value();
  }
  void TearDown() override {
    ledger_.reset();
    store_.reset();
    StoreTest::TearDown();
  }
  void bill(const std::string& org, const std::string& key, const std::string& model,
            int64_t output) {
    const auto reply = ledger_->reserve({.request = "=r,\"" + std::to_string(output) + "\"",
                                         .org = org,
                                         .team = "t",
                                         .api_key = key,
                                         .model = model,
                                         .currency = "EUR",
                                         .most = {.output = output},
                                         .most_cost = output * 10});
    ASSERT_TRUE(reply.is_ok()) << reply.status().to_string();
    const auto settled = ledger_->settle(reply->reservation, {.input = 1, .output = output},
                                         {.output = output * 10}, SettleReason::kDone);
    ASSERT_TRUE(settled.is_ok());
  }

  VirtualClock clock_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Ledger> ledger_;
};
INSTANTIATE_TEST_SUITE_P(On, ReportBackend, testing::ValuesIn(backends_to_test()), backend_name);

TEST_P(ReportBackend, SumsByTimeKeyAndModelAndFilters) {
  bill("a", "k1", "m1", 5);
  bill("a", "k2", "m2", 7);
  bill("b", "k3", "m1", 100);
  clock_.advance_ns(86'400'000'000'000);
  bill("a", "k1", "m1", 11);

  const auto all = usage_report(*store_, {.org = "a"}, {});
  ASSERT_TRUE(all.is_ok()) << all.status().to_string();
  ASSERT_EQ(all->size(), 1u);
  EXPECT_EQ((*all)[0].requests, 3);
  EXPECT_EQ((*all)[0].usage, (Usage{.input = 3, .output = 23}));
  EXPECT_EQ((*all)[0].amount, 230);

  const auto daily =
      usage_report(*store_, {.org = "a"}, {.bucket_s = 86'400, .by_key = true, .by_model = true});
  ASSERT_EQ(daily->size(), 3u);
  EXPECT_EQ((*daily)[0].api_key, "k1");
  EXPECT_EQ((*daily)[0].amount, 50);
  EXPECT_EQ((*daily)[1].model, "m2");
  EXPECT_EQ((*daily)[2].starts, (*daily)[0].starts + 86'400);
  EXPECT_EQ((*daily)[2].amount, 110);

  const int64_t now = clock_.unix_seconds();
  EXPECT_EQ(usage_report(*store_, {.org = "a", .from = now}, {})->front().amount, 110);
  EXPECT_EQ(usage_report(*store_, {.org = "a", .to = now}, {})->front().amount, 120);
  EXPECT_TRUE(usage_report(*store_, {.org = "a", .model = "none"}, {})->empty());
  EXPECT_EQ(usage_report(*store_, {}, {.by_model = true})->size(), 3u);

  const auto lines = invoice(*store_, "a", 0, now + 1);
  ASSERT_EQ(lines->size(), 2u);
  int64_t total = 0;
  for (const InvoiceLine& line : *lines) total += line.amount;
  EXPECT_EQ(total, ledger_->balances("a")->front().charged);
}

TEST_P(ReportBackend, ExportsEveryRowAndQuotesWhatASpreadsheetWouldRun) {
  bill("a", "k1", "m1", 5);
  bill("b", "k1", "m1", 6);
  std::string csv, json;
  const auto into = [](std::string& out) {
    return [&out](std::string_view piece) {
      out += piece;
      return Status::ok();
    };
  };
  ASSERT_TRUE(export_ledger(*store_, {.org = "a"}, ExportFormat::kCsv, into(csv)).is_ok());
  ASSERT_TRUE(export_ledger(*store_, {}, ExportFormat::kJsonLines, into(json)).is_ok());
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 3);
  EXPECT_TRUE(csv.starts_with("seq,at,kind,reservation,request,org,"));
  EXPECT_NE(csv.find("reserve,1,\"'=r,\"\"5\"\"\",a,t,k1,m1,0,0,EUR,0,0,0,5,0,"), std::string::npos)
      << csv;
  EXPECT_EQ(std::count(json.begin(), json.end(), '\n'), 4);
  const auto first = parse_json(json.substr(0, json.find('\n')));
  ASSERT_TRUE(first.is_ok());
  EXPECT_EQ(first->find("amount_nano")->as_int(), 50);
  const Status stopped = export_ledger(*store_, {}, ExportFormat::kCsv, [](std::string_view) {
    return error(Code::kCancelled, "the client is gone");
  });
  EXPECT_EQ(stopped.code(), Code::kCancelled);
}

// The bytes that docs/formats/ledger.md describes, written out by hand.
TEST(LedgerChain, IsTheDocumentedHash) {
  const LedgerRow row{.seq = 2,
                      .at = 3,
                      .kind = LedgerKind::kSettle,
                      .reservation = 1,
                      .request = "r",
                      .org = "o",
                      .team = "t",
                      .api_key = "k",
                      .model = "m",
                      .is_batch = true,
                      .price_version = 4,
                      .currency = "EUR",
                      .usage = {5, 6, 7, 8, 9},
                      .cost = {10, 11, 12, 13, 14},
                      .discount = 15,
                      .amount = -1,
                      .reason = SettleReason::kCancelled,
                      .note = "n"};
  std::string bytes;
  const auto integer = [&](int64_t value) {
    for (int i = 0; i < 8; ++i) bytes += static_cast<char>(value >> (8 * i));
  };
  const auto text = [&](std::string_view value) {
    integer(static_cast<int64_t>(value.size()));
    bytes += value;
  };
  text("before");
  for (const int64_t value : {2, 3, 2, 1}) integer(value);
  for (const char* value : {"r", "o", "t", "k", "m"}) text(value);
  integer(1);
  integer(4);
  text("EUR");
  for (int64_t value = 5; value <= 15; ++value) integer(value);
  integer(-1);
  integer(2);
  text("n");
  EXPECT_EQ(ledger_chain("before", row), to_hex(sha256(bytes)));
}

}  // namespace
}  // namespace yunqi
