// One HTTP connection: reads requests strictly, has them answered, writes responses no faster than
// the client takes them. Everything of a connection happens on one io thread; others reach it
// through its Bell.
#pragma once

#include <memory>
#include <mutex>

#include "http/server_shared.h"

namespace boost::asio {
class io_context;
}

namespace yunqi {

class Connection;

// How other threads reach a connection. Outlives it: then every call does nothing. Thread-safe.
class Bell : public std::enable_shared_from_this<Bell> {
 public:
  Bell(boost::asio::io_context& io, Connection* connection) : io_(&io), connection_(connection) {}

  // Something may have become ready. Many rings before the connection looks are one.
  void ring() noexcept;
  // Ends the connection, or only when it waits for a next request.
  void close(bool only_idle) noexcept;
  // The connection ends; on its io thread.
  void detach();

 private:
  void deliver();

  std::mutex mutex_;
  boost::asio::io_context* io_;  // null after detach; guarded by mutex_
  Connection* connection_;       // io thread only
  bool on_its_way_ = false;      // guarded by mutex_
  bool close_all_ = false;       // guarded by mutex_
  bool close_idle_ = false;      // guarded by mutex_
};

// Serves the accepted, non-blocking socket `fd` on `io` until it ends; owns `fd`. `refuse`: only
// says 503. Any thread.
void start_connection(boost::asio::io_context& io, int fd, ServerShared& shared, bool refuse);

}  // namespace yunqi
