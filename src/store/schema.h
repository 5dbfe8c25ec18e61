// The database's tables as a list of migrations: version n is reached by running scripts 1 to n.
// A script that has been released never changes; a change is a new script.
#pragma once

#include <cstdint>

#include "store/sql.h"

namespace yunqi {

// What this program reads and writes.
int64_t schema_version();

// Brings the database to schema_version() in one transaction; makes all of it when it is empty.
// kBadFile when the database is of a newer program, or holds other tables than ours.
Status migrate(Sql& sql);

}  // namespace yunqi
