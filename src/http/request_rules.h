// What a request head must look like, stricter than most parsers: anything that two programs could
// read in two ways is refused. Pure functions, any thread; fuzzed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "http/server.h"

namespace yunqi {

struct RequestHead {
  std::string method;
  std::string path;     // decoded
  std::string query;    // as sent
  HttpHeaders headers;  // names in lower case, values trimmed
  bool http_1_0 = false;
  bool keep_alive = true;
  bool chunked = false;
  bool expects_continue = false;
  std::optional<uint64_t> content_length;
};

inline constexpr size_t kMaxHeaderFields = 100;
inline constexpr size_t kMaxTargetBytes = 8192;

// Looks for the empty line that ends a head which starts at bytes[0]. Returns the head's size with
// that line, or 0 while more bytes are needed; `scanned` carries its place between calls and starts
// at 0. kInvalidArgument for a bare CR or LF, kTooLarge when the head exceeds `limit`.
Result<size_t> find_head_end(std::string_view bytes, size_t limit, size_t& scanned);

// Parses the bytes up to and including the empty line. kInvalidArgument says which rule is broken:
// bare CR or LF, folded lines, space before a colon, several Hosts or lengths, a length beside a
// transfer coding, codings other than "chunked", targets that do not decode to a plain path.
Result<RequestHead> parse_request_head(std::string_view head);

// Percent-decodes a path once. Refuses what is not valid UTF-8, NUL, backslash, "." and ".."
// segments, and paths that do not start with '/'.
Result<std::string> decode_path(std::string_view path);

}  // namespace yunqi
