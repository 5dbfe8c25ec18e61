// See page_pool.h.
#include "engine/page_pool.h"

#include "base/check.h"

namespace yunqi {

PagePool::PagePool(int32_t pages) : references_(static_cast<size_t>(pages), 0) {
  free_.reserve(static_cast<size_t>(pages));
  // Popped from the back, so that page 0 goes first.
  for (int32_t page = pages - 1; page >= 0; --page) free_.push_back(page);
}

int32_t PagePool::allocate() {
  if (free_.empty()) return -1;
  const int32_t page = free_.back();
  free_.pop_back();
  references_[static_cast<size_t>(page)] = 1;
  return page;
}

void PagePool::add_reference(int32_t page) {
  int32_t& count = references_.at(static_cast<size_t>(page));
  YQ_CHECK(count > 0, "page {} is free", page);
  ++count;
}

void PagePool::release(int32_t page) {
  int32_t& count = references_.at(static_cast<size_t>(page));
  YQ_CHECK(count > 0, "page {} is free", page);
  if (--count == 0) free_.push_back(page);
}

}  // namespace yunqi
