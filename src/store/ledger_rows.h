// Rows of the ledger table as they are read and appended, inside store/ only.
#pragma once

#include <functional>
#include <string>

#include "store/ledger.h"
#include "store/sql.h"

namespace yunqi {

// The end of the chain. One transaction's view: it is read anew in the next. Writer thread only.
class LedgerTail {
 public:
  // Gives `row` its seq and chain and inserts it. A RESERVE's reservation becomes its own seq.
  Status append(Sql& sql, LedgerRow& row);

 private:
  uint64_t transaction_ = 0;
  int64_t seq_ = 0;
  std::string chain_;
};

// The columns that read_ledger_row() expects, in order.
inline constexpr std::string_view kLedgerColumns =
    "seq, at, kind, reservation, request, org, team, api_key, model, is_batch, price_version, "
    "currency, input, cached_input, cache_creation, output, thinking, input_cost, "
    "cached_input_cost, cache_creation_cost, output_cost, thinking_cost, discount, amount, reason, "
    "note, chain";
LedgerRow read_ledger_row(const SqlRow& row);

// Five columns from `first` on.
template <typename Unit>
PerPart<Unit> read_parts(const SqlRow& row, int first) {
  return {row.integer(first), row.integer(first + 1), row.integer(first + 2),
          row.integer(first + 3), row.integer(first + 4)};
}

}  // namespace yunqi
