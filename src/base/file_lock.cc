// flock(2) on a file that is never deleted: removing it would let two holders lock two files of
// one name.
#include "base/file_lock.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace yunqi {
namespace {

constexpr int kPollMs = 100;

}  // namespace

Result<FileLock> FileLock::try_acquire(const Path& path) {
  std::error_code failed;
  std::filesystem::create_directories(path.parent_path(), failed);
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd < 0) {
    const bool denied = errno == EACCES || errno == EROFS;
    return error(denied ? Code::kPermission : Code::kNoResources, "{}: can't open lock file: {}",
                 path.string(), std::strerror(errno));
  }
  FileLock lock(fd);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK || errno == EINTR) {
      return error(Code::kUnavailable, "{}: another process holds this lock", path.string());
    }
    return error(Code::kInternal, "{}: can't lock: {}", path.string(), std::strerror(errno));
  }
  return lock;
}

Result<FileLock> FileLock::acquire(const Path& path, const std::function<bool()>& keep_waiting) {
  for (;;) {
    Result<FileLock> lock = try_acquire(path);
    if (lock.is_ok() || lock.status().code() != Code::kUnavailable) return lock;
    if (keep_waiting && !keep_waiting()) {
      return error(Code::kCancelled, "{}: stopped waiting for the lock", path.string());
    }
    ::poll(nullptr, 0, kPollMs);
  }
}

FileLock::FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace yunqi
