// A disk tier for the simulator: pages in a map that several engines may share one after the other,
// with a seeded share of lost writes, bad reads and slow answers. One thread.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>

#include "engine/disk_cache.h"

namespace yunqi {

using FakeFolder = std::map<std::string, DiskPage>;

class FakeDisk final : public DiskCache {
 public:
  FakeDisk(std::shared_ptr<FakeFolder> folder, uint64_t seed)
      : folder_(std::move(folder)), random_(seed) {}

  bool contains(const PrefixKey& key) const override { return folder_->contains(key.to_hex()); }
  bool wants(const PrefixKey& key) const override { return !contains(key); }
  void store(DiskPage page) override {
    if (one_in(8)) return;
    std::string name = page.key.to_hex();
    folder_->insert_or_assign(std::move(name), std::move(page));
  }
  bool load(const PrefixKey& key, const PrefixKey& parent,
            std::span<const int32_t> tokens) override {
    if (asked_.size() >= kMaxLoads / 8) return false;
    asked_.push_back({key, parent, {tokens.begin(), tokens.end()}, {}});
    return true;
  }
  std::optional<DiskPage> take_loaded() override {
    if (asked_.empty() || one_in(2)) return std::nullopt;
    DiskPage page = std::move(asked_.front());
    asked_.pop_front();
    const auto at = folder_->find(page.key.to_hex());
    if (at != folder_->end() && at->second.tokens == page.tokens && !one_in(8)) {
      page.bytes = at->second.bytes;
    } else if (at != folder_->end()) {
      folder_->erase(at);
    }
    return page;
  }
  DiskCacheStats stats() const override { return {}; }
  void flush() override {}

 private:
  bool one_in(uint64_t n) { return random_() % n == 0; }

  const std::shared_ptr<FakeFolder> folder_;
  std::mt19937_64 random_;
  std::deque<DiskPage> asked_;
};

}  // namespace yunqi
