// A tiny checkpoint, from file to events: choices, seeds, echo, limits, defaults and refusals.
#include "runtime/loaded_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <set>

#include "base/file.h"
#include "ops/cpu/cpu_device.h"
#include "runtime/replay.h"

namespace yunqi {
namespace {

Path tiny(const std::string& name) { return Path(YUNQI_SOURCE_DIR) / "tests/golden/tiny" / name; }

Device& device() {
  static const std::unique_ptr<Device> one = make_cpu_device({.threads = 1, .isa = {}}).value();
  return *one;
}

Result<std::shared_ptr<LoadedModel>> load(const Path& path) {
  RuntimeOptions options;
  options.kv_bytes = 4 << 20;
  options.max_rows = 64;
  return LoadedModel::load(path, "tiny", device(), options, system_clock(), nullptr);
}

const LoadedModel& qwen3() {
  static const std::shared_ptr<LoadedModel> one = load(tiny("qwen3")).value();
  return *one;
}

GenerateRequest text_request(std::string text, int64_t max_tokens) {
  GenerateRequest request;
  request.prompt = GenerateRequest::Prompt::kText;
  request.text = std::move(text);
  request.max_tokens = max_tokens;
  request.ignore_eos = true;
  request.want_token_ids = true;
  return request;
}

struct Output {
  std::vector<std::vector<TokenId>> tokens;  // per choice
  std::vector<TokenText> prompt;
  std::vector<OutputEvent> last;
  std::string text;  // of choice 0
  Usage usage;
  uint64_t seed = 0;
};

Output run(const LoadedModel& model, const GenerateRequest& request) {
  const std::unique_ptr<Generation> generation = model.start(request).value();
  Output out;
  out.tokens.resize(static_cast<size_t>(request.choices));
  out.last.resize(out.tokens.size());
  while (std::optional<OutputEvent> event = generation->next()) {
    const auto choice = static_cast<size_t>(event->choice);
    for (const TokenText& token : event->tokens) {
      if (event->prompt) {
        out.prompt.push_back(token);
      } else {
        out.tokens[choice].push_back(token.id);
      }
    }
    if (choice == 0) out.text += event->delta.content;
    if (event->kind == OutputEvent::Kind::kFinished) out.last[choice] = *std::move(event);
  }
  out.usage = generation->usage();
  out.seed = generation->seed();
  return out;
}

TEST(LoadedModel, TellsWhatItLoaded) {
  const LoadedModel::Parts& parts = qwen3().parts();
  EXPECT_EQ(parts.id, "tiny");
  EXPECT_EQ(parts.vocabulary, 303);  // the tokenizer's, not the 320 padded rows
  EXPECT_EQ(parts.max_context, 256);
  EXPECT_EQ(parts.fingerprint.substr(0, 3), "fp_");
  EXPECT_EQ(parts.defaults.eos_ids, (std::vector<TokenId>{302, 300}));
  EXPECT_EQ(parts.defaults.top_k, 20);
  EXPECT_NE(load(tiny("qwen2-tied")).value()->parts().fingerprint, parts.fingerprint);
}

TEST(LoadedModel, AChatRequestIsRenderedTokenisedAndAnswered) {
  GenerateRequest request;
  request.messages = parse_json(R"([{"role": "user", "content": "hi <|im_end|>"}])").value();
  request.max_tokens = 3;
  request.ignore_eos = true;
  request.temperature = 0;
  EXPECT_EQ(qwen3().render(request).value(),
            "<|im_start|>user\nhi <|im_end|><|im_end|>\n<|im_start|>assistant\n");
  const std::vector<TokenId> ids = qwen3().prompt_ids(request).value();
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 302), 1) << "only the template's own";
  const Output out = run(qwen3(), request);
  EXPECT_EQ(out.usage.prompt_tokens, static_cast<int64_t>(ids.size()));
  EXPECT_EQ(out.usage.output_tokens, 3);
  EXPECT_EQ(out.last[0].finish, FinishReason::kLength);
}

TEST(LoadedModel, ChoicesDifferAndEachIsItsOwnWhateverTheOthers) {
  GenerateRequest request = text_request("hello", 12);
  request.seed = 7;
  request.temperature = 2;
  request.top_p = 1;
  request.top_k = 0;
  request.choices = 4;
  const Output four = run(qwen3(), request);
  EXPECT_EQ(std::set(four.tokens.begin(), four.tokens.end()).size(), 4u);
  request.choices = 2;
  const Output two = run(qwen3(), request);
  EXPECT_EQ(two.tokens[0], four.tokens[0]);
  EXPECT_EQ(two.tokens[1], four.tokens[1]);
  EXPECT_EQ(four.usage.output_tokens, 48);
  EXPECT_EQ(four.usage.prompt_tokens, two.usage.prompt_tokens) << "a prompt counts once";
}

TEST(LoadedModel, ADrawnSeedIsReportedAndGivesTheSameTokensAgain) {
  GenerateRequest request = text_request("hello", 12);
  request.temperature = 2;
  const Output drawn = run(qwen3(), request);
  EXPECT_LT(drawn.seed, uint64_t{1} << 53);
  request.seed = static_cast<int64_t>(drawn.seed);
  EXPECT_EQ(run(qwen3(), request).tokens, drawn.tokens);
}

TEST(LoadedModel, AReceiptHashesWhatWentInAndCameOutAndReplays) {
  GenerateRequest request = text_request("hello", 12);
  request.temperature = 2;
  request.choices = 2;
  request.want_receipt = true;
  const std::unique_ptr<Generation> generation = qwen3().start(request).value();
  std::vector<std::vector<TokenId>> tokens(2);
  while (std::optional<OutputEvent> event = generation->next()) {
    for (const TokenText& token : event->tokens) {
      tokens[static_cast<size_t>(event->choice)].push_back(token.id);
    }
  }
  const Receipt receipt = generation->receipt();
  EXPECT_EQ(receipt.fingerprint, qwen3().parts().fingerprint);
  ASSERT_EQ(receipt.outputs.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(receipt.outputs[i].output_sha256, hash_ids(tokens[i]));
    EXPECT_EQ(receipt.outputs[i].prompt_sha256, hash_ids(generation->prompt()));
    EXPECT_EQ(receipt.outputs[i].output_tokens, 12);
  }
  // Read back from JSON, on a model loaded anew: equal, though the seed was drawn.
  const Receipt kept = parse_receipt(receipt_json(receipt)).value();
  const std::vector<GenerateRequest> requests = {request};
  const auto again = load(tiny("qwen3")).value();
  EXPECT_TRUE(receipt_differences(kept, replay(*again, requests, kept).value()).empty());
  // Another model, and another seed, are told apart.
  const auto other = load(tiny("qwen2-tied")).value();
  EXPECT_FALSE(receipt_differences(kept, replay(*other, requests, kept).value()).empty());
  Receipt wrong = kept;
  wrong.seed ^= 1;
  EXPECT_EQ(receipt_differences(kept, replay(*again, requests, wrong).value()).size(), 3u)
      << "the seed and both outputs";
}

TEST(LoadedModel, AReplayTakesTheLengthThatTheServerChose) {
  GenerateRequest request = text_request("hello", 5);
  request.want_receipt = true;
  const std::unique_ptr<Generation> generation = qwen3().start(request).value();
  while (generation->next().has_value()) {
  }
  request.max_tokens.reset();
  const std::vector<GenerateRequest> requests = {request};
  const Receipt found = replay(qwen3(), requests, generation->receipt()).value();
  EXPECT_TRUE(receipt_differences(generation->receipt(), found).empty());
}

TEST(LoadedModel, AnEchoWithoutNewTokensScoresThePrompt) {
  GenerateRequest request = text_request("hello world", 0);
  request.ignore_eos = false;
  request.echo = true;
  request.top_logprobs = 2;
  const Output out = run(qwen3(), request);
  const std::vector<TokenId> ids = qwen3().prompt_ids(request).value();
  ASSERT_EQ(out.prompt.size(), ids.size() - 1);
  for (size_t i = 0; i < out.prompt.size(); ++i) {
    EXPECT_EQ(out.prompt[i].id, ids[i + 1]);
    EXPECT_LT(out.prompt[i].logprob, 0);
    EXPECT_EQ(out.prompt[i].top.size(), 2u);
  }
  EXPECT_TRUE(out.tokens[0].empty());
  EXPECT_EQ(out.text, "");
  EXPECT_EQ(out.usage.output_tokens, 0);
  EXPECT_EQ(out.last[0].finish, FinishReason::kLength);
}

TEST(LoadedModel, ScoringEndsAtItsLengthWhateverTokenWouldFollow) {
  GenerateRequest request = text_request("hello", 1);
  request.temperature = 0;
  const TokenId next = run(qwen3(), request).tokens[0].at(0);
  request.echo = true;
  request.max_tokens = 0;
  request.stop_ids = {next};
  const Output out = run(qwen3(), request);
  EXPECT_EQ(out.last[0].finish, FinishReason::kLength);
  EXPECT_EQ(out.last[0].stop_id, -1);
}

TEST(LoadedModel, StopsAtStopIdsAndStopStrings) {
  GenerateRequest request = text_request("hello", 40);
  request.temperature = 0;
  const Output all = run(qwen3(), request);
  request.stop_ids = {all.tokens[0][5]};
  const Output by_id = run(qwen3(), request);
  EXPECT_EQ(by_id.last[0].finish, FinishReason::kStop);
  EXPECT_EQ(by_id.last[0].stop_id, all.tokens[0][5]);
  EXPECT_LE(by_id.usage.output_tokens, 6);
  EXPECT_TRUE(all.text.starts_with(by_id.text));

  request.stop_ids.clear();
  const size_t at = all.text.size() / 2;
  size_t begin = at;
  while ((static_cast<unsigned char>(all.text[begin]) & 0xC0) == 0x80) --begin;
  size_t end = at + 1;
  while (end < all.text.size() && (static_cast<unsigned char>(all.text[end]) & 0xC0) == 0x80) ++end;
  request.stop = {all.text.substr(begin, end - begin)};
  const Output by_text = run(qwen3(), request);
  EXPECT_EQ(by_text.last[0].finish, FinishReason::kStop);
  EXPECT_EQ(by_text.last[0].stop, request.stop[0]);
  EXPECT_EQ(by_text.text, all.text.substr(0, all.text.find(request.stop[0])));
  EXPECT_LT(by_text.usage.output_tokens, all.usage.output_tokens);
}

TEST(LoadedModel, TheContextLimitIsAnswered) {
  GenerateRequest request;
  request.prompt = GenerateRequest::Prompt::kTokens;
  request.ignore_eos = true;
  request.tokens.assign(255, 65);
  const Output one = run(qwen3(), request);
  EXPECT_EQ(one.usage.output_tokens, 1);
  EXPECT_EQ(one.last[0].finish, FinishReason::kLength);
  for (const size_t size : {size_t{256}, size_t{257}, size_t{25600}}) {
    request.tokens.assign(size, 65);
    const Status status = qwen3().start(request).status();
    EXPECT_EQ(status.code(), Code::kInvalidArgument);
    EXPECT_EQ(status.field(), "prompt");
  }
  request.tokens.assign(200, 65);
  request.max_tokens = 1000;
  EXPECT_EQ(run(qwen3(), request).usage.output_tokens, 56);
}

TEST(LoadedModel, RefusesWhatItCannotDoWithTheFieldsName) {
  GenerateRequest request;
  request.prompt = GenerateRequest::Prompt::kTokens;
  EXPECT_EQ(qwen3().start(request).status().field(), "prompt");
  request.tokens = {303};  // a padded row of the model
  EXPECT_EQ(qwen3().start(request).status().field(), "prompt[0]");
  request = text_request("a", 1);
  request.suffix = "b";
  EXPECT_EQ(qwen3().start(request).status().code(), Code::kUnsupported);
  GenerateRequest chat;
  for (const Json& messages : {Json(), Json("x"), Json::array()}) {
    chat.messages = messages;
    EXPECT_EQ(qwen3().render(chat).status().field(), "messages");
    EXPECT_EQ(qwen3().prompt_ids(chat).status().field(), "messages");
    EXPECT_EQ(qwen3().start(chat).status().field(), "messages");
  }
}

TEST(LoadedModel, CancellingEndsEveryChoice) {
  GenerateRequest request = text_request("hello", 200);
  request.choices = 3;
  const std::unique_ptr<Generation> generation = qwen3().start(request).value();
  generation->cancel();
  int cancelled = 0;
  while (std::optional<OutputEvent> event = generation->next()) {
    cancelled += event->finish == FinishReason::kCancelled ? 1 : 0;
  }
  EXPECT_EQ(cancelled, 3);
  EXPECT_TRUE(generation->finished());
}

// A copy of the tiny checkpoint with other files in it.
class ChangedCheckpoint : public testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        Path(testing::TempDir()) /
        (std::string("yunqi_") + testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    for (const char* name : {"config.json", "generation_config.json", "model.safetensors",
                             "tokenizer.json", "tokenizer_config.json"}) {
      std::filesystem::copy_file(tiny("qwen3") / name, folder_ / name);
    }
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) {
    std::filesystem::remove(folder_ / name);
    ASSERT_TRUE(write_file_atomically(folder_ / name, text).is_ok());
  }

  Path folder_;
};

TEST_F(ChangedCheckpoint, GenerationDefaultsAreCheckedByName) {
  const std::pair<const char*, const char*> kBad[] = {
      {R"({"temperature": -1})", "temperature"},
      {R"({"top_p": 1.5})", "top_p"},
      {R"({"top_k": "20"})", "top_k"},
      {R"({"repetition_penalty": 0})", "repetition_penalty"},
      {R"({"eos_token_id": -5})", "eos_token_id"},
      {R"({"eos_token_id": [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]})", "eos_token_id"},
  };
  for (const auto& [text, key] : kBad) {
    write("generation_config.json", text);
    const Status status = load(folder_).status();
    EXPECT_EQ(status.code(), Code::kBadFile) << text;
    EXPECT_NE(status.message().find(key), std::string::npos) << status.message();
  }
  write("generation_config.json",
        R"({"do_sample": false, "temperature": 0.6,
            "eos_token_id": [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]})");
  const auto model = load(folder_).value();
  EXPECT_EQ(model->parts().defaults.temperature, 0);
  EXPECT_EQ(model->parts().defaults.eos_ids.size(), 16u);
}

TEST_F(ChangedCheckpoint, ATemplateThatCannotBeParsedLeavesCompletionsWorking) {
  write("tokenizer_config.json", R"({"chat_template": "{% for %}"})");
  const auto model = load(folder_).value();
  GenerateRequest chat;
  chat.messages = parse_json(R"([{"role": "user", "content": "x"}])").value();
  const Status status = model->start(chat).status();
  EXPECT_EQ(status.code(), Code::kUnsupported);
  EXPECT_EQ(status.field(), "messages");
  EXPECT_EQ(run(*model, text_request("x", 2)).usage.output_tokens, 2);
}

TEST_F(ChangedCheckpoint, WithoutATokenizerItSaysWhatIsWanted) {
  std::filesystem::remove(folder_ / "tokenizer.json");
  const Status status = load(folder_).status();
  EXPECT_FALSE(status.is_ok());
  EXPECT_NE(status.message().find("tokenizer.json"), std::string::npos) << status.message();
}

}  // namespace
}  // namespace yunqi
