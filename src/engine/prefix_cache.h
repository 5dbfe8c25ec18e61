// Full pages that can be found again by their tokens: a tree over the page pool, so that nothing is
// computed twice. A page of the tree is held once by the tree itself and once by each sequence that
// uses it; pages that only the tree holds are given back, leaves first, when others are needed.
// Everything is sized once. Owned by the engine thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/page_heap.h"
#include "engine/page_pool.h"
#include "engine/prefix_key.h"

namespace yunqi {

struct PrefixCacheStats {
  int32_t pages = 0;       // in the tree
  uint64_t hit_pages = 0;  // taken by sequences instead of being computed
  uint64_t inserted = 0, evicted = 0;
};

// What leaves with an evicted page, such as a recurrent state kept at its end.
class EvictionListener {
 public:
  virtual ~EvictionListener() = default;
  virtual void page_evicted(int32_t page) = 0;
};

class PrefixCache {
 public:
  // Without `enabled` nothing is ever found, and pages go straight back to the pool.
  PrefixCache(PagePool& pool, int32_t page_tokens, bool enabled);
  void set_listener(EvictionListener* listener) { listener_ = listener; }
  bool enabled() const { return enabled_; }

  // Pages that allocate() can still give.
  int32_t available() const { return pool_.free() + idle_; }
  // A page that is held once, by the caller; -1 when every page is in use.
  int32_t allocate();
  // Who holds a page also holds every page before it.
  void hold(int32_t page);
  void release(int32_t page);
  // In the tree and held by nobody else.
  bool idle(int32_t page) const;
  bool contains(int32_t page) const { return node(page).cached; }
  // Of a page in the tree.
  const PrefixKey& key(int32_t page) const { return node(page).key; }
  int32_t parent(int32_t page) const { return node(page).parent; }
  std::span<const int32_t> tokens(int32_t page) const { return tokens_of(page); }

  // The page that holds exactly `tokens` after `parent` (-1: at the start), or -1.
  int32_t find(int32_t parent, const PrefixKey& key, std::span<const int32_t> tokens) const;
  // Adds a full page that the caller holds and will not write again. The result is the page to use
  // from now on: `page`, or one with the same tokens that was there before (then the hold has moved
  // to it), or -1 when the page can't be added. `parent` must be in the tree and held.
  int32_t insert(int32_t parent, const PrefixKey& key, std::span<const int32_t> tokens,
                 int32_t page);
  void count_hits(int32_t pages) { stats_.hit_pages += static_cast<uint64_t>(pages); }

  const PrefixCacheStats& stats() const { return stats_; }
  // The tree's own consistency; false is a bug of ours.
  bool consistent() const;

 private:
  struct Node {
    PrefixKey key;
    int32_t parent = -1;
    int32_t children = 0;
    int32_t depth = 0;  // pages before it
    bool cached = false;
    double value = 0;   // see prefix_cache.cc
    uint64_t used = 0;  // when it was let go last
  };

  Node& node(int32_t page) { return nodes_[static_cast<size_t>(page)]; }
  const Node& node(int32_t page) const { return nodes_[static_cast<size_t>(page)]; }
  std::span<int32_t> tokens_of(int32_t page);
  std::span<const int32_t> tokens_of(int32_t page) const;
  size_t slot_of(const PrefixKey& key) const;
  void erase_slot(size_t slot);
  void settle_idle(int32_t page);
  void evict();

  PagePool& pool_;
  const int32_t page_tokens_;
  const bool enabled_;
  EvictionListener* listener_ = nullptr;
  std::vector<Node> nodes_;      // by page
  std::vector<int32_t> tokens_;  // [pages][page_tokens]
  std::vector<int32_t> table_;   // open addressing by key: a page, or -1
  PageHeap leaves_;              // idle pages without children
  int32_t idle_ = 0;             // pages that only the tree holds
  double inflation_ = 0;         // value of the last evicted page
  uint64_t releases_ = 0;
  PrefixCacheStats stats_;
};

}  // namespace yunqi
