// Child processes: exit codes, signals, output's tail, environment, cancel of a whole group.
#include "base/process.h"

#include <gtest/gtest.h>

#include <chrono>

namespace yunqi {
namespace {

TEST(Process, GivesExitCodeAndBothStreams) {
  auto done = run_process({.arguments = {"sh", "-c", "echo out; echo err >&2; exit 7"}});
  ASSERT_TRUE(done.is_ok()) << done.status().to_string();
  EXPECT_EQ(done->exit_code, 7);
  EXPECT_EQ(done->signal, 0);
  EXPECT_EQ(done->output, "out\nerr\n");
}

TEST(Process, ArgumentsAreNotSeenByAShell) {
  auto done = run_process({.arguments = {"printf", "%s|", "a b", "$(id)", ";", "*"}});
  ASSERT_TRUE(done.is_ok());
  EXPECT_EQ(done->output, "a b|$(id)|;|*|");
}

TEST(Process, EnvironmentIsAddedAndReplaced) {
  auto done = run_process({.arguments = {"sh", "-c", "echo $YUNQI_TEST_X; echo $HOME"},
                           .environment = {{"YUNQI_TEST_X", "1 2"}, {"HOME", "/nowhere"}}});
  ASSERT_TRUE(done.is_ok());
  EXPECT_EQ(done->output, "1 2\n/nowhere\n");
}

TEST(Process, MissingProgramIsNotFound) {
  auto done = run_process({.arguments = {"yunqi-no-such-program"}});
  ASSERT_FALSE(done.is_ok());
  EXPECT_EQ(done.status().code(), Code::kNotFound);
  EXPECT_FALSE(run_process({}).is_ok());
}

TEST(Process, KeepsTheTailOfLongOutput) {
  auto done = run_process(
      {.arguments = {"sh", "-c", "head -c 300000 /dev/zero | tr '\\0' a; echo the-end"}});
  ASSERT_TRUE(done.is_ok());
  EXPECT_EQ(done->output.size(), kMaxProcessOutput);
  EXPECT_TRUE(done->output.ends_with("athe-end\n"));
}

TEST(Process, ASignalIsToldApart) {
  auto done = run_process({.arguments = {"sh", "-c", "kill -9 $$"}});
  ASSERT_TRUE(done.is_ok());
  EXPECT_EQ(done->exit_code, -1);
  EXPECT_EQ(done->signal, 9);
}

TEST(Process, CancelStopsTheWholeGroup) {
  int ticks = 0;
  auto done =
      run_process({.arguments = {"sh", "-c", "sleep 60 & sleep 60"}}, [&] { return ++ticks < 2; });
  ASSERT_FALSE(done.is_ok());
  EXPECT_EQ(done.status().code(), Code::kCancelled);
  EXPECT_EQ(ticks, 2);
}

}  // namespace
}  // namespace yunqi
