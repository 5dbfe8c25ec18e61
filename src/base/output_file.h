// A file that is written at offsets and made durable on request: the ground a resumable download
// stands on. Writes at different offsets may come from several threads at once.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/file.h"
#include "base/result.h"

namespace yunqi {

class OutputFile {
 public:
  // Opens for reading and writing, made when missing (its folder too); never through a symlink.
  static Result<OutputFile> open(const Path& path);
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&& other) noexcept;
  ~OutputFile();

  Result<uint64_t> size() const;
  Status resize(uint64_t bytes);
  // All of `bytes`, or kNoResources (disk full, quota), or kInternal.
  Status write_at(uint64_t offset, std::string_view bytes);
  // Up to buffer.size() bytes; 0 at the end of the file.
  Result<size_t> read_at(uint64_t offset, std::span<char> buffer) const;
  // Returns when all that was written so far is on the disk.
  Status sync();

 private:
  OutputFile(int fd, Path path) : fd_(fd), path_(std::move(path)) {}
  int fd_ = -1;
  Path path_;
};

// Renames a file or folder and makes the change durable in both parents. The target is replaced
// when the file system allows it (a file, an empty folder).
Status rename_durably(const Path& from, const Path& to);

}  // namespace yunqi
