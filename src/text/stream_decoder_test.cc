// A stream of ids gives the bytes of the whole, and never half a character.
#include <gtest/gtest.h>

#include "base/utf8.h"
#include "text/tokenizer_fixture.h"

namespace yunqi {
namespace {

TEST(StreamDecoder, HoldsACharacterBackUntilItIsWhole) {
  const Tokenizer tokenizer = Tokenizer::create(byte_spec()).value();
  StreamDecoder decoder(tokenizer);
  EXPECT_EQ(decoder.push(0xE4), "");
  EXPECT_EQ(decoder.push(0xB8), "");
  EXPECT_EQ(decoder.push(0xAD), "\u4e2d");
  EXPECT_EQ(decoder.push('x'), "x");
  EXPECT_EQ(decoder.push(0xE4), "");
  EXPECT_EQ(decoder.push('y'), "\uFFFDy");
  EXPECT_EQ(decoder.push(0xF0), "");
  EXPECT_EQ(decoder.push(0x9F), "");
  EXPECT_EQ(decoder.finish(), "\uFFFD");
  EXPECT_EQ(decoder.finish(), "");
}

TEST(StreamDecoder, AnyIdsGiveTheTextOfTheWhole) {
  const Tokenizer tokenizer = tiny_tokenizer();
  Random random(21);
  for (int round = 0; round < 2000; ++round) {
    const bool skip_special = round % 2 == 0;
    std::vector<TokenId> ids;
    for (size_t i = below(random, 30); i > 0; --i) {
      // Ids beyond the vocabulary and negative ones are in it too; single bytes come often.
      const size_t end = below(random, 2) == 0 ? 256 : static_cast<size_t>(tokenizer.size()) + 8;
      ids.push_back(static_cast<TokenId>(below(random, end)) - (end > 256 ? 4 : 0));
    }
    StreamDecoder decoder(tokenizer, skip_special);
    std::string text;
    for (const TokenId id : ids) {
      const std::string part = decoder.push(id);
      ASSERT_TRUE(is_valid_utf8(part));
      text += part;
    }
    text += decoder.finish();
    ASSERT_EQ(text, sanitize_utf8(tokenizer.decode(ids, skip_special)));
  }
}

TEST(StreamDecoder, ValidTextComesOutAsItWas) {
  const Tokenizer tokenizer = tiny_tokenizer();
  Random random(22);
  for (int round = 0; round < 500; ++round) {
    const std::string text = tokenizer.decode(tokenizer.encode(random_text(random, 30)));
    StreamDecoder decoder(tokenizer);
    std::string out;
    for (const TokenId id : tokenizer.encode(text)) out += decoder.push(id);
    ASSERT_EQ(out + decoder.finish(), text);
  }
}

}  // namespace
}  // namespace yunqi
