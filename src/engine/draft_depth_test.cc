// What steps cost, what drafts are found, and how many are worth trying.
#include "engine/draft_depth.h"

#include <gtest/gtest.h>

#include "engine/prompt_lookup.h"

namespace yunqi {
namespace {

constexpr int64_t kMs = 1'000'000;

TEST(StepCostTest, InterpolatesAndNeverExceedsProportion) {
  StepCost cost;
  EXPECT_EQ(cost.ns(10), 0);
  EXPECT_EQ(cost.rows_within(1.0 * kMs, 512), 512);
  for (int i = 0; i < 10; ++i) {
    cost.observe(1, 10 * kMs);
    cost.observe(64, 100 * kMs);
  }
  EXPECT_DOUBLE_EQ(cost.ns(1), 10.0 * kMs);
  EXPECT_NEAR(cost.ns(32), 10.0 * kMs + 90.0 * kMs * 31 / 63, 1);
  EXPECT_DOUBLE_EQ(cost.ns(128), 200.0 * kMs);
  EXPECT_NEAR(cost.rows_within(100.0 * kMs, 512), 64, 1);
  EXPECT_EQ(cost.rows_within(1.0 * kMs, 512), 1);  // never none
}

// One slow step must not keep the engine from ever trying that size again.
TEST(StepCostTest, AnOutlierIsBoundedBySmallerSteps) {
  StepCost cost;
  for (int i = 0; i < 10; ++i) cost.observe(32, 20 * kMs);
  cost.observe(64, 5000 * kMs);
  EXPECT_LE(cost.ns(64), 40.0 * kMs);
}

TEST(StepCostTest, FollowsAChange) {
  StepCost cost;
  for (int i = 0; i < 50; ++i) cost.observe(8, 10 * kMs);
  for (int i = 0; i < 50; ++i) cost.observe(8, 30 * kMs);
  EXPECT_NEAR(cost.ns(8), 30.0 * kMs, 0.1 * kMs);
  cost.observe(0, 5);
  cost.observe(8, 0);
}

TEST(DraftDepthTest, DeepWhereRowsAreFreeAndDraftsComeTrue) {
  StepCost cost;
  for (int32_t rows = 1; rows <= 32; ++rows) cost.observe(rows, 10 * kMs);
  EXPECT_EQ(choose_depth(0.9, cost, {.rows = 1, .tokens = 1}, 8), 8);
  EXPECT_EQ(choose_depth(0.0, cost, {.rows = 1, .tokens = 1}, 8), 0);
}

TEST(DraftDepthTest, NoneWhereRowsCostAsMuchAsTokens) {
  StepCost cost;
  for (int32_t rows = 1; rows <= 64; ++rows) cost.observe(rows, rows * kMs);
  EXPECT_EQ(choose_depth(0.9, cost, {.rows = 8, .tokens = 8}, 8), 0);
}

TEST(DraftDepthTest, AsManyAsPay) {
  StepCost cost;  // a row costs a tenth of the step's base
  for (int32_t rows = 1; rows <= 64; ++rows) cost.observe(rows, (10 + rows) * kMs);
  const int32_t sure = choose_depth(0.95, cost, {.rows = 1, .tokens = 1}, 16);
  const int32_t doubtful = choose_depth(0.4, cost, {.rows = 1, .tokens = 1}, 16);
  EXPECT_GT(sure, doubtful);
  EXPECT_GE(doubtful, 1);
  EXPECT_LE(doubtful, 3);
}

TEST(DraftDepthTest, NothingIsTriedBeforeACostIsKnownAndUnknownSizesAreTried) {
  StepCost cost;
  EXPECT_EQ(choose_depth(0.9, cost, {.rows = 1, .tokens = 1}, 4), 0);
  cost.observe(1, 10 * kMs);
  EXPECT_EQ(choose_depth(0.9, cost, {.rows = 1, .tokens = 1}, 4), 4);
}

TEST(AcceptanceRateTest, FollowsWhatHappensAndFadesBack) {
  AcceptanceRate rate;
  const double first = rate.rate();
  for (int i = 0; i < 100; ++i) rate.observe(4, 4);
  EXPECT_GT(rate.rate(), 0.95);
  for (int i = 0; i < 200; ++i) rate.observe(4, 0);
  EXPECT_LT(rate.rate(), 0.05);
  for (int i = 0; i < 1000; ++i) rate.fade();
  EXPECT_NEAR(rate.rate(), first, 0.01);
}

TEST(PromptLookupTest, ProposesWhatFollowedTheLastTokensBefore) {
  PromptLookup lookup;
  lookup.reserve(100);
  std::vector<int32_t> draft;
  std::vector<int32_t> tokens = {1, 2, 3, 4, 5, 6, 9, 1, 2, 3};
  lookup.propose(tokens, 3, draft);
  EXPECT_EQ(draft, (std::vector<int32_t>{4, 5, 6}));
  tokens.push_back(8);
  lookup.propose(tokens, 3, draft);
  EXPECT_TRUE(draft.empty());
  for (const int32_t token : {1, 2, 3}) tokens.push_back(token);
  lookup.propose(tokens, 2, draft);  // the latest occurrence counts
  EXPECT_EQ(draft, (std::vector<int32_t>{8, 1}));
}

TEST(PromptLookupTest, ShortOrUnpreparedGivesNothing) {
  PromptLookup lookup;
  std::vector<int32_t> draft = {1};
  lookup.propose(std::vector<int32_t>{1, 1, 1, 1, 1}, 3, draft);
  EXPECT_TRUE(draft.empty());
  lookup.reserve(4);
  lookup.propose(std::vector<int32_t>{1, 1, 1}, 3, draft);
  EXPECT_TRUE(draft.empty());
  lookup.propose(std::vector<int32_t>{1, 1, 1, 1}, 3, draft);
  EXPECT_EQ(draft, (std::vector<int32_t>{1}));
}

}  // namespace
}  // namespace yunqi
