// The prefix cache's second tier: full pages as files, so that they outlive their memory and the
// process. A page is a file named by its key; it carries a version, the tokens it stands for and a
// SHA-256 of everything, and is believed only if all of it fits: anything else is a miss and the
// file goes. The folder is bounded: what was used longest ago is deleted.
// One thread of its own does all reading and writing, so a slow disk never holds up a step; its
// queues are bounded, and what does not fit them is dropped. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "engine/prefix_key.h"

namespace yunqi {

struct DiskPage {
  PrefixKey key, parent;
  std::vector<int32_t> tokens;
  std::vector<std::byte> bytes;  // empty after load(): there was none that could be trusted
};

struct DiskCacheOptions {
  Path folder;
  uint64_t max_bytes = uint64_t{16} << 30;
  std::string identity;     // as of root_key(): whose pages these are
  uint64_t page_bytes = 0;  // of one page; files of another size are not ours
  int32_t page_tokens = 0;
};

struct DiskCacheStats {
  uint64_t bytes = 0, files = 0;
  uint64_t stored = 0, loaded = 0, bad = 0, dropped = 0, evicted = 0;
};

class DiskCache {
 public:
  // Pages waiting to be written, and asked for but not yet taken.
  static constexpr size_t kMaxStores = 64, kMaxLoads = 32;

  virtual ~DiskCache() = default;
  // Opens or makes the folder and reads which pages it has. `on_loaded` is called on the cache's
  // thread when take_loaded() has something.
  static Result<std::unique_ptr<DiskCache>> open(const DiskCacheOptions& options,
                                                 std::function<void()> on_loaded);

  // Whether a file of that name is there; says nothing of its content. Never waits for the disk.
  virtual bool contains(const PrefixKey& key) const = 0;
  // Whether store() would take a page: it is not there, and the queue has room.
  virtual bool wants(const PrefixKey& key) const = 0;
  virtual void store(DiskPage page) = 0;
  // Asks for a page with these tokens; false when too many are asked for already.
  virtual bool load(const PrefixKey& key, const PrefixKey& parent,
                    std::span<const int32_t> tokens) = 0;
  // A page that was asked for; nullopt when none is ready.
  virtual std::optional<DiskPage> take_loaded() = 0;
  virtual DiskCacheStats stats() const = 0;
  // Returns when all that was stored so far is written or dropped.
  virtual void flush() = 0;
};

}  // namespace yunqi
