// The database as a whole: one writer thread that commits in groups, one connection for reads.
// Every durable fact goes through write() or post(); aggregates (ledger.h, directory.h, ...) are
// made over one Store, which outlives them. All members are thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/file.h"
#include "store/postgres.h"
#include "store/sql.h"

namespace yunqi {

inline constexpr size_t kMaxQueuedWrites = 16'384;  // jobs waiting; one over is kUnavailable
inline constexpr size_t kMaxGroupedWrites = 1'024;  // jobs in one commit

struct StoreOptions {
  Path sqlite_path = {};        // the database file; used unless `postgres` has an address
  std::string sqlite_vfs = {};  // for tests; empty for the machine's own files
  PostgresOptions postgres = {};
  int64_t commit_window_ms = 10;  // a posted job is durable after this plus one commit
  int64_t tick_ms = 5'000;        // how often on_tick's job runs
};

// What a writer does inside a transaction. It may run again when the group it was in was rolled
// back, so it must set its outputs anew each time. An error undoes all that it wrote.
using WriteJob = std::function<Status(Sql&)>;
using ReadJob = std::function<Status(Sql&)>;

class Store {
 public:
  // Makes or migrates the database. kUnavailable: another process uses it, or the server is away.
  // kBadFile: damaged, or of a newer program.
  static Result<std::unique_ptr<Store>> open(const StoreOptions& options);
  // Commits what is queued.
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // Returns when `job` is durable, or with its error.
  Status write(WriteJob job);
  // Queues `job`; `done` is called on the writer thread with what write() would return, and must
  // not wait. `is_urgent` commits at once, else within commit_window_ms.
  Status post(WriteJob job, std::function<void(Status)> done, bool is_urgent);
  // Runs on the read connection, which sees all that is committed. Short ones only.
  Status read(const ReadJob& job);
  // As read() on a connection of its own, with one consistent view of the database: for long walks.
  Status read_snapshot(const ReadJob& job);
  // One job that the writer runs every tick_ms, also under load; errors are logged.
  void on_tick(WriteJob job);
  // A copy of the database as a file (SQLite only; PostgreSQL has pg_dump).
  Status backup_to(const Path& path);

  // This process among those that share the database; new at every open.
  const std::string& instance() const;
  bool is_postgres() const;
  // OK, or why nothing is accepted any more: after a disk failed, only a restart knows what is
  // there.
  Status health() const;

  struct Impl;
  explicit Store(std::unique_ptr<Impl> impl);  // by open()

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace yunqi
