// See state_slots.h.
#include "engine/state_slots.h"

#include <algorithm>

#include "base/check.h"

namespace yunqi {

StateSlots::StateSlots(int32_t slots, int32_t pages)
    : pool_(slots), slot_of_page_(slots > 0 ? static_cast<size_t>(pages) : 0, -1) {
  kept_pages_.reserve(static_cast<size_t>(slots));
}

int32_t StateSlots::allocate() {
  if (pool_.free() == 0 && !kept_pages_.empty()) page_evicted(kept_pages_.front());
  return pool_.allocate();
}

int32_t StateSlots::kept(int32_t page) const { return slot_of_page_[static_cast<size_t>(page)]; }

void StateSlots::touch(int32_t page) {
  const auto at = std::find(kept_pages_.begin(), kept_pages_.end(), page);
  YQ_CHECK(at != kept_pages_.end(), "page {} keeps no state", page);
  std::rotate(at, at + 1, kept_pages_.end());
}

int32_t StateSlots::keep(int32_t page) {
  YQ_CHECK(kept(page) < 0, "page {} keeps a state already", page);
  const int32_t slot = allocate();
  if (slot < 0) return -1;
  slot_of_page_[static_cast<size_t>(page)] = slot;
  kept_pages_.push_back(page);
  return slot;
}

void StateSlots::page_evicted(int32_t page) {
  if (!enabled() || kept(page) < 0) return;
  pool_.release(kept(page));
  slot_of_page_[static_cast<size_t>(page)] = -1;
  std::erase(kept_pages_, page);
}

}  // namespace yunqi
