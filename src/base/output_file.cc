// pwrite, fdatasync and fsync of folders: what makes "finished" mean "on the disk".
#include "base/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace yunqi {
namespace {

Status file_error(const Path& path, std::string_view what, int reason) {
  const bool full = reason == ENOSPC || reason == EDQUOT || reason == EFBIG || reason == EMFILE;
  const bool denied = reason == EACCES || reason == EROFS || reason == ELOOP;
  const Code code = full ? Code::kNoResources : denied ? Code::kPermission : Code::kInternal;
  return error(code, "{}: can't {}: {}", path.string(), what, std::strerror(reason));
}

Status sync_folder(const Path& parent) {
  const Path folder = parent.empty() ? Path(".") : parent;
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return file_error(folder, "open", errno);
  const int failed = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  // Some file systems can't sync a folder and say EINVAL; there is nothing better to do there.
  if (failed != 0 && failed != EINVAL) return file_error(folder, "sync", failed);
  return Status::ok();
}

}  // namespace

Result<OutputFile> OutputFile::open(const Path& path) {
  std::error_code failed;
  std::filesystem::create_directories(path.parent_path(), failed);
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd < 0) return file_error(path, "open for writing", errno);
  return OutputFile(fd, path);
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}

OutputFile& OutputFile::operator=(OutputFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(path_, other.path_);
  return *this;
}

OutputFile::~OutputFile() {
  if (fd_ >= 0) ::close(fd_);
}

Result<uint64_t> OutputFile::size() const {
  struct stat info = {};
  if (::fstat(fd_, &info) != 0) return file_error(path_, "read its size", errno);
  return static_cast<uint64_t>(info.st_size);
}

Status OutputFile::resize(uint64_t bytes) {
  if (::ftruncate(fd_, static_cast<off_t>(bytes)) != 0) return file_error(path_, "resize", errno);
  return Status::ok();
}

Status OutputFile::write_at(uint64_t offset, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return file_error(path_, "write", put == 0 ? ENOSPC : errno);
    bytes.remove_prefix(static_cast<size_t>(put));
    offset += static_cast<uint64_t>(put);
  }
  return Status::ok();
}

Result<size_t> OutputFile::read_at(uint64_t offset, std::span<char> buffer) const {
  for (;;) {
    const ssize_t got = ::pread(fd_, buffer.data(), buffer.size(), static_cast<off_t>(offset));
    if (got >= 0) return static_cast<size_t>(got);
    if (errno != EINTR) return file_error(path_, "read", errno);
  }
}

Status OutputFile::sync() {
  if (::fdatasync(fd_) != 0) return file_error(path_, "sync", errno);
  return Status::ok();
}

Status rename_durably(const Path& from, const Path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) {
    return file_error(from, "rename to " + to.string(), errno);
  }
  YQ_RETURN_IF_ERROR(sync_folder(to.parent_path()));
  if (from.parent_path() != to.parent_path()) return sync_folder(from.parent_path());
  return Status::ok();
}

}  // namespace yunqi
