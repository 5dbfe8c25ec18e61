// Names that reach this machine, and pages that may use it.
#include "http/host_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace yunqi {
namespace {

TEST(HostCheck, TakesTheNameOutOfAHost) {
  EXPECT_EQ(host_name("LocalHost:8080"), "localhost");
  EXPECT_EQ(host_name("a-b.example"), "a-b.example");
  EXPECT_EQ(host_name("127.0.0.1:65535"), "127.0.0.1");
  EXPECT_EQ(host_name("[::1]:80"), "[::1]");
  EXPECT_EQ(host_name("[FE80::1]"), "[fe80::1]");
  for (const char* bad : {"",
                          ":80",
                          "a:",
                          "a:65536",
                          "a:1x",
                          "a:-1",
                          "a:1:2",
                          "a b",
                          "a/b",
                          "a/?x=",
                          "h/#",
                          "a?x",
                          "a@b",
                          "user@localhost",
                          "a,b",
                          "a\\b",
                          "[::1",
                          "[]",
                          "[::1]x",
                          "[::1]:",
                          "[::1]:99999",
                          "[g::1]",
                          "[::1]]",
                          "::1",
                          "a%20b",
                          "a\tb",
                          "\xc3\xa9.example"}) {
    EXPECT_EQ(host_name(bad), "") << bad;
  }
  EXPECT_EQ(host_name(std::string(260, 'a')).size(), 260u);
  EXPECT_EQ(host_name(std::string(261, 'a')), "");
}

TEST(HostCheck, KnowsLoopbackNames) {
  for (const char* name : {"localhost", "app.localhost", "127.0.0.1", "127.255.1.2", "[::1]"}) {
    EXPECT_TRUE(is_loopback_name(name)) << name;
  }
  for (const char* name : {"localhost.example", "notlocalhost", "128.0.0.1", "127.1",
                           "127.0.0.1.example", "127.0.0.256", "127.0.0.", "0127.0.0.1",
                           "127.0.0.01", "127.0.0.1.1", "[::2]", "0x7f.0.0.1", "-127.0.0.1"}) {
    EXPECT_FALSE(is_loopback_name(name)) << name;
  }
}

TEST(HostCheck, AnswersItsOwnNamesOnly) {
  const HostRules loopback{.bound = "127.0.0.1", .allowed_hosts = {}, .cors_origins = {}};
  EXPECT_TRUE(check_host(loopback, "localhost:1").is_ok());
  EXPECT_EQ(check_host(loopback, "rebound.example").code(), Code::kPermission);
  EXPECT_EQ(check_host(loopback, "192.168.1.5").code(), Code::kPermission);
  EXPECT_EQ(check_host(loopback, "a/?x=").code(), Code::kInvalidArgument);
  const HostRules named{.bound = "10.0.0.7", .allowed_hosts = {"Ai.Example"}, .cors_origins = {}};
  EXPECT_TRUE(check_host(named, "10.0.0.7:80").is_ok());
  EXPECT_TRUE(check_host(named, "ai.example").is_ok());
  EXPECT_FALSE(check_host(named, "x.ai.example").is_ok());
  EXPECT_FALSE(check_host(named, "10.0.0.8").is_ok());
  const HostRules v6{.bound = "fd00::1", .allowed_hosts = {}, .cors_origins = {}};
  EXPECT_TRUE(check_host(v6, "[fd00::1]:8080").is_ok());
  for (const char* every : {"0.0.0.0", "::"}) {
    const HostRules open{.bound = every, .allowed_hosts = {}, .cors_origins = {}};
    EXPECT_TRUE(check_host(open, "192.168.1.5:8080").is_ok());
    EXPECT_TRUE(check_host(open, "[fd00::2]:8080").is_ok());
    EXPECT_FALSE(check_host(open, "rebound.example").is_ok());
    EXPECT_FALSE(check_host(open, "192.168.1.5.example").is_ok());
  }
  const HostRules all{.bound = "::", .allowed_hosts = {"*"}, .cors_origins = {}};
  EXPECT_TRUE(check_host(all, "any.example").is_ok());
  EXPECT_FALSE(check_host(all, "any example").is_ok());
}

TEST(HostCheck, LetsOwnAndListedPagesIn) {
  const HostRules rules{
      .bound = "127.0.0.1", .allowed_hosts = {}, .cors_origins = {"https://app.example"}};
  EXPECT_TRUE(check_origin(rules, "http://localhost:8080", "localhost:8080").is_ok());
  EXPECT_TRUE(check_origin(rules, "https://LOCALHOST:8080", "localhost:8080").is_ok());
  EXPECT_TRUE(check_origin(rules, "https://app.example", "localhost:8080").is_ok());
  for (const char* bad : {"null", "", "http://localhost:8081", "http://localhost", "localhost:8080",
                          "http://app.example", "https://app.example:443", "https://xapp.example",
                          "https://app.example.evil", "http://localhost:8080/x"}) {
    EXPECT_EQ(check_origin(rules, bad, "localhost:8080").code(), Code::kPermission) << bad;
  }
  EXPECT_FALSE(is_cors_origin(rules, "http://localhost:8080"));
  EXPECT_TRUE(is_cors_origin(rules, "https://app.example"));
  EXPECT_EQ(check_origin(rules, "http://", "").code(), Code::kPermission);
}

TEST(HostCheck, StarAndNullMustBeListed) {
  const HostRules null{.bound = "::", .allowed_hosts = {}, .cors_origins = {"null"}};
  EXPECT_TRUE(is_cors_origin(null, "null"));
  const HostRules all{.bound = "::", .allowed_hosts = {}, .cors_origins = {"*"}};
  EXPECT_TRUE(check_origin(all, "https://any.example", "localhost").is_ok());
  EXPECT_TRUE(is_cors_origin(all, "null"));
}

}  // namespace
}  // namespace yunqi
