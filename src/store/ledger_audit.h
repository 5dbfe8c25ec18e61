// Re-adds the whole ledger and compares: the chain, each settlement against its reservation and
// its price, the accounts and the open reservations against the rows they come from.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "store/ledger.h"

namespace yunqi {

inline constexpr size_t kMaxAuditFindings = 100;  // named; more are only counted

struct AuditReport {
  int64_t rows = 0, reservations = 0, settlements = 0, credits = 0, open = 0;
  int64_t finding_count = 0;
  std::vector<std::string> findings;  // the first kMaxAuditFindings, one line each
  std::string chain;  // of the last row: note it elsewhere to prove that none was cut off

  bool is_clean() const { return finding_count == 0; }
};

// What a SETTLE row's usage costs at its price version; an error is a finding.
using RowPricer = std::function<Result<Cost>(const LedgerRow& row)>;

// Walks one snapshot on a connection of its own. Without a pricer, prices are taken as they stand.
Result<AuditReport> audit_ledger(Store& store, const RowPricer& pricer = {});

}  // namespace yunqi
