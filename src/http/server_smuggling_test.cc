// Requests that two programs could read in two ways: each is refused, and what follows on its
// connection is never taken for a request.
#include <gtest/gtest.h>

#include <atomic>

#include "http/raw_client_fake.h"
#include "http/server.h"

namespace yunqi {
namespace {

const std::string kHost = "Host: localhost\r\n";
const std::string kLine = "POST /first HTTP/1.1\r\n";

// Fields that make two lengths of one message, or that only some programs see.
const char* const kBadFields[] = {
    "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
    "Content-Length: 0\r\nContent-Length: 44\r\n",
    "Content-Length: 0\r\nContent-Length: 0\r\n",
    "Content-Length: 0, 0\r\n",
    "Content-Length: +0\r\n",
    "Content-Length: -0\r\n",
    "Content-Length: 0x0\r\n",
    "Content-Length: 0 0\r\n",
    "Content-Length: 00000000000000000000\r\n",
    "Content-Length: 99999999999999999999\r\n",
    "Content-Length:\r\n",
    "Content-Length: \v0\r\n",
    "Content-Length : 0\r\n",
    "Content-Length\t: 0\r\n",
    " Content-Length: 0\r\n",
    "Content-Length: 0\r\n 4\r\n",
    "Content-Length: 0\n",
    "Content-Length: 0\r",
    "Content_Length: 0\r\n:\r\n",
    "Transfer-Encoding : chunked\r\n",
    "Transfer-Encoding: xchunked\r\n",
    "Transfer-Encoding: chunked, identity\r\n",
    "Transfer-Encoding: identity, chunked\r\n",
    "Transfer-Encoding: chunked, chunked\r\n",
    "Transfer-Encoding: chunked;q=1\r\n",
    "Transfer-Encoding: \"chunked\"\r\n",
    "Transfer-Encoding: 'chunked'\r\n",
    "Transfer-Encoding: \vchunked\r\n",
    "Transfer-Encoding:\r\n chunked\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip\r\n",
    "Transfer-Encoding:\r\n",
    "Transfer-Encoding\r\n",
    "Transfer\r-Encoding: chunked\r\n",
    "X: y\rTransfer-Encoding: chunked\r\n",
    "X: y\nTransfer-Encoding: chunked\r\n",
    "X: y\r\n\tTransfer-Encoding: chunked\r\n",
    "Host: other\r\n",
    "Expect: 100-continue, x\r\n",
};
const char* const kBadHosts[] = {
    "a/?x=",
    "h/#",
    "a@localhost",
    "localhost, other",
    "",
    "localhost:",
    "localhost:80x",
    "localhost:80:80",
    "[::1",
    "local\thost",
    "localhost:65536",
    "lo%63alhost",
    "localhost localhost",
};
const char* const kBadTargets[] = {
    "http://localhost/first",
    "/../first",
    "/%2e%2e/first",
    "/first%00",
    "/first%",
    "/fir\\st",
    "/first#x",
    "first",
    "*",
    "/first /x",
    "/%c0%af",
    "/first%0a",
    "/first\x7f",
    "/a%2f..%2ffirst",
    "/./first",
};
const char* const kBadLines[] = {
    "POST /first HTTP/1.1 ",   "POST  /first HTTP/1.1", "POST /first HTTP/1.2",
    "POST /first http/1.1",    "POST /first",           "/first HTTP/1.1",
    "P(ST /first HTTP/1.1",    "PRI * HTTP/2.0",        "POST /first HTTP/1.1\x01",
    "POST /first HTTP/1.1\r ", "POST\t/first HTTP/1.1", "CONNECT localhost:80 HTTP/1.1",
};
const char* const kBadChunks[] = {
    "-1\r\n",
    "+0\r\n\r\n",
    "0x0\r\n\r\n",
    " 0\r\n\r\n",
    "0 \r\n\r\n",
    "\r\n0\r\n\r\n",
    "0\n\n",
    "0\r\n\n",
    "1\r\nab\r\n0\r\n\r\n",
    "2\r\na\r\n0\r\n\r\n",
    "1\r\na0\r\n\r\n",
    "g\r\n",
    "0\r\n x: y\r\n\r\n",
    "0\r\nx\ny\r\n\r\n",
    "00000000000000000\r\n\r\n",
    "0;\n\r\n\r\n",
    "0\r\r\n\r\n",
    "1\n\ra\r\n0\r\n\r\n",
};

struct Smuggled {
  int status;
  std::string bytes;
};

std::vector<Smuggled> smuggled_requests() {
  const std::string coding = "Transfer-Encoding: chunked\r\n";
  std::vector<Smuggled> out;
  for (const char* fields : kBadFields) {
    out.push_back({400, kLine + kHost + fields + "\r\n0\r\n\r\n"});
  }
  for (const char* host : kBadHosts) out.push_back({400, kLine + "Host: " + host + "\r\n\r\n"});
  for (const char* target : kBadTargets) {
    out.push_back({400, fmt::format("GET {} HTTP/1.1\r\n", target) + kHost + "\r\n"});
  }
  for (const char* line : kBadLines) {
    out.push_back({400, std::string(line) + "\r\n" + kHost + "\r\n"});
  }
  for (const char* chunks : kBadChunks) {
    out.push_back({400, kLine + kHost + coding + "\r\n" + chunks});
  }
  out.push_back({400, kLine + "\r\n"});
  out.push_back({400, "\r\n\r\n" + kLine + kHost + "\r\n"});
  out.push_back({400, "POST /first HTTP/1.0\r\n" + coding + "\r\n0\r\n\r\n"});
  out.push_back({403, kLine + "Host: evil.example\r\n\r\n"});
  out.push_back({403, kLine + "Host: localhost.evil.example\r\n\r\n"});
  return out;
}

TEST(HttpSmuggling, IsAnsweredOnceAndTheConnectionEnds) {
  std::atomic<int> reached{0};
  const auto server = start_fake_server({}, [&](const HttpRequest& request) -> HttpReply {
    reached.fetch_add(1);
    return fake_echo(request);
  });
  const std::vector<Smuggled> cases = smuggled_requests();
  EXPECT_GE(cases.size(), 100u);
  for (const Smuggled& each : cases) {
    RawClient client(server->port());
    client.send(each.bytes + "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_EQ(client.response().status, each.status) << each.bytes;
    EXPECT_EQ(client.response().status, 0) << each.bytes;
    EXPECT_TRUE(client.closed()) << each.bytes;
  }
  EXPECT_EQ(reached.load(), 0);
  RawClient client(server->port());
  client.send(kLine + kHost + "\r\n");
  EXPECT_EQ(client.response().status, 200);
}

}  // namespace
}  // namespace yunqi
