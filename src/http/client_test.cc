// The HTTP client against a server on loopback: bodies, limits, redirects, credentials, cut and
// stalled answers, cancel.
#include "http/client.h"

#include <gtest/gtest.h>

#include "http/client_fake.h"

namespace yunqi {
namespace {

class Client : public testing::Test {
 protected:
  void SetUp() override { server_.set(R"({"repos": {}, "faults": {}})"); }
  Result<ClientResponse> get(const std::string& path) {
    ClientRequest request;
    request.url = server_.url() + path;
    return http_request(request);
  }

  FakeServer& server_ = FakeServer::shared();
};

TEST_F(Client, GivesStatusHeadersBodyAndUrl) {
  auto response = get("/_bytes?n=100000");
  ASSERT_TRUE(response.is_ok()) << response.status().to_string();
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->body, std::string(100000, 'x'));
  ASSERT_TRUE(response->header("content-length"));
  EXPECT_EQ(*response->header("content-length"), "100000");
  EXPECT_EQ(response->final_url, server_.url() + "/_bytes?n=100000");
  EXPECT_EQ(response->header("no-such-header"), nullptr);
}

TEST_F(Client, AnErrorStatusIsAValue) {
  auto response = get("/_status?code=404");
  ASSERT_TRUE(response.is_ok());
  EXPECT_EQ(response->status, 404);
  EXPECT_EQ(response->body, "status body");
}

TEST_F(Client, SendsBodiesAndHeaders) {
  ClientRequest request;
  request.method = "POST";
  request.url = server_.url() + "/_echo";
  request.body = "hello";
  auto response = http_request(request);
  ASSERT_TRUE(response.is_ok());
  EXPECT_NE(response->body.find("\"body\": \"hello\""), std::string::npos) << response->body;

  request.url = server_.url() + "/_redirect303";  // the page it leads to is fetched with GET
  response = http_request(request);
  ASSERT_TRUE(response.is_ok());
  EXPECT_NE(response->body.find("\"method\": \"GET\""), std::string::npos) << response->body;
}

TEST_F(Client, HeadHasNoBody) {
  ClientRequest request;
  request.method = "HEAD";
  request.url = server_.url() + "/_echo";
  auto response = http_request(request);
  ASSERT_TRUE(response.is_ok()) << response.status().to_string();
  EXPECT_EQ(*response->header("content-length"), "12345");
  EXPECT_EQ(response->body, "");
}

TEST_F(Client, BodyLimitIsExact) {
  ClientRequest request;
  request.url = server_.url() + "/_bytes?n=1000";
  request.max_body_bytes = 1000;
  EXPECT_TRUE(http_request(request).is_ok());
  request.max_body_bytes = 999;
  EXPECT_EQ(http_request(request).status().code(), Code::kTooLarge);
}

TEST_F(Client, HeaderCountLimit) {
  EXPECT_TRUE(get("/_headers?n=253").is_ok());  // the server adds three of its own
  EXPECT_EQ(get("/_headers?n=254").status().code(), Code::kTooLarge);
}

TEST_F(Client, BadUrlsAndHeadersAreRefused) {
  for (const std::string url : {"", "ftp://host/x", "file:///etc/passwd", "http://", "host/path",
                                "http://a b/", "http://host/\nx"}) {
    ClientRequest request;
    request.url = url;
    EXPECT_EQ(http_request(request).status().code(), Code::kInvalidArgument) << url;
  }
  ClientRequest request;
  request.url = server_.url() + "/_echo";
  request.headers = {{"x-one", "a\r\nx-two: b"}};
  EXPECT_EQ(http_request(request).status().code(), Code::kInvalidArgument);
  request.headers = {{"x one", "a"}};
  EXPECT_EQ(http_request(request).status().code(), Code::kInvalidArgument);
}

TEST_F(Client, NetworkErrorsAreUnavailable) {
  ClientRequest request;
  request.url = "http://127.0.0.1:1/";
  EXPECT_EQ(http_request(request).status().code(), Code::kUnavailable);
  EXPECT_EQ(get("/_truncated").status().code(), Code::kUnavailable);
}

TEST_F(Client, IdleTimeoutEndsAStall) {
  ClientRequest request;
  request.url = server_.url() + "/_stall";
  request.idle_timeout_ms = 200;
  auto response = http_request(request);
  EXPECT_EQ(response.status().code(), Code::kUnavailable);
  EXPECT_NE(response.status().message().find("no byte arrived"), std::string::npos);
}

TEST_F(Client, KeepGoingEndsAStall) {
  ClientRequest request;
  request.url = server_.url() + "/_stall";
  int asked = 0;
  std::string got;
  ClientSink sink;
  sink.on_chunk = [&](std::string_view chunk) {
    got += chunk;
    return true;
  };
  sink.keep_going = [&] { return ++asked < 3; };
  EXPECT_EQ(http_stream(request, sink).status().code(), Code::kCancelled);
  EXPECT_EQ(got, "zzzzzzzzzz");
}

TEST_F(Client, SinkGetsHeadOnceThenChunksAndCanStop) {
  ClientRequest request;
  request.url = server_.url() + "/_redirect?to=/_bytes?n=5000000";
  int heads = 0;
  size_t bytes = 0;
  ClientSink sink;
  sink.on_head = [&](const ClientResponse& head) {
    EXPECT_EQ(head.status, 200);
    ++heads;
    return true;
  };
  sink.on_chunk = [&](std::string_view chunk) {
    bytes += chunk.size();
    return true;
  };
  auto response = http_stream(request, sink);
  ASSERT_TRUE(response.is_ok());
  EXPECT_EQ(heads, 1);
  EXPECT_EQ(bytes, 5000000u);
  EXPECT_EQ(response->body, "");

  sink.on_chunk = [](std::string_view) { return false; };
  EXPECT_EQ(http_stream(request, sink).status().code(), Code::kCancelled);
  sink.on_head = [](const ClientResponse&) { return false; };
  EXPECT_EQ(http_stream(request, sink).status().code(), Code::kCancelled);
}

TEST_F(Client, RedirectsAreFollowedAndBounded) {
  auto response = get("/_redirect?to=/_bytes?n=3");
  ASSERT_TRUE(response.is_ok());
  EXPECT_EQ(response->body, "xxx");
  EXPECT_EQ(response->final_url, server_.url() + "/_bytes?n=3");
  EXPECT_EQ(get("/_loop").status().code(), Code::kUnavailable);
  EXPECT_EQ(server_.log().as_array().size(), 8u);  // 2 + the first and five redirects

  ClientRequest request;
  request.url = server_.url() + "/_loop";
  request.max_redirects = 0;
  response = http_request(request);
  ASSERT_TRUE(response.is_ok());
  EXPECT_EQ(response->status, 302);
}

TEST_F(Client, RedirectsToOtherSchemesAreRefused) {
  EXPECT_EQ(get("/_redirect?to=file:///etc/passwd").status().code(), Code::kUnavailable);
  EXPECT_EQ(get("/_redirect?to=ftp://127.0.0.1/x").status().code(), Code::kUnavailable);
}

TEST_F(Client, CredentialsStayWithTheirOrigin) {
  ClientRequest request;
  request.headers = {{"Authorization", "Bearer secret"}, {"Cookie", "a=b"}, {"X-Plain", "1"}};
  request.url = server_.url() + "/_redirect?to=/_echo";
  auto same = http_request(request);
  ASSERT_TRUE(same.is_ok());
  EXPECT_NE(same->body.find("secret"), std::string::npos);

  request.url = server_.url() + "/_redirect?to=" + server_.other_url() + "/_echo";
  auto other = http_request(request);
  ASSERT_TRUE(other.is_ok());
  EXPECT_EQ(other->body.find("secret"), std::string::npos) << other->body;
  EXPECT_EQ(other->body.find("cookie"), std::string::npos);
  EXPECT_NE(other->body.find("x-plain"), std::string::npos);

  // There and back: the other host chose where to, so nothing is sent again.
  request.url = server_.url() + "/_redirect?to=" + server_.other_url() +
                "/_redirect%3Fto=" + server_.url() + "/_echo";
  auto back = http_request(request);
  ASSERT_TRUE(back.is_ok());
  EXPECT_EQ(back->body.find("secret"), std::string::npos);
}

TEST(UrlOrigin, KnowsDefaultsAndCase) {
  auto origin = url_origin("HTTPS://Example.ORG/x?y");
  ASSERT_TRUE(origin.is_ok());
  EXPECT_EQ(*origin, (UrlOrigin{"https", "example.org", 443}));
  EXPECT_EQ(url_origin("http://h:8080")->port, 8080);
  EXPECT_FALSE(url_origin("gopher://x").is_ok());
}

}  // namespace
}  // namespace yunqi
