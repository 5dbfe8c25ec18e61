// A seeded simulator of the engine: virtual clock, fake executor, random arrivals, cancels, slow
// readers, deadlines, guards and device errors over tiny page pools. Invariants hold after every
// step, every request ends once, and its output is a prefix of (or, if it was left in peace, equal
// to) what it gives alone. A failure names its seed: YUNQI_SIM_SEED=n runs that one only.
#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>
#include <map>
#include <random>

#include "engine/engine_core.h"
#include "engine/fake_executor.h"
#include "engine/invariants.h"

namespace yunqi {
namespace {

constexpr int64_t kMillisecond = 1'000'000;

// Stops, forces or masks by the tokens it has seen: a function of them alone, as guards must be.
class ScriptedGuard final : public TokenGuard {
 public:
  explicit ScriptedGuard(uint64_t script) : script_(script) {}
  std::span<const uint64_t> mask() override {
    bits_ = script_ % 3 == 0 ? fake_hash(hash_, 1) | 3 : ~uint64_t{0};
    return {&bits_, 1};
  }
  GuardVerdict accept(int32_t token) override {
    hash_ = fake_hash(hash_, static_cast<uint64_t>(token));
    GuardVerdict verdict;
    if (hash_ % 97 == 0) verdict.action = GuardVerdict::Action::kStop;
    if (hash_ % 23 == 0) {
      verdict.action = GuardVerdict::Action::kForce;
      for (uint64_t i = 0; i < hash_ % 7; ++i) {
        verdict.forced.push_back(static_cast<int32_t>((hash_ >> (8 * i)) % 40));
      }
    }
    return verdict;
  }

 private:
  const uint64_t script_;
  uint64_t hash_ = 0, bits_ = 0;
};

struct Recipe {
  uint64_t seed = 0;
  int32_t prompt = 1;
  int64_t max_tokens = 1;
  bool guarded = false, scored = false, stops = false;
  int32_t top_logprobs = -1, priority = 0;
};

EngineRequest cook(const Recipe& recipe) {
  EngineRequest request;
  for (int32_t i = 0; i < recipe.prompt; ++i) {
    request.prompt.push_back(
        static_cast<int32_t>(fake_hash(recipe.seed, static_cast<uint64_t>(i)) % 40));
  }
  request.max_tokens = recipe.max_tokens;
  request.sampling.seed = recipe.seed;
  request.sampling.temperature = recipe.seed % 4 == 0 ? 0.0f : 0.8f;
  request.sampling.top_k = recipe.seed % 3 == 0 ? 7 : 0;
  request.sampling.top_p = recipe.seed % 5 == 0 ? 0.9f : 1.0f;
  request.sampling.presence_penalty = recipe.seed % 7 == 0 ? 0.5f : 0.0f;
  request.top_logprobs = recipe.top_logprobs;
  request.prompt_logprobs = recipe.scored;
  if (recipe.stops) request.stop_ids = {static_cast<int32_t>(recipe.seed % 40)};
  if (recipe.guarded) request.guard = std::make_unique<ScriptedGuard>(recipe.seed);
  request.flow.priority = recipe.priority;
  return request;
}

// Everything a reader sees, token by token.
struct Seen {
  std::vector<std::pair<int32_t, float>> prompt, output;
  int finishes = 0;
  TokenEvent last;

  void add(TokenEvent event) {
    if (event.kind == TokenEvent::Kind::kFinished) {
      ++finishes;
      last = std::move(event);
    } else {
      auto& list = event.kind == TokenEvent::Kind::kPrompt ? prompt : output;
      list.emplace_back(event.token.token, event.token.logprob);
    }
  }
};

ExecutorLimits limits_of(int32_t pages) {
  ExecutorLimits limits;
  limits.max_rows = 24;
  limits.max_logit_rows = 10;
  limits.vocab = 44;
  limits.max_context = 64;
  limits.page_tokens = 4;
  limits.pages = pages;
  return limits;
}

Seen run_alone(const Recipe& recipe) {
  VirtualClock clock;
  EngineCore core(std::make_unique<FakeExecutor>(limits_of(16)), {.vocabulary = 40}, clock,
                  nullptr);
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
    auto executor = std::make_unique<FakeExecutor>(limits_of(static_cast<int32_t>(16 + below(24))));
    executor->set_hook([this](const StepPlan& plan) {
      const Status status = check_plan(plan, limits_of(1000));
      EXPECT_TRUE(status.is_ok()) << status.message() << ", seed " << seed_;
      return fail_next_ ? error(Code::kInternal, "simulated device error") : Status::ok();
    });
    EngineOptions options;
    options.vocabulary = 40;
    options.queue_limit = 12;
    options.max_sequences = static_cast<int32_t>(1 + below(10));
    options.prefill_chunk = static_cast<int32_t>(1 + below(16));
    core_ = std::make_unique<EngineCore>(std::move(executor), options, clock_, nullptr);
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
    client.recipe.seed = random_();
    client.recipe.prompt = static_cast<int32_t>(1 + below(below(4) == 0 ? 63 : 20));
    client.recipe.max_tokens = static_cast<int64_t>(1 + below(40));
    client.recipe.guarded = below(3) == 0;
    client.recipe.scored = below(5) == 0;
    client.recipe.stops = below(4) == 0;
    client.recipe.top_logprobs = below(3) == 0 ? 2 : -1;
    client.recipe.priority = static_cast<int32_t>(below(2));
    client.slowness = below(4) == 0 ? 2 + below(60) : 0;
    EngineRequest request = cook(client.recipe);
    if (below(20) == 0) {
      request.flow.deadline_ns =
          clock_.now_ns() + static_cast<int64_t>(below(60)) * kMillisecond + 1;
      client.disturbed = true;
    }
    auto stream = core_->submit(std::move(request));
    if (!stream.is_ok()) {
      EXPECT_EQ(stream.status().code(), Code::kUnavailable);
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
    const Seen alone = run_alone(client.recipe);
    const Seen& seen = client.seen;
    if (!client.disturbed) {
      EXPECT_EQ(seen.last.finish, alone.last.finish) << "seed " << seed_;
      EXPECT_EQ(seen.last.stop_id, alone.last.stop_id) << "seed " << seed_;
      EXPECT_EQ(seen.prompt, alone.prompt) << "seed " << seed_;
      EXPECT_EQ(seen.output, alone.output) << "seed " << seed_;
      return;
    }
    ASSERT_LE(seen.output.size(), alone.output.size()) << "seed " << seed_;
    EXPECT_TRUE(std::equal(seen.output.begin(), seen.output.end(), alone.output.begin()))
        << "seed " << seed_;
  }

  const uint64_t seed_;
  std::mt19937_64 random_;
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
  uint64_t compared = 0, preemptions = 0, cancelled = 0;
  for (uint64_t seed = first; seed <= last && !HasFailure(); ++seed) {
    Simulation simulation(seed);
    simulation.run(1000);
    compared += simulation.compared();
    preemptions += simulation.stats().preemptions;
    cancelled += simulation.stats().cancelled;
  }
  if (first == last) return;
  EXPECT_GT(compared, 5000u);  // the traffic reached what it is meant to reach
  EXPECT_GT(preemptions, 500u);
  EXPECT_GT(cancelled, 100u);
}

}  // namespace
}  // namespace yunqi
