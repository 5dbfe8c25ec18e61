// Models that come and go, seen through the API: requests wait for a load without a thread, get 503
// when it takes too long, and /v1/models and /health tell each model's state.
#include <gtest/gtest.h>

#include <algorithm>

#include "service/api_service.h"
#include "tests/api/scripted_engine.h"
#include "text/tokenizer_fixture.h"

namespace yunqi {
namespace {

class ModelStates : public testing::Test {
 protected:
  void SetUp() override {
    ModelPoolOptions options;
    options.threads = false;
    options.load_wait_ms = 1'000;
    pool_ = std::make_unique<ModelPool>(options, clock_, &metrics_);
    ModelSource source;
    source.id = "tiny";
    source.aliases = {"gpt"};
    source.bytes = 5'000;
    source.keep_alive_ms = 60'000;
    source.load = [this](const std::shared_ptr<LoadProgress>&) { return load(); };
    ASSERT_TRUE(pool_->declare(std::move(source)).is_ok());
    service_ = std::make_unique<ApiService>(ApiOptions{}, *pool_, metrics_, clock_);
  }

  Result<std::shared_ptr<LoadedModel>> load() {
    if (!load_failure_.is_ok()) return load_failure_;
    LoadedModel::Parts parts;
    parts.id = "tiny";
    parts.tokenizer = std::make_unique<Tokenizer>(tiny_tokenizer());
    parts.vocabulary = parts.tokenizer->size();
    parts.max_context = 128;
    auto engine = std::make_unique<ScriptedEngine>(clock_);
    engine_ = engine.get();
    EngineScript script;
    script.tokens = parts.tokenizer->encode("The end");
    engine->add(script);
    parts.engine = std::move(engine);
    return std::make_shared<LoadedModel>(std::move(parts));
  }

  HttpReply post(const std::string& path, const std::string& body) {
    HttpRequest request;
    request.method = body.empty() ? "GET" : "POST";
    request.path = path;
    request.body = body;
    request.id = "test";
    return service_->handle(request);
  }
  // A reply that has to wait.
  std::unique_ptr<DeferredResponse> waiting(const std::string& path, const std::string& body) {
    HttpReply reply = post(path, body);
    EXPECT_TRUE(std::holds_alternative<std::unique_ptr<DeferredResponse>>(reply));
    auto deferred = std::move(std::get<std::unique_ptr<DeferredResponse>>(reply));
    deferred->set_wake([this] { ++wakes_; });
    return deferred;
  }
  std::string get(const std::string& path) { return std::get<HttpResponse>(post(path, "")).body; }
  Json model() { return parse_json(get("/v1/models/tiny")).value(); }
  std::string state() { return model().find("status")->find("state")->as_string(); }

  VirtualClock clock_;
  MetricsRegistry metrics_;
  std::unique_ptr<ModelPool> pool_;
  std::unique_ptr<ApiService> service_;
  ScriptedEngine* engine_ = nullptr;
  Status load_failure_;
  int wakes_ = 0;
};

constexpr const char* kPrompt = R"({"model": "tiny", "prompt": "This is"})";

TEST_F(ModelStates, ARequestWaitsForItsModel) {
  EXPECT_EQ(state(), "unloaded");
  EXPECT_EQ(model().find("max_model_len"), nullptr);
  const auto reply = waiting("/v1/completions", kPrompt);
  EXPECT_FALSE(reply->poll().has_value());
  EXPECT_EQ(model().find("status")->find("waiting")->as_int(), 1);
  EXPECT_TRUE(pool_->work());
  EXPECT_GE(wakes_, 1);
  const std::optional<HttpResponse> response = reply->poll();
  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(response->status, 200);
  EXPECT_NE(response->body.find("The end"), std::string::npos);
  EXPECT_EQ(state(), "ready");
  EXPECT_EQ(model().find("max_model_len")->as_int(), 128);
}

TEST_F(ModelStates, AStreamWaitsToo) {
  const auto reply =
      waiting("/v1/completions", R"({"model": "gpt", "prompt": "This is", "stream": true})");
  EXPECT_TRUE(pool_->work());
  std::optional<HttpResponse> response = reply->poll();
  ASSERT_TRUE(response.has_value());
  ASSERT_NE(response->stream, nullptr);
  std::string body;
  response->stream->read(body);
  EXPECT_NE(body.find("The"), std::string::npos);
}

TEST_F(ModelStates, AWaitThatIsTooLongIs503WithRetryAfter) {
  const auto reply = waiting("/tokenize", kPrompt);
  clock_.advance_ns(1'000'000'000);
  pool_->expire();
  EXPECT_EQ(wakes_, 1);
  const std::optional<HttpResponse> response = reply->poll();
  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(response->status, 503);
  EXPECT_NE(std::find(response->headers.begin(), response->headers.end(),
                      std::pair<std::string, std::string>("Retry-After", "1")),
            response->headers.end());
}

TEST_F(ModelStates, AClientThatLeavesBeforeTheLoadCostsTheEngineNothing) {
  waiting("/v1/completions", kPrompt).reset();
  EXPECT_TRUE(pool_->work());
  EXPECT_TRUE(engine_->requests(tiny_tokenizer()).empty());
  EXPECT_EQ(pool_->entry("tiny").value().users, 0);
}

TEST_F(ModelStates, AClientThatLeavesBeforeItReadsCancels) {
  auto reply = waiting("/v1/completions", kPrompt);
  EXPECT_TRUE(pool_->work());
  reply.reset();
  EXPECT_EQ(pool_->entry("tiny").value().users, 0);
  const auto asked = engine_->requests(tiny_tokenizer());
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_TRUE(asked[0].find("cancelled")->as_bool());
}

TEST_F(ModelStates, AFailedLoadIs503WithTheReason) {
  load_failure_ = error(Code::kBadFile, "tiny.gguf is cut off");
  const auto reply = waiting("/v1/completions", kPrompt);
  EXPECT_TRUE(pool_->work());
  const std::optional<HttpResponse> response = reply->poll();
  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(response->status, 503);
  EXPECT_NE(response->body.find("cut off"), std::string::npos);
  EXPECT_EQ(state(), "failed");
  EXPECT_NE(model().find("status")->find("error")->as_string().find("cut off"), std::string::npos);
}

TEST_F(ModelStates, AModelInUseStaysAndAnIdleOneGoes) {
  auto reply = waiting("/v1/completions", R"({"model": "tiny", "prompt": "x", "stream": true})");
  EXPECT_TRUE(pool_->work());
  std::optional<HttpResponse> response = reply->poll();
  reply.reset();
  clock_.advance_ns(120'000'000'000);
  EXPECT_FALSE(pool_->work()) << "its stream is open";
  EXPECT_EQ(model().find("status")->find("requests")->as_int(), 1);
  response.reset();
  EXPECT_EQ(model().find("status")->find("unload_in_s")->as_int(), 60);
  clock_.advance_ns(60'000'000'000);
  EXPECT_TRUE(pool_->work());
  EXPECT_EQ(state(), "unloaded");
}

TEST_F(ModelStates, AModelThatIsNotLoadedIsNotUnhealthy) {
  const Json health = parse_json(get("/health")).value();
  EXPECT_EQ(health.find("status")->as_string(), "ok");
  EXPECT_EQ(health.find("models")->find("tiny")->as_string(), "unloaded");
}

}  // namespace
}  // namespace yunqi
