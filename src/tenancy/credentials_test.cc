// Keys, passwords, addresses: shapes, checks, and that nothing secret is ever printed.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <sstream>

#include "base/sha256.h"
#include "store/token.h"
#include "tenancy/api_key.h"
#include "tenancy/network.h"
#include "tenancy/password.h"

namespace yunqi {
namespace {

std::string hex_of(const std::string& raw) {
  return to_hex({reinterpret_cast<const uint8_t*>(raw.data()), raw.size()});
}

// RFC 4231, cases 2 and 6: a short key, and one longer than a block.
TEST(Hmac, EqualsThePublishedCases) {
  EXPECT_EQ(hex_of(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(hex_of(hmac_sha256(std::string(131, '\xaa'),
                               "Test Using Larger Than Block-Size Key - Hash Key First")),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(ApiKey, IsKnownByItsChecksumAndAnyChangeIsSeen) {
  std::set<std::string> seen;
  for (int i = 0; i < 50; ++i) {
    const KeyText key = make_key();
    const std::string& text = key.text.reveal();
    EXPECT_EQ(key_id_of(text), key.id) << text;
    EXPECT_TRUE(seen.insert(text).second);
    for (size_t at = 0; at < text.size(); ++at) {
      std::string wrong = text;
      wrong[at] = wrong[at] == 'b' ? 'c' : 'b';
      EXPECT_EQ(key_id_of(wrong), "") << at;
    }
    EXPECT_EQ(key_id_of(text + "a"), "");
    EXPECT_EQ(key_id_of(text.substr(1)), "");
  }
  for (const std::string bad : {"", "sk-yq-", "' OR 1=1 --", "sk-yq-a-b-c"}) {
    EXPECT_EQ(key_id_of(bad), "");
  }
}

TEST(ApiKey, TheDigestDependsOnThePepperAndTheWholeKey) {
  const Secret pepper(std::string(32, 'p')), other(std::string(32, 'q'));
  const std::string text = make_key().text.reveal();
  EXPECT_EQ(key_digest(pepper, text).reveal(), key_digest(pepper, text).reveal());
  EXPECT_NE(key_digest(pepper, text).reveal(), key_digest(other, text).reveal());
  std::string changed = text;
  changed[25] = changed[25] == 'b' ? 'c' : 'b';
  EXPECT_NE(key_digest(pepper, text).reveal(), key_digest(pepper, changed).reveal());
  EXPECT_TRUE(equal_in_constant_time("abc", "abc"));
  EXPECT_FALSE(equal_in_constant_time("abc", "abd"));
  EXPECT_FALSE(equal_in_constant_time("abc", "ab"));
}

TEST(ApiKey, KeysInTextsAreRedacted) {
  const std::string text = make_key().text.reveal();
  EXPECT_EQ(redact_keys("a " + text + ", b " + text), "a sk-yq-***, b sk-yq-***");
  EXPECT_EQ(redact_keys(text.substr(0, 30)), "sk-yq-***");
  EXPECT_EQ(redact_keys("nothing here"), "nothing here");
}

TEST(Secret, PrintsAsStars) {
  const Secret secret("marker-5712");
  std::ostringstream out;
  out << secret;
  EXPECT_EQ(out.str(), "***");
  EXPECT_EQ(fmt::format("[{}]", secret), "[***]");
}

TEST(Pepper, IsMadeOnceIsPrivateAndIsChecked) {
  const Path folder = Path(testing::TempDir()) / ("yunqi-pepper-" + random_token(8));
  const Path path = folder / "pepper";
  const auto first = load_pepper(path);
  ASSERT_TRUE(first.is_ok()) << first.status().to_string();
  EXPECT_GE(first->reveal().size(), kMinPepperBytes);
  EXPECT_EQ(load_pepper(path)->reveal(), first->reveal());
  using std::filesystem::perms;
  EXPECT_EQ(std::filesystem::status(path).permissions(), perms::owner_read | perms::owner_write);
  ASSERT_TRUE(write_file_atomically(path, std::string(kMinPepperBytes - 1, 'x')).is_ok());
  EXPECT_EQ(load_pepper(path).status().code(), Code::kBadFile);
  std::filesystem::remove_all(folder);
}

TEST(Password, OnlyTheRightOneFits) {
  const Secret right("correct horse"), wrong("correct hors");
  const auto hash = hash_password(right);
  ASSERT_TRUE(hash.is_ok()) << hash.status().to_string();
  EXPECT_TRUE(hash->reveal().starts_with("$argon2id$"));
  EXPECT_NE(hash->reveal(), hash_password(right)->reveal());  // another salt
  EXPECT_TRUE(verify_password(right, *hash));
  EXPECT_FALSE(verify_password(wrong, *hash));
  EXPECT_FALSE(verify_password(right, Secret()));
  EXPECT_FALSE(
      verify_password(right, Secret("$argon2id$v=19$m=99999999,t=2,p=1$YWJjZGVmZ2g$YWJj")));
}

TEST(Password, LengthsAreLimited) {
  const auto code = [](size_t bytes) {
    return hash_password(Secret(std::string(bytes, 'x'))).status().code();
  };
  EXPECT_EQ(code(kMinPasswordBytes - 1), Code::kInvalidArgument);
  EXPECT_EQ(code(kMinPasswordBytes), Code::kOk);
  EXPECT_EQ(code(kMaxPasswordBytes), Code::kOk);
  EXPECT_EQ(code(kMaxPasswordBytes + 1), Code::kInvalidArgument);
}

TEST(Network, HoldsItsAddressesAndNoOthers) {
  struct Case {
    const char* network;
    const char* ip;
    bool is_inside;
  };
  const Case cases[] = {
      {"10.0.0.0/8", "10.255.0.1", true},
      {"10.0.0.0/8", "11.0.0.0", false},
      {"192.168.1.7", "192.168.1.7", true},
      {"192.168.1.7", "192.168.1.8", false},
      {"0.0.0.0/0", "255.255.255.255", true},
      {"0.0.0.0/0", "::1", false},
      {"10.0.0.0/8", "::ffff:10.1.1.1", true},
      {"::/0", "10.0.0.1", true},
      {"2001:db8::/32", "2001:db8:ffff::1", true},
      {"2001:db8::/32", "2001:db9::", false},
      {"::1", "0:0:0:0:0:0:0:1", true},
      {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8", true},
      {"10.0.0.128/25", "10.0.0.127", false},
      {"10.0.0.128/25", "10.0.0.200", true},
  };
  for (const Case& each : cases) {
    EXPECT_EQ(is_in_networks(each.ip, {each.network}), each.is_inside)
        << each.ip << " in " << each.network;
  }
  EXPECT_TRUE(is_in_networks("not an address", {}));
  EXPECT_FALSE(is_in_networks("not an address", {"0.0.0.0/0"}));
  EXPECT_FALSE(is_in_networks("10.0.0.1", {"rubbish"}));
}

TEST(Network, MalformedOnesAreRefused) {
  for (const std::string bad : {"",
                                "10.0.0",
                                "10.0.0.0.0",
                                "256.0.0.1",
                                "010.0.0.1",
                                "10.0.0.1/33",
                                "10.0.0.1/",
                                "10.0.0.1/8",
                                "1:2:3:4:5:6:7",
                                "1:2:3:4:5:6:7:8:9",
                                "1::2::3",
                                ":::",
                                "1:2:3:4:5:6:7:",
                                "12345::",
                                "g::",
                                "::1%eth0",
                                "::/129",
                                "1.2.3.4:80",
                                "::ffff:1.2.3",
                                "-1.2.3.4",
                                " 1.2.3.4"}) {
    EXPECT_FALSE(parse_network(bad).is_ok()) << bad;
  }
}

}  // namespace
}  // namespace yunqi
