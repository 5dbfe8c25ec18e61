// What is known about a half download: which bytes are on the disk and of which version of the
// file. Written beside the part file after the bytes themselves are synced, never before.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/result.h"

namespace yunqi {

inline constexpr size_t kMaxStoredRanges = 65'536;

// Disjoint half-open ranges of bytes in order.
class RangeSet {
 public:
  using Range = std::pair<uint64_t, uint64_t>;

  void add(uint64_t begin, uint64_t end);
  uint64_t total() const;
  // What [0, size) lacks, cut into pieces of at most `piece` bytes, in order.
  std::vector<Range> missing(uint64_t size, uint64_t piece) const;
  const std::vector<Range>& ranges() const { return ranges_; }

 private:
  std::vector<Range> ranges_;
};

struct PartState {
  std::string url;
  uint64_t size = 0;
  std::string sha256;     // as the hub or the catalogue says; "" when nobody does
  std::string validator;  // a strong ETag or a Last-Modified date; "" when the server gave none
  RangeSet done;
};

// kNotFound when there is none, kBadFile when it does not hold together (then start over).
Result<PartState> load_part_state(const Path& path);
Status save_part_state(const Path& path, const PartState& state);

}  // namespace yunqi
