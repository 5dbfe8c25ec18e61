// The load tool: lengths, figures from made-up records, and runs against our own server with a
// tiny model.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "app/bench_serve_load.h"
#include "http/server.h"
#include "ops/cpu/cpu_device.h"
#include "runtime/model_pool.h"
#include "service/api_service.h"
#include "service/errors.h"

namespace yunqi {
namespace {

TEST(LengthDistribution, TakesThreeShapes) {
  LoadRandom random(1);
  EXPECT_EQ(LengthDistribution::parse("128").value().draw(random), 128);
  const LengthDistribution uniform = LengthDistribution::parse("uniform:3:5").value();
  std::set<int64_t> seen;
  for (int i = 0; i < 200; ++i) seen.insert(uniform.draw(random));
  EXPECT_EQ(seen, (std::set<int64_t>{3, 4, 5}));
  const LengthDistribution lognormal = LengthDistribution::parse("lognormal:100:0.5").value();
  int below = 0;
  double sum = 0;
  for (int i = 0; i < 4000; ++i) {
    const int64_t length = lognormal.draw(random);
    ASSERT_GE(length, 1);
    below += length < 100 ? 1 : 0;
    sum += static_cast<double>(length);
  }
  EXPECT_NEAR(below, 2000, 150) << "100 is the median";
  EXPECT_NEAR(sum / 4000, 113.3, 6) << "the mean is median * exp(sigma^2 / 2)";
}

TEST(LengthDistribution, RefusesOthers) {
  for (const char* text : {"", "0", "-1", "x", "128x", "uniform:5", "uniform:5:3", "uniform:a:3",
                           "lognormal:5:-1", "lognormal:5:11", "normal:1:2", "4194305", "1:2"}) {
    EXPECT_FALSE(LengthDistribution::parse(text).is_ok()) << text;
  }
  EXPECT_TRUE(LengthDistribution::parse("4194304").is_ok());
}

TEST(LoadText, HasTheWordsAskedForAndFollowsItsSeed) {
  LoadRandom a(7), b(7), c(8);
  const std::string text = make_text(a, 100, 1.25);
  EXPECT_EQ(std::count(text.begin(), text.end(), ' '), 79);
  EXPECT_EQ(make_text(b, 100, 1.25), text);
  EXPECT_NE(make_text(c, 100, 1.25), text);
}

TEST(Percentile, IsLinearBetweenNeighbours) {
  EXPECT_EQ(percentile({}, 50), 0);
  EXPECT_EQ(percentile({4}, 99), 4);
  EXPECT_DOUBLE_EQ(percentile({1, 2, 3, 4}, 50), 2.5);
  EXPECT_DOUBLE_EQ(percentile({0, 10}, 90), 9);
}

constexpr int64_t kMs = 1'000'000;

LoadRecord answered(int64_t start_ms, std::vector<int64_t> chunks_ms, int64_t end_ms) {
  LoadRecord out;
  out.start_ns = start_ms * kMs;
  out.end_ns = end_ms * kMs;
  for (const int64_t at : chunks_ms) out.chunk_ns.push_back(at * kMs);
  out.output_tokens = static_cast<int64_t>(chunks_ms.size());
  out.prompt_tokens = 10;
  out.http_status = 200;
  return out;
}

double figure(const Json& report, const char* name) { return report.find(name)->as_double(); }

TEST(LoadReport, TakesItsFiguresFromTheRecords) {
  LoadSummary summary;
  summary.concurrency = 2;
  summary.targets.ttft_ms = 150;
  summary.records = {answered(1000, {1100, 1200, 1300}, 1300),
                     answered(1000, {1200, 1250, 1300, 1350}, 2000)};
  summary.records[0].cached_tokens = 4;
  LoadRecord rejected;
  rejected.start_ns = 1000 * kMs;
  rejected.end_ns = 1005 * kMs;
  rejected.http_status = 503;
  rejected.failure = "HTTP 503: full";
  summary.records.push_back(rejected);
  const Json report = load_report(summary);
  EXPECT_DOUBLE_EQ(figure(report, "duration"), 1.0);
  EXPECT_EQ(figure(report, "completed"), 2);
  EXPECT_EQ(figure(report, "failed"), 1);
  EXPECT_EQ(figure(report, "rejected"), 1);
  EXPECT_DOUBLE_EQ(figure(report, "p99_reject_ms"), 5);
  EXPECT_EQ(figure(report, "total_input_tokens"), 20);
  EXPECT_EQ(figure(report, "cached_input_tokens"), 4);
  EXPECT_DOUBLE_EQ(figure(report, "request_throughput"), 2);
  EXPECT_DOUBLE_EQ(figure(report, "request_goodput"), 1) << "the second one's TTFT is 200 ms";
  EXPECT_DOUBLE_EQ(figure(report, "output_throughput"), 7);
  EXPECT_DOUBLE_EQ(figure(report, "mean_ttft_ms"), 150);
  EXPECT_DOUBLE_EQ(figure(report, "mean_tpot_ms"), 75) << "100 and 50";
  EXPECT_DOUBLE_EQ(figure(report, "median_itl_ms"), 50);
  EXPECT_DOUBLE_EQ(figure(report, "mean_e2el_ms"), 650);
  EXPECT_EQ(figure(report, "max_concurrent_requests"), 3);
  // Both decode from 1200 to 1300 ms, and three tokens come: at 1250 and twice at 1300.
  EXPECT_DOUBLE_EQ(figure(report, "full_batch_output_throughput"), 30);
  EXPECT_EQ(report.find("errors")->dump(), R"({"HTTP 503: full":1})");
  EXPECT_NE(load_table(report).find("1 x HTTP 503: full"), std::string::npos);
}

TEST(LoadReport, OfNothingIsAllZero) {
  const Json report = load_report({});
  EXPECT_EQ(figure(report, "completed"), 0);
  EXPECT_EQ(figure(report, "p99_ttft_ms"), 0);
  EXPECT_TRUE(report.find("request_goodput")->is_null());
}

// A tiny model behind the real service and sockets.
class LoadedServer : public testing::Test {
 protected:
  void SetUp() override {
    device_ = make_cpu_device({.threads = 1, .isa = {}}).value();
    RuntimeOptions options;
    options.kv_bytes = 4 << 20;
    options.max_rows = 64;
    const Path path = Path(YUNQI_SOURCE_DIR) / "tests/golden/tiny/qwen3";
    auto model = LoadedModel::load(path, "tiny", *device_, options, system_clock(), &metrics_);
    ASSERT_TRUE(pool_.add(std::move(model).value()).is_ok());
    service_ = std::make_unique<ApiService>(ApiOptions{}, pool_, metrics_, system_clock());
    HttpServerOptions http;
    http.port = 0;
    server_ = HttpServer::start(
                  http, [this](const HttpRequest& request) { return service_->handle(request); },
                  error_body)
                  .value();
    options_.base_url = fmt::format("http://127.0.0.1:{}", server_->port());
    options_.prompt = LengthDistribution(12);
    options_.output = LengthDistribution(6);
    options_.timeout_ms = 60'000;
  }
  Json run() {
    LoadSummary summary;
    summary.concurrency = options_.concurrency;
    const Calibration server = calibrate(options_).value();
    EXPECT_EQ(server.model, "tiny");
    summary.records = run_load(options_, server, [] { return true; }).value();
    return load_report(summary);
  }

  std::unique_ptr<Device> device_;
  MetricsRegistry metrics_;
  ModelPool pool_;
  std::unique_ptr<ApiService> service_;
  std::unique_ptr<HttpServer> server_;
  LoadOptions options_;
};

TEST_F(LoadedServer, ClosedLoopCompletions) {
  options_.chat = false;
  options_.requests = 9;
  options_.concurrency = 3;
  const Json report = run();
  EXPECT_EQ(figure(report, "completed"), 9) << report.dump();
  EXPECT_EQ(figure(report, "total_output_tokens"), 54);
  EXPECT_NEAR(figure(report, "total_input_tokens"), 9 * 12, 54);
  EXPECT_GT(figure(report, "mean_ttft_ms"), 0);
  EXPECT_LE(figure(report, "max_concurrent_requests"), 3);
}

TEST_F(LoadedServer, PoissonArrivals) {
  options_.requests = 6;
  options_.rate = 500;
  options_.concurrency = 4;
  EXPECT_EQ(figure(run(), "completed"), 6);
}

TEST_F(LoadedServer, SessionsKeepTheirConversation) {
  options_.requests = 6;
  options_.turns = 3;
  options_.concurrency = 2;
  options_.prefix_tokens = 20;
  options_.tool_tokens = 5;
  options_.prompt = LengthDistribution(4);
  options_.output = LengthDistribution(2);
  const Json report = run();
  EXPECT_EQ(figure(report, "completed"), 6) << report.dump();
  // Without what came before, a request would have about 50 tokens.
  EXPECT_GT(figure(report, "total_input_tokens"), 6 * 60);
}

TEST(LoadRun, RejectionsAreCountedApart) {
  const auto full = [](const HttpRequest&) -> HttpReply {
    return error_response(error(Code::kUnavailable, "the queue is full"));
  };
  HttpServerOptions http;
  http.port = 0;
  const auto server = HttpServer::start(http, full, error_body).value();
  LoadOptions options;
  options.base_url = fmt::format("http://127.0.0.1:{}", server->port());
  options.requests = 20;
  options.concurrency = 5;
  LoadSummary summary;
  summary.records = run_load(options, {"tiny", 1}, [] { return true; }).value();
  const Json report = load_report(summary);
  EXPECT_EQ(figure(report, "rejected"), 20) << report.dump();
  EXPECT_EQ(figure(report, "completed"), 0);
  EXPECT_EQ(report.find("errors")->dump(), R"({"HTTP 503: the queue is full":20})");
}

// Another's server: no /tokenize, two tokens a word and three of its own, no usage in streams.
HttpReply answer_as_another(const HttpRequest& request) {
  if (request.path == "/v1/models") {
    return json_response(parse_json(R"({"data": [{"id": "theirs"}]})").value());
  }
  if (request.path != "/v1/chat/completions") return error_response(error(Code::kNotFound, "no"));
  const Json body = parse_json(request.body).value();
  if (body.find("stream") == nullptr) {
    const std::string& text = body.find("messages")->as_array()[0].find("content")->as_string();
    const auto words = std::count(text.begin(), text.end(), ' ') + 1;
    return json_response(
        Json::object({{"usage", Json::object({{"prompt_tokens", int64_t{2} * words + 3}})}}));
  }
  HttpResponse response;
  response.body = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\n";
  for (int i = 0; i < 5; ++i) {
    response.body += "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\r\n\r\n";
  }
  response.body += "data: [DONE]\n\n";
  return response;
}

TEST(LoadRun, DrivesAServerThatTellsLittle) {
  HttpServerOptions http;
  http.port = 0;
  const auto server = HttpServer::start(http, answer_as_another, error_body).value();
  LoadOptions options;
  options.base_url = fmt::format("http://127.0.0.1:{}", server->port());
  options.requests = 4;
  const Calibration found = calibrate(options).value();
  EXPECT_EQ(found.model, "theirs");
  EXPECT_DOUBLE_EQ(found.tokens_per_word, 2);
  LoadSummary summary;
  summary.records = run_load(options, found, [] { return true; }).value();
  const Json report = load_report(summary);
  EXPECT_EQ(figure(report, "completed"), 4) << report.dump();
  EXPECT_EQ(figure(report, "total_output_tokens"), 20) << "pieces of text stand for tokens";
}

TEST_F(LoadedServer, StopsWhenToldTo) {
  options_.requests = 1'000'000;
  const Calibration server = calibrate(options_).value();
  int asked = 0;
  EXPECT_TRUE(run_load(options_, server, [&] { return ++asked < 5; }).is_ok());
}

TEST_F(LoadedServer, AMissingModelIsAnError) {
  options_.model = "other";
  EXPECT_FALSE(calibrate(options_).is_ok());
}

}  // namespace
}  // namespace yunqi
