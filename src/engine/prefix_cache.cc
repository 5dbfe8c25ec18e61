// See prefix_cache.h. Eviction is GreedyDual (Young 1994; Cao & Irani 1997): a page's value is the
// cost of making it again plus the value of the last page that was evicted when it was last used,
// so pages age as others leave. Pages have equal bytes; later ones cost more, since they attend to
// more tokens.
#include "engine/prefix_cache.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace yunqi {
namespace {

// Tokens of context that cost as much to attend to as the rest of a token's work, roughly.
constexpr double kContextOfEqualCost = 4096;

}  // namespace

PrefixCache::PrefixCache(PagePool& pool, int32_t page_tokens, bool enabled)
    : pool_(pool),
      page_tokens_(page_tokens),
      enabled_(enabled),
      nodes_(static_cast<size_t>(pool.total())),
      tokens_(enabled ? static_cast<size_t>(pool.total()) * static_cast<size_t>(page_tokens) : 0),
      table_(std::bit_ceil(static_cast<size_t>(pool.total()) * 2 + 2), -1),
      leaves_(pool.total()) {}

std::span<int32_t> PrefixCache::tokens_of(int32_t page) {
  const auto width = static_cast<size_t>(page_tokens_);
  return std::span(tokens_).subspan(static_cast<size_t>(page) * width, width);
}

std::span<const int32_t> PrefixCache::tokens_of(int32_t page) const {
  const auto width = static_cast<size_t>(page_tokens_);
  return std::span(tokens_).subspan(static_cast<size_t>(page) * width, width);
}

bool PrefixCache::idle(int32_t page) const {
  return node(page).cached && pool_.references(page) == 1;
}

// The place of the key, or the empty one where it would go.
size_t PrefixCache::slot_of(const PrefixKey& key) const {
  const size_t mask = table_.size() - 1;
  size_t slot = key.low & mask;
  while (table_[slot] >= 0 && !(node(table_[slot]).key == key)) slot = (slot + 1) & mask;
  return slot;
}

// Closes the gap, so that no search ends too early (Knuth 6.4, algorithm R).
void PrefixCache::erase_slot(size_t slot) {
  const size_t mask = table_.size() - 1;
  table_[slot] = -1;
  for (size_t i = (slot + 1) & mask; table_[i] >= 0; i = (i + 1) & mask) {
    const size_t home = node(table_[i]).key.low & mask;
    if (((i - home) & mask) >= ((i - slot) & mask)) {
      table_[slot] = table_[i];
      table_[i] = -1;
      slot = i;
    }
  }
}

int32_t PrefixCache::find(int32_t parent, const PrefixKey& key,
                          std::span<const int32_t> tokens) const {
  if (!enabled_) return -1;
  const int32_t page = table_[slot_of(key)];
  if (page < 0 || node(page).parent != parent) return -1;
  return std::ranges::equal(tokens_of(page), tokens) ? page : -1;
}

int32_t PrefixCache::insert(int32_t parent, const PrefixKey& key, std::span<const int32_t> tokens,
                            int32_t page) {
  if (!enabled_) return -1;
  YQ_CHECK(!node(page).cached && (parent < 0 || node(parent).cached), "page {} after {}", page,
           parent);
  const size_t slot = slot_of(key);
  if (const int32_t other = table_[slot]; other >= 0) {
    if (find(parent, key, tokens) < 0) return -1;  // two prefixes of one key: the first stays
    hold(other);
    release(page);
    return other;
  }
  table_[slot] = page;
  const int32_t depth = parent < 0 ? 0 : node(parent).depth + 1;
  node(page) = {.key = key, .parent = parent, .depth = depth, .cached = true};
  std::ranges::copy(tokens, tokens_of(page).begin());
  if (parent >= 0) ++node(parent).children;
  pool_.add_reference(page);
  ++stats_.pages;
  ++stats_.inserted;
  return page;
}

int32_t PrefixCache::allocate() {
  if (pool_.free() == 0 && !leaves_.empty()) evict();
  return pool_.allocate();
}

void PrefixCache::hold(int32_t page) {
  if (idle(page)) {
    --idle_;
    if (leaves_.contains(page)) leaves_.remove(page);
  }
  pool_.add_reference(page);
}

void PrefixCache::release(int32_t page) {
  pool_.release(page);
  if (!idle(page)) return;
  ++idle_;
  const double tokens = static_cast<double>(node(page).depth) * page_tokens_;
  node(page).value = inflation_ + 1 + tokens / kContextOfEqualCost;
  node(page).used = ++releases_;
  settle_idle(page);
}

// An idle page may go once no page after it is left.
void PrefixCache::settle_idle(int32_t page) {
  const Node& n = node(page);
  if (idle(page) && n.children == 0) leaves_.push(page, n.value, n.used);
}

void PrefixCache::evict() {
  const int32_t page = leaves_.pop();
  Node& gone = node(page);
  inflation_ = gone.value;
  if (listener_ != nullptr) listener_->page_evicted(page);
  erase_slot(slot_of(gone.key));
  gone.cached = false;
  --idle_;
  --stats_.pages;
  ++stats_.evicted;
  if (gone.parent >= 0) {
    --node(gone.parent).children;
    settle_idle(gone.parent);
  }
  pool_.release(page);
}

bool PrefixCache::consistent() const {
  int32_t cached = 0, idle_pages = 0;
  std::vector<int32_t> children(nodes_.size(), 0);
  for (int32_t page = 0; page < pool_.total(); ++page) {
    const Node& n = node(page);
    if (!n.cached) continue;
    ++cached;
    idle_pages += idle(page) ? 1 : 0;
    if (pool_.references(page) < 1 || table_[slot_of(n.key)] != page) return false;
    if (leaves_.contains(page) != (idle(page) && n.children == 0)) return false;
    if (n.parent < 0) continue;
    // Who holds a page holds all before it, so idle pages have no busy ones after them.
    if (!node(n.parent).cached || (idle(n.parent) && !idle(page))) return false;
    ++children[static_cast<size_t>(n.parent)];
  }
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].cached && nodes_[i].children != children[i]) return false;
  }
  return cached == stats_.pages && idle_pages == idle_;
}

}  // namespace yunqi
