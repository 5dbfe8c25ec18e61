// A drain ends by itself, or at once when told so, whatever the server still waits for.
#include "app/serve_drain.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

namespace yunqi {
namespace {

// Its drain(timeout) waits for drain(0); no connection is ever open.
class StuckServer final : public HttpServer {
 public:
  uint16_t port() const override { return 0; }
  size_t open_connections() const override { return 0; }
  void drain(int64_t timeout_ms) override {
    std::unique_lock lock(mutex_);
    ++drains;
    if (timeout_ms == 0) closed_ = true;
    changed_.notify_all();
    changed_.wait(lock, [&] { return closed_; });
  }
  void close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }
  int drains = 0;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool closed_ = false;  // guarded by mutex_
};

TEST(DrainServer, ASecondSignalIsSeenWhenNoConnectionIsOpen) {
  StuckServer server;
  int asked = 0;
  drain_server(server, 60'000, [&](int) { return ++asked == 3; });
  EXPECT_EQ(asked, 3);
  EXPECT_EQ(server.drains, 2);
}

TEST(DrainServer, ReturnsWhenTheServerIsDrained) {
  StuckServer server;
  drain_server(server, 60'000, [&](int) {
    server.close();
    return false;
  });
  EXPECT_EQ(server.drains, 1);
}

}  // namespace
}  // namespace yunqi
