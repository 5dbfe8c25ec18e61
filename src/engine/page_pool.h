// Pages of KV as integers: who holds which, how often. The bytes live in the executor's buffers.
// Owned by the engine thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace yunqi {

class PagePool {
 public:
  explicit PagePool(int32_t pages);

  int32_t total() const { return static_cast<int32_t>(references_.size()); }
  int32_t free() const { return static_cast<int32_t>(free_.size()); }
  // A page with one reference, or -1.
  int32_t allocate();
  void add_reference(int32_t page);
  // Drops one reference; the page is free again at zero.
  void release(int32_t page);
  int32_t references(int32_t page) const { return references_[static_cast<size_t>(page)]; }

 private:
  std::vector<int32_t> references_;
  std::vector<int32_t> free_;
};

}  // namespace yunqi
