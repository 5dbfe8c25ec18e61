// The engine step by step on a virtual clock: what is shared is not computed twice, drafts change
// no token, chunks keep to their time, and flows share fairly.
#include "engine/engine_core.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "engine/fake_executor.h"
#include "engine/invariants.h"

namespace yunqi {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int32_t kVocab = 60;

ExecutorLimits test_limits() {
  ExecutorLimits limits;
  limits.max_rows = 128;
  limits.max_logit_rows = 80;
  limits.vocab = kVocab;
  limits.max_context = 512;
  limits.pages = 400;
  limits.page_tokens = 8;
  return limits;
}

EngineRequest request_of(int32_t prompt, uint64_t seed, int64_t max_tokens) {
  EngineRequest request;
  for (int32_t i = 0; i < prompt; ++i) request.prompt.push_back(i * 7 % kVocab);
  request.sampling.seed = seed;
  request.max_tokens = max_tokens;
  return request;
}

struct Reader {
  std::shared_ptr<TokenStream> stream;
  std::vector<std::pair<int32_t, float>> tokens;
  TokenEvent last;
  bool finished = false;
};

// A core on a fake executor and a virtual clock, whose steps take as long as `ns_of` says.
class Bench {
 public:
  explicit Bench(const EngineOptions& options = {}, const ExecutorLimits& limits = test_limits(),
                 int32_t window = 0) {
    auto executor = std::make_unique<FakeExecutor>(limits);
    executor->set_window(window);
    executor->set_hook([this, limits](const StepPlan& plan) {
      const Status status = check_plan(plan, limits);
      EXPECT_TRUE(status.is_ok()) << status.message();
      clock.advance_ns(ns_of(plan.rows()));
      plans.push_back(plan);
      return Status::ok();
    });
    core = std::make_unique<EngineCore>(std::move(executor), options, clock, nullptr);
  }

  size_t submit(EngineRequest request) {
    readers.push_back({core->submit(std::move(request)).value(), {}, {}, false});
    return readers.size() - 1;
  }
  bool step() {
    const bool ran = core->step();
    const Status status = check_scheduler(core->scheduler());
    EXPECT_TRUE(status.is_ok()) << status.message();
    for (Reader& reader : readers) {
      while (auto event = reader.stream->try_next()) {
        if (event->kind == TokenEvent::Kind::kToken) {
          reader.tokens.emplace_back(event->token.token, event->token.logprob);
        } else if (event->kind == TokenEvent::Kind::kFinished) {
          reader.finished = true;
          reader.last = std::move(*event);
        }
      }
    }
    return ran;
  }
  void run() {
    while (step()) {
    }
  }
  // Rows of prompts that were computed.
  int64_t rows() const {
    int64_t sum = 0;
    for (const StepPlan& plan : plans) sum += plan.rows();
    return sum;
  }

  VirtualClock clock;
  std::function<int64_t(int32_t)> ns_of = [](int32_t) { return kMs; };
  std::vector<StepPlan> plans;  // page lists are stale
  std::unique_ptr<EngineCore> core;
  std::vector<Reader> readers;
};

TEST(EngineCoreTest, APromptSeenBeforeIsNotComputedAgain) {
  Bench bench;
  bench.submit(request_of(100, 1, 4));
  bench.run();
  const int64_t first = bench.rows();
  bench.submit(request_of(100, 1, 4));
  bench.run();
  EXPECT_EQ(bench.readers[1].tokens, bench.readers[0].tokens);
  EXPECT_EQ(bench.readers[0].last.cached_tokens, 0);
  EXPECT_EQ(bench.readers[1].last.cached_tokens, 96);
  EXPECT_EQ(bench.rows() - first, first - 96);
  EXPECT_EQ(bench.core->stats().cached_tokens, 96u);
}

TEST(EngineCoreTest, AHitOfTheWholePromptStillComputesItsLastPage) {
  Bench bench;
  for (int i = 0; i < 2; ++i) {
    bench.submit(request_of(96, 1, 4));
    bench.run();
  }
  EXPECT_EQ(bench.readers[1].last.cached_tokens, 88);
  EXPECT_EQ(bench.readers[1].tokens, bench.readers[0].tokens);
}

TEST(EngineCoreTest, TheNextTurnOfAConversationFindsTheAnswerToo) {
  Bench bench({.speculation = 0});
  bench.submit(request_of(40, 1, 40));
  bench.run();
  EngineRequest next = request_of(40, 2, 4);
  for (const auto& token : bench.readers[0].tokens) next.prompt.push_back(token.first);
  next.prompt.push_back(3);
  bench.submit(std::move(next));
  bench.run();
  EXPECT_EQ(bench.readers[1].last.cached_tokens, 72);  // 79 were computed: nine whole pages
}

TEST(EngineCoreTest, RequestsOfOneGroupComputeTheirPromptOnce) {
  Bench bench({.prefill_chunk = 32});
  for (uint64_t seed = 0; seed < 6; ++seed) bench.submit(request_of(200, seed, 1));
  bench.run();
  int64_t cached = 0;
  for (const Reader& reader : bench.readers) cached += reader.last.cached_tokens;
  EXPECT_EQ(cached, 5 * 192);
  EXPECT_EQ(bench.rows(), 200 + 5 * 8);
}

TEST(EngineCoreTest, SaltsKeepCachesApart) {
  Bench bench;
  for (uint64_t salt = 0; salt < 2; ++salt) {
    EngineRequest request = request_of(100, 1, 2);
    request.flow.cache_salt = salt;
    bench.submit(std::move(request));
    bench.run();
  }
  EXPECT_EQ(bench.readers[1].last.cached_tokens, 0);
}

TEST(EngineCoreTest, ScoringAPromptComputesItAllAndLeavesItToOthers) {
  Bench bench;
  bench.submit(request_of(64, 1, 1));
  bench.run();
  EngineRequest scored = request_of(64, 1, 1);
  scored.prompt_logprobs = true;
  bench.submit(std::move(scored));
  bench.run();
  EXPECT_EQ(bench.readers[1].last.cached_tokens, 0);
  EXPECT_EQ(bench.readers[1].tokens, bench.readers[0].tokens);
}

// Sequences of a model with a short memory repeat themselves, so that drafts come true.
TEST(EngineCoreTest, DraftsChangeNoToken) {
  const auto run = [](int32_t speculation, bool logprobs) {
    Bench bench({.speculation = speculation}, test_limits(), 1);
    for (uint64_t seed = 1; seed <= 4; ++seed) {
      EngineRequest request = request_of(30, seed, 100);
      request.sampling.temperature = seed % 2 == 0 ? 0.0f : 0.4f;
      request.sampling.presence_penalty = seed == 3 ? 0.1f : 0.0f;
      if (logprobs) request.top_logprobs = 2;
      bench.submit(std::move(request));
    }
    bench.run();
    std::vector<std::vector<std::pair<int32_t, float>>> out;
    for (const Reader& reader : bench.readers) out.push_back(reader.tokens);
    return std::pair(out, bench.core->stats());
  };
  for (const bool logprobs : {false, true}) {
    const auto [plain, plain_stats] = run(0, logprobs);
    for (const int32_t depth : {1, 3, 16, kSpeculationAuto}) {
      const auto [drafted, stats] = run(depth, logprobs);
      EXPECT_EQ(drafted, plain) << depth;
      EXPECT_GT(stats.accepted_draft_tokens, 20u) << depth;
    }
    EXPECT_EQ(plain_stats.draft_tokens, 0u);
  }
}

TEST(EngineCoreTest, DraftsSaveSteps) {
  Bench bench({.speculation = 4}, test_limits(), 1);
  EngineRequest request = request_of(30, 2, 100);
  request.sampling.temperature = 0;
  bench.submit(std::move(request));
  bench.run();
  EXPECT_EQ(bench.readers[0].tokens.size(), 100u);
  EXPECT_LT(bench.plans.size(), 90u);
}

TEST(EngineCoreTest, GaugesAreOfTheStepThatRuns) {
  MetricsRegistry metrics;
  VirtualClock clock;
  auto executor = std::make_unique<FakeExecutor>(test_limits());
  std::string seen;
  executor->set_hook([&](const StepPlan&) {
    seen = metrics.to_prometheus();
    return Status::ok();
  });
  EngineCore core(std::move(executor), {.model_name = "m"}, clock, &metrics);
  const auto stream = core.submit(request_of(10, 1, 1)).value();
  core.step();
  EXPECT_NE(seen.find("yunqi_requests_running{model_name=\"m\"} 1"), std::string::npos) << seen;
  EXPECT_NE(metrics.to_prometheus().find("yunqi_requests_running{model_name=\"m\"} 0"),
            std::string::npos);
}

TEST(EngineCoreTest, DraftsStopWhereTheyDoNotPay) {
  Bench bench({}, test_limits(), 1);
  bench.ns_of = [](int32_t rows) { return rows * kMs; };
  bench.submit(request_of(30, 2, 400));
  bench.run();
  const EngineStats stats = bench.core->stats();
  EXPECT_LT(stats.draft_tokens, 100u);  // tried, and found wanting
}

TEST(EngineCoreTest, PromptChunksShrinkWhileOthersWaitForTokens) {
  Bench bench({.itl_target_ms = 50, .prefix_cache = false, .speculation = 0});
  bench.ns_of = [](int32_t rows) { return (10 + rows) * kMs; };
  bench.submit(request_of(20, 1, 200));
  for (int i = 0; i < 20; ++i) bench.step();
  bench.submit(request_of(400, 2, 2));
  int64_t longest = 0;
  bool first = true;
  while (!bench.readers[1].finished) {
    const int64_t begin = bench.clock.now_ns();
    bench.step();
    if (!first) longest = std::max(longest, bench.clock.now_ns() - begin);
    first = false;
  }
  EXPECT_LE(longest, 60 * kMs);  // 10 + 1 + 40 rows, as learnt by and by
  EXPECT_GE(longest, 30 * kMs);
  // Nobody waits: the same prompt in few large steps.
  Bench alone({.itl_target_ms = 50});
  alone.ns_of = bench.ns_of;
  alone.submit(request_of(400, 2, 1));
  alone.run();
  EXPECT_LE(alone.plans.size(), 4u);
}

TEST(EngineCoreTest, WhereDecodingTakesLongPromptsMayTakeAsLongAgain) {
  Bench bench({.itl_target_ms = 1, .prefix_cache = false, .speculation = 0});
  bench.ns_of = [](int32_t rows) { return (100 + rows) * kMs; };
  for (uint64_t i = 0; i < 20; ++i) bench.submit(request_of(20, i, 200));
  for (int i = 0; i < 60; ++i) bench.step();
  bench.submit(request_of(400, 99, 2));
  size_t rows = 0;
  while (!bench.readers[20].finished) {
    ASSERT_TRUE(bench.step());
    rows = std::max(rows, bench.plans.back().tokens.size());
  }
  EXPECT_GT(rows, 80u);  // 240 ms hold 128 rows or so
}

TEST(EngineCoreTest, PrefillGoesOnHoweverTightTheTarget) {
  Bench bench({.itl_target_ms = 1, .prefix_cache = false, .speculation = 0});
  bench.ns_of = [](int32_t rows) { return (10 + rows) * kMs; };
  bench.submit(request_of(20, 1, 400));
  for (int i = 0; i < 20; ++i) bench.step();
  bench.submit(request_of(160, 2, 2));
  int steps = 0;
  while (!bench.readers[1].finished && ++steps < 100) bench.step();
  EXPECT_LE(steps, 160 / kLeastPrefillRows + 2);
}

TEST(EngineCoreTest, OneStreamGetsARowInEveryStepBesideAHundred) {
  Bench bench({.max_sequences = 16, .prefill_chunk = 64});
  for (uint64_t i = 0; i < 100; ++i) {
    EngineRequest request = request_of(40, i, 60);
    request.prompt[0] = static_cast<int32_t>(i % kVocab);  // nothing to share
    request.flow.id = 1;
    bench.submit(std::move(request));
  }
  for (int i = 0; i < 40; ++i) bench.step();
  EngineRequest lonely = request_of(80, 1000, 50);
  lonely.prompt[0] = 59;
  lonely.flow.id = 2;
  const size_t b = bench.submit(std::move(lonely));
  const size_t before = bench.plans.size();
  while (!bench.readers[b].finished) ASSERT_TRUE(bench.step());
  EXPECT_LE(bench.plans.size() - before, 2u + 50u);
  for (size_t i = before; i < bench.plans.size(); ++i) {
    EXPECT_TRUE(std::ranges::any_of(bench.plans[i].runs,
                                    [](const PlannedRun& run) { return run.sequence == 101; }))
        << "step " << i - before;
  }
}

TEST(EngineCoreTest, FlowsShareByWeight) {
  Bench bench({.max_sequences = 8, .prefill_chunk = 16, .prefix_cache = false}, test_limits());
  for (uint64_t i = 0; i < 120; ++i) {
    EngineRequest request = request_of(60, i, 2);
    request.flow.id = i % 2;
    request.flow.weight = i % 2 == 0 ? 1 : 3;
    bench.submit(std::move(request));
  }
  int light = 0, heavy = 0;
  while (light + heavy < 40) {
    ASSERT_TRUE(bench.step());
    light = heavy = 0;
    for (size_t i = 0; i < bench.readers.size(); ++i) {
      (i % 2 == 0 ? light : heavy) += bench.readers[i].finished ? 1 : 0;
    }
  }
  EXPECT_NEAR(heavy, 30, 5);
}

TEST(EngineCoreTest, AFlowsOwnLimitAndTheServersAreToldApart) {
  Bench bench({.queue_limit = 5, .flow_queue_limit = 3});
  const auto submit = [&](uint64_t flow) {
    EngineRequest request = request_of(10, 1, 2);
    request.flow.id = flow;
    return bench.core->submit(std::move(request)).status().code();
  };
  for (int i = 0; i < 3; ++i) EXPECT_EQ(submit(1), Code::kOk);
  EXPECT_EQ(submit(1), Code::kRateLimited);
  EXPECT_EQ(submit(2), Code::kOk);
  EXPECT_EQ(submit(2), Code::kOk);
  EXPECT_EQ(submit(2), Code::kUnavailable);
  EXPECT_EQ(submit(1), Code::kRateLimited);
  bench.step();  // all run
  EXPECT_EQ(submit(1), Code::kOk);
  EXPECT_EQ(submit(2), Code::kOk);
}

TEST(EngineCoreTest, CancelledWhileWaitingFreesItsPlaceInTheQueue) {
  Bench bench({.queue_limit = 2, .max_sequences = 1});
  bench.submit(request_of(10, 1, 50));
  bench.step();
  const size_t waiting = bench.submit(request_of(10, 2, 2));
  bench.submit(request_of(10, 3, 2));
  EXPECT_FALSE(bench.core->submit(request_of(10, 4, 2)).is_ok());
  bench.readers[waiting].stream->cancel();
  bench.step();
  EXPECT_TRUE(bench.core->submit(request_of(10, 4, 2)).is_ok());
}

// A model with recurrent layers: hits go on from kept states, drafts are rolled back.
TEST(EngineCoreTest, HybridModelsGiveTheSameTokensFromKeptStates) {
  ExecutorLimits limits = test_limits();
  limits.state_slots = 12;
  const auto run = [&](bool cache, int32_t speculation, int32_t pages) {
    limits.pages = pages;
    Bench bench({.max_sequences = 6,
                 .prefill_chunk = 40,
                 .prefix_cache = cache,
                 .speculation = speculation,
                 .checkpoint_tokens = 32},
                limits);
    for (int round = 0; round < 3; ++round) {
      for (uint64_t seed = 1; seed <= 8; ++seed) {
        EngineRequest request = request_of(70 + static_cast<int32_t>(seed) * 9, seed, 30);
        request.checkpoints = {50};
        bench.submit(std::move(request));
      }
      bench.run();
    }
    std::vector<std::vector<std::pair<int32_t, float>>> out;
    for (const Reader& reader : bench.readers) out.push_back(reader.tokens);
    return std::pair(out, bench.core->stats());
  };
  const auto [plain, plain_stats] = run(false, 0, 400);
  EXPECT_EQ(plain_stats.cached_tokens, 0u);
  for (const int32_t pages : {400, 64}) {
    for (const int32_t speculation : {0, 4}) {
      const auto [out, stats] = run(true, speculation, pages);
      EXPECT_EQ(out, plain) << pages << " pages, " << speculation << " drafts";
      EXPECT_GT(stats.cached_tokens, 500u);
    }
  }
}

TEST(EngineCoreTest, AStateIsKeptAtTheEndOfAMessage) {
  ExecutorLimits limits = test_limits();
  limits.state_slots = 8;
  Bench bench({.checkpoint_tokens = 512}, limits);
  EngineRequest first = request_of(60, 1, 2);
  first.checkpoints = {43};
  bench.submit(std::move(first));
  bench.run();
  EngineRequest second = request_of(60, 1, 2);
  second.prompt.back() = 1;
  bench.submit(std::move(second));
  bench.run();
  EXPECT_EQ(bench.readers[1].last.cached_tokens, 40);
}

class CountingGate final : public StepGate {
 public:
  void enter() override { inside = ++entered; }
  void leave() override { inside = 0; }
  int entered = 0, inside = 0;
};

TEST(EngineCoreTest, EveryStepPassesTheGate) {
  const auto gate = std::make_shared<CountingGate>();
  Bench bench({.gate = gate});
  int outside = 0;
  bench.ns_of = [&](int32_t) {
    outside += gate->inside == 0 ? 1 : 0;
    return kMs;
  };
  bench.submit(request_of(30, 1, 5));
  bench.run();
  EXPECT_EQ(gate->entered, 5);
  EXPECT_EQ(gate->inside, 0);
  EXPECT_EQ(outside, 0);
}

TEST(EngineCoreTest, TheTraceTellsOfEveryStep) {
  Bench bench({.speculation = 0});
  bench.submit(request_of(30, 1, 5));
  bench.run();
  bench.submit(request_of(30, 1, 5));
  bench.run();
  const std::vector<StepRecord> trace = bench.core->trace().snapshot();
  ASSERT_EQ(trace.size(), 10u);
  EXPECT_EQ(trace[0].step, 1u);
  EXPECT_EQ(trace[0].prefill_rows, 30);
  EXPECT_EQ(trace[0].execute_ns, kMs);
  EXPECT_EQ(trace[1].decode_rows, 1);
  EXPECT_EQ(trace[5].cache_hit_pages, 3);
  EXPECT_EQ(trace[5].prefill_rows, 6);
  EXPECT_EQ(bench.core->trace().snapshot(3).front().step, 8u);
}

}  // namespace
}  // namespace yunqi
