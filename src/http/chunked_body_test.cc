// The chunked coding in one piece and byte by byte, at each limit and one over it.
#include "http/chunked_body.h"

#include <gtest/gtest.h>

namespace yunqi {
namespace {

struct Decoded {
  Code code = Code::kOk;
  bool done = false;
  std::string body;
  std::string rest;
  bool operator==(const Decoded&) const = default;
};

Decoded decode(std::string_view bytes, uint64_t limit, size_t piece) {
  ChunkedBody chunks(limit);
  Decoded out;
  while (!bytes.empty() && !chunks.done()) {
    const Result<size_t> taken = chunks.take(bytes.substr(0, piece), out.body);
    if (!taken.is_ok()) {
      out.code = taken.status().code();
      return out;
    }
    bytes.remove_prefix(*taken);
  }
  out.done = chunks.done();
  out.rest = bytes;
  return out;
}

// However the bytes are cut, the result is the same.
Decoded decode(std::string_view bytes, uint64_t limit = 1000) {
  const Decoded whole = decode(bytes, limit, bytes.size());
  for (const size_t piece : {1, 2, 3, 7}) {
    const Decoded cut = decode(bytes, limit, piece);
    EXPECT_EQ(cut.code, whole.code) << bytes;
    EXPECT_EQ(cut.done, whole.done) << bytes;
    EXPECT_TRUE(whole.code != Code::kOk || cut == whole) << bytes;
  }
  return whole;
}

TEST(ChunkedBody, Decodes) {
  Decoded got = decode("5\r\nhello\r\n0A ;a=\"b\"\r\n, world!!!\r\n0\r\n\r\nGET /");
  EXPECT_EQ(got.code, Code::kInvalidArgument);  // a space is no part of a size line
  got = decode("5\r\nhello\r\n0A;a=\"b\"\r\n, world!!!\r\n0\r\n\r\nGET /");
  EXPECT_TRUE(got.done);
  EXPECT_EQ(got.body, "hello, world!!!");
  EXPECT_EQ(got.rest, "GET /");
  got = decode("000;x\r\nA: b\r\nC: d\r\n\r\n");
  EXPECT_TRUE(got.done);
  EXPECT_EQ(got.body, "");
  EXPECT_FALSE(decode("5\r\nhello\r\n0\r\n").done);
}

TEST(ChunkedBody, RefusesBrokenCoding) {
  for (const char* bad : {"\r\n",
                          ";\r\n",
                          "g\r\n",
                          "-1\r\n",
                          "+1\r\n",
                          "0x1\r\n",
                          " 1\r\n",
                          "1 \r\n",
                          "1\n",
                          "1\rx",
                          "1\r\nab",
                          "1\r\na\n",
                          "1\r\na\rb",
                          "1;\n\r\n",
                          "1;a\x01\r\n",
                          "0\r\n\n",
                          "0\r\n\rx",
                          "0\r\n a: b\r\n",
                          "0\r\na: b\n\r\n",
                          "0\r\na\x02\r\n",
                          "0\r\na: b\r\n\t",
                          "\xff\r\n"}) {
    EXPECT_EQ(decode(bad).code, Code::kInvalidArgument) << bad;
  }
}

TEST(ChunkedBody, LimitsTheBody) {
  EXPECT_EQ(decode("5\r\nhello\r\n3\r\nabc\r\n0\r\n\r\n", 8).body, "helloabc");
  EXPECT_EQ(decode("5\r\nhello\r\n4\r\nabcd\r\n0\r\n\r\n", 8).code, Code::kTooLarge);
  EXPECT_EQ(decode("ffffffffffffffff\r\n", ~uint64_t{0} - 1).code, Code::kTooLarge);
  EXPECT_EQ(decode("1\r\na\r\nffffffffffffffff\r\n", ~uint64_t{0}).code, Code::kTooLarge);
}

TEST(ChunkedBody, LimitsDigitsLinesAndTrailers) {
  EXPECT_EQ(decode("0000000000000001\r\na\r\n").body, "a");
  EXPECT_EQ(decode("00000000000000001\r\na\r\n").code, Code::kInvalidArgument);
  const auto line = [](size_t bytes) { return "1;" + std::string(bytes - 4, 'x') + "\r\na\r\n"; };
  EXPECT_EQ(decode(line(kMaxChunkLineBytes)).body, "a");
  EXPECT_EQ(decode(line(kMaxChunkLineBytes + 1)).code, Code::kInvalidArgument);
  const auto trailer = [](size_t bytes) {
    return "0\r\n" + std::string(bytes - 4, 'x') + "\r\n\r\n";
  };
  EXPECT_TRUE(decode(trailer(kMaxTrailerBytes)).done);
  EXPECT_EQ(decode(trailer(kMaxTrailerBytes + 1)).code, Code::kInvalidArgument);
}

TEST(ChunkedBody, EndsBodiesOfMillionsOfTinyChunks) {
  const std::string piece = [] {
    std::string out;
    for (int i = 0; i < 10'000; ++i) out += "1\r\na\r\n";
    return out;
  }();
  ChunkedBody chunks(uint64_t{1} << 40);
  std::string body;
  Status status;
  while (status.is_ok() && body.size() < kMaxChunkOverheadBytes) {
    status = chunks.take(piece, body).status();
  }
  EXPECT_EQ(status.code(), Code::kTooLarge);
  EXPECT_EQ(body.size(), kMaxChunkOverheadBytes / 5);
}

}  // namespace
}  // namespace yunqi
