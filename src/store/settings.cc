// Quota rules and price books in SQL.
#include "store/settings.h"

#include "base/json.h"
#include "store/token.h"

namespace yunqi {
namespace {

QuotaRule read_rule(const SqlRow& row) {
  return {.id = row.string(0),
          .scope = static_cast<QuotaScope>(row.integer(1)),
          .scope_id = row.string(2),
          .model = row.string(3),
          .metric = static_cast<QuotaMetric>(row.integer(4)),
          .span = static_cast<QuotaSpan>(row.integer(5)),
          .ceiling = row.integer(6)};
}

std::string json_of(const QuotaRule& rule) {
  return Json::object({{"scope", static_cast<int64_t>(rule.scope)},
                       {"scope_id", rule.scope_id},
                       {"model", rule.model},
                       {"metric", static_cast<int64_t>(rule.metric)},
                       {"span", static_cast<int64_t>(rule.span)},
                       {"ceiling", rule.ceiling}})
      .dump();
}

Status check(const QuotaRule& rule) {
  if (rule.ceiling < 0 || rule.ceiling > kMaxCeiling) {
    return error(Code::kInvalidArgument, "ceiling: want 0 to {}, found {}", kMaxCeiling,
                 rule.ceiling);
  }
  if (rule.metric == QuotaMetric::kConcurrency && rule.span != QuotaSpan::kNone) {
    return error(Code::kInvalidArgument, "concurrency: want no window, it counts what runs now");
  }
  if ((rule.scope == QuotaScope::kServer) != rule.scope_id.empty()) {
    return error(Code::kInvalidArgument, "want the id of an organisation, team or key");
  }
  return Status::ok();
}

}  // namespace

Result<std::string> Settings::set_quota(std::string_view actor, std::string_view org,
                                        QuotaRule rule) {
  YQ_RETURN_IF_ERROR(check(rule));
  const std::string fresh = "quota_" + random_token(16);
  const Status written = store_.write([&](Sql& sql) -> Status {
    std::string before;
    rule.id = fresh;
    YQ_RETURN_IF_ERROR(sql.execute(
        "SELECT * FROM quotas WHERE scope = $1 AND scope_id = $2 AND model = $3 AND metric = $4 "
        "AND span = $5",
        {static_cast<int64_t>(rule.scope), rule.scope_id, rule.model,
         static_cast<int64_t>(rule.metric), static_cast<int64_t>(rule.span)},
        [&](const SqlRow& row) {
          const QuotaRule old = read_rule(row);
          rule.id = old.id;
          before = json_of(old);
          return Status::ok();
        }));
    int64_t count = 0;
    YQ_RETURN_IF_ERROR(sql.execute("SELECT COUNT(*) FROM quotas", {}, [&](const SqlRow& row) {
      count = row.integer(0);
      return Status::ok();
    }));
    if (before.empty() && count >= kMaxQuotas) {
      return error(Code::kTooLarge, "want at most {} quotas", kMaxQuotas);
    }
    YQ_RETURN_IF_ERROR(sql.execute(
        "INSERT INTO quotas VALUES ($1, $2, $3, $4, $5, $6, $7) "
        "ON CONFLICT (id) DO UPDATE SET ceiling = excluded.ceiling",
        {rule.id, static_cast<int64_t>(rule.scope), rule.scope_id, rule.model,
         static_cast<int64_t>(rule.metric), static_cast<int64_t>(rule.span), rule.ceiling}));
    YQ_RETURN_IF_ERROR(append_change(sql, clock_.unix_seconds(),
                                     {.actor = std::string(actor),
                                      .org = std::string(org),
                                      .action = "quota.set",
                                      .object = rule.id,
                                      .before = before,
                                      .after = json_of(rule)}));
    return raise_access_version(sql);
  });
  YQ_RETURN_IF_ERROR(written);
  return rule.id;
}

Status Settings::remove_quota(std::string_view actor, std::string_view org, std::string_view id) {
  return store_.write([&](Sql& sql) -> Status {
    std::string before;
    YQ_RETURN_IF_ERROR(
        sql.execute("SELECT * FROM quotas WHERE id = $1", {id}, [&](const SqlRow& row) {
          before = json_of(read_rule(row));
          return Status::ok();
        }));
    if (before.empty()) return error(Code::kNotFound, "no quota \"{}\"", id.substr(0, 64));
    YQ_RETURN_IF_ERROR(sql.execute("DELETE FROM quotas WHERE id = $1", {id}));
    YQ_RETURN_IF_ERROR(sql.execute("DELETE FROM quota_counters WHERE quota = $1", {id}));
    YQ_RETURN_IF_ERROR(append_change(sql, clock_.unix_seconds(),
                                     {.actor = std::string(actor),
                                      .org = std::string(org),
                                      .action = "quota.remove",
                                      .object = std::string(id),
                                      .before = before}));
    return raise_access_version(sql);
  });
}

Result<std::vector<QuotaRule>> Settings::quotas() {
  std::vector<QuotaRule> out;
  YQ_RETURN_IF_ERROR(store_.read([&](Sql& sql) {
    out.clear();
    return sql.execute("SELECT * FROM quotas ORDER BY id", {}, [&](const SqlRow& row) {
      out.push_back(read_rule(row));
      return Status::ok();
    });
  }));
  return out;
}

Result<int64_t> Settings::used(std::string_view quota, int64_t starts) {
  int64_t used = 0;
  YQ_RETURN_IF_ERROR(store_.read([&](Sql& sql) {
    return sql.execute("SELECT used FROM quota_counters WHERE quota = $1 AND starts = $2",
                       {quota, starts}, [&](const SqlRow& row) {
                         used = row.integer(0);
                         return Status::ok();
                       });
  }));
  return used;
}

Result<int64_t> Settings::add_price_book(std::string_view actor, int64_t valid_from,
                                         std::string_view content) {
  if (content.size() > kMaxPriceBookBytes) {
    return error(Code::kTooLarge, "want a price book of at most {} bytes, found {}",
                 kMaxPriceBookBytes, content.size());
  }
  int64_t version = 0;
  const Status written = store_.write([&](Sql& sql) -> Status {
    version = 1;
    YQ_RETURN_IF_ERROR(
        sql.execute("SELECT MAX(version) FROM price_books", {}, [&](const SqlRow& row) {
          version = row.integer(0) + 1;
          return Status::ok();
        }));
    const int64_t now = clock_.unix_seconds();
    YQ_RETURN_IF_ERROR(sql.execute("INSERT INTO price_books VALUES ($1, $2, $3, $4, $5)",
                                   {version, valid_from, now, actor, content}));
    YQ_RETURN_IF_ERROR(append_change(sql, now,
                                     {.actor = std::string(actor),
                                      .action = "prices.add",
                                      .object = std::to_string(version),
                                      .after = std::string(content)}));
    return raise_access_version(sql);
  });
  YQ_RETURN_IF_ERROR(written);
  return version;
}

Result<std::vector<StoredPriceBook>> Settings::price_books() {
  std::vector<StoredPriceBook> out;
  YQ_RETURN_IF_ERROR(store_.read([&](Sql& sql) {
    out.clear();
    return sql.execute(
        "SELECT version, valid_from, created, author, content FROM price_books ORDER BY version",
        {}, [&](const SqlRow& row) {
          out.push_back(
              {row.integer(0), row.integer(1), row.integer(2), row.string(3), row.string(4)});
          return Status::ok();
        });
  }));
  return out;
}

}  // namespace yunqi
