// Who changed what, when, from what to what: one chained row in the same commit as the change.
// Texts are JSON without secrets; the caller leaves them out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "store/store.h"

namespace yunqi {

inline constexpr int64_t kMaxAuditPage = 1'000;  // rows at once

struct Change {
  std::string actor = {};               // the key or user that did it
  std::string org = {};                 // whose log it is in; empty for the server's own
  std::string action = {};              // "key.create", "quota.set", ...
  std::string object = {};              // the id of what was changed
  std::string before = {}, after = {};  // JSON, or empty
};

struct AuditEntry {
  int64_t seq = 0, at = 0;
  Change change = {};
  std::string chain = {};
};

// Inside a write job.
Status append_change(Sql& sql, int64_t at, const Change& change);
// Raises the version that caches of keys, roles, quotas and prices compare; inside a write job.
Status raise_access_version(Sql& sql);
Result<int64_t> access_version(Sql& sql);

// Newest first, below `before` (0: from the end), of one organisation ("" for the server's own).
Result<std::vector<AuditEntry>> read_audit_log(Store& store, std::string_view org, int64_t before,
                                               int64_t limit);
// kBadFile and the first row that does not match when the log was changed from outside.
Status verify_audit_log(Store& store);

}  // namespace yunqi
