// Heads that are read, and every kind that two programs could read in two ways and is refused.
#include "http/request_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace yunqi {
namespace {

using ::testing::HasSubstr;

std::string with_fields(std::string_view fields) {
  return fmt::format("POST / HTTP/1.1\r\nHost: h\r\n{}\r\n", fields);
}

TEST(RequestRules, ReadsAHead) {
  const auto head = parse_request_head(
      "POST /v1/a%20b?q=%20&r HTTP/1.1\r\nHost: localhost\r\nX-Empty:\r\nX-TRIM: \t a b \t\r\n"
      "Content-Length: 12\r\nExpect: 100-Continue\r\n\r\n");
  ASSERT_TRUE(head.is_ok()) << head.status().to_string();
  EXPECT_EQ((*head).method, "POST");
  EXPECT_EQ((*head).path, "/v1/a b");
  EXPECT_EQ((*head).query, "q=%20&r");
  EXPECT_EQ((*head).content_length, 12u);
  EXPECT_TRUE((*head).expects_continue);
  EXPECT_TRUE((*head).keep_alive);
  EXPECT_FALSE((*head).chunked);
  EXPECT_EQ((*head).headers[1], (std::pair<std::string, std::string>("x-empty", "")));
  EXPECT_EQ((*head).headers[2], (std::pair<std::string, std::string>("x-trim", "a b")));
}

TEST(RequestRules, KnowsWhenAConnectionStays) {
  const auto keeps = [](std::string_view version, std::string_view connection) {
    const auto head =
        parse_request_head(fmt::format("GET / {}\r\nHost: h\r\n{}\r\n", version, connection));
    return head.is_ok() && (*head).keep_alive;
  };
  EXPECT_TRUE(keeps("HTTP/1.1", ""));
  EXPECT_TRUE(keeps("HTTP/1.1", "Connection: not-close\r\n"));
  EXPECT_FALSE(keeps("HTTP/1.1", "Connection: x , CLOSE\r\n"));
  EXPECT_FALSE(keeps("HTTP/1.1", "Connection: close\r\nConnection: keep-alive\r\n"));
  EXPECT_FALSE(keeps("HTTP/1.0", ""));
  EXPECT_TRUE(keeps("HTTP/1.0", "Connection: Keep-Alive\r\n"));
  EXPECT_FALSE(keeps("HTTP/1.0", "Connection: keep-alive, close\r\n"));
}

struct BadHead {
  const char* what;
  std::string head;
};

std::vector<BadHead> bad_heads() {
  const std::string get = "GET / HTTP/1.1\r\nHost: h\r\n";
  return {
      {"nothing", ""},
      {"no end", get},
      {"bytes behind", get + "\r\nx"},
      {"empty line first", "\r\n" + get + "\r\n"},
      {"no method", " / HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"method no token", "G@T / HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"method too long", std::string(33, 'A') + " / HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"no version", "GET /\r\nHost: h\r\n\r\n"},
      {"HTTP/0.9", "GET / HTTP/0.9\r\nHost: h\r\n\r\n"},
      {"HTTP/2", "PRI * HTTP/2.0\r\n\r\n"},
      {"version in lower case", "GET / http/1.1\r\nHost: h\r\n\r\n"},
      {"version 1.10", "GET / HTTP/1.10\r\nHost: h\r\n\r\n"},
      {"two spaces", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"tab", "GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"space in target", "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"space behind", "GET / HTTP/1.1 \r\nHost: h\r\n\r\n"},
      {"absolute form", "GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"authority form", "CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"asterisk for GET", "GET * HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"fragment", "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"raw UTF-8", "GET /\xc3\xa9 HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"NUL in target", std::string("GET /a\0 HTTP/1.1\r\nHost: h\r\n\r\n", 30)},
      {"bare LF", "GET / HTTP/1.1\nHost: h\n\n"},
      {"bare LF in a line", get + "A: b\nC: d\r\n\r\n"},
      {"bare CR", get + "A: b\rC: d\r\n\r\n"},
      {"CR CR LF", get + "A: b\r\r\n\r\n"},
      {"folded", get + "A: b\r\n c\r\n\r\n"},
      {"folded with tab", get + "A: b\r\n\tc\r\n\r\n"},
      {"space before colon", get + "A : b\r\n\r\n"},
      {"tab before colon", get + "Content-Length\t: 5\r\n\r\n"},
      {"no colon", get + "Abc\r\n\r\n"},
      {"no name", get + ": b\r\n\r\n"},
      {"name no token", get + "A(b: c\r\n\r\n"},
      {"UTF-8 name", get + "\xc3\xa9: c\r\n\r\n"},
      {"NUL in value", get + std::string("A: b\0c\r\n\r\n", 10)},
      {"DEL in value", get + "A: \x7f\r\n\r\n"},
      {"escape in value", get + "A: \x1b[0m\r\n\r\n"},
      {"no host", "GET / HTTP/1.1\r\n\r\n"},
      {"two hosts", get + "Host: h\r\n\r\n"},
      {"two hosts, cases", get + "hOST: other\r\n\r\n"},
      {"length empty", with_fields("Content-Length:\r\n")},
      {"length signed", with_fields("Content-Length: +5\r\n")},
      {"length negative", with_fields("Content-Length: -1\r\n")},
      {"length hex", with_fields("Content-Length: 0x5\r\n")},
      {"length decimal point", with_fields("Content-Length: 5.0\r\n")},
      {"length with space", with_fields("Content-Length: 5 5\r\n")},
      {"length list", with_fields("Content-Length: 5, 5\r\n")},
      {"length overflow", with_fields("Content-Length: 18446744073709551621\r\n")},
      {"length of 20 digits", with_fields("Content-Length: 00000000000000000005\r\n")},
      {"two lengths", with_fields("Content-Length: 5\r\nContent-Length: 6\r\n")},
      {"two equal lengths", with_fields("Content-Length: 5\r\nContent-length: 5\r\n")},
      {"length and coding", with_fields("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")},
      {"coding and length", with_fields("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")},
      {"coding xchunked", with_fields("Transfer-Encoding: xchunked\r\n")},
      {"coding identity", with_fields("Transfer-Encoding: identity\r\n")},
      {"coding gzip, chunked", with_fields("Transfer-Encoding: gzip, chunked\r\n")},
      {"coding chunked, identity", with_fields("Transfer-Encoding: chunked, identity\r\n")},
      {"coding quoted", with_fields("Transfer-Encoding: \"chunked\"\r\n")},
      {"coding with VT", with_fields("Transfer-Encoding: \x0b"
                                     "chunked\r\n")},
      {"coding empty", with_fields("Transfer-Encoding:\r\n")},
      {"two codings", with_fields("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")},
      {"coding in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {"other expectation", with_fields("Expect: 200-ok\r\n")},
  };
}

TEST(RequestRules, RefusesHeads) {
  for (const BadHead& bad : bad_heads()) {
    const auto head = parse_request_head(bad.head);
    ASSERT_FALSE(head.is_ok()) << bad.what;
    EXPECT_EQ(head.status().code(), Code::kInvalidArgument) << bad.what;
    EXPECT_THAT(head.status().message(), HasSubstr("HTTP: ")) << bad.what;
  }
}

TEST(RequestRules, LimitsFieldsAndTargets) {
  std::string fields;
  for (size_t i = 1; i < kMaxHeaderFields; ++i) fields += "A: b\r\n";
  EXPECT_TRUE(parse_request_head(with_fields(fields)).is_ok());
  EXPECT_EQ(parse_request_head(with_fields(fields + "A: b\r\n")).status().code(), Code::kTooLarge);
  const auto with_target = [](size_t bytes) {
    return "GET /" + std::string(bytes - 1, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n";
  };
  EXPECT_TRUE(parse_request_head(with_target(kMaxTargetBytes)).is_ok());
  EXPECT_EQ(parse_request_head(with_target(kMaxTargetBytes + 1)).status().code(), Code::kTooLarge);
}

TEST(RequestRules, FindsTheEndOfAHead) {
  const std::string head = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
  size_t scanned = 0;
  EXPECT_EQ(*find_head_end(head + "body", 100, scanned), head.size());
  // Byte by byte, the place is kept between calls.
  scanned = 0;
  for (size_t size = 0; size < head.size(); ++size) {
    EXPECT_EQ(*find_head_end(head.substr(0, size), 100, scanned), 0u) << size;
  }
  EXPECT_EQ(*find_head_end(head, 100, scanned), head.size());
  scanned = 0;
  EXPECT_EQ(*find_head_end(head, head.size(), scanned), head.size());
  scanned = 0;
  EXPECT_EQ(find_head_end(head, head.size() - 1, scanned).status().code(), Code::kTooLarge);
  scanned = 0;
  EXPECT_EQ(find_head_end(std::string(100, 'a'), 100, scanned).status().code(), Code::kTooLarge);
  for (const char* bad : {"a\n", "\n", "a\rb", "a\r\n\n", "a\r\n\r\r\n", "a\r\r\n"}) {
    scanned = 0;
    EXPECT_EQ(find_head_end(bad, 100, scanned).status().code(), Code::kInvalidArgument) << bad;
  }
}

TEST(RequestRules, DecodesPathsOnce) {
  EXPECT_EQ(*decode_path("/"), "/");
  EXPECT_EQ(*decode_path("/a%2Fb%20c/..d/e./%e4%ba%91"), "/a/b c/..d/e./\xe4\xba\x91");
  EXPECT_EQ(*decode_path("/%252e%252e/"), "/%2e%2e/");
  for (const char* bad : {"",
                          "a",
                          "%2f",
                          "/%",
                          "/%2",
                          "/%g0",
                          "/%0",
                          "/..",
                          "/../a",
                          "/a/..",
                          "/a/../b",
                          "/./a",
                          "/%2e%2e/a",
                          "/%2E./a",
                          "/.%2e",
                          "/a%2f..%2fb",
                          "/%00",
                          "/a%0a",
                          "/a%0d%0ab",
                          "/%7f",
                          "/a\\b",
                          "/a%5c..%5cb",
                          "/%c0%ae%c0%ae/",
                          "/%ff",
                          "/%c3",
                          "/%ed%a0%80"}) {
    EXPECT_FALSE(decode_path(bad).is_ok()) << bad;
  }
}

}  // namespace
}  // namespace yunqi
