// What a name in a weight file may look like, so that it can stand in a one-line message.
// Internal to checkpoint/.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/utf8.h"

namespace yunqi {

// 1 to `max_bytes` bytes of UTF-8 without control characters.
inline bool is_plain_name(std::string_view name, uint64_t max_bytes) {
  const auto is_control = [](char c) { return static_cast<uint8_t>(c) < 0x20 || c == 0x7f; };
  return !name.empty() && name.size() <= max_bytes && is_valid_utf8(name) &&
         std::none_of(name.begin(), name.end(), is_control);
}

// The start of any text as a quoted literal for messages.
inline std::string quoted_start(std::string_view text) {
  std::string out;
  append_json_string(out, sanitize_utf8(text.substr(0, 64)));
  return out;
}

}  // namespace yunqi
