// SQLite behind Sql. Statements are kept by text; $1 becomes ?1, which numbers it by its name.
#include "store/sqlite.h"

#include <sqlite3.h>

#include <utility>

namespace yunqi {
namespace {

constexpr int kBusyTimeoutMs = 5'000;

struct CloseDatabase {
  void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
};
struct FinalizeStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, FinalizeStatement>;

Code code_of(int result) {
  switch (result & 0xFF) {
    case SQLITE_FULL:
    case SQLITE_NOMEM:
      return Code::kNoResources;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Code::kUnavailable;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Code::kBadFile;
    case SQLITE_CONSTRAINT:
    case SQLITE_TOOBIG:
      return Code::kInvalidArgument;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
      return Code::kPermission;
    default:
      return Code::kInternal;
  }
}

std::string_view advice_of(int result) {
  switch (result & 0xFF) {
    case SQLITE_FULL:
      return "; free disk space";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return "; another program holds it, end that one";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return "; restore it from a backup";
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
      return "; check the folder's and file's permissions";
    default:
      return "";
  }
}

class StatementRow final : public SqlRow {
 public:
  explicit StatementRow(sqlite3_stmt* statement) : statement_(statement) {}
  int64_t integer(int column) const override { return sqlite3_column_int64(statement_, column); }
  std::string_view text(int column) const override {
    const auto* bytes = sqlite3_column_text(statement_, column);
    if (bytes == nullptr) return {};
    return {reinterpret_cast<const char*>(bytes),
            static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
  }
  bool is_null(int column) const override {
    return sqlite3_column_type(statement_, column) == SQLITE_NULL;
  }

 private:
  sqlite3_stmt* statement_;
};

class SqliteSql final : public Sql {
 public:
  SqliteSql(sqlite3* db, std::string name) : db_(db), name_(std::move(name)) {}

  Status script(std::string_view statements) override {
    return check(
        sqlite3_exec(db_.get(), std::string(statements).c_str(), nullptr, nullptr, nullptr));
  }
  Status begin_write() override { return execute("BEGIN IMMEDIATE"); }
  Status begin_snapshot() override { return execute("BEGIN"); }
  Status commit() override { return execute("COMMIT"); }
  void rollback() override {
    if (sqlite3_get_autocommit(db_.get()) == 0) (void)execute("ROLLBACK");
  }
  bool is_postgres() const override { return false; }
  bool is_broken() const override { return is_broken_; }

 protected:
  Result<int64_t> run_checked(std::string_view text, std::initializer_list<SqlParam> params,
                              const RowVisitor& visitor) override;

 private:
  Status check(int result) {
    if (result == SQLITE_OK || result == SQLITE_DONE || result == SQLITE_ROW) return Status::ok();
    const int primary = result & 0xFF;
    is_broken_ |= primary == SQLITE_IOERR || primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB;
    return error(code_of(result), "{}: {}{}", name_, sqlite3_errmsg(db_.get()), advice_of(result));
  }
  Result<sqlite3_stmt*> prepared(std::string_view text);
  Status bind(sqlite3_stmt* statement, std::initializer_list<SqlParam> params);

  std::unique_ptr<sqlite3, CloseDatabase> db_;
  std::string name_;
  bool is_broken_ = false;
  StatementMap<Statement> statements_;  // finalised before db_ is closed
};

Result<sqlite3_stmt*> SqliteSql::prepared(std::string_view text) {
  const auto found = statements_.find(text);
  if (found != statements_.end()) return found->second.get();
  std::string numbered(text);
  for (char& c : numbered) {
    if (c == '$') c = '?';
  }
  sqlite3_stmt* statement = nullptr;
  YQ_RETURN_IF_ERROR(
      check(sqlite3_prepare_v3(db_.get(), numbered.c_str(), static_cast<int>(numbered.size()),
                               SQLITE_PREPARE_PERSISTENT, &statement, nullptr)));
  statements_.emplace(std::string(text), Statement(statement));
  return statement;
}

Status SqliteSql::bind(sqlite3_stmt* statement, std::initializer_list<SqlParam> params) {
  int index = 0;
  for (const SqlParam& param : params) {
    ++index;
    int result = SQLITE_OK;
    if (const auto* number = std::get_if<int64_t>(&param)) {
      result = sqlite3_bind_int64(statement, index, *number);
    } else if (const auto* text = std::get_if<std::string_view>(&param)) {
      // A null pointer would bind NULL; an empty view may hold one.
      result = sqlite3_bind_text(statement, index, text->empty() ? "" : text->data(),
                                 static_cast<int>(text->size()), SQLITE_STATIC);
    } else {
      result = sqlite3_bind_null(statement, index);
    }
    YQ_RETURN_IF_ERROR(check(result));
  }
  return Status::ok();
}

Result<int64_t> SqliteSql::run_checked(std::string_view text,
                                       std::initializer_list<SqlParam> params,
                                       const RowVisitor& visitor) {
  YQ_TRY(sqlite3_stmt * statement, prepared(text));
  Status status = bind(statement, params);
  int64_t visited = 0;
  while (status.is_ok()) {
    const int result = sqlite3_step(statement);
    if (result != SQLITE_ROW) {
      status = check(result);
      break;
    }
    ++visited;
    if (visitor) status = visitor(StatementRow(statement));
  }
  const bool is_query = sqlite3_column_count(statement) > 0;
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  YQ_RETURN_IF_ERROR(status);
  return is_query ? visited : int64_t{sqlite3_changes(db_.get())};
}

Status configure(Sql& sql, bool read_only) {
  // FULL: a commit returns when the WAL is on the disk. NORMAL could lose the last commits.
  if (!read_only) YQ_RETURN_IF_ERROR(sql.script("PRAGMA journal_mode=WAL"));
  return sql.script(
      "PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA cell_size_check=ON;"
      "PRAGMA cache_size=-16384; PRAGMA wal_autocheckpoint=4000; PRAGMA trusted_schema=OFF;"
      "PRAGMA temp_store=MEMORY");
}

}  // namespace

Result<std::unique_ptr<Sql>> open_sqlite(const SqliteOptions& options) {
  const int flags =
      (options.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) |
      SQLITE_OPEN_NOMUTEX;
  sqlite3* raw = nullptr;
  const int result = sqlite3_open_v2(options.path.c_str(), &raw, flags,
                                     options.vfs.empty() ? nullptr : options.vfs.c_str());
  std::unique_ptr<Sql> sql = std::make_unique<SqliteSql>(raw, options.path.string());
  if (result != SQLITE_OK) {
    return error(code_of(result), "{}: {}{}", options.path.string(),
                 raw == nullptr ? "no memory" : sqlite3_errmsg(raw), advice_of(result));
  }
  sqlite3_extended_result_codes(raw, 1);
  sqlite3_busy_timeout(raw, kBusyTimeoutMs);
  YQ_RETURN_IF_ERROR(configure(*sql, options.read_only));
  return sql;
}

}  // namespace yunqi
