// Recurrent state as integers: slots that running sequences work in, and slots that keep the state
// at the end of a cached page, so that a prefix hit can go on from there. The bytes live in the
// executor; copies and roll-backs are part of the StepPlan. Owned by the engine thread.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/page_pool.h"
#include "engine/prefix_cache.h"

namespace yunqi {

class StateSlots final : public EvictionListener {
 public:
  // `slots` 0: the model has no recurrent state, and nothing here is ever asked for.
  StateSlots(int32_t slots, int32_t pages);
  bool enabled() const { return pool_.total() > 0; }

  // Slots that allocate() can still give: free ones and kept states.
  int32_t available() const { return pool_.free() + static_cast<int32_t>(kept_pages_.size()); }
  // A slot to work in; the kept state used longest ago goes when none is free. -1: none.
  int32_t allocate();
  void release(int32_t slot) { pool_.release(slot); }

  // The slot that keeps the state at the end of a cached page, or -1.
  int32_t kept(int32_t page) const;
  // It was used: others go before it.
  void touch(int32_t page);
  // A slot that keeps the state at the end of this page from now on; -1 when all are worked in.
  int32_t keep(int32_t page);
  void page_evicted(int32_t page) override;

  int32_t total() const { return pool_.total(); }
  int32_t free() const { return pool_.free(); }
  int32_t kept_states() const { return static_cast<int32_t>(kept_pages_.size()); }

 private:
  PagePool pool_;
  std::vector<int32_t> slot_of_page_;  // -1: none
  std::vector<int32_t> kept_pages_;    // pages with a kept state, longest unused first
};

}  // namespace yunqi
