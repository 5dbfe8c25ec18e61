// Files: read whole, map read-only, write atomically. POSIX specifics stay in file.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace yunqi {

using Path = std::filesystem::path;

// The file's bytes; kNotFound, or kTooLarge when it is over `max_bytes`.
Result<std::string> read_file(const Path& path, uint64_t max_bytes = uint64_t{1} << 30);

// Writes beside the target, fsyncs, renames: readers see the old file or the new, never a part.
Status write_file_atomically(const Path& path, std::string_view bytes);

// Free bytes for this user on the file system that holds `path` (or its nearest existing parent).
Result<uint64_t> free_disk_bytes(const Path& path);

// A whole file mapped read-only. Movable; the mapping lives as long as the object.
class MappedFile {
 public:
  static Result<MappedFile> open(const Path& path);
  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return bytes_; }
  const Path& path() const { return path_; }

 private:
  std::span<const std::byte> bytes_;
  Path path_;
};

}  // namespace yunqi
