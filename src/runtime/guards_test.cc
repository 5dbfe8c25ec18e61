// The rules one by one, and how they compose.
#include "runtime/guards.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>

#include "runtime/output_session.h"
#include "text/tokenizer_fixture.h"

namespace yunqi {
namespace {

const Tokenizer& tokenizer() {
  static const Tokenizer one = tiny_tokenizer();
  return one;
}

std::vector<TokenId> ids(std::string_view text) {
  return tokenizer().encode(text, {.allow_added_tokens = true});
}

struct Trace {
  std::string text;
  bool stopped = false;
};

// Plays `wanted` as a model would: masked and forced tokens win.
Trace play(TokenGuard& guard, const std::vector<TokenId>& wanted) {
  Trace out;
  std::deque<TokenId> forced;
  for (size_t at = 0; at < wanted.size() || !forced.empty();) {
    TokenId token = 0;
    if (!forced.empty()) {
      token = forced.front();
      forced.pop_front();
    } else {
      token = wanted[at];
      const std::span<const uint64_t> mask = guard.mask();
      const auto allowed = [&](TokenId id) {
        return mask.empty() || (mask[static_cast<size_t>(id) / 64] >> (id % 64) & 1) != 0;
      };
      if (allowed(token)) {
        ++at;
      } else {
        token = 0;
        while (!allowed(token)) ++token;
      }
    }
    out.text += output_bytes(tokenizer(), token);
    GuardVerdict verdict = guard.accept(token);
    if (verdict.action == GuardVerdict::Action::kStop) {
      out.stopped = true;
      return out;
    }
    if (verdict.action == GuardVerdict::Action::kForce) {
      forced.assign(verdict.forced.begin(), verdict.forced.end());
    }
  }
  return out;
}

CallRuleOptions calls(ToolFormat format, std::vector<std::string> names) {
  CallRuleOptions options;
  options.format = format;
  options.names = std::move(names);
  options.one_call = true;
  options.vocabulary = tokenizer().size();
  options.tools = std::make_shared<const ToolSet>();
  return options;
}

Trace play_call(CallRuleOptions options, ThinkingSplitter splitter, std::string_view wanted) {
  OutputRules rules;
  rules.push_back(make_call_rule(tokenizer(), std::move(options)));
  const auto guard = make_output_guard(tokenizer(), std::move(splitter), std::move(rules));
  return play(*guard, ids(wanted));
}

TEST(CallRule, ANamedCallIsForcedAndEndsTheSequence) {
  const Trace json = play_call(calls(ToolFormat::kJson, {"now"}), ThinkingSplitter(),
                               " {\"a\": 1}}\n</tool_call>\nMore text");
  EXPECT_EQ(json.text, "<tool_call>\n{\"name\": \"now\", \"arguments\": {\"a\": 1}}\n</tool_call>");
  EXPECT_TRUE(json.stopped);
  const Trace xml = play_call(calls(ToolFormat::kXml, {"now"}), ThinkingSplitter(),
                              "<parameter=a>\n1\n</parameter>\n</function>\n</tool_call>More");
  EXPECT_EQ(xml.text,
            "<tool_call>\n<function=now>\n<parameter=a>\n1\n</parameter>\n</function>\n"
            "</tool_call>");
}

TEST(CallRule, TheModelChoosesAmongTheNames) {
  for (const std::string& name : {std::string("get"), std::string("get_all"), std::string("put")}) {
    const Trace trace = play_call(calls(ToolFormat::kJson, {"get", "get_all", "put"}),
                                  ThinkingSplitter(), name + "\" {}}\n</tool_call>");
    EXPECT_EQ(trace.text,
              "<tool_call>\n{\"name\": \"" + name + "\", \"arguments\": {}}\n</tool_call>");
    EXPECT_TRUE(trace.stopped);
  }
  const Trace other = play_call(calls(ToolFormat::kXml, {"get", "put"}), ThinkingSplitter(), "zzz");
  EXPECT_TRUE(other.text.starts_with("<tool_call>\n<function=get>\n") ||
              other.text.starts_with("<tool_call>\n<function=put>\n"))
      << other.text;
}

TEST(CallRule, ThinkingComesBeforeTheCall) {
  const Trace inside = play_call(calls(ToolFormat::kJson, {"now"}), ThinkingSplitter(true, true),
                                 "Hm.\n</think> {}}\n</tool_call>");
  EXPECT_EQ(inside.text,
            "Hm.\n</think>\n\n<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>");
  CallRuleOptions options = calls(ToolFormat::kJson, {"now"});
  options.thinks_first = true;
  const Trace opened =
      play_call(std::move(options), ThinkingSplitter(true, false), "Hm.</think> {}}\n</tool_call>");
  EXPECT_EQ(opened.text,
            "<think>Hm.</think>\n\n<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n"
            "</tool_call>");
}

TEST(OutputGuard, ForcedTextsQueueUp) {
  auto notes = std::make_shared<OutputNotes>();
  const std::string closing = "\nEnough.\n</think>\n\n";
  OutputRules rules;
  rules.push_back(make_thinking_rule({.budget = 2,
                                      .closing = ids(closing),
                                      .vocabulary = tokenizer().size(),
                                      .control = std::make_shared<ThinkingControl>(),
                                      .notes = notes}));
  rules.push_back(make_call_rule(tokenizer(), calls(ToolFormat::kJson, {"now"})));
  const auto guard = make_output_guard(tokenizer(), ThinkingSplitter(true, true), std::move(rules));
  std::vector<TokenId> wanted = {'a' - 33, 'b' - 33};  // two tokens of any kind
  for (const TokenId id : ids(" {}}\n</tool_call>")) wanted.push_back(id);
  const Trace trace = play(*guard, wanted);
  const size_t at = trace.text.find(closing);
  ASSERT_NE(at, std::string::npos) << trace.text;
  EXPECT_EQ(trace.text.substr(at), closing +
                                       "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n"
                                       "</tool_call>");
  EXPECT_EQ(notes->thinking_tokens.load(), 2);
  EXPECT_TRUE(trace.stopped);
}

TEST(OutputGuard, MasksOfSeveralRulesAreMet) {
  class Only final : public OutputRule {
   public:
    explicit Only(std::vector<TokenId> allowed) : mask_(mask_of(allowed, 100)) {}
    std::span<const uint64_t> mask(OutputPhase) override { return mask_; }
    GuardVerdict accept(const GuardedToken&) override { return {}; }

   private:
    std::vector<uint64_t> mask_;
  };
  OutputRules rules;
  rules.push_back(std::make_unique<Only>(std::vector<TokenId>{1, 2, 70}));
  rules.push_back(std::make_unique<Only>(std::vector<TokenId>{2, 3, 70}));
  rules.push_back(make_stop_rule({"x"}));
  const auto guard = make_output_guard(tokenizer(), ThinkingSplitter(), std::move(rules));
  const std::span<const uint64_t> mask = guard->mask();
  ASSERT_EQ(mask.size(), 2u);
  EXPECT_EQ(mask[0], uint64_t{1} << 2);
  EXPECT_EQ(mask[1], uint64_t{1} << 6);
}

// Tokens until the detector speaks, or -1.
int loops_after(const std::vector<TokenId>& tokens) {
  LoopDetector detector;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (detector.push(tokens[i])) return static_cast<int>(i) + 1;
  }
  return -1;
}

std::vector<TokenId> repeated(size_t period, size_t count) {
  std::vector<TokenId> out;
  for (size_t i = 0; i < count; ++i) out.push_back(static_cast<TokenId>(i % period));
  return out;
}

TEST(LoopDetector, SpeaksAtItsLimitsOnly) {
  EXPECT_EQ(loops_after(repeated(1, 1000)), LoopDetector::kMinTokens);
  EXPECT_EQ(loops_after(repeated(7, 1000)), LoopDetector::kMinTokens);
  EXPECT_EQ(loops_after(repeated(LoopDetector::kMaxPeriod, 2000)),
            LoopDetector::kMaxPeriod * LoopDetector::kMinRepeats);
  EXPECT_EQ(loops_after(repeated(LoopDetector::kMaxPeriod + 1, 5000)), -1);
  EXPECT_EQ(loops_after(repeated(1, LoopDetector::kMinTokens - 1)), -1);
  std::vector<TokenId> broken = repeated(3, 380);
  broken.push_back(99);
  const std::vector<TokenId> more = repeated(3, 380);
  broken.insert(broken.end(), more.begin(), more.end());
  EXPECT_EQ(loops_after(broken), -1);
}

TEST(LoopRule, EndsAnAnswerAndClosesAThought) {
  const TokenId letter = ids("a").front();
  for (const bool thinks : {false, true}) {
    auto notes = std::make_shared<OutputNotes>();
    OutputRules rules;
    rules.push_back(make_loop_rule(notes));
    rules.push_back(make_thinking_rule({.closing = ids("\n</think>\n\n"),
                                        .vocabulary = tokenizer().size(),
                                        .control = std::make_shared<ThinkingControl>(),
                                        .notes = notes}));
    const auto guard =
        make_output_guard(tokenizer(), ThinkingSplitter(thinks, thinks), std::move(rules));
    const Trace trace = play(*guard, std::vector<TokenId>(2 * LoopDetector::kMinTokens, letter));
    EXPECT_TRUE(trace.stopped);
    EXPECT_EQ(notes->ended.load(), OutputNotes::Ended::kRepetition);
    EXPECT_EQ(notes->closed.load(),
              thinks ? OutputNotes::Closed::kRepetition : OutputNotes::Closed::kNo);
    EXPECT_EQ(trace.text.find("</think>") != std::string::npos, thinks);
  }
}

TEST(AnswerLimitRule, CountsTheAnswerOnly) {
  auto notes = std::make_shared<OutputNotes>();
  OutputRules rules;
  rules.push_back(make_answer_limit_rule(3, notes));
  const auto guard = make_output_guard(tokenizer(), ThinkingSplitter(true, true), std::move(rules));
  const TokenId letter = ids("a").front();
  std::vector<TokenId> wanted(10, letter);
  wanted.push_back(tokenizer().find("</think>"));
  wanted.insert(wanted.end(), 10, letter);
  const Trace trace = play(*guard, wanted);
  EXPECT_TRUE(trace.stopped);
  EXPECT_EQ(trace.text, "aaaaaaaaaa</think>aaa");
  EXPECT_EQ(notes->ended.load(), OutputNotes::Ended::kAnswerLimit);
}

}  // namespace
}  // namespace yunqi
