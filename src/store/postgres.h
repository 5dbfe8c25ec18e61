// The PostgreSQL connection through libpq: prepared statements, reconnects before a transaction,
// one writer at a time over all replicas (an advisory lock held to the end of a transaction).
#pragma once

#include <memory>
#include <string>

#include "store/secret.h"
#include "store/sql.h"

namespace yunqi {

struct PostgresOptions {
  Secret address = {};           // a libpq connection string or URL; may hold a password
  std::string schema = "yunqi";  // made when missing; [a-z_][a-z0-9_]*, at most 63 characters
};

// kUnavailable when the server does not answer; kPermission when it refuses us.
Result<std::unique_ptr<Sql>> open_postgres(const PostgresOptions& options);

}  // namespace yunqi
