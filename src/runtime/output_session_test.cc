// Stop strings, whole characters and thinking tags, against plain definitions over the whole text.
#include "runtime/output_session.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/utf8.h"
#include "runtime/guards.h"
#include "text/tokenizer_fixture.h"

namespace yunqi {
namespace {

constexpr TokenId kOpen = 264, kClose = 265, kControl = 266;

// 256 byte tokens, some longer ones, the thinking tags and one control token.
Tokenizer byte_tokenizer() {
  TokenizerSpec spec =
      byte_spec({"ab", "ba", "aab", "中", "\xE4\xB8", "\xAD\x61", "b\xF0\x9F", "\n\n"});
  for (const char* tag : {"<think>", "</think>", "<|end|>"}) {
    spec.added.push_back({.id = static_cast<TokenId>(spec.tokens.size()), .text = tag});
    spec.added.back().special = spec.added.back().text == "<|end|>";
    spec.tokens.emplace_back(tag);
  }
  return Tokenizer::create(std::move(spec)).value();
}

struct Cut {
  bool found = false;
  size_t begin = 0, end = 0;
  std::string stop;
};

// The definition: the earliest end; of several that end there, the longest.
Cut naive_cut(const std::string& text, const std::vector<std::string>& stops) {
  for (size_t end = 1; end <= text.size(); ++end) {
    Cut best;
    for (const std::string& stop : stops) {
      if (stop.size() > end || text.compare(end - stop.size(), stop.size(), stop) != 0) continue;
      if (!best.found || stop.size() > best.stop.size()) {
        best = {true, end - stop.size(), end, stop};
      }
    }
    if (best.found) return best;
  }
  return {};
}

// Bytes at the end of `text` that could still become a stop string.
size_t naive_wait(const std::string& text, const std::vector<std::string>& stops) {
  for (size_t n = text.size(); n > 0; --n) {
    for (const std::string& stop : stops) {
      if (n < stop.size() && stop.starts_with(text.substr(text.size() - n))) return n;
    }
  }
  return 0;
}

std::vector<std::string> random_stops(Random& random) {
  static const std::vector<std::string> kParts = {"a", "b", "aa", "ba", "中", "\n"};
  std::vector<std::string> stops(1 + below(random, 3));
  for (std::string& stop : stops) {
    const size_t parts = 1 + below(random, 4);
    for (size_t i = 0; i < parts; ++i) stop += kParts[below(random, kParts.size())];
  }
  return stops;
}

TEST(StopMatcher, FindsWhatASearchOverTheWholeTextFindsAtAnySplit) {
  Random random(1);
  int found = 0;
  for (int round = 0; round < 4000; ++round) {
    const std::vector<std::string> stops = random_stops(random);
    std::string text;
    const size_t size = below(random, 40);
    for (size_t i = 0; i < size; ++i) text += below(random, 9) == 0 ? '\n' : "ab"[below(random, 2)];
    StopMatcher matcher(stops);
    const Cut want = naive_cut(text, stops);
    for (size_t at = 0; at < text.size();) {
      const size_t take = std::min(text.size() - at, below(random, 6));
      const bool stopped = matcher.push(text.substr(at, take));
      at += take;
      ASSERT_EQ(stopped, want.found && want.end <= at);
      if (stopped) break;
      const std::string so_far = text.substr(0, at);
      ASSERT_EQ(matcher.safe_end(), at - naive_wait(so_far, stops)) << so_far;
    }
    ASSERT_EQ(matcher.matched(), want.found);
    if (!want.found) continue;
    ++found;
    ASSERT_EQ(matcher.match_begin(), want.begin);
    ASSERT_EQ(matcher.match_end(), want.end);
    ASSERT_EQ(matcher.match(), want.stop);
  }
  EXPECT_GT(found, 1000);
}

TEST(StopMatcher, IgnoresEmptyStopsAndWhatComesAfterAMatch) {
  StopMatcher none({""});
  EXPECT_FALSE(none.push("abc"));
  EXPECT_EQ(none.safe_end(), 3u);
  StopMatcher matcher({"bc"});
  EXPECT_TRUE(matcher.push("abcd"));
  EXPECT_TRUE(matcher.push("bc"));
  EXPECT_EQ(matcher.match_begin(), 1u);
}

std::string without_control(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  return tokenizer.decode(ids, /*skip_special=*/true);
}

TEST(OutputSession, StreamedTextIsTheWholeTextCutAtTheStop) {
  const Tokenizer tokenizer = byte_tokenizer();
  static const std::vector<TokenId> kIds = {'a', 'b',  '\n', 256, 257,  258,  259,     260,
                                            261, 0xE4, 0xAD, 262, 0xFF, 0x98, kControl};
  Random random(2);
  for (int round = 0; round < 4000; ++round) {
    std::vector<TokenId> ids(below(random, 24));
    for (TokenId& id : ids) id = kIds[below(random, kIds.size())];
    OutputFormat options;
    if (below(random, 4) != 0) options.stop = random_stops(random);
    options.include_stop = below(random, 2) == 0;
    const std::string text = without_control(tokenizer, ids);
    const Cut cut = naive_cut(text, options.stop);
    const size_t end = !cut.found ? text.size() : options.include_stop ? cut.end : cut.begin;
    const std::string want = sanitize_utf8(text.substr(0, end));

    OutputSession session(tokenizer, {.format = options});
    OutputRules rules;
    rules.push_back(make_stop_rule(options.stop));
    const auto guard = make_output_guard(tokenizer, ThinkingSplitter(), std::move(rules));
    std::string got;
    size_t bytes = 0;
    for (const TokenId id : ids) {
      const TextDelta delta = session.push(id);
      EXPECT_EQ(delta.reasoning, "");
      ASSERT_TRUE(is_valid_utf8(delta.content));
      got += delta.content;
      ASSERT_TRUE(want.starts_with(got)) << want << " | " << got;
      bytes += id == kControl ? 0 : tokenizer.token_bytes(id).size();
      const bool stops = guard->accept(id).action == GuardVerdict::Action::kStop;
      ASSERT_EQ(stops, cut.found && bytes >= cut.end);
    }
    got += session.finish().content;
    ASSERT_EQ(got, want);
    ASSERT_EQ(session.stop_string(), cut.stop);
  }
}

TEST(OutputSession, HoldsBackHalfCharactersAndReplacesOnlyBadBytes) {
  const Tokenizer tokenizer = byte_tokenizer();
  OutputSession session(tokenizer, {});
  EXPECT_EQ(session.push(260).content, "");     // E4 B8
  EXPECT_EQ(session.push(261).content, "中a");  // AD 61
  EXPECT_EQ(session.push(0xFF).content, "\uFFFD");
  EXPECT_EQ(session.push(0xF0).content, "");
  EXPECT_EQ(session.push('a').content, "\uFFFDa");
  EXPECT_EQ(session.push(262).content, "b");      // b F0 9F
  EXPECT_EQ(session.finish().content, "\uFFFD");  // one maximal bad part, one replacement
}

TEST(OutputSession, AStopPrefixIsGivenOutWhenTheTextGoesOnDifferently) {
  const Tokenizer tokenizer = byte_tokenizer();
  OutputSession session(tokenizer, {.format = {.stop = {"aab"}}});
  EXPECT_EQ(session.push('a').content, "");
  EXPECT_EQ(session.push('a').content, "");
  EXPECT_EQ(session.push('a').content, "a");
  EXPECT_EQ(session.finish().content, "aa");
}

struct Split {
  std::string reasoning, content;
  int64_t tokens = 0;
};

Split split(const std::vector<TokenId>& ids, OutputFormat format) {
  static const Tokenizer tokenizer = byte_tokenizer();
  format.thinking = true;
  OutputSession session(tokenizer, {.format = format});
  Split out;
  const auto add = [&](const TextDelta& delta) {
    out.reasoning += delta.reasoning;
    out.content += delta.content;
  };
  for (const TokenId id : ids) add(session.push(id));
  add(session.finish());
  out.tokens = session.reasoning_tokens();
  return out;
}

TEST(OutputSession, TellsThinkingFromTheAnswerByTheTagsIds) {
  const Split out = split({kOpen, '\n', 'a', '\n', 'b', '\n', kClose, 263, 'c', '\n'}, {});
  EXPECT_EQ(out.reasoning, "a\nb");
  EXPECT_EQ(out.content, "c\n");
  EXPECT_EQ(out.tokens, 5);
}

TEST(OutputSession, StartsInsideThinkingWhenThePromptDid) {
  OutputFormat options;
  options.starts_thinking = true;
  const Split out = split({'a', kClose, 'b'}, options);
  EXPECT_EQ(out.reasoning, "a");
  EXPECT_EQ(out.content, "b");
  EXPECT_EQ(out.tokens, 1);
}

TEST(OutputSession, KeepsAnUnclosedThoughtWhole) {
  const Split out = split({kOpen, 'a', '\n', '\n'}, {});
  EXPECT_EQ(out.reasoning, "a\n\n");
  EXPECT_EQ(out.content, "");
}

TEST(OutputSession, AnOpeningTagAfterTextIsText) {
  const Split out = split({'a', kOpen, 'b'}, {});
  EXPECT_EQ(out.reasoning, "");
  EXPECT_EQ(out.content, "a<think>b");
}

TEST(OutputSession, AHalfCharacterBeforeATagIsReplaced) {
  const Split out = split({kOpen, 260, kClose, 0xAD}, {});
  EXPECT_EQ(out.reasoning, "\uFFFD");
  EXPECT_EQ(out.content, "\uFFFD");
}

TEST(OutputSession, StopsAreForTheAnswerOnly) {
  const Split out = split({kOpen, 'a', 'b', 'a', kClose, 'c', 'b', 'a', 'd'}, {.stop = {"ba"}});
  EXPECT_EQ(out.reasoning, "aba");
  EXPECT_EQ(out.content, "c");
}

TEST(OutputSession, AStopDoesNotReachAcrossATag) {
  const Split out = split({kOpen, 'a', 'b', kClose, 'c'}, {.stop = {"bc", "b</think>"}});
  EXPECT_EQ(out.reasoning, "ab");
  EXPECT_EQ(out.content, "c");
}

TEST(OutputSession, WithoutThinkingNothingIsSplit) {
  const Tokenizer tokenizer = byte_tokenizer();
  OutputSession session(tokenizer, {});
  EXPECT_EQ(session.push(kOpen).content, "<think>");
  EXPECT_EQ(session.push('a').content, "a");
  EXPECT_EQ(session.reasoning_tokens(), 0);
}

}  // namespace
}  // namespace yunqi
