// What the operator sets and requests are measured by: quotas and price books. Changes are audited
// and raise the access version; price books are only added, so that old bills stay. Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "store/audit_log.h"
#include "store/ledger.h"

namespace yunqi {

inline constexpr int64_t kMaxQuotas = 100'000;  // in one database
inline constexpr int64_t kMaxCeiling = int64_t{1} << 60;
inline constexpr size_t kMaxPriceBookBytes = size_t{1} << 20;

// Values are stored: never renumber.
enum class QuotaScope : int64_t { kOrganisation = 1, kTeam = 2, kKey = 3, kServer = 4 };

// The length of a quota's window in seconds; the rest are words. Windows are aligned to UTC.
enum class QuotaSpan : int64_t {
  kNone = 0,  // concurrency, and for all time
  kMinute = 60,
  kHour = 3'600,
  kDay = 86'400,
  kMonth = 2'678'400,  // a calendar month
};

struct QuotaRule {
  std::string id = {};
  QuotaScope scope = QuotaScope::kOrganisation;
  std::string scope_id = {};  // of the organisation, team or key; empty for the server
  std::string model = {};     // empty: all models together
  QuotaMetric metric = QuotaMetric::kRequests;
  QuotaSpan span = QuotaSpan::kMinute;
  int64_t ceiling = 0;
};

struct StoredPriceBook {
  int64_t version = 0, valid_from = 0, created = 0;
  std::string author = {}, content = {};  // content is JSON
};

class Settings {
 public:
  Settings(Store& store, const Clock& clock) : store_(store), clock_(clock) {}

  // Adds a rule or changes the ceiling of the one for the same scope, model, metric and span.
  // `org` is whose audit log tells of it. Returns the rule's id.
  Result<std::string> set_quota(std::string_view actor, std::string_view org, QuotaRule rule);
  Status remove_quota(std::string_view actor, std::string_view org, std::string_view id);
  Result<std::vector<QuotaRule>> quotas();
  // Of one window; 0 when nothing was counted.
  Result<int64_t> used(std::string_view quota, int64_t starts);

  // Returns the new version, one above the last.
  Result<int64_t> add_price_book(std::string_view actor, int64_t valid_from,
                                 std::string_view content);
  Result<std::vector<StoredPriceBook>> price_books();  // by version

 private:
  Store& store_;
  const Clock& clock_;
};

}  // namespace yunqi
