// Sums are made by the database over one snapshot.
#include "store/ledger_report.h"

#include "base/json.h"
#include "store/ledger_rows.h"

namespace yunqi {
namespace {

constexpr std::string_view kSums =
    "COUNT(*), CAST(SUM(input) AS BIGINT), CAST(SUM(cached_input) AS BIGINT), "
    "CAST(SUM(cache_creation) AS BIGINT), CAST(SUM(output) AS BIGINT), "
    "CAST(SUM(thinking) AS BIGINT), CAST(SUM(input_cost) AS BIGINT), "
    "CAST(SUM(cached_input_cost) AS BIGINT), CAST(SUM(cache_creation_cost) AS BIGINT), "
    "CAST(SUM(output_cost) AS BIGINT), CAST(SUM(thinking_cost) AS BIGINT), "
    "CAST(SUM(discount) AS BIGINT), CAST(SUM(amount) AS BIGINT)";
constexpr std::string_view kMatches =
    "($1 = '' OR org = $1) AND ($2 = '' OR team = $2) AND ($3 = '' OR api_key = $3) "
    "AND ($4 = '' OR model = $4) AND at >= $5 AND at < $6";

Status too_many() {
  return error(Code::kTooLarge, "want at most {} rows in a report; narrow its time or filter",
               kMaxReportRows);
}

// A CSV field in quotes where it needs them.
std::string csv_field(std::string_view text) {
  std::string safe(text);
  if (!safe.empty() && std::string_view("=+-@\t\r").find(safe.front()) != std::string_view::npos) {
    safe.insert(safe.begin(), '\'');
  }
  if (safe.find_first_of(",\"\r\n") == std::string::npos) return safe;
  std::string out = "\"";
  for (const char c : safe) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

constexpr std::string_view kind_name(LedgerKind kind) {
  return kind == LedgerKind::kReserve  ? "reserve"
         : kind == LedgerKind::kSettle ? "settle"
                                       : "credit";
}

void append_csv(std::string& out, const LedgerRow& row) {
  out += fmt::format("{},{},{},{},{},{},{},{},{},{},{},{}", row.seq, row.at, kind_name(row.kind),
                     row.reservation, csv_field(row.request), csv_field(row.org),
                     csv_field(row.team), csv_field(row.api_key), csv_field(row.model),
                     row.is_batch ? 1 : 0, row.price_version, csv_field(row.currency));
  out += fmt::format(",{},{},{},{},{}", row.usage.input, row.usage.cached_input,
                     row.usage.cache_creation, row.usage.output, row.usage.thinking);
  out += fmt::format(",{},{},{},{},{}", row.cost.input, row.cost.cached_input,
                     row.cost.cache_creation, row.cost.output, row.cost.thinking);
  out += fmt::format(",{},{},{},{},{}\n", row.discount, row.amount, settle_reason_name(row.reason),
                     csv_field(row.note), row.chain);
}

template <typename Unit>
Json json_of(const PerPart<Unit>& parts) {
  return Json::object({{"input", parts.input},
                       {"cached_input", parts.cached_input},
                       {"cache_creation", parts.cache_creation},
                       {"output", parts.output},
                       {"thinking", parts.thinking}});
}

void append_json(std::string& out, const LedgerRow& row) {
  out += Json::object({{"seq", row.seq},
                       {"at", row.at},
                       {"kind", kind_name(row.kind)},
                       {"reservation", row.reservation},
                       {"request", row.request},
                       {"org", row.org},
                       {"team", row.team},
                       {"api_key", row.api_key},
                       {"model", row.model},
                       {"is_batch", row.is_batch},
                       {"price_version", row.price_version},
                       {"currency", row.currency},
                       {"usage", json_of(row.usage)},
                       {"cost_nano", json_of(row.cost)},
                       {"discount_nano", row.discount},
                       {"amount_nano", row.amount},
                       {"reason", settle_reason_name(row.reason)},
                       {"note", row.note},
                       {"chain", row.chain}})
             .dump();
  out += '\n';
}

}  // namespace

Result<std::vector<UsageRow>> usage_report(Store& store, const ReportFilter& filter,
                                           const ReportGroups& groups) {
  if (groups.bucket_s < 0) return error(Code::kInvalidArgument, "want a bucket of seconds");
  // Bucket 0 divides by more seconds than there will be, which puts all into bucket 0.
  const int64_t bucket = groups.bucket_s == 0 ? INT64_MAX : groups.bucket_s;
  const std::string statement = fmt::format(
      "SELECT at / $7 AS bucket, org, {} AS team_group, {} AS key_group, {} AS model_group, "
      "currency, {} FROM ledger WHERE kind = 2 AND {} "
      "GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6 LIMIT {}",
      groups.by_key ? "team" : "''", groups.by_key ? "api_key" : "''",
      groups.by_model ? "model" : "''", kSums, kMatches, kMaxReportRows + 1);
  std::vector<UsageRow> out;
  const Status status = store.read_snapshot([&](Sql& sql) {
    return sql.execute(
        statement,
        {filter.org, filter.team, filter.api_key, filter.model, filter.from, filter.to, bucket},
        [&](const SqlRow& row) {
          if (out.size() >= kMaxReportRows) return too_many();
          out.push_back({.starts = groups.bucket_s == 0 ? 0 : row.integer(0) * bucket,
                         .org = row.string(1),
                         .team = row.string(2),
                         .api_key = row.string(3),
                         .model = row.string(4),
                         .currency = row.string(5),
                         .requests = row.integer(6),
                         .usage = read_parts<Tokens>(row, 7),
                         .cost = read_parts<NanoUnits>(row, 12),
                         .discount = row.integer(17),
                         .amount = row.integer(18)});
          return Status::ok();
        });
  });
  YQ_RETURN_IF_ERROR(status);
  return out;
}

Result<std::vector<InvoiceLine>> invoice(Store& store, std::string_view org, int64_t from,
                                         int64_t to) {
  static const std::string statement = fmt::format(
      "SELECT team, api_key, model, currency, is_batch, price_version, {} FROM ledger "
      "WHERE kind = 2 AND org = $1 AND at >= $2 AND at < $3 "
      "GROUP BY team, api_key, model, currency, is_batch, price_version "
      "ORDER BY team, api_key, model, currency, is_batch, price_version LIMIT {}",
      kSums, kMaxReportRows + 1);
  std::vector<InvoiceLine> out;
  const Status status = store.read_snapshot([&](Sql& sql) {
    return sql.execute(statement, {org, from, to}, [&](const SqlRow& row) {
      if (out.size() >= kMaxReportRows) return too_many();
      out.push_back({.team = row.string(0),
                     .api_key = row.string(1),
                     .model = row.string(2),
                     .currency = row.string(3),
                     .is_batch = row.flag(4),
                     .price_version = row.integer(5),
                     .requests = row.integer(6),
                     .usage = read_parts<Tokens>(row, 7),
                     .cost = read_parts<NanoUnits>(row, 12),
                     .discount = row.integer(17),
                     .amount = row.integer(18)});
      return Status::ok();
    });
  });
  YQ_RETURN_IF_ERROR(status);
  return out;
}

Status export_ledger(Store& store, const ReportFilter& filter, ExportFormat format,
                     const std::function<Status(std::string_view)>& sink) {
  static const std::string statement =
      fmt::format("SELECT {} FROM ledger WHERE {} AND seq > $7 ORDER BY seq LIMIT 1000",
                  kLedgerColumns, kMatches);
  if (format == ExportFormat::kCsv) {
    std::string head;
    for (const char c : kLedgerColumns) {
      if (c != ' ') head += c;
    }
    YQ_RETURN_IF_ERROR(sink(head + "\n"));
  }
  return store.read_snapshot([&](Sql& sql) -> Status {
    int64_t last = 0, seen = -1;
    while (last != seen) {
      seen = last;
      std::string piece;
      YQ_RETURN_IF_ERROR(sql.execute(
          statement,
          {filter.org, filter.team, filter.api_key, filter.model, filter.from, filter.to, seen},
          [&](const SqlRow& row) {
            const LedgerRow entry = read_ledger_row(row);
            last = entry.seq;
            if (format == ExportFormat::kCsv) {
              append_csv(piece, entry);
            } else {
              append_json(piece, entry);
            }
            return Status::ok();
          }));
      if (!piece.empty()) YQ_RETURN_IF_ERROR(sink(piece));
    }
    return Status::ok();
  });
}

}  // namespace yunqi
