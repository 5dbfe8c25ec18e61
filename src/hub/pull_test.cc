// Pulls against the fake hub: every fault ends in the right file or a clear error, and no half
// model is ever seen. The child that is killed is this program itself.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "base/file_lock.h"
#include "base/process.h"
#include "base/sha256.h"
#include "http/client_fake.h"
#include "hub/download.h"
#include "hub/hub.h"
#include "hub/model_ref.h"
#include "hub/part_state.h"

namespace yunqi {
namespace {

constexpr uint64_t kSize = 500'003;
constexpr const char* kModel = "hf:Qwen/Tiny-GGUF:tiny-q8_0.gguf";

// The fake hub's state with two repositories of fixed content and these faults.
std::string state(const std::string& faults) {
  return R"({"repos": {"Qwen/Tiny-GGUF": {"tiny-q8_0.gguf": {"size": 500003, "seed": 7},
                                          "tiny-q4_0.gguf": {"size": 300, "seed": 8}},
                       "Qwen/Folder": {"config.json": {"text": "{}"},
                                       "tokenizer.json": {"text": "{\"a\": 1}"},
                                       "model-00001-of-00002.safetensors": {"size": 200000},
                                       "model-00002-of-00002.safetensors": {"size": 70001},
                                       "model.safetensors.index.json": {"text": "{}"},
                                       "pytorch_model.bin": {"size": 10},
                                       "evil.py": {"size": 10}}},
             "faults": {)" +
         faults + "}}";
}

class Pull : public testing::Test {
 protected:
  void SetUp() override {
    ::unsetenv("HF_TOKEN");
    ::unsetenv("HF_ENDPOINT");
    options_.hf_endpoint = server_.url();
    options_.ms_endpoint = server_.url();
    options_.chunk_bytes = 64 << 10;
    options_.retry_base_ms = 1;
    options_.connections = 3;
    set("");
  }

  void set(const std::string& faults) { server_.set(state(faults)); }

  std::string true_hash(const std::string& file, int version = 0) {
    return server_.get("/_sha256/" + file + "?version=" + std::to_string(version));
  }

  // Pulls and checks that the bytes on the disk are the hub's.
  void expect_good_pull(int version = 0) {
    Result<InstalledModel> model = hub_.pull(kModel, options_);
    ASSERT_TRUE(model.is_ok()) << model.status().to_string();
    const Result<std::string> bytes = read_file(model->path);
    ASSERT_TRUE(bytes.is_ok());
    EXPECT_EQ(bytes->size(), kSize);
    EXPECT_EQ(to_hex(sha256(*bytes)), true_hash("Qwen/Tiny-GGUF/tiny-q8_0.gguf", version));
    EXPECT_EQ(model->sha256, to_hex(sha256(*bytes)));
    EXPECT_EQ(model->bytes, kSize);
    EXPECT_FALSE(std::filesystem::exists(partial()));
    EXPECT_EQ(hub_.list()->size(), 1u);
    EXPECT_EQ(hub_.find(kModel)->path, model->path);
  }

  // Its message.
  std::string expect_failed_pull(Code code, const std::string& model = kModel) {
    const Status status = hub_.pull(model, options_).status();
    EXPECT_EQ(status.code(), code) << status.to_string();
    EXPECT_EQ(status.message().find('\n'), std::string::npos);
    expect_nothing_installed();
    return status.message();
  }

  void expect_nothing_installed() {
    const auto list = hub_.list();
    EXPECT_TRUE(list.is_ok() && list->empty());
    EXPECT_EQ(hub_.find(kModel).status().code(), Code::kNotFound);
  }

  Path partial() const { return home_ / "models" / ".partial" / store_folder_name(kModel); }

  // Bytes asked for with ranges since set(), probes included.
  uint64_t ranged_bytes() {
    uint64_t sum = 0;
    const Json log = server_.log();
    for (const Json& item : log.as_array()) {
      unsigned long long begin = 0, end = 0;
      const std::string& range = item.find("range")->as_string();
      if (std::sscanf(range.c_str(), "bytes=%llu-%llu", &begin, &end) == 2) sum += end - begin + 1;
    }
    return sum;
  }

  FakeServer& server_ = FakeServer::shared();
  const Path home_ = server_.new_folder();
  Hub hub_{home_};
  PullOptions options_;
};

TEST_F(Pull, FetchesInParallelRangesAndRegisters) {
  std::atomic<int> calls{0};
  std::atomic<uint64_t> last{0};
  options_.on_progress = [&](const PullProgress& progress) {
    ++calls;
    last = progress.done_bytes;
    EXPECT_LE(progress.done_bytes, kSize);
  };
  expect_good_pull();
  EXPECT_EQ(last.load(), kSize);
  EXPECT_GT(calls.load(), 0);
  EXPECT_EQ(ranged_bytes(), kSize + 1);                      // the probe's byte
  EXPECT_EQ(server_.log().as_array().size(), 2u + 8u + 1u);  // list, probe, ranges, hash

  // Installed already: the hub is not asked.
  set("");
  EXPECT_TRUE(hub_.pull(kModel, options_).is_ok());
  EXPECT_TRUE(server_.log().as_array().empty());
}

TEST_F(Pull, CutsAreContinued) {
  set(R"("cut": 25)");
  expect_good_pull();
}

TEST_F(Pull, EndlessErrorsEndInOne) {
  set(R"("status": [503, 100000, 0])");
  EXPECT_NE(expect_failed_pull(Code::kUnavailable).find("503"), std::string::npos);
}

TEST_F(Pull, WrongRangesAreRefused) {
  set(R"("wrong_range": 5)");
  expect_good_pull();
  ASSERT_TRUE(hub_.remove(kModel).is_ok());
  set(R"("wrong_range": 100000)");
  EXPECT_NE(expect_failed_pull(Code::kUnavailable).find("Content-Range"), std::string::npos);
}

TEST_F(Pull, ShortRangesAreContinued) {
  set(R"("short_range": 10)");
  expect_good_pull();
}

TEST_F(Pull, ANewVersionMeanwhileStartsOver) {
  set(R"("new_version_after": 6, "no_hash": true)");
  expect_good_pull(1);
  const Json log = server_.log();
  bool asked_if = false;
  for (const Json& item : log.as_array()) asked_if |= !item.find("if_range")->as_string().empty();
  EXPECT_TRUE(asked_if);
}

TEST_F(Pull, ANewVersionIsNotTheHashThatWasListed) {
  set(R"("new_version_after": 6)");
  expect_failed_pull(Code::kBadFile);
}

TEST_F(Pull, WrongHashIsRefusedAndDeleted) {
  set(R"("bad_hash": true)");
  EXPECT_NE(expect_failed_pull(Code::kBadFile).find("want sha256"), std::string::npos);
  EXPECT_TRUE(std::filesystem::is_empty(partial() / "work"));
  EXPECT_TRUE(std::filesystem::is_empty(partial() / "model"));
  set("");
  expect_good_pull();
}

TEST_F(Pull, WithoutAHashTheOneThatCameIsPinned) {
  set(R"("no_hash": true)");
  expect_good_pull();
}

TEST_F(Pull, ServersWithoutRanges) {
  set(R"("ignore_ranges_after": 0)");
  expect_good_pull();
  ASSERT_TRUE(hub_.remove(kModel).is_ok());
  set(R"("ignore_ranges_after": 5)");  // in the middle of it
  expect_good_pull();
  ASSERT_TRUE(hub_.remove(kModel).is_ok());
  set(R"("ignore_ranges_after": 0, "cut": 2)");
  expect_good_pull();
  ASSERT_TRUE(hub_.remove(kModel).is_ok());
  set(R"("ignore_ranges_after": 0, "no_length": true)");
  expect_good_pull();
  ASSERT_TRUE(hub_.remove(kModel).is_ok());
  set(R"("no_validator": true)");
  expect_good_pull();
}

TEST_F(Pull, RedirectsWorkAndTheTokenStaysHome) {
  options_.hf_token = "secret";
  set(R"("redirect": "same", "gated": "secret")");
  expect_good_pull();
  ASSERT_TRUE(hub_.remove(kModel).is_ok());
  set(R"("redirect": "other", "gated": "secret")");
  expect_good_pull();
  const std::string other_port = server_.other_url().substr(server_.other_url().rfind(':') + 1);
  size_t elsewhere = 0;
  const Json log = server_.log();
  for (const Json& item : log.as_array()) {
    const bool is_other = item.find("port")->dump() == other_port;
    if (is_other) ++elsewhere;
    const std::string& path = item.find("path")->as_string();
    const bool is_list = path.starts_with("/api/");
    EXPECT_TRUE(!is_other || item.find("auth")->as_string().empty()) << path;
    EXPECT_TRUE(!is_list || item.find("auth")->as_string() == "Bearer secret") << path;
  }
  EXPECT_EQ(elsewhere, 9u);  // the probe and eight ranges
}

TEST_F(Pull, TheTokenIsForHuggingFaceOnly) {
  options_.hf_token = "secret";
  ASSERT_TRUE(hub_.pull("ms:Qwen/Tiny-GGUF:q8_0", options_).is_ok());
  ASSERT_TRUE(hub_.pull(server_.url() + "/cdn/Qwen/Tiny-GGUF/tiny-q8_0.gguf", options_).is_ok());
  const Json log = server_.log();
  for (const Json& item : log.as_array()) EXPECT_EQ(item.find("auth")->as_string(), "");
}

TEST_F(Pull, GatedSaysWhatToDo) {
  set(R"("gated": "secret")");
  EXPECT_NE(expect_failed_pull(Code::kUnauthenticated).find("HF_TOKEN"), std::string::npos);
  options_.hf_token = "wrong";
  EXPECT_NE(expect_failed_pull(Code::kUnauthenticated).find("HF_TOKEN does not open"),
            std::string::npos);
}

TEST_F(Pull, MissingThingsAreNotFound) {
  expect_failed_pull(Code::kNotFound, "hf:Qwen/Nothing");
  const std::string why = expect_failed_pull(Code::kNotFound, "hf:Qwen/Tiny-GGUF:q5_k_m");
  EXPECT_NE(why.find("tiny-q4_0.gguf"), std::string::npos) << why;
  expect_failed_pull(Code::kNotFound, "hf:Qwen/Tiny-GGUF:escape.gguf");
  expect_failed_pull(Code::kNotFound, server_.url() + "/nothing.gguf");
  EXPECT_NE(expect_failed_pull(Code::kNotFound, "qwen3:0.7b").find("qwen3:0.6b"),
            std::string::npos);
  expect_failed_pull(Code::kUnsupported, "qwen3:30b-a3b");
}

TEST_F(Pull, PassingErrorsAreTriedAgain) {
  set(R"("status": [429, 3, 0], "list_status": [500, 2, 0])");
  expect_good_pull();
  ASSERT_TRUE(hub_.remove(kModel).is_ok());
  set(R"("status": [429, 1, 1])");  // the server's wish is granted: one second
  expect_good_pull();
}

TEST_F(Pull, ListingsInPages) {
  set(R"("page_size": 1)");
  expect_good_pull();
  ASSERT_TRUE(hub_.remove(kModel).is_ok());
  set(R"("page_size": 1, "page_host": "other")");
  expect_failed_pull(Code::kUnavailable);
}

TEST_F(Pull, AFolderOfKnownFiles) {
  set(R"("cut": 4)");
  Result<InstalledModel> model = hub_.pull("hf:Qwen/Folder", options_);
  ASSERT_TRUE(model.is_ok()) << model.status().to_string();
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(model->path)) {
    const std::string name = entry.path().filename().string();
    names.push_back(name);
    if (name == "model.json") continue;
    EXPECT_EQ(to_hex(sha256(*read_file(entry.path()))), true_hash("Qwen/Folder/" + name)) << name;
  }
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (std::vector<std::string>{"config.json", "model-00001-of-00002.safetensors",
                                             "model-00002-of-00002.safetensors", "model.json",
                                             "model.safetensors.index.json", "tokenizer.json"}));
  EXPECT_TRUE(hub_.find("hf:Qwen/Folder").is_ok());
}

TEST_F(Pull, ModelScopeAndPlainUrls) {
  auto scope = hub_.pull("ms:Qwen/Tiny-GGUF:Q8_0", options_);
  ASSERT_TRUE(scope.is_ok()) << scope.status().to_string();
  EXPECT_EQ(scope->sha256, true_hash("Qwen/Tiny-GGUF/tiny-q8_0.gguf"));
  auto url = hub_.pull(server_.url() + "/cdn/Qwen/Tiny-GGUF/tiny-q8_0.gguf", options_);
  ASSERT_TRUE(url.is_ok()) << url.status().to_string();
  EXPECT_EQ(url->sha256, scope->sha256);
  EXPECT_EQ(hub_.list()->size(), 2u);
}

TEST_F(Pull, TheNextSourceIsTried) {
  ASSERT_TRUE(write_file_atomically(home_ / "models.json", R"({"version": 1, "entries": [
      {"name": "tiny:x", "sources": [{"kind": "hf", "repo": "Qwen/Nothing"},
                                     {"kind": "ms", "repo": "Qwen/Tiny-GGUF", "file": "Q8_0"}]},
      {"name": "tiny:none", "sources": [{"kind": "hubs", "repo": "Qwen/Nothing"}]}]})")
                  .is_ok());
  auto model = hub_.pull("tiny", options_);
  ASSERT_TRUE(model.is_ok()) << model.status().to_string();
  EXPECT_EQ(model->name, "tiny:x");
  EXPECT_EQ(model->source, "ms:Qwen/Tiny-GGUF:Q8_0");
  options_.hf_endpoint = "http://127.0.0.1:1";
  const Status status = hub_.pull("tiny:none", options_).status();
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_NE(status.message().find("hf:Qwen/Nothing: "), std::string::npos);
  EXPECT_NE(status.message().find("ms:Qwen/Nothing: "), std::string::npos);
}

TEST_F(Pull, NoDiskSpaceIsSaidBeforeADownload) {
  options_.free_bytes = [](const Path&) -> Result<uint64_t> { return kSize; };
  EXPECT_NE(expect_failed_pull(Code::kNoResources).find("YUNQI_HOME"), std::string::npos);
  EXPECT_EQ(server_.log().as_array().size(), 1u);  // the listing
  const uint64_t reserve = uint64_t{64} << 20;
  options_.free_bytes = [&](const Path&) -> Result<uint64_t> { return kSize + reserve - 1; };
  expect_failed_pull(Code::kNoResources);
  options_.free_bytes = [&](const Path&) -> Result<uint64_t> { return kSize + reserve; };
  expect_good_pull();
}

TEST_F(Pull, CancelStopsAndTheNextPullContinues) {
  set(R"("slow": 200000)");
  std::atomic<bool> cancel{false};
  options_.cancel = &cancel;
  options_.on_progress = [&](const PullProgress& progress) {
    if (progress.done_bytes > 150'000) cancel = true;
  };
  expect_failed_pull(Code::kCancelled);
  cancel = false;
  options_.on_progress = {};
  set("");
  expect_good_pull();
  EXPECT_LT(ranged_bytes(), kSize - 100'000);
}

TEST_F(Pull, CancelDuringAStall) {
  set(R"("stall": 100)");
  std::atomic<bool> cancel{false};
  options_.cancel = &cancel;
  options_.on_progress = [&](const PullProgress& progress) {
    if (progress.done_bytes > 0) cancel = true;
  };
  expect_failed_pull(Code::kCancelled);
}

TEST_F(Pull, ADamagedStateOrPartStartsOver) {
  for (const char* damage : {"{", "{}", R"({"version": 1, "size": 500003, "done": [[5, 1]]})"}) {
    std::filesystem::create_directories(partial() / "work");
    const std::string stem = store_folder_name("tiny-q8_0.gguf");
    ASSERT_TRUE(write_file_atomically(partial() / "work" / (stem + ".json"), damage).is_ok());
    ASSERT_TRUE(write_file_atomically(partial() / "work" / (stem + ".part"), "junk").is_ok());
    expect_good_pull();
    ASSERT_TRUE(hub_.remove(kModel).is_ok());
  }
}

TEST_F(Pull, TwoPullsOfOneModelAreOne) {
  set(R"("slow": 400000)");
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] { good += hub_.pull(kModel, options_).is_ok() ? 1 : 0; });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good.load(), 2);
  EXPECT_EQ(ranged_bytes(), kSize + 1);
  EXPECT_EQ(hub_.list()->size(), 1u);
}

TEST_F(Pull, RemoveWaitsForNobodyAndTakesHalfPullsToo) {
  auto lock =
      FileLock::try_acquire(home_ / "models" / ".locks" / (store_folder_name(kModel) + ".lock"));
  ASSERT_TRUE(lock.is_ok());
  EXPECT_EQ(hub_.remove(kModel).code(), Code::kUnavailable);
  lock = error(Code::kInternal, "let go");
  EXPECT_EQ(hub_.remove(kModel).code(), Code::kNotFound);
  std::filesystem::create_directories(partial() / "work");
  EXPECT_TRUE(hub_.remove(kModel).is_ok());
  EXPECT_FALSE(std::filesystem::exists(partial()));
}

// Not a test: the child of the next one, which pulls until it is killed.
TEST(PullChild, DISABLED_PullsUntilKilled) {
  const char* home = std::getenv("YUNQI_TEST_HOME");
  const char* endpoint = std::getenv("YUNQI_TEST_ENDPOINT");
  ASSERT_TRUE(home && endpoint);
  PullOptions options;
  options.hf_endpoint = endpoint;
  options.chunk_bytes = 16 << 10;
  Hub hub{Path(home)};
  EXPECT_TRUE(hub.pull(kModel, options).is_ok());
}

TEST_F(Pull, KilledAtAnyPointItContinues) {
  options_.chunk_bytes = 16 << 10;
  for (const uint64_t enough : {uint64_t{1}, uint64_t{100'000}, uint64_t{300'000}}) {
    set(R"("slow": 300000)");
    Result<ChildProcess> child =
        ChildProcess::start({.arguments = {std::filesystem::read_symlink("/proc/self/exe").string(),
                                           "--gtest_also_run_disabled_tests",
                                           "--gtest_filter=PullChild.DISABLED_PullsUntilKilled"},
                             .environment = {{"YUNQI_TEST_HOME", home_.string()},
                                             {"YUNQI_TEST_ENDPOINT", server_.url()},
                                             {"no_proxy", "127.0.0.1"}},
                             .keep_output = false});
    ASSERT_TRUE(child.is_ok());
    const Path state_file = partial() / "work" / (store_folder_name("tiny-q8_0.gguf") + ".json");
    const auto on_disk = [&] {
      const Result<PartState> part = load_part_state(state_file);
      return part.is_ok() ? part->done.total() : uint64_t{0};
    };
    while (on_disk() < enough && !child->wait(5)) expect_nothing_installed();
    child->stop(true);
    ASSERT_TRUE(child->wait(10'000));
    ASSERT_EQ(child->exit().signal, 9);
    expect_nothing_installed();
    const uint64_t kept = on_disk();
    EXPECT_GE(kept, enough);
    set("");
    expect_good_pull();
    // Nothing that was on the disk is fetched again.
    EXPECT_LE(ranged_bytes(), kSize - kept + 1);
    ASSERT_TRUE(hub_.remove(kModel).is_ok());
  }
}

}  // namespace
}  // namespace yunqi
