// The policy of "auto" thinking against people's labels, and against two policies that need no
// reading. How the prompts were made and split: tests/thinking/README.md.
#include "runtime/thinking_policy.h"

#include <gtest/gtest.h>

#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "base/file.h"

namespace yunqi {
namespace {

struct Prompt {
  Json messages, tools;
  bool think = false;
  std::string split;
};

std::vector<Prompt> read_prompts(const std::string& name) {
  const std::string text =
      read_file(Path(YUNQI_SOURCE_DIR) / "tests/thinking" / (name + ".jsonl")).value();
  std::vector<Prompt> out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const Json json = parse_json(line).value();
    const Json* tools = json.find("tools");
    out.push_back({*json.find("messages"), tools == nullptr ? Json() : *tools,
                   json.find("think")->as_bool(), json.find("split")->as_string()});
  }
  return out;
}

size_t length_of(const Prompt& prompt) {
  return prompt.messages.as_array().back().find("content")->as_string().size();
}

struct Agreement {
  size_t count = 0, policy = 0, always = 0;
  double policy_share() const { return static_cast<double>(policy) / static_cast<double>(count); }
  double always_share() const { return static_cast<double>(always) / static_cast<double>(count); }
};

std::map<std::string, Agreement> agreements(const std::vector<Prompt>& prompts) {
  std::map<std::string, Agreement> out;
  for (const Prompt& prompt : prompts) {
    Agreement& one = out[prompt.split];
    ++one.count;
    one.policy += decide_thinking(prompt.messages, prompt.tools).think == prompt.think ? 1 : 0;
    one.always += prompt.think ? 1 : 0;
  }
  return out;
}

// Of "think when longer than `bytes`", on one split.
double length_share(const std::vector<Prompt>& prompts, const std::string& split, size_t bytes) {
  size_t count = 0, agreed = 0;
  for (const Prompt& prompt : prompts) {
    if (prompt.split != split) continue;
    ++count;
    agreed += (length_of(prompt) > bytes) == prompt.think ? 1 : 0;
  }
  return static_cast<double>(agreed) / static_cast<double>(count);
}

TEST(ThinkingPolicy, AgreesWithPeopleMoreThanLengthOrAlwaysDoes) {
  const std::vector<Prompt> prompts = read_prompts("prompts");
  ASSERT_GE(prompts.size(), 300u);
  size_t best = 0;
  for (size_t bytes = 1; bytes < 600; ++bytes) {
    const bool better =
        length_share(prompts, "design", bytes) > length_share(prompts, "design", best);
    if (better) best = bytes;
  }
  const std::map<std::string, Agreement> found = agreements(prompts);
  for (const char* split : {"design", "held_out"}) {
    const Agreement& one = found.at(split);
    const double length = length_share(prompts, split, best);
    RecordProperty(std::string(split) + "_policy", std::to_string(one.policy_share()));
    RecordProperty(std::string(split) + "_length", std::to_string(length));
    RecordProperty(std::string(split) + "_always", std::to_string(one.always_share()));
    EXPECT_GE(one.policy_share(), 0.85) << split;
    EXPECT_GT(one.policy_share(), length) << split;
    EXPECT_GT(one.policy_share(), one.always_share()) << split;
  }
}

TEST(ThinkingPolicy, AgreesOnPromptsWrittenAfterIt) {
  const Agreement one = agreements(read_prompts("after")).at("after");
  ASSERT_GE(one.count, 60u);
  RecordProperty("after_policy", std::to_string(one.policy_share()));
  EXPECT_GE(one.policy_share(), 0.8);
  EXPECT_GT(one.policy_share(), one.always_share());
}

ThinkingDecision decide(const char* messages) {
  return decide_thinking(parse_json(messages).value(), Json());
}

TEST(ThinkingPolicy, SaysWhy) {
  const ThinkingDecision proof =
      decide(R"([{"role": "user", "content": "Prove that n^3 - n is divisible by 6."}])");
  EXPECT_TRUE(proof.think);
  EXPECT_NE(proof.reason.find("proof"), std::string::npos) << proof.reason;
  const ThinkingDecision thanks = decide(R"([{"role": "user", "content": "Thanks!"}])");
  EXPECT_FALSE(thanks.think);
  EXPECT_NE(thanks.reason.find("small talk"), std::string::npos) << thanks.reason;
}

TEST(ThinkingPolicy, LooksAtTheLastQuestionAndTakesAnyShape) {
  EXPECT_FALSE(decide(R"([{"role": "user", "content": "Prove it by induction."},
                          {"role": "assistant", "content": "..."},
                          {"role": "user", "content": "Thank you!"}])")
                   .think);
  EXPECT_TRUE(decide(R"([{"role": "user", "content": [{"type": "text",
                          "text": "Prove that 2^n > n by induction."}]}])")
                  .think);
  for (const char* odd : {"[]", "{}", "[5]", R"([{"role": "user"}])", R"([{"role": 5}])",
                          R"([{"role": "user", "content": ""}])"}) {
    EXPECT_FALSE(decide(odd).think) << odd;
  }
}

TEST(ThinkingPolicy, LooksAtABoundedPartOfALongMessage) {
  const std::string words(kMaxPolicyBytes - 32, 'z');
  const auto think = [](std::string text) {
    return decide_thinking(
               Json::array({Json::object({{"role", "user"}, {"content", std::move(text)}})}),
               Json())
        .think;
  };
  const std::string question = " prove and derive by induction ";
  EXPECT_TRUE(think(words + question));
  EXPECT_FALSE(think(words + std::string(64, 'z') + question));
}

}  // namespace
}  // namespace yunqi
