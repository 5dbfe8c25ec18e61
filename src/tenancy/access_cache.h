// What requests are judged by, kept in memory: keys with their organisations, quotas, price books.
// The database holds one version of all; when it has changed, everything is read anew. So a key
// revoked anywhere is refused within kAccessFreshMs, and one revoked here at once. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "store/directory.h"
#include "store/settings.h"
#include "tenancy/price_book.h"

namespace yunqi {

inline constexpr int64_t kAccessFreshMs = 500;
inline constexpr size_t kMaxCachedKeys = 65'536;  // more make the cache start anew

struct KeyEntry {
  KeyRecord key;
  Organisation org;
};

// A price book in force, with its version.
struct VersionedBook {
  int64_t version = 0;  // 0: none, everything is free
  PriceBook book;
};

class AccessCache {
 public:
  AccessCache(Directory& directory, Settings& settings, const Clock& clock)
      : directory_(directory), settings_(settings), clock_(clock) {}

  // kNotFound for an unknown id; the store's error when it can't be asked: then nobody gets in.
  Result<std::shared_ptr<const KeyEntry>> key(std::string_view id);
  // The rules of one scope; empty when there are none.
  Result<std::vector<QuotaRule>> quotas(QuotaScope scope, std::string_view scope_id);
  // The newest version among the books valid at `now`.
  Result<std::shared_ptr<const VersionedBook>> prices(int64_t now);
  // A version whatever its time, for audits; null when there is none.
  Result<std::shared_ptr<const VersionedBook>> prices_of_version(int64_t version);
  // The next look-up asks the database.
  void forget();

 private:
  Status refresh();  // call with mutex_ held
  Status load(int64_t version);

  Directory& directory_;
  Settings& settings_;
  const Clock& clock_;
  std::mutex mutex_;
  int64_t checked_ns_ = 0;  // guarded by mutex_, as all below
  int64_t version_ = -1;    // -1: nothing is loaded
  std::unordered_map<std::string, std::shared_ptr<const KeyEntry>> keys_;
  std::map<std::pair<QuotaScope, std::string>, std::vector<QuotaRule>> quotas_;
  std::map<int64_t, std::shared_ptr<const VersionedBook>> books_;  // by version
};

}  // namespace yunqi
