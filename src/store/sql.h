// One database connection as the aggregates see it: run a statement with parameters, visit rows.
// Statements are written once in the SQL that SQLite 3.40 and PostgreSQL 13+ share, with $1, $2 ...
// as parameters. A connection is used by one thread at a time; Store says which.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>

#include "base/result.h"

namespace yunqi {

inline constexpr size_t kMaxSqlTextBytes = size_t{1} << 20;  // of one text parameter

// Borrowed for the call. Texts are UTF-8 without NUL: PostgreSQL has no other, so both refuse it.
using SqlParam = std::variant<std::nullptr_t, int64_t, std::string_view>;

// The row at hand; texts live until the visitor returns. Columns count from 0.
class SqlRow {
 public:
  virtual int64_t integer(int column) const = 0;        // NULL reads as 0
  virtual std::string_view text(int column) const = 0;  // NULL reads as ""
  virtual bool is_null(int column) const = 0;

  bool flag(int column) const { return integer(column) != 0; }
  std::string string(int column) const { return std::string(text(column)); }

 protected:
  ~SqlRow() = default;
};

// An error stops the statement and becomes its result.
using RowVisitor = std::function<Status(const SqlRow&)>;

// A map from statement texts that is searched without making a string.
struct SqlTextHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};
template <typename T>
using StatementMap = std::unordered_map<std::string, T, SqlTextHash, std::equal_to<>>;

class Sql {
 public:
  virtual ~Sql() = default;

  // Runs one statement, prepared on first use and kept. Returns the rows changed (or visited).
  // kNoResources: disk full. kUnavailable: locked, or the server is gone. kBadFile: the database
  // is damaged. kInvalidArgument: a constraint or a text that can't be stored. kInternal: the rest.
  Result<int64_t> run(std::string_view statement, std::initializer_list<SqlParam> params,
                      const RowVisitor& visitor = {});
  // As run() for statements whose count does not matter. Without a visitor the error of one may be
  // that of a later call of the same transaction, commit() at the latest: nobody waits for it.
  Status execute(std::string_view statement, std::initializer_list<SqlParam> params = {},
                 const RowVisitor& visitor = {});
  // Several statements without parameters, separated by semicolons: migrations.
  virtual Status script(std::string_view statements) = 0;

  Status begin();
  // Repeatable reads, no writes.
  virtual Status begin_snapshot() = 0;
  // An error of the disk here means that nothing more may be promised: Store stops for good.
  virtual Status commit() = 0;
  virtual void rollback() = 0;

  // Counts begin(): state cached inside a transaction is stale when this has changed.
  uint64_t transaction() const { return transaction_; }
  // Seconds since 1970 by the database's clock, which all replicas share.
  Result<int64_t> database_seconds();
  virtual bool is_postgres() const = 0;
  // True once the disk failed under this connection: what was written last is unknown.
  virtual bool is_broken() const = 0;

 protected:
  virtual Result<int64_t> run_checked(std::string_view statement,
                                      std::initializer_list<SqlParam> params,
                                      const RowVisitor& visitor) = 0;
  virtual Status begin_write() = 0;
  // A statement whose result nobody reads; inside a transaction it may only be sent.
  virtual Status run_unread(std::string_view statement, std::initializer_list<SqlParam> params) {
    return run_checked(statement, params, {}).status();
  }

 private:
  uint64_t transaction_ = 0;
};

}  // namespace yunqi
