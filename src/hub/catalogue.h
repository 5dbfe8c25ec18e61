// The catalogue's file format: JSON text to checked entries. Used by Catalogue::load and its tests.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "hub/hub.h"

namespace yunqi {

inline constexpr uint64_t kMaxCatalogueBytes = uint64_t{4} << 20;
inline constexpr size_t kMaxCatalogueEntries = 10'000;
inline constexpr size_t kMaxEntrySources = 16;
inline constexpr size_t kMaxCatalogueText = 1'024;  // bytes of one title, reason, licence

// `where` names the file in errors, which say entry, member, what was wanted and found.
Result<std::vector<CatalogueEntry>> parse_catalogue(std::string_view text, std::string_view where);

}  // namespace yunqi
