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

}  // namespace
}  // namespace yunqi
