// Two real tiny models in one pool: loaded at start or on demand, answering at once beside each
// other with the bytes they give alone, each with its own metrics.
#include "app/serve_models.h"

#include <gtest/gtest.h>

#include <future>

#include "ops/cpu/cpu_device.h"

namespace yunqi {
namespace {

std::string tiny(const std::string& name) {
  return std::string(YUNQI_SOURCE_DIR) + "/tests/golden/tiny/" + name;
}

class ServeModels : public testing::Test {
 protected:
  void SetUp() override {
    config_.models = {tiny("qwen3"), tiny("qwen2-tied")};
    config_.model.threads = 2;
    config_.model.kv_memory = "4MiB";
    device_ = make_cpu_device({.threads = 2, .isa = {}}).value();
  }
  Status declare() {
    pool_ = std::make_unique<ModelPool>(pool_options(config_).value(), system_clock(), &metrics_);
    return declare_models(config_, {*device_, metrics_, arbiter_}, *pool_);
  }
  ModelState state(const char* id) { return pool_->entry(id).value().state; }

  std::vector<TokenId> generate(const char* id, int64_t seed) {
    const std::shared_ptr<LoadedModel> model = pool_->load(id).value();
    GenerateRequest request;
    request.prompt = GenerateRequest::Prompt::kText;
    request.text = "hello world";
    request.max_tokens = 40;
    request.temperature = 1;
    request.ignore_eos = true;
    request.want_token_ids = true;
    request.seed = seed;
    const std::unique_ptr<Generation> generation = model->start(request).value();
    std::vector<TokenId> ids;
    while (std::optional<OutputEvent> event = generation->next()) {
      for (const TokenText& token : event->tokens) ids.push_back(token.id);
    }
    return ids;
  }

  ServeConfig config_;
  std::unique_ptr<Device> device_;
  MetricsRegistry metrics_;
  StepArbiter arbiter_;
  std::unique_ptr<ModelPool> pool_;  // goes first
};

TEST_F(ServeModels, ThoseNamedAreLoadedAtTheStart) {
  config_.aliases = {"gpt"};
  ASSERT_TRUE(declare().is_ok());
  EXPECT_EQ(state("gpt"), ModelState::kReady);
  EXPECT_EQ(state("qwen2-tied"), ModelState::kReady);
  EXPECT_EQ(pool_->entry("").value().id, "qwen3");
  EXPECT_EQ(pool_->entry("").value().unload_in_ms, -1) << "it stays";
  EXPECT_GT(pool_->entry("qwen3").value().bytes, uint64_t{1} << 20) << "KV memory counts too";
}

TEST_F(ServeModels, ModelsSideBySideGiveTheBytesTheyGiveAlone) {
  config_.on_demand = true;
  ASSERT_TRUE(declare().is_ok());
  EXPECT_EQ(state("qwen3"), ModelState::kUnloaded);
  std::vector<std::vector<TokenId>> alone;
  for (int64_t seed = 0; seed < 3; ++seed) {
    alone.push_back(generate("qwen3", seed));
    alone.push_back(generate("qwen2-tied", seed));
  }
  EXPECT_NE(alone[0], alone[1]);
  std::vector<std::future<std::vector<TokenId>>> together;
  for (int64_t seed = 0; seed < 3; ++seed) {
    for (const char* id : {"qwen3", "qwen2-tied"}) {
      together.push_back(std::async(std::launch::async, [=, this] { return generate(id, seed); }));
    }
  }
  for (size_t i = 0; i < alone.size(); ++i) EXPECT_EQ(together[i].get(), alone[i]) << i;
  const std::string text = metrics_.to_prometheus();
  for (const char* line :
       {"yunqi_generation_tokens_total{model_name=\"qwen3\"} 240",
        "yunqi_generation_tokens_total{model_name=\"qwen2-tied\"} 240",
        "yunqi_model_loaded{model_name=\"qwen3\"} 1", "vllm:cache_config_info{"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "\n" << text;
  }
}

TEST_F(ServeModels, AModelThatMadeRoomComesBackWithTheSameBytes) {
  config_.on_demand = true;
  config_.model_memory = "6MiB";  // one of them and its KV memory
  ASSERT_TRUE(declare().is_ok());
  const std::vector<TokenId> first = generate("qwen3", 1);
  generate("qwen2-tied", 1);
  EXPECT_EQ(state("qwen3"), ModelState::kUnloaded);
  EXPECT_EQ(generate("qwen3", 1), first);
  EXPECT_EQ(state("qwen2-tied"), ModelState::kUnloaded);
}

TEST_F(ServeModels, AModelThatCannotBeLoadedEndsTheStart) {
  config_.models = {tiny("qwen3"), tiny("no-such-model")};
  EXPECT_FALSE(declare().is_ok());
}

}  // namespace
}  // namespace yunqi
