// Disk room and hashes, the two checks every source makes.
#include "hub/pull_context.h"

#include <vector>

#include "base/output_file.h"
#include "base/sha256.h"

namespace yunqi {
namespace {

constexpr uint64_t kDiskReserveBytes = uint64_t{64} << 20;
constexpr size_t kHashBlockBytes = size_t{1} << 20;

double gib(uint64_t bytes) { return static_cast<double>(bytes) / (1 << 30); }

}  // namespace

Status PullContext::check_disk(uint64_t bytes) const {
  const auto free_bytes = options.free_bytes ? options.free_bytes : free_disk_bytes;
  YQ_TRY(const uint64_t found, free_bytes(work));
  if (bytes <= UINT64_MAX - kDiskReserveBytes && found >= bytes + kDiskReserveBytes) {
    return Status::ok();
  }
  return error(Code::kNoResources,
               "disk: want {:.2f} GiB and {:.2f} GiB of reserve in {}, found {:.2f} GiB free; make "
               "room or point YUNQI_HOME to another disk",
               gib(bytes), gib(kDiskReserveBytes), work.string(), gib(found));
}

Result<std::string> hash_file(const Path& path, const std::string& name,
                              const PullContext& context) {
  YQ_TRY(const OutputFile file, OutputFile::open(path));
  Sha256 hash;
  std::vector<char> block(kHashBlockBytes);
  for (uint64_t offset = 0;;) {
    if (context.cancelled()) return error(Code::kCancelled, "cancelled");
    context.meter.begin(name, "verifying");
    YQ_TRY(const size_t got, file.read_at(offset, block));
    if (got == 0) break;
    hash.update(std::string_view(block.data(), got));
    offset += got;
  }
  const Sha256Digest digest = hash.finish();
  return to_hex(digest);
}

}  // namespace yunqi
