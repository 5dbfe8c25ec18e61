// The SQLite connection: WAL, synchronous=FULL, prepared statements kept for its life.
#pragma once

#include <memory>
#include <string>

#include "base/file.h"
#include "store/sql.h"

namespace yunqi {

struct SqliteOptions {
  Path path;
  std::string vfs = {};  // a registered SQLite VFS; empty for the machine's own
  bool read_only = false;
};

// kBadFile: the file is no database or is damaged. kUnavailable: another program holds it.
Result<std::unique_ptr<Sql>> open_sqlite(const SqliteOptions& options);

}  // namespace yunqi
