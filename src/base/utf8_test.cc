// Tests of utf8.h: every code point, every short byte string against a second decoder, and the
// replacement rule on known cases.
#include "base/utf8.h"

#include <gtest/gtest.h>

#include <random>

namespace yunqi {
namespace {

// Written from the definition, not from the table: decode by length, then demand that the shortest
// form was used and that the value is a scalar.
bool is_one_character(std::string_view bytes) {
  if (bytes.empty()) return false;
  const auto at = [&](size_t i) { return static_cast<uint32_t>(static_cast<uint8_t>(bytes[i])); };
  uint32_t value = 0;
  size_t length = 0;
  if (at(0) < 0x80) {
    length = 1, value = at(0);
  } else if ((at(0) & 0xE0) == 0xC0) {
    length = 2, value = at(0) & 0x1F;
  } else if ((at(0) & 0xF0) == 0xE0) {
    length = 3, value = at(0) & 0x0F;
  } else if ((at(0) & 0xF8) == 0xF0) {
    length = 4, value = at(0) & 0x07;
  }
  if (length == 0 || bytes.size() != length) return false;
  for (size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xC0) != 0x80) return false;
    value = value << 6 | (at(i) & 0x3F);
  }
  const size_t shortest = value < 0x80 ? 1 : value < 0x800 ? 2 : value < 0x10000 ? 3 : 4;
  return length == shortest && value <= 0x10FFFF && !(value >= 0xD800 && value <= 0xDFFF);
}

bool is_valid_by_definition(std::string_view text) {
  while (!text.empty()) {
    size_t length = 1;
    while (length <= 4 && !is_one_character(text.substr(0, length))) ++length;
    if (length > 4 || length > text.size()) return false;
    text.remove_prefix(length);
  }
  return true;
}

TEST(Utf8, EveryCodePointRoundTrips) {
  for (char32_t code_point = 0; code_point <= 0x10FFFF; ++code_point) {
    if (code_point >= 0xD800 && code_point <= 0xDFFF) continue;
    std::string text;
    append_utf8(text, code_point);
    ASSERT_TRUE(is_one_character(text)) << uint32_t{code_point};
    const Utf8Char c = decode_utf8(text + "x");
    ASSERT_TRUE(c.valid) << uint32_t{code_point};
    ASSERT_TRUE(c.code_point == code_point);
    ASSERT_EQ(c.length, text.size());
    for (size_t cut = 1; cut < text.size(); ++cut) {
      const std::string part = text.substr(0, cut);
      ASSERT_FALSE(decode_utf8(part).valid);
      ASSERT_EQ(incomplete_utf8_suffix("a" + part), cut) << uint32_t{code_point};
    }
    ASSERT_EQ(incomplete_utf8_suffix(text), 0u) << uint32_t{code_point};
  }
}

TEST(Utf8, SurrogatesAreInvalid) {
  for (uint32_t low = 0xA0; low <= 0xBF; ++low) {
    const std::string text = {'\xED', static_cast<char>(low), '\x80'};
    EXPECT_FALSE(is_valid_utf8(text));
    EXPECT_EQ(decode_utf8(text).length, 1u);
    EXPECT_TRUE(decode_utf8(text).code_point == kReplacementCharacter);
  }
}

TEST(Utf8, EveryStringOfUpToThreeBytesIsJudgedRight) {
  std::string text(3, '\0');
  for (uint32_t bits = 0; bits < (1u << 24); ++bits) {
    // ASCII bytes behave alike: one of them stands for all.
    const uint8_t bytes[] = {static_cast<uint8_t>(bits >> 16), static_cast<uint8_t>(bits >> 8),
                             static_cast<uint8_t>(bits)};
    if ((bytes[0] > 1 && bytes[0] < 0x7F) || (bytes[1] > 1 && bytes[1] < 0x7F) ||
        (bytes[2] > 1 && bytes[2] < 0x7F)) {
      continue;
    }
    for (size_t i = 0; i < 3; ++i) text[i] = static_cast<char>(bytes[i]);
    ASSERT_EQ(is_valid_utf8(text), is_valid_by_definition(text)) << bits;
    const std::string_view two = std::string_view(text).substr(1);
    ASSERT_EQ(is_valid_utf8(two), is_valid_by_definition(two)) << bits;
  }
}

TEST(Utf8, RandomBytesAreJudgedRightAndSanitizedToValidText) {
  std::mt19937_64 random(1);
  constexpr uint8_t kEdges[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0,
                                0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC,
                                0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5};
  for (int i = 0; i < 200000; ++i) {
    std::string text;
    for (uint64_t n = random() % 9; n > 0; --n) {
      text.push_back(static_cast<char>(kEdges[random() % std::size(kEdges)]));
    }
    const bool valid = is_valid_by_definition(text);
    ASSERT_EQ(is_valid_utf8(text), valid);
    const std::string clean = sanitize_utf8(text);
    ASSERT_TRUE(is_valid_by_definition(clean));
    ASSERT_EQ(clean == text, valid || clean == text);
    ASSERT_EQ(sanitize_utf8(clean), clean);
  }
}

// Printed by Python's bytes.decode("utf-8", "replace"), "?" standing for U+FFFD.
TEST(Utf8, ReplacesEachMaximalInvalidPartOnce) {
  const std::pair<std::string_view, std::string_view> kCases[] = {
      {"\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64", "a???b?c??d"},
      {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", "????????A"},
      {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", "????????A"},
      {"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", "?????A??B"},
      {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", "????A"},
      {"abc", "abc"},
      {"", ""},
      {"\xF0\x9F\x98", "?"},
  };
  for (const auto& [bytes, marked] : kCases) {
    std::string want;
    for (const char c : marked) {
      if (c == '?') {
        append_utf8(want, kReplacementCharacter);
      } else {
        want.push_back(c);
      }
    }
    EXPECT_EQ(sanitize_utf8(bytes), want) << marked;
  }
}

TEST(Utf8, AnIncompleteSuffixMustBeAbleToGrow) {
  EXPECT_EQ(incomplete_utf8_suffix(""), 0u);
  EXPECT_EQ(incomplete_utf8_suffix("abc"), 0u);
  EXPECT_EQ(incomplete_utf8_suffix("\xE2\x82"), 2u);
  EXPECT_EQ(incomplete_utf8_suffix("a\xF0\x9F\x98"), 3u);
  EXPECT_EQ(incomplete_utf8_suffix("\x80\x80\x80"), 0u);  // no first byte
  EXPECT_EQ(incomplete_utf8_suffix("\xE0\x80"), 0u);      // overlong: can never finish
  EXPECT_EQ(incomplete_utf8_suffix("\xED\xA0"), 0u);      // surrogate
  EXPECT_EQ(incomplete_utf8_suffix("\xF4\x90"), 0u);      // above U+10FFFF
  EXPECT_EQ(incomplete_utf8_suffix("\xC3\xA9\xC3"), 1u);
  EXPECT_EQ(incomplete_utf8_suffix("\xFF"), 0u);
}

}  // namespace
}  // namespace yunqi
