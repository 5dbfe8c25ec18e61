// See response_head.h.
#include "http/response_head.h"

#include <algorithm>
#include <ctime>
#include <iterator>
#include <random>

#include "base/clock.h"
#include "base/log.h"

namespace yunqi {
namespace {

constexpr size_t kMaxEchoedIdBytes = 128;

std::string_view reason_of(int status) {
  struct Reason {
    int status;
    std::string_view text;
  };
  static constexpr Reason kReasons[] = {
      {200, "OK"},
      {201, "Created"},
      {202, "Accepted"},
      {204, "No Content"},
      {206, "Partial Content"},
      {301, "Moved Permanently"},
      {302, "Found"},
      {303, "See Other"},
      {304, "Not Modified"},
      {307, "Temporary Redirect"},
      {308, "Permanent Redirect"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {402, "Payment Required"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {406, "Not Acceptable"},
      {408, "Request Timeout"},
      {409, "Conflict"},
      {410, "Gone"},
      {411, "Length Required"},
      {413, "Content Too Large"},
      {415, "Unsupported Media Type"},
      {416, "Range Not Satisfiable"},
      {422, "Unprocessable Content"},
      {429, "Too Many Requests"},
      {431, "Request Header Fields Too Large"},
      {499, "Client Closed Request"},
      {500, "Internal Server Error"},
      {501, "Not Implemented"},
      {502, "Bad Gateway"},
      {503, "Service Unavailable"},
      {504, "Gateway Timeout"},
  };
  for (const Reason& reason : kReasons) {
    if (reason.status == status) return reason.text;
  }
  return "Status";
}

// RFC 9110 section 5.6.7, made once a second. The names are the grammar's, not a language's.
const std::string& date_text() {
  thread_local int64_t made_at = -1;
  thread_local std::string text;
  const int64_t seconds = system_clock().unix_seconds();
  if (seconds == made_at) return text;
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto time = static_cast<std::time_t>(seconds);
  std::tm parts{};
  gmtime_r(&time, &parts);
  text = fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", kDays[parts.tm_wday], parts.tm_mday,
                     kMonths[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour, parts.tm_min,
                     parts.tm_sec);
  made_at = seconds;
  return text;
}

bool is_echoable(std::string_view id) {
  return !id.empty() && id.size() <= kMaxEchoedIdBytes &&
         std::all_of(id.begin(), id.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

// Neither a name nor a value can end its line, wherever it came from.
void append_field(std::string& out, std::string_view name, std::string_view value) {
  const auto append = [&out](std::string_view text) {
    for (const char c : text) {
      out.push_back(c == '\r' || c == '\n' || c == '\0' ? ' ' : c);
    }
  };
  append(name);
  out += ": ";
  append(value);
  out += "\r\n";
}

int status_of(Code code) {
  switch (code) {
    case Code::kPermission:
      return 403;
    case Code::kTooLarge:
      return 413;
    case Code::kUnavailable:
    case Code::kNoResources:
      return 503;
    case Code::kInternal:
      return 500;
    default:
      return 400;
  }
}

}  // namespace

std::string make_request_id() {
  thread_local std::mt19937_64 generator = [] {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device()};
    return std::mt19937_64(seed);
  }();
  const uint64_t high = generator();
  return fmt::format("{:016x}{:016x}", high, generator());
}

const std::string* find_header(const HttpHeaders& headers, std::string_view lower_case_name) {
  for (const auto& [name, value] : headers) {
    if (name == lower_case_name) return &value;
  }
  return nullptr;
}

std::string response_head(const HostRules& rules, const RequestHead& request,
                          std::string_view request_id, const HttpResponse& response) {
  std::string out = fmt::format("HTTP/1.{} {} {}\r\n", request.http_1_0 ? 0 : 1, response.status,
                                reason_of(response.status));
  for (const auto& [name, value] : response.headers) append_field(out, name, value);
  append_field(out, "Date", date_text());
  if (!request_id.empty()) append_field(out, "X-Request-Id", request_id);
  const std::string* id = find_header(request.headers, "x-request-id");
  if (id != nullptr && is_echoable(*id)) append_field(out, "X-Client-Request-Id", *id);
  // Caches must not hand one origin's answer to another.
  if (!rules.cors_origins.empty()) append_field(out, "Vary", "Origin");
  const std::string* origin = find_header(request.headers, "origin");
  if (origin != nullptr && is_cors_origin(rules, *origin)) {
    append_field(out, "Access-Control-Allow-Origin", *origin);
    append_field(out, "Access-Control-Expose-Headers", "X-Request-Id, Retry-After");
  }
  const bool bodiless = response.status == 204 || response.status == 304;
  if (response.stream == nullptr && !bodiless) {
    append_field(out, "Content-Length", std::to_string(response.body.size()));
  } else if (!bodiless && !request.http_1_0) {
    append_field(out, "Transfer-Encoding", "chunked");
  }
  if (!request.keep_alive) {
    append_field(out, "Connection", "close");
  } else if (request.http_1_0) {
    append_field(out, "Connection", "keep-alive");
  }
  append_field(out, "X-Content-Type-Options", "nosniff");
  out += "\r\n";
  return out;
}

HttpResponse preflight_response(const HostRules& rules, const RequestHead& request) {
  HttpResponse response;
  response.status = 204;
  response.headers.emplace_back("Allow", "GET, HEAD, POST, DELETE, OPTIONS");
  const std::string* origin = find_header(request.headers, "origin");
  if (origin == nullptr || !is_cors_origin(rules, *origin)) return response;
  // A browser does not take "*" as Authorization.
  response.headers.emplace_back("Access-Control-Allow-Methods", "GET, HEAD, POST, DELETE, OPTIONS");
  response.headers.emplace_back("Access-Control-Allow-Headers", "*, Authorization");
  response.headers.emplace_back("Access-Control-Max-Age", "600");
  return response;
}

HttpResponse error_response(const Status& status, int http_status, std::string body) {
  HttpResponse response;
  response.status = http_status != 0 ? http_status : status_of(status.code());
  response.headers.emplace_back("Content-Type", "application/json");
  if (response.status == 503) response.headers.emplace_back("Retry-After", "1");
  response.body = std::move(body);
  return response;
}

HttpResponse internal_error_response(const HttpErrorBody& error_body) {
  const Status status = error(Code::kInternal, "the server failed on this request");
  std::string body;
  try {
    body = error_body(status);
  } catch (const std::exception& caught) {
    log_error("no body for an error: {}", caught.what());
  }
  return error_response(status, 0, std::move(body));
}

}  // namespace yunqi
