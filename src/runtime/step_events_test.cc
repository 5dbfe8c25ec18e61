// A step becomes one span with its parts inside it, in microseconds, and two counters.
#include "runtime/step_events.h"

#include <gtest/gtest.h>

#include <vector>

namespace yunqi {
namespace {

TEST(StepEvents, AStepIsASpanWithItsParts) {
  StepRecord step;
  step.step = 7;
  step.begin_ns = 10'000;
  step.plan_ns = 1'000;
  step.gate_ns = 3'000;
  step.execute_ns = 5'000;
  step.sample_ns = 2'000;
  step.rows = 3;
  step.pages_free = 9;
  Json events = Json::array();
  append_step_events(events, std::vector<StepRecord>{step}, 2);
  ASSERT_EQ(events.as_array().size(), 7u);
  const auto number = [&](size_t event, const char* name) {
    return events.as_array()[event].find(name)->as_double();
  };
  EXPECT_EQ(number(0, "ts"), 10);
  EXPECT_EQ(number(0, "dur"), 11);
  EXPECT_EQ(number(0, "pid"), 2);
  EXPECT_EQ(events.as_array()[0].find("args")->find("rows")->as_int(), 3);
  double at = number(0, "ts");
  for (size_t part = 1; part <= 4; ++part) {
    EXPECT_EQ(number(part, "ts"), at) << "parts follow each other";
    at += number(part, "dur");
  }
  EXPECT_EQ(at, number(0, "ts") + number(0, "dur")) << "and fill the step";
  EXPECT_EQ(events.as_array()[6].find("args")->find("free")->as_int(), 9);
}

TEST(StepEvents, NoStepsNoEvents) {
  Json events = Json::array();
  append_step_events(events, {}, 1);
  EXPECT_TRUE(events.as_array().empty());
}

}  // namespace
}  // namespace yunqi
