// See request_rules.h. Grammar: RFC 9112 (HTTP/1.1) and RFC 9110 (header fields).
#include "http/request_rules.h"

#include <algorithm>
#include <charconv>

#include "base/utf8.h"
#include "http/ascii.h"

namespace yunqi {
namespace {

Status refuse(std::string_view rule) { return error(Code::kInvalidArgument, "HTTP: {}", rule); }

bool is_token_char(char c) {
  if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return true;
  return std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char);
}

bool is_field_value(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
  });
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// The next line without its CRLF; bare CR or LF are refused.
Result<std::string_view> take_line(std::string_view& rest) {
  const size_t end = rest.find_first_of("\r\n");
  if (end == std::string_view::npos || rest.substr(end, 2) != "\r\n") {
    return refuse("want lines that end in CR LF, found a bare CR or LF");
  }
  const std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end + 2);
  return line;
}

Status parse_target(std::string_view target, RequestHead& out) {
  if (target.empty()) return refuse("want a target");
  if (target.size() > kMaxTargetBytes) {
    return error(Code::kTooLarge, "HTTP: want a target of at most {} bytes", kMaxTargetBytes);
  }
  // The absolute form is for proxies; its authority would be a second Host.
  if (target == "*") {
    if (out.method != "OPTIONS") return refuse("the target * is for OPTIONS only");
    out.path = "/";
    return Status::ok();
  }
  if (target.front() != '/') return refuse("want a target that starts with /");
  for (const char c : target) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7f || c == '#') {
      return refuse("want a percent-encoded target, found a raw byte or a fragment");
    }
  }
  const size_t mark = target.find('?');
  if (mark != std::string_view::npos) out.query = target.substr(mark + 1);
  YQ_TRY(out.path, decode_path(target.substr(0, mark)));
  return Status::ok();
}

Status parse_request_line(std::string_view line, RequestHead& out) {
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) {
    return refuse("want \"METHOD target HTTP/1.1\"");
  }
  const std::string_view version = line.substr(last + 1);
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    return refuse("want HTTP/1.1 or HTTP/1.0");
  }
  out.http_1_0 = version == "HTTP/1.0";
  out.method = line.substr(0, first);
  if (!is_token(out.method) || out.method.size() > 32) return refuse("the method is no token");
  return parse_target(line.substr(first + 1, last - first - 1), out);
}

Status parse_field(std::string_view line, RequestHead& out) {
  if (line.front() == ' ' || line.front() == '\t') return refuse("folded header lines");
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return refuse("a header line without a colon");
  const std::string_view name = line.substr(0, colon);
  if (!is_token(name)) return refuse("a header name that is no token, or a space before the colon");
  const std::string_view value = trim(line.substr(colon + 1));
  if (!is_field_value(value)) return refuse("a control character in a header value");
  out.headers.emplace_back(lower_ascii(name), std::string(value));
  return Status::ok();
}

Status parse_length(std::string_view value, RequestHead& out) {
  uint64_t length = 0;
  const auto [end, failed] = std::from_chars(value.data(), value.data() + value.size(), length);
  if (value.empty() || value.size() > 19 || failed != std::errc() ||
      end != value.data() + value.size()) {
    return refuse("want a Content-Length of decimal digits");
  }
  out.content_length = length;
  return Status::ok();
}

// A list of options; "close" wins over "keep-alive", wherever it stands.
void parse_connection(std::string_view value, bool& close, bool& keep_alive) {
  while (true) {
    const size_t comma = std::min(value.find(','), value.size());
    const std::string option = lower_ascii(trim(value.substr(0, comma)));
    close = close || option == "close";
    keep_alive = keep_alive || option == "keep-alive";
    if (comma == value.size()) return;
    value.remove_prefix(comma + 1);
  }
}

// The headers that decide where a message ends and who it is for.
Status interpret_fields(RequestHead& out) {
  int hosts = 0, lengths = 0, codings = 0;
  bool close = false, keep_alive = false;
  for (const auto& [name, value] : out.headers) {
    if (name == "host") {
      ++hosts;
    } else if (name == "content-length") {
      ++lengths;
      YQ_RETURN_IF_ERROR(parse_length(value, out));
    } else if (name == "transfer-encoding") {
      ++codings;
      if (lower_ascii(value) != "chunked") return refuse("want no Transfer-Encoding but chunked");
      out.chunked = true;
    } else if (name == "connection") {
      parse_connection(value, close, keep_alive);
    } else if (name == "expect") {
      if (lower_ascii(value) != "100-continue") return refuse("want no Expect but 100-continue");
      out.expects_continue = !out.http_1_0;
    }
  }
  out.keep_alive = !close && (!out.http_1_0 || keep_alive);
  if (hosts > 1 || (hosts == 0 && !out.http_1_0)) return refuse("want exactly one Host header");
  if (lengths > 1) return refuse("want at most one Content-Length");
  if (codings > 1) return refuse("want at most one Transfer-Encoding");
  if (lengths > 0 && codings > 0) return refuse("Content-Length beside Transfer-Encoding");
  if (codings > 0 && out.http_1_0) return refuse("Transfer-Encoding in HTTP/1.0");
  return Status::ok();
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

Result<size_t> find_head_end(std::string_view bytes, size_t limit, size_t& scanned) {
  const std::string_view head = bytes.substr(0, limit);
  while (scanned < head.size()) {
    scanned = std::min(head.find_first_of("\r\n", scanned), head.size());
    if (scanned == head.size()) break;
    if (head[scanned] == '\r' && scanned + 1 == head.size()) break;  // its LF may still come
    if (head.substr(scanned, 2) != "\r\n") {
      return refuse("want lines that end in CR LF, found a bare CR or LF");
    }
    const bool empty = scanned == 0 || head[scanned - 1] == '\n';
    scanned += 2;
    if (empty) return scanned;
  }
  if (bytes.size() < limit) return size_t{0};
  return error(Code::kTooLarge, "HTTP: want at most {} bytes of headers", limit);
}

Result<std::string> decode_path(std::string_view path) {
  if (!path.starts_with('/')) return refuse("want a path that starts with /");
  std::string out;
  for (size_t i = 0; i < path.size(); ++i) {
    if (path[i] != '%') {
      out.push_back(path[i]);
      continue;
    }
    const int high = i + 1 < path.size() ? hex_digit(path[i + 1]) : -1;
    const int low = i + 2 < path.size() ? hex_digit(path[i + 2]) : -1;
    if (high < 0 || low < 0) return refuse("a percent sign without two hex digits");
    out.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  if (!is_valid_utf8(out)) return refuse("want a path in UTF-8");
  for (const char c : out) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f || c == '\\') {
      return refuse("a control character or backslash in the path");
    }
  }
  for (size_t at = 0; at != std::string::npos; at = out.find('/', at + 1)) {
    const size_t end = std::min(out.find('/', at + 1), out.size());
    const std::string_view segment = std::string_view(out).substr(at + 1, end - at - 1);
    if (segment == "." || segment == "..") return refuse("a dot segment in the path");
  }
  return out;
}

Result<RequestHead> parse_request_head(std::string_view head) {
  RequestHead out;
  std::string_view rest = head;
  YQ_TRY(const std::string_view request_line, take_line(rest));
  YQ_RETURN_IF_ERROR(parse_request_line(request_line, out));
  while (true) {
    YQ_TRY(const std::string_view line, take_line(rest));
    if (line.empty()) break;
    if (out.headers.size() == kMaxHeaderFields) {
      return error(Code::kTooLarge, "HTTP: want at most {} header fields", kMaxHeaderFields);
    }
    YQ_RETURN_IF_ERROR(parse_field(line, out));
  }
  if (!rest.empty()) return refuse("bytes behind the empty line of the head");
  YQ_RETURN_IF_ERROR(interpret_fields(out));
  return out;
}

}  // namespace yunqi
