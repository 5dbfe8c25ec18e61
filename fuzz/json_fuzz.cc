// Feeds any bytes to the JSON parser. What it accepts must survive writing and reading again, be
// valid UTF-8 throughout, and stay within the depth limit.
#include <algorithm>
#include <cstdint>

#include "base/json.h"
#include "base/utf8.h"

namespace yunqi {
namespace {

size_t depth_of(const Json& value) {
  size_t inner = 0;
  if (value.is_array()) {
    for (const Json& item : value.as_array()) inner = std::max(inner, depth_of(item));
  } else if (value.is_object()) {
    for (const auto& [key, item] : value.as_object()) inner = std::max(inner, depth_of(item));
  } else {
    return 0;
  }
  return inner + 1;
}

void check_round_trip(const Json& value, const std::string& text) {
  YQ_CHECK(is_valid_utf8(text), "wrote invalid UTF-8");
  const Result<Json> again = parse_json(text);
  YQ_CHECK(again.is_ok(), "does not read what it wrote: {}", again.status().to_string());
  YQ_CHECK(*again == value, "reads another value than it wrote: {}", text);
}

}  // namespace
}  // namespace yunqi

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const yunqi::Result<yunqi::Json> json = yunqi::parse_json(text);
  if (!json.is_ok()) {
    YQ_CHECK(yunqi::is_valid_utf8(json.status().message()), "an error message is not UTF-8");
    return 0;
  }
  YQ_CHECK(yunqi::is_valid_utf8(text), "accepted invalid UTF-8");
  YQ_CHECK(yunqi::depth_of(*json) <= yunqi::JsonLimits().max_depth, "accepted a deeper value");
  yunqi::check_round_trip(*json, json->dump());
  yunqi::check_round_trip(*json, json->dump_pretty());
  return 0;
}
