// Budgets, switches and limits of thinking: on a random engine with random budgets, chunks, stops
// and choices, the budget is never overshot, the closing text is exact, and the answer follows.
#include "runtime/thinking.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "engine/fake_executor.h"
#include "runtime/generation.h"
#include "runtime/loaded_model.h"
#include "runtime/thinking_policy.h"
#include "text/tokenizer_fixture.h"

namespace yunqi {
namespace {

// The prompt opens the thinking unless it is off, as Qwen3.5's template does.
constexpr const char* kTemplate =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n{% if enable_thinking is defined and enable_thinking is false %}"
    "<think>\n\n</think>\n\n{% else %}<think>\n{% endif %}";

std::shared_ptr<LoadedModel> random_model(int32_t prefill_chunk) {
  static const std::unique_ptr<Clock> clock = std::make_unique<VirtualClock>();
  LoadedModel::Parts parts;
  parts.id = "random";
  parts.tokenizer = std::make_unique<Tokenizer>(tiny_tokenizer());
  parts.chat_template = std::make_unique<ChatTemplate>(ChatTemplate::parse(kTemplate).value());
  parts.defaults.eos_ids = {parts.tokenizer->find("<|im_end|>")};
  parts.vocabulary = parts.tokenizer->size();
  parts.max_context = 512;
  ExecutorLimits limits;
  limits.vocab = parts.vocabulary;
  limits.max_context = 512;
  limits.page_tokens = 32;
  limits.pages = 256;
  limits.max_rows = 64;
  limits.max_logit_rows = 16;
  EngineOptions options;
  options.max_sequences = 16;
  options.prefill_chunk = prefill_chunk;
  parts.engine = Engine::create(std::make_unique<FakeExecutor>(limits), options, *clock, nullptr);
  return std::make_shared<LoadedModel>(std::move(parts));
}

struct Answer {
  std::vector<TokenId> tokens;
  std::string reasoning, content;
  OutputEvent last;
};

std::vector<Answer> run(const LoadedModel& model, const GenerateRequest& request,
                        Usage* usage = nullptr) {
  const std::unique_ptr<Generation> generation = model.start(request).value();
  std::vector<Answer> out(static_cast<size_t>(request.choices));
  while (std::optional<OutputEvent> event = generation->next()) {
    Answer& answer = out[static_cast<size_t>(event->choice)];
    for (const TokenText& token : event->tokens) answer.tokens.push_back(token.id);
    answer.reasoning += event->delta.reasoning;
    answer.content += event->delta.content;
    if (event->kind == OutputEvent::Kind::kFinished) answer.last = *std::move(event);
  }
  if (usage != nullptr) *usage = generation->usage();
  return out;
}

GenerateRequest chat_request(int64_t budget) {
  GenerateRequest request;
  request.messages = parse_json(R"([{"role": "user", "content": "Hi"}])").value();
  request.thinking_budget = budget;
  request.max_tokens_cover_thinking = false;
  request.want_token_ids = true;
  return request;
}

std::vector<TokenId> closing_ids(const Tokenizer& tokenizer) {
  return tokenizer.encode(kThinkingClosing, {.allow_added_tokens = true});
}

// Whether `answer` thought at most `budget` tokens, was closed by exactly the closing text if it
// did not stop by itself, and then answered.
void check(const LoadedModel& model, const GenerateRequest& request, const Answer& answer) {
  const TokenId close = model.tokenizer().find("</think>");
  const std::vector<TokenId> closing = closing_ids(model.tokenizer());
  const auto budget = static_cast<size_t>(*request.thinking_budget);
  const std::vector<TokenId>& ids = answer.tokens;
  size_t thought = static_cast<size_t>(std::find(ids.begin(), ids.end(), close) - ids.begin());
  ASSERT_LT(thought, ids.size()) << "the thinking never ended";
  const bool forced = answer.last.thinking_closed == "budget";
  size_t answer_at = thought + 1;
  if (forced) {
    ASSERT_GE(ids.size(), budget + closing.size());
    ASSERT_TRUE(std::equal(closing.begin(), closing.end(), ids.begin() + static_cast<long>(budget)))
        << "the closing text is not where the budget ends";
    ASSERT_TRUE(answer.reasoning.ends_with("thinking directly now."));
    answer_at = budget + closing.size();
  } else {
    ASSERT_LE(thought, budget);
    ASSERT_EQ(answer.last.thinking_closed, "");
  }
  const size_t answered = ids.size() - answer_at;
  ASSERT_GT(answered, 0u) << "no answer";
  ASSERT_LE(answered, static_cast<size_t>(*request.max_tokens));
  if (answer.last.finish == FinishReason::kLength) {
    ASSERT_EQ(answered, static_cast<size_t>(*request.max_tokens));
    ASSERT_EQ(answer.last.detail, "answer_limit");
  }
}

TEST(Thinking, RandomBudgetsAreNeverOvershotAndTheAnswerFollows) {
  const char* wanted = std::getenv("YUNQI_FUZZ_CASES");
  const int rounds = wanted == nullptr ? 300 : std::atoi(wanted);
  const std::vector<std::shared_ptr<LoadedModel>> models = {random_model(3), random_model(64)};
  Random random(5);
  int forced = 0, by_itself = 0, stopped = 0;
  for (int round = 0; round < rounds; ++round) {
    GenerateRequest request = chat_request(1 + static_cast<int64_t>(below(random, 60)));
    request.max_tokens = 1 + static_cast<int64_t>(below(random, 12));
    request.choices = 1 + static_cast<int64_t>(below(random, 3));
    request.seed = round;
    // A biased closing tag, so that some thoughts end by themselves.
    if (below(random, 2) == 0) {
      request.logit_bias = {{models[0]->tokenizer().find("</think>"), 4.0f}};
    }
    if (below(random, 3) == 0) request.stop = {"e", "\n\n", "now."};
    if (below(random, 4) == 0) request.top_logprobs = 0;
    Usage usage;
    const std::vector<Answer> answers = run(*models[round % 2], request, &usage);
    for (const Answer& answer : answers) {
      check(*models[0], request, answer);
      if (HasFatalFailure()) FAIL() << "round " << round;
      forced += answer.last.thinking_closed == "budget" ? 1 : 0;
      by_itself += answer.last.thinking_closed.empty() ? 1 : 0;
      stopped += answer.last.stop.empty() ? 0 : 1;
    }
    ASSERT_LE(usage.reasoning_tokens, *request.thinking_budget * request.choices);
  }
  EXPECT_GT(forced, rounds / 10);
  EXPECT_GT(by_itself, rounds / 10);
  EXPECT_GT(stopped, rounds / 50);
}

TEST(Thinking, OffMeansNoTokenOfIt) {
  GenerateRequest request = chat_request(0);
  request.max_tokens = 6;
  request.seed = 1;
  Usage usage;
  const Answer answer = run(*random_model(8), request, &usage).front();
  EXPECT_EQ(answer.reasoning, "");
  EXPECT_EQ(usage.reasoning_tokens, 0);
  EXPECT_FALSE(answer.tokens.empty());
}

TEST(Thinking, ABudgetLeavesRoomInTheContext) {
  GenerateRequest request = chat_request(100'000);
  request.max_tokens = 50;
  request.seed = 3;
  request.logit_bias = {{tiny_tokenizer().find("</think>"), -100.0f}};
  const Answer answer = run(*random_model(8), request).front();
  EXPECT_EQ(answer.last.thinking_closed, "budget");
  EXPECT_TRUE(answer.reasoning.ends_with("now."));
  EXPECT_GE(answer.tokens.size(), 350u);
}

TEST(Thinking, ARunningRequestCanBeToldToAnswer) {
  const auto model = random_model(8);
  GenerateRequest request = chat_request(400);
  request.max_tokens = 4;
  request.seed = 4;
  request.logit_bias = {{model->tokenizer().find("</think>"), -100.0f}};
  const std::unique_ptr<Generation> generation = model->start(request).value();
  generation->thinking_control()->finish.store(true);
  OutputEvent last;
  std::string reasoning;
  while (std::optional<OutputEvent> event = generation->next()) {
    reasoning += event->delta.reasoning;
    if (event->kind == OutputEvent::Kind::kFinished) last = *std::move(event);
  }
  EXPECT_TRUE(reasoning.ends_with("directly now."));
  EXPECT_EQ(last.thinking_closed, "request");
  EXPECT_LT(generation->usage().reasoning_tokens, 400);
  EXPECT_EQ(last.finish, FinishReason::kLength);
}

TEST(Thinking, MaxTokensCoverThinkingWhenTheyShould) {
  GenerateRequest request = chat_request(300);
  request.max_tokens = 20;
  request.max_tokens_cover_thinking = true;
  request.seed = 5;
  request.logit_bias = {{tiny_tokenizer().find("</think>"), -100.0f}};
  const Answer answer = run(*random_model(8), request).front();
  EXPECT_EQ(answer.tokens.size(), 20u);
  EXPECT_EQ(answer.last.finish, FinishReason::kLength);
  EXPECT_EQ(answer.content, "");
}

GenerateRequest resolved(GenerateRequest request, ThinkingAbility ability) {
  EXPECT_TRUE(resolve_thinking(request, ability, true).is_ok());
  return request;
}

TEST(Thinking, EffortLevelsBecomeBudgets) {
  GenerateRequest request;
  request.effort = "low";
  const GenerateRequest low = resolved(request, ThinkingAbility::kSwitchable);
  EXPECT_EQ(low.thinking, ThinkingMode::kOn);
  EXPECT_EQ(low.thinking_budget, 2048);
  EXPECT_EQ(low.template_kwargs.find("reasoning_effort")->as_string(), "low");
  request.effort = "none";
  EXPECT_EQ(resolved(request, ThinkingAbility::kSwitchable).thinking, ThinkingMode::kOff);
  EXPECT_EQ(resolved(request, ThinkingAbility::kNone).thinking_budget, std::nullopt);
  request.effort = "max";
  EXPECT_EQ(resolved(request, ThinkingAbility::kSwitchable).thinking_budget, std::nullopt);
  request.effort = "huge";
  EXPECT_EQ(resolve_thinking(request, ThinkingAbility::kSwitchable, true).status().field(),
            "reasoning_effort");
  request.effort = "high";
  EXPECT_EQ(resolve_thinking(request, ThinkingAbility::kNone, true).status().field(),
            "reasoning_effort");
}

TEST(Thinking, WhatAModelCantIsRefusedByName) {
  GenerateRequest request;
  request.thinking = ThinkingMode::kOn;
  const Status on = resolve_thinking(request, ThinkingAbility::kNone, false).status();
  EXPECT_EQ(on.code(), Code::kUnsupported);
  EXPECT_EQ(on.field(), "enable_thinking");
  request.thinking = ThinkingMode::kDefault;
  request.thinking_budget = 5;
  EXPECT_EQ(resolve_thinking(request, ThinkingAbility::kNone, false).status().field(),
            "thinking_budget");
  request.thinking = ThinkingMode::kOff;
  EXPECT_EQ(resolved(request, ThinkingAbility::kNone).thinking_budget, std::nullopt);
}

TEST(Thinking, AutoIsDecidedAndReported) {
  GenerateRequest request;
  request.thinking = ThinkingMode::kAuto;
  request.messages =
      parse_json(R"([{"role": "user", "content": "Prove that 2^n > n for all n."}])").value();
  const ThinkingReport report =
      resolve_thinking(request, ThinkingAbility::kSwitchable, false).value();
  EXPECT_TRUE(report.decided && report.on);
  EXPECT_NE(report.reason, "");
  EXPECT_EQ(request.thinking, ThinkingMode::kOn);
  request.thinking = ThinkingMode::kAuto;
  EXPECT_FALSE(resolve_thinking(request, ThinkingAbility::kNone, false)->on);
  EXPECT_EQ(request.thinking, ThinkingMode::kOff);
}

TEST(Thinking, ABudgetHasALimit) {
  GenerateRequest request = chat_request(kMaxThinkingBudget);
  EXPECT_TRUE(validate(request, {128, 100}).is_ok());
  request.thinking_budget = kMaxThinkingBudget + 1;
  EXPECT_EQ(validate(request, {128, 100}).field(), "thinking_budget");
}

TEST(Thinking, AbilityIsReadFromTheTemplate) {
  const auto ability = [](const char* source) {
    const ChatTemplate chat_template = ChatTemplate::parse(source).value();
    return thinking_ability(&chat_template);
  };
  EXPECT_EQ(ability(kTemplate), ThinkingAbility::kSwitchable);
  EXPECT_EQ(ability("{{ '<think>\\n' }}"), ThinkingAbility::kAlways);
  EXPECT_EQ(ability("{{ messages }}"), ThinkingAbility::kNone);
  EXPECT_EQ(thinking_ability(nullptr), ThinkingAbility::kNone);
}

}  // namespace
}  // namespace yunqi
