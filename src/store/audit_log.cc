// The log's chain works as the ledger's: each row hashes the one before and itself.
#include "store/audit_log.h"

#include <algorithm>

#include "base/sha256.h"

namespace yunqi {
namespace {

std::string chain_of(std::string_view before, int64_t seq, int64_t at, const Change& change) {
  std::string bytes = fmt::format("{}:{}:{}:", before, seq, at);
  for (const std::string* text : {&change.actor, &change.org, &change.action, &change.object,
                                  &change.before, &change.after}) {
    bytes += fmt::format("{}:", text->size());
    bytes += *text;
  }
  return to_hex(sha256(bytes));
}

AuditEntry read_entry(const SqlRow& row) {
  return {.seq = row.integer(0),
          .at = row.integer(1),
          .change = {.actor = row.string(2),
                     .org = row.string(3),
                     .action = row.string(4),
                     .object = row.string(5),
                     .before = row.string(6),
                     .after = row.string(7)},
          .chain = row.string(8)};
}

}  // namespace

Status append_change(Sql& sql, int64_t at, const Change& change) {
  int64_t seq = 0;
  std::string before;
  YQ_RETURN_IF_ERROR(sql.execute("SELECT seq, chain FROM audit_log ORDER BY seq DESC LIMIT 1", {},
                                 [&](const SqlRow& row) {
                                   seq = row.integer(0);
                                   before = row.text(1);
                                   return Status::ok();
                                 }));
  ++seq;
  return sql.execute("INSERT INTO audit_log VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                     {seq, at, change.actor, change.org, change.action, change.object,
                      change.before, change.after, chain_of(before, seq, at, change)});
}

Status raise_access_version(Sql& sql) {
  return sql.execute(
      "UPDATE meta SET content = CAST(CAST(content AS BIGINT) + 1 AS TEXT) "
      "WHERE name = 'access_version'");
}

Result<int64_t> access_version(Sql& sql) {
  int64_t version = 0;
  YQ_RETURN_IF_ERROR(
      sql.execute("SELECT CAST(content AS BIGINT) FROM meta WHERE name = 'access_version'", {},
                  [&](const SqlRow& row) {
                    version = row.integer(0);
                    return Status::ok();
                  }));
  return version;
}

Result<std::vector<AuditEntry>> read_audit_log(Store& store, std::string_view org, int64_t before,
                                               int64_t limit) {
  std::vector<AuditEntry> out;
  YQ_RETURN_IF_ERROR(store.read([&](Sql& sql) {
    out.clear();
    return sql.execute(
        "SELECT seq, at, actor, org, action, object, before_change, after_change, chain "
        "FROM audit_log WHERE org = $1 AND ($2 = 0 OR seq < $2) ORDER BY seq DESC LIMIT $3",
        {org, before, std::clamp<int64_t>(limit, 0, kMaxAuditPage)}, [&](const SqlRow& row) {
          out.push_back(read_entry(row));
          return Status::ok();
        });
  }));
  return out;
}

Status verify_audit_log(Store& store) {
  return store.read_snapshot([&](Sql& sql) -> Status {
    int64_t seq = 0, seen = -1;
    std::string chain;
    while (seen != seq) {
      seen = seq;
      YQ_RETURN_IF_ERROR(sql.execute(
          "SELECT seq, at, actor, org, action, object, before_change, after_change, chain "
          "FROM audit_log WHERE seq > $1 ORDER BY seq LIMIT 1000",
          {seen}, [&](const SqlRow& row) {
            const AuditEntry entry = read_entry(row);
            if (entry.seq != seq + 1 ||
                entry.chain != chain_of(chain, entry.seq, entry.at, entry.change)) {
              return error(Code::kBadFile,
                           "audit log: row {} does not follow row {}; it was changed", entry.seq,
                           seq);
            }
            seq = entry.seq;
            chain = entry.chain;
            return Status::ok();
          }));
    }
    return Status::ok();
  });
}

}  // namespace yunqi
