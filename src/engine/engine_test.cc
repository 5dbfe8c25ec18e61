// The engine behind its thread: submit, stream, finish, cancel, drain, shutdown.
#include "engine/engine.h"

#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <thread>

#include "engine/fake_executor.h"

namespace yunqi {
namespace {

ExecutorLimits small_limits() {
  ExecutorLimits limits;
  limits.max_rows = 32;
  limits.max_logit_rows = 8;
  limits.vocab = 50;
  limits.max_context = 512;
  limits.pages = 160;
  limits.page_tokens = 8;
  return limits;
}

std::unique_ptr<Engine> make_engine(const EngineOptions& options = {}) {
  return Engine::create(std::make_unique<FakeExecutor>(small_limits()), options, system_clock(),
                        nullptr);
}

EngineRequest make_request(int32_t salt, int64_t max_tokens = 20) {
  EngineRequest request;
  for (int32_t i = 0; i < 5 + salt % 40; ++i) request.prompt.push_back((salt * 7 + i * 3) % 50);
  request.sampling.seed = static_cast<uint64_t>(salt);
  request.sampling.top_k = 10;
  request.max_tokens = max_tokens;
  return request;
}

struct Output {
  std::vector<int32_t> tokens;
  TokenEvent last;
};

Output read_all(TokenStream& stream) {
  Output out;
  while (auto event = stream.next()) {
    if (event->kind == TokenEvent::Kind::kToken) out.tokens.push_back(event->token.token);
    out.last = std::move(*event);
  }
  return out;
}

// What a request must give, from the definition alone: no scheduler, no pages.
std::vector<int32_t> textbook(const EngineRequest& request) {
  std::vector<int32_t> output;
  uint64_t hash = 0;
  for (const int32_t token : request.prompt) hash = fake_hash(hash, static_cast<uint64_t>(token));
  while (static_cast<int64_t>(output.size()) < request.max_tokens) {
    std::vector<float> logits(50);
    for (int32_t id = 0; id < 50; ++id) logits[static_cast<size_t>(id)] = fake_logit(hash, id);
    SamplingContext context;
    context.prompt = request.prompt;
    context.output = output;
    context.vocab = 50;
    output.push_back(sample(logits, request.sampling, context).token);
    hash = fake_hash(hash, static_cast<uint64_t>(output.back()));
  }
  return output;
}

TEST(EngineTest, OneRequestGivesItsTokensThenFinishes) {
  const auto engine = make_engine();
  auto stream = engine->submit(make_request(1));
  ASSERT_TRUE(stream.is_ok()) << stream.status().to_string();
  const Output out = read_all(**stream);
  EXPECT_EQ(out.tokens, textbook(make_request(1)));
  EXPECT_EQ(out.last.kind, TokenEvent::Kind::kFinished);
  EXPECT_EQ(out.last.finish, FinishReason::kLength);
  EXPECT_EQ(out.last.prompt_tokens, 6);
  EXPECT_EQ(out.last.output_tokens, 20);
}

TEST(EngineTest, ManyRequestsAtOnceEachGetTheirOwnTokens) {
  const auto engine = make_engine();
  std::vector<std::shared_ptr<TokenStream>> streams;
  for (int32_t i = 0; i < 60; ++i) streams.push_back(engine->submit(make_request(i)).value());
  for (int32_t i = 0; i < 60; ++i) {
    EXPECT_EQ(read_all(*streams[static_cast<size_t>(i)]).tokens, textbook(make_request(i))) << i;
  }
  const EngineStats stats = engine->stats();
  EXPECT_EQ(stats.finished, 60u);
  EXPECT_EQ(stats.output_tokens, 60u * 20u);
}

// 100 clients, 1,000 requests; every second one vanishes at a random token.
TEST(EngineTest, VanishingClientsLeakNothingAndLeaveOthersAlone) {
  const auto engine = make_engine({.queue_limit = 1000});
  std::atomic<int> wrong{0}, finished{0};
  std::vector<std::thread> clients;
  for (int32_t c = 0; c < 100; ++c) {
    clients.emplace_back([&, c] {
      for (int32_t i = 0; i < 10; ++i) {
        const int32_t salt = c * 10 + i;
        const auto stream = engine->submit(make_request(salt)).value();
        Output out;
        while (auto event = stream->next()) {
          if (event->kind == TokenEvent::Kind::kToken) out.tokens.push_back(event->token.token);
          if (salt % 2 == 1 && out.tokens.size() > static_cast<size_t>(salt * 7 % 20)) {
            stream->cancel();
            break;  // reads no more, not even the end
          }
          out.last = std::move(*event);
        }
        if (salt % 2 == 0) {
          if (out.tokens != textbook(make_request(salt))) ++wrong;
          if (out.last.kind == TokenEvent::Kind::kFinished) ++finished;
        }
      }
    });
  }
  for (std::thread& client : clients) client.join();
  engine->drain(10'000);
  const EngineStats stats = engine->stats();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(finished, 500);
  EXPECT_EQ(stats.finished, 1000u);
  EXPECT_EQ(stats.pages_free, stats.pages_total);
  EXPECT_EQ(stats.running + stats.waiting, 0);
}

// A reader that never reads, then one that goes away: the thread sleeps and wakes.
TEST(EngineTest, SlowReaderPausesItselfAndCancelWakesTheEngine) {
  const auto engine = make_engine();
  const auto slow = engine->submit(make_request(3, 400)).value();
  EXPECT_EQ(read_all(*engine->submit(make_request(4)).value()).tokens, textbook(make_request(4)));
  while (slow->has_room()) std::this_thread::yield();
  EXPECT_EQ(read_all(*slow).tokens, textbook(make_request(3, 400)));
  const auto gone = engine->submit(make_request(5, 400)).value();
  while (gone->has_room()) std::this_thread::yield();
  gone->cancel();
  EXPECT_EQ(read_all(*gone).last.finish, FinishReason::kCancelled);
}

TEST(EngineTest, DrainRefusesNewAndEndsTheRestAtItsLimit) {
  const auto engine = make_engine();
  const auto stuck = engine->submit(make_request(3, 400)).value();  // nobody reads
  engine->drain(1);
  EXPECT_EQ(read_all(*stuck).last.finish, FinishReason::kShutdown);
  EXPECT_EQ(engine->submit(make_request(1)).status().code(), Code::kUnavailable);
  engine->drain(1);
}

TEST(EngineTest, DestructionEndsRequestsAndReadersOutliveIt) {
  std::shared_ptr<TokenStream> stream;
  {
    const auto engine = make_engine();
    stream = engine->submit(make_request(3, 400)).value();
  }
  EXPECT_EQ(read_all(*stream).last.finish, FinishReason::kShutdown);
  stream->cancel();
}

TEST(EngineTest, DeviceErrorEndsEveryRequestAndTheEngineSaysSo) {
  auto executor = std::make_unique<FakeExecutor>(small_limits());
  executor->set_hook([steps = 0](const StepPlan&) mutable {
    return ++steps < 5 ? Status::ok() : error(Code::kInternal, "the device is gone");
  });
  const auto engine = Engine::create(std::move(executor), {}, system_clock(), nullptr);
  const Output out = read_all(*engine->submit(make_request(1)).value());
  EXPECT_EQ(out.last.finish, FinishReason::kError);
  EXPECT_EQ(out.last.error.message(), "the device is gone");
  EXPECT_FALSE(engine->stats().healthy);
  EXPECT_EQ(engine->submit(make_request(2)).status().code(), Code::kUnavailable);
}

TEST(EngineTest, PagesOnDiskOutliveTheEngine) {
  const Path folder = std::filesystem::temp_directory_path() / "yunqi-engine-test-pages";
  std::filesystem::remove_all(folder);
  EngineOptions options;
  options.cache_dir = folder;
  options.cache_identity = "model";
  const auto run = [&](int64_t& cached) {
    const auto engine = make_engine(options);
    EngineRequest request = make_request(39);  // 44 tokens: five pages and a rest
    const Output out = read_all(*engine->submit(std::move(request)).value());
    cached = out.last.cached_tokens;
    return out.tokens;
  };
  int64_t cold = -1, warm = -1, other = -1;
  const auto want = run(cold);
  EXPECT_EQ(run(warm), want);
  options.cache_identity = "another";
  EXPECT_EQ(run(other), want);
  EXPECT_EQ(cold, 0);
  EXPECT_EQ(warm, 40);
  EXPECT_EQ(other, 0);
  std::filesystem::remove_all(folder);
}

TEST(EngineTest, RefusesWhatIsOutOfRange) {
  const auto engine = make_engine({.vocabulary = 45});
  const auto refused = [&](auto change) {
    EngineRequest request = make_request(1);
    change(request);
    const auto stream = engine->submit(std::move(request));
    return !stream.is_ok() && stream.status().code() == Code::kInvalidArgument;
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(refused([](EngineRequest& r) { r.prompt.clear(); }));
  EXPECT_TRUE(refused([](EngineRequest& r) { r.prompt[0] = 45; }));
  EXPECT_FALSE(refused([](EngineRequest& r) { r.prompt[0] = 44; }));
  EXPECT_TRUE(refused([](EngineRequest& r) { r.prompt[0] = -1; }));
  EXPECT_TRUE(refused([](EngineRequest& r) { r.prompt.assign(512, 1); }));
  EXPECT_FALSE(refused([](EngineRequest& r) { r.prompt.assign(511, 1); }));
  EXPECT_TRUE(refused([](EngineRequest& r) { r.max_tokens = 0; }));
  EXPECT_FALSE(refused([](EngineRequest& r) { r.max_tokens = INT64_MAX; }));
  EXPECT_TRUE(refused([](EngineRequest& r) { r.top_logprobs = kMaxTopLogprobs + 1; }));
  EXPECT_FALSE(refused([](EngineRequest& r) { r.top_logprobs = kMaxTopLogprobs; }));
  EXPECT_TRUE(refused([](EngineRequest& r) { r.stop_ids.assign(kMaxStopIds + 1, 1); }));
  EXPECT_FALSE(refused([](EngineRequest& r) { r.stop_ids.assign(kMaxStopIds, 1); }));
  EXPECT_TRUE(refused([](EngineRequest& r) { r.checkpoints.assign(kMaxCheckpoints + 1, 1); }));
  EXPECT_FALSE(refused([](EngineRequest& r) { r.checkpoints.assign(kMaxCheckpoints, 1); }));
  EXPECT_TRUE(refused([](EngineRequest& r) { r.sampling.logit_bias = {{45, 1.0f}}; }));
  EXPECT_TRUE(refused([](EngineRequest& r) {
    r.sampling.logit_bias.assign(kMaxLogitBias + 1, {1, 1.f});
  }));
  EXPECT_FALSE(refused([](EngineRequest& r) {
    r.sampling.logit_bias.assign(kMaxLogitBias, {1, 1.f});
  }));
  EXPECT_TRUE(refused([&](EngineRequest& r) { r.sampling.temperature = nan; }));
  EXPECT_TRUE(refused([&](EngineRequest& r) { r.sampling.top_p = nan; }));
  EXPECT_TRUE(refused([](EngineRequest& r) { r.sampling.min_p = 1.01f; }));
  EXPECT_TRUE(refused([](EngineRequest& r) { r.sampling.top_k = -1; }));
  EXPECT_TRUE(refused([](EngineRequest& r) { r.sampling.repetition_penalty = 0; }));
}

}  // namespace
}  // namespace yunqi
