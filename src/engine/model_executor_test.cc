// The real executor on tiny checkpoints: its limits follow from memory, and the engine on it gives
// what the model's own logits say, whatever runs beside.
#include "engine/model_executor.h"

#include <gtest/gtest.h>

#include "engine/engine_core.h"
#include "ops/cpu/cpu_device.h"

namespace yunqi {
namespace {

constexpr int64_t kContext = 128;

struct Tiny {
  std::unique_ptr<Device> device = make_cpu_device({.threads = 1, .isa = {}}).value();
  std::unique_ptr<Checkpoint> checkpoint =
      Checkpoint::open(Path(YUNQI_SOURCE_DIR) / "tests/golden/tiny/qwen3").value();
  ModelExecutorOptions options = {
      .load = {.numerics = {}, .max_context = kContext, .max_rows = 48}};

  Result<std::unique_ptr<Executor>> make() {
    YQ_TRY(std::unique_ptr<Model> model, load_model(*checkpoint, *device, options.load));
    return make_model_executor(std::move(model), *device, options);
  }
};

EngineRequest request_of(int32_t salt, int32_t vocab) {
  EngineRequest request;
  for (int32_t i = 0; i < 3 + salt * 11; ++i) request.prompt.push_back((salt * 31 + i * 5) % vocab);
  request.max_tokens = 12;
  request.sampling.seed = static_cast<uint64_t>(salt);
  request.top_logprobs = 2;
  return request;
}

std::vector<std::pair<int32_t, float>> read_all(TokenStream& stream) {
  std::vector<std::pair<int32_t, float>> out;
  while (auto event = stream.try_next()) {
    if (event->kind == TokenEvent::Kind::kToken) {
      out.emplace_back(event->token.token, event->token.logprob);
    }
  }
  return out;
}

TEST(ModelExecutorTest, LimitsFollowFromOptionsAndMemory) {
  Tiny tiny;
  const auto executor = tiny.make().value();
  const ExecutorLimits& limits = executor->limits();
  EXPECT_EQ(limits.max_rows, 48);
  EXPECT_EQ(limits.max_logit_rows, 48);  // never more than rows
  EXPECT_EQ(limits.max_context, kContext);
  EXPECT_EQ(limits.pages, 4 * kContext / limits.page_tokens);  // four contexts by default
}

TEST(ModelExecutorTest, TooLittleMemoryIsSaidWithNumbers) {
  Tiny tiny;
  tiny.options.kv_bytes = 64;
  const auto executor = tiny.make();
  ASSERT_FALSE(executor.is_ok());
  EXPECT_EQ(executor.status().code(), Code::kNoResources);
  EXPECT_NE(executor.status().message().find("one context of 128 tokens"), std::string::npos);
  tiny.options.page_tokens = 0;
  EXPECT_EQ(tiny.make().status().code(), Code::kInvalidArgument);
}

TEST(ModelExecutorTest, ARequestGivesTheSameBitsAloneAndInCompany) {
  Tiny tiny;
  std::vector<std::vector<std::pair<int32_t, float>>> alone;
  for (int32_t salt = 0; salt < 6; ++salt) {
    EngineCore core(tiny.make().value(), {}, system_clock(), nullptr);
    const auto stream = core.submit(request_of(salt, core.limits().vocab)).value();
    while (core.step()) {
    }
    alone.push_back(read_all(*stream));
    EXPECT_EQ(alone.back().size(), 12u);
  }
  EngineCore core(tiny.make().value(), {.max_sequences = 4, .prefill_chunk = 7}, system_clock(),
                  nullptr);
  std::vector<std::shared_ptr<TokenStream>> streams;
  for (int32_t salt = 0; salt < 6; ++salt) {
    streams.push_back(core.submit(request_of(salt, core.limits().vocab)).value());
  }
  while (core.step()) {
  }
  for (size_t i = 0; i < streams.size(); ++i) EXPECT_EQ(read_all(*streams[i]), alone[i]) << i;
}

// Three rounds of requests that share beginnings, so that later ones find pages, some of them with
// two tokens to choose from, so that drafts come true.
std::vector<std::vector<std::pair<int32_t, float>>> run_rounds(const EngineOptions& options,
                                                               EngineStats& stats) {
  Tiny tiny;
  EngineCore core(tiny.make().value(), options, system_clock(), nullptr);
  std::vector<std::vector<std::pair<int32_t, float>>> out;
  for (int32_t round = 0; round < 3; ++round) {
    std::vector<std::shared_ptr<TokenStream>> streams;
    for (int32_t i = 0; i < 5; ++i) {
      EngineRequest request = request_of(6, core.limits().vocab);
      for (int32_t t = 0; t < i * 3; ++t) request.prompt.push_back(10 + t * i);
      request.max_tokens = 40;
      request.sampling.seed = static_cast<uint64_t>(i);
      request.sampling.temperature = i % 2 == 0 ? 0.0f : 0.7f;
      request.sampling.repetition_penalty = i == 4 ? 1.1f : 1.0f;
      if (i % 2 == 0) request.sampling.logit_bias = {{5, 50.0f}, {6, 50.0f}};
      request.prompt_logprobs = i == 3 && round == 1;
      streams.push_back(core.submit(std::move(request)).value());
    }
    while (core.step()) {
    }
    for (const auto& stream : streams) out.push_back(read_all(*stream));
  }
  stats = core.stats();
  return out;
}

TEST(ModelExecutorTest, CacheDraftsAndChunksChangeNoBit) {
  EngineStats stats;
  const auto plain = run_rounds({.prefix_cache = false, .speculation = 0}, stats);
  EXPECT_EQ(stats.cached_tokens, 0u);
  for (const int32_t chunk : {256, 20, 7}) {
    for (const int32_t speculation : {0, 1, 6, kSpeculationAuto}) {
      const auto other = run_rounds(
          {.max_sequences = 3, .prefill_chunk = chunk, .speculation = speculation}, stats);
      EXPECT_EQ(other, plain) << chunk << ", " << speculation;
      EXPECT_GE(stats.cached_tokens, 9u * 64u);
      EXPECT_TRUE(speculation <= 0 || stats.accepted_draft_tokens > 20u);
    }
  }
}

TEST(ModelExecutorTest, PagesGoOutAndComeBack) {
  Tiny tiny;
  const auto executor = tiny.make().value();
  std::vector<std::byte> page(executor->page_bytes()), back(page.size());
  ASSERT_GT(page.size(), 0u);
  for (size_t i = 0; i < page.size(); ++i) page[i] = static_cast<std::byte>(i * 7);
  ASSERT_TRUE(executor->write_page(3, page).is_ok());
  ASSERT_TRUE(executor->read_page(3, back).is_ok());
  EXPECT_EQ(back, page);
  ASSERT_TRUE(executor->read_page(2, back).is_ok());
  EXPECT_NE(back, page);
  EXPECT_FALSE(executor->read_page(executor->limits().pages, back).is_ok());
  EXPECT_FALSE(executor->write_page(0, std::span(page).first(5)).is_ok());
}

}  // namespace
}  // namespace yunqi
