// The download of one file. Threads: the caller plus `connections` workers that share a queue of
// missing ranges under one mutex; bytes go straight to their place in the part file. A range enters
// the state only after fdatasync, so a kill at any moment loses at most the ranges in flight.
#include "hub/download.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/output_file.h"
#include "hub/model_ref.h"
#include "hub/part_state.h"

namespace yunqi {
namespace {

using Verdict = FetchOutcome::Verdict;

Path part_path(const RemoteFile& remote, const PullContext& context) {
  return context.work / (store_folder_name(remote.name) + ".part");
}

Path state_path(const RemoteFile& remote, const PullContext& context) {
  return context.work / (store_folder_name(remote.name) + ".json");
}

// A state is worth something only when it is about the same bytes: the same hash, or, when nobody
// knows a hash, the same place and a version the server can be asked for.
bool can_continue(const PartState& state, const RemoteFile& remote) {
  if (remote.bytes != 0 && state.size != remote.bytes) return false;
  if (state.sha256 != remote.sha256) return false;
  return !remote.sha256.empty() || (state.url == remote.url && !state.validator.empty());
}

class Download {
 public:
  Download(const RemoteFile& remote, const PullContext& context)
      : remote_(remote), context_(context) {}

  Result<StoredFile> run();

 private:
  enum class Next { kFinished, kStartOver, kWholeFile };

  Status open();
  Result<Next> attempt(bool whole_file);
  Result<Next> probe();
  Result<Next> fetch_ranges();
  Result<Next> fetch_whole();
  void work();
  bool fetch_range(uint64_t begin, uint64_t end);
  Status keep_range(uint64_t begin, uint64_t end);
  Status forget();
  Result<StoredFile> finish();
  FetchRequest request() const;
  Next settle(Verdict verdict, const Status& why);
  bool go_on() const {
    context_.meter.tick();
    return !stop_.load(std::memory_order_relaxed) && !context_.cancelled();
  }

  const RemoteFile& remote_;
  const PullContext& context_;
  std::optional<OutputFile> file_;
  PartState state_;       // guarded by mutex_ while workers run
  bool fresh_ = true;     // no bytes kept from before and none probed
  uint64_t counted_ = 0;  // bytes told to the meter, to take back on a new start
  std::mutex mutex_;
  std::deque<RangeSet::Range> queue_;  // guarded by mutex_
  Status failure_;                     // guarded by mutex_: the first one
  Verdict end_ = Verdict::kDone;       // guarded by mutex_: what ended the workers
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> arrived_{0};
};

FetchRequest Download::request() const {
  FetchRequest out;
  out.url = remote_.url;
  out.headers = remote_.headers;
  out.access_hint = remote_.access_hint;
  out.size = state_.size;
  out.validator = state_.validator;
  return out;
}

Status Download::open() {
  YQ_TRY(OutputFile file, OutputFile::open(part_path(remote_, context_)));
  Result<PartState> kept = load_part_state(state_path(remote_, context_));
  YQ_TRY(const uint64_t size, file.size());
  file_ = std::move(file);
  state_ = PartState{remote_.url, remote_.bytes, remote_.sha256, "", {}};
  const bool usable = kept.is_ok() && can_continue(*kept, remote_) &&
                      (kept->done.ranges().empty() || kept->done.ranges().back().second <= size);
  if (!usable) return file_->resize(0);
  // Another mirror of the same bytes has its own idea of a version.
  if (kept->url != remote_.url) kept->validator.clear();
  state_ = std::move(*kept);
  state_.url = remote_.url;
  fresh_ = state_.done.ranges().empty();
  counted_ = state_.done.total();
  context_.meter.add_kept(counted_);
  return Status::ok();
}

// Forgets what was received: the file there is another one.
Status Download::forget() {
  context_.meter.take_back(counted_ + arrived_.exchange(0));
  counted_ = 0;
  fresh_ = true;
  state_ = PartState{remote_.url, remote_.bytes, remote_.sha256, "", {}};
  std::error_code ignored;
  std::filesystem::remove(state_path(remote_, context_), ignored);
  return file_->resize(0);
}

// Learns size, version and whether ranges work from a request for the first byte.
Result<Download::Next> Download::probe() {
  for (int tries = 1;; ++tries) {
    FetchRequest probe = request();
    probe.ranged = true;
    probe.end = 1;
    const FetchOutcome out = fetch(
        probe, [](std::string_view) { return Status::ok(); }, context_.keep_going());
    if (out.verdict == Verdict::kDone) {
      if (state_.size == 0) state_.size = out.size;
      state_.validator = out.validator;
      // Without a known size there is nothing to cut into ranges.
      return state_.size == 0 ? Next::kWholeFile : Next::kFinished;
    }
    if (out.verdict == Verdict::kNoRanges) return Next::kWholeFile;
    if (out.verdict == Verdict::kChanged) {
      // 416 for the first byte: an empty file, or a server that is confused about ranges.
      return Next::kWholeFile;
    }
    const bool may_help = out.verdict == Verdict::kRetry && out.answered;
    if (!may_help || tries >= kMaxTriesWithoutProgress) return out.status;
    const int64_t wait = retry_wait_ms(tries, context_.options.retry_base_ms, out.retry_after_ms);
    if (!wait_ms(wait, context_.keep_going())) return error(Code::kCancelled, "cancelled");
  }
}

Result<Download::Next> Download::attempt(bool whole_file) {
  context_.meter.begin(remote_.name, "connecting");
  const uint64_t chunk = std::max<uint64_t>(context_.options.chunk_bytes, 1);
  whole_file = whole_file || (fresh_ && remote_.bytes != 0 && remote_.bytes <= chunk);
  if (!whole_file && (fresh_ || state_.size == 0)) {
    YQ_TRY(const Next next, probe());
    whole_file = next == Next::kWholeFile;
  }
  if (state_.size > kMaxFileBytes) {
    return error(Code::kTooLarge, "{}: want at most {} bytes, found {}", remote_.name,
                 kMaxFileBytes, state_.size);
  }
  if (remote_.bytes == 0 && state_.size != 0) {
    YQ_RETURN_IF_ERROR(context_.check_disk(state_.size - state_.done.total()));
    context_.meter.set_total(state_.size);
  }
  context_.meter.begin(remote_.name, "downloading");
  return whole_file ? fetch_whole() : fetch_ranges();
}

Download::Next Download::settle(Verdict verdict, const Status& why) {
  if (verdict == Verdict::kDone) return Next::kFinished;
  log_debug("{}: starting over: {}", remote_.name, why.message());
  return verdict == Verdict::kNoRanges ? Next::kWholeFile : Next::kStartOver;
}

Result<Download::Next> Download::fetch_whole() {
  FetchRequest get = request();
  get.validator.clear();
  for (int tries = 1;; ++tries) {
    YQ_RETURN_IF_ERROR(forget());
    get.size = remote_.bytes;
    const FetchOutcome out = fetch(
        get,
        [&](std::string_view chunk) {
          const uint64_t at = arrived_.load();
          if (chunk.size() > kMaxFileBytes - at) {
            return error(Code::kTooLarge, "{}: want at most {} bytes", remote_.name, kMaxFileBytes);
          }
          YQ_RETURN_IF_ERROR(file_->write_at(at, chunk));
          arrived_ += chunk.size();
          context_.meter.add(chunk.size());
          return Status::ok();
        },
        context_.keep_going());
    if (out.verdict == Verdict::kDone) {
      state_.size = arrived_.load();
      return Next::kFinished;
    }
    if (out.verdict == Verdict::kChanged) {
      failure_ = out.status;
      return Next::kStartOver;
    }
    if (out.verdict != Verdict::kRetry || tries >= kMaxTriesWithoutProgress) return out.status;
    const int64_t wait = retry_wait_ms(tries, context_.options.retry_base_ms, out.retry_after_ms);
    if (!wait_ms(wait, context_.keep_going())) return error(Code::kCancelled, "cancelled");
  }
}

Result<Download::Next> Download::fetch_ranges() {
  const uint64_t chunk = std::max<uint64_t>(context_.options.chunk_bytes, 1);
  const std::vector<RangeSet::Range> missing = state_.done.missing(state_.size, chunk);
  if (missing.size() > kMaxStoredRanges) {
    return error(Code::kTooLarge, "{}: {} bytes make more than {} ranges", remote_.name,
                 state_.size, kMaxStoredRanges);
  }
  queue_.assign(missing.begin(), missing.end());
  failure_ = Status::ok();
  end_ = Verdict::kDone;
  stop_ = false;
  const size_t wanted =
      static_cast<size_t>(std::clamp(context_.options.connections, 1, kMaxConnections));
  std::vector<std::thread> workers;
  for (size_t i = 0; i < std::min(wanted, missing.size()); ++i) {
    workers.emplace_back([this] { work(); });
  }
  for (std::thread& worker : workers) worker.join();
  if (context_.cancelled()) return error(Code::kCancelled, "cancelled");
  if (end_ == Verdict::kFailed || end_ == Verdict::kRetry) return failure_;
  return settle(end_, failure_);
}

// A worker: takes ranges until none is left or one of them ended the download.
void Download::work() {
  while (go_on()) {
    RangeSet::Range range;
    {
      const std::lock_guard lock(mutex_);
      if (queue_.empty()) return;
      range = queue_.front();
      queue_.pop_front();
    }
    if (!fetch_range(range.first, range.second)) return;
  }
}

// Fetches one range with tries, each from where the last one stopped. False ends the worker.
bool Download::fetch_range(uint64_t begin, uint64_t end) {
  const uint64_t start = begin;
  int without_progress = 0;
  FetchRequest get = request();
  get.ranged = true;
  get.end = end;
  FetchOutcome out;
  for (int tries = 1; begin < end; ++tries) {
    get.begin = begin;
    out = fetch(
        get,
        [&](std::string_view chunk) {
          YQ_RETURN_IF_ERROR(file_->write_at(begin, chunk));
          begin += chunk.size();
          arrived_ += chunk.size();
          context_.meter.add(chunk.size());
          return Status::ok();
        },
        [this] { return go_on(); });
    if (out.verdict == Verdict::kDone) continue;
    if (out.verdict != Verdict::kRetry) break;
    without_progress = out.received > 0 ? 1 : without_progress + 1;
    if (without_progress >= kMaxTriesWithoutProgress || tries >= kMaxTriesPerRange) break;
    const int64_t wait =
        retry_wait_ms(without_progress, context_.options.retry_base_ms, out.retry_after_ms);
    if (!wait_ms(wait, [this] { return go_on(); })) break;
  }
  // Another version's bytes are of no use; all others are, also after a cancel.
  Status kept = Status::ok();
  const bool same_version = out.verdict != Verdict::kChanged && out.verdict != Verdict::kNoRanges;
  if (begin > start && same_version) kept = keep_range(start, begin);
  if (begin == end && kept.is_ok()) return true;
  const std::lock_guard lock(mutex_);
  if (!stop_.exchange(true)) {
    failure_ = kept.is_ok() ? out.status : kept;
    end_ = kept.is_ok() ? out.verdict : Verdict::kFailed;
  }
  return false;
}

Status Download::keep_range(uint64_t begin, uint64_t end) {
  YQ_RETURN_IF_ERROR(file_->sync());
  const std::lock_guard lock(mutex_);
  state_.done.add(begin, end);
  return save_part_state(state_path(remote_, context_), state_);
}

Result<StoredFile> Download::finish() {
  const Path part = part_path(remote_, context_);
  YQ_TRY(const uint64_t size, file_->size());
  if (size != state_.size) {
    return error(Code::kInternal, "{}: want {} bytes on the disk, found {}", remote_.name,
                 state_.size, size);
  }
  YQ_RETURN_IF_ERROR(file_->sync());
  YQ_TRY(const std::string found, hash_file(part, remote_.name, context_));
  std::error_code ignored;
  if (!remote_.sha256.empty() && found != remote_.sha256) {
    std::filesystem::remove(part, ignored);
    std::filesystem::remove(state_path(remote_, context_), ignored);
    return error(Code::kBadFile,
                 "{}: want sha256 {}, what {} sent has {}; it was deleted: try again, or another "
                 "source",
                 remote_.name, remote_.sha256, remote_.url, found);
  }
  const Path target = context_.model / remote_.name;
  std::filesystem::create_directories(target.parent_path(), ignored);
  YQ_RETURN_IF_ERROR(rename_durably(part, target));
  std::filesystem::remove(state_path(remote_, context_), ignored);
  return StoredFile{remote_.name, size, found};
}

Result<StoredFile> Download::run() {
  YQ_RETURN_IF_ERROR(open());
  bool whole_file = false;
  for (int starts = 1; starts <= kMaxStarts; ++starts) {
    YQ_TRY(const Next next, attempt(whole_file));
    if (next == Next::kFinished) return finish();
    whole_file = whole_file || next == Next::kWholeFile;
    YQ_RETURN_IF_ERROR(forget());
  }
  return error(Code::kUnavailable, "{}: the file at {} changed {} times while it was fetched: {}",
               remote_.name, remote_.url, kMaxStarts, failure_.message());
}

}  // namespace

Result<StoredFile> download_file(const RemoteFile& remote, const PullContext& context) {
  // A pull that was killed between files left whole ones; only a hash can tell that they are right.
  const Path whole = context.model / remote.name;
  std::error_code ignored;
  if (std::filesystem::is_regular_file(whole, ignored)) {
    if (!remote.sha256.empty() && std::filesystem::file_size(whole, ignored) == remote.bytes) {
      YQ_TRY(const std::string found, hash_file(whole, remote.name, context));
      if (found == remote.sha256) {
        context.meter.add_kept(remote.bytes);
        return StoredFile{remote.name, remote.bytes, found};
      }
    }
    std::filesystem::remove(whole, ignored);
  }
  return Download(remote, context).run();
}

uint64_t kept_bytes(const RemoteFile& remote, const PullContext& context) {
  std::error_code failed;
  const uint64_t whole = std::filesystem::file_size(context.model / remote.name, failed);
  if (!failed) return whole;
  const Result<PartState> state = load_part_state(state_path(remote, context));
  return state.is_ok() && can_continue(*state, remote) ? state->done.total() : 0;
}

}  // namespace yunqi
