// The walk keeps only open reservations and one sum per account, so that its memory does not grow
// with the ledger.
#include "store/ledger_audit.h"

#include <map>
#include <utility>

#include "store/ledger_rows.h"

namespace yunqi {
namespace {

struct Sums {
  int64_t credited = 0, charged = 0, reserved = 0;
  bool operator==(const Sums&) const = default;
};
using Account = std::pair<std::string, std::string>;  // org, currency

class Auditor {
 public:
  explicit Auditor(const RowPricer& pricer) : pricer_(pricer) {}

  Status walk(Sql& sql);
  AuditReport take() { return std::move(report_); }

 private:
  template <typename... Args>
  void find(fmt::format_string<Args...> format, Args&&... args) {
    if (report_.findings.size() < kMaxAuditFindings) {
      report_.findings.push_back(fmt::format(format, std::forward<Args>(args)...));
    }
    ++report_.finding_count;
  }
  void add(int64_t& sum, int64_t value, int64_t seq) {
    const auto total = checked_add(sum, value);
    if (!total) find("row {}: the account's sum does not fit 64 bits", seq);
    sum = total.value_or(sum);
  }
  void visit(const LedgerRow& row);
  void visit_settle(const LedgerRow& row);
  void check_price(const LedgerRow& row);
  Status compare_open(Sql& sql);
  Status compare_accounts(Sql& sql);

  const RowPricer& pricer_;
  AuditReport report_;
  std::map<int64_t, LedgerRow> open_;  // RESERVE rows without a SETTLE so far
  std::map<Account, Sums> sums_;
};

void Auditor::visit(const LedgerRow& row) {
  ++report_.rows;
  if (row.seq != report_.rows) find("row {}: want {}; a row is missing", row.seq, report_.rows);
  report_.rows = row.seq;
  if (row.chain != ledger_chain(report_.chain, row)) {
    find("row {}: its chain does not match; it or the row before was changed", row.seq);
  }
  report_.chain = row.chain;
  Sums& sums = sums_[{row.org, row.currency}];
  switch (row.kind) {
    case LedgerKind::kReserve:
      ++report_.reservations;
      if (row.reservation != row.seq)
        find("row {}: names reservation {}", row.seq, row.reservation);
      add(sums.reserved, row.amount, row.seq);
      open_.emplace(row.seq, row);
      return;
    case LedgerKind::kSettle:
      ++report_.settlements;
      visit_settle(row);
      add(sums.charged, row.amount, row.seq);
      return;
    case LedgerKind::kCredit:
      ++report_.credits;
      add(sums.credited, row.amount, row.seq);
      return;
  }
  find("row {}: unknown kind {}", row.seq, static_cast<int64_t>(row.kind));
}

void Auditor::visit_settle(const LedgerRow& row) {
  const auto found = open_.find(row.reservation);
  if (found == open_.end()) {
    find("row {}: settles reservation {}, which is not open", row.seq, row.reservation);
    return;
  }
  const LedgerRow& reserve = found->second;
  if (row.org != reserve.org || row.team != reserve.team || row.api_key != reserve.api_key ||
      row.model != reserve.model || row.currency != reserve.currency ||
      row.price_version != reserve.price_version || row.is_batch != reserve.is_batch) {
    find("row {}: is about another key, model or price than its reservation {}", row.seq,
         row.reservation);
  }
  if (row.amount < 0 || row.amount > reserve.amount) {
    find("row {}: charges {}, reserved were {}", row.seq, row.amount, reserve.amount);
  }
  const auto gross = row.cost.sum();
  const bool adds_up = gross && row.discount >= 0 && *gross - row.discount == row.amount;
  if (!adds_up || row.cost.has_negative() || row.usage.has_negative()) {
    find("row {}: its parts less the discount do not make its amount", row.seq);
  }
  check_price(row);
  sums_[{reserve.org, reserve.currency}].reserved -= reserve.amount;
  open_.erase(found);
}

void Auditor::check_price(const LedgerRow& row) {
  if (!pricer_) return;
  const Result<Cost> price = pricer_(row);
  if (!price.is_ok()) {
    find("row {}: can't be priced: {}", row.seq, price.status().message());
  } else if (*price != row.cost) {
    find("row {}: its parts cost {}, its price version {} says {}", row.seq,
         row.cost.sum().value_or(-1), row.price_version, price->sum().value_or(-1));
  }
}

Status Auditor::compare_open(Sql& sql) {
  report_.open = static_cast<int64_t>(open_.size());
  YQ_RETURN_IF_ERROR(
      sql.execute("SELECT id, held FROM reservations ORDER BY id", {}, [&](const SqlRow& row) {
        const auto found = open_.find(row.integer(0));
        if (found == open_.end()) {
          find("reservation {}: open, but settled in the ledger or unknown to it", row.integer(0));
          return Status::ok();
        }
        if (found->second.amount != row.integer(1)) {
          find("reservation {}: holds {}, the ledger says {}", row.integer(0), row.integer(1),
               found->second.amount);
        }
        open_.erase(found);
        return Status::ok();
      }));
  for (const auto& [id, row] : open_) find("reservation {}: neither open nor settled", id);
  return Status::ok();
}

Status Auditor::compare_accounts(Sql& sql) {
  YQ_RETURN_IF_ERROR(sql.execute(
      "SELECT org, currency, credited, charged, reserved FROM accounts", {},
      [&](const SqlRow& row) {
        const Account account{row.string(0), row.string(1)};
        const Sums stored{row.integer(2), row.integer(3), row.integer(4)};
        const Sums wanted = sums_[account];
        sums_.erase(account);
        if (stored != wanted) {
          find(
              "account {} {}: has credited {}, charged {}, reserved {}; the ledger says {}, {}, "
              "{}",
              account.first, account.second, stored.credited, stored.charged, stored.reserved,
              wanted.credited, wanted.charged, wanted.reserved);
        }
        return Status::ok();
      }));
  for (const auto& [account, wanted] : sums_) {
    if (wanted != Sums{}) find("account {} {}: is missing", account.first, account.second);
  }
  return Status::ok();
}

Status Auditor::walk(Sql& sql) {
  // In portions: a database server would send all rows at once.
  static const std::string statement =
      fmt::format("SELECT {} FROM ledger WHERE seq > $1 ORDER BY seq LIMIT 1000", kLedgerColumns);
  for (int64_t seen = -1, last = 0; seen != last;) {
    seen = last;
    YQ_RETURN_IF_ERROR(sql.execute(statement, {seen}, [&](const SqlRow& row) {
      visit(read_ledger_row(row));
      last = row.integer(0);
      return Status::ok();
    }));
  }
  YQ_RETURN_IF_ERROR(compare_open(sql));
  return compare_accounts(sql);
}

}  // namespace

Result<AuditReport> audit_ledger(Store& store, const RowPricer& pricer) {
  Auditor auditor(pricer);
  YQ_RETURN_IF_ERROR(store.read_snapshot([&](Sql& sql) { return auditor.walk(sql); }));
  return auditor.take();
}

}  // namespace yunqi
