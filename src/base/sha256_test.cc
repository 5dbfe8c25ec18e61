// Tests of sha256.h against the standard's examples.
#include "base/sha256.h"

#include <gtest/gtest.h>

namespace yunqi {
namespace {

std::string hex_of(std::string_view bytes) { return to_hex(sha256(bytes)); }

// FIPS 180-4's examples, as NIST publishes them.
TEST(Sha256, MatchesTheStandard) {
  EXPECT_EQ(hex_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(hex_of(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, PartsGiveTheHashOfTheWhole) {
  const std::string text(1000, 'y');
  for (const size_t cut : {0u, 1u, 63u, 64u, 65u, 999u, 1000u}) {
    Sha256 hash;
    hash.update(std::string_view(text).substr(0, cut));
    hash.update(std::as_bytes(std::span(text)).subspan(cut));
    EXPECT_EQ(hash.finish(), sha256(text)) << cut;
  }
}

TEST(Sha256, HexIsLowerCase) {
  const uint8_t bytes[] = {0x00, 0x0F, 0xA5, 0xFF};
  EXPECT_EQ(to_hex(bytes), "000fa5ff");
  EXPECT_EQ(to_hex({}), "");
}

TEST(Sha256DeathTest, AFinishedHashTakesNoMore) {
  Sha256 hash;
  hash.finish();
  EXPECT_DEATH(hash.update("x"), "after finish");
  EXPECT_DEATH(hash.finish(), "twice");
}

}  // namespace
}  // namespace yunqi
