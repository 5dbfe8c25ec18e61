// Every limit of a request: the last value that is taken, and the first that is refused.
#include "runtime/generate_request.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "engine/request.h"

namespace yunqi {
namespace {

constexpr RequestLimits kLimits = {.max_context = 100, .vocabulary = 50};

GenerateRequest chat_request() {
  GenerateRequest request;
  request.messages.push_back(Json::object({{"role", "user"}, {"content", "x"}}));
  return request;
}

void expect_field(const GenerateRequest& request, const std::string& field) {
  const Status status = validate(request, kLimits);
  EXPECT_EQ(status.code(), Code::kInvalidArgument) << field;
  EXPECT_EQ(status.field(), field) << status.to_string();
}

TEST(Validate, NumbersAtTheirLimitsAndBeyond) {
  using Field = std::optional<double> GenerateRequest::*;
  struct Range {
    Field field;
    const char* name;
    double low, high;
  };
  const Range kRanges[] = {
      {&GenerateRequest::temperature, "temperature", 0, 2},
      {&GenerateRequest::top_p, "top_p", 0, 1},
      {&GenerateRequest::min_p, "min_p", 0, 1},
      {&GenerateRequest::repetition_penalty, "repetition_penalty", 0.01, 10},
      {&GenerateRequest::presence_penalty, "presence_penalty", -2, 2},
      {&GenerateRequest::frequency_penalty, "frequency_penalty", -2, 2},
  };
  for (const Range& range : kRanges) {
    GenerateRequest request = chat_request();
    for (const double good : {range.low, range.high}) {
      request.*range.field = good;
      EXPECT_TRUE(validate(request, kLimits).is_ok()) << range.name << good;
    }
    const double kHuge = std::numeric_limits<double>::max();
    for (const double bad : {std::nextafter(range.low, -kHuge), std::nextafter(range.high, kHuge),
                             std::nan(""), HUGE_VAL, -HUGE_VAL, 1e308}) {
      request.*range.field = bad;
      expect_field(request, range.name);
    }
  }
}

TEST(Validate, IntegersAtTheirLimitsAndBeyond) {
  using Set = std::function<void(GenerateRequest&, int64_t)>;
  struct Range {
    Set set;
    const char* name;
    int64_t low, high;
  };
  const Range kRanges[] = {
      {[](GenerateRequest& r, int64_t v) { r.top_k = v; }, "top_k", -1, int64_t{1} << 31},
      {[](GenerateRequest& r, int64_t v) { r.max_tokens = v; }, "max_tokens", 1, INT32_MAX},
      {[](GenerateRequest& r, int64_t v) { r.choices = v; }, "n", 1, kMaxChoices},
      {[](GenerateRequest& r, int64_t v) { r.top_logprobs = v; }, "top_logprobs", 0,
       kMaxTopLogprobs},
  };
  for (const Range& range : kRanges) {
    GenerateRequest request = chat_request();
    for (const int64_t good : {range.low, range.high}) {
      range.set(request, good);
      EXPECT_TRUE(validate(request, kLimits).is_ok()) << range.name << good;
    }
    for (const int64_t bad : {range.low - 1, range.high + 1, INT64_MAX, INT64_MIN}) {
      range.set(request, bad);
      expect_field(request, range.name);
    }
  }
}

TEST(Validate, SeedsAreAnyInteger) {
  GenerateRequest request = chat_request();
  for (const int64_t seed : {INT64_MIN, int64_t{-1}, int64_t{0}, INT64_MAX}) {
    request.seed = seed;
    EXPECT_TRUE(validate(request, kLimits).is_ok());
  }
}

TEST(Validate, StopLists) {
  GenerateRequest request = chat_request();
  request.stop.assign(kMaxStopStrings, std::string(kMaxStopBytes, 'x'));
  EXPECT_TRUE(validate(request, kLimits).is_ok());
  request.stop[3] += 'x';
  expect_field(request, "stop[3]");
  request.stop[3] = "";
  expect_field(request, "stop[3]");
  request.stop.assign(kMaxStopStrings + 1, "x");
  expect_field(request, "stop");

  request = chat_request();
  request.stop_ids.assign(kMaxRequestStopIds, 49);
  EXPECT_TRUE(validate(request, kLimits).is_ok());
  request.stop_ids[5] = 50;
  expect_field(request, "stop_token_ids[5]");
  request.stop_ids[5] = -1;
  expect_field(request, "stop_token_ids[5]");
  request.stop_ids.assign(kMaxRequestStopIds + 1, 1);
  expect_field(request, "stop_token_ids");
}

TEST(Validate, LogitBias) {
  GenerateRequest request = chat_request();
  request.logit_bias.assign(kMaxLogitBias, {49, -100.0f});
  EXPECT_TRUE(validate(request, kLimits).is_ok());
  request.logit_bias.emplace_back(1, 0.0f);
  expect_field(request, "logit_bias");
  request.logit_bias = {{50, 1.0f}};
  expect_field(request, "logit_bias");
  request.logit_bias = {{-1, 1.0f}};
  expect_field(request, "logit_bias");
  for (const float bad : {100.1f, -100.1f, HUGE_VALF, std::nanf("")}) {
    request.logit_bias = {{7, bad}};
    expect_field(request, "logit_bias.7");
  }
}

TEST(Validate, Messages) {
  GenerateRequest request;
  expect_field(request, "messages");
  request.messages = Json("x");
  expect_field(request, "messages");
  const Json message = chat_request().messages.as_array()[0];
  request.messages = Json(JsonArray(kMaxMessages, message));
  EXPECT_TRUE(validate(request, kLimits).is_ok());
  request.messages.push_back(message);
  expect_field(request, "messages");
}

TEST(Validate, ToolsAndTemplateVariables) {
  GenerateRequest request = chat_request();
  request.tools = Json(JsonArray(kMaxTools, Json::object()));
  EXPECT_TRUE(validate(request, kLimits).is_ok());
  request.tools.push_back(Json::object());
  expect_field(request, "tools");
  request.tools = Json("x");
  expect_field(request, "tools");
  request = chat_request();
  request.template_kwargs = Json::array();
  expect_field(request, "chat_template_kwargs");
}

TEST(Validate, TokenPrompts) {
  GenerateRequest request;
  request.prompt = GenerateRequest::Prompt::kTokens;
  request.tokens = {0, 49};
  EXPECT_TRUE(validate(request, kLimits).is_ok());
  request.tokens = {0, 50};
  expect_field(request, "prompt[1]");
  request.tokens = {-1};
  expect_field(request, "prompt[0]");
}

TEST(Validate, OnlyAnEchoMayAskForNoToken) {
  GenerateRequest request = chat_request();
  request.echo = true;
  expect_field(request, "echo");
  request = {};
  request.prompt = GenerateRequest::Prompt::kText;
  request.text = "x";
  request.max_tokens = 0;
  expect_field(request, "max_tokens");
  request.echo = true;
  EXPECT_TRUE(validate(request, kLimits).is_ok());
}

}  // namespace
}  // namespace yunqi
