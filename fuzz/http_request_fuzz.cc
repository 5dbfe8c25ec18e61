// Feeds any bytes to the request rules: a head first, then a chunked body. What is accepted must be
// what the rules promise, and the same however the bytes are cut.
#include <algorithm>
#include <cstdint>

#include "base/utf8.h"
#include "http/chunked_body.h"
#include "http/host_check.h"
#include "http/request_rules.h"

namespace yunqi {
namespace {

constexpr size_t kMaxHead = 32 << 10;
constexpr uint64_t kMaxBody = uint64_t{1} << 16;

// What find_head_end says when the bytes come in pieces.
Result<size_t> find_in_pieces(std::string_view bytes, size_t piece) {
  size_t scanned = 0;
  for (size_t size = std::min(piece, bytes.size());; size = std::min(size + piece, bytes.size())) {
    const Result<size_t> end = find_head_end(bytes.substr(0, size), kMaxHead, scanned);
    if (!end.is_ok() || *end > 0 || size == bytes.size()) return end;
  }
}

void check_head(const RequestHead& head) {
  YQ_CHECK(head.path.starts_with('/') && is_valid_utf8(head.path), "a bad path: {}", head.path);
  YQ_CHECK((head.path + "/").find("/../") == std::string::npos, "a dot segment: {}", head.path);
  YQ_CHECK(head.path.find('\\') == std::string::npos, "a backslash: {}", head.path);
  YQ_CHECK(head.path.find('\0') == std::string::npos, "a NUL in the path");
  YQ_CHECK(!head.chunked || !head.content_length.has_value(), "two lengths");
  YQ_CHECK(!head.chunked || !head.http_1_0, "a coding in HTTP/1.0");
  YQ_CHECK(head.headers.size() <= kMaxHeaderFields, "{} fields", head.headers.size());
  size_t hosts = 0;
  for (const auto& [name, value] : head.headers) {
    YQ_CHECK(name.find_first_of("\r\n: ") == std::string::npos, "a bad name: {}", name);
    YQ_CHECK(value.find_first_of("\r\n") == std::string::npos, "a line end in a value");
    hosts += name == "host";
  }
  YQ_CHECK(hosts == 1 || (hosts == 0 && head.http_1_0), "{} hosts", hosts);
}

void check_sources(const RequestHead& head) {
  const HostRules rules{.bound = "127.0.0.1", .allowed_hosts = {}, .cors_origins = {}};
  for (const auto& [name, value] : head.headers) {
    if (name == "host" && check_host(rules, value).is_ok()) {
      YQ_CHECK(is_loopback_name(host_name(value)), "served a foreign host: {}", value);
    }
  }
}

struct Decoded {
  bool is_ok = true;
  bool done = false;
  size_t taken = 0;
  std::string body;
};

Decoded decode(std::string_view bytes, size_t piece) {
  ChunkedBody chunks(kMaxBody);
  Decoded out;
  while (out.taken < bytes.size() && !chunks.done()) {
    const Result<size_t> taken = chunks.take(bytes.substr(out.taken, piece), out.body);
    out.is_ok = taken.is_ok();
    if (!out.is_ok) break;
    out.taken += *taken;
  }
  out.done = chunks.done();
  YQ_CHECK(out.body.size() <= kMaxBody, "a body over its limit: {}", out.body.size());
  return out;
}

void check_chunks(std::string_view bytes) {
  const Decoded whole = decode(bytes, std::max<size_t>(bytes.size(), 1));
  const Decoded cut = decode(bytes, 1);
  YQ_CHECK(whole.is_ok == cut.is_ok && whole.done == cut.done, "cutting changes the verdict");
  if (!whole.is_ok) return;
  YQ_CHECK(whole.taken == cut.taken && whole.body == cut.body, "cutting changes the body");
}

}  // namespace
}  // namespace yunqi

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto end = yunqi::find_in_pieces(bytes, size);
  const auto cut = yunqi::find_in_pieces(bytes, 1);
  YQ_CHECK(end.is_ok() == cut.is_ok(), "cutting changes the verdict on a head");
  yunqi::check_chunks(bytes);
  if (!end.is_ok()) return 0;
  YQ_CHECK(*end == *cut, "cutting changes the end of a head: {} and {}", *end, *cut);
  const auto head = yunqi::parse_request_head(bytes.substr(0, *end));
  if (!head.is_ok()) return 0;
  yunqi::check_head(*head);
  yunqi::check_sources(*head);
  yunqi::check_chunks(bytes.substr(*end));
  return 0;
}
