// A seeded simulator of the engine: virtual clock, fake executor, random options and arrivals,
// cancels, slow readers, deadlines, guards, drafts and device errors over tiny page pools, for
// plain and hybrid models. Invariants hold after every step, every request ends once, and its
// output is a prefix of (or, if it was left in peace, equal to) what it gives alone without cache
// or drafts. A failure names its seed: YUNQI_SIM_SEED=n runs that one only.
#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>
#include <random>

#include "engine/engine_core.h"
#include "engine/invariants.h"
#include "fake_disk.h"
#include "recipe.h"

namespace yunqi {
namespace {

constexpr int64_t kMillisecond = 1'000'000;

Seen run_alone(const SimModel& model, const Recipe& recipe) {
  VirtualClock clock;
  EngineOptions options;
  options.vocabulary = kSimIds;
  options.prefix_cache = false;
  options.speculation = 0;
  EngineCore core(model.make(16), options, clock, nullptr);
  const auto stream = core.submit(cook(recipe)).value();
  Seen seen;
  while (seen.finishes == 0) {
    core.step();
    while (auto event = stream->try_next()) seen.add(std::move(*event));
  }
  return seen;
}

struct Client {
  Recipe recipe;
  std::shared_ptr<TokenStream> stream;
  Seen seen;
  uint64_t slowness = 0;  // reads in one of so many steps; 0: always
  bool disturbed = false;
};

class Simulation {
 public:
  explicit Simulation(uint64_t seed) : seed_(seed), random_(seed) {
    model_.hybrid = below(4) == 0;
    model_.window = below(2) == 0 ? 1 : 0;
    const auto slots = static_cast<int32_t>(2 + below(12));
    auto executor = model_.make(static_cast<int32_t>(16 + below(24)), slots);
    executor->set_hook([this, limits = executor->limits()](const StepPlan& plan) {
      const Status status = check_plan(plan, limits);
      EXPECT_TRUE(status.is_ok()) << status.message() << ", seed " << seed_;
      clock_.advance_ns(kMillisecond * (2 + plan.rows()) / 4);
      return fail_next_ ? error(Code::kInternal, "simulated device error") : Status::ok();
    });
    EngineOptions options;
    options.vocabulary = kSimIds;
    options.queue_limit = 12;
    options.flow_queue_limit = 8;
    options.max_sequences = static_cast<int32_t>(1 + below(10));
    options.prefill_chunk = static_cast<int32_t>(1 + below(16));
    options.itl_target_ms = static_cast<int32_t>(below(6));
    options.prefix_cache = below(4) != 0;
    options.speculation = static_cast<int32_t>(below(6)) - 1;
    options.checkpoint_tokens = static_cast<int32_t>(1 + below(16));
    std::unique_ptr<DiskCache> disk;
    if (!model_.hybrid && options.prefix_cache && below(2) == 0) {
      disk = std::make_unique<FakeDisk>(std::make_shared<FakeFolder>(), random_());
    }
    core_ = std::make_unique<EngineCore>(std::move(executor), options, clock_, nullptr,
                                         std::move(disk));
  }

  void run(int steps) {
    for (int i = 0; i < steps && !::testing::Test::HasFailure(); ++i) {
      if (below(4) == 0) arrive();
      disturb();
      clock_.advance_ns(kMillisecond);
      core_->step();
      check("step");
      read(false);
    }
    if (below(3) == 0) {
      fail_next_ = true;  // whatever still runs ends with an error
      core_->step();
      if (!core_->stats().healthy) {
        EXPECT_FALSE(core_->submit(cook({})).is_ok());
        for (Client& client : clients_) client.disturbed = true;
      }
      fail_next_ = false;
    }
    for (int i = 0; i < 100000 && !core_->idle(); ++i) {
      core_->step();
      read(true);
    }
    read(true);
    EXPECT_TRUE(core_->idle()) << "no progress, seed " << seed_;
    check("end");
    EXPECT_EQ(core_->stats().pages_free, core_->stats().pages_total) << "seed " << seed_;
    for (const Client& client : clients_) EXPECT_EQ(client.seen.finishes, 1) << "seed " << seed_;
  }

  uint64_t compared() const { return compared_; }
  EngineStats stats() const { return core_->stats(); }

 private:
  uint64_t below(uint64_t n) { return random_() % n; }

  void check(const char* when) {
    const Status scheduler = check_scheduler(core_->scheduler());
    EXPECT_TRUE(scheduler.is_ok()) << when << ": " << scheduler.message() << ", seed " << seed_;
  }

  void arrive() {
    Client client;
    client.recipe = make_recipe([this](uint64_t n) { return below(n); });
    client.slowness = below(4) == 0 ? 2 + below(60) : 0;
    EngineRequest request = cook(client.recipe);
    if (below(20) == 0) {
      request.flow.deadline_ns =
          clock_.now_ns() + static_cast<int64_t>(below(60)) * kMillisecond + 1;
      client.disturbed = true;
    }
    auto stream = core_->submit(std::move(request));
    if (!stream.is_ok()) {
      const Code code = stream.status().code();
      EXPECT_TRUE(code == Code::kUnavailable || code == Code::kRateLimited);
      return;
    }
    client.stream = std::move(*stream);
    clients_.push_back(std::move(client));
  }

  void disturb() {
    if (clients_.empty() || below(25) != 0) return;
    Client& client = clients_[below(clients_.size())];
    client.stream->cancel();
    client.disturbed = true;
  }

  void read(bool everything) {
    std::deque<Client> left;
    for (Client& client : clients_) {
      if (everything || client.slowness == 0 || below(client.slowness) == 0) {
        while (auto event = client.stream->try_next()) client.seen.add(std::move(*event));
      }
      if (client.seen.finishes > 0) {
        compare(client);
      } else {
        left.push_back(std::move(client));
      }
    }
    clients_ = std::move(left);
  }

  void compare(const Client& client) {
    ++compared_;
    const Seen alone = run_alone(model_, client.recipe);
    const Seen& seen = client.seen;
    if (!client.disturbed) {
      EXPECT_TRUE(seen.same_answer(alone)) << "seed " << seed_;
      EXPECT_EQ(seen.output, alone.output) << "seed " << seed_;
      EXPECT_LT(seen.last.cached_tokens, client.recipe.prompt) << "seed " << seed_;
      return;
    }
    ASSERT_LE(seen.output.size(), alone.output.size()) << "seed " << seed_;
    EXPECT_TRUE(std::equal(seen.output.begin(), seen.output.end(), alone.output.begin()))
        << "seed " << seed_;
  }

  const uint64_t seed_;
  std::mt19937_64 random_;
  SimModel model_;
  VirtualClock clock_;
  bool fail_next_ = false;
  std::unique_ptr<EngineCore> core_;
  std::deque<Client> clients_;
  uint64_t compared_ = 0;
};

TEST(EngineSim, RandomTrafficKeepsInvariantsAndOutputs) {
  uint64_t first = 1, last = 100;
  if (const char* only = std::getenv("YUNQI_SIM_SEED")) {
    first = last = std::strtoull(only, nullptr, 10);
  }
  uint64_t compared = 0;
  EngineStats sum;
  for (uint64_t seed = first; seed <= last && !HasFailure(); ++seed) {
    Simulation simulation(seed);
    simulation.run(1000);
    compared += simulation.compared();
    const EngineStats stats = simulation.stats();
    sum.preemptions += stats.preemptions;
    sum.cancelled += stats.cancelled;
    sum.cached_tokens += stats.cached_tokens;
    sum.cache_evictions += stats.cache_evictions;
    sum.accepted_draft_tokens += stats.accepted_draft_tokens;
    sum.disk_pages += stats.disk_pages;
  }
  if (first == last) return;
  EXPECT_GT(compared, 5000u);  // the traffic reached what it is meant to reach
  EXPECT_GT(sum.preemptions, 500u);
  EXPECT_GT(sum.cancelled, 100u);
  EXPECT_GT(sum.cached_tokens, 10000u);
  EXPECT_GT(sum.cache_evictions, 10000u);
  EXPECT_GT(sum.accepted_draft_tokens, 400u);
  EXPECT_GT(sum.disk_pages, 100u);
}

// Requests that vanish at any stage, many of them: every page, slot and place in the queue is back.
TEST(EngineSim, ACancelAtAnyStageLeaksNothing) {
  constexpr uint64_t kCancels = 100000;
  uint64_t cancels = 0;
  for (uint64_t seed = 1; cancels < kCancels && !HasFailure(); ++seed) {
    std::mt19937_64 random(seed);
    const auto below = [&](uint64_t n) { return random() % n; };
    SimModel model;
    model.hybrid = below(3) == 0;
    EngineOptions options;
    options.vocabulary = kSimIds;
    options.queue_limit = 20;
    options.max_sequences = static_cast<int32_t>(1 + below(8));
    options.prefill_chunk = static_cast<int32_t>(1 + below(16));
    options.speculation = static_cast<int32_t>(below(4));
    options.checkpoint_tokens = 8;
    std::unique_ptr<DiskCache> disk;
    if (!model.hybrid) {
      disk = std::make_unique<FakeDisk>(std::make_shared<FakeFolder>(), random());
    }
    VirtualClock clock;
    EngineCore core(model.make(static_cast<int32_t>(16 + below(24))), options, clock, nullptr,
                    std::move(disk));
    std::deque<std::shared_ptr<TokenStream>> streams;
    for (int step = 0; step < 1000; ++step) {
      for (uint64_t arrivals = below(4); arrivals > 0; --arrivals) {
        auto stream = core.submit(cook(make_recipe(below)));
        if (stream.is_ok()) streams.push_back(std::move(*stream));
      }
      for (uint64_t vanish = below(4); vanish > 0 && !streams.empty(); --vanish) {
        std::swap(streams[below(streams.size())], streams.back());
        streams.back()->cancel();
        streams.pop_back();
        ++cancels;
      }
      core.step();
      if (step % 16 == 0) {
        const Status status = check_scheduler(core.scheduler());
        ASSERT_TRUE(status.is_ok()) << status.message() << ", seed " << seed;
      }
    }
    for (const auto& stream : streams) stream->cancel();
    for (int i = 0; i < 100 && !core.idle(); ++i) core.step();
    const EngineStats stats = core.stats();
    EXPECT_TRUE(core.idle()) << "seed " << seed;
    EXPECT_EQ(stats.pages_free, stats.pages_total) << "seed " << seed;
    EXPECT_EQ(stats.running + stats.waiting, 0) << "seed " << seed;
    for (size_t i = 0; i < options.queue_limit; ++i) {  // no place in the queue is lost
      EXPECT_TRUE(core.submit(cook({})).is_ok()) << "seed " << seed;
    }
    EXPECT_TRUE(check_scheduler(core.scheduler()).is_ok()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace yunqi
