// One call of the handler: made by a connection, run on a worker, its reply taken by the connection
// again. Also what a request holds of the server while it runs, given back on every way out.
#pragma once

#include <atomic>
#include <memory>
#include <utility>

#include "http/connection.h"
#include "http/server_shared.h"

namespace yunqi {

// Counts a request as running while it lives; draining waits for those.
class RequestScope {
 public:
  explicit RequestScope(ServerShared& shared);
  ~RequestScope();
  RequestScope(const RequestScope&) = delete;
  RequestScope& operator=(const RequestScope&) = delete;

 private:
  ServerShared& shared_;
  bool undrained_ = false;
};

// Bytes of request bodies held in memory, limited over all connections.
class BodyCharge {
 public:
  explicit BodyCharge(ServerShared& shared) : shared_(&shared) {}
  BodyCharge(BodyCharge&& other) noexcept
      : shared_(other.shared_), bytes_(std::exchange(other.bytes_, 0)) {}
  BodyCharge& operator=(BodyCharge&&) = delete;
  ~BodyCharge() { shared_->body_bytes.fetch_sub(bytes_); }

  // kUnavailable when all bodies together exceed max_total_body_bytes.
  Status add(uint64_t bytes);

 private:
  ServerShared* shared_;
  uint64_t bytes_ = 0;
};

class RequestCall {
 public:
  RequestCall(HttpRequest request, BodyCharge charge, std::shared_ptr<Bell> bell)
      : request_(std::move(request)), charge_(std::move(charge)), bell_(std::move(bell)) {}

  // On a worker. What the handler throws becomes a 500.
  void run(ServerShared& shared);

  // On the connection's io thread.
  bool done() const { return done_.load(std::memory_order_acquire); }
  HttpReply take_reply() { return std::move(reply_); }  // once, when done
  // The client left: not run if it has not begun.
  void abandon() { abandoned_.store(true); }

 private:
  HttpRequest request_;
  const BodyCharge charge_;
  const std::shared_ptr<Bell> bell_;
  HttpReply reply_;  // the worker's until done_
  std::atomic<bool> done_{false};
  std::atomic<bool> abandoned_{false};
};

}  // namespace yunqi
