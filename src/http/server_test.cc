// The server against a raw client: requests, streams, clients that leave, handlers that fail.
#include "http/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "base/log.h"
#include "http/raw_client_fake.h"

namespace yunqi {
namespace {

using ::testing::HasSubstr;

const std::string kGet = "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n";

std::string post(std::string_view path, std::string_view body) {
  return fmt::format("POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{}", path,
                     body.size(), body);
}

TEST(HttpServer, AnswersRequestsOnOneConnection) {
  const auto server = start_fake_server({});
  RawClient client(server->port());
  std::set<std::string> ids;
  for (int i = 0; i < 3; ++i) {
    client.send("GET /a%20b?x=%20 HTTP/1.1\r\nHost: localhost:1\r\nX-Request-Id: mine\r\n\r\n");
    const RawResponse got = client.response();
    EXPECT_EQ(got.status, 200);
    EXPECT_EQ(got.body, "GET /a b?x=%20 0");
    ASSERT_NE(got.header("x-request-id"), nullptr);
    ids.insert(*got.header("x-request-id"));
    EXPECT_EQ(*got.header("x-client-request-id"), "mine");
    EXPECT_THAT(*got.header("date"), HasSubstr(" GMT"));
    EXPECT_EQ(*got.header("x-content-type-options"), "nosniff");
  }
  EXPECT_EQ(ids.size(), 3u);
  client.send(post("/echo", "hello"));
  EXPECT_EQ(client.response().body, "hello");
  EXPECT_EQ(server->open_connections(), 1u);
}

TEST(HttpServer, TakesBodiesInAnyPieces) {
  const auto server = start_fake_server({});
  RawClient client(server->port());
  for (const char c : post("/echo", "hello")) client.send(std::string_view(&c, 1));
  EXPECT_EQ(client.response().body, "hello");
  const std::string chunked =
      "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: Chunked\r\n\r\n"
      "3;name=\"value\"\r\nhel\r\n002\r\nlo\r\n0\r\nTrailer: x\r\n\r\n";
  for (const char c : chunked) client.send(std::string_view(&c, 1));
  EXPECT_EQ(client.response().body, "hello");
  client.send(chunked + chunked);
  EXPECT_EQ(client.response().body, "hello");
  EXPECT_EQ(client.response().body, "hello");
  const std::string large(5 << 20, 'x');
  client.send(post("/echo", large));
  EXPECT_TRUE(client.response().body == large);
}

TEST(HttpServer, KeepsPipelinedRequestsInOrder) {
  const auto source = std::make_shared<FakeSource>();
  const auto server = start_fake_server({}, [&](const HttpRequest& request) -> HttpReply {
    if (request.path == "/later") return fake_deferred_reply(source);
    return fake_echo(request);
  });
  RawClient client(server->port());
  client.send("GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n");
  ASSERT_TRUE(source->wait_started());
  for (int i = 0; i < 100; ++i) client.send(post(fmt::format("/p{}", i), "body") + "\r\n");
  source->push("first");
  source->end();
  EXPECT_EQ(client.response().body, "first");
  for (int i = 0; i < 100; ++i) EXPECT_EQ(client.response().body, fmt::format("POST /p{}? 4", i));
}

TEST(HttpServer, SpeaksHttp10) {
  const auto source = std::make_shared<FakeSource>();
  const auto server = start_fake_server({}, [&](const HttpRequest& request) -> HttpReply {
    if (request.path == "/stream") return fake_stream_reply(source);
    return fake_echo(request);
  });
  RawClient closing(server->port());
  closing.send("GET /a HTTP/1.0\r\n\r\n");
  EXPECT_EQ(closing.response().status, 200);
  EXPECT_TRUE(closing.closed());
  RawClient keeping(server->port());
  for (int i = 0; i < 2; ++i) {
    keeping.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    const RawResponse got = keeping.response();
    EXPECT_EQ(got.status, 200);
    EXPECT_EQ(*got.header("connection"), "keep-alive");
  }
  source->push("to the end");
  source->end();
  keeping.send("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  const RawResponse streamed = keeping.response();
  EXPECT_EQ(streamed.header("transfer-encoding"), nullptr);
  EXPECT_EQ(streamed.body, "to the end");
}

TEST(HttpServer, ConnectionCloseEndsTheConnection) {
  const auto server = start_fake_server({});
  RawClient client(server->port());
  client.send("GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: foo, Close\r\n\r\n" + kGet);
  EXPECT_EQ(*client.response().header("connection"), "close");
  EXPECT_TRUE(client.closed());
}

TEST(HttpServer, HeadHasNoBody) {
  const auto server = start_fake_server({});
  RawClient client(server->port());
  client.send("HEAD /a HTTP/1.1\r\nHost: localhost\r\n\r\n" + kGet);
  const RawResponse head = client.response(true);
  EXPECT_EQ(*head.header("content-length"), "10");
  EXPECT_EQ(client.response().body, "GET /a? 0");
}

TEST(HttpServer, SendsContinueOnlyWhenTheBodyIsAwaited) {
  HttpServerOptions options;
  options.max_body_bytes = 10;
  const auto server = start_fake_server(options);
  const std::string head =
      "POST /echo HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: ";
  RawClient client(server->port());
  client.send(head + "5\r\n\r\n");
  EXPECT_EQ(client.response().status, 100);
  client.send("hello");
  EXPECT_EQ(client.response().body, "hello");
  client.send(head + "5\r\n\r\nhello");
  EXPECT_EQ(client.response().status, 200);
  client.send(head + "11\r\n\r\n");
  EXPECT_EQ(client.response().status, 413);
}

TEST(HttpServer, AnswersBrowsersOfAllowedOriginsOnly) {
  HttpServerOptions options;
  options.cors_origins = {"https://app.example"};
  const auto server = start_fake_server(options);
  const auto ask = [&](std::string_view method, std::string_view origin) {
    RawClient client(server->port());
    client.send(
        fmt::format("{} /a HTTP/1.1\r\nHost: localhost:9\r\nOrigin: {}\r\n\r\n", method, origin));
    return client.response();
  };
  RawResponse got = ask("GET", "https://app.example");
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(*got.header("access-control-allow-origin"), "https://app.example");
  EXPECT_EQ(*got.header("vary"), "Origin");
  got = ask("GET", "http://localhost:9");  // the server's own pages need no header
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.header("access-control-allow-origin"), nullptr);
  for (const char* origin : {"https://evil.example", "null", "http://localhost:10", ""}) {
    got = ask("GET", origin);
    EXPECT_EQ(got.status, 403) << origin;
    EXPECT_EQ(got.header("access-control-allow-origin"), nullptr) << origin;
    EXPECT_EQ(ask("OPTIONS", origin).status, 403) << origin;
  }
  got = ask("OPTIONS", "https://app.example");
  EXPECT_EQ(got.status, 204);
  EXPECT_THAT(*got.header("access-control-allow-headers"), HasSubstr("Authorization"));
  EXPECT_EQ(got.header("content-length"), nullptr);
}

TEST(HttpServer, HeaderValuesCannotEndTheirLine) {
  const auto server = start_fake_server({}, [](const HttpRequest&) -> HttpReply {
    HttpResponse response;
    response.headers.emplace_back("X-Name", "a\r\nSet-Cookie: b");
    return response;
  });
  RawClient client(server->port());
  client.send(kGet);
  const RawResponse got = client.response();
  EXPECT_EQ(got.header("set-cookie"), nullptr);
  EXPECT_EQ(*got.header("x-name"), "a  Set-Cookie: b");
}

// ---- streams and clients that leave ----

class Streaming : public ::testing::Test {
 protected:
  // Requests for /stream and /later are answered from source_.
  std::unique_ptr<HttpServer> start(HttpServerOptions options = {}) {
    return start_fake_server(options, [source = source_](const HttpRequest& request) -> HttpReply {
      if (request.path == "/stream") return fake_stream_reply(source);
      if (request.path == "/later") return fake_deferred_reply(source);
      return fake_echo(request);
    });
  }
  static std::string get(std::string_view path) {
    return fmt::format("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
  }
  std::shared_ptr<FakeSource> source_ = std::make_shared<FakeSource>();
};

TEST_F(Streaming, DataArrivesAsItIsMade) {
  const auto server = start();
  RawClient client(server->port());
  client.send(get("/stream") + kGet);
  for (int i = 0; i < 20; ++i) {
    source_->push(fmt::format("data: {}\n\n", i));
    EXPECT_TRUE(client.await(fmt::format("data: {}\n\n", i)));
  }
  source_->end();
  EXPECT_TRUE(client.await("\r\n0\r\n\r\n"));
  EXPECT_TRUE(source_->wait_destroyed());
  EXPECT_EQ(client.response().body, "GET /a? 0");
}

TEST_F(Streaming, EndsWhenTheClientLeavesWhileNothingFlows) {
  for (const std::string path : {"/stream", "/later"}) {
    for (int way = 0; way < 3; ++way) {
      source_ = std::make_shared<FakeSource>();
      const auto server = start();
      RawClient client(server->port());
      client.send(get(path));
      ASSERT_TRUE(source_->wait_started());
      if (way == 0) client.close();
      if (way == 1) client.reset();
      if (way == 2) client.half_close();
      EXPECT_TRUE(source_->wait_destroyed()) << path << way;
    }
  }
}

TEST_F(Streaming, EndsWhenAClientThatSentMoreThanIsReadAheadLeaves) {
  const auto server = start();
  RawClient client(server->port());
  client.send(get("/stream"));
  ASSERT_TRUE(source_->wait_started());
  client.send(std::string(200 << 10, 'x'));
  client.close();
  EXPECT_TRUE(source_->wait_destroyed());
}

TEST_F(Streaming, DeferredResponseComesWhenWoken) {
  const auto server = start();
  RawClient client(server->port());
  client.send(get("/later"));
  ASSERT_TRUE(source_->wait_started());
  source_->push("done");
  source_->end();
  EXPECT_EQ(client.response().body, "done");
}

TEST_F(Streaming, WakesAfterTheEndDoNothing) {
  std::function<void()> wake;
  {
    const auto server = start();
    RawClient client(server->port());
    client.send(get("/stream"));
    ASSERT_TRUE(source_->wait_started());
    wake = source_->wake();
    client.close();
    EXPECT_TRUE(source_->wait_destroyed());
    wake();
  }
  wake();
}

TEST_F(Streaming, StopsWithStreamsOpenWhileOthersWakeThem) {
  auto server = start();
  RawClient client(server->port());
  client.send(get("/stream"));
  ASSERT_TRUE(source_->wait_started());
  std::atomic<bool> stop{false};
  std::thread producer([&, wake = source_->wake()] {
    while (!stop.load()) {
      wake();
      std::this_thread::yield();
    }
  });
  server.reset();
  EXPECT_TRUE(source_->wait_destroyed());
  stop.store(true);
  producer.join();
  EXPECT_TRUE(client.closed());
}

TEST_F(Streaming, FailingProducersHurtOnlyTheirRequest) {
  set_log_level(LogLevel::kOff);
  const auto server = start();
  source_->fail();
  RawClient later(server->port());
  later.send(get("/later") + kGet);
  EXPECT_EQ(later.response().status, 500);
  EXPECT_EQ(later.response().status, 200);
  RawClient stream(server->port());
  stream.send(get("/stream"));
  EXPECT_EQ(stream.response().status, 0);  // cut short: no last chunk
  RawClient next(server->port());
  next.send(kGet);
  EXPECT_EQ(next.response().status, 200);
  set_log_level(LogLevel::kInfo);
}

TEST(HttpServer, HandlersThatFailAreAnswered500) {
  set_log_level(LogLevel::kOff);
  const auto server = start_fake_server({}, [](const HttpRequest& request) -> HttpReply {
    if (request.path == "/memory") std::string().reserve(std::string().max_size());
    if (request.path == "/range") std::string().at(1);
    return fake_echo(request);
  });
  RawClient client(server->port());
  for (const char* path : {"/memory", "/range"}) {
    client.send(fmt::format("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", path));
    const RawResponse got = client.response();
    EXPECT_EQ(got.status, 500);
    EXPECT_THAT(got.body, HasSubstr("failed"));
    EXPECT_THAT(got.body, Not(HasSubstr("basic_string")));
  }
  client.send(kGet);
  EXPECT_EQ(client.response().status, 200);
  set_log_level(LogLevel::kInfo);
}

TEST(HttpServer, ServesManyBesideAReaderThatDoesNotRead) {
  constexpr int kClients = 240;
  std::mutex mutex;
  std::vector<std::shared_ptr<FakeSource>> sources;
  const auto flood = std::make_shared<FakeSource>();
  HttpServerOptions options;
  options.io_threads = 2;
  const auto server = start_fake_server(options, [&](const HttpRequest& request) -> HttpReply {
    if (request.path == "/flood") return fake_stream_reply(flood);
    auto source = std::make_shared<FakeSource>();
    std::lock_guard lock(mutex);
    sources.push_back(source);
    return fake_stream_reply(source);
  });
  RawClient slow(server->port(), 4096);
  slow.send("GET /flood HTTP/1.1\r\nHost: localhost\r\n\r\n");
  ASSERT_TRUE(flood->wait_started());
  flood->push(std::string(8 << 20, 'x'));
  std::vector<RawClient> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back(server->port()).send("GET /s HTTP/1.1\r\nHost: localhost\r\n\r\n");
  }
  for (RawClient& client : clients) ASSERT_TRUE(client.await("\r\n\r\n"));
  EXPECT_EQ(server->open_connections(), size_t{kClients + 1});
  for (int step = 0; step < 5; ++step) {
    flood->push(std::string(1 << 20, 'y'));
    std::lock_guard lock(mutex);
    for (const auto& source : sources) source->push(fmt::format("token {} ", step));
  }
  for (const auto& source : sources) source->end();
  for (RawClient& client : clients) EXPECT_TRUE(client.await("\r\n0\r\n\r\n"));
  EXPECT_LE(flood->reads(), 2u);  // asked for more only when the first data was taken
}

TEST(HttpServer, RequestsOfClientsThatLeftAreNotHandled) {
  std::mutex gate;
  std::atomic<int> handled{0};
  HttpServerOptions options;
  options.worker_threads = 1;
  const auto server = start_fake_server(options, [&](const HttpRequest& request) -> HttpReply {
    handled.fetch_add(1);
    std::lock_guard wait(gate);
    return fake_echo(request);
  });
  std::unique_lock hold(gate);
  RawClient first(server->port());
  first.send(kGet);
  while (handled.load() == 0) std::this_thread::yield();
  RawClient second(server->port());
  second.send(kGet);
  while (server->open_connections() < 2) std::this_thread::yield();
  second.close();
  while (server->open_connections() > 1) std::this_thread::yield();
  hold.unlock();
  EXPECT_EQ(first.response().status, 200);
  EXPECT_EQ(handled.load(), 1);
}

TEST(HttpServer, SaysWhyItCannotListen) {
  const auto server = start_fake_server({});
  HttpServerOptions options;
  options.port = server->port();
  const auto taken = HttpServer::start(options, fake_echo, fake_error_body);
  ASSERT_FALSE(taken.is_ok());
  EXPECT_EQ(taken.status().code(), Code::kUnavailable);
  EXPECT_THAT(taken.status().message(), HasSubstr(std::to_string(server->port())));
  options.host = "no such host";
  EXPECT_THAT(HttpServer::start(options, fake_echo, fake_error_body).status().message(),
              HasSubstr("no such host"));
}

}  // namespace
}  // namespace yunqi
