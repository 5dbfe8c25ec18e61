// A lock between processes: an exclusive flock on a file, freed by the kernel when its holder ends
// however it ends. Also excludes other holders in this process. Movable; one owner.
#pragma once

#include <functional>

#include "base/file.h"
#include "base/result.h"

namespace yunqi {

class FileLock {
 public:
  // Makes the file and its folder when missing; kUnavailable when another holds the lock.
  static Result<FileLock> try_acquire(const Path& path);
  // Waits for it; `keep_waiting` is asked about 10 times a second, false gives kCancelled.
  static Result<FileLock> acquire(const Path& path, const std::function<bool()>& keep_waiting);

  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace yunqi
