// Tests of log.h: levels, and that one event is one line whatever the text.
#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace yunqi {
namespace {

class LogTest : public testing::Test {
 protected:
  ~LogTest() override { set_log_level(LogLevel::kInfo); }
};

TEST_F(LogTest, WritesOneLineWithItsLevel) {
  testing::internal::CaptureStderr();
  log_warning("disk {}% full", 97);
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_THAT(text, testing::MatchesRegex("20[0-9T:.+-]+ warning disk 97% full\n"));
}

TEST_F(LogTest, RespectsTheLevel) {
  testing::internal::CaptureStderr();
  log_debug("hidden");
  set_log_level(LogLevel::kDebug);
  log_debug("shown");
  set_log_level(LogLevel::kOff);
  log_error("hidden too");
  log_line(LogLevel::kOff, "and this");
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  EXPECT_THAT(text, testing::HasSubstr("debug shown"));
}

TEST_F(LogTest, TextCannotForgeLinesOrDriveTheTerminal) {
  testing::internal::CaptureStderr();
  log_info("{}", "a\nb\r\x1b[31m\x7f {} caf\xC3\xA9");
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_THAT(text, testing::EndsWith("a\\x0ab\\x0d\\x1b[31m\\x7f {} caf\xC3\xA9\n"));
}

}  // namespace
}  // namespace yunqi
