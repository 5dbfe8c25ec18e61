// Migrations. Written in the SQL that both databases share, but for two words replaced on the way:
// ROW_KEY (a 64-bit primary key that rows are stored by), and the triggers, which differ.
#include "store/schema.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <string>

namespace yunqi {
namespace {

struct Migration {
  const char* shared;
  const char* sqlite;
  const char* postgres;
};

constexpr std::string_view kRowKey = "ROW_KEY";

// 1: people, keys, quotas, prices, the ledger and its working state.
// Amounts are nano-units of a currency; times are seconds since 1970; flags are 0 or 1.
constexpr const char* kTables1 = R"sql(
CREATE TABLE organisations (
  id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, is_prepaid BIGINT NOT NULL,
  weight BIGINT NOT NULL, priority BIGINT NOT NULL, is_suspended BIGINT NOT NULL,
  created BIGINT NOT NULL);
CREATE TABLE teams (
  id TEXT PRIMARY KEY, org TEXT NOT NULL REFERENCES organisations(id), name TEXT NOT NULL,
  created BIGINT NOT NULL, UNIQUE (org, name));
CREATE TABLE users (
  id TEXT PRIMARY KEY, org TEXT NOT NULL REFERENCES organisations(id), team TEXT NOT NULL,
  email TEXT NOT NULL UNIQUE, name TEXT NOT NULL, role BIGINT NOT NULL, password TEXT NOT NULL,
  is_suspended BIGINT NOT NULL, created BIGINT NOT NULL);
CREATE TABLE api_keys (
  id TEXT PRIMARY KEY, org TEXT NOT NULL REFERENCES organisations(id),
  team TEXT NOT NULL REFERENCES teams(id), creator TEXT NOT NULL, name TEXT NOT NULL,
  digest TEXT NOT NULL, permissions BIGINT NOT NULL, models TEXT NOT NULL, networks TEXT NOT NULL,
  created BIGINT NOT NULL, expires BIGINT NOT NULL, revoked BIGINT NOT NULL,
  replaces TEXT NOT NULL);
CREATE INDEX api_keys_by_team ON api_keys (org, team);
CREATE TABLE quotas (
  id TEXT PRIMARY KEY, scope BIGINT NOT NULL, scope_id TEXT NOT NULL, model TEXT NOT NULL,
  metric BIGINT NOT NULL, span BIGINT NOT NULL, ceiling BIGINT NOT NULL,
  UNIQUE (scope, scope_id, model, metric, span));
CREATE TABLE quota_counters (
  quota TEXT NOT NULL, starts BIGINT NOT NULL, used BIGINT NOT NULL, PRIMARY KEY (quota, starts));
CREATE TABLE price_books (
  version ROW_KEY, valid_from BIGINT NOT NULL, created BIGINT NOT NULL, author TEXT NOT NULL,
  content TEXT NOT NULL);
CREATE TABLE audit_log (
  seq ROW_KEY, at BIGINT NOT NULL, actor TEXT NOT NULL, org TEXT NOT NULL, action TEXT NOT NULL,
  object TEXT NOT NULL, before_change TEXT NOT NULL, after_change TEXT NOT NULL,
  chain TEXT NOT NULL);
CREATE INDEX audit_log_by_org ON audit_log (org, seq);
CREATE TABLE ledger (
  seq ROW_KEY, at BIGINT NOT NULL, kind BIGINT NOT NULL, reservation BIGINT NOT NULL,
  request TEXT NOT NULL, org TEXT NOT NULL, team TEXT NOT NULL, api_key TEXT NOT NULL,
  model TEXT NOT NULL, is_batch BIGINT NOT NULL, price_version BIGINT NOT NULL,
  currency TEXT NOT NULL,
  input BIGINT NOT NULL, cached_input BIGINT NOT NULL, cache_creation BIGINT NOT NULL,
  output BIGINT NOT NULL, thinking BIGINT NOT NULL,
  input_cost BIGINT NOT NULL, cached_input_cost BIGINT NOT NULL,
  cache_creation_cost BIGINT NOT NULL, output_cost BIGINT NOT NULL, thinking_cost BIGINT NOT NULL,
  discount BIGINT NOT NULL, amount BIGINT NOT NULL, reason BIGINT NOT NULL, note TEXT NOT NULL,
  chain TEXT NOT NULL);
CREATE UNIQUE INDEX ledger_settled_once ON ledger (reservation) WHERE kind = 2;
CREATE INDEX ledger_by_org ON ledger (org, at);
CREATE TABLE reservations (
  id ROW_KEY, request TEXT NOT NULL, org TEXT NOT NULL, team TEXT NOT NULL,
  api_key TEXT NOT NULL, model TEXT NOT NULL, is_batch BIGINT NOT NULL,
  price_version BIGINT NOT NULL, currency TEXT NOT NULL, held BIGINT NOT NULL,
  holds TEXT NOT NULL, idempotency TEXT NOT NULL, instance TEXT NOT NULL, step BIGINT NOT NULL,
  input BIGINT NOT NULL, cached_input BIGINT NOT NULL, cache_creation BIGINT NOT NULL,
  output BIGINT NOT NULL, thinking BIGINT NOT NULL,
  input_cost BIGINT NOT NULL, cached_input_cost BIGINT NOT NULL,
  cache_creation_cost BIGINT NOT NULL, output_cost BIGINT NOT NULL, thinking_cost BIGINT NOT NULL);
CREATE TABLE accounts (
  org TEXT NOT NULL, currency TEXT NOT NULL, credited BIGINT NOT NULL, charged BIGINT NOT NULL,
  reserved BIGINT NOT NULL, PRIMARY KEY (org, currency));
CREATE TABLE idempotency (
  org TEXT NOT NULL, idempotency TEXT NOT NULL, fingerprint TEXT NOT NULL,
  reservation BIGINT NOT NULL, charged BIGINT NOT NULL, expires BIGINT NOT NULL,
  PRIMARY KEY (org, idempotency));
CREATE INDEX idempotency_by_expiry ON idempotency (expires);
CREATE TABLE instances (id TEXT PRIMARY KEY, lease_until BIGINT NOT NULL);
CREATE VIEW balances AS
  SELECT org, currency,
    CAST(SUM(CASE WHEN kind = 3 THEN amount ELSE 0 END) AS BIGINT) AS credited,
    CAST(SUM(CASE WHEN kind = 2 THEN amount ELSE 0 END) AS BIGINT) AS charged
  FROM ledger WHERE kind IN (2, 3) GROUP BY org, currency;
CREATE VIEW daily_usage AS
  SELECT org, team, api_key, model, is_batch, price_version, currency, at / 86400 AS day,
    COUNT(*) AS requests, CAST(SUM(input) AS BIGINT) AS input,
    CAST(SUM(cached_input) AS BIGINT) AS cached_input,
    CAST(SUM(cache_creation) AS BIGINT) AS cache_creation,
    CAST(SUM(output) AS BIGINT) AS output, CAST(SUM(thinking) AS BIGINT) AS thinking,
    CAST(SUM(input_cost) AS BIGINT) AS input_cost,
    CAST(SUM(cached_input_cost) AS BIGINT) AS cached_input_cost,
    CAST(SUM(cache_creation_cost) AS BIGINT) AS cache_creation_cost,
    CAST(SUM(output_cost) AS BIGINT) AS output_cost,
    CAST(SUM(thinking_cost) AS BIGINT) AS thinking_cost,
    CAST(SUM(discount) AS BIGINT) AS discount, CAST(SUM(amount) AS BIGINT) AS amount
  FROM ledger WHERE kind = 2
  GROUP BY org, team, api_key, model, is_batch, price_version, currency, at / 86400;
INSERT INTO meta VALUES ('access_version', '1');
)sql";

constexpr const char* kSqliteTriggers1 = R"sql(
CREATE TRIGGER ledger_no_update BEFORE UPDATE ON ledger
  BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_no_delete BEFORE DELETE ON ledger
  BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER audit_log_no_update BEFORE UPDATE ON audit_log
  BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log
  BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
)sql";

constexpr const char* kPostgresTriggers1 = R"sql(
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION 'this table is append-only'; END $$;
CREATE TRIGGER ledger_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
)sql";

constexpr std::array kMigrations = {
    Migration{kTables1, kSqliteTriggers1, kPostgresTriggers1},
};

std::string for_database(std::string_view script, bool is_postgres) {
  std::string out(script);
  const std::string_view key = is_postgres ? "BIGINT PRIMARY KEY" : "INTEGER PRIMARY KEY";
  for (size_t at = out.find(kRowKey); at != std::string::npos; at = out.find(kRowKey, at)) {
    out.replace(at, kRowKey.size(), key);
  }
  return out;
}

Status migrate_inside(Sql& sql) {
  YQ_RETURN_IF_ERROR(
      sql.script("CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, content TEXT NOT NULL)"));
  std::optional<int64_t> found;
  YQ_RETURN_IF_ERROR(sql.execute("SELECT CAST(content AS BIGINT) FROM meta WHERE name = 'schema'",
                                 {}, [&](const SqlRow& row) {
                                   found = row.integer(0);
                                   return Status::ok();
                                 }));
  const int64_t version = found.value_or(0);
  if (version < 0 || version > schema_version()) {
    return error(Code::kBadFile,
                 "the database has schema {}, this program knows up to {}; use a newer yunqi",
                 version, schema_version());
  }
  for (size_t step = static_cast<size_t>(version); step < kMigrations.size(); ++step) {
    const Migration& migration = kMigrations[step];
    YQ_RETURN_IF_ERROR(sql.script(for_database(migration.shared, sql.is_postgres())));
    YQ_RETURN_IF_ERROR(sql.script(sql.is_postgres() ? migration.postgres : migration.sqlite));
  }
  if (version == schema_version()) return Status::ok();
  const std::string text = std::to_string(schema_version());
  return sql.execute(
      "INSERT INTO meta VALUES ('schema', $1) "
      "ON CONFLICT (name) DO UPDATE SET content = excluded.content",
      {text});
}

}  // namespace

int64_t schema_version() { return int64_t{kMigrations.size()}; }

Status migrate(Sql& sql) {
  YQ_RETURN_IF_ERROR(sql.begin());
  const Status status = migrate_inside(sql);
  if (!status.is_ok()) {
    sql.rollback();
    return status;
  }
  return sql.commit();
}

}  // namespace yunqi
