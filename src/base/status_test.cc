// Tests of status.h, result.h and check.h.
#include "base/status.h"

#include <gtest/gtest.h>

#include <memory>

#include "base/result.h"

namespace yunqi {
namespace {

Result<int> half(int value) {
  if (value % 2 != 0) return error(Code::kInvalidArgument, "want an even number, found {}", value);
  return value / 2;
}

Result<int> quarter(int value) {
  YQ_TRY(const int once, half(value));
  YQ_TRY(const int twice, half(once));
  return twice;
}

Status check_even(int value) {
  YQ_RETURN_IF_ERROR(half(value).status());
  return Status::ok();
}

TEST(Status, OkIsEmpty) {
  const Status status;
  EXPECT_TRUE(status.is_ok());
  EXPECT_EQ(status.code(), Code::kOk);
  EXPECT_EQ(status.message(), "");
  EXPECT_EQ(status.to_string(), "ok");
  EXPECT_TRUE(Status::ok().with_context("x").at("y").is_ok());
  EXPECT_TRUE(Status(Code::kOk, "ignored").is_ok());
}

TEST(Status, CarriesCodeMessageAndField) {
  const Status status =
      error(Code::kBadFile, "want {}, found {}", 1, "x").at("messages[0]").with_context("a.gguf");
  EXPECT_FALSE(status.is_ok());
  EXPECT_EQ(status.code(), Code::kBadFile);
  EXPECT_EQ(status.message(), "a.gguf: want 1, found x");
  EXPECT_EQ(status.field(), "messages[0]");
  EXPECT_EQ(status.to_string(), "bad_file: a.gguf: want 1, found x");
}

TEST(Status, EveryCodeHasItsOwnName) {
  for (int i = 0; i <= static_cast<int>(Code::kInternal); ++i) {
    EXPECT_NE(code_name(static_cast<Code>(i)), "unknown");
    for (int j = 0; j < i; ++j) {
      EXPECT_NE(code_name(static_cast<Code>(i)), code_name(static_cast<Code>(j)));
    }
  }
}

TEST(Result, HoldsAValueOrAnError) {
  EXPECT_EQ(*half(4), 2);
  EXPECT_EQ(half(3).status().code(), Code::kInvalidArgument);
  EXPECT_TRUE(half(4).status().is_ok());
  EXPECT_EQ(half(3).value_or(-1), -1);
  EXPECT_EQ(half(4).value_or(-1), 2);
}

TEST(Result, TryBindsOrReturns) {
  EXPECT_EQ(*quarter(8), 2);
  EXPECT_EQ(quarter(6).status().message(), "want an even number, found 3");
  EXPECT_TRUE(check_even(2).is_ok());
  EXPECT_FALSE(check_even(1).is_ok());
}

TEST(Result, MovesWhatCanOnlyMove) {
  Result<std::unique_ptr<int>> result(std::make_unique<int>(5));
  const std::unique_ptr<int> taken = std::move(result).value();
  EXPECT_EQ(*taken, 5);
}

TEST(ResultDeathTest, AccessToTheMissingOneIsABug) {
  EXPECT_DEATH(half(3).value(), "Result has no value: invalid_argument: want an even number");
  EXPECT_DEATH(Result<int>{Status::ok()}, "needs an error");
}

TEST(CheckDeathTest, PrintsConditionAndMessage) {
  EXPECT_DEATH(YQ_CHECK(1 + 1 == 3, "found {}", 2), "status_test.cc:.*1 \\+ 1 == 3: found 2");
  EXPECT_DEATH(YQ_CHECK(false), "check failed: false\n");
}

}  // namespace
}  // namespace yunqi
