// Times as people write them, to and from seconds since 1970 in UTC.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/json.h"

namespace yunqi {

inline constexpr int64_t kMaxTimestamp = 253'402'300'799;  // 9999-12-31T23:59:59Z

// "2026-01-31T23:59:59Z" or "2026-01-31" (its first second); kInvalidArgument for others.
Result<int64_t> parse_timestamp(std::string_view text);
// A text as above, or an integer of seconds.
Result<int64_t> read_timestamp(const Json& value);
std::string format_timestamp(int64_t seconds);

// The first second of the month that holds `seconds`, and of the next.
int64_t month_start(int64_t seconds);
int64_t next_month_start(int64_t seconds);

}  // namespace yunqi
