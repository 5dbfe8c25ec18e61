// Each limit of the server at its value and one over, each deadline, running out of descriptors,
// draining and stopping.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <list>
#include <thread>

#include "http/raw_client_fake.h"
#include "http/server.h"

namespace yunqi {
namespace {

using ::testing::HasSubstr;

const std::string kGet = "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n";

// One request on its own connection; the connection must end after an error.
int ask(const HttpServer& server, std::string_view bytes) {
  RawClient client(server.port());
  client.send(bytes);
  const int status = client.response().status;
  EXPECT_TRUE(status == 200 || client.closed());
  return status;
}

TEST(HttpLimits, Heads) {
  HttpServerOptions options;
  options.max_header_bytes = 1000;
  const auto server = start_fake_server(options);
  const auto head_of = [](size_t bytes) {
    const std::string start = "GET /a HTTP/1.1\r\nHost: localhost\r\nA: ";
    return start + std::string(bytes - start.size() - 4, 'x') + "\r\n\r\n";
  };
  EXPECT_EQ(ask(*server, head_of(1000)), 200);
  EXPECT_EQ(ask(*server, head_of(1000) + kGet), 200);
  EXPECT_EQ(ask(*server, head_of(1001)), 431);
  EXPECT_EQ(ask(*server, std::string(200'000, 'x')), 431);
  std::string fields;
  for (int i = 0; i < 100; ++i) fields += "A:\r\n";
  EXPECT_EQ(ask(*server, "GET / HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n"), 431);
  EXPECT_EQ(ask(*server, kGet), 200);
}

TEST(HttpLimits, Bodies) {
  HttpServerOptions options;
  options.max_body_bytes = 100;
  const auto server = start_fake_server(options);
  const auto with_length = [](size_t bytes) {
    return fmt::format("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{}",
                       bytes, std::string(bytes, 'x'));
  };
  const auto chunked = [](size_t bytes) {
    std::string out =
        "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (size_t i = 0; i < bytes; ++i) out += "1\r\nx\r\n";
    return out + "0\r\n\r\n";
  };
  EXPECT_EQ(ask(*server, with_length(100)), 200);
  EXPECT_EQ(ask(*server, with_length(101)), 413);
  EXPECT_EQ(ask(*server, chunked(100)), 200);
  EXPECT_EQ(ask(*server, chunked(101)), 413);
  const std::string head =
      "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(ask(*server, head + "ffffffffffffffff\r\n"), 413);
  EXPECT_EQ(ask(*server, head + "10000000000000000\r\n"), 400);
  EXPECT_EQ(ask(*server, head + "1;" + std::string(100'000, 'x')), 400);
  // A client still writing a body of which only the length was read gets its answer, no reset.
  EXPECT_EQ(ask(*server, with_length(5 << 20)), 413);
}

TEST(HttpLimits, AllBodiesTogether) {
  HttpServerOptions options;
  options.max_total_body_bytes = 1000;
  const auto server = start_fake_server(options);
  RawClient first(server->port());
  first.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\n" +
             std::string(899, 'x'));
  const auto post = [](size_t bytes) {
    return fmt::format("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{}",
                       bytes, std::string(bytes, 'x'));
  };
  while (ask(*server, post(102)) != 503) std::this_thread::yield();
  EXPECT_EQ(ask(*server, post(101)), 200);
  first.send("x");
  EXPECT_EQ(first.response().status, 200);
  EXPECT_EQ(ask(*server, post(1000)), 200);
}

TEST(HttpLimits, Connections) {
  HttpServerOptions options;
  options.max_connections = 3;
  const auto server = start_fake_server(options);
  std::list<RawClient> clients;
  for (int i = 0; i < 3; ++i) {
    clients.emplace_back(server->port()).send(kGet);
    EXPECT_EQ(clients.back().response().status, 200);
  }
  RawClient over(server->port());
  over.send(kGet);
  const RawResponse refused = over.response();
  EXPECT_EQ(refused.status, 503);
  EXPECT_NE(refused.header("retry-after"), nullptr);
  EXPECT_TRUE(over.closed());
  EXPECT_EQ(server->open_connections(), 3u);
  clients.pop_front();
  while (server->open_connections() == 3) std::this_thread::yield();
  EXPECT_EQ(ask(*server, kGet), 200);
}

TEST(HttpLimits, QueuedRequests) {
  std::mutex gate;
  std::atomic<int> handled{0};
  HttpServerOptions options;
  options.worker_threads = 1;
  options.max_queued_requests = 2;
  const auto server = start_fake_server(options, [&](const HttpRequest& request) -> HttpReply {
    handled.fetch_add(1);
    std::lock_guard wait(gate);
    return fake_echo(request);
  });
  std::unique_lock hold(gate);
  RawClient on_worker(server->port());
  on_worker.send(kGet);
  while (handled.load() == 0) std::this_thread::yield();
  std::list<RawClient> clients;
  for (int i = 0; i < 3; ++i) clients.emplace_back(server->port()).send(kGet);
  // Which of the three finds the queue full is the machine's choice.
  const auto is_ready = [](const RawClient& client) { return client.ready(); };
  while (std::none_of(clients.begin(), clients.end(), is_ready)) std::this_thread::yield();
  hold.unlock();
  int answered = 0, refused = 0;
  for (RawClient& client : clients) {
    const int status = client.response().status;
    answered += status == 200;
    refused += status == 503;
  }
  EXPECT_EQ(answered, 2);
  EXPECT_EQ(refused, 1);
  EXPECT_EQ(on_worker.response().status, 200);
}

TEST(HttpLimits, Deadlines) {
  HttpServerOptions options;
  options.header_timeout_ms = 60;
  options.body_timeout_ms = 60;
  options.keep_alive_timeout_ms = 60;
  const auto server = start_fake_server(options);
  EXPECT_EQ(ask(*server, ""), 0);
  EXPECT_EQ(ask(*server, "GET /a HTTP/1.1\r\n"), 408);
  const std::string post = "POST /a HTTP/1.1\r\nHost: localhost\r\n";
  EXPECT_EQ(ask(*server, post + "Content-Length: 5\r\n\r\nabcd"), 408);
  EXPECT_EQ(ask(*server, post + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n"), 408);
  RawClient idle(server->port());
  idle.send(kGet);
  EXPECT_EQ(idle.response().status, 200);
  EXPECT_EQ(idle.response().status, 0);
  EXPECT_TRUE(idle.closed());
  // Sending a byte now and then moves no deadline.
  RawClient trickle(server->port());
  std::thread sender([&] {
    while (trickle.send("x")) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  });
  EXPECT_EQ(trickle.response().status, 408);
  trickle.half_close();
  sender.join();
}

TEST(HttpLimits, WritesWithoutProgress) {
  const auto source = std::make_shared<FakeSource>();
  HttpServerOptions options;
  options.write_timeout_ms = 100;
  const auto server = start_fake_server(
      options, [&](const HttpRequest&) -> HttpReply { return fake_stream_reply(source); });
  RawClient client(server->port(), 4096);
  client.send(kGet);
  ASSERT_TRUE(source->wait_started());
  source->push(std::string(16 << 20, 'x'));
  EXPECT_TRUE(source->wait_destroyed());
}

TEST(HttpLimits, AStreamWithNothingToSayHasNoDeadline) {
  const auto source = std::make_shared<FakeSource>();
  HttpServerOptions options;
  options.write_timeout_ms = options.header_timeout_ms = options.keep_alive_timeout_ms = 30;
  const auto server = start_fake_server(
      options, [&](const HttpRequest&) -> HttpReply { return fake_stream_reply(source); });
  RawClient client(server->port());
  client.send(kGet);
  ASSERT_TRUE(client.await("\r\n\r\n"));
  std::this_thread::sleep_for(std::chrono::milliseconds(150));
  source->push("late");
  source->end();
  EXPECT_TRUE(client.await("late"));
}

TEST(HttpLimits, Descriptors) {
  const auto server = start_fake_server({});
  RawClient before(server->port());
  before.send(kGet);
  EXPECT_EQ(before.response().status, 200);
  // Clients need descriptors of this process too: all are made first, then the rest is used up.
  rlimit old{};
  ::getrlimit(RLIMIT_NOFILE, &old);
  const rlimit few{.rlim_cur = 64, .rlim_max = old.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &few);
  std::vector<int> taken;
  for (int fd = 0; (fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;) taken.push_back(fd);
  ASSERT_GE(taken.size(), 2u);
  ::close(taken.back());
  taken.pop_back();
  // The one free descriptor goes to the client; the server has only its reserve left.
  RawClient turned_away(server->port());
  turned_away.send(kGet);
  EXPECT_TRUE(turned_away.closed());
  before.send(kGet);
  EXPECT_EQ(before.response().status, 200);
  for (const int fd : taken) ::close(fd);
  EXPECT_EQ(ask(*server, kGet), 200);
  ::setrlimit(RLIMIT_NOFILE, &old);
}

// ---- draining ----

class Draining : public ::testing::Test {
 protected:
  std::unique_ptr<HttpServer> start() {
    return start_fake_server({}, [this](const HttpRequest& request) -> HttpReply {
      if (request.path == "/stream") return fake_stream_reply(source_);
      if (!draining_.load()) return fake_echo(request);
      HttpResponse response;
      response.status = 503;
      return response;
    });
  }
  // A client in the middle of a response.
  RawClient open_stream(const HttpServer& server) {
    RawClient client(server.port());
    client.send("GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_TRUE(source_->wait_started());
    return client;
  }
  const std::shared_ptr<FakeSource> source_ = std::make_shared<FakeSource>();
  std::atomic<bool> draining_{false};
};

TEST_F(Draining, IdleConnectionsEndAndRunningResponsesFinish) {
  const auto server = start();
  RawClient idle(server->port());
  idle.send(kGet);
  EXPECT_EQ(idle.response().status, 200);
  RawClient running = open_stream(*server);
  draining_.store(true);
  std::thread drain([&] { server->drain(20'000); });
  EXPECT_TRUE(idle.closed());
  // New requests are still answered, with what the handler says, and their connection ends.
  RawClient late(server->port());
  late.send(kGet);
  const RawResponse refused = late.response();
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(*refused.header("connection"), "close");
  source_->push("last words");
  source_->end();
  EXPECT_EQ(running.response().body, "last words");
  drain.join();
  EXPECT_EQ(server->open_connections(), 0u);
  EXPECT_FALSE(RawClient(server->port()).connected());
}

TEST_F(Draining, EndsWhatRunsAfterItsTime) {
  const auto server = start();
  RawClient running = open_stream(*server);
  server->drain(50);
  EXPECT_TRUE(source_->wait_destroyed());
  EXPECT_TRUE(running.closed());
  EXPECT_EQ(server->open_connections(), 0u);
}

TEST_F(Draining, ASecondDrainStopsNow) {
  const auto server = start();
  RawClient running = open_stream(*server);
  std::thread patient([&] { server->drain(600'000); });
  server->drain(0);
  patient.join();
  EXPECT_TRUE(source_->wait_destroyed());
  EXPECT_TRUE(running.closed());
}

TEST_F(Draining, StoppingWaitsForHandlersAndDropsQueuedRequests) {
  std::atomic<int> handled{0};
  std::atomic<bool> release{false};
  HttpServerOptions options;
  options.worker_threads = 1;
  auto server = start_fake_server(options, [&](const HttpRequest& request) -> HttpReply {
    handled.fetch_add(1);
    while (!release.load()) std::this_thread::yield();
    return fake_echo(request);
  });
  RawClient first(server->port());
  first.send(kGet);
  while (handled.load() == 0) std::this_thread::yield();
  RawClient second(server->port());
  second.send(kGet);
  std::thread stop([&] { server.reset(); });
  EXPECT_TRUE(first.closed());
  EXPECT_TRUE(second.closed());
  release.store(true);
  stop.join();
  EXPECT_EQ(handled.load(), 1);
}

}  // namespace
}  // namespace yunqi
