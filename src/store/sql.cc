// What both connections share: parameters are checked before a database sees them.
#include "store/sql.h"

#include "base/utf8.h"

namespace yunqi {
namespace {

// UTF-8 without NUL; nearly all texts are ASCII, which one pass over the bytes settles.
bool is_storable(std::string_view text) {
  bool is_ascii = true;
  for (const char c : text) {
    if (c == '\0') return false;
    is_ascii &= static_cast<unsigned char>(c) < 0x80;
  }
  return is_ascii || is_valid_utf8(text);
}

Status check_params(std::initializer_list<SqlParam> params) {
  for (const SqlParam& param : params) {
    const auto* text = std::get_if<std::string_view>(&param);
    if (text == nullptr) continue;
    if (text->size() > kMaxSqlTextBytes) {
      return error(Code::kTooLarge, "want a text of at most {} bytes to store, found {}",
                   kMaxSqlTextBytes, text->size());
    }
    if (!is_storable(*text)) {
      return error(Code::kInvalidArgument, "want UTF-8 text without NUL bytes to store");
    }
  }
  return Status::ok();
}

}  // namespace

Result<int64_t> Sql::run(std::string_view statement, std::initializer_list<SqlParam> params,
                         const RowVisitor& visitor) {
  YQ_RETURN_IF_ERROR(check_params(params));
  return run_checked(statement, params, visitor);
}

Status Sql::execute(std::string_view statement, std::initializer_list<SqlParam> params,
                    const RowVisitor& visitor) {
  YQ_RETURN_IF_ERROR(check_params(params));
  if (visitor) return run_checked(statement, params, visitor).status();
  return run_unread(statement, params);
}

Status Sql::begin() {
  ++transaction_;
  return begin_write();
}

Result<int64_t> Sql::database_seconds() {
  int64_t seconds = 0;
  YQ_RETURN_IF_ERROR(
      execute(is_postgres() ? "SELECT CAST(floor(extract(epoch FROM clock_timestamp())) AS BIGINT)"
                            : "SELECT unixepoch()",
              {}, [&](const SqlRow& row) {
                seconds = row.integer(0);
                return Status::ok();
              }));
  return seconds;
}

}  // namespace yunqi
