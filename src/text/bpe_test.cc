// Both merging algorithms against the definition, on well-ordered and on ill-ordered merge lists.
#include "text/bpe.h"

#include <gmock/gmock.h>

#include "text/tokenizer_fixture.h"

namespace yunqi {
namespace {

using Merges = std::vector<std::pair<std::string, std::string>>;
using testing::HasSubstr;

// The definition: merge the leftmost pair of lowest rank until there is none.
std::vector<std::string> merge_by_definition(const Merges& merges, std::string_view text) {
  std::vector<std::string> symbols;
  for (const char c : text) symbols.emplace_back(1, c);
  for (;;) {
    size_t best = merges.size(), at = 0;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      for (size_t rank = 0; rank < best; ++rank) {
        if (merges[rank].first == symbols[i] && merges[rank].second == symbols[i + 1]) {
          best = rank;
          at = i;
        }
      }
    }
    if (best == merges.size()) return symbols;
    symbols[at] += symbols[at + 1];
    symbols.erase(symbols.begin() + static_cast<ptrdiff_t>(at) + 1);
  }
}

// Random merges over a, b and c. Trained lists merge what earlier merges made; shuffled ones don't.
Merges random_merges(Random& random, size_t count, bool shuffled) {
  std::vector<std::string> symbols = {"a", "b", "c"};
  Merges merges;
  while (merges.size() < count) {
    std::pair pair(symbols[below(random, symbols.size())], symbols[below(random, symbols.size())]);
    const std::string joined = pair.first + pair.second;
    if (joined.size() > 24 || std::count(merges.begin(), merges.end(), pair) > 0) continue;
    if (std::count(symbols.begin(), symbols.end(), joined) == 0) symbols.push_back(joined);
    merges.push_back(std::move(pair));
  }
  if (shuffled) std::shuffle(merges.begin(), merges.end(), random);
  return merges;
}

std::vector<std::string> vocabulary_of(const Merges& merges) {
  std::vector<std::string> tokens = byte_spec().tokens;
  for (const auto& [left, right] : merges) {
    if (std::count(tokens.begin(), tokens.end(), left + right) == 0) tokens.push_back(left + right);
  }
  return tokens;
}

TEST(BytePairEncoder, EqualsTheDefinition) {
  Random random(1);
  for (int round = 0; round < 120; ++round) {
    const Merges merges = random_merges(random, 1 + below(random, 30), round % 2 == 1);
    const auto tokens = vocabulary_of(merges);
    const Vocabulary vocabulary = Vocabulary::build(tokens).value();
    const BytePairEncoder encoder = BytePairEncoder::build(vocabulary, merges).value();
    for (const size_t length : {0u, 1u, 2u, 9u, 40u, 159u, 160u, 161u, 400u}) {
      std::string text;
      for (size_t i = 0; i < length; ++i) text += static_cast<char>('a' + below(random, 3));
      std::vector<TokenId> ids;
      encoder.encode(text, ids);
      std::vector<std::string> symbols;
      for (const TokenId id : ids) symbols.push_back(tokens[static_cast<size_t>(id)]);
      ASSERT_EQ(symbols, merge_by_definition(merges, text)) << text;
    }
  }
}

TEST(BytePairEncoder, MegabytesOfOneLetter) {
  Merges merges;
  for (std::string run = "a"; run.size() < 64; run += run) merges.emplace_back(run, run);
  const auto tokens = vocabulary_of(merges);
  const Vocabulary vocabulary = Vocabulary::build(tokens).value();
  const BytePairEncoder encoder = BytePairEncoder::build(vocabulary, merges).value();
  std::vector<TokenId> ids;
  encoder.encode(std::string((size_t{1} << 20) + 3, 'a'), ids);
  ASSERT_EQ(ids.size(), (1u << 14) + 2);  // 64s, then "aa" and "a"
  EXPECT_EQ(vocabulary.bytes(ids[0]).size(), 64u);
  EXPECT_EQ(vocabulary.bytes(ids.back()), "a");
}

TEST(BytePairEncoder, RefusesWhatItCannotResolve) {
  const auto build = [](const Merges& merges, const std::vector<std::string>& tokens) {
    const Vocabulary vocabulary = Vocabulary::build(tokens).value();
    return BytePairEncoder::build(vocabulary, merges).status();
  };
  const auto tokens = byte_spec({"ab", "abc"}).tokens;
  EXPECT_TRUE(build({{"a", "b"}, {"ab", "c"}}, tokens).is_ok());
  EXPECT_THAT(build({{"a", "b"}, {"xy", "c"}}, tokens).to_string(),
              HasSubstr("merges[1]: its left piece"));
  EXPECT_THAT(build({{"a", "bc"}}, tokens).to_string(), HasSubstr("merges[0]: its right piece"));
  EXPECT_THAT(build({{"b", "c"}}, tokens).to_string(), HasSubstr("merges[0]: its result"));
  EXPECT_THAT(build({{"a", "b"}, {"ab", "c"}, {"a", "b"}}, tokens).to_string(),
              HasSubstr("merges[2] repeats merges[0]"));
  auto no_newline = tokens;
  no_newline['\n'].clear();
  EXPECT_THAT(build({}, no_newline).to_string(), HasSubstr("byte 0x0a has no token"));
  EXPECT_EQ(build({}, no_newline).code(), Code::kBadFile);
}

TEST(BytePairEncoder, MergeLimit) {
  const Vocabulary vocabulary = Vocabulary::build(byte_spec().tokens).value();
  Merges merges(kMaxMerges);
  EXPECT_THAT(BytePairEncoder::build(vocabulary, merges).status().message(),
              HasSubstr("merges[0]"));
  merges.emplace_back();
  EXPECT_THAT(BytePairEncoder::build(vocabulary, merges).status().message(),
              HasSubstr("want at most"));
}

TEST(Vocabulary, FindsWhatItHolds) {
  const std::vector<std::string> tokens = {"a", "", "bc", std::string(20, 'x'), "b\0c"};
  const Vocabulary vocabulary = Vocabulary::build(tokens).value();
  EXPECT_EQ(vocabulary.find("a"), 0);
  EXPECT_EQ(vocabulary.find("bc"), 2);
  EXPECT_EQ(vocabulary.find(std::string(20, 'x')), 3);
  EXPECT_EQ(vocabulary.find(std::string(19, 'x')), -1);
  EXPECT_EQ(vocabulary.find(""), -1);
  EXPECT_EQ(vocabulary.bytes(1), "");
  EXPECT_EQ(vocabulary.bytes(5), "");
  EXPECT_EQ(vocabulary.bytes(-1), "");
}

TEST(Vocabulary, RefusesDuplicatesAndKeepsItsLimits) {
  EXPECT_THAT(Vocabulary::build(std::vector<std::string>{"a", "b", "a"}).status().message(),
              HasSubstr("tokens 0 and 2 have the same bytes"));
  std::vector<std::string> one = {std::string(kMaxTokenBytes, 'x')};
  EXPECT_TRUE(Vocabulary::build(one).is_ok());
  one[0] += 'x';
  EXPECT_THAT(Vocabulary::build(one).status().message(), HasSubstr("want at most 65536 bytes"));
  std::vector<std::string> many(kMaxTokens);
  EXPECT_TRUE(Vocabulary::build(many).is_ok());
  many.emplace_back();
  EXPECT_THAT(Vocabulary::build(many).status().message(), HasSubstr("want at most 2097152 tokens"));
}

}  // namespace
}  // namespace yunqi
