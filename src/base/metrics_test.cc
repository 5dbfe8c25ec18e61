// Tests of metrics.h: the exposition text byte by byte, and counting from many threads.
#include "base/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <thread>

namespace yunqi {
namespace {

TEST(Metrics, WritesThePrometheusText) {
  MetricsRegistry registry;
  registry.counter("yunqi_tokens_total", "Tokens made.", {{"model", "a"}, {"kind", "decode"}})
      .add(3);
  registry.counter("yunqi_tokens_total", "Tokens made.", {{"model", "b"}, {"kind", "decode"}});
  registry.gauge("yunqi_pages", "Pages in use.").set(2.5);
  EXPECT_EQ(registry.to_prometheus(), R"(# HELP yunqi_tokens_total Tokens made.
# TYPE yunqi_tokens_total counter
yunqi_tokens_total{model="a",kind="decode"} 3
yunqi_tokens_total{model="b",kind="decode"} 0
# HELP yunqi_pages Pages in use.
# TYPE yunqi_pages gauge
yunqi_pages 2.5
)");
}

TEST(Metrics, WritesHistogramsCumulatively) {
  MetricsRegistry registry;
  Histogram& histogram =
      registry.histogram("ttft_seconds", "Time to first token.", {0.1, 1, 10}, {{"model", "a"}});
  for (const double value : {0.05, 0.1, 0.5, 10.0, 11.0}) histogram.observe(value);
  EXPECT_EQ(registry.to_prometheus(), R"(# HELP ttft_seconds Time to first token.
# TYPE ttft_seconds histogram
ttft_seconds_bucket{model="a",le="0.1"} 2
ttft_seconds_bucket{model="a",le="1.0"} 3
ttft_seconds_bucket{model="a",le="10.0"} 4
ttft_seconds_bucket{model="a",le="+Inf"} 5
ttft_seconds_sum{model="a"} 21.65
ttft_seconds_count{model="a"} 5
)");
}

TEST(Metrics, AHistogramWithoutBoundsCountsAll) {
  Histogram histogram({});
  histogram.observe(1);
  histogram.observe(std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(histogram.cumulative(), std::vector<uint64_t>{1});
  EXPECT_EQ(histogram.sum(), 1.0);
}

TEST(Metrics, EscapesHelpAndLabels) {
  MetricsRegistry registry;
  registry.counter("x", "line\nback\\slash \"quoted\"", {{"path", "a\"b\\c\nd"}});
  EXPECT_EQ(registry.to_prometheus(),
            "# HELP x line\\nback\\\\slash \"quoted\"\n# TYPE x counter\n"
            "x{path=\"a\\\"b\\\\c\\nd\"} 0\n");
}

TEST(Metrics, WritesNonFiniteValues) {
  MetricsRegistry registry;
  registry.gauge("a", "h").set(std::numeric_limits<double>::quiet_NaN());
  registry.gauge("b", "h").set(-std::numeric_limits<double>::infinity());
  const std::string text = registry.to_prometheus();
  EXPECT_NE(text.find("\na NaN\n"), std::string::npos);
  EXPECT_NE(text.find("\nb -Inf\n"), std::string::npos);
}

TEST(Metrics, AliasesRepeatAFamily) {
  MetricsRegistry registry;
  registry.counter("yunqi_x_total", "X.").add(7);
  registry.alias("yunqi_x_total", "vllm:x_total");
  EXPECT_EQ(registry.to_prometheus(),
            "# HELP yunqi_x_total X.\n# TYPE yunqi_x_total counter\nyunqi_x_total 7\n"
            "# HELP vllm:x_total X.\n# TYPE vllm:x_total counter\nvllm:x_total 7\n");
}

TEST(Metrics, TheSameNameAndLabelsGiveTheSameMetric) {
  MetricsRegistry registry;
  Counter& first = registry.counter("x", "h", {{"a", "1"}});
  for (int i = 0; i < 1000; ++i) registry.counter("x", "h", {{"a", std::to_string(i)}});
  EXPECT_EQ(&first, &registry.counter("x", "h", {{"a", "1"}}));
  EXPECT_NE(&first, &registry.counter("x", "h", {{"a", "2"}}));
}

TEST(Metrics, CountsFromManyThreads) {
  MetricsRegistry registry;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&registry] {
      Counter& counter = registry.counter("n", "h");
      Histogram& histogram = registry.histogram("h", "h", {0.5});
      for (int i = 0; i < 10000; ++i) {
        counter.add();
        histogram.observe(1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(registry.counter("n", "h").value(), 40000u);
  EXPECT_EQ(registry.histogram("h", "h", {}).cumulative(), (std::vector<uint64_t>{0, 40000}));
  EXPECT_EQ(registry.histogram("h", "h", {}).sum(), 40000.0);
}

TEST(MetricsDeathTest, MisuseIsABug) {
  MetricsRegistry registry;
  registry.counter("x", "help");
  EXPECT_DEATH(registry.gauge("x", "help"), "one kind");
  EXPECT_DEATH(registry.counter("x", "other help"), "one help text");
  EXPECT_DEATH(registry.counter("1x", "help"), "bad metric name");
  EXPECT_DEATH(registry.counter("y", "help", {{"a:b", ""}}), "bad label name");
  EXPECT_DEATH(registry.alias("missing", "z"), "needs a metric that exists");
  EXPECT_DEATH(Histogram({1, 1}), "must ascend");
}

}  // namespace
}  // namespace yunqi
