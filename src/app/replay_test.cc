// yunqi replay, from files to its answer: equal on the same model, different when the receipt, the
// request or the model is another.
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <filesystem>

#include "app/command.h"
#include "app/open_model.h"
#include "base/file.h"
#include "runtime/receipt.h"
#include "service/openai_request.h"

namespace yunqi {
namespace {

std::string tiny(const std::string& name) {
  return std::string(YUNQI_SOURCE_DIR) + "/tests/golden/tiny/" + name;
}

constexpr const char* kRequest =
    R"({"model": "tiny", "prompt": ["hello", "world"], "n": 2, "max_tokens": 9, "temperature": 1.5,
        "ignore_eos": true, "x_receipt": true})";

class Replay : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              ("yunqi_replay_" + std::to_string(::testing::UnitTest::GetInstance()->random_seed()) +
               "_" + ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(folder_);
    write("request.json", kRequest);
    ModelFlags flags;
    flags.model = tiny("qwen3");
    flags.threads = 1;
    flags.kv_memory = "4MiB";
    const OpenedModel opened = open_model(flags).value();
    CompletionRequest request = parse_completion_request(parse_json(kRequest).value()).value();
    for (GenerateRequest& prompt : request.generate) {
      if (&prompt != &request.generate[0]) prompt.seed = static_cast<int64_t>(receipt_.seed);
      const std::unique_ptr<Generation> generation = opened.model->start(prompt).value();
      while (generation->next().has_value()) {
      }
      if (receipt_.outputs.empty()) {
        receipt_ = generation->receipt();
      } else {
        append_outputs(receipt_, generation->receipt());
      }
    }
    ASSERT_EQ(receipt_.outputs.size(), 4u);
    // As a whole reply.
    write("reply.json", Json::object({{"x_receipt", receipt_json(receipt_)}}).dump());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(write_file_atomically(folder_ / name, text).is_ok());
  }
  Status replay(std::vector<std::string> more) {
    std::vector<std::string> arguments = {"replay",      (folder_ / "reply.json").string(),
                                          "--request",   (folder_ / "request.json").string(),
                                          "--kv-memory", "4MiB"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    std::reverse(arguments.begin(), arguments.end());  // as the library wants them
    CLI::App root("test");
    Action action;
    add_replay_command(root, action);
    root.parse(arguments);
    return action();
  }

  Path folder_;
  Receipt receipt_;
};

TEST_F(Replay, IsEqualWithOtherThreads) {
  EXPECT_TRUE(replay({"--model", tiny("qwen3"), "--threads", "2"}).is_ok());
}

TEST_F(Replay, DiffersForAnotherReceiptRequestOrModel) {
  EXPECT_EQ(replay({"--model", tiny("qwen2-tied")}).code(), Code::kInternal);
  receipt_.outputs[3].output_sha256[0] ^= 1;
  write("reply.json", receipt_json(receipt_).dump());
  const Status changed = replay({"--model", tiny("qwen3")});
  EXPECT_EQ(changed.code(), Code::kInternal);
  EXPECT_NE(changed.message().find("1 places"), std::string::npos) << changed.message();
}

TEST_F(Replay, BadFilesAreNamed) {
  write("request.json", "{\"prompt\": 5}");
  const Status status = replay({"--model", tiny("qwen3")});
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_NE(status.message().find("prompt"), std::string::npos) << status.message();
  write("reply.json", "{}");
  EXPECT_NE(replay({"--model", tiny("qwen3")}).message().find("reply.json"), std::string::npos);
}

}  // namespace
}  // namespace yunqi
