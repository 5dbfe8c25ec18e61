// Tests of cores.h on made-up control group trees.
#include "base/cores.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace yunqi {
namespace {

class CoresTest : public testing::Test {
 protected:
  CoresTest()
      : root_(Path(testing::TempDir()) /
              fmt::format("yunqi-cores-{}-{}", ::getpid(),
                          testing::UnitTest::GetInstance()->current_test_info()->name())) {
    std::filesystem::create_directories(root_);
  }
  ~CoresTest() override { std::filesystem::remove_all(root_); }

  void write(const Path& name, std::string_view text) {
    std::filesystem::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name) << text;
  }
  std::optional<double> quota() const { return cgroup_cpu_quota(root_ / "membership", root_); }

  const Path root_;
};

TEST_F(CoresTest, NoControlGroupMeansNoQuota) {
  EXPECT_EQ(quota(), std::nullopt);
  write("membership", "");
  EXPECT_EQ(quota(), std::nullopt);
  write("membership", "garbage\n::\n0:\n");
  EXPECT_EQ(quota(), std::nullopt);
}

TEST_F(CoresTest, ReadsVersion2) {
  write("membership", "0::/a/b\n");
  write("a/b/cpu.max", "150000 100000\n");
  EXPECT_EQ(quota(), 1.5);
  write("a/b/cpu.max", "max 100000\n");
  EXPECT_EQ(quota(), std::nullopt);
}

TEST_F(CoresTest, TheTightestAncestorCounts) {
  write("membership", "0::/a/b/c\n");
  write("a/cpu.max", "200000 100000\n");
  write("a/b/cpu.max", "max 100000\n");
  write("a/b/c/cpu.max", "800000 100000\n");
  EXPECT_EQ(quota(), 2.0);
}

TEST_F(CoresTest, InAContainerTheMountsRootIsTheOwnGroup) {
  write("membership", "0::/../../outside\n");
  write("cpu.max", "300000 100000\n");
  EXPECT_EQ(quota(), 3.0);
}

TEST_F(CoresTest, ReadsVersion1) {
  write("membership", "5:memory:/x\n4:cpu,cpuacct:/a\n3:cpuset:/y\n");
  write("cpu/a/cpu.cfs_quota_us", "50000\n");
  write("cpu/a/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), 0.5);
  write("cpu/a/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(quota(), std::nullopt);
}

TEST_F(CoresTest, BrokenFilesMeanNoQuota) {
  write("membership", "0::/a\n");
  for (const std::string_view text : {"", "x y", "100000", "0 100000", "100000 0", "-5 -5"}) {
    write("a/cpu.max", text);
    EXPECT_EQ(quota(), std::nullopt) << text;
  }
}

TEST(Cores, ThisMachineHasSome) { EXPECT_GE(available_cores(), 1); }

}  // namespace
}  // namespace yunqi
