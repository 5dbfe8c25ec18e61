// The chain: SHA-256 over the row before's chain and this row's fields, each with its length or as
// eight bytes, so that no two rows have the same bytes. docs/formats/ledger.md has the layout.
#include "store/ledger_rows.h"

#include <array>

#include "base/sha256.h"

namespace yunqi {
namespace {

void put(std::string& out, int64_t value) {
  const auto bits = static_cast<uint64_t>(value);
  std::array<char, 8> bytes;
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(bits >> (8 * i));
  out.append(bytes.data(), bytes.size());
}

void put(std::string& out, std::string_view text) {
  put(out, static_cast<int64_t>(text.size()));
  out += text;
}

template <typename Unit>
void put(std::string& out, const PerPart<Unit>& parts) {
  put(out, parts.input);
  put(out, parts.cached_input);
  put(out, parts.cache_creation);
  put(out, parts.output);
  put(out, parts.thinking);
}

}  // namespace

std::string_view settle_reason_name(SettleReason reason) {
  switch (reason) {
    case SettleReason::kNone:
      return "none";
    case SettleReason::kDone:
      return "done";
    case SettleReason::kCancelled:
      return "cancelled";
    case SettleReason::kError:
      return "error";
    case SettleReason::kShutdown:
      return "shutdown";
    case SettleReason::kRecovered:
      return "recovered";
  }
  return "none";
}

std::string ledger_chain(std::string_view before, const LedgerRow& row) {
  std::string bytes;
  bytes.reserve(512);
  put(bytes, before);
  put(bytes, row.seq);
  put(bytes, row.at);
  put(bytes, static_cast<int64_t>(row.kind));
  put(bytes, row.reservation);
  for (const std::string* text : {&row.request, &row.org, &row.team, &row.api_key, &row.model}) {
    put(bytes, *text);
  }
  put(bytes, static_cast<int64_t>(row.is_batch));
  put(bytes, row.price_version);
  put(bytes, row.currency);
  put(bytes, row.usage);
  put(bytes, row.cost);
  put(bytes, row.discount);
  put(bytes, row.amount);
  put(bytes, static_cast<int64_t>(row.reason));
  put(bytes, row.note);
  return to_hex(sha256(bytes));
}

Status LedgerTail::append(Sql& sql, LedgerRow& row) {
  if (transaction_ != sql.transaction()) {
    seq_ = 0;
    chain_.clear();
    YQ_RETURN_IF_ERROR(sql.execute("SELECT seq, chain FROM ledger ORDER BY seq DESC LIMIT 1", {},
                                   [&](const SqlRow& last) {
                                     seq_ = last.integer(0);
                                     chain_ = last.text(1);
                                     return Status::ok();
                                   }));
    transaction_ = sql.transaction();
  }
  row.seq = seq_ + 1;
  if (row.kind == LedgerKind::kReserve) row.reservation = row.seq;
  row.chain = ledger_chain(chain_, row);
  const Usage& usage = row.usage;
  const Cost& cost = row.cost;
  YQ_RETURN_IF_ERROR(sql.execute(
      "INSERT INTO ledger VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, "
      "$15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27)",
      {row.seq,
       row.at,
       static_cast<int64_t>(row.kind),
       row.reservation,
       row.request,
       row.org,
       row.team,
       row.api_key,
       row.model,
       int64_t{row.is_batch},
       row.price_version,
       row.currency,
       usage.input,
       usage.cached_input,
       usage.cache_creation,
       usage.output,
       usage.thinking,
       cost.input,
       cost.cached_input,
       cost.cache_creation,
       cost.output,
       cost.thinking,
       row.discount,
       row.amount,
       static_cast<int64_t>(row.reason),
       row.note,
       row.chain}));
  seq_ = row.seq;
  chain_ = row.chain;
  return Status::ok();
}

LedgerRow read_ledger_row(const SqlRow& row) {
  LedgerRow out;
  out.seq = row.integer(0);
  out.at = row.integer(1);
  out.kind = static_cast<LedgerKind>(row.integer(2));
  out.reservation = row.integer(3);
  out.request = row.text(4);
  out.org = row.text(5);
  out.team = row.text(6);
  out.api_key = row.text(7);
  out.model = row.text(8);
  out.is_batch = row.flag(9);
  out.price_version = row.integer(10);
  out.currency = row.text(11);
  out.usage = read_parts<Tokens>(row, 12);
  out.cost = read_parts<NanoUnits>(row, 17);
  out.discount = row.integer(22);
  out.amount = row.integer(23);
  out.reason = static_cast<SettleReason>(row.integer(24));
  out.note = row.text(25);
  out.chain = row.text(26);
  return out;
}

}  // namespace yunqi
