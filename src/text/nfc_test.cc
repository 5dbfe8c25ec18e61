// NFC on known cases, and its laws on random text.
#include "text/nfc.h"

#include <gtest/gtest.h>

#include "text/tokenizer_fixture.h"

namespace yunqi {
namespace {

TEST(Nfc, SaysWhatATextNeeds) {
  EXPECT_EQ(check_nfc("plain ascii that is longer than eight bytes"), NfcNeed::kNone);
  EXPECT_EQ(check_nfc("\u4e2d\u6587 \u00e9"), NfcNeed::kNone);
  EXPECT_EQ(check_nfc("e\u0301"), NfcNeed::kActive);
  EXPECT_EQ(check_nfc("\u212b"), NfcNeed::kActive);
  EXPECT_EQ(check_nfc("e\u0301 \xff"), NfcNeed::kInvalid);
  EXPECT_EQ(check_nfc(""), NfcNeed::kNone);
}

TEST(Nfc, ComposesAndReorders) {
  EXPECT_EQ(normalize_nfc("xe\u0301y"), "x\u00e9y");
  EXPECT_EQ(normalize_nfc("a\u0323\u0302"), "\u1ead");
  EXPECT_EQ(normalize_nfc("a\u0302\u0323"), "\u1ead");
  EXPECT_EQ(normalize_nfc("a\u0315\u0300"), "\u00e0\u0315");
  EXPECT_EQ(normalize_nfc("a\u0300\u0300"), "\u00e0\u0300");
  EXPECT_EQ(normalize_nfc("\u0301e"), "\u0301e");
}

TEST(Nfc, SingletonsAndExclusionsStayDecomposed) {
  EXPECT_EQ(normalize_nfc("\u212b\u2126"), "\u00c5\u03a9");
  EXPECT_EQ(normalize_nfc("\u0958"), "\u0915\u093c");
  EXPECT_EQ(normalize_nfc("\u0344"), "\u0308\u0301");
}

TEST(Nfc, HangulIsComputed) {
  EXPECT_EQ(normalize_nfc("\u1112\u1161\u11ab"), "\ud55c");
  EXPECT_EQ(normalize_nfc("\uac00\u11a8"), "\uac01");
  EXPECT_EQ(normalize_nfc("\uac01\u11a8"), "\uac01\u11a8");  // has a final already
  EXPECT_EQ(normalize_nfc("\u1161\u1100"), "\u1161\u1100");
}

TEST(Nfc, TwiceIsOnceAndInertTextIsUntouched) {
  Random random(11);
  for (int round = 0; round < 5000; ++round) {
    const std::string text = random_text(random, below(random, 24));
    const std::string once = normalize_nfc(text);
    ASSERT_EQ(normalize_nfc(once), once);
    ASSERT_TRUE(check_nfc(text) == NfcNeed::kActive || once == text);
  }
}

TEST(Nfc, CuttingAtALetterChangesNothing) {
  Random random(12);
  for (int round = 0; round < 1000; ++round) {
    const std::string left = random_text(random, below(random, 9));
    const std::string right = random_text(random, below(random, 9));
    ASSERT_EQ(normalize_nfc(left + "z" + right), normalize_nfc(left) + normalize_nfc("z" + right));
  }
}

}  // namespace
}  // namespace yunqi
