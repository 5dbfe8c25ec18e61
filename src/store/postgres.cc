// PostgreSQL behind Sql. Parameters and results travel as text; a statement is prepared under a
// name made from its place in the list. Statements whose results nobody reads are only sent, in
// libpq's pipeline mode, and read with the next that is: a job waits for few round trips. A lost
// connection is made anew where no transaction runs.
#include "store/postgres.h"

#include <libpq-fe.h>

#include <array>
#include <charconv>
#include <utility>
#include <vector>

namespace yunqi {
namespace {

constexpr size_t kMaxSchemaName = 63;
constexpr int kMaxUnread = 256;  // statements in the pipeline; their answers fit its buffers

struct FinishConnection {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using Reply = std::unique_ptr<PGresult, ClearResult>;

bool is_schema_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxSchemaName) return false;
  for (const char c : name) {
    const bool is_digit = c >= '0' && c <= '9';
    if (!(c == '_' || (c >= 'a' && c <= 'z') || is_digit)) return false;
  }
  return name.front() < '0' || name.front() > '9';
}

Code code_of(std::string_view state) {
  const std::string_view kind = state.substr(0, 2);
  if (kind == "23" || kind == "22") return Code::kInvalidArgument;
  if (kind == "53" || kind == "54") return Code::kNoResources;
  if (kind == "08" || kind == "57" || kind == "40" || kind == "55") return Code::kUnavailable;
  if (kind == "28" || kind == "25" || state == "42501") return Code::kPermission;
  if (state == "XX001" || state == "XX002") return Code::kBadFile;
  return Code::kInternal;
}

// libpq's messages end with a newline and may have several lines; the first says what happened.
std::string first_line(const char* text) {
  const std::string_view view(text == nullptr ? "" : text);
  return std::string(view.substr(0, view.find('\n')));
}

class ReplyRow final : public SqlRow {
 public:
  ReplyRow(const PGresult* reply, int row) : reply_(reply), row_(row) {}
  int64_t integer(int column) const override {
    const std::string_view digits = text(column);
    int64_t value = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return value;
  }
  std::string_view text(int column) const override {
    return {PQgetvalue(reply_, row_, column),
            static_cast<size_t>(PQgetlength(reply_, row_, column))};
  }
  bool is_null(int column) const override { return PQgetisnull(reply_, row_, column) == 1; }

 private:
  const PGresult* reply_;
  int row_;
};

class PostgresSql final : public Sql {
 public:
  explicit PostgresSql(PostgresOptions options) : options_(std::move(options)) {}

  Status connect();
  Status script(std::string_view statements) override {
    YQ_RETURN_IF_ERROR(read_pipeline(false).status());
    return check(Reply(PQexec(connection_.get(), std::string(statements).c_str()))).status();
  }
  Status begin_write() override;
  Status begin_snapshot() override {
    is_inside_ = true;
    return script(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0");
  }
  Status commit() override;
  void rollback() override {
    is_inside_ = false;
    (void)read_pipeline(false);
    if (PQstatus(connection_.get()) == CONNECTION_OK) (void)script("ROLLBACK");
  }
  bool is_postgres() const override { return true; }
  bool is_broken() const override { return false; }

 protected:
  Result<int64_t> run_checked(std::string_view text, std::initializer_list<SqlParam> params,
                              const RowVisitor& visitor) override;
  Status run_unread(std::string_view text, std::initializer_list<SqlParam> params) override;

 private:
  struct Arguments;
  Status send(const std::string& name, const Arguments& arguments);
  // Reads what was sent. Returns the last answer when `wants_last`, else null; the first error.
  Result<Reply> read_pipeline(bool wants_last);
  Status lost() const;
  Result<Reply> check(Reply reply) const;
  Result<std::string> prepared(std::string_view text, size_t params);
  Status reconnect_if_lost();
  int64_t writer_lock() const;

  PostgresOptions options_;
  std::unique_ptr<PGconn, FinishConnection> connection_;
  StatementMap<std::string> statements_;  // text to name, of this connection
  bool is_inside_ = false;                // a transaction
  int unread_ = 0;  // statements sent whose answers were not read; > 0 is pipeline mode
};

// Parameters as libpq takes them; the pointers are into `texts`.
struct PostgresSql::Arguments {
  explicit Arguments(std::initializer_list<SqlParam> params)
      : texts(params.size()), values(params.size(), nullptr) {
    size_t index = 0;
    for (const SqlParam& param : params) {
      if (const auto* number = std::get_if<int64_t>(&param)) {
        texts[index] = std::to_string(*number);
        values[index] = texts[index].c_str();
      } else if (const auto* string = std::get_if<std::string_view>(&param)) {
        texts[index] = *string;
        values[index] = texts[index].c_str();
      }
      ++index;
    }
  }
  int count() const { return static_cast<int>(values.size()); }

  std::vector<std::string> texts;
  std::vector<const char*> values;
};

Status PostgresSql::lost() const {
  return error(Code::kUnavailable, "PostgreSQL: {}; it is tried again with the next request",
               first_line(PQerrorMessage(connection_.get())));
}

Status PostgresSql::send(const std::string& name, const Arguments& arguments) {
  if (unread_ == 0 && PQenterPipelineMode(connection_.get()) != 1) return lost();
  ++unread_;
  const int sent = PQsendQueryPrepared(connection_.get(), name.c_str(), arguments.count(),
                                       arguments.values.data(), nullptr, nullptr, 0);
  return sent == 1 ? Status::ok() : lost();
}

Result<Reply> PostgresSql::read_pipeline(bool wants_last) {
  if (unread_ == 0) return Reply();
  const int count = std::exchange(unread_, 0);
  if (PQpipelineSync(connection_.get()) != 1) return lost();
  Status first;
  Reply last;
  for (int i = 0; i < count; ++i) {
    Reply reply(PQgetResult(connection_.get()));
    // Nothing where an answer must be: the connection broke.
    if (reply == nullptr) return lost();
    Result<Reply> checked = check(std::move(reply));
    if (first.is_ok()) first = checked.status();
    if (checked.is_ok()) last = std::move(checked).value();
    (void)Reply(PQgetResult(connection_.get()));  // the null after each
  }
  const Reply end(PQgetResult(connection_.get()));
  if (PQresultStatus(end.get()) != PGRES_PIPELINE_SYNC ||
      PQexitPipelineMode(connection_.get()) != 1) {
    return lost();
  }
  YQ_RETURN_IF_ERROR(first);
  if (!wants_last) last.reset();
  return last;
}

Result<Reply> PostgresSql::check(Reply reply) const {
  const ExecStatusType status = PQresultStatus(reply.get());
  if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return reply;
  if (PQstatus(connection_.get()) != CONNECTION_OK) return lost();
  const char* state = PQresultErrorField(reply.get(), PG_DIAG_SQLSTATE);
  // Not the detail line: it may hold values.
  const char* message = PQresultErrorField(reply.get(), PG_DIAG_MESSAGE_PRIMARY);
  return error(code_of(state == nullptr ? "XX000" : state), "PostgreSQL: {}",
               first_line(message == nullptr ? PQerrorMessage(connection_.get()) : message));
}

Status PostgresSql::connect() {
  if (!is_schema_name(options_.schema)) {
    return error(Code::kInvalidArgument, "schema: want [a-z_][a-z0-9_]* of at most {} characters",
                 kMaxSchemaName);
  }
  const std::array keywords = {"connect_timeout", "tcp_user_timeout", "application_name", "dbname",
                               static_cast<const char*>(nullptr)};
  const std::array values = {"5", "10000", "yunqi", options_.address.reveal().c_str(),
                             static_cast<const char*>(nullptr)};
  statements_.clear();
  unread_ = 0;
  connection_.reset(PQconnectdbParams(keywords.data(), values.data(), 1));
  if (connection_ == nullptr) return error(Code::kNoResources, "PostgreSQL: no memory");
  if (PQstatus(connection_.get()) != CONNECTION_OK) {
    const std::string message = first_line(PQerrorMessage(connection_.get()));
    const bool is_refusal = message.find("authentication failed") != std::string::npos;
    return error(is_refusal ? Code::kPermission : Code::kUnavailable,
                 "PostgreSQL: {}; check the address and that the server runs", message);
  }
  PQsetNoticeProcessor(
      connection_.get(), [](void*, const char*) {}, nullptr);
  // synchronous_commit: a server may have it off by default, and a bill must not be lost.
  return script(
      "SET synchronous_commit = on; SET statement_timeout = '60s';"
      "SET lock_timeout = '20s'; SET client_encoding = 'UTF8';"
      "CREATE SCHEMA IF NOT EXISTS " +
      options_.schema + "; SET search_path = " + options_.schema);
}

Status PostgresSql::reconnect_if_lost() {
  if (PQstatus(connection_.get()) == CONNECTION_OK) return Status::ok();
  return connect();
}

// One lock a schema. FNV-1a of its name.
int64_t PostgresSql::writer_lock() const {
  uint64_t hash = 14'695'981'039'346'656'037u;
  for (const char c : options_.schema) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 1'099'511'628'211u;
  }
  return static_cast<int64_t>(hash);
}

// The ledger is one chain and quotas one truth, so replicas write one after the other.
Status PostgresSql::begin_write() {
  YQ_RETURN_IF_ERROR(reconnect_if_lost());
  const std::string text = fmt::format("BEGIN; SELECT pg_advisory_xact_lock({})", writer_lock());
  Status status = script(text);
  if (!status.is_ok() && PQstatus(connection_.get()) != CONNECTION_OK) {
    // The server was restarted since the last transaction: libpq notices only now.
    YQ_RETURN_IF_ERROR(connect());
    status = script(text);
  }
  is_inside_ = status.is_ok();
  return status;
}

Status PostgresSql::commit() {
  is_inside_ = false;
  YQ_RETURN_IF_ERROR(read_pipeline(false).status());
  YQ_TRY(const Reply reply, check(Reply(PQexec(connection_.get(), "COMMIT"))));
  // A transaction that had failed inside answers COMMIT with ROLLBACK and no error.
  if (std::string_view(PQcmdStatus(reply.get())) != "COMMIT") {
    return error(Code::kInternal, "PostgreSQL: want COMMIT, found {}", PQcmdStatus(reply.get()));
  }
  return Status::ok();
}

Result<std::string> PostgresSql::prepared(std::string_view text, size_t params) {
  const auto found = statements_.find(text);
  if (found != statements_.end()) return found->second;
  YQ_RETURN_IF_ERROR(read_pipeline(false).status());
  std::string key(text);
  const std::string name = fmt::format("s{}", statements_.size());
  YQ_RETURN_IF_ERROR(check(Reply(PQprepare(connection_.get(), name.c_str(), key.c_str(),
                                           static_cast<int>(params), nullptr)))
                         .status());
  statements_.emplace(std::move(key), name);
  return name;
}

Status PostgresSql::run_unread(std::string_view text, std::initializer_list<SqlParam> params) {
  if (!is_inside_) return run_checked(text, params, {}).status();
  YQ_TRY(const std::string name, prepared(text, params.size()));
  YQ_RETURN_IF_ERROR(send(name, Arguments(params)));
  return unread_ < kMaxUnread ? Status::ok() : read_pipeline(false).status();
}

Result<int64_t> PostgresSql::run_checked(std::string_view text,
                                         std::initializer_list<SqlParam> params,
                                         const RowVisitor& visitor) {
  if (!is_inside_) YQ_RETURN_IF_ERROR(reconnect_if_lost());
  const Arguments arguments(params);
  const auto attempt = [&]() -> Result<Reply> {
    YQ_TRY(const std::string name, prepared(text, params.size()));
    YQ_RETURN_IF_ERROR(send(name, arguments));
    return read_pipeline(true);
  };
  Result<Reply> tried = attempt();
  if (!tried.is_ok() && !is_inside_ && PQstatus(connection_.get()) != CONNECTION_OK) {
    YQ_RETURN_IF_ERROR(connect());
    tried = attempt();
  }
  YQ_RETURN_IF_ERROR(tried.status());
  const PGresult* reply = tried.value().get();
  const int rows = PQntuples(reply);
  for (int row = 0; row < rows && visitor; ++row) {
    YQ_RETURN_IF_ERROR(visitor(ReplyRow(reply, row)));
  }
  if (PQresultStatus(reply) == PGRES_TUPLES_OK) return int64_t{rows};
  const std::string_view changed(PQcmdTuples(tried.value().get()));
  int64_t count = 0;
  std::from_chars(changed.data(), changed.data() + changed.size(), count);
  return count;
}

}  // namespace

Result<std::unique_ptr<Sql>> open_postgres(const PostgresOptions& options) {
  auto sql = std::make_unique<PostgresSql>(options);
  YQ_RETURN_IF_ERROR(sql->connect());
  return std::unique_ptr<Sql>(std::move(sql));
}

}  // namespace yunqi
