// Tests of file.h, in a folder of their own under the system's temporary one.
#include "base/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

namespace yunqi {
namespace {

using testing::HasSubstr;

class FileTest : public testing::Test {
 protected:
  FileTest()
      : folder_(Path(testing::TempDir()) /
                fmt::format("yunqi-file-{}-{}", ::getpid(),
                            testing::UnitTest::GetInstance()->current_test_info()->name())) {
    std::filesystem::create_directories(folder_);
  }
  ~FileTest() override { std::filesystem::remove_all(folder_); }

  Path write(std::string_view name, std::string_view bytes) {
    const Path path = folder_ / name;
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }

  size_t files_in_folder() const {
    const std::filesystem::directory_iterator files(folder_);
    return static_cast<size_t>(std::distance(begin(files), end(files)));
  }

  const Path folder_;
};

TEST_F(FileTest, ReadsWholeFiles) {
  const std::string bytes = std::string(200'000, 'x') + std::string("\0\xFF", 2);
  EXPECT_EQ(*read_file(write("a", bytes)), bytes);
  EXPECT_EQ(*read_file(write("empty", "")), "");
}

TEST_F(FileTest, ReadsFilesThatDoNotSayTheirSize) {
  const Result<std::string> text = read_file("/proc/self/cmdline");
  ASSERT_TRUE(text.is_ok());
  EXPECT_FALSE(text->empty());
}

TEST_F(FileTest, ReadsUpToTheLimitAndNotOneByteMore) {
  const Path path = write("a", "12345678");
  EXPECT_TRUE(read_file(path, 8).is_ok());
  EXPECT_EQ(read_file(path, 7).status().code(), Code::kTooLarge);
  EXPECT_EQ(read_file("/proc/self/cmdline", 0).status().code(), Code::kTooLarge);
}

TEST_F(FileTest, SaysWhatIsWrong) {
  const Result<std::string> missing = read_file(folder_ / "missing");
  EXPECT_EQ(missing.status().code(), Code::kNotFound);
  EXPECT_THAT(missing.status().message(), HasSubstr("missing"));
  EXPECT_EQ(read_file(write("file", "") / "below").status().code(), Code::kNotFound);
  EXPECT_EQ(read_file(folder_).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(read_file(folder_ / std::string(5000, 'n')).status().code(), Code::kInvalidArgument);
}

TEST_F(FileTest, WritesAndReplacesWithoutLeavingParts) {
  const Path path = folder_ / "out";
  ASSERT_TRUE(write_file_atomically(path, "one").is_ok());
  EXPECT_EQ(*read_file(path), "one");
  ASSERT_TRUE(write_file_atomically(path, std::string(1 << 20, 'z')).is_ok());
  EXPECT_EQ(read_file(path)->size(), size_t{1} << 20);
  EXPECT_EQ(files_in_folder(), 1u);
}

TEST_F(FileTest, AFailedWriteKeepsTheOldFileAndLeavesNoPart) {
  const Path target = folder_ / "target";
  std::filesystem::create_directories(target / "not-empty");
  EXPECT_FALSE(write_file_atomically(target, "x").is_ok());
  EXPECT_TRUE(std::filesystem::is_directory(target));
  EXPECT_EQ(files_in_folder(), 1u);
  EXPECT_EQ(write_file_atomically(folder_ / "no" / "folder", "x").code(), Code::kNotFound);
}

TEST_F(FileTest, ReadersOfAReplacedFileKeepTheOldBytes) {
  const Path path = write("a", "old");
  const Result<MappedFile> old = MappedFile::open(path);
  ASSERT_TRUE(old.is_ok());
  ASSERT_TRUE(write_file_atomically(path, "new").is_ok());
  EXPECT_EQ(std::memcmp(old->bytes().data(), "old", 3), 0);
  EXPECT_EQ(*read_file(path), "new");
}

TEST_F(FileTest, MapsFiles) {
  const std::string bytes(100'000, 'q');
  Result<MappedFile> file = MappedFile::open(write("a", bytes));
  ASSERT_TRUE(file.is_ok());
  EXPECT_EQ(file->path(), folder_ / "a");
  ASSERT_EQ(file->bytes().size(), bytes.size());
  EXPECT_EQ(std::memcmp(file->bytes().data(), bytes.data(), bytes.size()), 0);
}

TEST_F(FileTest, MapsAnEmptyFileAsNoBytes) {
  const Result<MappedFile> file = MappedFile::open(write("empty", ""));
  ASSERT_TRUE(file.is_ok()) << file.status().to_string();
  EXPECT_TRUE(file->bytes().empty());
}

TEST_F(FileTest, AMappingMovesWithItsObject) {
  Result<MappedFile> opened = MappedFile::open(write("a", "aaa"));
  ASSERT_TRUE(opened.is_ok());
  MappedFile first = std::move(opened).value();
  const std::byte* const data = first.bytes().data();
  MappedFile second(std::move(first));
  EXPECT_EQ(second.bytes().data(), data);
  Result<MappedFile> other = MappedFile::open(write("b", "bb"));
  ASSERT_TRUE(other.is_ok());
  second = std::move(other).value();
  ASSERT_EQ(second.bytes().size(), 2u);
  EXPECT_EQ(second.bytes()[1], std::byte{'b'});
  EXPECT_EQ(second.path(), folder_ / "b");
}

TEST_F(FileTest, MapsRegularFilesOnly) {
  EXPECT_EQ(MappedFile::open(folder_ / "missing").status().code(), Code::kNotFound);
  EXPECT_EQ(MappedFile::open(folder_).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(MappedFile::open("/dev/null").status().code(), Code::kInvalidArgument);
}

TEST_F(FileTest, KnowsTheFreeSpaceOfFoldersYetToBeMade) {
  const Result<uint64_t> here = free_disk_bytes(folder_);
  ASSERT_TRUE(here.is_ok()) << here.status().to_string();
  EXPECT_GT(*here, 0u);
  const Result<uint64_t> below = free_disk_bytes(folder_ / "not" / "yet" / "made");
  ASSERT_TRUE(below.is_ok()) << below.status().to_string();
  EXPECT_TRUE(free_disk_bytes("relative-and-missing").is_ok());
}

}  // namespace
}  // namespace yunqi
