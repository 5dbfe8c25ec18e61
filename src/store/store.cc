// The writer thread: it takes what is queued, runs it in one transaction, commits, and answers.
// A job that fails makes its group roll back and every job of it run alone, so that only the
// faulty one fails.
#include "store/store.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/file_lock.h"
#include "base/log.h"
#include "base/output_file.h"
#include "store/schema.h"
#include "store/sqlite.h"
#include "store/token.h"

namespace yunqi {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

struct Job {
  WriteJob work;
  std::function<void(Status)> done;
};

Result<std::unique_ptr<Sql>> connect(const StoreOptions& options) {
  if (!options.postgres.address.empty()) return open_postgres(options.postgres);
  return open_sqlite({.path = options.sqlite_path, .vfs = options.sqlite_vfs});
}

// The database holds digests of keys and passwords, so only its owner may read it. SQLite gives its
// other files the permissions of this one.
Status make_private_file(const Path& path) {
  namespace fs = std::filesystem;
  std::error_code failed;
  if (fs::exists(path, failed)) return Status::ok();
  YQ_RETURN_IF_ERROR(OutputFile::open(path).status());
  fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write, failed);
  if (!failed) return Status::ok();
  return error(Code::kPermission, "{}: can't be closed to others: {}", path.string(),
               failed.message());
}

}  // namespace

struct Store::Impl {
  StoreOptions options;
  std::string instance;
  std::optional<FileLock> lock;  // SQLite: one process at a time
  std::unique_ptr<Sql> writer;   // the writer thread's alone once it runs
  SteadyTime next_tick;          // likewise
  std::mutex read_mutex;
  std::unique_ptr<Sql> reader;  // guarded by read_mutex

  mutable std::mutex mutex;
  std::condition_variable wake;
  std::deque<Job> queue;               // guarded by mutex, as all below
  std::optional<SteadyTime> deadline;  // when the queue must be committed
  WriteJob tick;
  Status failure;
  bool stopping = false;
  std::thread thread;

  Status enqueue(Job job, bool is_urgent);
  void loop();
  std::vector<Job> take(std::unique_lock<std::mutex>& held);
  void run(std::vector<Job> jobs);
  Status run_group(std::vector<Job>& jobs);
  void run_tick();
  void note_failure(const Status& status);
};

Status Store::Impl::enqueue(Job job, bool is_urgent) {
  {
    std::lock_guard held(mutex);
    YQ_RETURN_IF_ERROR(failure);
    if (stopping) return error(Code::kUnavailable, "the store is closing");
    if (queue.size() >= kMaxQueuedWrites) {
      return error(Code::kUnavailable, "{} writes are waiting for the disk; try again later",
                   queue.size());
    }
    queue.push_back(std::move(job));
    const auto window = std::chrono::milliseconds(is_urgent ? 0 : options.commit_window_ms);
    const SteadyTime due = std::chrono::steady_clock::now() + window;
    deadline = deadline ? std::min(*deadline, due) : due;
  }
  wake.notify_one();
  return Status::ok();
}

// Waits for work; empty when it is time for a tick, or to stop.
std::vector<Job> Store::Impl::take(std::unique_lock<std::mutex>& held) {
  const auto is_due = [&] {
    return deadline && (stopping || queue.size() >= kMaxGroupedWrites ||
                        *deadline <= std::chrono::steady_clock::now());
  };
  while (!is_due()) {
    if (stopping && queue.empty()) return {};
    if (std::chrono::steady_clock::now() >= next_tick) return {};
    wake.wait_until(held, deadline ? std::min(*deadline, next_tick) : next_tick);
  }
  std::vector<Job> jobs;
  while (!queue.empty() && jobs.size() < kMaxGroupedWrites) {
    jobs.push_back(std::move(queue.front()));
    queue.pop_front();
  }
  // What is left was queued before now: its turn is next.
  deadline = queue.empty() ? std::nullopt : std::optional(std::chrono::steady_clock::now());
  return jobs;
}

void Store::Impl::loop() {
  while (true) {
    // Before the jobs, not when there are none: a lease must be renewed under any load.
    if (std::chrono::steady_clock::now() >= next_tick) {
      run_tick();
      next_tick = std::chrono::steady_clock::now() + std::chrono::milliseconds(options.tick_ms);
    }
    std::vector<Job> jobs;
    {
      std::unique_lock held(mutex);
      jobs = take(held);
      if (jobs.empty() && stopping && queue.empty()) return;
    }
    if (!jobs.empty()) run(std::move(jobs));
  }
}

void Store::Impl::note_failure(const Status& status) {
  if (!writer->is_broken()) return;
  std::lock_guard held(mutex);
  if (!failure.is_ok()) return;
  failure = error(Code::kUnavailable,
                  "the store stopped because its disk failed ({}); check the disk, then restart",
                  status.message());
  log_error("{}", failure.message());
}

// OK when all jobs are durable; otherwise none has left a trace, unless a commit's answer was lost.
Status Store::Impl::run_group(std::vector<Job>& jobs) {
  Status status = writer->begin();
  for (Job& job : jobs) {
    if (!status.is_ok()) break;
    status = job.work(*writer);
  }
  if (status.is_ok()) status = writer->commit();
  if (!status.is_ok()) {
    writer->rollback();
    note_failure(status);
  }
  return status;
}

void Store::Impl::run(std::vector<Job> jobs) {
  Status failed;
  {
    std::lock_guard held(mutex);
    failed = failure;
  }
  const Status together = failed.is_ok() ? run_group(jobs) : failed;
  // A lost server or a failed disk fails all alike; only a job's own error is worth a second run.
  const bool is_shared = together.is_ok() || jobs.size() == 1 ||
                         together.code() == Code::kUnavailable || writer->is_broken();
  for (Job& job : jobs) {
    if (is_shared) {
      job.done(together);
      continue;
    }
    std::vector<Job> one;
    one.push_back(std::move(job));
    const Status alone = run_group(one);
    one.front().done(alone);
  }
}

void Store::Impl::run_tick() {
  WriteJob work;
  {
    std::lock_guard held(mutex);
    if (!failure.is_ok()) return;
    work = tick;
  }
  if (!work) return;
  std::vector<Job> one(1);
  one.front().work = std::move(work);
  if (const Status status = run_group(one); !status.is_ok()) {
    log_warning("store: housekeeping failed: {}", status.message());
  }
}

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Store>> Store::open(const StoreOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  impl->instance = random_token(26);
  if (options.postgres.address.empty() && options.sqlite_vfs.empty()) {
    auto lock = FileLock::try_acquire(options.sqlite_path.string() + ".lock");
    if (!lock.is_ok()) return lock.status().with_context("another yunqi uses this database");
    impl->lock = std::move(lock).value();
    YQ_RETURN_IF_ERROR(make_private_file(options.sqlite_path));
  }
  YQ_TRY(impl->writer, connect(options));
  YQ_RETURN_IF_ERROR(migrate(*impl->writer));
  YQ_TRY(impl->reader, connect(options));
  impl->next_tick = std::chrono::steady_clock::now() + std::chrono::milliseconds(options.tick_ms);
  Impl* state = impl.get();
  impl->thread = std::thread([state] { state->loop(); });
  return std::make_unique<Store>(std::move(impl));
}

Store::~Store() {
  {
    std::lock_guard held(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->wake.notify_all();
  if (impl_->thread.joinable()) impl_->thread.join();
}

Status Store::write(WriteJob job) {
  // Shared with the callback: the writer may still be inside set_value() when get() returns.
  const auto promise = std::make_shared<std::promise<Status>>();
  std::future<Status> result = promise->get_future();
  YQ_RETURN_IF_ERROR(post(
      std::move(job), [promise](Status status) { promise->set_value(std::move(status)); }, true));
  return result.get();
}

Status Store::post(WriteJob job, std::function<void(Status)> done, bool is_urgent) {
  return impl_->enqueue({std::move(job), std::move(done)}, is_urgent);
}

Status Store::read(const ReadJob& job) {
  std::lock_guard held(impl_->read_mutex);
  return job(*impl_->reader);
}

Status Store::read_snapshot(const ReadJob& job) {
  YQ_TRY(std::unique_ptr<Sql> own, connect(impl_->options));
  YQ_RETURN_IF_ERROR(own->begin_snapshot());
  const Status status = job(*own);
  own->rollback();
  return status;
}

void Store::on_tick(WriteJob job) {
  std::lock_guard held(impl_->mutex);
  impl_->tick = std::move(job);
}

Status Store::backup_to(const Path& path) {
  if (is_postgres()) {
    return error(Code::kUnsupported, "the database is PostgreSQL; use pg_dump to back it up");
  }
  std::error_code failed;
  if (std::filesystem::exists(path, failed)) {
    return error(Code::kInvalidArgument, "{} exists; name a new file for the backup",
                 path.string());
  }
  YQ_RETURN_IF_ERROR(make_private_file(path));
  YQ_TRY(std::unique_ptr<Sql> own, connect(impl_->options));
  return own->execute("VACUUM INTO $1", {std::string_view(path.native())});
}

const std::string& Store::instance() const { return impl_->instance; }

bool Store::is_postgres() const { return impl_->writer->is_postgres(); }

Status Store::health() const {
  std::lock_guard held(impl_->mutex);
  return impl_->failure;
}

}  // namespace yunqi
