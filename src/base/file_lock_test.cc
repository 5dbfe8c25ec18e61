// The lock excludes, waits, gives up, and is freed with its holder; offset writes and renames.
#include "base/file_lock.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/output_file.h"
#include "base/process.h"

namespace yunqi {
namespace {

class Files : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::remove_all(root_); }
  void TearDown() override { std::filesystem::remove_all(root_); }
  const Path root_ = Path(testing::TempDir()) / ("yunqi-files-" + std::to_string(::getpid()));
};

TEST_F(Files, LockExcludesUntilItsHolderIsGone) {
  const Path path = root_ / "deep" / "a.lock";
  {
    auto held = FileLock::try_acquire(path);
    ASSERT_TRUE(held.is_ok()) << held.status().to_string();
    EXPECT_EQ(FileLock::try_acquire(path).status().code(), Code::kUnavailable);
    int asked = 0;
    auto waited = FileLock::acquire(path, [&] { return ++asked < 3; });
    EXPECT_EQ(waited.status().code(), Code::kCancelled);
    EXPECT_EQ(asked, 3);
    // Got while waiting: the third question lets go of it.
    asked = 0;
    auto got = FileLock::acquire(path, [&] {
      if (++asked == 3) held = error(Code::kInternal, "let go");
      return true;
    });
    EXPECT_TRUE(got.is_ok());
  }
  EXPECT_TRUE(FileLock::try_acquire(path).is_ok());
}

TEST_F(Files, LockOfAKilledProcessIsFree) {
  const Path path = root_ / "b.lock";
  ASSERT_TRUE(FileLock::try_acquire(path).is_ok());
  auto child = ChildProcess::start(
      {.arguments = {"flock", path.string(), "sleep", "60"}, .environment = {}});
  if (!child.is_ok()) GTEST_SKIP() << "no flock program";
  while (FileLock::try_acquire(path).is_ok()) ASSERT_FALSE(child->wait(5));
  child->stop(true);
  ASSERT_TRUE(child->wait(10'000));
  EXPECT_TRUE(FileLock::acquire(path, [] { return true; }).is_ok());
}

TEST_F(Files, WritesAtOffsetsAndReadsBack) {
  const Path path = root_ / "f";
  auto file = OutputFile::open(path);
  ASSERT_TRUE(file.is_ok());
  ASSERT_TRUE(file->write_at(5, "world").is_ok());
  ASSERT_TRUE(file->write_at(0, "hello").is_ok());
  ASSERT_TRUE(file->sync().is_ok());
  EXPECT_EQ(*file->size(), 10u);
  char buffer[16];
  auto got = file->read_at(3, buffer);
  EXPECT_EQ(std::string(buffer, *got), "loworld");
  EXPECT_EQ(*file->read_at(10, buffer), 0u);
  ASSERT_TRUE(file->resize(2).is_ok());
  EXPECT_EQ(*read_file(path), "he");
  // Opening again keeps what is there; a link is not followed.
  EXPECT_EQ(*OutputFile::open(path)->size(), 2u);
  std::filesystem::create_symlink(path, root_ / "link");
  EXPECT_EQ(OutputFile::open(root_ / "link").status().code(), Code::kPermission);
}

TEST_F(Files, RenameReplacesAndReports) {
  ASSERT_TRUE(OutputFile::open(root_ / "a" / "x")->write_at(0, "new").is_ok());
  ASSERT_TRUE(OutputFile::open(root_ / "b" / "y")->write_at(0, "old").is_ok());
  ASSERT_TRUE(rename_durably(root_ / "a" / "x", root_ / "b" / "y").is_ok());
  EXPECT_EQ(*read_file(root_ / "b" / "y"), "new");
  EXPECT_FALSE(rename_durably(root_ / "none", root_ / "b" / "z").is_ok());
}

}  // namespace
}  // namespace yunqi
