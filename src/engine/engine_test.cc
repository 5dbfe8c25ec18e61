// The engine behind its thread: submit, stream, finish, cancel, drain, shutdown.
#include "engine/engine.h"

#include <gtest/gtest.h>

#include <map>
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

}  // namespace
}  // namespace yunqi
