// One version guards all: quotas and prices are few and read whole, keys as they come.
#include "tenancy/access_cache.h"

#include <utility>

namespace yunqi {

Status AccessCache::load(int64_t version) {
  YQ_TRY(const std::vector<QuotaRule> rules, settings_.quotas());
  YQ_TRY(const std::vector<StoredPriceBook> stored, settings_.price_books());
  std::map<std::pair<QuotaScope, std::string>, std::vector<QuotaRule>> quotas;
  for (const QuotaRule& rule : rules) quotas[{rule.scope, rule.scope_id}].push_back(rule);
  std::map<int64_t, std::shared_ptr<const VersionedBook>> books;
  for (const StoredPriceBook& book : stored) {
    YQ_TRY(const Json json, parse_json(book.content));
    YQ_TRY(PriceBook parsed, PriceBook::parse(json));
    books[book.version] =
        std::make_shared<const VersionedBook>(VersionedBook{book.version, std::move(parsed)});
  }
  keys_.clear();
  quotas_ = std::move(quotas);
  books_ = std::move(books);
  version_ = version;
  return Status::ok();
}

Status AccessCache::refresh() {
  const int64_t now = clock_.now_ns();
  const bool is_fresh = version_ >= 0 && now - checked_ns_ < kAccessFreshMs * 1'000'000;
  if (is_fresh) return Status::ok();
  // The version is read before what it stands for, so a change in between is seen next time.
  YQ_TRY(const int64_t version, directory_.version());
  if (version != version_) YQ_RETURN_IF_ERROR(load(version));
  checked_ns_ = now;
  return Status::ok();
}

Result<std::shared_ptr<const KeyEntry>> AccessCache::key(std::string_view id) {
  std::lock_guard held(mutex_);
  YQ_RETURN_IF_ERROR(refresh());
  const auto found = keys_.find(std::string(id));
  if (found != keys_.end()) return found->second;
  YQ_TRY(KeyRecord record, directory_.key_by_id(id));
  YQ_TRY(Organisation org, directory_.organisation(record.org));
  if (keys_.size() >= kMaxCachedKeys) keys_.clear();
  auto entry = std::make_shared<const KeyEntry>(KeyEntry{std::move(record), std::move(org)});
  keys_.emplace(std::string(id), entry);
  return entry;
}

Result<std::vector<QuotaRule>> AccessCache::quotas(QuotaScope scope, std::string_view scope_id) {
  std::lock_guard held(mutex_);
  YQ_RETURN_IF_ERROR(refresh());
  const auto found = quotas_.find({scope, std::string(scope_id)});
  return found == quotas_.end() ? std::vector<QuotaRule>() : found->second;
}

Result<std::shared_ptr<const VersionedBook>> AccessCache::prices(int64_t now) {
  std::lock_guard held(mutex_);
  YQ_RETURN_IF_ERROR(refresh());
  for (auto at = books_.rbegin(); at != books_.rend(); ++at) {
    if (at->second->book.valid_from() <= now) return at->second;
  }
  return std::make_shared<const VersionedBook>();
}

Result<std::shared_ptr<const VersionedBook>> AccessCache::prices_of_version(int64_t version) {
  std::lock_guard held(mutex_);
  YQ_RETURN_IF_ERROR(refresh());
  const auto found = books_.find(version);
  return found == books_.end() ? nullptr : found->second;
}

void AccessCache::forget() {
  std::lock_guard held(mutex_);
  checked_ns_ = 0;
  version_ = -1;
}

}  // namespace yunqi
