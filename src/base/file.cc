// See file.h.
#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "base/checked_math.h"

namespace yunqi {
namespace {

// Closes its descriptor at the end of the scope.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  // Closes early, for callers that must know whether it worked.
  bool close() { return ::close(std::exchange(fd_, -1)) == 0; }

 private:
  int fd_;
};

Code code_of(int number) {
  switch (number) {
    case ENOENT:
    case ENOTDIR:
      return Code::kNotFound;
    case EACCES:
    case EPERM:
    case EROFS:
      return Code::kPermission;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOSPC:
    case EDQUOT:
      return Code::kNoResources;
    case EFBIG:
      return Code::kTooLarge;
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
      return Code::kInvalidArgument;
    default:
      return Code::kInternal;
  }
}

Status system_error(const Path& path, std::string_view action, int number) {
  return error(code_of(number), "{}: can't {}: {}", path.string(), action,
               std::generic_category().message(number));
}

int open_retrying(const Path& path, int flags, mode_t mode = 0) {
  int fd = -1;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

Result<struct stat> stat_file(const Path& path, int fd) {
  struct stat info = {};
  if (::fstat(fd, &info) != 0) return system_error(path, "read its size", errno);
  if (S_ISDIR(info.st_mode)) {
    return error(Code::kInvalidArgument, "{}: want a file, found a folder", path.string());
  }
  return info;
}

Status write_all(const Path& path, int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return system_error(path, "write", errno);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return Status::ok();
}

Status write_and_rename(const Path& path, const Path& part, std::string_view bytes) {
  Descriptor fd(open_retrying(part, O_WRONLY | O_CREAT | O_EXCL, 0666));
  if (fd.get() < 0) return system_error(part, "create", errno);
  YQ_RETURN_IF_ERROR(write_all(part, fd.get(), bytes));
  if (::fsync(fd.get()) != 0) return system_error(part, "sync", errno);
  if (!fd.close()) return system_error(part, "close", errno);
  if (::rename(part.c_str(), path.c_str()) != 0) return system_error(path, "replace", errno);
  return Status::ok();
}

// Without this a crash may forget the rename, though the bytes are on disk.
Status sync_folder(const Path& folder) {
  const Descriptor fd(open_retrying(folder, O_RDONLY | O_DIRECTORY));
  if (fd.get() < 0) return system_error(folder, "open", errno);
  if (::fsync(fd.get()) != 0 && errno != EINVAL) return system_error(folder, "sync", errno);
  return Status::ok();
}

Path parent_of(const Path& path) { return path.has_parent_path() ? path.parent_path() : Path("."); }

}  // namespace

Result<std::string> read_file(const Path& path, uint64_t max_bytes) {
  const Descriptor fd(open_retrying(path, O_RDONLY));
  if (fd.get() < 0) return system_error(path, "open", errno);
  YQ_TRY(const auto info, stat_file(path, fd.get()));
  const auto too_large = [&] {
    return error(Code::kTooLarge, "{}: want at most {} bytes, found more", path.string(),
                 max_bytes);
  };
  const auto size = static_cast<uint64_t>(info.st_size);
  if (size > max_bytes) return too_large();
  // The size is a hint only: files in /proc say 0, and others may grow meanwhile.
  std::string out;
  out.reserve(size);
  char buffer[1 << 16];
  while (true) {
    const ssize_t got = ::read(fd.get(), buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(path, "read", errno);
    if (got == 0) return out;
    if (max_bytes - out.size() < static_cast<uint64_t>(got)) return too_large();
    out.append(buffer, static_cast<size_t>(got));
  }
}

Status write_file_atomically(const Path& path, std::string_view bytes) {
  static std::atomic<uint64_t> counter{0};
  Path part = path;
  part += fmt::format(".part-{}-{}", ::getpid(), counter.fetch_add(1, std::memory_order_relaxed));
  Status status = write_and_rename(path, part, bytes);
  if (!status.is_ok()) {
    ::unlink(part.c_str());
    return status;
  }
  return sync_folder(parent_of(path));
}

Result<uint64_t> free_disk_bytes(const Path& path) {
  std::error_code ec;
  Path existing = std::filesystem::absolute(path, ec);
  if (ec) return system_error(path, "find its folder", ec.value());
  while (!std::filesystem::exists(existing, ec) && existing.has_relative_path()) {
    existing = existing.parent_path();
  }
  struct statvfs info = {};
  if (::statvfs(existing.c_str(), &info) != 0) {
    return system_error(existing, "ask for free space", errno);
  }
  const auto bytes = checked_mul<uint64_t>(info.f_bavail, info.f_frsize);
  return bytes.value_or(UINT64_MAX);
}

Result<MappedFile> MappedFile::open(const Path& path) {
  const Descriptor fd(open_retrying(path, O_RDONLY));
  if (fd.get() < 0) return system_error(path, "open", errno);
  YQ_TRY(const auto info, stat_file(path, fd.get()));
  if (!S_ISREG(info.st_mode)) {
    return error(Code::kInvalidArgument, "{}: want a regular file, found a pipe or device",
                 path.string());
  }
  MappedFile out;
  out.path_ = path;
  if (info.st_size == 0) return out;  // mmap refuses empty files; an empty span says it all
  const auto size = static_cast<size_t>(info.st_size);
  void* const data = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
  if (data == MAP_FAILED) return system_error(path, "map", errno);
  out.bytes_ = {static_cast<const std::byte*>(data), size};
  return out;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : bytes_(std::exchange(other.bytes_, {})), path_(std::move(other.path_)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  std::swap(path_, other.path_);
  return *this;
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

}  // namespace yunqi
